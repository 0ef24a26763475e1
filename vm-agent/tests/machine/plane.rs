//! A control plane for one node, as far as the node can see: join, link,
//! tokens, rows, bodies, deltas, model. It writes down everything, refuses
//! what the contract forbids, and can be unreachable.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use futures::{SinkExt, StreamExt};
use sam_domain::access::wire::{Joined, WorkspaceTokens, WorkspaceTokensRequest};
use sam_domain::agents::PermissionMode;
use sam_domain::conversation::row::RowUpsert;
use sam_domain::conversation::wire::{BatchAnswer, LiveDelta, MessageBatch, RowOutcome};
use sam_domain::id::{
    AgentSessionId, CommandId, Id, NodeId, PromptId, RowId, SessionId, TaskId, WorkspaceId,
};
use sam_domain::link::frame::{Action, AgentFrame, Command, Event, EventFrame, LEASE, ObjectFrame};
use sam_domain::time::{Millis, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

pub(crate) const JOIN_TOKEN: &str = "sam_join_for-this-test-only";

/// One row as the control plane holds it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) row: RowUpsert,
    pub(crate) workspace: WorkspaceId,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) down: bool,
    pub(crate) joins: Vec<String>,
    pub(crate) node_token: String,
    pub(crate) hellos: usize,
    waiting: Vec<Command>,
    pub(crate) acks: Vec<CommandId>,
    acked_event: u64,
    pub(crate) events: Vec<EventFrame>,
    tokens: HashMap<String, WorkspaceId>,
    pub(crate) tokens_given: Vec<String>,
    /// Rows in the order of their first insert.
    pub(crate) order: Vec<RowId>,
    pub(crate) rows: BTreeMap<RowId, Held>,
    /// The numbers of the accepted upserts of each workspace, in order.
    pub(crate) numbers: HashMap<WorkspaceId, Vec<u64>>,
    pub(crate) bodies: HashMap<(WorkspaceId, String), Vec<u8>>,
    pub(crate) deltas: Vec<(WorkspaceId, LiveDelta)>,
    pub(crate) model_calls: Vec<(WorkspaceId, String)>,
    /// What must never happen.
    pub(crate) violations: Vec<String>,
    /// Rows that say this are refused one by one.
    pub(crate) refuse_row: Option<String>,
    /// A batch that says this is refused as a whole.
    pub(crate) refuse_batch: Option<String>,
    next: u128,
}

pub(crate) struct Plane {
    pub(crate) url: String,
    inner: Arc<Mutex<Inner>>,
    nudge: broadcast::Sender<()>,
    runtime: tokio::runtime::Runtime,
}

