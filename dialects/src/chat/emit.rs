//! Replies of chat completions, written.

use serde_json::{Value, json};

use crate::Dialect;
use crate::conversation::{Body, Reply, ReplyEvent, StopReason, Thinking, ToolCall, seal};
use crate::dialect::WriterOptions;
use crate::error::ApiError;
use crate::json::{set, set_some};
use crate::sse::SseEvent;
use crate::usage::Usage;

/// Writes the chunks of one reply.
#[derive(Debug)]
pub(crate) struct Emitter {
    options: WriterOptions,
    begun: bool,
    usage: Option<Usage>,
    stop: Option<StopReason>,
    /// The reasoning that is open, for the item that carries it.
    custom_calls: Vec<usize>,
}

impl Emitter {
    pub(crate) fn new(options: WriterOptions) -> Self {
        Self {
            options,
            begun: false,
            usage: None,
            stop: None,
            custom_calls: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, event: &ReplyEvent, out: &mut String) {
        match event {
            ReplyEvent::Begin { id, .. } => {
                if let Some(id) = id {
                    self.options.id.clone_from(id);
                }
                self.begin(out);
            }
            ReplyEvent::Text(text) => self.delta(json!({ "content": text }), out),
            ReplyEvent::Refusal(text) => self.delta(json!({ "refusal": text }), out),
            ReplyEvent::Thinking(text) => self.delta(json!({ "reasoning_content": text }), out),
            ReplyEvent::ThinkingEnd { raw: Some(raw) } => {
                if let Some(details) = carried(raw) {
                    self.delta(json!({ "reasoning_details": details }), out);
                }
            }
            ReplyEvent::Call {
                call,
                id,
                name,
                custom,
            } => {
                let mut opening = json!({ "index": call, "id": id });
                if *custom {
                    self.custom_calls.push(*call);
                    set(&mut opening, "type", "custom");
                    set(&mut opening, "custom", json!({ "name": name, "input": "" }));
                } else {
                    set(&mut opening, "type", "function");
                    let function = json!({ "name": name, "arguments": "" });
                    set(&mut opening, "function", function);
                }
                self.delta(json!({ "tool_calls": [opening] }), out);
            }
            ReplyEvent::Arguments { call, piece } => {
                let more = if self.custom_calls.contains(call) {
                    json!({ "index": call, "custom": { "input": piece } })
                } else {
                    json!({ "index": call, "function": { "arguments": piece } })
                };
                self.delta(json!({ "tool_calls": [more] }), out);
            }
            ReplyEvent::Usage(usage) => self.usage = Some(*usage),
            ReplyEvent::Stop(stop) => self.stop = Some(stop.clone()),
            ReplyEvent::End => self.end(out),
            ReplyEvent::TextEnd
            | ReplyEvent::ThinkingEnd { raw: None }
            | ReplyEvent::CallEnd { .. }
            | ReplyEvent::Foreign { .. } => {}
        }
    }

    pub(crate) fn fail(&mut self, error: &ApiError, out: &mut String) {
        out.push_str(&error.event_in(Dialect::Chat));
    }

    fn begin(&mut self, out: &mut String) {
        if !std::mem::replace(&mut self.begun, true) {
            let delta = json!({ "role": "assistant", "content": "" });
            self.chunk(choice(delta, None), None, out);
        }
    }

    fn delta(&mut self, delta: Value, out: &mut String) {
        self.begin(out);
        self.chunk(choice(delta, None), None, out);
    }

    fn end(&mut self, out: &mut String) {
        self.begin(out);
        let reason = finish_reason(self.stop.as_ref());
        self.chunk(choice(json!({}), Some(reason)), None, out);
        if let (true, Some(usage)) = (self.options.report_usage, self.usage) {
            self.chunk(json!([]), Some(usage.write(Dialect::Chat)), out);
        }
        out.push_str("data: [DONE]\n\n");
    }

    fn chunk(&self, choices: Value, usage: Option<Value>, out: &mut String) {
        let mut chunk = json!({ "id": self.options.id, "object": "chat.completion.chunk",
            "created": self.options.created, "model": self.options.model, "choices": choices });
        set_some(&mut chunk, "usage", usage);
        SseEvent::write(None, &chunk, out);
    }
}

fn choice(delta: Value, reason: Option<&str>) -> Value {
    json!([{ "index": 0, "delta": delta, "finish_reason": reason }])
}

/// The entry that carries another dialect's item. An item of this dialect
/// needs none, unless it is more than its text.
fn carried(raw: &(Dialect, Value)) -> Option<Value> {
    let (dialect, item) = raw;
    if *dialect == Dialect::Chat {
        return item.get("reasoning_details").cloned();
    }
    let data = seal(*dialect, item);
    Some(json!([{ "type": "reasoning.encrypted", "data": data, "index": 0 }]))
}

fn finish_reason(stop: Option<&StopReason>) -> &'static str {
    match stop {
        Some(StopReason::ToolUse) => "tool_calls",
        Some(StopReason::MaxTokens | StopReason::ContextExceeded) => "length",
        Some(StopReason::Refusal) => "content_filter",
        Some(
            StopReason::EndTurn
            | StopReason::StopSequence(_)
            | StopReason::Pause
            | StopReason::Other(_),
        )
        | None => "stop",
    }
}

/// A whole reply.
pub(crate) fn document(reply: &Reply, options: &WriterOptions) -> Value {
    let (mut text, mut calls) = (Vec::new(), Vec::new());
    let mut message = json!({ "role": "assistant" });
    let mut thought = String::new();
    for part in &reply.parts {
        match &part.body {
            Body::Text(said) => text.push(said.as_str()),
            Body::Refusal(words) => set(&mut message, "refusal", words.as_str()),
            Body::Thinking(Thinking { text, raw }) => {
                thought.push_str(text);
                let details = raw.as_ref().and_then(carried);
                set_some(&mut message, "reasoning_details", details);
            }
            Body::Call(call) => calls.push(tool_call(call)),
            Body::Image(_) | Body::Document { .. } | Body::Result(_) | Body::Foreign { .. } => {}
        }
    }
    let text = text.concat();
    let content = (!text.is_empty() || calls.is_empty()).then_some(text);
    set(&mut message, "content", content);
    if !thought.is_empty() {
        set(&mut message, "reasoning_content", thought);
    }
    if !calls.is_empty() {
        set(&mut message, "tool_calls", calls);
    }
    let choices = json!([{ "index": 0, "message": message, "logprobs": null,
        "finish_reason": finish_reason(reply.stop.as_ref()) }]);
    let id = reply.id.as_deref().unwrap_or(&options.id);
    let mut body = json!({ "id": id, "object": "chat.completion",
        "created": options.created, "model": options.model, "choices": choices });
    set_some(
        &mut body,
        "usage",
        reply.usage.map(|usage| usage.write(Dialect::Chat)),
    );
    body
}

fn tool_call(call: &ToolCall) -> Value {
    let ToolCall {
        id,
        name,
        arguments,
        custom,
    } = call;
    if *custom {
        let custom = json!({ "name": name, "input": arguments });
        return json!({ "id": id, "type": "custom", "custom": custom });
    }
    let function = json!({ "name": name, "arguments": arguments });
    json!({ "id": id, "type": "function", "function": function })
}
