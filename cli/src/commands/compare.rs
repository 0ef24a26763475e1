//! The same work under several agents: `sam task compare`, `sam task choose`.

use super::task::{shape, state_word};
use crate::api::{Api, Call};
use crate::args::AskedTask;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::{text, time};
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::budget::call::UsageSummary;
use sam_domain::budget::{dollars, grouped};
use sam_domain::conversation::comparison::{Candidate, Checks, ComparisonView};
use sam_domain::id::Id;
use sam_domain::task::TaskView;
use sam_domain::time::{Millis, Timestamp};
use serde::Serialize;

/// What `task compare` prints as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    candidates: Vec<Measured>,
}

/// A candidate with how long it took.
#[derive(Debug, Serialize)]
struct Measured {
    #[serde(flatten)]
    candidate: Candidate,
    /// From its submission to its end or to now, in milliseconds.
    took: Millis,
}

pub(super) async fn show(context: &Context, which: &AskedTask) -> Result<Exit, Failure> {
    let api = context.api()?;
    let task = resolve::task_or_chosen(context, &api, which).await?;
    let view = compared(&api, &task).await?;
    let now = time::now();
    let candidates = view.candidates.into_iter();
    let shown = Shown {
        candidates: candidates.map(|one| measure(one, now)).collect(),
    };
    let out = &context.out;
    if out.json {
        out.value(&shown)?;
        return Ok(Exit::Ok);
    }
    if let Some(first) = shown.candidates.first() {
        let title = text::clean_line(&first.candidate.session.title);
        out.line(&out.style.paint(Paint::Strong, &title))?;
    }
    let rows: Vec<Vec<Cell>> = shown.candidates.iter().map(row).collect();
    let headings = [
        "", "AGENT", "STATE", "TURNS", "IN", "OUT", "COST", "TIME", "CHECKS", "FILES", "LINES",
        "TASK", "BRANCH",
    ];
    out.table(&headings, &rows)?;
    let chosen = |one: &Measured| one.candidate.session.chosen;
    if !shown.candidates.iter().any(chosen) {
        out.hint(&format!(
            "See one's changes: sam task diff {0}; choose it: sam task choose {0}",
            task.id.short()
        ));
    }
    Ok(Exit::Ok)
}

pub(super) async fn choose(context: &Context, which: &AskedTask) -> Result<Exit, Failure> {
    let api = context.api()?;
    let task = resolve::task_or_chosen(context, &api, which).await?;
    let segments = [task.project.as_str(), task.session.as_str()];
    api.text(Call::new(RouteId::Choose, &segments)).await?;
    let out = &context.out;
    if out.json {
        out.value(&compared(&api, &task).await?)?;
        return Ok(Exit::Ok);
    }
    let branch = task.branch.as_deref().unwrap_or_default();
    out.line(&format!(
        "Chose {} by {}. {}",
        task.id,
        text::clean_line(&task.agent),
        text::clean_line(branch)
    ))?;
    Ok(Exit::Ok)
}

/// What does the same work as a task.
async fn compared(api: &Api, task: &TaskView) -> Result<ComparisonView, Failure> {
    let segments = [task.project.as_str(), task.session.as_str()];
    api.json(Call::new(RouteId::GetComparison, &segments)).await
}

fn measure(candidate: Candidate, now: Timestamp) -> Measured {
    let task = &candidate.task;
    let end = if task.state.is_terminal() {
        task.since
    } else {
        now
    };
    Measured {
        took: end.since(task.created_at),
        candidate,
    }
}

fn row(measured: &Measured) -> Vec<Cell> {
    let task = &measured.candidate.task;
    let (shape, paint) = shape(task.state);
    // An agent with a login of its own calls no model through SAM.
    let used = Some(&measured.candidate.usage).filter(|usage| usage.calls > 0);
    let number = |of: fn(&UsageSummary) -> u64| {
        Cell::new(used.map_or_else(|| "–".to_owned(), |usage| grouped(of(usage))))
    };
    let checks = match measured.candidate.checks {
        Checks {
            passed: 0,
            failed: 0,
        } => Cell::new("–"),
        Checks { passed, failed: 0 } => Cell::new(format!("✓ {passed}")).paint(Paint::Ok),
        Checks { passed, failed } => {
            Cell::new(format!("✗ {failed} of {}", passed + failed)).paint(Paint::Danger)
        }
    };
    let (files, lines, branch) = match &task.result {
        Some(result) => (
            result.files_changed.to_string(),
            format!("+{} −{}", result.added, result.removed),
            result.branch.as_str(),
        ),
        None => (
            "–".to_owned(),
            "–".to_owned(),
            task.branch.as_deref().unwrap_or_default(),
        ),
    };
    vec![
        Cell::new(if measured.candidate.session.chosen {
            "★"
        } else {
            ""
        })
        .paint(Paint::Ok),
        Cell::new(&task.agent).paint(Paint::Strong),
        Cell::new(format!("{shape} {}", state_word(task.state))).paint(paint),
        number(|usage| usage.calls),
        number(|usage| usage.input_tokens),
        number(|usage| usage.output_tokens),
        Cell::new(used.map_or_else(|| "–".to_owned(), |usage| dollars(usage.cost))),
        Cell::new(time::span(measured.took)),
        checks,
        Cell::new(files),
        Cell::new(lines),
        Cell::new(task.id.short()).paint(Paint::Muted),
        Cell::new(branch).paint(Paint::Muted),
    ]
}
