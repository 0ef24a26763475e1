//! Streamed replies, put together.
//!
//! Upstreams differ in what they leave out. Calls are told apart by `index`
//! where there is one, by a new `id` otherwise; a call without an id gets one
//! from the prefix given; text may come as a string or as parts; a reply that
//! was not streamed at all (`message` for `delta`) is read like one chunk.
//!
//! Invariant: a reply counts as complete only when a finish reason or the end
//! marker arrived. A stream that merely ended is [`ChatReply::complete`] =
//! false, and its tool calls must not be run.

use serde_json::Value;

use crate::error::ApiError;
use crate::usage::Usage;

/// Something new in the reply, to be shown at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatDelta {
    /// More text.
    Text(String),
    /// More reasoning.
    Reasoning(String),
    /// A call began; its arguments are still to come.
    ToolUse {
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
    },
}

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// It wants its calls answered.
    ToolCalls,
    /// It ran out of output.
    Length,
    /// Its output was withheld.
    ContentFilter,
    /// Anything else.
    Other(String),
}

/// A call the model wants made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolUse {
    /// Unique in the conversation.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// JSON, as text, as the model wrote it.
    pub arguments: String,
}

/// A whole reply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatReply {
    /// The model that answered, as it calls itself.
    pub model: Option<String>,
    /// The text.
    pub text: String,
    /// The reasoning.
    pub reasoning: String,
    /// The calls, in order.
    pub tool_uses: Vec<ToolUse>,
    /// Why it stopped.
    pub finish_reason: Option<FinishReason>,
    /// What it cost.
    pub usage: Option<Usage>,
    /// Whether the upstream said that this was all.
    pub complete: bool,
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChatStreamError {
    /// The upstream reported an error in the stream.
    #[error("the model API broke off: {0}")]
    Api(ApiError),
    /// An event is not JSON.
    #[error("an event of the stream is not JSON: {0}")]
    NotJson(String),
    /// The reply is larger than the bound.
    #[error("the reply is longer than {0} bytes")]
    TooLong(usize),
}

#[derive(Debug, Default)]
struct PartialCall {
    index: Option<u64>,
    call: ToolUse,
    given_id: bool,
    announced: bool,
}

/// Puts a streamed reply together.
#[derive(Debug)]
pub struct ChatAccumulator {
    id_prefix: String,
    limit: usize,
    held: usize,
    reply: ChatReply,
    calls: Vec<PartialCall>,
}

impl ChatAccumulator {
    /// An accumulator of at most `limit` bytes. Calls without an id are called
    /// `{id_prefix}{n}`; the prefix must differ between the replies of a
    /// conversation.
    pub fn new(id_prefix: impl Into<String>, limit: usize) -> Self {
        Self {
            id_prefix: id_prefix.into(),
            limit,
            held: 0,
            reply: ChatReply::default(),
            calls: Vec::new(),
        }
    }

