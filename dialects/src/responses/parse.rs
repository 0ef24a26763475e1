//! Replies of Responses, taken apart.
//!
//! An item may come in pieces, whole at its end, or only in the last event of
//! the stream; whatever has not been seen of it by then is told then. Events
//! nobody here knows are passed over.

use serde_json::{Value, json};

use super::read::within;
use crate::Dialect;
use crate::conversation::{ReplyEvent, StopReason, StreamError};
use crate::error::ApiError;
use crate::json::{count, items, present, string, text};
use crate::usage::Usage;

#[derive(Debug)]
struct Item {
    index: u64,
    id: Option<String>,
    /// Its number, if it is a call.
    call: Option<usize>,
    custom: bool,
    /// Whether pieces of it were told.
    told: bool,
    /// Of reasoning: which part of its summary is open.
    part: Option<u64>,
    done: bool,
}

/// Reads the events of one reply.
#[derive(Debug)]
pub(crate) struct Parser {
    id_prefix: String,
    begun: bool,
    calls: usize,
    items: Vec<Item>,
    refused: bool,
    done: bool,
}

/// Reads a reply that was not streamed.
pub(crate) fn document(
    body: &Value,
    id_prefix: &str,
    out: &mut Vec<ReplyEvent>,
) -> Result<(), StreamError> {
    let mut parser = Parser::new(id_prefix);
    let kind = match text(body, "status") {
        Some("failed") => "response.failed",
        Some("incomplete") => "response.incomplete",
        _ if body.get("output").is_none() => return Err(StreamError::Cut),
        _ => "response.completed",
    };
    parser.event(&json!({ "type": kind, "response": body }), out)
}

impl Parser {
    pub(crate) fn new(id_prefix: &str) -> Self {
        Self {
            id_prefix: id_prefix.to_owned(),
            begun: false,
            calls: 0,
            items: Vec::new(),
            refused: false,
            done: false,
        }
    }

    /// Takes an event. What it is stands in its data.
    pub(crate) fn event(
        &mut self,
        data: &Value,
        out: &mut Vec<ReplyEvent>,
    ) -> Result<(), StreamError> {
        if self.done {
            return Ok(());
        }
        let kind = text(data, "type").unwrap_or_default();
        let response = data.get("response").unwrap_or(&Value::Null);
        match kind {
            "response.created" | "response.in_progress" => self.begin(response, out),
            "response.output_item.added" => {
                let item = data.get("item").unwrap_or(&Value::Null);
                self.add(count(data, "output_index"), item, out);
            }
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_summary_text.delta"
            | "response.reasoning_text.delta"
            | "response.function_call_arguments.delta"
            | "response.custom_tool_call_input.delta" => self.delta(kind, data, out),
            "response.output_item.done" => {
                let item = data.get("item").unwrap_or(&Value::Null);
                self.end(count(data, "output_index"), item, out);
            }
            "response.completed" | "response.incomplete" | "response.done" => {
                self.begin(response, out);
                for (index, item) in items(response, "output").enumerate() {
                    self.end(u64::try_from(index).ok(), item, out);
                }
                self.finish_items(out);
                if let Some(usage) = response.get("usage").and_then(Usage::read) {
                    out.push(ReplyEvent::Usage(usage));
                }
                let details = response.get("incomplete_details");
                let reason = details.and_then(|details| text(details, "reason"));
                let stop = match (kind, reason) {
                    (_, Some("content_filter")) => StopReason::Refusal,
                    ("response.incomplete", _) | (_, Some("max_output_tokens")) => {
                        StopReason::MaxTokens
                    }
                    _ if self.calls > 0 => StopReason::ToolUse,
                    _ if self.refused => StopReason::Refusal,
                    _ => StopReason::EndTurn,
                };
                self.done = true;
                out.push(ReplyEvent::Stop(stop));
                out.push(ReplyEvent::End);
            }
            "response.failed" => {
                let error = ApiError::from_json(response).unwrap_or_else(ApiError::unnamed);
                return Err(StreamError::Api(error));
            }
            _ => {}
        }
        Ok(())
    }

    /// The stream is over; whether the reply was complete.
    pub(crate) fn finish(&self) -> bool {
        self.done
    }

    fn begin(&mut self, response: &Value, out: &mut Vec<ReplyEvent>) {
        if !std::mem::replace(&mut self.begun, true) {
            let (id, model) = (string(response, "id"), string(response, "model"));
            out.push(ReplyEvent::Begin { id, model });
        }
    }

    /// Where an item stands: by its id, or by its index. Some servers number
    /// every item 0, and some name none.
    fn position(&self, index: Option<u64>, id: Option<&str>) -> Option<usize> {
        let named = id.and_then(|id| {
            let same = |item: &Item| item.id.as_deref() == Some(id);
            self.items.iter().rposition(same)
        });
        let numbered = || {
            let fits =
                |item: &Item| Some(item.index) == index && (id.is_none() || item.id.is_none());
            self.items.iter().rposition(fits)
        };
        let last = || match (index, id) {
            (None, None) => self.items.len().checked_sub(1),
            _ => None,
        };
        named.or_else(numbered).or_else(last)
    }

