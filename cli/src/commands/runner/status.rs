//! `sam runner status`: what is here, and what the server says of it.

use super::place::{Here, Scope};
use super::{record, systemd};
use crate::api::Call;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::time;
use sam_domain::access::route::RouteId;
use sam_domain::id::{Id, NodeId};
use sam_domain::node::wire::{NodeState, NodeView};
use serde::Serialize;

/// What `runner status` prints as JSON.
#[derive(Debug, Serialize)]
struct Status {
    /// The unit, where a service is installed.
    service: Option<Service>,
    /// The server that was joined.
    url: Option<String>,
    /// Which node this machine is there.
    node: Option<NodeId>,
    /// How the server sees it; absent where it does not know it.
    seen: Option<NodeView>,
}

#[derive(Debug, Serialize)]
struct Service {
    name: String,
    scope: &'static str,
    state: String,
}

pub(super) async fn run(context: &Context, here: &Here) -> Result<Exit, Failure> {
    let service = if here.unit().exists() {
        Some(Service {
            name: here.service(),
            scope: match here.scope {
                Scope::User => "user",
                Scope::System => "system",
            },
            state: systemd::state(here).await,
        })
    } else {
        None
    };
    let record = record::read(here)?;
    let asked = match &record {
        Some(record) => {
            let (api, url, _) = context.signed_in()?;
            if record.url != url.as_str() {
                return Err(Failure::usage(
                    format!("This machine has joined {}, not {url}.", record.url),
                    "Choose that server with --profile or SAM_API_URL.",
                ));
            }
            let segments = [record.node.as_str()];
            match api
                .json::<NodeView>(Call::new(RouteId::GetNode, &segments))
                .await
            {
                Ok(node) => Some(node),
                Err(failure) if failure.exit() == Exit::NotFound => None,
                Err(failure) => return Err(failure),
            }
        }
        None => None,
    };
    let exit = match (&record, &asked) {
        (None, _) => Exit::NotFound,
        (_, Some(node)) if node.state == NodeState::Ready => Exit::Ok,
        _ => Exit::Failed,
    };
    let out = &context.out;
    let status = Status {
        service,
        url: record.as_ref().map(|record| record.url.clone()),
        node: record.map(|record| record.node),
        seen: asked,
    };
    if out.json {
        out.value(&status)?;
        return Ok(exit);
    }
    out.facts(&facts(&status))?;
    if exit == Exit::NotFound {
        out.hint("Join: sam runner register");
    }
    Ok(exit)
}

fn facts(status: &Status) -> Vec<(&'static str, String)> {
    let service = status.service.as_ref().map_or_else(
        || "none".to_owned(),
        |service| format!("{} ({}): {}", service.name, service.scope, service.state),
    );
    let mut facts = vec![("service", service)];
    let Some(node) = &status.node else {
        facts.push(("machine", "has not joined".to_owned()));
        return facts;
    };
    facts.push(("server", status.url.clone().unwrap_or_default()));
    match &status.seen {
        None => facts.push((
            "machine",
            format!("{node}, which the server does not know any more"),
        )),
        Some(seen) => {
            facts.push(("machine", format!("{} ({node})", seen.name)));
            facts.push((
                "state",
                format!(
                    "{} since {}",
                    seen.state.word(),
                    time::ago(seen.since, time::now())
                ),
            ));
            facts.push((
                "work",
                format!(
                    "{} of {} workspaces",
                    seen.workspaces, seen.facts.max_workspaces
                ),
            ));
            facts.push(("agents", seen.facts.agents.join(", ")));
        }
    }
    facts
}
