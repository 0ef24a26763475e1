//! What happened in a session, told to a host that opens it again: the same
//! updates, in the same order and under the same ids, each text in one piece.

use std::collections::HashMap;
use std::path::Path;

use sam_acp::{AcpSessionId, AgentLink, AgentUpdate, Block, Chunk, ToolContent, ToolStatus};
use sam_dialects::conversation::{Body, Part};
use sam_harness::transcript::{self, Entry, Event, TranscriptError, title};

use crate::serve::watcher::{chunk, fullness};
use crate::sink::{message_id, thought_id};

/// Sends all that happened.
pub(super) fn replay(
    root: &Path,
    session: &AcpSessionId,
    link: &AgentLink,
    window: u64,
) -> Result<(), TranscriptError> {
    let (_, entries) = transcript::events(root, session.as_str())?;
    let mut story = Story {
        window,
        ..Story::default()
    };
    for entry in entries {
        if let Entry::Line(line) = entry {
            for update in story.tell(line.event) {
                link.update(session, &update);
            }
        }
    }
    Ok(())
}

/// Turns events into updates.
#[derive(Default)]
struct Story {
    window: u64,
    /// So far, in millionths of a dollar.
    cost: u64,
    prompts: u64,
    /// How often a reply began anew, by its number.
    withdrawn: HashMap<u64, u32>,
}

impl Story {
    fn tell(&mut self, event: Event) -> Vec<AgentUpdate> {
        match event {
            Event::Prompt { parts, blocks } => self.prompt(&parts, blocks),
            Event::Reply {
                number,
                parts,
                usage,
                cost,
                ..
            } => {
                let mut updates = self.reply(number, &parts);
                let cost = cost.map(|cost| {
                    self.cost = self.cost.saturating_add(cost);
                    self.cost
                });
                updates.extend(usage.map(|usage| fullness(usage.total, self.window, cost)));
                updates
            }
            Event::Broken { number, text } if !text.is_empty() => {
                vec![self.message(number, &text)]
            }
            Event::Withdrawn { number, text } => {
                let update = self.message(number, &text);
                *self.withdrawn.entry(number).or_default() += 1;
                vec![update]
            }
            Event::ToolCall { call } => vec![AgentUpdate::ToolCall(call)],
            Event::ToolResult {
                call,
                parts,
                failed,
                update,
                ..
            } => {
                let update = update.unwrap_or_else(|| sam_acp::ToolCallUpdate {
                    id: call,
                    status: Some(match failed {
                        true => ToolStatus::Failed,
                        false => ToolStatus::Completed,
                    }),
                    content: Some(vec![ToolContent::Text { text: text(&parts) }]),
                    ..sam_acp::ToolCallUpdate::default()
                });
                vec![AgentUpdate::ToolCallUpdate(update)]
            }
            Event::Plan { entries } => vec![AgentUpdate::Plan { entries }],
            Event::Notice { notice } => vec![AgentUpdate::Notice(notice)],
            _ => Vec::new(),
        }
    }

    fn prompt(&mut self, parts: &[Part], blocks: Vec<Block>) -> Vec<AgentUpdate> {
        let id = format!("prompt-{}", self.prompts);
        self.prompts += 1;
        let blocks = match blocks.is_empty() {
            true => vec![Block::text(text(parts))],
            false => blocks,
        };
        let mut updates: Vec<AgentUpdate> = blocks
            .into_iter()
            .map(|block| {
                AgentUpdate::UserMessage(Chunk {
                    message_id: Some(id.clone()),
                    block,
                })
            })
            .collect();
        if self.prompts == 1 {
            updates.extend(title(parts).map(|title| AgentUpdate::SessionInfo {
                title: Some(title),
                raw: serde_json::Value::Null,
            }));
        }
        updates
    }

    fn reply(&self, number: u64, parts: &[Part]) -> Vec<AgentUpdate> {
        let mut updates = Vec::new();
        for part in parts {
            match &part.body {
                Body::Thinking(thinking) if !thinking.text.is_empty() => {
                    let thought = chunk(&thought_id(number), &thinking.text);
                    updates.push(AgentUpdate::Thought(thought));
                }
                Body::Text(text) | Body::Refusal(text) if !text.is_empty() => {
                    updates.push(self.message(number, text));
                }
                _ => {}
            }
        }
        updates
    }

    fn message(&self, number: u64, text: &str) -> AgentUpdate {
        let id = match self.withdrawn.get(&number) {
            None => message_id(number),
            Some(times) => format!("{}.{}", message_id(number), times + 1),
        };
        AgentUpdate::Message(chunk(&id, text))
    }
}

fn text(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(Part::as_text);
    texts.collect::<Vec<_>>().join("\n")
}
