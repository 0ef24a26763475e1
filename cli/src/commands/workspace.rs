//! `sam workspace …`: the checkouts that agents work in.
//!
//! The control plane knows a workspace by its task, so that is how they are
//! found here. It has no way into one yet: `ports`, `forward` and `files` say so.

use super::planned;
use super::task::{self, shape, state_word};
use crate::api::Api;
use crate::args::workspace::{OneWorkspace, Workspace, WorkspaceCommand};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::{text, time};
use crate::resolve;
use sam_domain::id::{Id, NodeId, TaskId, WorkspaceId};
use sam_domain::task::{TaskState, TaskView};
use sam_domain::time::Timestamp;
use serde::Serialize;

/// Tasks that are searched for a workspace's short id.
const SEARCHED: u32 = 1000;

pub(super) async fn run(context: &Context, given: Workspace) -> Result<Exit, Failure> {
    let before = given.workspace;
    match given.command {
        WorkspaceCommand::List { within, all, limit } => {
            let api = context.api()?;
            let project = within.project.as_deref();
            list(context, &api, project, all, limit).await
        }
        WorkspaceCommand::Diff(which) => {
            let named = named(before, &which)?;
            let api = context.api()?;
            let task = find(context, &api, &named, which.within.project.as_deref()).await?;
            task::print_diff(context, &api, &task.id).await
        }
        WorkspaceCommand::Ports(_) => Err(planned(
            "`sam workspace ports`",
            Some("On the machine itself: `ss -tlnp`."),
        )),
        WorkspaceCommand::Forward { .. } => Err(planned("`sam workspace forward`", None)),
        WorkspaceCommand::Files(_) => Err(planned(
            "`sam workspace files`",
            Some("What was changed is in `sam workspace diff`."),
        )),
    }
}

/// The workspace that was named, before or after the command.
fn named(before: Option<String>, which: &OneWorkspace) -> Result<String, Failure> {
    match (before, &which.workspace) {
        (Some(named), None) => Ok(named),
        (None, Some(named)) => Ok(named.clone()),
        (None, None) => Err(Failure::usage(
            "Which workspace?",
            "Name one; `sam workspace list` lists them.",
        )),
        (Some(_), Some(_)) => Err(Failure::usage(
            "Two workspaces are named.",
            "Name one, before or after the command.",
        )),
    }
}

/// A workspace as `workspace list` prints it as JSON.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    workspace: &'a WorkspaceId,
    node: Option<&'a NodeId>,
    task: &'a TaskId,
    title: &'a str,
    agent: &'a str,
    branch: Option<&'a str>,
    state: TaskState,
    since: Timestamp,
}

fn listed(task: &TaskView) -> Option<Listed<'_>> {
    Some(Listed {
        workspace: task.workspace.as_ref()?,
        node: task.node.as_ref(),
        task: &task.id,
        title: &task.title,
        agent: &task.agent,
        branch: task.branch.as_deref(),
        state: task.state,
        since: task.since,
    })
}

async fn list(
    context: &Context,
    api: &Api,
    project: Option<&str>,
    all: bool,
    limit: u32,
) -> Result<Exit, Failure> {
    let project = resolve::project(context, api, project).await?;
    let page = resolve::newest_tasks(api, &project.id, limit).await?;
    let found: Vec<Listed<'_>> = page
        .tasks
        .iter()
        .filter(|task| all || !task.state.is_terminal())
        .filter_map(listed)
        .collect();
    let out = &context.out;
    if out.json {
        out.value(&serde_json::json!({ "workspaces": found }))?;
        return Ok(Exit::Ok);
    }
    if found.is_empty() {
        out.hint(if all {
            "There is no workspace yet: sam task submit \"what is to be done\""
        } else {
            "There is no workspace at work; with --all those that are over are listed."
        });
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let rows: Vec<Vec<Cell>> = found
        .iter()
        .map(|one| {
            let (shape, paint) = shape(one.state);
            vec![
                Cell::new(one.workspace.short()).paint(Paint::Muted),
                Cell::new(format!("{shape} {}", state_word(one.state))).paint(paint),
                Cell::new(time::ago(one.since, now)),
                Cell::new(one.node.map(Id::short).unwrap_or_default()),
                Cell::new(one.agent),
                Cell::new(one.task.short()).paint(Paint::Muted),
                Cell::new(text::fit(&text::clean_line(one.title), 50)),
            ]
        })
        .collect();
    let headings = ["ID", "TASK IS", "SINCE", "NODE", "AGENT", "TASK", "TITLE"];
    out.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

/// The task of a workspace, by the workspace's id or the task's.
async fn find(
    context: &Context,
    api: &Api,
    named: &str,
    project: Option<&str>,
) -> Result<TaskView, Failure> {
    if named.starts_with(TaskId::PREFIX) {
        return resolve::task(context, api, named, project).await;
    }
    let project = resolve::project(context, api, project).await?;
    let page = resolve::newest_tasks(api, &project.id, SEARCHED).await?;
    let placed: Vec<(WorkspaceId, TaskView)> = page
        .tasks
        .into_iter()
        .filter_map(|task| Some((task.workspace.clone()?, task)))
        .collect();
    let given = resolve::named(named, "workspace", placed, |(id, _)| ("", id));
    given.map(|(_, task)| task)
}
