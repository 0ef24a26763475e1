//! Starting an agent: its environment, its relay, its process, its session.
//!
//! The environment is cleared to a short list and what the recipe names. HOME
//! and the temporary folder are private to the workspace, so an agent finds
//! neither a person's configuration nor another workspace's.

use super::attachments::Takes;
use super::login::{self, Login};
use super::memory::{Memory, Replay};
use super::tools::Tools;
use crate::api::WorkspaceApi;
use crate::hub::Failure;
use crate::layout::Layout;
use crate::log::{info, warning};
use crate::machine::Machine;
use crate::process::{Program, Supervised};
use crate::relay::Relay;
use crate::secret::{self, Secret};
use crate::store::Store;
use sam_acp::{
    AcpError, AcpSessionId, AgentInfo, Besides, Host, HostEvents, HostOptions, SessionOpened,
};
use sam_domain::agents::{
    self, Agent, Dialect, Mode, PASSED_ON, PermissionMode, TOOLCHAINS, Values,
};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;

/// How much of an agent's standard error is kept.
const STDERR_KEPT: usize = 16 * 1024;
/// How much of it is reported.
const STDERR_TOLD: usize = 2000;
/// Time for one answer while it starts.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What is to be started.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) agent: String,
    pub(super) model: Option<String>,
    pub(super) permission_mode: PermissionMode,
    pub(super) layout: Layout,
}

/// A running agent.
pub(super) struct Running {
    pub(super) process: Supervised,
    pub(super) host: Host,
    pub(super) events: HostEvents,
    pub(super) stderr: Stderr,
    /// Serves the model for as long as the agent lives, where it is served from here.
    pub(super) relay: Option<Relay>,
    /// Its own login, where it works with one.
    pub(super) login: Option<Login>,
    /// SAM's own tools for it, for as long as it lives.
    pub(super) tools: Option<Tools>,
    /// Whether it takes its session up when it is started again.
    pub(super) keeps_sessions: bool,
    /// MCP servers that its sessions are told of.
    servers: Vec<serde_json::Value>,
    permission_mode: PermissionMode,
    /// The same in its own words.
    mode: &'static Mode,
    /// What its session is told besides.
    meta: Option<serde_json::Value>,
    /// Its session's options, as (id, value).
    options: Vec<(&'static str, String)>,
    /// A session that it loaded in vain, of which it may go on to speak.
    former: Option<AcpSessionId>,
    /// What it takes in a prompt.
    pub(super) takes: Takes,
}

impl Running {
    /// What its sessions are told besides their directory.
    fn besides(&self) -> Besides<'_> {
        Besides {
            meta: self.meta.as_ref(),
            servers: &self.servers,
        }
    }

    /// Whether what it says of this session is of one that was given up.
    pub(super) fn is_former(&self, session: &AcpSessionId) -> bool {
        self.former.as_ref() == Some(session)
    }
}

/// An agent that was not ready after the first words.
pub(super) struct Ungreeted {
    pub(super) failure: Failure,
    /// It could not bear the session that it had here, which is forgotten now.
    pub(super) forgot: bool,
}

impl From<Failure> for Ungreeted {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            forgot: false,
        }
    }
}

/// The end of what an agent wrote to standard error.
#[derive(Clone, Debug, Default)]
pub(super) struct Stderr(Arc<Mutex<Vec<u8>>>);

impl Stderr {
    /// Redacted and bounded.
    pub(super) fn tail(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        secret::tail(&bytes, STDERR_TOLD)
    }

    fn collect(&self, mut from: ChildStderr) {
        let kept = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut chunk = vec![0; 4096];
            while let Ok(n @ 1..) = from.read(&mut chunk).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(chunk.get(..n).unwrap_or_default());
                let excess = kept.len().saturating_sub(STDERR_KEPT);
                kept.drain(..excess);
            }
        });
    }
}

/// Starts the process, and what serves it; nothing is said yet.
pub(super) async fn start(
    machine: &Machine,
    api: &WorkspaceApi,
    launch: &Launch,
) -> Result<Running, Failure> {
    let mut running = start_process(machine, api, launch).await?;
    running.tools = match Tools::start().await {
        Ok(tools) => Some(tools),
        Err(error) => {
            warning!("{} gets no tools of SAM's: {error}", launch.agent);
            None
        }
    };
    Ok(running)
}

