//! The items of a reply.

use serde_json::{Value, json};

use crate::Dialect;
use crate::conversation::{Body, Reply, StopReason, Thinking, ToolCall, seal};
use crate::dialect::WriterOptions;
use crate::error::ApiError;
use crate::json::set;
use crate::usage::Usage;

/// The item of a call.
pub(super) fn call(
    number: usize,
    call: &ToolCall,
    namespaces: &[(String, String, String)],
    status: &str,
) -> Value {
    let known = namespaces.iter().find(|(flat, _, _)| *flat == call.name);
    let name = known.map_or(call.name.as_str(), |(_, _, name)| name);
    let (kind, id, input) = if call.custom {
        ("custom_tool_call", format!("ctc_{number}"), "input")
    } else {
        ("function_call", format!("fc_{number}"), "arguments")
    };
    let mut item = json!({ "type": kind, "id": id, "call_id": call.id, "name": name,
        "status": status });
    set(&mut item, input, call.arguments.as_str());
    if let Some((_, namespace, _)) = known {
        set(&mut item, "namespace", namespace.as_str());
    }
    item
}

/// The item of something said; `kind` is `output_text` or `refusal`.
pub(super) fn message(number: usize, parts: Vec<Value>, status: &str) -> Value {
    json!({ "type": "message", "id": format!("msg_{number}"), "role": "assistant",
        "status": status, "content": parts })
}

/// A part of something said.
pub(super) fn said(text: &str, refusal: bool) -> Value {
    if refusal {
        json!({ "type": "refusal", "refusal": text })
    } else {
        json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
    }
}

/// The item of reasoning: its own, or one that carries another's.
pub(super) fn reasoning(number: usize, thinking: &Thinking) -> Value {
    if let Some((Dialect::Responses, item)) = &thinking.raw {
        return item.clone();
    }
    let summary: Vec<Value> = (!thinking.text.is_empty())
        .then(|| json!({ "type": "summary_text", "text": thinking.text }))
        .into_iter()
        .collect();
    let sealed = thinking
        .raw
        .as_ref()
        .map(|(dialect, raw)| seal(*dialect, raw));
    json!({ "type": "reasoning", "id": format!("rs_{number}"), "summary": summary,
        "encrypted_content": sealed })
}

/// What is said of a reply besides its items.
pub(super) struct Envelope<'a> {
    pub(super) options: &'a WriterOptions,
    pub(super) output: &'a [Value],
    pub(super) usage: Option<Usage>,
    pub(super) stop: Option<&'a StopReason>,
    pub(super) failed: Option<&'a ApiError>,
    pub(super) ended: bool,
}

impl Envelope<'_> {
    /// How the reply stands, in a word.
    pub(super) fn status(&self) -> &'static str {
        match (self.failed, self.ended, self.stop) {
            (Some(_), _, _) => "failed",
            (None, false, _) => "in_progress",
            (
                None,
                true,
                Some(StopReason::MaxTokens | StopReason::ContextExceeded | StopReason::Refusal),
            ) => "incomplete",
            (None, true, _) => "completed",
        }
    }

    /// The whole object.
    pub(super) fn write(&self) -> Value {
        let status = self.status();
        let reason = match self.stop {
            Some(StopReason::Refusal) => "content_filter",
            _ => "max_output_tokens",
        };
        let details = (status == "incomplete").then(|| json!({ "reason": reason }));
        let error = self.failed.map(
            |error| json!({ "code": error.code_in(Dialect::Responses), "message": error.message }),
        );
        json!({
            "id": self.options.id, "object": "response", "created_at": self.options.created,
            "status": status, "error": error, "incomplete_details": details,
            "model": self.options.model, "output": self.output, "store": false,
            "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "metadata": {},
            "usage": self.usage.map(|usage| usage.write(Dialect::Responses)),
        })
    }
}

/// The items of a whole reply.
pub(super) fn of(reply: &Reply, options: &WriterOptions) -> Vec<Value> {
    let items = reply.parts.iter().enumerate().filter_map(|(number, part)| {
        let item = match &part.body {
            Body::Text(text) => message(number, vec![said(text, false)], "completed"),
            Body::Refusal(text) => message(number, vec![said(text, true)], "completed"),
            Body::Thinking(thinking) => reasoning(number, thinking),
            Body::Call(made) => call(number, made, &options.namespaces, "completed"),
            Body::Foreign {
                dialect: Dialect::Responses,
                raw,
            } => raw.clone(),
            Body::Image(_) | Body::Document { .. } | Body::Result(_) | Body::Foreign { .. } => {
                return None;
            }
        };
        Some(item)
    });
    items.collect()
}
