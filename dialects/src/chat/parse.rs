//! Replies of chat completions, taken apart.
//!
//! Upstreams differ in what they leave out. Calls are told apart by `index`
//! where there is one, by a new `id` otherwise; a call without an id gets one
//! from the prefix given; text may come as a string or as parts; a reply that
//! was not streamed at all (`message` for `delta`) is read like one chunk.
//!
//! The stop is told at the end of the stream, because some upstreams send
//! pieces after it.

use serde_json::{Map, Value, json};

use super::read::REASONING;
use crate::Dialect;
use crate::conversation::{ReplyEvent, StopReason, StreamError};
use crate::json::{count, items, present, string, text};
use crate::usage::Usage;

#[derive(Debug, Default)]
struct PartialCall {
    index: Option<u64>,
    id: String,
    given_id: bool,
    name: String,
    custom: bool,
    /// What came before the name.
    early: String,
    /// Its number among the calls announced.
    announced: Option<usize>,
    has_arguments: bool,
}

/// Reads the chunks of one reply.
#[derive(Debug)]
pub(crate) struct Parser {
    id_prefix: String,
    begun: bool,
    calls: Vec<PartialCall>,
    announced: usize,
    /// The reasoning that is open, as it must come back.
    reasoning: Map<String, Value>,
    in_text: bool,
    stop: Option<StopReason>,
    done: bool,
}