impl Plane {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let node = NodeId::mint(Timestamp(1), 77);
        let inner = Inner {
            node_token: format!("sam_nod_{node}.canary-node-token-000000000000000000000"),
            ..Inner::default()
        };
        let inner = Arc::new(Mutex::new(inner));
        let (nudge, _) = broadcast::channel(64);
        let (state, signals, id) = (Arc::clone(&inner), nudge.clone(), node);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = Connection {
                    inner: Arc::clone(&state),
                    nudge: signals.clone(),
                    node: id.clone(),
                };
                tokio::spawn(connection.serve(stream));
            }
        });
        Self {
            url,
            inner,
            nudge,
            runtime,
        }
    }

    pub(crate) fn see(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("not poisoned")
    }

    /// Unreachable, or reachable again. Open connections break.
    pub(crate) fn set_down(&self, down: bool) {
        self.see().down = down;
        let _ = self.nudge.send(());
    }

    /// Every token given so far is no longer good.
    pub(crate) fn expire_tokens(&self) {
        self.see().tokens.clear();
    }

    pub(crate) fn mint<I: Id>(&self) -> I {
        let mut inner = self.see();
        inner.next += 1;
        I::mint(
            Timestamp(u64::try_from(inner.next).expect("small")),
            inner.next,
        )
    }

    /// Sends a command; it is repeated until it is acknowledged.
    pub(crate) fn command(&self, workspace: &WorkspaceId, action: Action) -> CommandId {
        let id: CommandId = self.mint();
        let command = Command {
            id: id.clone(),
            workspace: workspace.clone(),
            attempt: 1,
            remaining: Millis::minutes(5),
            action,
        };
        self.see().waiting.push(command);
        let _ = self.nudge.send(());
        id
    }

    pub(crate) fn prepare(&self, workspace: &WorkspaceId, repository: &str) -> CommandId {
        let (session, task): (SessionId, TaskId) = (self.mint(), self.mint());
        self.command(
            workspace,
            Action::PrepareWorkspace {
                session,
                task,
                repository: repository.to_owned(),
                base: None,
                branch: format!("sam/{}", workspace.short()),
                agent: None,
            },
        )
    }

    pub(crate) fn start_agent(
        &self,
        workspace: &WorkspaceId,
        agent: &str,
    ) -> (AgentSessionId, CommandId) {
        let agent_session: AgentSessionId = self.mint();
        let command = self.command(
            workspace,
            Action::StartAgent {
                agent_session: agent_session.clone(),
                agent: agent.to_owned(),
                model: Some("scripted".to_owned()),
                permission_mode: PermissionMode::Full,
            },
        );
        (agent_session, command)
    }

    pub(crate) fn prompt(
        &self,
        workspace: &WorkspaceId,
        agent_session: &AgentSessionId,
        script: &[serde_json::Value],
    ) -> PromptId {
        let prompt: PromptId = self.mint();
        let lines: Vec<_> = script.iter().map(ToString::to_string).collect();
        self.command(
            workspace,
            Action::Prompt {
                agent_session: agent_session.clone(),
                prompt: prompt.clone(),
                text: lines.join("\n"),
                body: None,
                context: String::new(),
            },
        );
        prompt
    }

    /// Waits until a command is done; fails when it failed.
    pub(crate) fn done(&self, command: &CommandId) {
        crate::common::wait_until(&format!("{command} is done"), || {
            let inner = self.see();
            for frame in &inner.events {
                if let Event::CommandFailed {
                    command: failed,
                    code,
                    message,
                    ..
                } = &frame.event
                {
                    assert_ne!(failed, command, "{code}: {message}");
                }
            }
            is_done(&inner, command)
        });
    }

    /// Waits until a command has failed; returns its code and message.
    pub(crate) fn failure(&self, command: &CommandId) -> (String, String) {
        let mut found = None;
        crate::common::wait_until(&format!("{command} fails"), || {
            let inner = self.see();
            assert!(!is_done(&inner, command), "it was done");
            found = inner.events.iter().find_map(|frame| match &frame.event {
                Event::CommandFailed {
                    command: failed,
                    code,
                    message,
                    ..
                } if failed == command => Some((code.clone(), message.clone())),
                _ => None,
            });
            found.is_some()
        });
        found.expect("found")
    }

    /// Waits until a prompt is finished, and checks that every row of it is here.
    pub(crate) fn finished(&self, prompt: &PromptId) -> sam_domain::link::frame::StopReason {
        let mut found = None;
        crate::common::wait_until(&format!("{prompt} is finished"), || {
            let inner = self.see();
            let mut ends = inner.events.iter().filter_map(|frame| match &frame.event {
                Event::PromptFinished {
                    prompt: held,
                    stop_reason,
                    rows_through,
                } if held == prompt => {
                    Some((frame.workspace.clone(), stop_reason.clone(), *rows_through))
                }
                _ => None,
            });
            found = ends.next();
            assert!(ends.next().is_none(), "a prompt finishes once");
            found.is_some()
        });
        let (workspace, reason, through) = found.expect("found");
        let workspace = workspace.expect("of a workspace");
        crate::common::wait_until("its rows are here", || {
            through == 0
                || self
                    .see()
                    .numbers
                    .get(&workspace)
                    .is_some_and(|numbers| numbers.iter().any(|n| *n >= through))
        });
        reason
    }

    pub(crate) fn wait_for_event(&self, what: &str, mut is: impl FnMut(&Event) -> bool) {
        crate::common::wait_until(what, || {
            self.see().events.iter().any(|frame| is(&frame.event))
        });
    }

    /// The rows of a workspace in their order, as kind and text.
    pub(crate) fn shown(&self, workspace: &WorkspaceId) -> Vec<(String, String)> {
        let inner = self.see();
        inner
            .order
            .iter()
            .filter_map(|id| inner.rows.get(id))
            .filter(|held| held.workspace == *workspace)
            .map(|held| {
                let body = &held.row.body;
                let text = match body {
                    sam_domain::conversation::row::RowBody::Tool(tool) => {
                        format!("{:?} {}", tool.status, tool.output)
                    }
                    sam_domain::conversation::row::RowBody::Notice(notice) => notice.code.clone(),
                    other => other.growing().unwrap_or_default().to_owned(),
                };
                (body.kind().to_owned(), text)
            })
            .collect()
    }

    pub(crate) fn assert_no_violations(&self) {
        let inner = self.see();
        assert!(inner.violations.is_empty(), "{:?}", inner.violations);
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let runtime = std::mem::replace(
            &mut self.runtime,
            tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime"),
        );
        runtime.shutdown_background();
    }
}

fn is_done(inner: &Inner, command: &CommandId) -> bool {
    inner.events.iter().any(
        |frame| matches!(&frame.event, Event::CommandDone { command: done } if done == command),
    )
}

