//! What model calls used, as JSON and as CSV.

use std::collections::HashMap;

use futures::future::try_join_all;
use sam_domain::budget::call::{BudgetCall, UsageRows};
use sam_domain::budget::ledger::Warning;
use sam_domain::budget::period::Day;
use sam_domain::budget::wire::{BudgetView, UsageBy, UsageLine, UsageReport};
use sam_domain::collect::sort_many;
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, UserId};
use sam_platform::d1::project_members::ProjectMembers;
use sam_platform::d1::projects::Projects;
use sam_platform::d1::task_index::TaskIndex;
use sam_platform::d1::users::Users;
use sam_platform::http;
use sam_platform::objects;

use crate::call::Call;
use crate::errors::{Answer, Failed};
use crate::membership::Member;
use crate::principal::{Admin, User};

/// Most days that a report covers.
const DAYS: u64 = 400;
/// Of how many people a page tells: two requests for each, of the 50 that the free plan gives a call.
const PEOPLE: usize = 20;

/// What is asked for.
struct Asked {
    by: UsageBy,
    from: Day,
    to: Day,
    csv: bool,
}

impl Asked {
    fn of(call: &Call) -> Result<Self, ApiError> {
        let today = Day::of(call.now);
        let to = call.query("to")?.unwrap_or(today);
        let from = call.query("from")?.unwrap_or(to.month().first());
        if from > to || to.0 - from.0 >= DAYS {
            return Err(ApiError::bad_request(format!(
                "`from` comes before `to`, and not {DAYS} days before it."
            )));
        }
        let accepts = call.header("accept").unwrap_or_default();
        let csv = match call.query::<String>("format")?.as_deref() {
            Some("csv") => true,
            Some("json") => false,
            Some(_) => return Err(ApiError::bad_request("`format` is `json` or `csv`.")),
            None => accepts.starts_with("text/csv"),
        };
        Ok(Self {
            by: call.query("by")?.unwrap_or(UsageBy::Day),
            from,
            to,
            csv,
        })
    }

    fn answer(&self, lines: Vec<UsageLine>, of: Of) -> Answer {
        let mut total = UsageLine {
            key: "total".to_owned(),
            ..UsageLine::default()
        };
        for line in &lines {
            total.add(line);
        }
        let mut report = UsageReport {
            by: self.by,
            from: self.from.to_string(),
            to: self.to.to_string(),
            lines,
            total,
            monthly_forecast: of.monthly_forecast,
            warnings: of.warnings,
            next: of.next,
        };
        report.sort();
        if !self.csv {
            return Ok(http::json(200, &report));
        }
        let mut page =
            http::reply::bytes(200, "text/csv; charset=utf-8", report.csv().into_bytes());
        let name = format!("attachment; filename=\"usage-{}.csv\"", self.by.word());
        page.headers_mut().set("content-disposition", &name)?;
        if let Some(next) = &report.next {
            page.headers_mut().set("x-sam-next", next.as_str())?;
        }
        Ok(page)
    }
}

/// What a report says beside its lines.
#[derive(Default)]
struct Of {
    monthly_forecast: u64,
    warnings: Vec<Warning>,
    next: Option<UserId>,
}

/// What one holder's calls used, and how its budget stands.
async fn of_holder(
    call: &Call,
    holder: &str,
    asked: &Asked,
) -> Result<(Vec<UsageLine>, Of), Failed> {
    let object = objects::budget(&call.env, holder)?;
    let usage = BudgetCall::Usage {
        by: asked.by,
        from: asked.from,
        to: asked.to,
    };
    let rows: UsageRows = object.call(&usage).await?;
    let view: BudgetView = object.call(&BudgetCall::View).await?;
    let of = Of {
        monthly_forecast: view.monthly_forecast,
        warnings: view.warnings,
        next: None,
    };
    Ok((rows.rows, of))
}

fn name_lines(lines: &mut [UsageLine], names: &HashMap<String, String>) {
    for line in lines {
        line.name = names.get(&line.key).cloned();
    }
}

pub(crate) async fn own(call: &Call, user: User) -> Answer {
    let asked = Asked::of(call)?;
    let (mut lines, of) = of_holder(call, user.id().as_str(), &asked).await?;
    let database = call.database()?;
    let names: HashMap<String, String> = match asked.by {
        UsageBy::Project => {
            let projects = Projects(&database).of_member(user.id()).await?;
            let projects = projects.into_iter().map(|(project, _)| project);
            projects.map(|it| (it.id.to_string(), it.name)).collect()
        }
        UsageBy::Task => {
            let tasks = TaskIndex(&database).of_member(user.id(), 200).await?;
            let tasks = tasks.into_iter();
            tasks.map(|it| (it.id.to_string(), it.title)).collect()
        }
        UsageBy::User => [(user.id().to_string(), user.person.name.clone())].into(),
        UsageBy::Day | UsageBy::Model => HashMap::new(),
    };
    name_lines(&mut lines, &names);
    asked.answer(lines, of)
}

pub(crate) async fn of_project(call: &Call, member: Member) -> Answer {
    let asked = Asked::of(call)?;
    let (mut lines, of) = of_holder(call, member.project.as_str(), &asked).await?;
    let database = call.database()?;
    let names: HashMap<String, String> = match asked.by {
        UsageBy::User => {
            let members = ProjectMembers(&database).list(&member.project).await?;
            let members = members.into_iter();
            members.map(|it| (it.user.to_string(), it.name)).collect()
        }
        UsageBy::Task => {
            let tasks = TaskIndex(&database).of_member(member.id(), 200).await?;
            let tasks = tasks.into_iter();
            tasks.map(|it| (it.id.to_string(), it.title)).collect()
        }
        UsageBy::Day | UsageBy::Project | UsageBy::Model => HashMap::new(),
    };
    name_lines(&mut lines, &names);
    asked.answer(lines, of)
}

/// Everybody's, from each person's budget, by pages of people: nothing global is on the path of a
/// call, so the sum is made when it is asked for.
pub(crate) async fn of_all(call: &Call, _: Admin) -> Answer {
    let asked = Asked::of(call)?;
    let after: Option<UserId> = call.query("after")?;
    let mut people = Users(&call.database()?).list().await?;
    sort_many(&mut people, |one, other| one.id.cmp(&other.id));
    let known: HashMap<String, String> = people
        .iter()
        .map(|person| (person.id.to_string(), person.name.clone()))
        .collect();
    let mut rest = people
        .into_iter()
        .map(|person| person.id)
        .filter(|id| after.as_ref().is_none_or(|after| id > after));
    let some: Vec<UserId> = rest.by_ref().take(PEOPLE).collect();
    let mut of = Of {
        next: rest.next().and_then(|_| some.last().cloned()),
        ..Of::default()
    };
    let mut sums: HashMap<String, UsageLine> = HashMap::new();
    let asking = some
        .iter()
        .map(|person| of_holder(call, person.as_str(), &asked));
    for (lines, more) in try_join_all(asking).await? {
        of.monthly_forecast = of.monthly_forecast.saturating_add(more.monthly_forecast);
        for line in lines {
            let sum = sums.entry(line.key.clone()).or_insert_with(|| UsageLine {
                key: line.key.clone(),
                ..UsageLine::default()
            });
            sum.add(&line);
        }
    }
    let mut lines: Vec<UsageLine> = sums.into_values().collect();
    if asked.by == UsageBy::User {
        name_lines(&mut lines, &known);
    }
    asked.answer(lines, of)
}
