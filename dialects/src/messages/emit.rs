//! Replies of Messages, written.

use serde_json::{Value, json};

use crate::Dialect;
use crate::conversation::{Body, Reply, ReplyEvent, StopReason, Thinking, ToolCall, seal};
use crate::dialect::WriterOptions;
use crate::error::ApiError;
use crate::json::{arguments_object, set, string};
use crate::sse::SseEvent;
use crate::usage::Usage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Call,
}

/// Writes the events of one reply.
#[derive(Debug)]
pub(crate) struct Emitter {
    options: WriterOptions,
    begun: bool,
    open: Option<Open>,
    blocks: u64,
    usage: Usage,
    stop: Option<StopReason>,
}

impl Emitter {
    pub(crate) fn new(options: WriterOptions) -> Self {
        Self {
            options,
            begun: false,
            open: None,
            blocks: 0,
            usage: Usage::default(),
            stop: None,
        }
    }

    pub(crate) fn push(&mut self, event: &ReplyEvent, out: &mut String) {
        match event {
            ReplyEvent::Begin { id, .. } => {
                if let Some(id) = id {
                    self.options.id.clone_from(id);
                }
            }
            ReplyEvent::Text(text) | ReplyEvent::Refusal(text) => {
                self.open(Open::Text, json!({ "type": "text", "text": "" }), out);
                self.delta(json!({ "type": "text_delta", "text": text }), out);
            }
            ReplyEvent::Thinking(text) => {
                let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
                self.open(Open::Thinking, block, out);
                self.delta(json!({ "type": "thinking_delta", "thinking": text }), out);
            }
            ReplyEvent::ThinkingEnd { raw } => self.end_thinking(raw.as_ref(), out),
            ReplyEvent::Call { id, name, .. } => {
                self.close(out);
                let block = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
                self.open(Open::Call, block, out);
            }
            ReplyEvent::Arguments { piece, .. } => {
                if self.open == Some(Open::Call) {
                    self.delta(
                        json!({ "type": "input_json_delta", "partial_json": piece }),
                        out,
                    );
                }
            }
            ReplyEvent::TextEnd | ReplyEvent::CallEnd { .. } => self.close(out),
            ReplyEvent::Usage(usage) => self.usage = *usage,
            ReplyEvent::Stop(stop) => self.stop = Some(stop.clone()),
            ReplyEvent::End => self.end(out),
            ReplyEvent::Foreign { .. } => {}
        }
    }

    pub(crate) fn fail(&mut self, error: &ApiError, out: &mut String) {
        out.push_str(&error.event_in(Dialect::Messages));
    }

    fn begin(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let message = json!({ "id": self.options.id, "type": "message", "role": "assistant",
            "model": self.options.model, "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": self.usage.write(Dialect::Messages) });
        write("message_start", json!({ "message": message }), out);
    }

    fn open(&mut self, kind: Open, block: Value, out: &mut String) {
        if self.open == Some(kind) && kind != Open::Call {
            return;
        }
        self.close(out);
        self.begin(out);
        self.open = Some(kind);
        let data = json!({ "index": self.blocks, "content_block": block });
        write("content_block_start", data, out);
    }

    fn delta(&self, delta: Value, out: &mut String) {
        let data = json!({ "index": self.blocks, "delta": delta });
        write("content_block_delta", data, out);
    }

    fn close(&mut self, out: &mut String) {
        if self.open.take().is_some() {
            write("content_block_stop", json!({ "index": self.blocks }), out);
            self.blocks += 1;
        }
    }

    /// Ends the open thinking with what carries its item. An item without
    /// text is a block of its own.
    fn end_thinking(&mut self, raw: Option<&(Dialect, Value)>, out: &mut String) {
        let shown = self.open == Some(Open::Thinking);
        match raw {
            Some((dialect, item)) if shown => {
                let signature = carried(*dialect, item);
                self.delta(
                    json!({ "type": "signature_delta", "signature": signature }),
                    out,
                );
            }
            Some((dialect, item)) => {
                let data = carried(*dialect, item);
                let block = json!({ "type": "redacted_thinking", "data": data });
                self.open(Open::Thinking, block, out);
            }
            None => {}
        }
        self.close(out);
    }

    fn end(&mut self, out: &mut String) {
        self.close(out);
        self.begin(out);
        let (reason, sequence) = stop_reason(self.stop.as_ref());
        let delta = json!({ "stop_reason": reason, "stop_sequence": sequence });
        let usage = self.usage.write(Dialect::Messages);
        write(
            "message_delta",
            json!({ "delta": delta, "usage": usage }),
            out,
        );
        write("message_stop", json!({}), out);
    }
}

fn write(event: &'static str, mut data: Value, out: &mut String) {
    set(&mut data, "type", event);
    SseEvent::write(Some(event), &data, out);
}

fn stop_reason(stop: Option<&StopReason>) -> (&'static str, Option<&str>) {
    match stop {
        Some(StopReason::ToolUse) => ("tool_use", None),
        Some(StopReason::MaxTokens) => ("max_tokens", None),
        Some(StopReason::StopSequence(sequence)) => match sequence {
            Some(sequence) => ("stop_sequence", Some(sequence)),
            None => ("end_turn", None),
        },
        Some(StopReason::Refusal) => ("refusal", None),
        Some(StopReason::Pause) => ("pause_turn", None),
        Some(StopReason::ContextExceeded) => ("model_context_window_exceeded", None),
        Some(StopReason::EndTurn | StopReason::Other(_)) | None => ("end_turn", None),
    }
}

/// The opaque text that an item of reasoning travels in: its own, or one that
/// carries it.
fn carried(dialect: Dialect, item: &Value) -> String {
    let own = || string(item, "signature").or_else(|| string(item, "data"));
    match dialect {
        Dialect::Messages => own().unwrap_or_default(),
        Dialect::Chat | Dialect::Responses => seal(dialect, item),
    }
}

/// A whole reply.
pub(crate) fn document(reply: &Reply, options: &WriterOptions) -> Value {
    let content: Vec<Value> = reply
        .parts
        .iter()
        .filter_map(|part| block(&part.body))
        .collect();
    let (reason, sequence) = stop_reason(reply.stop.as_ref());
    let id = reply.id.as_deref().unwrap_or(&options.id);
    json!({ "id": id, "type": "message", "role": "assistant", "model": options.model,
        "content": content, "stop_reason": reason, "stop_sequence": sequence,
        "usage": reply.usage.unwrap_or_default().write(Dialect::Messages) })
}

fn block(body: &Body) -> Option<Value> {
    match body {
        Body::Text(text) | Body::Refusal(text) => Some(json!({ "type": "text", "text": text })),
        Body::Thinking(Thinking { text, raw }) => Some(match raw {
            Some((dialect, item)) if text.is_empty() => {
                json!({ "type": "redacted_thinking", "data": carried(*dialect, item) })
            }
            Some((dialect, item)) => {
                json!({ "type": "thinking", "thinking": text, "signature": carried(*dialect, item) })
            }
            None => json!({ "type": "thinking", "thinking": text, "signature": "" }),
        }),
        Body::Call(ToolCall {
            id,
            name,
            arguments,
            ..
        }) => Some(json!({ "type": "tool_use", "id": id, "name": name,
            "input": arguments_object(arguments) })),
        Body::Image(_) | Body::Document { .. } | Body::Result(_) | Body::Foreign { .. } => None,
    }
}
