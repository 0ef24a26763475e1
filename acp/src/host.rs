//! The host's side: speaks to one agent process.
//!
//! [`Host`] sends; [`HostEvents`] delivers everything the agent says, in the
//! order of the wire, a turn's end included. Whoever holds the events must
//! read them: past [`HostOptions::max_queued_bytes`] the agent is no longer
//! read, which stops it, and calls that await an answer run into their time
//! limit.
//!
//! Invariant: a permission request is answered exactly once. It is answered
//! by its responder, by [`Host::cancel`] for its session, or, when the
//! responder is dropped, as cancelled.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::error::{AcpError, CloseReason, RpcError};
use crate::opening::{AgentInfo, AuthMethod, Besides, SessionOpened, session_opened};
use crate::parse;
use crate::rpc::{Line, LineReader, Message, Peer, Pending};
use crate::update::{
    AcpSessionId, AgentUpdate, Block, PermissionOption, PermissionOutcome, PromptOutcome,
    ToolCallUpdate,
};
use crate::wire;

/// Bounds of a connection and what the host calls itself.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// Told to the agent.
    pub client_name: String,
    /// Told to the agent.
    pub client_version: String,
    /// For every call but a prompt, which has no limit here.
    pub request_timeout: Duration,
    /// A longer line is skipped and reported.
    pub max_line_bytes: usize,
    /// Bytes of messages read and not yet taken from [`HostEvents`].
    pub max_queued_bytes: usize,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            client_name: "sam".to_owned(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
            request_timeout: Duration::from_secs(120),
            max_line_bytes: 32 * 1024 * 1024,
            max_queued_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Names one prompt on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TurnId(pub u64);

/// Something the agent did that is no part of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// A line that is not a message; skipped.
    MalformedLine {
        /// Its length.
        bytes: u64,
        /// Its first characters.
        excerpt: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A request for something not offered; answered "method not found".
    RefusedRequest {
        /// The method.
        method: String,
    },
    /// A notification nobody here understands; ignored.
    IgnoredNotification {
        /// The method.
        method: String,
        /// Its parameters.
        params: Value,
    },
    /// An answer to nothing that was asked; ignored.
    StrayResponse {
        /// The id it named.
        id: Value,
    },
}

/// A question of the agent's, with the means to answer it.
#[derive(Debug)]
pub struct PermissionRequest {
    /// The session that waits.
    pub session: AcpSessionId,
    /// The call it asks about; it may not have been announced yet.
    pub tool_call: ToolCallUpdate,
    /// The answers offered; kinds may repeat.
    pub options: Vec<PermissionOption>,
    /// Answers.
    pub responder: PermissionResponder,
}

/// What an agent says, in the order in which it says it.
#[derive(Debug)]
pub enum HostEvent {
    /// A session changed.
    Update {
        /// The session.
        session: AcpSessionId,
        /// What changed.
        update: AgentUpdate,
    },
    /// The agent asks; the turn waits.
    Permission(PermissionRequest),
    /// A prompt is over. Late updates of its session may still follow.
    PromptFinished {
        /// The session.
        session: AcpSessionId,
        /// The prompt.
        turn: TurnId,
        /// How it ended; [`AcpError::Closed`] when the agent went away.
        result: Result<PromptOutcome, AcpError>,
    },
    /// Something to log.
    Report(Report),
    /// The connection is gone; the last event.
    Closed(CloseReason),
}

/// The receiving half.
#[derive(Debug)]
pub struct HostEvents {
    queue: mpsc::UnboundedReceiver<(HostEvent, Option<OwnedSemaphorePermit>)>,
}

impl HostEvents {
    /// The next event; none after [`HostEvent::Closed`].
    pub async fn recv(&mut self) -> Option<HostEvent> {
        self.queue.recv().await.map(|(event, _permit)| event)
    }

    /// An event that has arrived already, if there is one.
    pub fn try_recv(&mut self) -> Option<HostEvent> {
        self.queue.try_recv().ok().map(|(event, _permit)| event)
    }
}

/// Permission requests without an answer yet, by a ticket of our own: an
/// agent's ids need not be unique.
type OpenPermissions = Arc<Mutex<HashMap<u64, OpenRequest>>>;
type Turns = Arc<Mutex<HashMap<u64, AcpSessionId>>>;

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one permission request.
pub struct PermissionResponder {
    peer: Arc<Peer>,
    open: OpenPermissions,
    ticket: u64,
    id: Value,
}

impl PermissionResponder {
    /// Answers. `false` when it was answered before, by [`Host::cancel`].
    pub fn respond(self, outcome: &PermissionOutcome) -> bool {
        self.answer(outcome)
    }

    /// Whether the request still waits for an answer.
    pub fn is_open(&self) -> bool {
        lock(&self.open).contains_key(&self.ticket)
    }

    fn answer(&self, outcome: &PermissionOutcome) -> bool {
        let open = lock(&self.open).remove(&self.ticket).is_some();
        if open {
            let answer = wire::permission_response(outcome);
            self.peer.respond(&self.id, Ok(answer));
        }
        open
    }
}

impl Drop for PermissionResponder {
    fn drop(&mut self) {
        self.answer(&PermissionOutcome::Cancelled);
    }
}

impl std::fmt::Debug for PermissionResponder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PermissionResponder")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

struct OpenRequest {
    session: AcpSessionId,
    id: Value,
}

/// The sending half. Cloning it is cheap; when the last clone is gone the
/// agent's input is closed.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    peer: Arc<Peer>,
    options: HostOptions,
    turns: Turns,
    open: OpenPermissions,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.peer.close_output();
    }
}

