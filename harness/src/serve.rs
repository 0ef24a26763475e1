//! `sam-harness acp`: the agent behind the Agent Client Protocol.
//!
//! A session is a conversation in one directory; one turn at a time. The loop
//! here never waits for a turn, so a cancellation is heard at once. When the
//! host goes away, or asks the process to end, every turn is cancelled and
//! every command ended before the process exits. Sessions live as long as the
//! process; none can be loaded.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sam_acp::{
    AcpSessionId, AgentDescription, AgentLink, AgentRequest, AgentServer, AgentUpdate, Block,
    Chunk, ContextUsage, Notice, PermissionOption, PlanEntry, PromptFault, PromptOutcome,
    PromptReply, RpcError, StopReason, TokenUsage, ToolCall, ToolCallUpdate,
};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::{AcpArgs, ModelArgs};
use crate::guard::{Asked, Guard, GuardArgs, PermissionMode, Person};
use crate::model::{ModelClient, ModelError, Trouble};
use crate::sandbox::Sandbox;
use crate::tools::ProcessGroups;
use crate::limits::{Limits, TurnEnd, TurnSummary};
use crate::notice;
use crate::session::{Records, header};
use crate::turn::{Conversation, Observer, Prompt};
use crate::workspace::Workspace;
use crate::{CANCELLED, COMPLETE};

/// For turns to end after the host has gone.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Serves one host until it goes away; the exit code.
pub(crate) async fn serve(args: AcpArgs) -> Result<u8, String> {
    let mut server = Server {
        model: Arc::new(ModelClient::new(&args.model)?),
        records: Records::new(&args.record, Some(&args.model)),
        args: args.model,
        sandbox: Arc::new(Sandbox::new(&args.guard.sandbox)?),
        guard: args.guard,
        groups: ProcessGroups::default(),
        sessions: HashMap::new(),
        turns: JoinSet::new(),
    };
    let description = AgentDescription {
        name: "sam-harness".to_owned(),
        title: "SAM Harness".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        load_session: false,
    };
    let (link, mut requests) =
        AgentServer::connect(tokio::io::stdin(), tokio::io::stdout(), description);
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| format!("cannot listen for signals: {error}"))?;
    let code = loop {
        tokio::select! {
            request = requests.recv() => match request {
                None | Some(AgentRequest::Closed(_)) => break COMPLETE,
                Some(request) => server.take(request, &link),
            },
            _ = terminate.recv() => break CANCELLED,
            Some(_) = server.turns.join_next() => {}
        }
    };
    server.end().await;
    let _ = tokio::time::timeout(LAST_WORDS, link.flush()).await;
    Ok(code)
}

struct Server {
    model: Arc<ModelClient>,
    args: ModelArgs,
    records: Records,
    guard: GuardArgs,
    sandbox: Arc<Sandbox>,
    groups: ProcessGroups,
    sessions: HashMap<AcpSessionId, Session>,
    turns: JoinSet<()>,
}

struct Session {
    conversation: Arc<tokio::sync::Mutex<Conversation>>,
    /// Of the turn in progress.
    cancel: Arc<Mutex<Option<CancellationToken>>>,
}

