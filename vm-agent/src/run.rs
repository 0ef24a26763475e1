//! `sam-vm-agent run`: from the command line to the end of the process.

use crate::agent::{Agents, CommandLine};
use crate::api::{Api, ApiFailure, NodeIdentity};
use crate::hub::Hub;
use crate::link::{self, LinkEnd};
use crate::log::{info, warning};
use crate::machine::{Limits, Machine};
use crate::recover::recover;
use crate::secret::Secret;
use crate::store::{Membership, Store, StoreError};
use crate::workspace::{self, Message};
use crate::{clock, disk, facts, look};
use sam_domain::access::wire::JoinNode;
use sam_domain::id::WorkspaceId;
use sam_domain::link::agent_end::Identity;
use sam_domain::link::frame::Command;
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long an orderly end may take.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(20);
/// How long it waits for its last reports to be taken.
const GOODBYE_LIMIT: Duration = Duration::from_secs(5);

/// What `run` was told.
#[derive(Debug)]
pub(crate) struct Options {
    /// The control plane's origin.
    pub(crate) url: String,
    /// Where everything is kept.
    pub(crate) state_dir: PathBuf,
    /// Joins this machine, once.
    pub(crate) join_token: Option<Secret>,
    /// Folders searched first for agents.
    pub(crate) agent_path: Vec<PathBuf>,
    /// Where agents are installed; below the state directory when absent.
    pub(crate) agents_dir: Option<PathBuf>,
    /// The command line of the agent `custom`.
    pub(crate) custom_agent: Option<CommandLine>,
    /// Whether agents are installed when they are needed.
    pub(crate) install: bool,
    /// The machine's name for people.
    pub(crate) name: Option<String>,
    /// Most workspaces at a time; the control plane keeps to it.
    pub(crate) max_workspaces: u32,
    /// What it keeps to.
    pub(crate) limits: Limits,
}

/// Why the process ends before it was told to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The URL cannot be used.
    #[error("{0:?} is not an http(s) URL of a control plane")]
    Url(String),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system.
    #[error("this machine refuses something the vm-agent needs: {0}")]
    Io(#[from] std::io::Error),
    /// Nobody told it how to join.
    #[error(
        "this machine has not joined yet: start it once with --join-token (or SAM_JOIN_TOKEN); \
         `sam node join-token` prints one"
    )]
    NotJoined,
    /// Not every agent did what a host needs.
    #[error("{0}")]
    Conformance(String),
    /// The control plane said no.
    #[error("the control plane refused this machine: {0}")]
    Refused(String),
}

impl RunError {
    /// The process's exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Url(_) | Self::NotJoined => 2,
            Self::Refused(_) => 3,
            Self::Store(StoreError::InUse(_)) => 4,
            Self::Store(_) | Self::Io(_) | Self::Conformance(_) => 1,
        }
    }
}

/// Runs until a signal ends it.
pub(crate) async fn run(options: Options) -> Result<(), RunError> {
    let store = Arc::new(Store::open(&options.state_dir)?);
    let api = Api::new(&options.url).ok_or_else(|| RunError::Url(options.url.clone()))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stop);

    let membership = tokio::select! {
        membership = membership(&options, &store, &api) => membership?,
        () = &mut stop => return Ok(()),
    };
    let node = Arc::new(RwLock::new(NodeIdentity {
        node: membership.node,
        token: membership.token,
    }));
    let agents_dir = options
        .agents_dir
        .clone()
        .unwrap_or_else(|| store.dir().join("agents"));
    let agents = Agents::new(
        options.agent_path.clone(),
        &agents_dir,
        options.install,
        options.custom_agent.clone(),
    )?;
    let boot_id = format!("{:016x}", clock::entropy());
    let identity = Identity {
        store_id: store.store_id().to_owned(),
        boots: store.begin_boot(&boot_id)?,
        boot_id,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        facts: facts::read(store.dir(), &agents, options.max_workspaces),
    };
    let facts = identity.facts.clone();
    let (begin, commands) = mpsc::unbounded_channel();
    let hub = Hub::restore(&store, identity, begin.clone())?;
    let machine = Arc::new(Machine::new(
        Arc::clone(&store),
        hub,
        api.clone(),
        Arc::clone(&node),
        agents,
        options.limits,
    ));
    let (ask, asked) = mpsc::unbounded_channel();
    machine.hub.answer_by(ask);
    tokio::spawn(look::answer_all(Arc::clone(&machine), asked));
    machine.set_disk_full(facts.disk_full);
    recover(&machine).await?;
    tokio::spawn(disk::watch(Arc::clone(&machine), facts));
    for command in machine.hub.open_commands() {
        info!("{} ({}) is begun again", command.id, command.action.word());
        let _ = begin.send(command);
    }
    let (finish, finished) = mpsc::channel::<()>(1);
    let dispatcher = tokio::spawn(dispatch(Arc::clone(&machine), commands, finished));
    let ended = tokio::select! {
        ended = hold_link(&options, &store, &api, &node, &machine) => ended,
        () = &mut stop => Ok(()),
    };
    if ended.is_ok() {
        info!("stopping");
    }
    // Reports still go out while the agents end, if there is a link at all.
    let goodbye = async {
        let _ = finish.send(()).await;
        let _ = tokio::time::timeout(SHUTDOWN_LIMIT, dispatcher).await;
        if ended.is_ok() {
            let delivered = async {
                machine.rows_delivered().await;
                machine.hub.until_acknowledged().await;
            };
            let _ = tokio::time::timeout(GOODBYE_LIMIT, delivered).await;
        }
    };
    if ended.is_ok() {
        tokio::select! {
            () = goodbye => {}
            _ = hold_link(&options, &store, &api, &node, &machine) => {}
        }
    } else {
        goodbye.await;
    }
    ended
}