impl Host {
    /// Takes an agent's output and input. Must be called within a tokio
    /// runtime; nothing is sent yet.
    pub fn connect<R, W>(reader: R, writer: W, options: HostOptions) -> (Self, HostEvents)
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let peer = Arc::new(Peer::start(writer));
        let (events, queue) = mpsc::unbounded_channel();
        let inner = Inner {
            peer: Arc::clone(&peer),
            turns: Turns::default(),
            open: OpenPermissions::default(),
            options,
        };
        let budget = inner.options.max_queued_bytes.min(Semaphore::MAX_PERMITS);
        let pump = Pump {
            peer,
            events,
            turns: Arc::clone(&inner.turns),
            open: Arc::clone(&inner.open),
            budget: Arc::new(Semaphore::new(budget)),
            budget_bytes: budget,
            last_ticket: 0,
        };
        let lines = LineReader::new(reader, inner.options.max_line_bytes);
        tokio::spawn(pump.run(lines));
        let host = Self {
            inner: Arc::new(inner),
        };
        (host, HostEvents { queue })
    }

    async fn call(&self, method: &str, params: &Value) -> Result<Value, AcpError> {
        let peer = &self.inner.peer;
        let (sender, receiver) = oneshot::channel();
        let id = peer
            .request(method, params, Pending::Call(sender))
            .map_err(AcpError::Closed)?;
        let limit = self.inner.options.request_timeout;
        match tokio::time::timeout(limit, receiver).await {
            Ok(Ok(Ok(result))) => Ok(result),
            Ok(Ok(Err(error))) => Err(AcpError::Rpc {
                method: method.to_owned(),
                error: Box::new(error),
            }),
            Ok(Err(_dropped)) => Err(AcpError::Closed(
                peer.close_reason().unwrap_or(CloseReason::EndOfStream),
            )),
            Err(_elapsed) => {
                peer.forget(id);
                Err(AcpError::Timeout {
                    method: method.to_owned(),
                    seconds: limit.as_secs(),
                })
            }
        }
    }

    /// `initialize`: must be the first call.
    pub async fn initialize(&self) -> Result<AgentInfo, AcpError> {
        let options = &self.inner.options;
        let params = wire::initialize(&options.client_name, &options.client_version);
        let raw = self.call("initialize", &params).await?;
        let version = raw.get("protocolVersion").and_then(Value::as_u64);
        let capabilities = parse::present(&raw, "agentCapabilities");
        let protocol_version = match (version, capabilities) {
            (Some(version), Some(_)) => version,
            (Some(version @ 0..=1), None) => version,
            (Some(version), None) => {
                return Err(AcpError::Protocol {
                    method: "initialize".to_owned(),
                    detail: format!("it speaks protocol version {version}, not 1"),
                });
            }
            (None, _) => {
                return Err(AcpError::Protocol {
                    method: "initialize".to_owned(),
                    detail: "it names no protocol version".to_owned(),
                });
            }
        };
        let can = |what: &str| {
            capabilities
                .and_then(|capabilities| capabilities.pointer(what))
                .and_then(Value::as_bool)
                .unwrap_or(false)
        };
        let info = parse::present(&raw, "agentInfo")
            .cloned()
            .unwrap_or_default();
        Ok(AgentInfo {
            protocol_version,
            name: parse::text(&info, "name"),
            title: parse::text(&info, "title"),
            version: parse::text(&info, "version"),
            load_session: can("/loadSession"),
            // What it can be told of how to resume is an object; that it is there says that it can.
            resume_session: capabilities
                .and_then(|capabilities| capabilities.pointer("/sessionCapabilities/resume"))
                .is_some_and(Value::is_object),
            http_servers: can("/mcpCapabilities/http"),
            auth_methods: parse::list(&raw, "authMethods")
                .unwrap_or_default()
                .iter()
                .filter_map(|method| {
                    let id = parse::text(method, "id")?;
                    Some(AuthMethod {
                        name: parse::text(method, "name").unwrap_or_else(|| id.clone()),
                        id,
                    })
                })
                .collect(),
            raw,
        })
    }

    /// Asks the agent for a sign of life, by a method that it need not know: that it refuses it is
    /// one. Fails when none comes, or the agent is gone.
    pub async fn ping(&self) -> Result<(), AcpError> {
        match self.call("_sam/ping", &json!({})).await {
            Ok(_) | Err(AcpError::Rpc { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// `authenticate` by one of [`AgentInfo::auth_methods`].
    pub async fn authenticate(&self, method_id: &str) -> Result<(), AcpError> {
        let params = json!({ "methodId": method_id });
        self.call("authenticate", &params).await.map(drop)
    }

    /// `session/new` in an absolute directory, without MCP servers.
    pub async fn new_session(&self, cwd: &Path) -> Result<SessionOpened, AcpError> {
        self.new_session_with(cwd, Besides::default()).await
    }

    /// The same, with what it is told besides.
    pub async fn new_session_with(
        &self,
        cwd: &Path,
        besides: Besides<'_>,
    ) -> Result<SessionOpened, AcpError> {
        let mut params = wire::new_session(cwd);
        besides.add_to(&mut params);
        let raw = self.call("session/new", &params).await?;
        let session = parse::text(&raw, "sessionId").ok_or_else(|| AcpError::Protocol {
            method: "session/new".to_owned(),
            detail: "it names no session".to_owned(),
        })?;
        Ok(session_opened(AcpSessionId(session), &raw))
    }

    /// `session/load`: the agent replays the session as updates, which arrive
    /// as events before this returns, and some more after.
    pub async fn load_session(
        &self,
        session: &AcpSessionId,
        cwd: &Path,
    ) -> Result<SessionOpened, AcpError> {
        self.load_session_with(session, cwd, Besides::default())
            .await
    }

    /// The same, with what it is told besides.
    pub async fn load_session_with(
        &self,
        session: &AcpSessionId,
        cwd: &Path,
        besides: Besides<'_>,
    ) -> Result<SessionOpened, AcpError> {
        self.reopen("session/load", session, cwd, besides).await
    }

    /// `session/resume`: the agent takes a session up without replaying it.
    pub async fn resume_session(
        &self,
        session: &AcpSessionId,
        cwd: &Path,
        besides: Besides<'_>,
    ) -> Result<SessionOpened, AcpError> {
        self.reopen("session/resume", session, cwd, besides).await
    }

    async fn reopen(
        &self,
        method: &str,
        session: &AcpSessionId,
        cwd: &Path,
        besides: Besides<'_>,
    ) -> Result<SessionOpened, AcpError> {
        // Both methods take the same.
        let mut params = wire::load_session(session, cwd);
        besides.add_to(&mut params);
        let raw = self.call(method, &params).await?;
        Ok(session_opened(session.clone(), &raw))
    }

    /// `session/set_mode`.
    pub async fn set_mode(&self, session: &AcpSessionId, mode: &str) -> Result<(), AcpError> {
        let params = json!({ "sessionId": session, "modeId": mode });
        self.call("session/set_mode", &params).await.map(drop)
    }

    /// `session/set_config_option`; `value` is the id of the choice.
    pub async fn set_config_option(
        &self,
        session: &AcpSessionId,
        option: &str,
        value: &str,
    ) -> Result<(), AcpError> {
        let params = json!({ "sessionId": session, "configId": option, "value": value });
        let method = "session/set_config_option";
        self.call(method, &params).await.map(drop)
    }

    /// `session/prompt`. Returns at once; the end arrives as
    /// [`HostEvent::PromptFinished`] with the same [`TurnId`].
    pub fn prompt(&self, session: &AcpSessionId, blocks: &[Block]) -> Result<TurnId, AcpError> {
        let params = wire::prompt(session, blocks);
        // Held over the request, so that the answer cannot arrive before the
        // turn is known.
        let mut turns = lock(&self.inner.turns);
        let id = self
            .inner
            .peer
            .request("session/prompt", &params, Pending::InOrder)
            .map_err(AcpError::Closed)?;
        turns.insert(id, session.clone());
        Ok(TurnId(id))
    }

    /// `session/cancel`: asks the agent to end the session's turn, which it
    /// does with [`HostEvent::PromptFinished`]. Open permission requests of
    /// the session are answered as cancelled, as the protocol demands.
    pub fn cancel(&self, session: &AcpSessionId) {
        self.inner
            .peer
            .notify("session/cancel", &wire::cancel(session));
        let waiting: Vec<OpenRequest> = lock(&self.inner.open)
            .extract_if(|_, request| request.session == *session)
            .map(|(_, request)| request)
            .collect();
        let answer = wire::permission_response(&PermissionOutcome::Cancelled);
        for request in waiting {
            self.inner.peer.respond(&request.id, Ok(answer.clone()));
        }
    }

    /// Closes the agent's input; a well-behaved agent then exits. Some do not
    /// and must be killed.
    pub fn close(&self) {
        self.inner.peer.close_output();
    }
}

/// The task that reads.
struct Pump {
    peer: Arc<Peer>,
    events: mpsc::UnboundedSender<(HostEvent, Option<OwnedSemaphorePermit>)>,
    turns: Turns,
    open: OpenPermissions,
    budget: Arc<Semaphore>,
    budget_bytes: usize,
    last_ticket: u64,
}

impl Pump {
    async fn run<R: AsyncRead + Unpin>(mut self, mut lines: LineReader<R>) {
        let reason = loop {
            match lines.next().await {
                Line::End(reason) => break reason,
                Line::Messages(messages, bytes) => {
                    let mut permit = self.permit(bytes).await;
                    for message in messages {
                        if let Some(event) = self.take(message) {
                            let _ = self.events.send((event, permit.take()));
                        }
                    }
                }
            }
        };
        for turn in self.peer.closed(&reason) {
            if let Some(session) = lock(&self.turns).remove(&turn) {
                let event = HostEvent::PromptFinished {
                    session,
                    turn: TurnId(turn),
                    result: Err(AcpError::Closed(reason.clone())),
                };
                let _ = self.events.send((event, None));
            }
        }
        let _ = self.events.send((HostEvent::Closed(reason), None));
    }

    /// Waits until the reader of the events has made room.
    async fn permit(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = bytes.min(self.budget_bytes);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let budget = Arc::clone(&self.budget);
        // A dropped receiver drops its events and with them their permits.
        budget.acquire_many_owned(bytes).await.ok()
    }

    fn take(&mut self, message: Result<Message, crate::rpc::Malformed>) -> Option<HostEvent> {
        match message {
            Err(malformed) => Some(HostEvent::Report(Report::MalformedLine {
                bytes: u64::try_from(malformed.bytes).unwrap_or(u64::MAX),
                excerpt: malformed.excerpt,
                detail: malformed.detail,
            })),
            Ok(Message::Notification { method, params }) => Some(notification(method, params)),
            Ok(Message::Request { id, method, params }) => Some(self.request(id, method, &params)),
            Ok(Message::Response { id, result }) => self.response(id, result),
        }
    }

    fn request(&mut self, id: Value, method: String, params: &Value) -> HostEvent {
        if method == "session/request_permission" {
            let call = params.get("toolCall").and_then(parse::tool_call_update);
            match (parse::text(params, "sessionId"), call) {
                (Some(session), Some(tool_call)) => {
                    return self.permission(id, AcpSessionId(session), tool_call, params);
                }
                _ => {
                    let error = RpcError::invalid_params("a session and a tool call are needed");
                    self.peer.respond(&id, Err(error));
                }
            }
        } else {
            let error = RpcError::method_not_found(&method);
            self.peer.respond(&id, Err(error));
        }
        HostEvent::Report(Report::RefusedRequest { method })
    }

    fn permission(
        &mut self,
        id: Value,
        session: AcpSessionId,
        tool_call: ToolCallUpdate,
        params: &Value,
    ) -> HostEvent {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        lock(&self.open).insert(
            ticket,
            OpenRequest {
                session: session.clone(),
                id: id.clone(),
            },
        );
        HostEvent::Permission(PermissionRequest {
            session,
            tool_call,
            options: parse::permission_options(params),
            responder: PermissionResponder {
                peer: Arc::clone(&self.peer),
                open: Arc::clone(&self.open),
                ticket,
                id,
            },
        })
    }

    fn response(&mut self, id: Value, result: Result<Value, RpcError>) -> Option<HostEvent> {
        // A prompt holds this lock while it sends: see `Host::prompt`.
        let turns = Arc::clone(&self.turns);
        let mut turns = lock(&turns);
        match self.peer.take_pending(&id) {
            None => Some(HostEvent::Report(Report::StrayResponse { id })),
            Some((_, Pending::Call(sender))) => {
                // The caller may have run into its time limit.
                let _ = sender.send(result);
                None
            }
            Some((turn, Pending::InOrder)) => {
                let method = || "session/prompt".to_owned();
                let result = match result {
                    Ok(raw) => parse::prompt_outcome(&raw).ok_or_else(|| AcpError::Protocol {
                        method: method(),
                        detail: "it names no stop reason".to_owned(),
                    }),
                    Err(error) => Err(AcpError::Rpc {
                        method: method(),
                        error: Box::new(error),
                    }),
                };
                turns
                    .remove(&turn)
                    .map(|session| HostEvent::PromptFinished {
                        session,
                        turn: TurnId(turn),
                        result,
                    })
            }
        }
    }
}

fn notification(method: String, params: Value) -> HostEvent {
    if method == "session/update"
        && let (Some(session), Some(update)) =
            (parse::text(&params, "sessionId"), params.get("update"))
    {
        return HostEvent::Update {
            session: AcpSessionId(session),
            update: parse::update(update),
        };
    }
    HostEvent::Report(Report::IgnoredNotification { method, params })
}
