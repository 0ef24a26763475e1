//! A whole reply and its calls.
//!
//! Calls run in the order in which the model made them, except that calls next
//! to each other which only look run at once: none of them can change what
//! another sees. Results are given to the model, and recorded, in the model's
//! order all the same.

use std::collections::{HashSet, VecDeque};

use futures::future::join_all;
use sam_acp::{ToolCall, ToolCallUpdate, ToolContent, ToolStatus};
use sam_dialects::conversation::{Part, Reply, StopReason, ToolCall as ToolUse};
use sam_domain::catalogue::price::MicroDollars;
use sam_harness::transcript::{Digest, Event};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::limits::{TurnEnd, TurnSummary};
use crate::model::{FaultKind, ModelError};
use crate::notice;
use crate::repeats::{MOST_UNREADABLE, Repeats, TELL_AT};
use crate::tools::{Call, ToolContext, ToolOutput};
use crate::turn::{CALL_IN_TEXT, Conversation, Observer};

/// Calls that run at once.
const MOST_AT_ONCE: usize = 8;

/// What a turn lends for one reply.
pub(super) struct Taking<'a> {
    /// What the reply cost, where that is known.
    pub(super) cost: Option<MicroDollars>,
    pub(super) observer: &'a dyn Observer,
    pub(super) cancel: &'a CancellationToken,
    pub(super) summary: &'a mut TurnSummary,
    pub(super) repeats: &'a mut Repeats,
}

/// A call as the model made it, and as it was read.
type Made = (ToolUse, Result<Call, String>);

impl Conversation {
    /// Takes a whole reply; the turn's end, if it is one.
    pub(super) async fn take(
        &mut self,
        number: u64,
        reply: Reply,
        request: Digest,
        turn: Taking<'_>,
    ) -> Result<Option<TurnEnd>, ModelError> {
        let cut = matches!(
            reply.stop,
            Some(StopReason::MaxTokens | StopReason::ContextExceeded)
        );
        let mut tool_uses: Vec<ToolUse> = reply.calls().cloned().collect();
        if tool_uses.is_empty() {
            turn.summary.text = reply.text();
            let end = match reply.stop {
                _ if cut => TurnEnd::MaxTokens,
                Some(StopReason::Refusal) => TurnEnd::Refused,
                _ => TurnEnd::Complete,
            };
            let call_in_text = reply.call_in_text();
            self.say(number, reply, &[], request, turn.cost);
            if call_in_text {
                self.stopped(end, CALL_IN_TEXT, turn.observer);
            }
            return Ok(Some(end));
        }
        self.make_ids_unique(&mut tool_uses);
        self.say(number, reply, &tool_uses, request, turn.cost);
        self.make_calls(tool_uses, cut, turn).await
    }

    /// Makes the calls of a reply; the turn's end, if they are one. Each call
    /// gets its result, whether it was run or not.
    async fn make_calls(
        &mut self,
        tool_uses: Vec<ToolUse>,
        cut: bool,
        turn: Taking<'_>,
    ) -> Result<Option<TurnEnd>, ModelError> {
        let read = |tool_use: ToolUse| {
            let call = Call::parse(&tool_use.name, &tool_use.arguments, &self.servers);
            (tool_use, call)
        };
        let mut made: VecDeque<Made> = tool_uses.into_iter().map(read).collect();
        let mut end = None;
        while !made.is_empty() {
            let group = next_group(&mut made);
            let not_run = if turn.cancel.is_cancelled() {
                Some("not run: the turn was cancelled")
            } else if end.is_some() {
                Some("not run: the turn is over")
            } else if cut {
                // Its arguments may lack their end and still be JSON.
                Some("not run: the reply reached the output limit; do it in smaller steps")
            } else {
                None
            };
            if let Some(why) = not_run {
                for (tool_use, _) in group {
                    self.take_result(tool_use, ToolOutput::failed(why), turn.observer);
                }
                continue;
            }
            for (_, call) in &group {
                turn.summary.tool_calls += 1;
                if turn.repeats.read(call.is_ok()) {
                    let detail = format!("{MOST_UNREADABLE} in a row");
                    end = Some(Err(ModelError::failed(FaultKind::UnreadableCalls, detail)));
                }
            }
            for (tool_use, mut output) in self.run_group(group, turn.observer, turn.cancel).await {
                if end.is_none() {
                    let times = turn.repeats.took(&tool_use, &output.text);
                    if turn.repeats.too_many(times) {
                        end = Some(Ok(TurnEnd::Repeating));
                    } else if times >= TELL_AT {
                        output.text.push_str(&notice::repeated(times));
                    }
                }
                self.take_result(tool_use, output, turn.observer);
            }
        }
        if turn.cancel.is_cancelled() {
            return Ok(Some(TurnEnd::Cancelled));
        }
        end.transpose()
    }

