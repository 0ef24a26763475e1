//! What a conversation is, as far as it can be resumed: the events summed up.

use std::collections::{BTreeMap, BTreeSet};

use sam_acp::PlanEntry;
use sam_dialects::Usage;
use sam_dialects::conversation::{Body, Message, Part, Role, Tool, ToolResult};
use serde::{Deserialize, Serialize};

use super::event::{Event, FileSeen};
use super::message::{messages, tools};

/// What a model is told of a call whose effect nobody knows.
const CUT_OFF: &str = "error: the agent ended while this ran; whether it had its effect is unknown. Look before you \
                       do it again.";

/// A file the conversation has met.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileKnown {
    /// SHA-256 of the file when it was last seen, in hexadecimal.
    pub sha256: String,
    /// Its lines then.
    pub lines: u64,
    /// The lines that were shown of this content, as ranges, first and last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<(u64, u64)>,
    /// Whether the agent wrote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub written: bool,
    /// The number of the reply that last met it, which orders files by time.
    pub reply: u64,
}

/// A conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What the model is sent.
    #[serde(with = "messages")]
    pub messages: Vec<Message>,
    /// The tools offered.
    #[serde(with = "tools")]
    pub tools: Vec<Tool>,
    /// The plan.
    pub plan: Vec<PlanEntry>,
    /// The files it has met, by their path relative to the workspace.
    pub files: BTreeMap<String, FileKnown>,
    /// Settings that were changed.
    pub settings: BTreeMap<String, String>,
    /// What the first prompt begins with.
    pub title: Option<String>,
    /// Prompts so far.
    pub prompts: u64,
    /// Requests so far, whole or broken.
    pub replies: u64,
    /// Compactions so far.
    pub compactions: u64,
    /// Reads of files so far.
    pub reads: u64,
    /// Of these, reads of lines that had been shown and have not changed since.
    pub rereads: u64,
    /// Over all replies.
    pub usage: Usage,
    /// Over all replies whose price was known, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// Tokens of the conversation at the last reply, when the upstream told.
    pub context: Option<u64>,
    /// Bytes of the last request that was counted, and its tokens.
    pub measured: Option<(u64, u64)>,
    /// Every id a call has had.
    pub call_ids: BTreeSet<String>,
}

