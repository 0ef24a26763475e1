//! `sam-harness acp`: the agent behind the Agent Client Protocol.
//!
//! A session is a conversation in one directory; one turn at a time. The loop
//! here never waits for a turn, so a cancellation is heard at once. When the
//! host goes away, or asks the process to end, every turn is cancelled and
//! every command ended before the process exits. Sessions are recorded: a
//! host can list them, load one with all that happened in it, resume it
//! without, and close it.

mod host;
mod prompt;
mod replay;
mod session;
mod watcher;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sam_acp::{
    AcpSessionId, AgentDescription, AgentLink, AgentRequest, AgentServer, AgentUpdate, Block,
    Command, HostAbilities, ListReply, ModeReply, OptionReply, PromptReply, RpcError,
    SessionListed, SessionReply, SessionWanted,
};
use sam_harness::transcript::{self, TranscriptError};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::cli::{AcpArgs, ModelArgs};
use crate::ending::EndSignals;
use crate::guard::{Guard, GuardArgs, PermissionMode};
use crate::limits::Limits;
use crate::mcp::{McpArgs, Servers};
use crate::model::ModelClient;
use crate::prompt::PromptOptions;
use crate::sandbox::Sandbox;
use crate::serve::host::Lender;
use crate::serve::session::Session;
use crate::serve::watcher::Watcher;
use crate::session::{Records, header};
use crate::tools::ProcessGroups;
use crate::turn::{COMPACT, Conversation};
use crate::workspace::Workspace;
use crate::{CANCELLED, COMPLETE};

/// For turns to end after the host has gone.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Sessions in one answer to `session/list`.
const PAGE: usize = 100;

/// Serves one host until it goes away; the exit code.
pub(crate) async fn serve(args: AcpArgs) -> Result<u8, String> {
    let records = Records::new(&args.record, Some(&args.model));
    let sandbox = Arc::new(Sandbox::new(&args.agent.guard.sandbox)?);
    let description = AgentDescription {
        name: "sam-harness".to_owned(),
        title: "SAM Harness".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        keeps_sessions: records.root().is_ok(),
        takes_images: true,
        isolation: serde_json::to_value(sandbox.level()).ok(),
    };
    let (link, mut requests) =
        AgentServer::connect(tokio::io::stdin(), tokio::io::stdout(), description);
    let mut server = Server {
        link: link.clone(),
        add_dir: args.agent.add_dir,
        model: Arc::new(ModelClient::new(&args.model)?),
        records,
        args: args.model,
        sandbox,
        options: PromptOptions::new(&args.agent.prompt)?,
        guard: args.agent.guard,
        mcp: args.agent.mcp,
        host: HostAbilities::default(),
        unrecorded: 0,
        sessions: HashMap::new(),
        turns: JoinSet::new(),
    };
    let mut signals = EndSignals::listen()?;
    let code = loop {
        tokio::select! {
            request = requests.recv() => match request {
                None | Some(AgentRequest::Closed(_)) => break COMPLETE,
                Some(request) => server.take(request, &link),
            },
            () = signals.next() => break CANCELLED,
            Some(_) = server.turns.join_next() => {}
        }
    };
    server.end().await;
    let _ = tokio::time::timeout(LAST_WORDS, link.flush()).await;
    Ok(code)
}

struct Server {
    link: AgentLink,
    model: Arc<ModelClient>,
    args: ModelArgs,
    records: Records,
    /// Directories for every session, beside those its host names.
    add_dir: Vec<PathBuf>,
    guard: GuardArgs,
    mcp: McpArgs,
    options: PromptOptions,
    sandbox: Arc<Sandbox>,
    host: HostAbilities,
    /// Sessions without a record, which gives the others their ids.
    unrecorded: u32,
    sessions: HashMap<AcpSessionId, Session>,
    turns: JoinSet<()>,
}

impl Server {
    fn take(&mut self, request: AgentRequest, link: &AgentLink) {
        match request {
            AgentRequest::Initialized(host) => self.host = host,
            AgentRequest::NewSession { wanted, reply } => {
                let opened = self.begin(&wanted);
                self.opened(opened, reply, link);
            }
            AgentRequest::OpenSession {
                session,
                wanted,
                replay,
                reply,
            } => {
                let opened = self.open(session, &wanted, replay, link);
                self.opened(opened, reply, link);
            }
            AgentRequest::ListSessions { cwd, cursor, reply } => {
                self.list(cwd.as_deref(), cursor.as_deref(), reply);
            }
            AgentRequest::CloseSession { session, reply } => match self.sessions.remove(&session) {
                None => reply.failed(not_found(&session)),
                Some(closed) => {
                    closed.cancel();
                    self.turns.spawn(async move {
                        closed.end().await;
                        reply.closed();
                    });
                }
            },
            AgentRequest::SetMode {
                session,
                mode,
                reply,
            } => self.set_mode(&session, &mode, reply, link),
            AgentRequest::SetOption {
                session,
                option,
                value,
                reply,
            } => self.set_option(&session, &option, &value, reply, link),
            AgentRequest::Prompt {
                session,
                blocks,
                reply,
            } => self.prompt(session, &blocks, reply, link),
            AgentRequest::Cancel { session } => {
                if let Some(session) = self.sessions.get(&session) {
                    session.cancel();
                }
            }
            AgentRequest::Closed(_) => {}
        }
    }

