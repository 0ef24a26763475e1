//! The loop: ask the model, run what it calls, send the results, until it
//! calls nothing more.
//!
//! Invariant: after every turn, however it ended, each call in the
//! conversation is followed by its result, so the next prompt can follow.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sam_acp::{ToolCall, ToolCallUpdate, ToolContent, ToolStatus};
use sam_dialects::Usage;
use sam_dialects::chat::{
    ChatDelta, ChatMessage, ChatReply, ChatRequest, FinishReason, ToolCallMessage, ToolDefinition,
    ToolUse,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::model::{ModelClient, ModelError, ReplySink};
use crate::tools::{self, Call, ProcessGroups, ToolContext, ToolOutput};
use crate::visible::Visible;
use crate::workspace::Workspace;

/// Who watches a turn. Called in order, and never waits.
pub(crate) trait Observer: Send + Sync {
    /// More of the answer; pieces with one id are one message.
    fn text(&self, message: &str, text: &str);
    /// More of the reasoning.
    fn thought(&self, message: &str, text: &str);
    /// A call is about to run.
    fn tool_started(&self, call: &ToolCall);
    /// It shows something new, or has ended.
    fn tool_changed(&self, update: &ToolCallUpdate);
    /// The model is asked again after a pause.
    fn retrying(&self, reason: &str, wait: Duration);
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
    /// The model's answer was withheld.
    Refused,
    /// Cancelled.
    Cancelled,
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
    tools: Vec<ToolDefinition>,
    messages: Vec<ChatMessage>,
    max_turns: u32,
    replies: u64,
    call_ids: HashSet<String>,
}

impl Conversation {
    /// A conversation that has only its instructions.
    pub(crate) fn new(workspace: Workspace, groups: ProcessGroups, max_turns: u32) -> Self {
        let content = crate::prompt::system(&workspace);
        Self {
            workspace: Arc::new(workspace),
            groups,
            tools: tools::definitions(),
            messages: vec![ChatMessage::System { content }],
            max_turns,
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
        self.messages.push(ChatMessage::User { content: prompt });
        let mut summary = TurnSummary {
            end: TurnEnd::Complete,
            text: String::new(),
            requests: 0,
            tool_calls: 0,
            usage: Usage::default(),
            context: None,
        };
        loop {
            if summary.requests == self.max_turns {
                summary.end = TurnEnd::MaxTurns;
                return Ok(summary);
            }
            let mut sink = Sink::new(self.replies, observer);
            self.replies += 1;
            let request = ChatRequest::streaming(model.model(), &self.tools, &self.messages);
            let prefix = format!("call_{}_", self.replies);
            let reply = match model.complete(&request, &prefix, &mut sink, cancel).await {
                Ok(reply) => reply,
                Err(error) => {
                    // What was shown was said.
                    let said = sink.text.text().to_owned();
                    if !said.is_empty() {
                        self.say(Some(said.clone()), &[]);
                        summary.text = said;
                    }
                    if let ModelError::Cancelled = error {
                        summary.end = TurnEnd::Cancelled;
                        return Ok(summary);
                    }
                    return Err(error);
                }
            };
            summary.requests += 1;
            if let Some(usage) = reply.usage {
                summary.usage = summary.usage.plus(usage);
                summary.context = Some(usage.total);
            }
            if let Some(end) = self.take(reply, observer, cancel, &mut summary).await {
                summary.end = end;
                return Ok(summary);
            }
        }
    }

    fn say(&mut self, content: Option<String>, calls: &[ToolUse]) {
        let call = |call: &ToolUse| {
            let ToolUse {
                id,
                name,
                arguments,
            } = call.clone();
            // Some servers refuse a history whose arguments are not JSON.
            let valid = serde_json::from_str::<Value>(&arguments).is_ok();
            let arguments = if valid { arguments } else { "{}".to_owned() };
            ToolCallMessage::new(id, name, arguments)
        };
        self.messages.push(ChatMessage::Assistant {
            content,
            tool_calls: calls.iter().map(call).collect(),
        });
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
        mut reply: ChatReply,
        observer: &dyn Observer,
        cancel: &CancellationToken,
        summary: &mut TurnSummary,
    ) -> Option<TurnEnd> {
        let cut = reply.finish_reason == Some(FinishReason::Length);
        let text = Some(reply.text.clone()).filter(|text| !text.is_empty());
        if reply.tool_uses.is_empty() {
            // Some servers refuse an answer that is neither text nor calls.
            self.say(Some(text.unwrap_or_default()), &[]);
            summary.text = reply.text;
            return Some(match reply.finish_reason {
                Some(FinishReason::Length) => TurnEnd::MaxTokens,
                Some(FinishReason::ContentFilter) => TurnEnd::Refused,
                _ => TurnEnd::Complete,
            });
        }
        self.make_ids_unique(&mut reply.tool_uses);
        self.say(text, &reply.tool_uses);
        for tool_use in reply.tool_uses {
            let output = if cancel.is_cancelled() {
                ToolOutput::failed("not run: the turn was cancelled")
            } else if cut {
                // Its arguments may lack their end and still be JSON.
                ToolOutput::failed(
                    "not run: the reply reached the output limit; do it in smaller steps",
                )
            } else {
                summary.tool_calls += 1;
                self.run_tool(&tool_use, observer, cancel).await
            };
            self.messages.push(ChatMessage::Tool {
                tool_call_id: tool_use.id,
                content: output.text,
            });
        }
        cancel.is_cancelled().then_some(TurnEnd::Cancelled)
    }

    async fn run_tool(
        &self,
        tool_use: &ToolUse,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> ToolOutput {
        let call = Call::parse(&tool_use.name, &tool_use.arguments);
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
            Ok(call) => {
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
                    cancel,
                    progress: &progress,
                };
                call.run(&context).await
            }
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

/// Passes on what is new of a reply that may be asked for more than once.
struct Sink<'a> {
    observer: &'a dyn Observer,
    text: Visible,
    thought: Visible,
}

impl<'a> Sink<'a> {
    fn new(reply: u64, observer: &'a dyn Observer) -> Self {
        Self {
            observer,
            text: Visible::new(format!("message-{reply}")),
            thought: Visible::new(format!("thought-{reply}")),
        }
    }
}

impl ReplySink for Sink<'_> {
    fn delta(&mut self, delta: ChatDelta) {
        match delta {
            ChatDelta::Text(text) => {
                if let Some(new) = self.text.piece(&text) {
                    self.observer.text(&self.text.message(), &new);
                }
            }
            ChatDelta::Reasoning(text) => {
                if let Some(new) = self.thought.piece(&text) {
                    self.observer.thought(&self.thought.message(), &new);
                }
            }
            // Announced when it runs: a cut reply's calls never do.
            ChatDelta::ToolUse { .. } => {}
        }
    }

    fn retrying(&mut self, reason: &str, wait: Duration) {
        self.text.restart();
        self.thought.restart();
        self.observer.retrying(reason, wait);
    }
}
