//! What model APIs send, in each dialect, written apart from what reads it.

use serde_json::{Value, json};

use crate::server::{Reply, Step};

/// How the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Chat,
    Responses,
    Messages,
}

/// A call of `bash`.
#[derive(Debug, Clone)]
pub(crate) struct BashCall {
    /// None when the server gives calls no ids.
    pub(crate) id: Option<String>,
    /// The arguments as they come.
    pub(crate) pieces: Vec<String>,
}

impl BashCall {
    pub(crate) fn new(id: &str, command: &str) -> Self {
        let arguments = json!({"command": command}).to_string();
        Self {
            id: Some(id.to_owned()),
            pieces: vec![arguments],
        }
    }

    fn arguments(&self) -> String {
        self.pieces.concat()
    }
}

/// A reply as a test thinks of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) thought: bool,
    /// Whether content is named and null.
    pub(crate) null: bool,
    pub(crate) text: &'static str,
    pub(crate) calls: Vec<BashCall>,
    /// Whether the reply ran out of output.
    pub(crate) cut_short: bool,
    pub(crate) uncounted: bool,
}

/// What the reasoning items carry, which has to come back.
pub(crate) const SEAL: &str = "c2VhbGVkIHRob3VnaHQ=";
const THOUGHT: &str = "Let me see.";