/// Reads a reply that was not streamed.
pub(crate) fn document(
    body: &Value,
    id_prefix: &str,
    out: &mut Vec<ReplyEvent>,
) -> Result<(), StreamError> {
    let mut parser = Parser::new(id_prefix);
    parser.chunk(body, out);
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
            begun: false,
            calls: Vec::new(),
            announced: 0,
            reasoning: Map::new(),
            in_text: false,
            stop: None,
            done: false,
        }
    }

    /// Takes a chunk.
    pub(crate) fn chunk(&mut self, chunk: &Value, out: &mut Vec<ReplyEvent>) {
        if self.done {
            return;
        }
        if !self.begun {
            self.begun = true;
            let (id, model) = (string(chunk, "id"), string(chunk, "model"));
            out.push(ReplyEvent::Begin { id, model });
        }
        for choice in items(chunk, "choices") {
            // Only one reply is ever asked for.
            if count(choice, "index").unwrap_or(0) == 0 {
                self.choice(choice, out);
            }
        }
        if let Some(usage) = chunk.get("usage").and_then(Usage::read) {
            out.push(ReplyEvent::Usage(usage));
        }
    }

    /// The end marker came.
    pub(crate) fn done(&mut self, out: &mut Vec<ReplyEvent>) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        self.end_thinking(out);
        for at in 0..self.calls.len() {
            // A call whose name never came is one all the same: answering it
            // says what was wrong.
            let nameless = self.calls.get(at).filter(|call| call.announced.is_none());
            if nameless.is_some_and(|call| !call.early.is_empty()) {
                self.announce(at, out);
            }
            let Some(partial) = self.calls.get(at) else {
                continue;
            };
            if let Some(call) = partial.announced {
                if !partial.has_arguments && !partial.custom {
                    let piece = "{}".to_owned();
                    out.push(ReplyEvent::Arguments { call, piece });
                }
                out.push(ReplyEvent::CallEnd { call });
            }
        }
        let stop = match self.stop.take() {
            // Some upstreams stop as usual though they called.
            None | Some(StopReason::EndTurn) if self.announced > 0 => StopReason::ToolUse,
            None => StopReason::EndTurn,
            Some(stop) => stop,
        };
        out.push(ReplyEvent::Stop(stop));
        out.push(ReplyEvent::End);
    }

    /// The stream is over; whether the reply was complete.
    pub(crate) fn finish(&mut self, out: &mut Vec<ReplyEvent>) -> bool {
        if self.stop.is_some() {
            self.done(out);
        }
        self.done
    }

    fn choice(&mut self, choice: &Value, out: &mut Vec<ReplyEvent>) {
        let delta = present(choice, "delta").or_else(|| choice.get("message"));
        if let Some(delta) = delta {
            self.thinking(delta, out);
            let said = delta.get("content").map(content_text).unwrap_or_default();
            if !said.is_empty() {
                self.end_thinking(out);
                self.in_text = true;
                out.push(ReplyEvent::Text(said));
            }
            if let Some(words) = text(delta, "refusal").filter(|words| !words.is_empty()) {
                self.end_thinking(out);
                out.push(ReplyEvent::Refusal(words.to_owned()));
            }
            for piece in items(delta, "tool_calls") {
                self.tool_call(piece, out);
            }
            // The older form, of one call.
            if let Some(function) = present(delta, "function_call") {
                self.tool_call(&json!({ "index": 0, "function": function }), out);
            }
        }
        if let Some(reason) = text(choice, "finish_reason").filter(|reason| !reason.is_empty()) {
            self.stop = Some(match reason {
                "stop" | "eos" | "eos_token" | "end_turn" => StopReason::EndTurn,
                "tool_calls" | "function_call" | "tool_use" => StopReason::ToolUse,
                "length" | "max_tokens" => StopReason::MaxTokens,
                "content_filter" => StopReason::Refusal,
                other => StopReason::Other(other.to_owned()),
            });
        }
    }

    fn thinking(&mut self, delta: &Value, out: &mut Vec<ReplyEvent>) {
        let mut shown = None;
        for key in REASONING {
            match delta.get(*key) {
                Some(Value::String(piece)) if !piece.is_empty() => {
                    shown = shown.or(Some(piece));
                    let kept = self.reasoning.entry(*key).or_insert_with(|| json!(""));
                    if let Value::String(kept) = kept {
                        kept.push_str(piece);
                    }
                }
                Some(Value::Array(details)) => {
                    let kept = self.reasoning.entry(*key).or_insert_with(|| json!([]));
                    if let Value::Array(kept) = kept {
                        details.iter().for_each(|detail| merge_detail(kept, detail));
                    }
                }
                _ => {}
            }
        }
        if let Some(piece) = shown {
            self.end_text(out);
            out.push(ReplyEvent::Thinking(piece.clone()));
        }
    }

    fn end_thinking(&mut self, out: &mut Vec<ReplyEvent>) {
        if !self.reasoning.is_empty() {
            let raw = Value::Object(std::mem::take(&mut self.reasoning));
            let raw = Some((Dialect::Chat, raw));
            out.push(ReplyEvent::ThinkingEnd { raw });
        }
    }

    fn end_text(&mut self, out: &mut Vec<ReplyEvent>) {
        if std::mem::take(&mut self.in_text) {
            out.push(ReplyEvent::TextEnd);
        }
    }

    fn tool_call(&mut self, piece: &Value, out: &mut Vec<ReplyEvent>) {
        self.end_thinking(out);
        self.end_text(out);
        let index = count(piece, "index");
        let id = text(piece, "id").filter(|id| !id.is_empty());
        let (function, custom) = match present(piece, "custom") {
            Some(custom) => (Some(custom), true),
            None => (piece.get("function"), false),
        };
        let at = self.position(index, id).unwrap_or_else(|| {
            let count = self.calls.len();
            self.calls.push(PartialCall {
                index,
                id: id.map_or_else(|| format!("{}{count}", self.id_prefix), str::to_owned),
                given_id: id.is_some(),
                custom,
                ..PartialCall::default()
            });
            count
        });
        let Some(partial) = self.calls.get_mut(at) else {
            return;
        };
        if let Some(id) = id
            && !partial.given_id
            && partial.announced.is_none()
        {
            partial.id = id.to_owned();
            partial.given_id = true;
        }
        // Some upstreams repeat the whole name on every piece.
        if let Some(name) = function.and_then(|function| text(function, "name"))
            && partial.announced.is_none()
            && partial.name != name
        {
            partial.name.push_str(name);
        }
        let key = if partial.custom { "input" } else { "arguments" };
        match function.and_then(|function| function.get(key)) {
            Some(Value::String(text)) => partial.early.push_str(text),
            Some(value @ Value::Object(_)) => partial.early.push_str(&value.to_string()),
            _ => {}
        }
        if partial.announced.is_some() || !partial.name.is_empty() {
            self.announce(at, out);
        }
    }

    /// Announces a call, if that is still to do, and what came of its
    /// arguments.
    fn announce(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        let Some(partial) = self.calls.get_mut(at) else {
            return;
        };
        let call = match partial.announced {
            Some(call) => call,
            None => {
                let call = self.announced;
                self.announced += 1;
                partial.announced = Some(call);
                out.push(ReplyEvent::Call {
                    call,
                    id: partial.id.clone(),
                    name: partial.name.clone(),
                    custom: partial.custom,
                });
                call
            }
        };
        if !partial.early.is_empty() {
            partial.has_arguments = true;
            let piece = std::mem::take(&mut partial.early);
            out.push(ReplyEvent::Arguments { call, piece });
        }
    }

    /// Which call a piece belongs to; none for a new one.
    fn position(&self, index: Option<u64>, id: Option<&str>) -> Option<usize> {
        let same_id =
            |partial: &PartialCall| id.is_none_or(|id| !partial.given_id || partial.id == id);
        match (index, id) {
            // The same index with another id is another call: some upstreams
            // number every call 0.
            (Some(_), _) => self
                .calls
                .iter()
                .rposition(|partial| partial.index == index && same_id(partial)),
            (None, Some(id)) => self.calls.iter().rposition(|partial| partial.id == id),
            (None, None) => self.calls.len().checked_sub(1),
        }
    }
}