impl Server {
    fn take(&mut self, request: AgentRequest, link: &AgentLink) {
        match request {
            AgentRequest::NewSession { cwd, reply } => match self.open(&cwd) {
                Ok(session) => reply.opened(&session),
                Err(error) => reply.failed(error),
            },
            AgentRequest::LoadSession { session, reply, .. } => {
                reply.failed(RpcError::session_not_found(session.as_str()));
            }
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

    fn open(&mut self, cwd: &Path) -> Result<AcpSessionId, RpcError> {
        let workspace = Workspace::open(cwd).map_err(|error| {
            RpcError::invalid_params(format!("{} cannot be opened: {error}", cwd.display()))
        })?;
        let number = self.sessions.len() + 1;
        let header = header(workspace.root(), Vec::new(), &self.args);
        let begun = self.records.begin(header);
        let (recorded, unrecorded) = begun.map_err(RpcError::internal)?;
        if let Some(why) = unrecorded {
            eprintln!("sam-harness: {why}");
        }
        let id = recorded.id().map(str::to_owned);
        let id = id.unwrap_or_else(|| format!("harness-{}-{number}", std::process::id()));
        let session = AcpSessionId(id);
        let guard = Guard::new(&self.guard, PermissionMode::Ask, Arc::clone(&self.sandbox));
        let limits = Limits::from(&self.args);
        let conversation = Conversation::new(workspace, self.groups.clone(), guard, recorded, limits);
        self.sessions.insert(
            session.clone(),
            Session {
                conversation: Arc::new(tokio::sync::Mutex::new(conversation)),
                cancel: Arc::default(),
            },
        );
        Ok(session)
    }

    fn prompt(&mut self, id: AcpSessionId, blocks: &[Block], reply: PromptReply, link: &AgentLink) {
        let Some(session) = self.sessions.get(&id) else {
            return reply.failed(RpcError::session_not_found(id.as_str()));
        };
        let Some(cancel) = session.begin() else {
            let message = "a turn of this session is in progress";
            return reply.failed(RpcError::new(RpcError::INVALID_REQUEST, message));
        };
        let prompt = Prompt::from(prompt_text(blocks));
        let conversation = Arc::clone(&session.conversation);
        let model = Arc::clone(&self.model);
        let running = Arc::clone(&session.cancel);
        let link = link.clone();
        let window = self.args.context_window;
        self.turns.spawn(async move {
            let watcher = Watcher { link, session: id, window };
            let ended = {
                let mut conversation = conversation.lock().await;
                conversation.turn(&model, prompt, &watcher, &cancel).await
            };
            *lock(&running) = None;
            match ended {
                Ok(summary) => reply.finished(&outcome(&summary)),
                Err(error) => reply.failed(refusal(&error)),
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
        self.groups.kill();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// A token for a new turn; none while another runs.
    fn begin(&self) -> Option<CancellationToken> {
        let mut running = lock(&self.cancel);
        if running.is_some() {
            return None;
        }
        let cancel = CancellationToken::new();
        *running = Some(cancel.clone());
        Some(cancel)
    }

    fn cancel(&self) {
        if let Some(cancel) = lock(&self.cancel).as_ref() {
            cancel.cancel();
        }
    }
}

/// The prompt as one text: linked resources by their address, embedded ones
/// with their text.
fn prompt_text(blocks: &[Block]) -> String {
    let text = |raw: &Value, pointer: &str| {
        raw.pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let parts: Vec<String> = blocks
        .iter()
        .map(|block| match block {
            Block::Text { text } => text.clone(),
            Block::Other { raw } => {
                let address = text(raw, "/uri").or_else(|| text(raw, "/resource/uri"));
                match (address, text(raw, "/resource/text")) {
                    (Some(address), Some(content)) => format!("[{address}]\n{content}"),
                    (Some(address), None) => format!("[{address}]"),
                    (None, _) => "[an attachment that cannot be read here]".to_owned(),
                }
            }
        })
        .collect();
    parts.join("\n")
}

fn refusal(error: &ModelError) -> RpcError {
    let message = error.to_string();
    match error {
        ModelError::Cancelled => RpcError::new(RpcError::INTERNAL_ERROR, message),
        ModelError::Failed { kind, .. } => {
            let fault = PromptFault {
                code: kind.code().to_owned(),
                hint: Some(kind.hint().to_owned()),
            };
            RpcError::prompt_failed(message, &fault)
        }
    }
}

fn outcome(summary: &TurnSummary) -> PromptOutcome {
    let usage = summary.usage;
    PromptOutcome {
        stop_reason: match summary.end {
            TurnEnd::Complete => StopReason::EndTurn,
            TurnEnd::MaxTokens => StopReason::MaxTokens,
            // The protocol knows no other limits; a notice has named it.
            TurnEnd::MaxTurns
            | TurnEnd::MaxSeconds
            | TurnEnd::MaxTotalTokens
            | TurnEnd::Repeating => StopReason::MaxTurnRequests,
            TurnEnd::Refused => StopReason::Refusal,
            TurnEnd::Cancelled => StopReason::Cancelled,
        },
        usage: (usage.total > 0).then_some(TokenUsage {
            input: usage.input,
            output: usage.output,
            total: usage.total,
            thought: Some(usage.reasoning).filter(|tokens| *tokens > 0),
            cached_read: Some(usage.cached_input).filter(|tokens| *tokens > 0),
            cached_write: None,
        }),
    }
}

/// Tells the host what happens in a turn.
struct Watcher {
    link: AgentLink,
    session: AcpSessionId,
    /// The model's context in tokens.
    window: u64,
}

impl Watcher {
    fn send(&self, update: AgentUpdate) {
        self.link.update(&self.session, &update);
    }

}

fn chunk(message: &str, text: &str) -> Chunk {
    Chunk {
        message_id: Some(message.to_owned()),
        block: Block::text(text),
    }
}

impl Person for Watcher {
    fn ask<'a>(&'a self, call: &'a ToolCallUpdate, options: &'a [PermissionOption]) -> Asked<'a> {
        Box::pin(async move {
            let asked = self.link.request_permission(&self.session, call, options);
            Some(asked.await)
        })
    }
}

impl Observer for Watcher {
    fn text(&self, message: &str, text: &str) {
        self.send(AgentUpdate::Message(chunk(message, text)));
    }

    fn thought(&self, message: &str, text: &str) {
        self.send(AgentUpdate::Thought(chunk(message, text)));
    }

    fn tool_started(&self, call: &ToolCall) {
        self.send(AgentUpdate::ToolCall(call.clone()));
    }

    fn tool_changed(&self, update: &ToolCallUpdate) {
        self.send(AgentUpdate::ToolCallUpdate(update.clone()));
    }

    fn trouble(&self, id: &str, trouble: &Trouble<'_>) {
        self.send(AgentUpdate::Notice(notice::trouble(id, trouble)));
    }

    fn stopped(&self, end: TurnEnd, why: &str) {
        self.send(AgentUpdate::Notice(notice::stopped(end, why)));
    }

    fn plan(&self, entries: &[PlanEntry]) {
        let entries = entries.to_vec();
        self.send(AgentUpdate::Plan { entries });
    }

    fn context(&self, used: u64) {
        self.send(AgentUpdate::ContextUsage(ContextUsage {
            used,
            size: self.window.max(used),
            cost: None,
        }));
    }

    fn notice(&self, notice: &Notice) {
        self.send(AgentUpdate::Notice(notice.clone()));
    }
}
