//! `sam workspace …`: the checkouts that agents work in.
//!
//! The control plane knows a workspace by its task, so that is how they are
//! found here. What is in one is asked of its machine; there is no way to its
//! ports yet, which `forward` says.

use super::planned;
use super::task::{self, shape, state_word};
use crate::api::{Api, Call};
use crate::args::workspace::{OneWorkspace, Workspace, WorkspaceCommand};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::{text, time};
use crate::resolve;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sam_domain::access::route::RouteId;
use sam_domain::id::{Id, NodeId, TaskId, WorkspaceId};
use sam_domain::link::question::{EntryKind, FileView, PortList};
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
        WorkspaceCommand::Ports(which) => {
            let named = named(before, &which)?;
            let api = context.api()?;
            let task = find(context, &api, &named, which.within.project.as_deref()).await?;
            ports(context, &api, &task).await
        }
        WorkspaceCommand::Forward { .. } => Err(planned("`sam workspace forward`", None)),
        WorkspaceCommand::Files { which, path } => {
            let named = named(before, &which)?;
            let api = context.api()?;
            let task = find(context, &api, &named, which.within.project.as_deref()).await?;
            files(context, &api, &task, &path).await
        }
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

async fn ports(context: &Context, api: &Api, task: &TaskView) -> Result<Exit, Failure> {
    let segments = [task.id.as_str()];
    let list: PortList = api.json(Call::new(RouteId::TaskPorts, &segments)).await?;
    let out = &context.out;
    if out.json {
        out.value(&list)?;
        return Ok(Exit::Ok);
    }
    if list.ports.is_empty() {
        out.hint("No program of the workspace listens on a port.");
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<Cell>> = list
        .ports
        .iter()
        .map(|open| {
            vec![
                Cell::new(open.port.to_string()).paint(Paint::Strong),
                Cell::new(text::clean_line(&open.address)),
                Cell::new(text::clean_line(&open.program)),
            ]
        })
        .collect();
    out.table(&["PORT", "ADDRESS", "PROGRAM"], &rows)?;
    Ok(Exit::Ok)
}

/// A folder's entries, or the whole of a file, part by part.
async fn files(context: &Context, api: &Api, task: &TaskView, path: &str) -> Result<Exit, Failure> {
    let out = &context.out;
    let (mut offset, mut shown) = (0_u64, Vec::new());
    loop {
        let segments = [task.id.as_str()];
        let from = offset.to_string();
        let mut call = Call::new(RouteId::TaskFiles, &segments).query("path", path);
        if offset > 0 {
            call = call.query("offset", &from);
        }
        let view: FileView = api.json(call).await?;
        if out.json {
            out.event(&view)?;
        } else if view.kind == EntryKind::Folder {
            list_folder(context, &view)?;
            return Ok(Exit::Ok);
        }
        let part = STANDARD.decode(&view.content).map_err(|error| {
            Failure::local("Could not read the answer", &std::io::Error::other(error))
        })?;
        offset = offset.saturating_add(part.len() as u64);
        let done = !view.more || part.is_empty();
        match (out.json, out.columns) {
            (true, _) => {}
            // For programs: not a byte more or less.
            (false, None) => out.bytes(&part)?,
            (false, Some(_)) => shown.extend(part),
        }
        if done {
            break;
        }
    }
    // For people: nothing that would move their cursor.
    let words = String::from_utf8(shown)
        .ok()
        .filter(|words| !words.contains('\0'));
    let words = words.ok_or_else(|| {
        Failure::usage(
            "This is no text, and would not do a terminal good.",
            "Write it into a file: put `> FILE` behind the command.",
        )
    })?;
    for line in words.lines() {
        out.line(&text::clean_line(line))?;
    }
    Ok(Exit::Ok)
}

fn list_folder(context: &Context, view: &FileView) -> Result<(), Failure> {
    let out = &context.out;
    let rows: Vec<Vec<Cell>> = view
        .entries
        .iter()
        .map(|entry| {
            let (what, paint) = match entry.kind {
                EntryKind::Folder => ("folder".to_owned(), Paint::Info),
                EntryKind::File => (time::size(entry.bytes), Paint::Muted),
                EntryKind::Link => ("link".to_owned(), Paint::Muted),
                EntryKind::Other => ("other".to_owned(), Paint::Muted),
            };
            vec![
                Cell::new(text::clean_line(&entry.name)),
                Cell::new(what).paint(paint),
            ]
        })
        .collect();
    out.table(&["NAME", "SIZE"], &rows)?;
    if view.more {
        out.hint("There are more entries than are shown.");
    }
    Ok(())
}
