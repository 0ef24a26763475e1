//! The loop: ask the model, run what it calls, send the results, until it
//! calls nothing more, or a limit ends it.
//!
//! A call that cannot be read is answered with what is wrong with it; a call
//! that gives the same result again and again, with a word that it does. Both
//! are bounded.
//!
//! Invariant: after every turn, however it ended, each call in the
//! conversation is followed by its result, so the next prompt can follow.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sam_acp::{ToolCall, ToolCallUpdate, ToolContent, ToolStatus};
use sam_dialects::Usage;
use sam_dialects::conversation::{
    Body, Message, Part, Reply, ReplyEvent, Role, StopReason, Tool, ToolCall as ToolUse, ToolResult,
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::cli::ModelArgs;
use crate::guard::{Guard, Person};
use crate::model::{FaultKind, ModelClient, ModelError, ReplySink, Step, Trouble};
use crate::repeats::{MOST_UNREADABLE, Repeats, TELL_AT};
use crate::tools::{self, Call, ProcessGroups, ToolContext, ToolOutput};
use crate::visible::Visible;
use crate::workspace::Workspace;

/// What is said of an answer whose text looks like a call.
const CALL_IN_TEXT: &str =
    "the model wrote what looks like a tool call into its text; it was not run";

/// Who watches a turn. Called in order, and never waits.
pub(crate) trait Observer: Person + Send + Sync {
    /// More of the answer; pieces with one id are one message.
    fn text(&self, message: &str, text: &str);
    /// More of the reasoning.
    fn thought(&self, message: &str, text: &str);
    /// A call is about to run.
    fn tool_started(&self, call: &ToolCall);
    /// It shows something new, or has ended.
    fn tool_changed(&self, update: &ToolCallUpdate);
    /// A reply did not come at the first attempt; troubles with one id are one
    /// reply's.
    fn trouble(&self, id: &str, trouble: &Trouble<'_>);
    /// A limit ended the turn.
    fn stopped(&self, end: TurnEnd, why: &str);
}

/// Why a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnEnd {
    /// The model called no more tools.
    Complete,
    /// The model ran out of output.
    MaxTokens,
    /// The limit on model requests was reached.
    MaxTurns,
    /// The time was up.
    MaxSeconds,
    /// The limit on tokens was reached.
    MaxTotalTokens,
    /// The same calls gave the same results too often.
    Repeating,
    /// The model's answer was withheld.
    Refused,
    /// Cancelled.
    Cancelled,
}

impl TurnEnd {
    /// The end as a word for programs.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Complete => "end_turn",
            Self::MaxTokens => "max_tokens",
            Self::MaxTurns => "max_turns",
            Self::MaxSeconds => "max_seconds",
            Self::MaxTotalTokens => "max_total_tokens",
            Self::Repeating => "repeating",
            Self::Refused => "refusal",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What bounds a turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Model requests.
    requests: u32,
    time: Option<Duration>,
    tokens: Option<u64>,
    repeats: u32,
}

impl From<&ModelArgs> for Limits {
    fn from(args: &ModelArgs) -> Self {
        Self {
            requests: args.max_turns,
            time: args.max_seconds.map(Duration::from_secs),
            tokens: args.max_total_tokens,
            repeats: args.max_repeats,
        }
    }
}

impl Limits {
    /// Why a turn ended, in words; nothing for an end that is no limit of ours.
    fn words(&self, end: TurnEnd) -> Option<String> {
        Some(match end {
            TurnEnd::MaxTurns => format!("the limit of {} model requests", self.requests),
            TurnEnd::MaxSeconds => {
                format!("the limit of {} s", self.time.unwrap_or_default().as_secs())
            }
            TurnEnd::MaxTotalTokens => {
                format!("the limit of {} tokens", self.tokens.unwrap_or_default())
            }
            TurnEnd::Repeating => format!(
                "the same calls gave the same results {} times in a row",
                self.repeats
            ),
            TurnEnd::Complete | TurnEnd::MaxTokens | TurnEnd::Refused | TurnEnd::Cancelled => {
                return None;
            }
        })
    }
}

/// A turn that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TurnSummary {
    pub(crate) end: TurnEnd,
    /// The last message.
    pub(crate) text: String,
    /// Model requests that gave a reply.
    pub(crate) requests: u32,
    /// Tools run.
    pub(crate) tool_calls: u32,
    /// Over all replies.
    pub(crate) usage: Usage,
    /// Tokens of the conversation at its end, when the upstream tells.
    pub(crate) context: Option<u64>,
}