struct Connection {
    inner: Arc<Mutex<Inner>>,
    nudge: broadcast::Sender<()>,
    node: NodeId,
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Connection {
    async fn serve(self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        while let Some(request) = read(&mut stream, &mut buffer).await {
            if self.state().down {
                return;
            }
            if request.headers.contains_key("sec-websocket-key") {
                return self.socket(stream, &request).await;
            }
            let (status, body) = self.answer(&request);
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("not poisoned")
    }

    fn answer(&self, request: &Request) -> (u16, String) {
        let mut state = self.state();
        let token = bearer(request).to_owned();
        let segments: Vec<_> = request.path.split('/').skip(1).collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("POST", ["api", "nodes", "join"]) => {
                if token != JOIN_TOKEN {
                    return refusal(401, "unauthorised");
                }
                let join: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
                state
                    .joins
                    .push(join["store_id"].as_str().expect("store id").to_owned());
                json(&Joined {
                    node: self.node.clone(),
                    token: state.node_token.clone(),
                })
            }
            ("POST", ["api", "nodes", _, "tokens"]) => {
                if token != state.node_token {
                    return refusal(401, "unauthorised");
                }
                let wanted: WorkspaceTokensRequest =
                    serde_json::from_slice(&request.body).expect("JSON");
                let n = state.tokens_given.len();
                let make = |kind: &str| format!("sam_{kind}_canary-{n}-{}", wanted.workspace);
                let (rows, model) = (make("wsp"), make("mdl"));
                for given in [&rows, &model] {
                    state.tokens.insert(given.clone(), wanted.workspace.clone());
                    state.tokens_given.push(given.clone());
                }
                json(&WorkspaceTokens {
                    workspace_token: rows,
                    model_token: model,
                    // By a clock that stands at its beginning: only the span counts.
                    expires_at: Timestamp(1),
                    expires_in: Millis::hours(1),
                })
            }
            ("POST", ["api", "workspaces", workspace, "messages"]) => {
                match check(&mut state, &token, "sam_wsp_", Some(workspace)) {
                    Err(refused) => refused,
                    Ok(_) if says(&state.refuse_batch, &request.body) => {
                        refusal(400, "bad_request")
                    }
                    Ok(workspace) => {
                        let batch: MessageBatch =
                            serde_json::from_slice(&request.body).expect("a batch");
                        json(&take(&mut state, &workspace, batch))
                    }
                }
            }
            ("PUT", ["api", "workspaces", workspace, "bodies", sha256]) => {
                match check(&mut state, &token, "sam_wsp_", Some(workspace)) {
                    Err(refused) => refused,
                    Ok(workspace) => {
                        state
                            .bodies
                            .insert((workspace, (*sha256).to_owned()), request.body.clone());
                        (204, String::new())
                    }
                }
            }
            ("POST", ["ai", "v1", "chat", "completions"]) => {
                match check(&mut state, &token, "sam_mdl_", None) {
                    Err(refused) => refused,
                    Ok(workspace) => {
                        let body: serde_json::Value =
                            serde_json::from_slice(&request.body).expect("JSON");
                        let said = body["say"].as_str().unwrap_or_default().to_owned();
                        state.model_calls.push((workspace.clone(), said.clone()));
                        (200, format!("echo of {said} for {workspace}"))
                    }
                }
            }
            _ => refusal(404, "not_found"),
        }
    }

    async fn socket(&self, mut stream: TcpStream, request: &Request) {
        let token = bearer(request).to_owned();
        let segments: Vec<_> = request.path.split('/').skip(1).collect();
        let allowed = {
            let mut state = self.state();
            match segments.as_slice() {
                ["api", "nodes", _, "link"] if token == state.node_token => Ok(None),
                ["api", "workspaces", workspace, "live"] => {
                    check(&mut state, &token, "sam_wsp_", Some(workspace)).map(Some)
                }
                _ => Err(refusal(401, "unauthorised")),
            }
        };
        let live = match allowed {
            Ok(live) => live,
            Err((status, body)) => {
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                return;
            }
        };
        let accept = derive_accept_key(request.headers["sec-websocket-key"].as_bytes());
        let head = format!(
            "HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        let mut nudges = self.nudge.subscribe();
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        let mut welcomed = live.is_some();
        loop {
            let frames = tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => match &live {
                        Some(workspace) => {
                            let delta = serde_json::from_str(&text).expect("a delta");
                            self.state().deltas.push((workspace.clone(), delta));
                            Vec::new()
                        }
                        None => self.heard(&text, &mut welcomed),
                    },
                    Some(Ok(_)) => Vec::new(),
                    _ => return,
                },
                _ = nudges.recv() => Vec::new(),
            };
            let mut out = frames;
            {
                let state = self.state();
                if state.down {
                    return;
                }
                if welcomed && live.is_none() {
                    out.extend(state.waiting.iter().cloned().map(ObjectFrame::Command));
                }
            }
            for frame in out {
                let text = serde_json::to_string(&frame).expect("JSON");
                if socket.send(Message::text(text)).await.is_err() {
                    return;
                }
            }
        }
    }