impl Wire {
    pub(crate) const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }

    /// The whole reply.
    pub(crate) fn reply(self, said: &Said) -> Reply {
        let mut steps = self.body(said);
        steps.extend(self.end(said));
        Reply::Stream(steps)
    }

    /// A whole reply of text.
    pub(crate) fn answer(self, text: &'static str) -> Reply {
        self.reply(&Said {
            text,
            ..Said::default()
        })
    }

    /// A reply up to its end, which is missing.
    pub(crate) fn body(self, said: &Said) -> Vec<Step> {
        let events = match self {
            Self::Chat => chat(said),
            Self::Responses => responses(said),
            Self::Messages => messages(said),
        };
        events.into_iter().map(Step::Event).collect()
    }

    fn end(self, said: &Said) -> Vec<Step> {
        match self {
            Self::Chat => {
                let reason = match (said.cut_short, said.calls.is_empty()) {
                    (true, _) => "length",
                    (false, true) => "stop",
                    (false, false) => "tool_calls",
                };
                let mut steps = vec![Step::Event(delta(json!({}), Some(reason)))];
                if !said.uncounted {
                    let usage =
                        json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12});
                    steps.push(Step::Event(json!({"choices": [], "usage": usage})));
                }
                steps.push(Step::Done);
                steps
            }
            Self::Responses => {
                let (kind, status) = match said.cut_short {
                    true => ("response.incomplete", "incomplete"),
                    false => ("response.completed", "completed"),
                };
                let mut response = json!({"id": "r", "status": status, "output": items(said)});
                if said.cut_short {
                    response["incomplete_details"] = json!({"reason": "max_output_tokens"});
                }
                if !said.uncounted {
                    response["usage"] =
                        json!({"input_tokens": 10, "output_tokens": 2, "total_tokens": 12});
                }
                vec![Step::Event(json!({"type": kind, "response": response}))]
            }
            Self::Messages => {
                let reason = match (said.cut_short, said.calls.is_empty()) {
                    (true, _) => "max_tokens",
                    (false, true) => "end_turn",
                    (false, false) => "tool_use",
                };
                let mut last = json!({"type": "message_delta", "delta": {"stop_reason": reason}});
                if !said.uncounted {
                    last["usage"] = json!({"output_tokens": 2});
                }
                vec![
                    Step::Event(last),
                    Step::Event(json!({"type": "message_stop"})),
                ]
            }
        }
    }

    /// What a refusal of the whole request looks like.
    pub(crate) fn refused(self, words: &str) -> String {
        match self {
            Self::Chat | Self::Responses => json!({"error": {"message": words}}),
            Self::Messages => {
                json!({"type": "error", "error": {"type": "error", "message": words}})
            }
        }
        .to_string()
    }

    /// An overload told within a stream.
    pub(crate) fn overloaded(self) -> Step {
        Step::Event(match self {
            Self::Chat => json!({"error": {"message": "busy", "code": "overloaded_error"}}),
            Self::Responses => json!({"type": "response.failed", "response": {"id": "r",
                "status": "failed", "error": {"code": "server_is_overloaded", "message": "busy"}}}),
            Self::Messages => json!({"type": "error",
                "error": {"type": "overloaded_error", "message": "busy"}}),
        })
    }

    /// An event that nobody has heard of.
    pub(crate) fn unheard_of(self) -> Step {
        Step::Event(match self {
            Self::Chat => json!({"object": "chat.novelty", "novel": {"x": [1]}}),
            Self::Responses => json!({"type": "response.novelty.delta", "delta": {"x": 1}}),
            Self::Messages => json!({"type": "novelty", "index": 7, "delta": {"type": "new"}}),
        })
    }

    /// The results that a request gives, in order.
    pub(crate) fn results(self, request: &Value) -> Vec<String> {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other[0]["text"].as_str().unwrap().to_owned(),
        };
        let list = |key: &str| request[key].as_array().unwrap().clone();
        match self {
            Self::Chat => {
                let results = list("messages").into_iter().filter(|m| m["role"] == "tool");
                results.map(|m| text(&m["content"])).collect()
            }
            Self::Responses => {
                let results = list("input").into_iter();
                let results = results.filter(|item| item["type"] == "function_call_output");
                results.map(|item| text(&item["output"])).collect()
            }
            Self::Messages => {
                let blocks = list("messages")
                    .into_iter()
                    .filter_map(|m| m["content"].as_array().cloned());
                let results = blocks
                    .flatten()
                    .filter(|block| block["type"] == "tool_result");
                results.map(|block| text(&block["content"])).collect()
            }
        }
    }

    /// How a request says that the model chooses its tools.
    pub(crate) fn free_choice(self) -> Value {
        match self {
            Self::Chat | Self::Responses => json!("auto"),
            Self::Messages => json!({"type": "auto"}),
        }
    }

    /// The reasoning that a request gives back; chat completions know none.
    pub(crate) fn reasoning(self, request: &Value) -> Option<Value> {
        match self {
            Self::Chat => None,
            Self::Responses => {
                let items = request["input"].as_array().unwrap().iter();
                items
                    .clone()
                    .find(|item| item["type"] == "reasoning")
                    .cloned()
            }
            Self::Messages => {
                let messages = request["messages"].as_array().unwrap().iter();
                let mut blocks = messages.filter_map(|m| m["content"].as_array()).flatten();
                blocks.find(|block| block["type"] == "thinking").cloned()
            }
        }
    }

    /// The reasoning as it was sent.
    pub(crate) fn sent_reasoning(self) -> Option<Value> {
        match self {
            Self::Chat => None,
            Self::Responses => Some(reasoning_item()),
            Self::Messages => {
                Some(json!({"type": "thinking", "thinking": THOUGHT, "signature": SEAL}))
            }
        }
    }
}

