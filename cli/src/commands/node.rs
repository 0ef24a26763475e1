//! `sam node …`

use crate::api::{Api, Call};
use crate::args::{Node, OneNode};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::{text, time};
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::access::wire::JoinToken;
use sam_domain::conversation::call::Done;
use sam_domain::id::Id;
use sam_domain::link::question::Diagnostics;
use sam_domain::node::wire::{NodeList, NodeState, NodeView};
use std::path::Path;

pub(super) async fn run(context: &Context, command: Node) -> Result<Exit, Failure> {
    match command {
        Node::List => list(context).await,
        Node::Show(which) => show(context, which.node.as_deref()).await,
        Node::Drain { which, undo } => drain(context, which.node.as_deref(), undo).await,
        Node::Destroy { which, force } => destroy(context, which.node.as_deref(), force).await,
        Node::Diagnostics { which, output } => {
            diagnostics(context, which.node.as_deref(), output.as_deref()).await
        }
        Node::JoinToken => join_token(context).await,
        Node::Share(which) => set_shared(context, which, RouteId::ShareNode).await,
        Node::Unshare(which) => set_shared(context, which, RouteId::UnshareNode).await,
    }
}

/// One of one's machines, by name or id; who is at the terminal is asked where none is named.
async fn find(context: &Context, api: &Api, given: Option<&str>) -> Result<NodeView, Failure> {
    let list: NodeList = api.json(Call::new(RouteId::ListNodes, &[])).await?;
    let found = resolve::named_or_chosen(context, given, "machine", list.nodes, |node| {
        (&node.name, &node.id)
    });
    found.map_err(|failure| match failure {
        Failure::NotFound { message, .. } => Failure::NotFound {
            message,
            hint: Some("See `sam node list`.".to_owned()),
        },
        other => other,
    })
}

async fn show(context: &Context, given: Option<&str>) -> Result<Exit, Failure> {
    let node = find(context, &context.api()?, given).await?;
    let out = &context.out;
    if out.json {
        out.value(&node)?;
        return Ok(Exit::Ok);
    }
    let (shape, paint) = shape(node.state);
    out.line(&format!(
        "{}  {}",
        out.style
            .paint(paint, &format!("{shape} {}", node.state.word())),
        out.style
            .paint(Paint::Strong, &text::clean_line(&node.name))
    ))?;
    let facts = &node.facts;
    let mut shown = vec![
        ("machine", node.id.to_string()),
        ("since", time::ago(node.since, time::now())),
        (
            "work",
            format!("{} of {} workspaces", node.workspaces, facts.max_workspaces),
        ),
        ("host", facts.hostname.clone()),
        ("system", format!("{}/{}", facts.os, facts.arch)),
        (
            "size",
            format!("{} cpus, {}", facts.cpus, time::size(facts.memory_bytes)),
        ),
        (
            "disk",
            format!(
                "{} free{}",
                time::size(facts.disk_free_bytes),
                if facts.disk_full {
                    "; too full for work"
                } else {
                    ""
                }
            ),
        ),
        ("vm-agent", facts.version.clone()),
        ("agents", facts.agents.join(", ")),
    ];
    if !node.shared_with.is_empty() {
        let projects: Vec<&str> = node.shared_with.iter().map(Id::as_str).collect();
        shown.push(("shared", format!("with {}", projects.join(", "))));
    }
    out.facts(&shown)?;
    Ok(Exit::Ok)
}

async fn drain(context: &Context, given: Option<&str>, undo: bool) -> Result<Exit, Failure> {
    let api = context.api()?;
    let node = find(context, &api, given).await?;
    let route = match undo {
        true => RouteId::UndrainNode,
        false => RouteId::DrainNode,
    };
    let node: NodeView = api.json(Call::new(route, &[node.id.as_str()])).await?;
    let out = &context.out;
    if out.json {
        out.value(&node)?;
        return Ok(Exit::Ok);
    }
    let name = text::clean_line(&node.name);
    if undo {
        out.line(&format!("{name} takes work again."))?;
        return Ok(Exit::Ok);
    }
    let left = match node.workspaces {
        0 => "none is left there".to_owned(),
        1 => "one workspace is still at work there".to_owned(),
        some => format!("{some} workspaces are still at work there"),
    };
    out.line(&format!("{name} takes no more work; {left}."))?;
    out.hint("With --undo it takes work again; `sam node destroy` takes it out for good.");
    Ok(Exit::Ok)
}

