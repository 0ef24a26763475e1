//! The same work under several agents: `sam task submit --agents`, `sam task compare`,
//! `sam task choose`.

use super::task::{scripted_hint, shape, state_word};
use crate::api::{Api, Call};
use crate::args::{InProject, OneTask};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::follow;
use crate::output::style::Paint;
use crate::output::table::{self, Cell};
use crate::output::{text, time};
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::budget::call::UsageSummary;
use sam_domain::budget::{dollars, grouped};
use sam_domain::conversation::comparison::{
    Candidate, Checks, Choice, ChooseCandidate, ComparisonSubmitted, ComparisonView,
    SubmitComparison,
};
use sam_domain::conversation::wire::{MessagePage, SessionView};
use sam_domain::id::{ComparisonId, Id, ProjectId, UserId};
use sam_domain::task::TaskView;
use sam_domain::time::{Millis, Timestamp};
use serde::Serialize;

pub(super) async fn submit(
    context: &Context,
    within: &InProject,
    body: &SubmitComparison,
) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = resolve::project(context, &api, within.project.as_deref()).await?;
    let segments = [project.id.as_str()];
    let submitted: ComparisonSubmitted = api
        .json(Call::new(RouteId::SubmitComparison, &segments).body(body)?)
        .await?;
    let out = &context.out;
    if out.json {
        out.value(&submitted)?;
        return Ok(Exit::Ok);
    }
    out.line(&format!(
        "Submitted {} to {}, to be compared:",
        submitted.comparison,
        text::clean_line(&project.name)
    ))?;
    for (agent, task) in body.agents.iter().zip(&submitted.tasks) {
        out.line(&format!("  {}  {}", task.task, text::clean_line(agent)))?;
    }
    scripted_hint(context, &api).await;
    if let Some(first) = submitted.tasks.first() {
        out.hint(&format!(
            "Compare them: sam task compare {}",
            first.task.short()
        ));
    }
    Ok(Exit::Ok)
}

/// What `task compare` prints as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    id: ComparisonId,
    created_by: UserId,
    created_at: Timestamp,
    choice: Option<Choice>,
    candidates: Vec<Measured>,
}

/// A candidate with what it used and how its last commands ended.
#[derive(Debug, Serialize)]
struct Measured {
    #[serde(flatten)]
    candidate: Candidate,
    chosen: bool,
    /// From its submission to its end or to now, in milliseconds.
    took: Millis,
    usage: Option<UsageSummary>,
    checks: Checks,
}

pub(super) async fn show(
    context: &Context,
    which: &str,
    within: &InProject,
) -> Result<Exit, Failure> {
    let api = context.api()?;
    let named = within.project.as_deref();
    let (project, id) = match which.parse::<ComparisonId>() {
        Ok(id) => (resolve::project(context, &api, named).await?.id, id),
        Err(_) => {
            let task = resolve::task(context, &api, which, named).await?;
            let id = comparison_of(&api, &task).await?;
            (task.project, id)
        }
    };
    let segments = [project.as_str(), id.as_str()];
    let view: ComparisonView = api
        .json(Call::new(RouteId::GetComparison, &segments))
        .await?;
    let now = time::now();
    let mut candidates = Vec::with_capacity(view.candidates.len());
    for candidate in view.candidates {
        candidates.push(measure(&api, &project, candidate, view.choice.as_ref(), now).await?);
    }
    let shown = Shown {
        id: view.id,
        created_by: view.created_by,
        created_at: view.created_at,
        choice: view.choice,
        candidates,
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
    for line in table::lines(out.style, &headings, &rows) {
        out.line(&line)?;
    }
    match (&shown.choice, shown.candidates.first()) {
        (None, Some(first)) => out.hint(&format!(
            "See one's changes: sam task diff {0}; choose it: sam task choose {0}",
            first.candidate.task.id.short()
        )),
        _ => {}
    }
    Ok(Exit::Ok)
}

pub(super) async fn choose(context: &Context, which: &OneTask) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = which.within.project.as_deref();
    let task = resolve::task(context, &api, &which.task, project).await?;
    let id = comparison_of(&api, &task).await?;
    let segments = [task.project.as_str(), id.as_str()];
    let body = ChooseCandidate {
        session: task.session.clone(),
    };
    api.text(Call::new(RouteId::ChooseCandidate, &segments).body(&body)?)
        .await?;
    let out = &context.out;
    if out.json {
        let view: ComparisonView = api
            .json(Call::new(RouteId::GetComparison, &segments))
            .await?;
        out.value(&view)?;
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

async fn comparison_of(api: &Api, task: &TaskView) -> Result<ComparisonId, Failure> {
    let segments = [task.project.as_str(), task.session.as_str()];
    let session: SessionView = api.json(Call::new(RouteId::GetSession, &segments)).await?;
    let compared = session.compared.ok_or_else(|| Failure::NotFound {
        message: format!("{} is not compared with others.", task.id.short()),
        hint: Some("Submit work under several agents with --agents.".to_owned()),
    })?;
    Ok(compared.comparison)
}

async fn measure(
    api: &Api,
    project: &ProjectId,
    candidate: Candidate,
    choice: Option<&Choice>,
    now: Timestamp,
) -> Result<Measured, Failure> {
    let segments = [project.as_str(), candidate.session.id.as_str()];
    let page: MessagePage = api
        .json(Call::new(RouteId::ListMessages, &segments).query("limit", "500"))
        .await?;
    let task = &candidate.task;
    let end = if task.state.is_terminal() {
        task.since
    } else {
        now
    };
    Ok(Measured {
        usage: follow::usage(api, &task.id).await,
        chosen: choice.is_some_and(|choice| choice.session == candidate.session.id),
        took: end.since(task.created_at),
        checks: Checks::of(&page.rows),
        candidate,
    })
}

fn row(measured: &Measured) -> Vec<Cell> {
    let task = &measured.candidate.task;
    let (shape, paint) = shape(task.state);
    // An agent with a login of its own calls no model through SAM.
    let used = measured.usage.as_ref().filter(|usage| usage.calls > 0);
    let number = |of: fn(&UsageSummary) -> u64| {
        Cell::new(used.map_or_else(|| "–".to_owned(), |usage| grouped(of(usage))))
    };
    let checks = match measured.checks {
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
        Cell::new(if measured.chosen { "★" } else { "" }).paint(Paint::Ok),
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