async fn start_process(
    machine: &Machine,
    api: &WorkspaceApi,
    launch: &Launch,
) -> Result<Running, Failure> {
    let agent = agents::agent(&launch.agent).ok_or_else(|| {
        Failure::new(
            "agent_not_installed",
            format!("This vm-agent does not know the agent {}.", launch.agent),
        )
    })?;
    let mode = agent.mode(launch.permission_mode).ok_or_else(|| {
        Failure::new(
            "unknown_permission_mode",
            format!(
                "{} has no permission mode `{}`.",
                agent.name,
                launch.permission_mode.word()
            ),
        )
    })?;
    let (store, workspace) = (&machine.store, launch.layout.workspace());
    let path = machine.agents.ensure(agent, store, workspace).await?;
    if !launch.layout.repo().is_dir() {
        return Err(Failure::new(
            "no_workspace",
            "The workspace was not prepared, or is gone.",
        ));
    }
    let setup = |own_login| Setup {
        agent,
        permission_mode: launch.permission_mode,
        mode,
        arguments: machine.agents.arguments(agent),
        executable: path,
        layout: &launch.layout,
        own_login,
    };
    let login = match &agent.own_login {
        Some(own) => Login::fetch(api, own, &launch.layout).await?,
        None => None,
    };
    if login.is_some() || agent.dialect == Dialect::Own {
        let chosen = login.as_ref().and_then(|login| login.model.clone());
        let model = launch.model.clone().or(chosen).unwrap_or_default();
        let mut running = spawn(store, &setup(true), "", "", &model)?;
        running.login = login;
        return Ok(running);
    }
    let model = match &launch.model {
        Some(model) => model.clone(),
        None => first_model(api).await?,
    };
    let relay = Relay::start(api)
        .await
        .map_err(|error| not_started(agent, &error))?;
    let secret = relay.secret().expose();
    let mut running = spawn(store, &setup(false), &relay.origin(), secret, &model)?;
    running.relay = Some(relay);
    Ok(running)
}

fn not_started(agent: &Agent, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        "agent_failed_to_start",
        format!("{} cannot be started: {error}", agent.name),
    )
}

/// An agent that is here, and how it is to run.
pub(super) struct Setup<'a> {
    pub(super) agent: &'a Agent,
    pub(super) permission_mode: PermissionMode,
    pub(super) mode: &'static Mode,
    pub(super) executable: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) layout: &'a Layout,
    /// Whether it calls its provider itself, with a login of its own.
    pub(super) own_login: bool,
}

impl Setup<'_> {
    /// A template of the agent's, filled in; `None` when nothing of it is for this one.
    fn fill(&self, values: &Values<'_>, template: &str) -> Option<String> {
        if !self.own_login {
            return Some(values.fill(template));
        }
        let model = Some(values.model).filter(|model| !model.is_empty());
        let template = self.agent.without_relay(template, model)?;
        Some(values.fill(&template))
    }

    /// Writes the agent's files, for itself alone; what it made of those of an earlier start is gone.
    fn write_files(&self, values: &Values<'_>) -> std::io::Result<()> {
        for (path, template) in self.agent.files {
            let text = values.fill_file(template);
            login::write(&self.layout.home(), path, &Secret::new(text))?;
        }
        Ok(())
    }
}

