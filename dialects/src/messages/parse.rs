//! Replies of Messages, taken apart.
//!
//! Servers that imitate the API leave out ids, the ends of blocks, or use one
//! index twice; a block that begins ends the one that had its index. Events
//! and deltas nobody here knows are passed over. The stop is told at the end.

use serde_json::{Map, Value, json};

use crate::Dialect;
use crate::conversation::{ReplyEvent, StopReason, StreamError};
use crate::json::{count, items, present, set, string, text};
use crate::usage::Usage;

#[derive(Debug)]
enum Block {
    Text,
    Thinking(Value),
    Call { call: usize, has_arguments: bool },
    Other(Value),
}

/// Reads the events of one reply.
#[derive(Debug)]
pub(crate) struct Parser {
    id_prefix: String,
    calls: usize,
    open: Vec<(u64, Block)>,
    /// The counts so far; the end completes the beginning.
    usage: Map<String, Value>,
    stop: Option<StopReason>,
    stop_sequence: Option<String>,
    done: bool,
}

/// Reads a reply that was not streamed.
pub(crate) fn document(
    body: &Value,
    id_prefix: &str,
    out: &mut Vec<ReplyEvent>,
) -> Result<(), StreamError> {
    let mut parser = Parser::new(id_prefix);
    parser.event(&json!({ "type": "message_start", "message": body }), out);
    for (index, block) in items(body, "content").enumerate() {
        parser.begin(u64::try_from(index).unwrap_or_default(), block, out);
        parser.end_all(out);
    }
    parser.event(&json!({ "type": "message_delta", "delta": body }), out);
    if parser.finish(out) {
        Ok(())
    } else {
        Err(StreamError::Cut)
    }
}

impl Parser {
    pub(crate) fn new(id_prefix: &str) -> Self {
        Self {
            id_prefix: id_prefix.to_owned(),
            calls: 0,
            open: Vec::new(),
            usage: Map::new(),
            stop: None,
            stop_sequence: None,
            done: false,
        }
    }

    /// Takes an event. What it is stands in its data.
    pub(crate) fn event(&mut self, data: &Value, out: &mut Vec<ReplyEvent>) {
        if self.done {
            return;
        }
        let index = count(data, "index");
        match text(data, "type") {
            Some("message_start") => {
                let message = data.get("message").unwrap_or(&Value::Null);
                let (id, model) = (string(message, "id"), string(message, "model"));
                out.push(ReplyEvent::Begin { id, model });
                self.count(message, out);
            }
            Some("content_block_start") => {
                let block = data.get("content_block").unwrap_or(&Value::Null);
                // An index that is missing is one more than the last.
                let next = || self.open.last().map_or(0, |(index, _)| index + 1);
                self.begin(index.unwrap_or_else(next), block, out);
            }
            Some("content_block_delta") => {
                self.delta(index, data.get("delta").unwrap_or(&Value::Null), out);
            }
            Some("content_block_stop") => {
                if let Some(at) = self.position(index) {
                    let (_, block) = self.open.remove(at);
                    self.end(block, out);
                }
            }
            Some("message_delta") => {
                let delta = data.get("delta").unwrap_or(&Value::Null);
                self.stop_sequence = string(delta, "stop_sequence").or(self.stop_sequence.take());
                if let Some(reason) = text(delta, "stop_reason") {
                    self.stop = Some(match reason {
                        "end_turn" => StopReason::EndTurn,
                        "tool_use" => StopReason::ToolUse,
                        "max_tokens" => StopReason::MaxTokens,
                        "stop_sequence" => StopReason::StopSequence(None),
                        "refusal" => StopReason::Refusal,
                        "pause_turn" => StopReason::Pause,
                        "model_context_window_exceeded" => StopReason::ContextExceeded,
                        other => StopReason::Other(other.to_owned()),
                    });
                }
                self.count(data, out);
            }
            Some("message_stop") => self.stop(out),
            _ => {}
        }
    }

    /// The stream is over; whether the reply was complete.
    pub(crate) fn finish(&mut self, out: &mut Vec<ReplyEvent>) -> bool {
        if self.stop.is_some() {
            self.stop(out);
        }
        self.done
    }