    /// Answers a request for a session, and says what it offers.
    fn opened(
        &self,
        opened: Result<AcpSessionId, RpcError>,
        reply: SessionReply,
        link: &AgentLink,
    ) {
        let session = opened.and_then(|id| match self.sessions.get(&id) {
            Some(session) => Ok((id, session)),
            None => Err(not_found(&id)),
        });
        match session {
            Err(error) => reply.failed(error),
            Ok((id, session)) => {
                reply.opened(&id, &session.settings());
                let compact = Command {
                    name: COMPACT.trim_start_matches('/').to_owned(),
                    description: "Replace older parts of this conversation by an account of them."
                        .to_owned(),
                };
                let commands = vec![compact];
                link.update(&id, &AgentUpdate::Commands { commands });
            }
        }
    }

    /// Begins a new session.
    fn begin(&mut self, wanted: &SessionWanted) -> Result<AcpSessionId, RpcError> {
        let workspace = self.workspace(wanted)?;
        let servers = self.servers(wanted)?;
        let header = header(&workspace, &self.args);
        let begun = self.records.without(servers.secrets()).begin(header);
        let (recorded, unrecorded) = begun.map_err(RpcError::internal)?;
        if let Some(why) = unrecorded {
            eprintln!("sam-harness: {why}");
        }
        let id = recorded.id().map(str::to_owned).unwrap_or_else(|| {
            self.unrecorded += 1;
            format!("unrecorded-{}-{}", std::process::id(), self.unrecorded)
        });
        Ok(self.add(AcpSessionId(id), workspace, recorded, servers))
    }

    /// Opens a session that existed before. One that is open stays as it is.
    fn open(
        &mut self,
        id: AcpSessionId,
        wanted: &SessionWanted,
        replay: bool,
        link: &AgentLink,
    ) -> Result<AcpSessionId, RpcError> {
        if !self.sessions.contains_key(&id) {
            let workspace = self.workspace(wanted)?;
            // A prefix would do for a person; a host has the whole id.
            if !transcript::is_id(id.as_str()) {
                return Err(not_found(&id));
            }
            let servers = self.servers(wanted)?;
            let records = self.records.without(servers.secrets());
            let resumed = records.resume(id.as_str(), &self.args);
            let recorded = resumed.map_err(|error| refused(&id, &error))?;
            self.add(id.clone(), workspace, recorded, servers);
        }
        if replay {
            let root = self.records.root().map_err(RpcError::internal)?;
            let replayed = replay::replay(root, &id, link, self.args.context_window);
            replayed.map_err(|error| refused(&id, &error))?;
        }
        Ok(id)
    }

    /// The directories that the host names and those of the command line.
    fn workspace(&self, wanted: &SessionWanted) -> Result<Workspace, RpcError> {
        let further = wanted.additional_directories.iter().chain(&self.add_dir);
        Workspace::with_further(&wanted.cwd, further).map_err(RpcError::invalid_params)
    }

    /// The servers of the command line, and those this session's host names.
    fn servers(&self, wanted: &SessionWanted) -> Result<Servers, RpcError> {
        Servers::new(&self.mcp, &wanted.mcp_servers).map_err(RpcError::invalid_params)
    }

    fn add(
        &mut self,
        id: AcpSessionId,
        workspace: Workspace,
        recorded: crate::session::Session,
        servers: Servers,
    ) -> AcpSessionId {
        let workspace = workspace.with_host(Arc::new(Lender {
            link: self.link.clone(),
            session: id.clone(),
            abilities: self.host,
            runtime: Handle::current(),
        }));
        let guard = Guard::new(&self.guard, PermissionMode::Ask, Arc::clone(&self.sandbox));
        let guard = Arc::new(guard);
        let chosen = recorded.state().settings.clone();
        let limits = Limits::from(&self.args);
        let groups = ProcessGroups::default();
        let mut conversation = Conversation::new(
            workspace,
            groups.clone(),
            Arc::clone(&guard),
            recorded,
            limits,
            &self.options,
        );
        conversation.add_servers(servers);
        // A mode given on the command line goes before one chosen earlier.
        let keep_mode = self.guard.permission_mode.is_some();
        let session = Session::new(conversation, guard, groups, &self.model, &self.args)
            .restored(&chosen, keep_mode);
        self.sessions.insert(id.clone(), session);
        id
    }