/// Starts the process of an agent whose model calls go to `origin`, or where its own login is for.
pub(super) fn spawn(
    store: &Arc<Store>,
    setup: &Setup<'_>,
    origin: &str,
    secret: &str,
    model: &str,
) -> Result<Running, Failure> {
    let Setup {
        agent,
        mode,
        layout,
        ..
    } = *setup;
    let failed = |error: &dyn std::fmt::Display| not_started(agent, error);
    let (home, bin) = (layout.home(), setup.executable.parent());
    let values = &Values {
        origin,
        secret,
        model,
        home: &home.to_string_lossy(),
        bin: &bin.unwrap_or(&home).to_string_lossy(),
    };
    setup.write_files(values).map_err(|error| failed(&error))?;
    let options = mode.options.iter();
    let options = options
        .filter_map(|(option, value)| Some((*option, setup.fill(values, value)?)))
        .collect();
    let meta = mode
        .meta
        .and_then(|meta| setup.fill(values, meta))
        .map(|meta| serde_json::from_str(&meta))
        .transpose()
        .map_err(|error| failed(&error))?;
    let program = Program {
        workspace: layout.workspace().clone(),
        role: "agent",
        executable: setup.executable.clone(),
        arguments: setup.arguments.clone(),
        env: environment(setup, values),
        directory: layout.repo(),
    };
    let mut process = Supervised::spawn(store, &program).map_err(|error| failed(&error))?;
    let (stdin, stdout, from) = process
        .streams()
        .ok_or_else(|| failed(&"it has no streams"))?;
    let stderr = Stderr::default();
    stderr.collect(from);
    let host_options = HostOptions {
        client_name: "sam-vm-agent".to_owned(),
        client_version: env!("CARGO_PKG_VERSION").to_owned(),
        request_timeout: START_LIMIT,
        ..HostOptions::default()
    };
    let (host, events) = Host::connect(stdout, stdin, host_options);
    Ok(Running {
        process,
        host,
        events,
        stderr,
        relay: None,
        login: None,
        tools: None,
        keeps_sessions: false,
        servers: Vec::new(),
        permission_mode: setup.permission_mode,
        mode,
        meta,
        options,
        former: None,
        takes: Takes::default(),
    })
}

/// The first words: initialise, open a session, choose the mode. A session that the agent had here
/// is taken up again, where it keeps sessions; says whether it was. One that ends or falls silent over it
/// would do so each time, so that session is forgotten.
pub(super) async fn greet(
    running: &mut Running,
    layout: &Layout,
    agent: &str,
) -> Result<(AcpSessionId, bool), Ungreeted> {
    let info = running.host.initialize().await.map_err(no_start)?;
    running.takes = Takes::of(&info.raw);
    running.keeps_sessions = info.load_session || info.resume_session;
    let tools = running.tools.as_ref().filter(|_| info.http_servers);
    running.servers = tools.map(Tools::offer).into_iter().collect();
    let memory = Memory::of(layout, agent).filter(|_| running.keeps_sessions);
    if let Some(memory) = &memory {
        let session = || AcpSessionId(memory.session.clone());
        match reopen(running, layout, memory, &info).await {
            Ok(true) => return Ok((session(), true)),
            Ok(false) => running.former = Some(session()),
            Err(failure) => {
                Memory::forget(layout);
                return Err(Ungreeted {
                    failure,
                    forgot: true,
                });
            }
        }
    }
    let opened = open(running, layout).await?;
    running.former.take_if(|former| *former == opened);
    Ok((opened, false))
}

fn no_start(error: sam_acp::AcpError) -> Failure {
    Failure::new(
        "agent_failed_to_start",
        format!("The agent did not start: {error}"),
    )
}

/// Opens a session in its mode.
pub(super) async fn open(running: &Running, layout: &Layout) -> Result<AcpSessionId, Failure> {
    let opened = running
        .host
        .new_session_with(&layout.repo(), running.besides())
        .await
        .map_err(no_start)?;
    choose_mode(running, &opened).await?;
    Ok(opened.session)
}