/// A conversation and what it needs to go on.
pub(crate) struct Conversation {
    workspace: Arc<Workspace>,
    groups: ProcessGroups,
    guard: Guard,
    tools: Vec<Tool>,
    messages: Vec<Message>,
    limits: Limits,
    replies: u64,
    call_ids: HashSet<String>,
}

impl Conversation {
    /// A conversation that has only its instructions.
    pub(crate) fn new(
        workspace: Workspace,
        groups: ProcessGroups,
        guard: Guard,
        limits: Limits,
    ) -> Self {
        let content = crate::prompt::system(&workspace);
        Self {
            workspace: Arc::new(workspace),
            groups,
            guard,
            tools: tools::definitions(),
            messages: vec![Message::text(Role::System, content)],
            limits,
            replies: 0,
            call_ids: HashSet::new(),
        }
    }

    /// Works on a prompt to the end of the turn.
    pub(crate) async fn turn(
        &mut self,
        model: &ModelClient,
        prompt: String,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<TurnSummary, ModelError> {
        let limits = self.limits;
        // Time that is up ends a turn as a cancellation does.
        let stop = cancel.child_token();
        let time = limits.time.unwrap_or(Duration::MAX);
        let mut work = pin!(self.work(model, prompt, observer, &stop));
        let mut ended = match tokio::time::timeout(time, &mut work).await {
            Ok(ended) => ended,
            Err(_) => {
                stop.cancel();
                work.await
            }
        };
        if let Ok(summary) = &mut ended {
            if summary.end == TurnEnd::Cancelled && !cancel.is_cancelled() {
                summary.end = TurnEnd::MaxSeconds;
            }
            if let Some(why) = limits.words(summary.end) {
                observer.stopped(summary.end, &why);
            }
        }
        ended
    }

    async fn work(
        &mut self,
        model: &ModelClient,
        prompt: String,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<TurnSummary, ModelError> {
        self.messages.push(Message::text(Role::User, prompt));
        let mut repeats = Repeats::new(self.limits.repeats);
        let mut summary = TurnSummary {
            end: TurnEnd::Complete,
            text: String::new(),
            requests: 0,
            tool_calls: 0,
            usage: Usage::default(),
            context: None,
        };
        loop {
            let limit = if summary.requests == self.limits.requests {
                Some(TurnEnd::MaxTurns)
            } else if self
                .limits
                .tokens
                .is_some_and(|most| summary.usage.total >= most)
            {
                Some(TurnEnd::MaxTotalTokens)
            } else {
                None
            };
            if let Some(end) = limit {
                summary.end = end;
                return Ok(summary);
            }
            let mut sink = Sink::new(self.replies, observer);
            self.replies += 1;
            let prefix = format!("call_{}_", self.replies);
            let asked = model.complete(&self.tools, &self.messages, &prefix, &mut sink, cancel);
            let reply = match asked.await {
                Ok(reply) => reply,
                Err(error) => {
                    // What was shown was said.
                    let said = sink.text.text().to_owned();
                    if !said.is_empty() {
                        self.messages
                            .push(Message::text(Role::Assistant, said.clone()));
                        summary.text = said;
                    }
                    match error {
                        ModelError::Cancelled => summary.end = TurnEnd::Cancelled,
                        // Some models end their work without a word.
                        ModelError::Failed {
                            kind: FaultKind::EmptyReply,
                            ..
                        } if summary.tool_calls > 0 => {}
                        ModelError::Failed { .. } => return Err(error),
                    }
                    return Ok(summary);
                }
            };
            summary.requests += 1;
            if let Some(usage) = reply.usage {
                summary.usage = summary.usage.plus(usage);
                summary.context = Some(usage.total);
            }
            let end = self.take(reply, observer, cancel, &mut summary, &mut repeats);
            if let Some(end) = end.await? {
                summary.end = end;
                return Ok(summary);
            }
        }
    }

    /// Adds a reply to the conversation, its calls under the ids they have by
    /// now. What it thought stays as it came.
    fn say(&mut self, reply: Reply, calls: &[ToolUse]) {
        let mut message = reply.into_message();
        let said = message
            .parts
            .iter_mut()
            .filter_map(|part| match &mut part.body {
                Body::Call(call) => Some(call),
                _ => None,
            });
        for (call, made) in said.zip(calls) {
            call.id.clone_from(&made.id);
            // Some servers refuse a history whose arguments are no JSON object.
            if serde_json::from_str::<Map<String, Value>>(&call.arguments).is_err() {
                call.arguments = "{}".to_owned();
            }
        }
        if message.parts.is_empty() {
            // Some servers refuse an answer that is neither text nor calls.
            message.parts.push(Part::text(""));
        }
        self.messages.push(message);
    }

    /// Some servers number the calls of each reply anew; here an id is unique
    /// in the conversation.
    fn make_ids_unique(&mut self, tool_uses: &mut [ToolUse]) {
        for tool_use in tool_uses {
            let given = tool_use.id.clone();
            let mut number = 2_u32;
            while !self.call_ids.insert(tool_use.id.clone()) {
                tool_use.id = format!("{given}-{number}");
                number += 1;
            }
        }
    }

    /// Takes a whole reply; the turn's end, if it is one.
    async fn take(
        &mut self,
        reply: Reply,
        observer: &dyn Observer,
        cancel: &CancellationToken,
        summary: &mut TurnSummary,
        repeats: &mut Repeats,
    ) -> Result<Option<TurnEnd>, ModelError> {
        let cut = matches!(
            reply.stop,
            Some(StopReason::MaxTokens | StopReason::ContextExceeded)
        );
        let mut tool_uses: Vec<ToolUse> = reply.calls().cloned().collect();
        if tool_uses.is_empty() {
            summary.text = reply.text();
            let end = match reply.stop {
                _ if cut => TurnEnd::MaxTokens,
                Some(StopReason::Refusal) => TurnEnd::Refused,
                _ => TurnEnd::Complete,
            };
            if reply.call_in_text() {
                observer.stopped(end, CALL_IN_TEXT);
            }
            self.say(reply, &[]);
            return Ok(Some(end));
        }
        let mut end = None;
        self.make_ids_unique(&mut tool_uses);
        self.say(reply, &tool_uses);
        for tool_use in tool_uses {
            let mut output = if cancel.is_cancelled() {
                ToolOutput::failed("not run: the turn was cancelled")
            } else if end.is_some() {
                ToolOutput::failed("not run: the turn is over")
            } else if cut {
                // Its arguments may lack their end and still be JSON.
                ToolOutput::failed(
                    "not run: the reply reached the output limit; do it in smaller steps",
                )
            } else {
                summary.tool_calls += 1;
                let call = Call::parse(&tool_use.name, &tool_use.arguments);
                if repeats.read(call.is_ok()) {
                    let detail = format!("{MOST_UNREADABLE} in a row");
                    end = Some(Err(ModelError::failed(FaultKind::UnreadableCalls, detail)));
                }
                self.run_tool(&tool_use, call, observer, cancel).await
            };
            if end.is_none() && !cut {
                let times = repeats.took(&tool_use, &output.text);
                if repeats.too_many(times) {
                    end = Some(Ok(TurnEnd::Repeating));
                } else if times >= TELL_AT {
                    output.text.push_str(&format!(
                        "\n[The same calls have now given the same results {times} times in a row. Try something \
                         else, or say what stands in the way.]"
                    ));
                }
            }
            let result = ToolResult {
                call: tool_use.id,
                parts: vec![Part::text(output.text)],
                failed: output.failed,
                custom: tool_use.custom,
            };
            self.messages.push(Message {
                role: Role::User,
                parts: vec![Body::Result(result).into()],
            });
        }
        if cancel.is_cancelled() {
            return Ok(Some(TurnEnd::Cancelled));
        }
        end.transpose()
    }

    async fn run_tool(
        &self,
        tool_use: &ToolUse,
        call: Result<Call, String>,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> ToolOutput {
        let raw_input = serde_json::from_str(&tool_use.arguments)
            .unwrap_or_else(|_| Value::String(tool_use.arguments.clone()));
        let mut shown = ToolCall {
            id: tool_use.id.clone(),
            name: Some(tool_use.name.clone()),
            title: tool_use.name.clone(),
            status: ToolStatus::InProgress,
            raw_input: Some(raw_input),
            ..ToolCall::default()
        };
        if let Ok(call) = &call {
            let description = call.describe(&self.workspace);
            shown.title = description.title;
            shown.kind = description.kind;
            shown.locations = description.locations;
        }
        observer.tool_started(&shown);
        let output = match call {
            Err(reason) => ToolOutput::failed(reason),
            Ok(call) => match self.admit(&call, &shown, observer, cancel).await {
                Err(why) => ToolOutput::failed(why),
                Ok(()) => {
                    let progress = |text: &str| {
                        observer.tool_changed(&ToolCallUpdate {
                            id: tool_use.id.clone(),
                            content: Some(vec![ToolContent::Text {
                                text: text.to_owned(),
                            }]),
                            ..ToolCallUpdate::default()
                        });
                    };
                    let context = ToolContext {
                        workspace: &self.workspace,
                        groups: &self.groups,
                        guard: &self.guard,
                        cancel,
                        progress: &progress,
                    };
                    call.run(&context).await
                }
            },
        };
        observer.tool_changed(&ToolCallUpdate {
            id: tool_use.id.clone(),
            status: Some(if output.failed {
                ToolStatus::Failed
            } else {
                ToolStatus::Completed
            }),
            content: Some(output.content()),
            ..ToolCallUpdate::default()
        });
        output
    }
}

impl Conversation {
    /// Whether a call may run; a cancelled turn waits for no answer.
    async fn admit(
        &self,
        call: &Call,
        shown: &ToolCall,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<(), String> {
        tokio::select! {
            admitted = self.guard.admit(call.access(), shown, observer) => admitted,
            () = cancel.cancelled() => Err("not run: the turn was cancelled".to_owned()),
        }
    }
}

/// Passes on what is new of a reply that may be asked for more than once.
struct Sink<'a> {
    id: String,
    observer: &'a dyn Observer,
    text: Visible,
    thought: Visible,
}

impl<'a> Sink<'a> {
    fn new(reply: u64, observer: &'a dyn Observer) -> Self {
        Self {
            id: format!("reply-{reply}"),
            observer,
            text: Visible::new(format!("message-{reply}")),
            thought: Visible::new(format!("thought-{reply}")),
        }
    }
}

impl ReplySink for Sink<'_> {
    fn delta(&mut self, event: &ReplyEvent) {
        match event {
            ReplyEvent::Text(text) | ReplyEvent::Refusal(text) => {
                if let Some(new) = self.text.piece(text) {
                    self.observer.text(&self.text.message(), &new);
                }
            }
            ReplyEvent::Thinking(text) => {
                if let Some(new) = self.thought.piece(text) {
                    self.observer.thought(&self.thought.message(), &new);
                }
            }
            // Calls are announced when they run: a cut reply's never do.
            _ => {}
        }
    }

    fn trouble(&mut self, trouble: &Trouble<'_>) {
        if let Step::Wait(_) = trouble.step {
            self.text.restart();
            self.thought.restart();
        }
        self.observer.trouble(&self.id, trouble);
    }
}