/// What a machine knows of itself, in a file or on stdout.
async fn diagnostics(
    context: &Context,
    given: Option<&str>,
    output: Option<&Path>,
) -> Result<Exit, Failure> {
    let api = context.api()?;
    let node = find(context, &api, given).await?;
    let segments = [node.id.as_str()];
    let taken: Diagnostics = api
        .json(Call::new(RouteId::NodeDiagnostics, &segments))
        .await?;
    let out = &context.out;
    let Some(file) = output else {
        out.value(&taken)?;
        return Ok(Exit::Ok);
    };
    let mut text = serde_json::to_string_pretty(&taken)
        .map_err(|error| Failure::local("Could not write the diagnostics", &error.into()))?;
    text.push('\n');
    let what = format!("Could not write {}", file.display());
    std::fs::write(file, text).map_err(|error| Failure::local(&what, &error))?;
    if out.json {
        out.value(&serde_json::json!({ "node": node.id, "file": file }))?;
    } else {
        let name = text::clean_line(&node.name);
        let file = text::clean_line(&file.display().to_string());
        out.line(&format!("What {name} knows of itself is in {file}."))?;
    }
    Ok(Exit::Ok)
}

async fn destroy(context: &Context, given: Option<&str>, force: bool) -> Result<Exit, Failure> {
    let api = context.api()?;
    let node = find(context, &api, given).await?;
    let segments = [node.id.as_str()];
    let mut call = Call::new(RouteId::RemoveNode, &segments);
    if force {
        call = call.query("force", "true");
    }
    let _: Done = api.json(call).await?;
    let out = &context.out;
    if out.json {
        out.value(&serde_json::json!({ "node": node.id, "left": true }))?;
    } else {
        let name = text::clean_line(&node.name);
        out.line(&format!("{name} ({}) is out for good.", node.id.short()))?;
    }
    Ok(Exit::Ok)
}

async fn list(context: &Context) -> Result<Exit, Failure> {
    let api = context.api()?;
    let list: NodeList = api.json(Call::new(RouteId::ListNodes, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&list)?;
        return Ok(Exit::Ok);
    }
    if list.nodes.is_empty() {
        out.hint("There is no machine yet: sam node join-token");
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let rows: Vec<Vec<Cell>> = list
        .nodes
        .iter()
        .map(|node| {
            let facts = &node.facts;
            let (shape, paint) = shape(node.state);
            vec![
                Cell::new(&node.name).paint(Paint::Strong),
                Cell::new(format!("{shape} {}", node.state.word())).paint(paint),
                Cell::new(time::ago(node.since, now)),
                Cell::new(format!("{}/{}", node.workspaces, facts.max_workspaces)),
                Cell::new(format!(
                    "{}/{}, {} cpus, {}{}",
                    facts.os,
                    facts.arch,
                    facts.cpus,
                    time::size(facts.memory_bytes),
                    if facts.disk_full { ", disk full" } else { "" }
                )),
                Cell::new(facts.agents.join(", ")),
                Cell::new(node.id.short()).paint(Paint::Muted),
            ]
        })
        .collect();
    let headings = ["NAME", "STATE", "SINCE", "WORK", "MACHINE", "AGENTS", "ID"];
    out.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

const fn shape(state: NodeState) -> (&'static str, Paint) {
    match state {
        NodeState::Joining => ("○", Paint::Info),
        NodeState::Ready => ("●", Paint::Ok),
        NodeState::Draining => ("◐", Paint::Info),
        NodeState::Away => ("◌", Paint::Warn),
        NodeState::Contested => ("✗", Paint::Danger),
    }
}

async fn join_token(context: &Context) -> Result<Exit, Failure> {
    let (api, url, _) = context.signed_in()?;
    let token: JoinToken = api.json(Call::new(RouteId::CreateJoinToken, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&token)?;
    } else {
        out.line(&text::clean_line(&token.token))?;
        out.hint(&format!(
            "On the machine: SAM_JOIN_TOKEN=<this token> sam-vm-agent run --url {} --state-dir <directory>\n\
             It joins one machine and ends {}.",
            url.as_str().trim_end_matches('/'),
            time::until(token.expires_at, time::now())
        ));
    }
    Ok(Exit::Ok)
}

async fn set_shared(context: &Context, which: OneNode, route: RouteId) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = resolve::project(context, &api, which.within.project.as_deref()).await?;
    let node = find(context, &api, which.node.as_deref()).await?;
    let segments = [node.id.as_str(), project.id.as_str()];
    let node: NodeView = api.json(Call::new(route, &segments)).await?;
    let out = &context.out;
    if out.json {
        out.value(&node)?;
    } else {
        let shared = node.shared_with.contains(&project.id);
        out.line(&format!(
            "{} works {} in {}.",
            text::clean_line(&node.name),
            if shared {
                "for everybody"
            } else {
                "for you alone"
            },
            text::clean_line(&project.name)
        ))?;
    }
    Ok(Exit::Ok)
}
