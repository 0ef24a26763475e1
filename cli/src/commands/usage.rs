//! `sam usage`

use crate::api::Call;
use crate::args::money::Usage;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::budget::wire::{UsageLine, UsageReport};
use sam_domain::budget::{dollars, grouped};
use sam_domain::id::Id as _;

pub(super) async fn run(context: &Context, asked: Usage) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = match &asked.project {
        Some(named) => Some(resolve::project(context, &api, Some(named)).await?.id),
        None => None,
    };
    let segments: Vec<&str> = project.iter().map(|id| id.as_str()).collect();
    let route = match (&project, asked.all) {
        (Some(_), _) => RouteId::ProjectUsage,
        (None, true) => RouteId::AllUsage,
        (None, false) => RouteId::Usage,
    };
    let call = || {
        let mut call = Call::new(route, &segments).query("by", asked.by.word());
        for (name, day) in [("from", asked.from), ("to", asked.to)] {
            if let Some(day) = day {
                call = call.query(name, day.to_string());
            }
        }
        call
    };
    let out = &context.out;
    if asked.csv && !asked.all {
        out.raw(&api.text(call().query("format", "csv")).await?)?;
        return Ok(Exit::Ok);
    }
    let mut report: UsageReport = api.json(call()).await?;
    // Everybody's comes by pages of people.
    while let Some(next) = report.next.take() {
        report.append(api.json(call().query("after", next.to_string())).await?);
    }
    if asked.csv {
        out.raw(&report.csv())?;
        return Ok(Exit::Ok);
    }
    if out.json {
        out.value(&report)?;
        return Ok(Exit::Ok);
    }
    if report.lines.is_empty() {
        out.hint(&format!(
            "No model was called from {} to {}.",
            report.from, report.to
        ));
        return Ok(Exit::Ok);
    }
    let mut rows: Vec<Vec<Cell>> = report.lines.iter().map(row).collect();
    rows.push(row(&report.total));
    let heading = report.by.word().to_uppercase();
    let headings = [
        heading.as_str(),
        "CALLS",
        "INPUT",
        "CACHED",
        "OUTPUT",
        "COST",
    ];
    out.table(&headings, &rows)?;
    let unreported = report.total.unreported;
    if unreported > 0 {
        out.hint(&format!(
            "Of {unreported} calls the provider did not report the usage; they count as what they had reserved."
        ));
    }
    for warning in &report.warnings {
        out.hint(&format!(
            "Nearly used up: {} of {}.",
            warning.limit.amount(warning.spent),
            warning.limit.amount(warning.allowed)
        ));
    }
    out.hint(&format!(
        "At this pace this month costs {}.",
        dollars(report.monthly_forecast)
    ));
    Ok(Exit::Ok)
}

fn row(line: &UsageLine) -> Vec<Cell> {
    vec![
        Cell::new(line.name.as_deref().unwrap_or(&line.key)).paint(Paint::Strong),
        Cell::new(grouped(line.calls)),
        Cell::new(grouped(line.input_tokens)),
        Cell::new(grouped(line.cached_input_tokens)),
        Cell::new(grouped(line.output_tokens)),
        Cell::new(dollars(line.cost)),
    ]
}
