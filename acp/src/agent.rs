//! The agent's side: answers one host.
//!
//! `initialize` is answered here; everything that needs an agent arrives as an
//! [`AgentRequest`] in the order of the wire. A prompt is answered through its
//! [`PromptReply`]; until then the host may cancel, which arrives as
//! [`AgentRequest::Cancel`]. A reply that is dropped answers with an internal
//! error, so that a host never waits for nothing.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use crate::error::{CloseReason, RpcError};
use crate::parse;
use crate::rpc::{Line, LineReader, Message, Peer, Pending};
use crate::session::{HostAbilities, SessionListed, SessionSettings, SessionWanted};
use crate::update::{
    AcpSessionId, AgentUpdate, Block, PermissionOption, PermissionOutcome, PromptOutcome,
    ToolCallUpdate,
};
use crate::wire;

const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// What an agent says of itself.
#[derive(Debug, Clone)]
pub struct AgentDescription {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Its version.
    pub version: String,
    /// Whether it keeps sessions: it can then load, resume, list and close
    /// them.
    pub keeps_sessions: bool,
    /// Whether a prompt may have pictures.
    pub takes_images: bool,
    /// What isolates its commands, for hosts that show it.
    pub isolation: Option<Value>,
}

/// What a host asks for.
#[derive(Debug)]
pub enum AgentRequest {
    /// The host has said what it offers; the first request of a host that
    /// keeps to the protocol.
    Initialized(HostAbilities),
    /// Open a session.
    NewSession {
        /// What the host wants.
        wanted: SessionWanted,
        /// The answer.
        reply: SessionReply,
    },
    /// Open a session that existed before.
    OpenSession {
        /// Its id.
        session: AcpSessionId,
        /// What the host wants.
        wanted: SessionWanted,
        /// Whether it wants to be told all that happened, as updates, first.
        replay: bool,
        /// The answer.
        reply: SessionReply,
    },
    /// Name the sessions that can be opened.
    ListSessions {
        /// Only those of this directory.
        cwd: Option<PathBuf>,
        /// Where an earlier list ended.
        cursor: Option<String>,
        /// The answer.
        reply: ListReply,
    },
    /// End whatever the session does, and forget it; it can be opened again.
    CloseSession {
        /// The session.
        session: AcpSessionId,
        /// The answer.
        reply: CloseReply,
    },
    /// Set the session's mode.
    SetMode {
        /// The session.
        session: AcpSessionId,
        /// The mode's id.
        mode: String,
        /// The answer.
        reply: ModeReply,
    },
    /// Set an option of the session.
    SetOption {
        /// The session.
        session: AcpSessionId,
        /// The option's id.
        option: String,
        /// The value.
        value: String,
        /// The answer.
        reply: OptionReply,
    },
    /// Work on a prompt.
    Prompt {
        /// The session.
        session: AcpSessionId,
        /// The prompt.
        blocks: Vec<Block>,
        /// The answer, when the turn is over.
        reply: PromptReply,
    },
    /// End the session's turn.
    Cancel {
        /// The session.
        session: AcpSessionId,
    },
    /// The host is gone; the last request.
    Closed(CloseReason),
}

/// Requests of the host, in the order of the wire.
#[derive(Debug)]
pub struct AgentRequests {
    queue: mpsc::Receiver<AgentRequest>,
}

impl AgentRequests {
    /// The next request; none after [`AgentRequest::Closed`].
    pub async fn recv(&mut self) -> Option<AgentRequest> {
        self.queue.recv().await
    }
}

/// Makes a connection to a host.
#[derive(Debug)]
pub struct AgentServer;

impl AgentServer {
    /// Takes the host's output (our stdin) and input (our stdout). Must be
    /// called within a tokio runtime.
    pub fn connect<R, W>(
        reader: R,
        writer: W,
        description: AgentDescription,
    ) -> (AgentLink, AgentRequests)
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let peer = Arc::new(Peer::start(writer));
        let (requests, queue) = mpsc::channel(64);
        let pump = Pump {
            peer: Arc::clone(&peer),
            requests,
            description,
        };
        tokio::spawn(pump.run(LineReader::new(reader, MAX_LINE_BYTES)));
        (AgentLink { peer }, AgentRequests { queue })
    }
}