/// Joins and says as who, as one line of JSON. A machine that has joined stays who it is.
pub(crate) async fn join_only(
    url: String,
    state_dir: PathBuf,
    token: Secret,
    name: Option<String>,
) -> Result<(), RunError> {
    let store = Store::open(&state_dir)?;
    let api = Api::new(&url).ok_or(RunError::Url(url))?;
    let membership = match store.membership()? {
        Some(membership) => membership,
        None => join(name, &store, &api, &token).await?,
    };
    let mut said = serde_json::json!({ "node": membership.node }).to_string();
    said.push('\n');
    std::io::stdout().write_all(said.as_bytes())?;
    Ok(())
}

/// Who this node is: from the disk, else by joining.
async fn membership(options: &Options, store: &Store, api: &Api) -> Result<Membership, RunError> {
    if let Some(membership) = store.membership()? {
        return Ok(membership);
    }
    let Some(token) = &options.join_token else {
        return Err(RunError::NotJoined);
    };
    join(options.name.clone(), store, api, token).await
}

async fn join(
    name: Option<String>,
    store: &Store,
    api: &Api,
    token: &Secret,
) -> Result<Membership, RunError> {
    let join = JoinNode {
        store_id: store.store_id().to_owned(),
        name: name.unwrap_or_else(facts::hostname),
    };
    match api.join_until_answered(token, &join).await {
        Ok(joined) => {
            let membership = Membership {
                node: joined.node,
                token: Secret::new(joined.token),
            };
            store.set_membership(&membership)?;
            info!("joined as {}", membership.node);
            Ok(membership)
        }
        Err(ApiFailure::Unauthorised(why)) => Err(RunError::Refused(format!(
            "{why} The join token is wrong, used up or expired; mint a new one."
        ))),
        Err(failure) => Err(RunError::Refused(failure.to_string())),
    }
}

/// Holds the link. A node whose token is not accepted any more joins again, once,
/// if it was given a join token.
async fn hold_link(
    options: &Options,
    store: &Store,
    api: &Api,
    node: &RwLock<NodeIdentity>,
    machine: &Machine,
) -> Result<(), RunError> {
    let mut may_join = options.join_token.as_ref();
    loop {
        let identity = node.read().unwrap_or_else(PoisonError::into_inner).clone();
        match link::run(api, &identity, &machine.hub).await {
            LinkEnd::Unauthorised(why) => {
                let Some(token) = may_join.take() else {
                    return Err(RunError::Refused(format!(
                        "{why} Its token is no longer accepted; join again with a new join token."
                    )));
                };
                warning!("the node's token is not accepted; joining again");
                let membership = join(options.name.clone(), store, api, token).await?;
                *node.write().unwrap_or_else(PoisonError::into_inner) = NodeIdentity {
                    node: membership.node,
                    token: membership.token,
                };
            }
            LinkEnd::ForGood(reason) => {
                return Err(RunError::Refused(match reason.as_str() {
                    "revoked" => "its access was revoked.".to_owned(),
                    "contested" => "another machine uses the same identity.".to_owned(),
                    "protocol" => "it speaks another protocol; update the vm-agent.".to_owned(),
                    other => format!("it said {other}."),
                }));
            }
        }
    }
}

/// Hands commands to their workspaces until told to finish; then ends them all.
async fn dispatch(
    machine: Arc<Machine>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    mut finished: mpsc::Receiver<()>,
) {
    type Running = (mpsc::UnboundedSender<Message>, JoinHandle<()>);
    let mut workspaces: HashMap<WorkspaceId, Running> = HashMap::new();
    loop {
        let command = tokio::select! {
            command = commands.recv() => match command {
                Some(command) => command,
                None => break,
            },
            _ = finished.recv() => break,
        };
        let (tell, _) = workspaces
            .entry(command.workspace.clone())
            .or_insert_with(|| workspace::start(&machine, &command.workspace));
        if let Err(lost) = tell.send(Message::Command(Box::new(command))) {
            warning!("a workspace no longer answers: {lost}");
        }
    }
    for (tell, _) in workspaces.values() {
        let _ = tell.send(Message::Shutdown);
    }
    for (_, (_, task)) in workspaces {
        let _ = task.await;
    }
}