    fn list(&self, cwd: Option<&Path>, cursor: Option<&str>, reply: ListReply) {
        let root = match self.records.root() {
            Ok(root) => root,
            Err(error) => return reply.failed(RpcError::internal(error)),
        };
        let sessions = match transcript::list(root) {
            Ok(sessions) => sessions,
            Err(error) => return reply.failed(RpcError::internal(error.to_string())),
        };
        let Ok(begin) = cursor.unwrap_or("0").parse::<usize>() else {
            return reply.failed(RpcError::invalid_params("the cursor is none of ours"));
        };
        let same = |of: &Path| cwd.is_none_or(|cwd| of == cwd || Some(of) == real(cwd).as_deref());
        let mut matching = sessions.into_iter().filter(|session| same(&session.cwd));
        let page: Vec<SessionListed> = matching
            .by_ref()
            .skip(begin)
            .take(PAGE)
            .map(|session| SessionListed {
                session: AcpSessionId(session.session),
                cwd: session.cwd,
                additional_directories: session.additional_directories,
                title: session.title,
                updated_at: Some(iso_8601(session.updated)),
            })
            .collect();
        let next = matching.next().map(|_| (begin + PAGE).to_string());
        reply.listed(&page, next);
    }

    fn set_mode(&self, id: &AcpSessionId, mode: &str, reply: ModeReply, link: &AgentLink) {
        let Some(session) = self.sessions.get(id) else {
            return reply.failed(not_found(id));
        };
        match session.set(session::MODE, mode) {
            Err(why) => reply.failed(RpcError::invalid_params(why)),
            Ok(()) => {
                reply.set();
                link.update(id, &session.settings().options_update());
            }
        }
    }

    fn set_option(
        &self,
        id: &AcpSessionId,
        option: &str,
        value: &str,
        reply: OptionReply,
        link: &AgentLink,
    ) {
        let Some(session) = self.sessions.get(id) else {
            return reply.failed(not_found(id));
        };
        match session.set(option, value) {
            Err(why) => reply.failed(RpcError::invalid_params(why)),
            Ok(()) => {
                let settings = session.settings();
                reply.set(&settings);
                if option == session::MODE {
                    let mode = settings.mode;
                    link.update(id, &AgentUpdate::Mode { mode });
                }
            }
        }
    }

    fn prompt(&mut self, id: AcpSessionId, blocks: &[Block], reply: PromptReply, link: &AgentLink) {
        let Some(session) = self.sessions.get(&id) else {
            return reply.failed(not_found(&id));
        };
        let Some(turn) = session.begin() else {
            let message = "a turn of this session is in progress";
            return reply.failed(RpcError::new(RpcError::INVALID_REQUEST, message));
        };
        let prompt = prompt::read(blocks);
        let model = Arc::clone(&self.model);
        let watcher = Watcher::new(link.clone(), id, self.args.context_window);
        self.turns.spawn(async move {
            let ended = turn.run(&model, prompt, &watcher).await;
            match ended {
                Ok(summary) => reply.finished(&watcher::outcome(&summary)),
                Err(error) => reply.failed(watcher::refusal(&error)),
            }
        });
    }

    async fn end(mut self) {
        for session in self.sessions.values() {
            session.cancel();
        }
        let _ = tokio::time::timeout(LAST_WORDS, async {
            while self.turns.join_next().await.is_some() {}
        })
        .await;
        for session in self.sessions.values() {
            session.kill();
        }
    }
}

fn real(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

/// A time as ISO 8601; given in milliseconds since 1970.
pub(crate) fn iso_8601(millis: u64) -> String {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    humantime::format_rfc3339_seconds(at).to_string()
}

fn not_found(session: &AcpSessionId) -> RpcError {
    RpcError::session_not_found(session.as_str())
}

fn refused(session: &AcpSessionId, error: &TranscriptError) -> RpcError {
    match error {
        TranscriptError::Unknown(_) | TranscriptError::Ambiguous(_) | TranscriptError::Empty(_) => {
            not_found(session)
        }
        TranscriptError::Busy(_) | TranscriptError::Damaged { .. } | TranscriptError::Io { .. } => {
            RpcError::new(RpcError::INTERNAL_ERROR, error.to_string())
        }
    }
}