/// Tells the host things. Cloning it is cheap.
#[derive(Clone)]
pub struct AgentLink {
    peer: Arc<Peer>,
}

impl AgentLink {
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Sends a `session/update`. An update that schema v1 cannot express is
    /// not sent.
    pub fn update(&self, session: &AcpSessionId, update: &AgentUpdate) {
        if let Some(params) = wire::session_update(session, update) {
            self.peer.notify("session/update", &params);
        }
    }

    /// Asks the person. A host that is gone, or answers with anything but a
    /// choice, has not allowed it: the outcome is then `Cancelled`.
    pub async fn request_permission(
        &self,
        session: &AcpSessionId,
        tool_call: &ToolCallUpdate,
        options: &[PermissionOption],
    ) -> PermissionOutcome {
        let params = wire::permission_request(session, tool_call, options);
        let (sender, receiver) = oneshot::channel();
        let method = "session/request_permission";
        let sent = self.peer.request(method, &params, Pending::Call(sender));
        let answer = match sent {
            Ok(_) => receiver.await,
            Err(_) => return PermissionOutcome::Cancelled,
        };
        let chosen = match answer {
            Ok(Ok(raw)) => raw.get("outcome").and_then(|outcome| {
                let selected = parse::text(outcome, "outcome")? == "selected";
                parse::text(outcome, "optionId").filter(|_| selected)
            }),
            Ok(Err(_)) | Err(_) => None,
        };
        match chosen {
            Some(option) => PermissionOutcome::Selected { option },
            None => PermissionOutcome::Cancelled,
        }
    }

    /// Waits until what was sent before is written, or cannot be: to be called
    /// before the process exits.
    pub async fn flush(&self) {
        self.peer.flush().await;
    }

    /// Closes our output after what was sent before.
    pub fn close(&self) {
        self.peer.close_output();
    }
}

/// An answer that is owed.
struct Reply {
    peer: Arc<Peer>,
    id: Option<Value>,
}

impl Reply {
    fn send(mut self, result: Result<Value, RpcError>) {
        if let Some(id) = self.id.take() {
            self.peer.respond(&id, result);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let error = RpcError::internal("the agent gave no answer");
            self.peer.respond(&id, Err(error));
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("id", &self.id).finish()
    }
}

/// What a request for a session asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    New,
    Load,
    Resume,
}

/// The answer to a request for a session.
#[derive(Debug)]
pub struct SessionReply {
    reply: Reply,
    opening: Opening,
}

impl SessionReply {
    /// The session is open.
    pub fn opened(self, session: &AcpSessionId, settings: &SessionSettings) {
        let result = match self.opening {
            Opening::New => wire::new_session_response(session, settings),
            Opening::Load => wire::load_session_response(settings),
            Opening::Resume => wire::resume_session_response(settings),
        };
        self.reply.send(Ok(result));
    }

    /// It is not.
    pub fn failed(self, error: RpcError) {
        self.reply.send(Err(error));
    }
}

/// The answer to a request for a list of sessions.
#[derive(Debug)]
pub struct ListReply {
    reply: Reply,
}

impl ListReply {
    /// The sessions, and where the next list begins if there are more.
    pub fn listed(self, sessions: &[SessionListed], next: Option<String>) {
        let result = wire::list_sessions_response(sessions, next);
        self.reply.send(Ok(result));
    }

    /// They cannot be named.
    pub fn failed(self, error: RpcError) {
        self.reply.send(Err(error));
    }
}

/// The answer to a request to close a session.
#[derive(Debug)]
pub struct CloseReply {
    reply: Reply,
}

impl CloseReply {
    /// It is closed.
    pub fn closed(self) {
        self.reply.send(Ok(wire::close_session_response()));
    }