/// Takes a session up in its mode: loads it, because what the agent then replays can be compared; or
/// resumes it where the agent can do nothing else. What it replays is kept from everybody: it was
/// heard before. `false` when it has no such session, or has forgotten what was said in it.
async fn reopen(
    running: &mut Running,
    layout: &Layout,
    memory: &Memory,
    info: &AgentInfo,
) -> Result<bool, Failure> {
    let (host, meta, servers) = (
        running.host.clone(),
        running.meta.clone(),
        running.servers.clone(),
    );
    let besides = Besides {
        meta: meta.as_ref(),
        servers: &servers,
    };
    let (session, repo) = (AcpSessionId(memory.session.clone()), layout.repo());
    let reopening = async {
        if info.load_session {
            host.load_session_with(&session, &repo, besides).await
        } else {
            host.resume_session(&session, &repo, besides).await
        }
    };
    let mut reopening = std::pin::pin!(reopening);
    let mut replay = Replay::default();
    let opened = loop {
        tokio::select! {
            opened = &mut reopening => break opened,
            Some(event) = running.events.recv() => replay.take(&event),
        }
    };
    // What it replayed before it answered has arrived before its answer.
    while let Some(event) = running.events.try_recv() {
        replay.take(&event);
    }
    let opened = match opened {
        Ok(opened) => opened,
        Err(AcpError::Rpc { error, .. }) => {
            info!(
                "{} cannot take its session up: {}",
                memory.agent, error.message
            );
            return Ok(false);
        }
        Err(error) => return Err(no_start(error)),
    };
    if info.load_session && !replay.is_of(memory) {
        info!("{} loaded a session without its last words", memory.agent);
        return Ok(false);
    }
    choose_mode(running, &opened).await?;
    Ok(true)
}

async fn choose_mode(running: &Running, opened: &SessionOpened) -> Result<(), Failure> {
    let (host, mode) = (&running.host, running.mode);
    match (mode.session_mode, &opened.modes) {
        (Some(wanted), Some(modes)) if modes.current != wanted => {
            host.set_mode(&opened.session, wanted)
                .await
                .map_err(no_start)?;
        }
        // One that may do everything does not do more than it may.
        (Some(wanted), None) if running.permission_mode != PermissionMode::Full => {
            return Err(no_mode(wanted));
        }
        _ => {}
    }
    for (option, value) in &running.options {
        host.set_config_option(&opened.session, option, value)
            .await
            .map_err(no_start)?;
    }
    Ok(())
}

/// An agent that cannot be put in its mode might do more than it may.
fn no_mode(wanted: &str) -> Failure {
    Failure::new(
        "agent_failed_to_start",
        format!("The agent has no mode `{wanted}`."),
    )
}

fn environment(setup: &Setup<'_>, values: &Values<'_>) -> Vec<(String, OsString)> {
    let Setup {
        agent,
        mode,
        layout,
        ..
    } = *setup;
    let mut env: Vec<(String, OsString)> = PASSED_ON
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?)))
        .collect();
    let persons_home = std::env::var_os("HOME").map(PathBuf::from);
    env.extend(
        agent
            .from_machine
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?))),
    );
    env.extend(TOOLCHAINS.iter().filter_map(|(name, below)| {
        let told = std::env::var_os(name);
        let found = || Some(persons_home.as_ref()?.join(below)).filter(|path| path.is_dir());
        Some((
            (*name).to_owned(),
            told.or_else(|| found().map(OsString::from))?,
        ))
    }));
    let home = layout.home();
    let mut set = |name: &str, value: OsString| env.push((name.to_owned(), value));
    set("HOME", home.clone().into());
    set("TMPDIR", layout.tmp().into());
    set("XDG_CONFIG_HOME", home.join(".config").into());
    set("XDG_DATA_HOME", home.join(".local/share").into());
    set("XDG_STATE_HOME", home.join(".local/state").into());
    set("XDG_CACHE_HOME", home.join(".cache").into());
    // An agent may commit by itself; it then does so under our name.
    set("GIT_CONFIG_GLOBAL", layout.git_config().into());
    set("GIT_CONFIG_NOSYSTEM", "1".into());
    set("GIT_TERMINAL_PROMPT", "0".into());
    for (name, template) in agent.env.iter().chain(mode.env) {
        if let Some(text) = setup.fill(values, template) {
            set(name, text.into());
        }
    }
    env
}

/// The first model the control plane offers, when nobody chose one.
async fn first_model(api: &WorkspaceApi) -> Result<String, Failure> {
    let none = |why: String| Failure {
        hint: Some("Name a model in the control plane's settings (SAM_MODEL).".to_owned()),
        ..Failure::new("no_model", why)
    };
    let answer = api
        .until_answered("the list of models", WorkspaceApi::models)
        .await
        .map_err(|failure| none(failure.to_string()))?;
    answer
        .pointer("/data/0/id")
        .and_then(serde_json::Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| none("The control plane names no model.".to_owned()))
}