fn delta(delta: Value, finish: Option<&str>) -> Value {
    json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn chat(said: &Said) -> Vec<Value> {
    let mut events = Vec::new();
    if said.thought {
        events.push(delta(json!({"reasoning_content": THOUGHT}), None));
    }
    if said.null {
        events.push(delta(
            json!({"role": "assistant", "content": null, "refusal": null}),
            None,
        ));
    }
    if !said.text.is_empty() {
        events.push(delta(json!({"content": said.text}), None));
    }
    for (index, call) in said.calls.iter().enumerate() {
        let mut begin = json!({"index": index, "type": "function",
            "function": {"name": "bash", "arguments": ""}});
        if let Some(id) = &call.id {
            begin["id"] = json!(id);
        }
        events.push(delta(json!({"tool_calls": [begin]}), None));
        for piece in &call.pieces {
            let piece = json!({"index": index, "function": {"arguments": piece}});
            events.push(delta(json!({"tool_calls": [piece]}), None));
        }
    }
    events
}

fn reasoning_item() -> Value {
    json!({"type": "reasoning", "id": "rs_1", "encrypted_content": SEAL,
        "summary": [{"type": "summary_text", "text": THOUGHT}]})
}

/// The output of a response, item by item.
fn items(said: &Said) -> Vec<Value> {
    let mut items = Vec::new();
    if said.thought {
        items.push(reasoning_item());
    }
    if said.null {
        items.push(json!({"type": "message", "id": "m0", "role": "assistant", "content": null}));
    }
    if !said.text.is_empty() {
        let content = json!([{"type": "output_text", "text": said.text, "annotations": []}]);
        items.push(json!({"type": "message", "id": "m1", "role": "assistant", "content": content}));
    }
    for call in &said.calls {
        let mut item =
            json!({"type": "function_call", "name": "bash", "arguments": call.arguments()});
        if let Some(id) = &call.id {
            item["id"] = json!(format!("fc_{id}"));
            item["call_id"] = json!(id);
        }
        items.push(item);
    }
    items
}

fn responses(said: &Said) -> Vec<Value> {
    let mut events = vec![json!({"type": "response.created",
        "response": {"id": "r", "status": "in_progress", "model": "m", "output": []}})];
    let mut calls = said.calls.iter();
    for (index, item) in items(said).into_iter().enumerate() {
        let of = |kind: &str, more: Value| {
            let mut event = json!({"type": kind, "output_index": index, "item_id": item["id"]});
            event
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            event
        };
        let mut begin = item.clone();
        let mut middle = Vec::new();
        match item["type"].as_str().unwrap() {
            "function_call" => {
                begin["arguments"] = json!("");
                let pieces = calls.next().unwrap().pieces.iter();
                middle.extend(pieces.map(|piece| {
                    of(
                        "response.function_call_arguments.delta",
                        json!({"delta": piece}),
                    )
                }));
            }
            "message" if item["content"].is_array() => {
                begin["content"] = json!([]);
                middle.push(of(
                    "response.output_text.delta",
                    json!({"content_index": 0, "delta": said.text}),
                ));
            }
            "reasoning" => {
                begin["summary"] = json!([]);
                middle.push(of(
                    "response.reasoning_summary_text.delta",
                    json!({"summary_index": 0, "delta": THOUGHT}),
                ));
            }
            _ => {}
        }
        events.push(of("response.output_item.added", json!({"item": begin})));
        events.extend(middle);
        events.push(of("response.output_item.done", json!({"item": item})));
    }
    events
}

fn messages(said: &Said) -> Vec<Value> {
    let mut message = json!({"id": "m", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": null});
    if !said.uncounted {
        message["usage"] = json!({"input_tokens": 10, "output_tokens": 1});
    }
    let mut events = vec![json!({"type": "message_start", "message": message})];
    let mut index = 0;
    let mut block = |begin: Value, deltas: Vec<Value>| {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": begin}));
        for delta in deltas {
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
        index += 1;
    };
    if said.thought {
        block(
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            vec![
                json!({"type": "thinking_delta", "thinking": THOUGHT}),
                json!({"type": "signature_delta", "signature": SEAL}),
            ],
        );
    }
    if said.null {
        block(json!({"type": "text", "text": null}), Vec::new());
    }
    if !said.text.is_empty() {
        let text = json!({"type": "text_delta", "text": said.text});
        block(json!({"type": "text", "text": ""}), vec![text]);
    }
    for call in &said.calls {
        let mut begin = json!({"type": "tool_use", "name": "bash", "input": {}});
        if let Some(id) = &call.id {
            begin["id"] = json!(id);
        }
        let pieces = call.pieces.iter();
        let pieces = pieces.map(|p| json!({"type": "input_json_delta", "partial_json": p}));
        block(begin, pieces.collect());
    }
    events
}