    fn stop(&mut self, out: &mut Vec<ReplyEvent>) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        self.end_all(out);
        let stop = match self.stop.take() {
            None | Some(StopReason::EndTurn) if self.calls > 0 => StopReason::ToolUse,
            None => StopReason::EndTurn,
            Some(StopReason::StopSequence(_)) => {
                StopReason::StopSequence(self.stop_sequence.take())
            }
            Some(stop) => stop,
        };
        out.push(ReplyEvent::Stop(stop));
        out.push(ReplyEvent::End);
    }

    fn count(&mut self, source: &Value, out: &mut Vec<ReplyEvent>) {
        if let Some(Value::Object(counts)) = present(source, "usage") {
            let counted = counts.iter().filter(|(_, value)| !value.is_null());
            let counted = counted.map(|(key, value)| (key.clone(), value.clone()));
            self.usage.extend(counted);
            let usage = Usage::read(&Value::Object(self.usage.clone()));
            out.extend(usage.map(ReplyEvent::Usage));
        }
    }

    fn begin(&mut self, index: u64, block: &Value, out: &mut Vec<ReplyEvent>) {
        if let Some(at) = self.open.iter().position(|(open, _)| *open == index) {
            let (_, block) = self.open.remove(at);
            self.end(block, out);
        }
        let block = match text(block, "type") {
            Some("text") => {
                if let Some(said) = text(block, "text").filter(|said| !said.is_empty()) {
                    out.push(ReplyEvent::Text(said.to_owned()));
                }
                Block::Text
            }
            Some("thinking") => {
                if let Some(said) = text(block, "thinking").filter(|said| !said.is_empty()) {
                    out.push(ReplyEvent::Thinking(said.to_owned()));
                }
                Block::Thinking(block.clone())
            }
            Some("redacted_thinking") => Block::Thinking(block.clone()),
            Some("tool_use") => {
                let call = self.calls;
                self.calls += 1;
                let id = string(block, "id").filter(|id| !id.is_empty());
                out.push(ReplyEvent::Call {
                    call,
                    id: id.unwrap_or_else(|| format!("{}{call}", self.id_prefix)),
                    name: string(block, "name").unwrap_or_default(),
                    custom: false,
                });
                let given = block.get("input").and_then(Value::as_object);
                let given = given.filter(|input| !input.is_empty());
                if let Some(input) = given {
                    let piece = Value::Object(input.clone()).to_string();
                    out.push(ReplyEvent::Arguments { call, piece });
                }
                Block::Call {
                    call,
                    has_arguments: given.is_some(),
                }
            }
            _ => Block::Other(block.clone()),
        };
        self.open.push((index, block));
    }

    fn delta(&mut self, index: Option<u64>, delta: &Value, out: &mut Vec<ReplyEvent>) {
        let kind = text(delta, "type").unwrap_or_default();
        if self.position(index).is_none() {
            // A server that does not announce its texts.
            let begun = match kind {
                "text_delta" => json!({ "type": "text" }),
                "thinking_delta" => json!({ "type": "thinking" }),
                _ => return,
            };
            self.begin(index.unwrap_or(0), &begun, out);
        }
        let at = self.position(index);
        let Some((_, block)) = at.and_then(|at| self.open.get_mut(at)) else {
            return;
        };
        match (block, kind) {
            (Block::Text, "text_delta") => {
                if let Some(said) = text(delta, "text").filter(|said| !said.is_empty()) {
                    out.push(ReplyEvent::Text(said.to_owned()));
                }
            }
            (Block::Thinking(raw), "thinking_delta") => {
                let said = text(delta, "thinking").unwrap_or_default();
                append(raw, "thinking", said);
                if !said.is_empty() {
                    out.push(ReplyEvent::Thinking(said.to_owned()));
                }
            }
            (Block::Thinking(raw), "signature_delta") => {
                append(
                    raw,
                    "signature",
                    text(delta, "signature").unwrap_or_default(),
                );
            }
            (
                Block::Call {
                    call,
                    has_arguments,
                },
                "input_json_delta",
            ) => {
                if let Some(piece) = text(delta, "partial_json").filter(|p| !p.is_empty()) {
                    *has_arguments = true;
                    let (call, piece) = (*call, piece.to_owned());
                    out.push(ReplyEvent::Arguments { call, piece });
                }
            }
            (Block::Other(raw), "input_json_delta") => {
                append(
                    raw,
                    "partial",
                    text(delta, "partial_json").unwrap_or_default(),
                );
            }
            _ => {}
        }
    }

    fn end_all(&mut self, out: &mut Vec<ReplyEvent>) {
        for (_, block) in std::mem::take(&mut self.open) {
            self.end(block, out);
        }
    }

    fn end(&mut self, block: Block, out: &mut Vec<ReplyEvent>) {
        match block {
            Block::Text => out.push(ReplyEvent::TextEnd),
            Block::Thinking(raw) => {
                let raw = Some((Dialect::Messages, raw));
                out.push(ReplyEvent::ThinkingEnd { raw });
            }
            Block::Call {
                call,
                has_arguments,
            } => {
                if !has_arguments {
                    let piece = "{}".to_owned();
                    out.push(ReplyEvent::Arguments { call, piece });
                }
                out.push(ReplyEvent::CallEnd { call });
            }
            Block::Other(mut raw) => {
                // A block of the API's own tools: its input came in pieces.
                if let Some(fields) = raw.as_object_mut()
                    && let Some(Value::String(partial)) = fields.remove("partial")
                {
                    let input = crate::json::arguments_object(&partial);
                    fields.insert("input".to_owned(), input);
                }
                let dialect = Dialect::Messages;
                out.push(ReplyEvent::Foreign { dialect, raw });
            }
        }
    }

    fn position(&self, index: Option<u64>) -> Option<usize> {
        match index {
            Some(index) => self.open.iter().position(|(open, _)| *open == index),
            None => self.open.len().checked_sub(1),
        }
    }
}

fn append(raw: &mut Value, key: &str, piece: &str) {
    match raw.get_mut(key) {
        Some(Value::String(whole)) => whole.push_str(piece),
        _ => set(raw, key, piece),
    }
}