    /// It cannot be closed.
    pub fn failed(self, error: RpcError) {
        self.reply.send(Err(error));
    }
}

/// The answer to a request for another mode.
#[derive(Debug)]
pub struct ModeReply {
    reply: Reply,
}

impl ModeReply {
    /// The session is in that mode.
    pub fn set(self) {
        self.reply.send(Ok(wire::set_mode_response()));
    }

    /// It is not.
    pub fn failed(self, error: RpcError) {
        self.reply.send(Err(error));
    }
}

/// The answer to a request to set an option.
#[derive(Debug)]
pub struct OptionReply {
    reply: Reply,
}

impl OptionReply {
    /// It is set; here are all settings.
    pub fn set(self, settings: &SessionSettings) {
        self.reply.send(Ok(wire::set_option_response(settings)));
    }

    /// It is not.
    pub fn failed(self, error: RpcError) {
        self.reply.send(Err(error));
    }
}

/// The answer to a prompt.
#[derive(Debug)]
pub struct PromptReply {
    reply: Reply,
}

impl PromptReply {
    /// The turn is over. Updates sent before arrive before.
    pub fn finished(self, outcome: &PromptOutcome) {
        self.reply.send(Ok(wire::prompt_response(outcome)));
    }

    /// The turn failed.
    pub fn failed(self, error: RpcError) {
        self.reply.send(Err(error));
    }
}

struct Pump {
    peer: Arc<Peer>,
    requests: mpsc::Sender<AgentRequest>,
    description: AgentDescription,
}

impl Pump {
    async fn run<R: AsyncRead + Unpin>(self, mut lines: LineReader<R>) {
        let reason = loop {
            match lines.next().await {
                Line::End(reason) => break reason,
                Line::Messages(messages, _) => {
                    for message in messages {
                        if let Some(request) = self.take(message)
                            && self.requests.send(request).await.is_err()
                        {
                            return;
                        }
                    }
                }
            }
        };
        // Our output stays open: what is still being answered may be wanted.
        self.peer.fail_calls(&reason);
        let _ = self.requests.send(AgentRequest::Closed(reason)).await;
    }

    fn take(&self, message: Result<Message, crate::rpc::Malformed>) -> Option<AgentRequest> {
        match message {
            Err(malformed) => {
                let error = RpcError::new(RpcError::PARSE_ERROR, malformed.detail);
                self.peer.respond(&Value::Null, Err(error));
                None
            }
            Ok(Message::Response { id, result }) => {
                if let Some((_, Pending::Call(sender))) = self.peer.take_pending(&id) {
                    let _ = sender.send(result);
                }
                None
            }
            Ok(Message::Notification { method, params }) => {
                let session = parse::text(&params, "sessionId")?;
                (method == "session/cancel").then_some(AgentRequest::Cancel {
                    session: AcpSessionId(session),
                })
            }
            Ok(Message::Request { id, method, params }) => {
                let reply = Reply {
                    peer: Arc::clone(&self.peer),
                    id: Some(id),
                };
                self.request(&method, &params, reply)
            }
        }
    }

    /// What a request asks for; its answer is owed to the reply within. None
    /// when it was refused.
    fn request(&self, method: &str, params: &Value, reply: Reply) -> Option<AgentRequest> {
        let read = match read(method, params, self.description.keeps_sessions) {
            Ok(read) => read,
            Err(error) => {
                reply.send(Err(error));
                return None;
            }
        };
        Some(match read {
            Wanted::Initialize(abilities) => {
                reply.send(Ok(wire::initialized(&self.description)));
                AgentRequest::Initialized(abilities)
            }
            Wanted::New(wanted) => AgentRequest::NewSession {
                wanted,
                reply: SessionReply {
                    reply,
                    opening: Opening::New,
                },
            },
            Wanted::Open(opening, session, wanted) => AgentRequest::OpenSession {
                session,
                wanted,
                replay: opening == Opening::Load,
                reply: SessionReply { reply, opening },
            },
            Wanted::List(cwd, cursor) => AgentRequest::ListSessions {
                cwd,
                cursor,
                reply: ListReply { reply },
            },
            Wanted::Close(session) => AgentRequest::CloseSession {
                session,
                reply: CloseReply { reply },
            },
            Wanted::Mode(session, mode) => AgentRequest::SetMode {
                session,
                mode,
                reply: ModeReply { reply },
            },
            Wanted::Option(session, option, value) => AgentRequest::SetOption {
                session,
                option,
                value,
                reply: OptionReply { reply },
            },
            Wanted::Prompt(session, blocks) => AgentRequest::Prompt {
                session,
                blocks,
                reply: PromptReply { reply },
            },
        })
    }
}

