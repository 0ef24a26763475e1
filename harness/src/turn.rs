//! The loop: ask the model, run what it calls, send the results, until it
//! calls nothing more, or a limit ends it.
//!
//! A call that cannot be read is answered with what is wrong with it; a call
//! that gives the same result again and again, with a word that it does. Both
//! are bounded. A conversation that comes near the model's limit is compacted
//! before the next request.
//!
//! Invariants: after every turn, however it ended, each call in the
//! conversation is followed by its result, so the next prompt can follow; a
//! request begins with the bytes of the request before it, unless the
//! conversation was compacted between them.

mod calls;

use std::collections::HashMap;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sam_acp::{Block, Notice, PlanEntry, ToolCall, ToolCallUpdate};
use sam_dialects::Usage;
use sam_dialects::conversation::{Body, Part, Reply, Tool, ToolCall as ToolUse};
use sam_domain::catalogue::price::MicroDollars;
use sam_harness::transcript::{Digest, Event};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::guard::{Guard, Person};
use crate::limits::{Limits, TurnEnd, TurnSummary, estimated};
use crate::mcp::Servers;
use crate::model::{FaultKind, ModelClient, ModelError, Trouble};
use crate::notice;
use crate::prompt::PromptOptions;
use crate::repeats::Repeats;
use crate::session::Session;
use crate::sink::Sink;
use crate::tools::{self, Jobs, ProcessGroups, ToolOutput};
use crate::turn::calls::Taking;
use crate::workspace::Workspace;

/// What is said of an answer whose text looks like a call.
const CALL_IN_TEXT: &str =
    "the model wrote what looks like a tool call into its text; it was not run";
/// The command that compacts a conversation.
pub(crate) const COMPACT: &str = "/compact";

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
    /// The plan changed; here is all of it.
    fn plan(&self, entries: &[PlanEntry]);
    /// A reply came; so many tokens the conversation has by now, and has cost
    /// so many millionths of a dollar, where that is known.
    fn context(&self, used: u64, cost: Option<MicroDollars>);
    /// A reply did not come at the first attempt; troubles with one id are one
    /// reply's.
    fn trouble(&self, id: &str, trouble: &Trouble<'_>);
    /// A limit ended the turn.
    fn stopped(&self, end: TurnEnd, why: &str);
    /// Something else worth knowing of the agent's condition.
    fn notice(&self, notice: &Notice);
}

/// What a person says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prompt {
    /// As the model is given it.
    pub(crate) parts: Vec<Part>,
    /// As a host gave it, when that is more than one text.
    pub(crate) blocks: Vec<Block>,
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self {
            parts: vec![Part::text(text)],
            blocks: Vec::new(),
        }
    }
}

impl Prompt {
    /// Whether it is the command that compacts.
    fn is_compact(&self) -> bool {
        matches!(self.parts.as_slice(), [part] if part.as_text().is_some_and(|text| text.trim() == COMPACT))
    }
}

/// Results of tools that are not run but remembered.
pub(crate) type Remembered = HashMap<String, ToolOutput>;

/// A conversation and what it needs to go on.
pub(crate) struct Conversation {
    workspace: Arc<Workspace>,
    groups: ProcessGroups,
    guard: Arc<Guard>,
    jobs: Jobs,
    servers: Servers,
    tools: Vec<Tool>,
    session: Session,
    limits: Limits,
    remembered: Option<Remembered>,
}

impl Conversation {
    /// A conversation that goes on where its session stands; a new one gets
    /// its instructions.
    pub(crate) fn new(
        workspace: Workspace,
        groups: ProcessGroups,
        guard: Arc<Guard>,
        mut session: Session,
        limits: Limits,
        prompt: &PromptOptions,
    ) -> Self {
        if session.messages().is_empty() {
            let text = crate::prompt::system(prompt, &workspace, &guard);
            session.commit(Event::Instructions { text });
        }
        session.fact("isolation", json!(guard.sandbox().level()));
        let further: Vec<&Path> = workspace.further().collect();
        if !further.is_empty() {
            session.fact("additional_directories", json!(further));
        }
        Self {
            workspace: Arc::new(workspace),
            groups,
            guard,
            jobs: Jobs::default(),
            servers: Servers::default(),
            tools: tools::definitions(),
            session,
            limits,
            remembered: None,
        }
    }

    /// Runs no tool, but gives what is remembered of it.
    pub(crate) fn remember(&mut self, results: Remembered) {
        self.remembered = Some(results);
    }

    /// Has these servers' tools, too.
    pub(crate) fn add_servers(&mut self, servers: Servers) {
        self.servers = servers;
    }

    /// Connects to the servers that are not connected, and offers what they
    /// have.
    async fn connect_servers(&mut self, observer: &dyn Observer, cancel: &CancellationToken) {
        if self.servers.is_empty() {
            return;
        }
        for (name, why) in self.servers.connect(cancel).await {
            let notice = notice::server(&name, &why);
            observer.notice(&notice);
            self.session.commit(Event::Notice { notice });
        }
        self.tools = tools::definitions();
        self.tools.extend(self.servers.definitions());
    }