    /// Runs calls at once; their results in the calls' order.
    async fn run_group(
        &mut self,
        group: Vec<Made>,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Vec<(ToolUse, ToolOutput)> {
        let mut begun = Vec::with_capacity(group.len());
        for (tool_use, call) in group {
            let shown = self.announce(&tool_use, &call, observer);
            let remembered = self.remembered.as_mut().map(|results| {
                results
                    .remove(&tool_use.id)
                    .unwrap_or_else(|| ToolOutput::failed("not run: there is no record of it"))
            });
            begun.push((tool_use, call, shown, remembered));
        }
        let this = &*self;
        let running = begun
            .into_iter()
            .map(async |(tool_use, call, shown, remembered)| {
                let output = match (remembered, call) {
                    (Some(output), _) => output,
                    (None, Err(reason)) => ToolOutput::failed(reason),
                    (None, Ok(call)) => this.run_tool(call, &shown, observer, cancel).await,
                };
                observer.tool_changed(&ended(&tool_use.id, &output));
                (tool_use, output)
            });
        join_all(running).await
    }

    /// Says that a call is about to run.
    fn announce(
        &mut self,
        tool_use: &ToolUse,
        call: &Result<Call, String>,
        observer: &dyn Observer,
    ) -> ToolCall {
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
        if let Ok(call) = call {
            let description = call.describe(&self.workspace);
            shown.title = description.title;
            shown.kind = description.kind;
            shown.locations = description.locations;
        }
        observer.tool_started(&shown);
        self.session.commit(Event::ToolCall {
            call: shown.clone(),
        });
        shown
    }

    async fn run_tool(
        &self,
        call: Call,
        shown: &ToolCall,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> ToolOutput {
        // A cancelled turn waits for no answer.
        let admitted = tokio::select! {
            admitted = self.guard.admit(call.access(), shown, observer) => admitted,
            () = cancel.cancelled() => Err("not run: the turn was cancelled".to_owned()),
        };
        if let Err(why) = admitted {
            return ToolOutput::failed(why);
        }
        let progress = |text: &str| {
            observer.tool_changed(&ToolCallUpdate {
                id: shown.id.clone(),
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
            jobs: &self.jobs,
            call: &shown.id,
            cancel,
            progress: &progress,
        };
        call.run(&context).await
    }

    /// Records what a tool gave, and what it changed of the conversation.
    fn take_result(&mut self, tool_use: ToolUse, output: ToolOutput, observer: &dyn Observer) {
        let update = ended(&tool_use.id, &output);
        let plan = output.plan;
        self.session.commit(Event::ToolResult {
            call: tool_use.id,
            parts: vec![Part::text(output.text)],
            failed: output.failed,
            custom: tool_use.custom,
            update: Some(update),
            files: output.files,
        });
        if let Some(entries) = plan {
            observer.plan(&entries);
            self.session.commit(Event::Plan { entries });
        }
    }

    /// Some servers number the calls of each reply anew; here an id is unique
    /// in the conversation.
    fn make_ids_unique(&self, tool_uses: &mut [ToolUse]) {
        let known = &self.session.state().call_ids;
        let mut new = HashSet::new();
        for tool_use in tool_uses {
            let given = tool_use.id.clone();
            let mut number = 2_u32;
            while known.contains(&tool_use.id) || !new.insert(tool_use.id.clone()) {
                tool_use.id = format!("{given}-{number}");
                number += 1;
            }
        }
    }
}

/// The calls that run next: one, or as many as only look.
fn next_group(made: &mut VecDeque<Made>) -> Vec<Made> {
    let looks = |(_, call): &Made| call.as_ref().is_ok_and(Call::only_looks);
    let together = made
        .iter()
        .take(MOST_AT_ONCE)
        .take_while(|made| looks(made));
    let together = together.count().max(1);
    made.drain(..together.min(made.len())).collect()
}

/// What hosts see of a tool's end.
fn ended(id: &str, output: &ToolOutput) -> ToolCallUpdate {
    ToolCallUpdate {
        id: id.to_owned(),
        status: Some(if output.failed {
            ToolStatus::Failed
        } else {
            ToolStatus::Completed
        }),
        content: Some(output.content()),
        ..ToolCallUpdate::default()
    }
}