impl State {
    /// Takes in what happened.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Checkpoint { state } => self.clone_from(state),
            Event::Instructions { text } => {
                let message = Message::text(Role::System, text.clone());
                match self.messages.first_mut() {
                    Some(first) if first.role == Role::System => *first = message,
                    _ => self.messages.insert(0, message),
                }
            }
            Event::Tools { tools } => self.tools.clone_from(tools),
            Event::Prompt { parts, .. } => {
                self.prompts += 1;
                if self.title.is_none() {
                    self.title = title(parts);
                }
                self.messages.push(Message {
                    role: Role::User,
                    parts: parts.clone(),
                });
            }
            Event::Reply {
                number,
                parts,
                usage,
                cost,
                request,
                ..
            } => {
                self.replies = number.saturating_add(1);
                self.cost = cost.map_or(self.cost, |cost| {
                    Some(cost.saturating_add(self.cost.unwrap_or(0)))
                });
                if let Some(usage) = usage {
                    self.usage = self.usage.plus(*usage);
                    self.context = Some(usage.total);
                    let bytes = request.as_ref().map(|request| request.bytes);
                    self.measured = bytes.map(|bytes| (bytes, usage.input)).or(self.measured);
                }
                let calls = parts.iter().filter_map(|part| match &part.body {
                    Body::Call(call) => Some(call.id.clone()),
                    _ => None,
                });
                self.call_ids.extend(calls);
                self.messages.push(Message {
                    role: Role::Assistant,
                    parts: parts.clone(),
                });
            }
            Event::Broken { number, text } => {
                self.replies = number.saturating_add(1);
                if !text.is_empty() {
                    let message = Message::text(Role::Assistant, text.clone());
                    self.messages.push(message);
                }
            }
            Event::ToolResult {
                call,
                parts,
                failed,
                custom,
                files,
                ..
            } => {
                self.messages.push(Message {
                    role: Role::User,
                    parts: vec![
                        Body::Result(ToolResult {
                            call: call.clone(),
                            parts: parts.clone(),
                            failed: *failed,
                            custom: *custom,
                        })
                        .into(),
                    ],
                });
                for file in files {
                    self.meet(file);
                }
            }
            Event::Plan { entries } => self.plan.clone_from(entries),
            Event::Setting { name, value } => {
                self.settings.insert(name.clone(), value.clone());
            }
            Event::Compaction { .. }
            | Event::ToolCall { .. }
            | Event::Notice { .. }
            | Event::Fact { .. }
            | Event::Withdrawn { .. }
            | Event::TurnEnd { .. }
            | Event::Resumed { .. }
            | Event::Torn { .. } => {}
        }
    }

    /// Takes in that a file was read or written.
    fn meet(&mut self, seen: &FileSeen) {
        let reply = self.replies;
        let known = self.files.entry(seen.path.clone()).or_default();
        if known.sha256 != seen.sha256 {
            known.sha256.clone_from(&seen.sha256);
            known.shown.clear();
        }
        known.lines = seen.lines;
        known.written |= seen.written;
        known.reply = reply;
        if let Some((first, last)) = seen.shown {
            self.reads += 1;
            let covers = |range: &(u64, u64)| range.0 <= first && last <= range.1;
            if known.shown.iter().any(covers) {
                self.rereads += 1;
            } else {
                known.shown.push((first, last));
                known.shown = joined(std::mem::take(&mut known.shown));
            }
        }
    }

    /// What has to happen before the conversation can go on after its process
    /// was ended: a result for each call that has none.
    pub fn mend(&self) -> Vec<Event> {
        let answered: BTreeSet<&str> = self
            .messages
            .iter()
            .flat_map(|message| &message.parts)
            .filter_map(|part| match &part.body {
                Body::Result(result) => Some(result.call.as_str()),
                _ => None,
            })
            .collect();
        let calls = self.messages.iter().flat_map(|message| &message.parts);
        calls
            .filter_map(|part| match &part.body {
                Body::Call(call) if !answered.contains(call.id.as_str()) => Some(call),
                _ => None,
            })
            .map(|call| Event::ToolResult {
                call: call.id.clone(),
                parts: vec![Part::text(CUT_OFF)],
                failed: true,
                custom: call.custom,
                update: Some(sam_acp::ToolCallUpdate {
                    id: call.id.clone(),
                    status: Some(sam_acp::ToolStatus::Failed),
                    content: Some(vec![sam_acp::ToolContent::Text {
                        text: CUT_OFF.to_owned(),
                    }]),
                    ..sam_acp::ToolCallUpdate::default()
                }),
                files: Vec::new(),
            })
            .collect()
    }

    /// Removes results whose call a damaged transcript has lost: no model API
    /// takes them.
    pub fn drop_orphans(&mut self) {
        let calls = self.messages.iter().flat_map(|message| &message.parts);
        let calls: BTreeSet<String> = calls
            .filter_map(|part| match &part.body {
                Body::Call(call) => Some(call.id.clone()),
                _ => None,
            })
            .collect();
        for message in &mut self.messages {
            message.parts.retain(|part| match &part.body {
                Body::Result(result) => calls.contains(&result.call),
                _ => true,
            });
        }
        self.messages.retain(|message| !message.parts.is_empty());
    }
}

/// Ranges of lines in order, those that touch as one.
fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// The first line of a prompt, shortened.
pub fn title(parts: &[Part]) -> Option<String> {
    const MOST: usize = 80;
    let text = parts.iter().find_map(Part::as_text)?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let mut title: String = line.chars().take(MOST).collect();
    if title.len() < line.len() {
        title.push('…');
    }
    Some(title)
}