enum Wanted {
    Initialize(HostAbilities),
    New(SessionWanted),
    Open(Opening, AcpSessionId, SessionWanted),
    List(Option<PathBuf>, Option<String>),
    Close(AcpSessionId),
    Mode(AcpSessionId, String),
    Option(AcpSessionId, String, String),
    Prompt(AcpSessionId, Vec<Block>),
}

fn read(method: &str, params: &Value, keeps_sessions: bool) -> Result<Wanted, RpcError> {
    let missing = |key: &str| RpcError::invalid_params(format!("{key} is missing"));
    let text = |key: &str| parse::text(params, key).ok_or_else(|| missing(key));
    let session = || text("sessionId").map(AcpSessionId);
    Ok(match method {
        "initialize" => Wanted::Initialize(abilities(params)),
        "session/new" => Wanted::New(wanted(params)?),
        "session/load" if keeps_sessions => {
            Wanted::Open(Opening::Load, session()?, wanted(params)?)
        }
        "session/resume" if keeps_sessions => {
            Wanted::Open(Opening::Resume, session()?, wanted(params)?)
        }
        "session/list" if keeps_sessions => {
            let cwd = parse::text(params, "cwd").map(PathBuf::from);
            Wanted::List(cwd, parse::text(params, "cursor"))
        }
        "session/close" if keeps_sessions => Wanted::Close(session()?),
        "session/set_mode" => Wanted::Mode(session()?, text("modeId")?),
        "session/set_config_option" => {
            Wanted::Option(session()?, text("configId")?, text("value")?)
        }
        "session/prompt" => {
            let blocks = parse::list(params, "prompt")
                .ok_or_else(|| RpcError::invalid_params("prompt must be a list"))?;
            Wanted::Prompt(session()?, blocks.iter().map(parse::block).collect())
        }
        "authenticate" => {
            let detail = "this agent needs no sign-in and offers no method for one";
            return Err(RpcError::invalid_params(detail));
        }
        _ => return Err(RpcError::method_not_found(method)),
    })
}

fn abilities(params: &Value) -> HostAbilities {
    let offers = |pointer: &str| params.pointer(pointer).and_then(Value::as_bool) == Some(true);
    HostAbilities {
        read_text_file: offers("/clientCapabilities/fs/readTextFile"),
        write_text_file: offers("/clientCapabilities/fs/writeTextFile"),
        terminal: offers("/clientCapabilities/terminal"),
    }
}

fn wanted(params: &Value) -> Result<SessionWanted, RpcError> {
    let absolute = |path: String| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let cwd = parse::text(params, "cwd")
        .and_then(absolute)
        .ok_or_else(|| RpcError::invalid_params("cwd must be an absolute path"))?;
    let further = parse::list(params, "additionalDirectories").unwrap_or_default();
    let further: Option<Vec<PathBuf>> = further
        .iter()
        .map(|path| absolute(path.as_str()?.to_owned()))
        .collect();
    let additional_directories = further
        .ok_or_else(|| RpcError::invalid_params("additionalDirectories must be absolute paths"))?;
    Ok(SessionWanted {
        cwd,
        additional_directories,
        mcp_servers: parse::list(params, "mcpServers")
            .unwrap_or_default()
            .to_vec(),
    })
}