    fn heard(&self, text: &str, welcomed: &mut bool) -> Vec<ObjectFrame> {
        let mut state = self.state();
        match serde_json::from_str(text).expect("a frame") {
            AgentFrame::Hello {
                open_commands,
                next_event,
                ..
            } => {
                state.hellos += 1;
                *welcomed = true;
                state
                    .waiting
                    .retain(|command| !open_commands.contains(&command.id));
                if next_event > state.acked_event + 1 {
                    state
                        .violations
                        .push(format!("events before {next_event} are lost"));
                }
                vec![ObjectFrame::Welcome {
                    acked_event: state.acked_event,
                    commands: state.waiting.clone(),
                    lease: LEASE,
                }]
            }
            AgentFrame::Ack { command } => {
                state.waiting.retain(|held| held.id != command);
                state.acks.push(command);
                Vec::new()
            }
            AgentFrame::Event(frame) => {
                let n = frame.n;
                if n == state.acked_event + 1 {
                    state.acked_event = n;
                    state.events.push(frame);
                }
                let store_id = state.joins.last().cloned().unwrap_or_default();
                vec![ObjectFrame::Acked {
                    store_id,
                    n: state.acked_event,
                }]
            }
            AgentFrame::Answer(_) => Vec::new(),
            AgentFrame::Ping => vec![ObjectFrame::Pong],
        }
    }
}

fn take(state: &mut Inner, workspace: &WorkspaceId, batch: MessageBatch) -> BatchAnswer {
    let mut outcomes = Vec::new();
    for row in batch.rows {
        state
            .numbers
            .entry(workspace.clone())
            .or_default()
            .push(row.n);
        let text = serde_json::to_vec(&row).expect("JSON");
        let outcome = match state.rows.get(&row.id) {
            _ if says(&state.refuse_row, &text) => RowOutcome::Refused,
            Some(held) if held.workspace != *workspace => {
                state
                    .violations
                    .push(format!("{} crossed into {workspace}", row.id));
                RowOutcome::Refused
            }
            Some(held) if held.row.rev >= row.rev => RowOutcome::Duplicate,
            Some(_) => RowOutcome::Accepted,
            None => {
                state.order.push(row.id.clone());
                RowOutcome::Accepted
            }
        };
        if outcome == RowOutcome::Accepted {
            let held = Held {
                row: row.clone(),
                workspace: workspace.clone(),
            };
            state.rows.insert(row.id, held);
        }
        outcomes.push(outcome);
    }
    BatchAnswer { outcomes }
}

fn says(what: &Option<String>, bytes: &[u8]) -> bool {
    what.as_ref()
        .is_some_and(|what| String::from_utf8_lossy(bytes).contains(what.as_str()))
}

/// The workspace a token is for; a token of another kind or workspace is a
/// violation, an expired one is not.
fn check(
    state: &mut Inner,
    token: &str,
    prefix: &str,
    path: Option<&str>,
) -> Result<WorkspaceId, (u16, String)> {
    let Some(workspace) = state.tokens.get(token).cloned() else {
        return Err(refusal(401, "unauthorised"));
    };
    let right = token.starts_with(prefix) && path.is_none_or(|path| path == workspace.as_str());
    if right {
        Ok(workspace)
    } else {
        state
            .violations
            .push(format!("a token of {workspace} was used for {path:?}"));
        Err(refusal(403, "forbidden"))
    }
}

fn json(value: &impl serde::Serialize) -> (u16, String) {
    (200, serde_json::to_string(value).expect("JSON"))
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    let error = serde_json::json!({ "error": { "code": code, "message": "Refused by the test." } });
    (status, error.to_string())
}

fn bearer(request: &Request) -> &str {
    request
        .headers
        .get("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default()
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).ok()?;
            let mut lines = head.split("\r\n");
            let mut first = lines.next()?.split(' ');
            let (method, target) = (first.next()?.to_owned(), first.next()?);
            let path = target.split('?').next()?.to_owned();
            let headers: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length = headers
                .get("content-length")
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            let whole = end + 4 + length;
            if buffer.len() >= whole {
                let body = buffer[end + 4..whole].to_vec();
                buffer.drain(..whole);
                return Some(Request {
                    method,
                    path,
                    headers,
                    body,
                });
            }
        }
        let mut chunk = [0; 8192];
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => buffer.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}