    /// Offers these tools from here on.
    pub(crate) fn offer(&mut self, tools: Vec<Tool>) {
        self.tools = tools;
    }

    /// The conversation's record.
    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Works on a prompt to the end of the turn.
    pub(crate) async fn turn(
        &mut self,
        model: &ModelClient,
        prompt: Prompt,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<TurnSummary, ModelError> {
        if prompt.is_compact() {
            return self.compact_now(model, observer);
        }
        self.connect_servers(observer, cancel).await;
        let limits = self.limits;
        // Time that is up ends a turn as a cancellation does.
        let stop = cancel.child_token();
        let time = limits.time.unwrap_or(Duration::MAX);
        let ended = {
            let mut work = pin!(self.work(model, prompt, observer, &stop));
            match tokio::time::timeout(time, &mut work).await {
                Ok(ended) => ended,
                Err(_) => {
                    stop.cancel();
                    work.await
                }
            }
        };
        let ended = ended.map(|mut summary| {
            if summary.end == TurnEnd::Cancelled && !cancel.is_cancelled() {
                summary.end = TurnEnd::MaxSeconds;
            }
            if let Some(why) = limits.words(summary.end) {
                self.stopped(summary.end, &why, observer);
            }
            summary
        });
        self.end_turn(&ended, observer);
        ended
    }

    /// Records a turn's end.
    fn end_turn(&mut self, ended: &Result<TurnSummary, ModelError>, observer: &dyn Observer) {
        let event = match ended {
            Ok(summary) => Event::TurnEnd {
                end: summary.end.word().to_owned(),
                error: None,
                requests: summary.requests,
                tool_calls: summary.tool_calls,
                usage: summary.usage,
            },
            Err(error) => Event::TurnEnd {
                end: "error".to_owned(),
                error: Some(error.to_string()),
                requests: 0,
                tool_calls: 0,
                usage: Usage::default(),
            },
        };
        self.session.commit(event);
        self.session.sync();
        if let Some(why) = self.session.take_failure() {
            observer.notice(&notice::unrecorded(&why));
        }
    }

    fn stopped(&mut self, end: TurnEnd, why: &str, observer: &dyn Observer) {
        let notice = notice::stopped(end, why);
        self.session.commit(Event::Notice { notice });
        observer.stopped(end, why);
    }

    async fn work(
        &mut self,
        model: &ModelClient,
        prompt: Prompt,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<TurnSummary, ModelError> {
        self.session.offer(self.tools.clone());
        self.session.commit(Event::Prompt {
            parts: prompt.parts,
            blocks: prompt.blocks,
        });
        let before = self.reads();
        let mut repeats = Repeats::new(self.limits.repeats);
        let mut summary = TurnSummary::default();
        let mut refused_as_too_long = false;
        loop {
            if let Some(end) = self.limits.reached(&summary) {
                summary.end = end;
                break;
            }
            let body = self.request(model, observer)?;
            let digest = digest(&body);
            let number = self.session.state().replies;
            let prefix = format!("call_{}_", number + 1);
            let mut sink = Sink::new(number, &mut self.session, observer);
            let asked = model.complete(body, &prefix, &mut sink, cancel).await;
            let said = sink.said();
            let reply = match asked {
                Ok(reply) => reply,
                Err(ModelError::Failed {
                    kind: FaultKind::ContextFull,
                    ..
                }) if !refused_as_too_long && self.compact(model, "refused", observer)? => {
                    refused_as_too_long = true;
                    continue;
                }
                Err(error) => {
                    // What was shown was said.
                    if !said.is_empty() {
                        summary.text.clone_from(&said);
                    }
                    self.session.commit(Event::Broken { number, text: said });
                    match error {
                        ModelError::Cancelled => summary.end = TurnEnd::Cancelled,
                        // Some models end their work without a word.
                        ModelError::Failed {
                            kind: FaultKind::EmptyReply,
                            ..
                        } if summary.tool_calls > 0 => {}
                        ModelError::Failed { .. } => return Err(error),
                    }
                    break;
                }
            };
            summary.requests += 1;
            let cost = self.count(&reply, digest.bytes, model, &mut summary);
            if let Some(usage) = reply.usage {
                summary.context = Some(usage.total);
                let before = self.session.state().cost.unwrap_or(0);
                let cost = cost.map(|cost| cost.saturating_add(before));
                observer.context(usage.total, cost);
            }
            let turn = Taking {
                cost,
                observer,
                cancel,
                summary: &mut summary,
                repeats: &mut repeats,
            };
            let taken = self.take(number, reply, digest, turn);
            if let Some(end) = taken.await? {
                summary.end = end;
                break;
            }
        }
        let after = self.reads();
        (summary.reads, summary.rereads) = (after.0 - before.0, after.1 - before.1);
        Ok(summary)
    }

    /// Counts what a reply took, against the limits; what it cost.
    fn count(
        &self,
        reply: &Reply,
        sent: u64,
        model: &ModelClient,
        summary: &mut TurnSummary,
    ) -> Option<MicroDollars> {
        let received = reply.parts.iter().map(|part| match &part.body {
            Body::Call(call) => call.arguments.len(),
            Body::Thinking(thinking) => thinking.text.len(),
            _ => part.as_text().map_or(0, str::len),
        });
        let received = u64::try_from(received.sum::<usize>()).unwrap_or(u64::MAX);
        let usage = reply.usage.unwrap_or_else(|| {
            let usage = estimated(sent, received);
            summary.estimated = summary.estimated.saturating_add(usage.total);
            usage
        });
        if reply.usage.is_some() {
            summary.usage = summary.usage.plus(usage);
        }
        let cost = model.cost(&self.session.state().settings, usage);
        summary.cost = cost.map(|cost| cost.saturating_add(summary.cost.unwrap_or(0)));
        cost
    }

    fn reads(&self) -> (u64, u64) {
        let state = self.session.state();
        (state.reads, state.rereads)
    }

    /// The next request, after a compaction if it would be too long.
    fn request(
        &mut self,
        model: &ModelClient,
        observer: &dyn Observer,
    ) -> Result<Vec<u8>, ModelError> {
        let state = self.session.state();
        let body = model.request(&state.settings, &state.tools, &state.messages)?;
        if self.limits.compacts_at(length(&body), state.measured)
            && self.compact(model, "full", observer)?
        {
            let state = self.session.state();
            return model.request(&state.settings, &state.tools, &state.messages);
        }
        Ok(body)
    }

    /// Compacts the conversation; whether it has become shorter.
    fn compact(
        &mut self,
        model: &ModelClient,
        reason: &str,
        observer: &dyn Observer,
    ) -> Result<bool, ModelError> {
        let state = self.session.state();
        let write = |messages| model.request(&state.settings, &state.tools, messages);
        let before = write(&state.messages)?;
        let fixed = write(state.messages.get(..1).unwrap_or_default())?;
        // Asked for, or refused by the model API, a compaction halves at least.
        let room = match reason {
            "full" => self.limits.room(state.measured),
            _ => self.limits.room(state.measured).min(length(&before) / 2),
        };
        let room = room.saturating_sub(length(&fixed));
        let compacted = self.session.compacted(room);
        let after = write(&compacted.messages)?;
        let (before, after) = (length(&before), length(&after));
        // What saves less than a tenth is not worth the loss.
        if after.saturating_mul(10) > before.saturating_mul(9) {
            return Ok(false);
        }
        let messages = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
        let event = Event::Compaction {
            reason: reason.to_owned(),
            bytes_before: before,
            bytes_after: after,
            messages_before: messages(state.messages.len()),
            messages_after: messages(compacted.messages.len()),
        };
        let told = notice::compacted(before, after, compacted.compactions);
        self.session.commit(Event::Notice {
            notice: told.clone(),
        });
        self.session.replace(compacted, event);
        observer.notice(&told);
        Ok(true)
    }

    /// Compacts because the person asked.
    fn compact_now(
        &mut self,
        model: &ModelClient,
        observer: &dyn Observer,
    ) -> Result<TurnSummary, ModelError> {
        self.session.offer(self.tools.clone());
        let text = match self.compact(model, "asked", observer)? {
            true => "The conversation is compacted.",
            false => "There is nothing to compact yet.",
        };
        observer.text(
            &format!("compact-{}", self.session.state().compactions),
            text,
        );
        let summary = TurnSummary {
            text: text.to_owned(),
            ..TurnSummary::default()
        };
        Ok(summary)
    }

    /// Adds a reply to the conversation, its calls under the ids they have by
    /// now. What it thought stays as it came.
    fn say(
        &mut self,
        number: u64,
        reply: Reply,
        calls: &[ToolUse],
        request: Digest,
        cost: Option<MicroDollars>,
    ) {
        let (model, usage) = (reply.model.clone(), reply.usage);
        let stop = reply.stop.as_ref().map(notice::stop_word);
        let mut parts = reply.into_message().parts;
        let said = parts.iter_mut().filter_map(|part| match &mut part.body {
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
        if parts.is_empty() {
            // Some servers refuse an answer that is neither text nor calls.
            parts.push(Part::text(""));
        }
        self.session.commit(Event::Reply {
            number,
            parts,
            model,
            usage,
            cost,
            stop,
            request: Some(request),
        });
    }
}

fn length(body: &[u8]) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}

fn digest(body: &[u8]) -> Digest {
    Digest {
        sha256: tools::hexadecimal(&Sha256::digest(body)),
        bytes: length(body),
    }
}
