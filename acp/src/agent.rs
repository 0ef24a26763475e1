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
    /// Whether it can load a session.
    pub load_session: bool,
}

/// What a host asks for.
#[derive(Debug)]
pub enum AgentRequest {
    /// Open a session.
    NewSession {
        /// The absolute working directory.
        cwd: PathBuf,
        /// The answer.
        reply: SessionReply,
    },
    /// Open a session that existed before, replaying it as updates first.
    LoadSession {
        /// Its id.
        session: AcpSessionId,
        /// The absolute working directory.
        cwd: PathBuf,
        /// The answer.
        reply: SessionReply,
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

/// The answer to a request for a session.
#[derive(Debug)]
pub struct SessionReply {
    reply: Reply,
    load: bool,
}

impl SessionReply {
    /// The session is open.
    pub fn opened(self, session: &AcpSessionId) {
        let result = if self.load {
            wire::load_session_response()
        } else {
            wire::new_session_response(session)
        };
        self.reply.send(Ok(result));
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
                match self.request(&method, &params) {
                    Ok(Wanted::Answer(result)) => {
                        reply.send(Ok(result));
                        None
                    }
                    Ok(Wanted::NewSession(cwd)) => Some(AgentRequest::NewSession {
                        cwd,
                        reply: SessionReply { reply, load: false },
                    }),
                    Ok(Wanted::LoadSession(session, cwd)) => Some(AgentRequest::LoadSession {
                        session,
                        cwd,
                        reply: SessionReply { reply, load: true },
                    }),
                    Ok(Wanted::Prompt(session, blocks)) => Some(AgentRequest::Prompt {
                        session,
                        blocks,
                        reply: PromptReply { reply },
                    }),
                    Err(error) => {
                        reply.send(Err(error));
                        None
                    }
                }
            }
        }
    }

    fn request(&self, method: &str, params: &Value) -> Result<Wanted, RpcError> {
        let session = || {
            parse::text(params, "sessionId")
                .map(AcpSessionId)
                .ok_or_else(|| RpcError::invalid_params("sessionId is missing"))
        };
        let cwd = || {
            parse::text(params, "cwd")
                .map(PathBuf::from)
                .filter(|cwd| cwd.is_absolute())
                .ok_or_else(|| RpcError::invalid_params("cwd must be an absolute path"))
        };
        Ok(match method {
            "initialize" => {
                let AgentDescription {
                    name,
                    title,
                    version,
                    load_session,
                } = &self.description;
                Wanted::Answer(wire::initialized(name, title, version, *load_session))
            }
            "session/new" => Wanted::NewSession(cwd()?),
            "session/load" if self.description.load_session => {
                Wanted::LoadSession(session()?, cwd()?)
            }
            "session/prompt" => {
                let blocks = parse::list(params, "prompt")
                    .ok_or_else(|| RpcError::invalid_params("prompt must be a list"))?;
                Wanted::Prompt(session()?, blocks.iter().map(parse::block).collect())
            }
            _ => return Err(RpcError::method_not_found(method)),
        })
    }
}

enum Wanted {
    Answer(Value),
    NewSession(PathBuf),
    LoadSession(AcpSessionId, PathBuf),
    Prompt(AcpSessionId, Vec<Block>),
}
