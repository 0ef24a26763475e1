//! `sam runner register`: this machine joins, and begins to work.

use super::place::Here;
use super::record::{self, Record};
use super::{programs, systemd, unit};
use crate::api::{Api, Call};
use crate::args::runner::{Programs, Work};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::text;
use crate::secret::Secret;
use sam_domain::access::route::RouteId;
use sam_domain::access::wire::JoinToken;
use sam_domain::id::{Id, NodeId};
use sam_domain::node::wire::NodeView;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;
use url::Url;

/// How long the vm-agent may take to join.
const JOINS_WITHIN: Duration = Duration::from_secs(120);

/// What was asked for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// Where programs are.
    pub(super) programs: &'a Programs,
    /// What work it takes, in the foreground; a service's stands in its unit.
    pub(super) work: &'a Work,
    /// What the machine is called.
    pub(super) name: Option<String>,
    /// Without a service.
    pub(super) foreground: bool,
}

/// What `runner register` prints as JSON.
#[derive(Debug, Serialize)]
struct Registered<'a> {
    node: &'a NodeId,
    name: &'a str,
    url: &'a str,
    service: Option<String>,
}

pub(super) async fn run(context: &Context, here: &Here, asked: Asked<'_>) -> Result<Exit, Failure> {
    let (api, url, _) = context.signed_in()?;
    let vm_agent = programs::vm_agent(asked.programs)?;
    if asked.foreground {
        no_service(here).await?;
    } else {
        with_service(here, asked.work).await?;
    }
    let node = match known(here, &api, &url).await? {
        Some(node) => node,
        None => join(here, &api, &url, &vm_agent, asked.name.as_deref()).await?,
    };
    let service = (!asked.foreground).then(|| here.service());
    if let Some(service) = &service {
        systemd::tell(here, &["enable", "--now", service]).await?;
    }
    let out = &context.out;
    if out.json {
        out.value(&Registered {
            node: &node.id,
            name: &node.name,
            url: url.as_str(),
            service,
        })?;
    } else {
        out.line(&format!(
            "This machine is {} ({}) on {url}.",
            text::clean_line(&node.name),
            node.id.short()
        ))?;
        out.hint(&format!("Leave: sam runner unregister{}", here.words()));
    }
    if asked.foreground {
        let arguments = unit::arguments(here, url.as_str(), asked.work)?;
        return become_the_agent(&vm_agent, &arguments);
    }
    Ok(Exit::Ok)
}

/// Two vm-agents cannot share a state directory.
async fn no_service(here: &Here) -> Result<(), Failure> {
    if here.unit().exists() && systemd::state(here).await == "active" {
        return Err(Failure::usage(
            format!("{} already works for this machine.", here.service()),
            format!("See `sam runner status{}`.", here.words()),
        ));
    }
    Ok(())
}

async fn with_service(here: &Here, work: &Work) -> Result<(), Failure> {
    if !here.unit().exists() {
        return Err(Failure::usage(
            format!("{} is not installed.", here.service()),
            format!(
                "Install it: sam runner install{0}; or work without a service: sam runner register{0} --foreground",
                here.words()
            ),
        ));
    }
    if work.max_workspaces.is_some() || !work.agent_path.is_empty() || work.no_install {
        return Err(Failure::usage(
            "What work a service takes stands in its unit.",
            format!(
                "Say it when installing: sam runner install{} …",
                here.words()
            ),
        ));
    }
    systemd::needed(here.scope).await
}

/// The node that this machine is already, if the server still says so.
async fn known(here: &Here, api: &Api, url: &Url) -> Result<Option<NodeView>, Failure> {
    let Some(record) = record::read(here)? else {
        return Ok(None);
    };
    let leave = format!("Leave first: sam runner unregister{}", here.words());
    if record.url != url.as_str() {
        return Err(Failure::usage(
            format!("This machine has joined {}, not {url}.", record.url),
            leave,
        ));
    }
    let segments = [record.node.as_str()];
    match api.json(Call::new(RouteId::GetNode, &segments)).await {
        Ok(node) => Ok(Some(node)),
        Err(failure) if failure.exit() == Exit::NotFound => Err(Failure::usage(
            format!("{url} does not know this machine any more, or it is another person's."),
            leave,
        )),
        Err(failure) => Err(failure),
    }
}

/// What the vm-agent says when it has joined.
#[derive(Debug, Deserialize)]
struct Joined {
    node: NodeId,
}

async fn join(
    here: &Here,
    api: &Api,
    url: &Url,
    vm_agent: &Path,
    name: Option<&str>,
) -> Result<NodeView, Failure> {
    let minted: JoinToken = api.json(Call::new(RouteId::CreateJoinToken, &[])).await?;
    let token = Secret::new(&minted.token);
    let mut command = tokio::process::Command::new(vm_agent);
    command
        .args(["join", "--url", url.as_str().trim_end_matches('/')])
        .arg("--state-dir")
        .arg(here.agent_state())
        .env("SAM_JOIN_TOKEN", token.expose());
    if let Some(name) = name {
        command.args(["--name", name]);
    }
    let said = programs::said(&mut command, JOINS_WITHIN)
        .await
        .map_err(|error| {
            Failure::local(&format!("Could not run {}", vm_agent.display()), &error)
        })?;
    let joined = serde_json::from_str::<Joined>(said.line());
    let Some(joined) = joined.ok().filter(|_| said.ok) else {
        return Err(Failure::not_ready(
            format!("The vm-agent could not join: {}.", said.complaint()),
            "See `sam runner doctor`; it may be of another version than this program.",
        ));
    };
    record::write(
        here,
        &Record {
            url: url.as_str().to_owned(),
            node: joined.node.clone(),
        },
    )?;
    let segments = [joined.node.as_str()];
    api.json(Call::new(RouteId::GetNode, &segments)).await
}

/// From here on this process is the vm-agent: signals reach it, and its exit
/// code is the answer.
#[cfg(unix)]
fn become_the_agent(vm_agent: &Path, arguments: &[String]) -> Result<Exit, Failure> {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new(vm_agent).args(arguments).exec();
    Err(Failure::local(
        &format!("Could not run {}", vm_agent.display()),
        &error,
    ))
}

#[cfg(not(unix))]
fn become_the_agent(_: &Path, _: &[String]) -> Result<Exit, Failure> {
    Err(Failure::not_ready(
        "The vm-agent does not run on this system.",
        "Use a machine with Linux.",
    ))
}