/// Pieces of one entry of `reasoning_details` have one index.
fn merge_detail(kept: &mut Vec<Value>, detail: &Value) {
    let same = |last: &&mut Value| {
        last.get("index") == detail.get("index") && last.get("type") == detail.get("type")
    };
    let grows = ["text", "summary", "data"];
    match kept.last_mut().filter(same) {
        Some(Value::Object(last)) => {
            for (key, value) in detail.as_object().into_iter().flatten() {
                match (last.get_mut(key), value) {
                    (Some(Value::String(whole)), Value::String(more))
                        if grows.contains(&key.as_str()) =>
                    {
                        whole.push_str(more);
                    }
                    (_, Value::Null) => {}
                    _ => {
                        last.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        _ => kept.push(detail.clone()),
    }
}

fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| text(part, "text")).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Collector;

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
        let mut parser = Parser::new("call_x");
        let mut events = Vec::new();
        chunks
            .iter()
            .for_each(|chunk| parser.chunk(chunk, &mut events));
        parser.done(&mut events);
        let mut collector = Collector::new();
        events.into_iter().for_each(|event| collector.take(event));
        let reply = collector.finish();
        let got: Vec<_> = reply
            .calls()
            .map(|c| (c.id.as_str(), c.name.as_str(), c.arguments.as_str()))
            .collect();
        assert_eq!(got, expected, "{chunks:?}");
    }

    #[test]
    fn calls_in_pieces_from_every_kind_of_server() {
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
    fn details_of_reasoning_come_back_in_one_piece() {
        let detail = |index: u64, text: &str| {
            delta(json!({"reasoning": text,
                "reasoning_details": [{"type": "reasoning.text", "index": index, "text": text}]}))
        };
        let mut parser = Parser::new("");
        let mut events = Vec::new();
        for chunk in [detail(0, "a"), detail(0, "b"), detail(1, "c")] {
            parser.chunk(&chunk, &mut events);
        }
        parser.done(&mut events);
        let raw = json!({"reasoning": "abc", "reasoning_details": [
            {"type": "reasoning.text", "index": 0, "text": "ab"},
            {"type": "reasoning.text", "index": 1, "text": "c"}]});
        let raw = Some((Dialect::Chat, raw));
        assert!(
            events.contains(&ReplyEvent::ThinkingEnd { raw }),
            "{events:?}"
        );
    }
}