    /// Takes the data of one event.
    pub fn push(&mut self, data: &str) -> Result<Vec<ChatDelta>, ChatStreamError> {
        let data = data.trim();
        if data == "[DONE]" {
            self.reply.complete = true;
            return Ok(Vec::new());
        }
        if data.is_empty() {
            return Ok(Vec::new());
        }
        self.held = self.held.saturating_add(data.len());
        if self.held > self.limit.saturating_mul(8) {
            // Envelopes are discarded, but an endless stream is not a reply.
            return Err(ChatStreamError::TooLong(self.limit));
        }
        let chunk: Value = serde_json::from_str(data)
            .map_err(|error| ChatStreamError::NotJson(error.to_string()))?;
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            let fallback = || ApiError {
                status: None,
                code: None,
                message: "an error without a message".to_owned(),
                retry_after: None,
            };
            let error = ApiError::from_json(&chunk).unwrap_or_else(fallback);
            return Err(ChatStreamError::Api(error));
        }
        if self.reply.model.is_none() {
            self.reply.model = text_at(&chunk, "model").map(str::to_owned);
        }
        if let Some(usage) = chunk.get("usage").and_then(Usage::read) {
            self.reply.usage = Some(usage);
        }
        let mut deltas = Vec::new();
        let choices = chunk.get("choices").and_then(Value::as_array);
        for choice in choices.into_iter().flatten() {
            // Only one reply is ever asked for.
            if choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0 {
                self.choice(choice, &mut deltas);
            }
        }
        let size = self.reply.text.len()
            + self.reply.reasoning.len()
            + self
                .calls
                .iter()
                .map(|c| c.call.arguments.len())
                .sum::<usize>();
        if size > self.limit {
            return Err(ChatStreamError::TooLong(self.limit));
        }
        Ok(deltas)
    }

    /// The reply as far as it came.
    pub fn finish(mut self) -> ChatReply {
        self.reply.tool_uses = self
            .calls
            .into_iter()
            .map(|partial| partial.call)
            .filter(|call| !call.name.is_empty() || !call.arguments.is_empty())
            .collect();
        self.reply
    }

    fn choice(&mut self, choice: &Value, deltas: &mut Vec<ChatDelta>) {
        let delta = choice.get("delta").filter(|delta| !delta.is_null());
        if let Some(delta) = delta.or_else(|| choice.get("message")) {
            let reasoning = ["reasoning_content", "reasoning"]
                .iter()
                .find_map(|key| text_at(delta, key))
                .filter(|text| !text.is_empty());
            if let Some(text) = reasoning {
                self.reply.reasoning.push_str(text);
                deltas.push(ChatDelta::Reasoning(text.to_owned()));
            }
            let text = delta.get("content").map(content_text).unwrap_or_default();
            if !text.is_empty() {
                self.reply.text.push_str(&text);
                deltas.push(ChatDelta::Text(text));
            }
            let calls = delta.get("tool_calls").and_then(Value::as_array);
            for piece in calls.into_iter().flatten() {
                deltas.extend(self.tool_call(piece));
            }
        }
        if let Some(reason) = text_at(choice, "finish_reason").filter(|r| !r.is_empty()) {
            self.reply.complete = true;
            self.reply.finish_reason = Some(match reason {
                "stop" => FinishReason::Stop,
                "tool_calls" | "function_call" => FinishReason::ToolCalls,
                "length" => FinishReason::Length,
                "content_filter" => FinishReason::ContentFilter,
                other => FinishReason::Other(other.to_owned()),
            });
        }
    }

    fn tool_call(&mut self, piece: &Value) -> Option<ChatDelta> {
        let index = piece.get("index").and_then(Value::as_u64);
        let id = text_at(piece, "id").filter(|id| !id.is_empty());
        let function = piece.get("function");
        let name = function.and_then(|function| text_at(function, "name"));
        let arguments = function.and_then(|function| function.get("arguments"));
        let count = self.calls.len();
        let partial = match self.position(index, id) {
            Some(at) => self.calls.get_mut(at),
            None => {
                self.calls.push(PartialCall {
                    index,
                    call: ToolUse {
                        id: id.map_or_else(|| format!("{}{count}", self.id_prefix), str::to_owned),
                        ..ToolUse::default()
                    },
                    given_id: id.is_some(),
                    announced: false,
                });
                self.calls.last_mut()
            }
        }?;
        if let Some(id) = id
            && !partial.given_id
            && !partial.announced
        {
            partial.call.id = id.to_owned();
            partial.given_id = true;
        }
        // Some upstreams repeat the whole name on every piece.
        if let Some(name) = name
            && partial.call.name != name
        {
            partial.call.name.push_str(name);
        }
        match arguments {
            Some(Value::String(text)) => partial.call.arguments.push_str(text),
            Some(value @ Value::Object(_)) => {
                partial.call.arguments.push_str(&value.to_string());
            }
            _ => {}
        }
        let announce = !partial.announced && !partial.call.name.is_empty();
        partial.announced |= announce;
        announce.then(|| ChatDelta::ToolUse {
            id: partial.call.id.clone(),
            name: partial.call.name.clone(),
        })
    }

    /// Which call a piece belongs to; none for a new one.
    fn position(&self, index: Option<u64>, id: Option<&str>) -> Option<usize> {
        let same_id =
            |partial: &PartialCall| id.is_none_or(|id| !partial.given_id || partial.call.id == id);
        match (index, id) {
            // The same index with another id is another call: some upstreams
            // number every call 0.
            (Some(_), _) => self
                .calls
                .iter()
                .rposition(|partial| partial.index == index && same_id(partial)),
            (None, Some(id)) => self.calls.iter().rposition(|partial| partial.call.id == id),
            (None, None) => self.calls.len().checked_sub(1),
        }
    }
}