    fn add(&mut self, index: Option<u64>, item: &Value, out: &mut Vec<ReplyEvent>) -> usize {
        let kind = text(item, "type").unwrap_or_default();
        let custom = kind == "custom_tool_call";
        let mut call = None;
        if custom || kind == "function_call" {
            let number = self.calls;
            self.calls += 1;
            call = Some(number);
            let name = string(item, "name").unwrap_or_default();
            let id = string(item, "call_id").filter(|id| !id.is_empty());
            out.push(ReplyEvent::Call {
                call: number,
                id: id.unwrap_or_else(|| format!("{}{number}", self.id_prefix)),
                name: match text(item, "namespace") {
                    Some(namespace) => within(namespace, &name),
                    None => name,
                },
                custom,
            });
        }
        let next = || u64::try_from(self.items.len()).unwrap_or_default();
        self.items.push(Item {
            index: index.unwrap_or_else(next),
            id: string(item, "id"),
            call,
            custom,
            told: false,
            part: None,
            done: false,
        });
        self.items.len().saturating_sub(1)
    }

    fn delta(&mut self, kind: &str, data: &Value, out: &mut Vec<ReplyEvent>) {
        let piece = text(data, "delta").unwrap_or_default().to_owned();
        if piece.is_empty() {
            return;
        }
        let index = count(data, "output_index");
        let id = text(data, "item_id");
        let by_index = || {
            self.items
                .iter()
                .rposition(|item| Some(item.index) == index)
        };
        let at = self.position(index, id).or_else(by_index);
        let is_call = kind.contains("call");
        let at = match at {
            Some(at) => at,
            // Arguments of a call without a name: its end will tell them.
            None if is_call => return,
            None => self.add(index, &json!({ "id": id }), out),
        };
        let Some(item) = self.items.get_mut(at).filter(|item| !item.done) else {
            return;
        };
        match (kind, item.call) {
            ("response.output_text.delta", _) => out.push(ReplyEvent::Text(piece)),
            ("response.refusal.delta", _) => {
                self.refused = true;
                out.push(ReplyEvent::Refusal(piece));
            }
            (_, Some(call)) if is_call => out.push(ReplyEvent::Arguments { call, piece }),
            _ if is_call => return,
            _ => {
                let part = count(data, "summary_index").or_else(|| count(data, "content_index"));
                let another = item.told && part.is_some() && part != item.part;
                item.part = part;
                if another {
                    out.push(ReplyEvent::Thinking("\n\n".to_owned()));
                }
                out.push(ReplyEvent::Thinking(piece));
            }
        }
        item.told = true;
    }

    /// An item is whole: what was not told of it is told now.
    fn end(&mut self, index: Option<u64>, item: &Value, out: &mut Vec<ReplyEvent>) {
        let id = text(item, "id");
        let at = self.position(index, id);
        // The last event lists all items again, by their place.
        let at = match at {
            Some(at) => at,
            None => self.add(index, item, out),
        };
        let Some(known) = self.items.get_mut(at).filter(|known| !known.done) else {
            return;
        };
        known.done = true;
        match text(item, "type") {
            Some("message") | None => {
                for part in items(item, "content").filter(|_| !known.told) {
                    match text(part, "type") {
                        Some("refusal") => {
                            self.refused = true;
                            let words = string(part, "refusal").unwrap_or_default();
                            out.push(ReplyEvent::Refusal(words));
                        }
                        _ => out.extend(string(part, "text").map(ReplyEvent::Text)),
                    }
                }
                out.push(ReplyEvent::TextEnd);
            }
            Some("function_call" | "custom_tool_call") => {
                let Some(call) = known.call else { return };
                if !known.told {
                    let key = if known.custom { "input" } else { "arguments" };
                    let piece = match present(item, key) {
                        Some(Value::String(piece)) if !piece.is_empty() => piece.clone(),
                        Some(value @ Value::Object(_)) => value.to_string(),
                        _ if known.custom => String::new(),
                        _ => "{}".to_owned(),
                    };
                    out.push(ReplyEvent::Arguments { call, piece });
                }
                out.push(ReplyEvent::CallEnd { call });
            }
            Some("reasoning") => {
                if !known.told {
                    let shown = items(item, "summary").chain(items(item, "content"));
                    let shown: Vec<&str> = shown.filter_map(|part| text(part, "text")).collect();
                    if !shown.is_empty() {
                        out.push(ReplyEvent::Thinking(shown.join("\n\n")));
                    }
                }
                let raw = Some((Dialect::Responses, item.clone()));
                out.push(ReplyEvent::ThinkingEnd { raw });
            }
            Some(_) => out.push(ReplyEvent::Foreign {
                dialect: Dialect::Responses,
                raw: item.clone(),
            }),
        }
    }

    fn finish_items(&mut self, out: &mut Vec<ReplyEvent>) {
        for item in self.items.iter_mut().filter(|item| !item.done) {
            item.done = true;
            if let Some(call) = item.call {
                if !item.told && !item.custom {
                    let piece = "{}".to_owned();
                    out.push(ReplyEvent::Arguments { call, piece });
                }
                out.push(ReplyEvent::CallEnd { call });
            }
        }
    }
}