fn text_at<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| text_at(part, "text"))
            .collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reply(chunks: &[Value]) -> ChatReply {
        let mut accumulator = ChatAccumulator::new("call_x", 10_000);
        for chunk in chunks {
            accumulator.push(&chunk.to_string()).unwrap();
        }
        accumulator.finish()
    }

    fn delta(delta: Value) -> Value {
        json!({"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
    }

    fn call(index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
        let mut piece = json!({"function": {"arguments": arguments}});
        if let Some(index) = index {
            piece["index"] = json!(index);
        }
        if let Some(id) = id {
            piece["id"] = json!(id);
        }
        if let Some(name) = name {
            piece["function"]["name"] = json!(name);
        }
        delta(json!({"tool_calls": [piece]}))
    }

    fn check(chunks: &[Value], expected: &[(&str, &str, &str)]) {
        let got = reply(chunks).tool_uses;
        let got: Vec<_> = got
            .iter()
            .map(|c| (c.id.as_str(), c.name.as_str(), c.arguments.as_str()))
            .collect();
        assert_eq!(got, expected, "{chunks:?}");
    }

    #[test]
    fn text_reasoning_and_usage() {
        let mut accumulator = ChatAccumulator::new("", 1000);
        let mut deltas = Vec::new();
        for chunk in [
            delta(json!({"role": "assistant", "content": ""})),
            delta(json!({"reasoning_content": "hm"})),
            delta(json!({"content": "Hel"})),
            delta(json!({"content": [{"type": "text", "text": "lo"}]})),
            json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}),
            json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        ] {
            deltas.extend(accumulator.push(&chunk.to_string()).unwrap());
        }
        deltas.extend(accumulator.push("[DONE]").unwrap());
        let text = |t: &str| ChatDelta::Text(t.to_owned());
        assert_eq!(
            deltas,
            [
                ChatDelta::Reasoning("hm".to_owned()),
                text("Hel"),
                text("lo")
            ]
        );
        let reply = accumulator.finish();
        assert_eq!(
            (reply.text.as_str(), reply.reasoning.as_str()),
            ("Hello", "hm")
        );
        assert_eq!(reply.finish_reason, Some(FinishReason::Stop));
        assert_eq!(reply.usage.unwrap().total, 5);
        assert!(reply.complete);
    }

    #[test]
    fn calls_in_pieces_by_every_dialect() {
        let a = Some("a");
        let read = Some("read");
        check(
            &[
                call(Some(0), a, read, ""),
                call(Some(0), None, None, "{\"x\""),
                call(Some(1), Some("b"), Some("write"), "{}"),
                call(Some(0), None, None, ":1}"),
            ],
            &[("a", "read", "{\"x\":1}"), ("b", "write", "{}")],
        );
        // No index: a new id begins a new call.
        check(
            &[
                call(None, a, read, "{"),
                call(None, None, None, "}"),
                call(None, Some("b"), read, "{}"),
            ],
            &[("a", "read", "{}"), ("b", "read", "{}")],
        );
        // Every call has index 0.
        check(
            &[
                call(Some(0), a, read, "{}"),
                call(Some(0), Some("b"), read, "{}"),
            ],
            &[("a", "read", "{}"), ("b", "read", "{}")],
        );
        // No ids at all.
        check(
            &[
                call(Some(0), None, read, "{}"),
                call(Some(1), None, read, "{}"),
            ],
            &[("call_x0", "read", "{}"), ("call_x1", "read", "{}")],
        );
        // Id and name on every piece.
        check(
            &[call(Some(0), a, read, "{"), call(Some(0), a, read, "}")],
            &[("a", "read", "{}")],
        );
        // Empty ids on later pieces.
        check(
            &[
                call(Some(0), a, read, "{"),
                call(Some(0), Some(""), None, "}"),
            ],
            &[("a", "read", "{}")],
        );
    }

    #[test]
    fn arguments_as_an_object_and_a_reply_that_was_not_streamed() {
        let whole = json!({"choices": [{"message": {"content": "t", "tool_calls":
            [{"id": "a", "function": {"name": "read", "arguments": {"p": 1}}}]}, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
        let reply = reply(&[whole]);
        assert_eq!(reply.tool_uses[0].arguments, "{\"p\":1}");
        assert_eq!(reply.finish_reason, Some(FinishReason::ToolCalls));
        assert!(reply.complete && reply.usage.is_some());
    }

    #[test]
    fn a_stream_that_merely_ended_is_not_complete() {
        assert!(!reply(&[call(Some(0), Some("a"), Some("read"), "{}")]).complete);
    }

    #[test]
    fn errors_in_the_stream() {
        let mut accumulator = ChatAccumulator::new("", 100);
        let error = accumulator.push(r#"{"error":{"message":"overloaded","code":"busy"}}"#);
        assert!(
            matches!(error, Err(ChatStreamError::Api(e)) if e.message == "overloaded" && e.is_transient())
        );
        assert!(matches!(
            accumulator.push("nonsense"),
            Err(ChatStreamError::NotJson(_))
        ));
        let long = delta(json!({"content": "x".repeat(101)})).to_string();
        assert!(matches!(
            accumulator.push(&long),
            Err(ChatStreamError::TooLong(100))
        ));
    }
}
