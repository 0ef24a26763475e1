//! Responses.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Chunk, Dialect, Part, Refusal, argument_pieces, null_as_default, text_pieces};
use crate::conversation::{self, Call, MODEL, PlannedCall, Reply, Request, Role, Usage};

/// The protocol of `POST /v1/responses`.
pub(crate) struct Responses;

impl Dialect for Responses {
    fn read(&self, body: Value) -> Result<Asked, Refusal> {
        let request: Body = serde_json::from_value(body)
            .map_err(|problem| Refusal::Unreadable(problem.to_string()))?;
        request.check()?;
        Ok(Asked {
            stream: request.stream,
            usage: true,
            thinks: true,
            request: request.into(),
        })
    }

    fn whole(&self, id: u64, reply: &Reply, usage: Usage) -> Value {
        response(id, "completed", items(id, reply), Some(usage))
    }

    fn chunks(&self, id: u64, reply: &Reply, usage: Option<Usage>) -> Vec<Chunk> {
        let mut stream = Stream::default();
        let begun = response(id, "in_progress", Vec::new(), None);
        let begun = ["response.created", "response.in_progress"]
            .map(|kind| (kind, json!({ "response": begun })));
        stream.push(Part::Opening, begun);
        let items = items(id, reply);
        for (index, item) in items.iter().enumerate() {
            match item.get("type").and_then(Value::as_str) {
                Some("reasoning") => stream.reasoning(index, item, &reply.reasoning),
                Some("message") => stream.message(index, item, &reply.text),
                _ => stream.call(index, item),
            }
        }
        let response = response(id, "completed", items, usage);
        stream.push(
            Part::Done,
            [("response.completed", json!({ "response": response }))],
        );
        stream.chunks
    }

    fn failure(&self, code: &str, message: &str) -> Chunk {
        let code = match code {
            "overloaded_error" => "server_is_overloaded",
            "rate_limit_error" => "rate_limit_exceeded",
            other => other,
        };
        let mut failed = response(0, "failed", Vec::new(), None);
        if let Some(fields) = failed.as_object_mut() {
            fields.insert("error".into(), json!({ "code": code, "message": message }));
        }
        let mut stream = Stream::default();
        let error = json!({ "code": code, "message": message, "param": null });
        let failed = json!({ "response": failed });
        stream.push(
            Part::Failure,
            [("error", error), ("response.failed", failed)],
        );
        let text = stream.chunks.into_iter().map(|chunk| chunk.text).collect();
        Chunk {
            part: Part::Failure,
            text,
        }
    }

    fn error(&self, status: u16, code: &str, message: &str) -> Value {
        super::Chat.error(status, code, message)
    }
}

/// Writes events, counting them.
#[derive(Default)]
struct Stream {
    sequence: u64,
    chunks: Vec<Chunk>,
}

impl Stream {
    /// Events that travel together.
    fn push<const N: usize>(&mut self, part: Part, events: [(&str, Value); N]) {
        let mut text = String::new();
        for (kind, mut event) in events {
            if let Some(fields) = event.as_object_mut() {
                fields.insert("type".into(), json!(kind));
                fields.insert("sequence_number".into(), json!(self.sequence));
            }
            self.sequence += 1;
            text.push_str(&format!("event: {kind}\ndata: {event}\n\n"));
        }
        self.chunks.push(Chunk { part, text });
    }

    fn end(&mut self, part: Part, index: usize, item: &Value) {
        let done = json!({ "output_index": index, "item": item });
        self.push(part, [("response.output_item.done", done)]);
    }

    fn reasoning(&mut self, index: usize, item: &Value, reasoning: &str) {
        let id = item.get("id");
        let begun = json!({ "type": "reasoning", "id": id, "summary": [] });
        let part = json!({ "type": "summary_text", "text": "" });
        self.push(
            Part::Reasoning,
            [
                ("response.output_item.added", json!({ "output_index": index, "item": begun })),
                (
                    "response.reasoning_summary_part.added",
                    json!({ "item_id": id, "output_index": index, "summary_index": 0, "part": part }),
                ),
            ],
        );
        for piece in text_pieces(reasoning) {
            let delta =
                json!({ "item_id": id, "output_index": index, "summary_index": 0, "delta": piece });
            self.push(
                Part::Reasoning,
                [("response.reasoning_summary_text.delta", delta)],
            );
        }
        let part = json!({ "type": "summary_text", "text": reasoning });
        self.push(
            Part::Reasoning,
            [
                (
                    "response.reasoning_summary_text.done",
                    json!({ "item_id": id, "output_index": index, "summary_index": 0, "text": reasoning }),
                ),
                (
                    "response.reasoning_summary_part.done",
                    json!({ "item_id": id, "output_index": index, "summary_index": 0, "part": part }),
                ),
            ],
        );
        self.end(Part::Reasoning, index, item);
    }

    fn message(&mut self, index: usize, item: &Value, text: &str) {
        let id = item.get("id");
        let begun = json!({ "type": "message", "id": id, "role": "assistant",
            "status": "in_progress", "content": [] });
        self.push(
            Part::Text,
            [
                ("response.output_item.added", json!({ "output_index": index, "item": begun })),
                (
                    "response.content_part.added",
                    json!({ "item_id": id, "output_index": index, "content_index": 0, "part": output_text("") }),
                ),
            ],
        );
        for piece in text_pieces(text) {
            let delta = json!({ "item_id": id, "output_index": index, "content_index": 0, "delta": piece,
                "logprobs": [] });
            self.push(Part::Text, [("response.output_text.delta", delta)]);
        }
        self.push(
            Part::Text,
            [
                (
                    "response.output_text.done",
                    json!({ "item_id": id, "output_index": index, "content_index": 0, "text": text, "logprobs": [] }),
                ),
                (
                    "response.content_part.done",
                    json!({ "item_id": id, "output_index": index, "content_index": 0, "part": output_text(text) }),
                ),
            ],
        );
        self.end(Part::Text, index, item);
    }

    fn call(&mut self, index: usize, item: &Value) {
        let id = item.get("id");
        let arguments = item
            .get("arguments")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let mut begun = item.clone();
        if let Some(fields) = begun.as_object_mut() {
            fields.insert("arguments".into(), json!(""));
            fields.insert("status".into(), json!("in_progress"));
        }
        let added = json!({ "output_index": index, "item": begun });
        self.push(Part::Call, [("response.output_item.added", added)]);
        for piece in argument_pieces(arguments) {
            let delta = json!({ "item_id": id, "output_index": index, "delta": piece });
            self.push(
                Part::Arguments,
                [("response.function_call_arguments.delta", delta)],
            );
        }
        let done = json!({ "item_id": id, "output_index": index, "name": item.get("name"), "arguments": arguments });
        self.push(
            Part::Arguments,
            [("response.function_call_arguments.done", done)],
        );
        self.end(Part::Arguments, index, item);
    }
}

fn output_text(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

fn response(id: u64, status: &str, output: Vec<Value>, usage: Option<Usage>) -> Value {
    let usage = usage.map(|usage| {
        json!({ "input_tokens": usage.prompt_tokens, "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": usage.total_tokens })
    });
    json!({ "id": format!("resp_sim{id:06}"), "object": "response", "created_at": 0, "status": status,
        "background": false, "error": null, "incomplete_details": null, "instructions": null,
        "max_output_tokens": null, "model": MODEL, "output": output, "parallel_tool_calls": true,
        "previous_response_id": null, "reasoning": { "effort": null, "summary": null }, "store": false,
        "temperature": 1.0, "text": { "format": { "type": "text" } }, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": null, "metadata": {} })
}

fn items(id: u64, reply: &Reply) -> Vec<Value> {
    let mut items = Vec::new();
    if !reply.reasoning.is_empty() {
        items.push(json!({ "type": "reasoning", "id": format!("rs_sim{id:06}"),
            "summary": [{ "type": "summary_text", "text": reply.reasoning }],
            "encrypted_content": sealed(&reply.reasoning) }));
    }
    if !reply.text.is_empty() || reply.calls.is_empty() {
        items.push(
            json!({ "type": "message", "id": format!("msg_sim{id:06}"), "role": "assistant",
            "status": "completed", "content": [output_text(&reply.text)] }),
        );
    }
    for (number, call) in reply.calls.iter().enumerate() {
        let PlannedCall {
            id: call_id,
            name,
            arguments,
        } = call;
        items.push(
            json!({ "type": "function_call", "id": format!("fc_sim{id:06}_{number}"),
            "call_id": call_id, "name": name, "arguments": arguments, "status": "completed" }),
        );
    }
    items
}

/// What a reasoning item is sealed with: it comes back unchanged or not at all.
fn sealed(reasoning: &str) -> String {
    let hex: String = reasoning
        .bytes()
        .rev()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sim{hex}")
}

/// The body of `POST /v1/responses`.
#[derive(Debug, Deserialize)]
struct Body {
    model: String,
    input: Input,
    #[serde(default)]
    instructions: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    tools: Vec<ToolDefinition>,
    #[serde(default, deserialize_with = "null_as_default")]
    stream: bool,
    #[serde(default)]
    previous_response_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Items(Vec<Item>),
}

#[derive(Debug, Deserialize)]
struct Item {
    #[serde(default = "message_kind")]
    r#type: String,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    call_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
    #[serde(default)]
    output: Option<Content>,
    #[serde(default)]
    summary: Vec<ContentPart>,
    #[serde(default)]
    encrypted_content: Option<String>,
}

fn message_kind() -> String {
    "message".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

#[derive(Debug, Deserialize)]
struct ContentPart {
    #[serde(default)]
    text: Option<String>,
}

impl Content {
    /// Its text; what is not text is left out.
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => {
                let texts: Vec<&str> = parts
                    .iter()
                    .filter_map(|part| part.text.as_deref())
                    .collect();
                texts.join("\n")
            }
        }
    }
}

/// A tool; only functions have a schema.
#[derive(Debug, Deserialize)]
struct ToolDefinition {
    r#type: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    parameters: Option<Value>,
}

impl Body {
    fn items(&self) -> &[Item] {
        match &self.input {
            Input::Text(_) => &[],
            Input::Items(items) => items,
        }
    }

    /// The first rule of the real service that the request breaks.
    fn check(&self) -> Result<(), Refusal> {
        let refuse = |words: String| Err(Refusal::Unreadable(words));
        if self.model.rsplit('/').next() != Some(MODEL) {
            return Err(Refusal::UnknownModel(self.model.clone()));
        }
        if let Some(id) = &self.previous_response_id {
            return refuse(format!("Previous response with id '{id}' not found."));
        }
        if matches!(&self.input, Input::Items(items) if items.is_empty()) {
            return refuse(
                "One of \"input\" or \"previous_response_id\" or 'prompt' must be provided.".into(),
            );
        }
        let mut called: Vec<&str> = Vec::new();
        let mut answered: Vec<&str> = Vec::new();
        for item in self.items() {
            let id = item.call_id.as_deref().unwrap_or_default();
            match item.r#type.as_str() {
                "function_call" => {
                    let arguments = item.arguments.as_deref().unwrap_or_default();
                    if item.name.is_none() || id.is_empty() {
                        return refuse("Missing required parameter of a function call.".into());
                    }
                    if serde_json::from_str::<Value>(arguments).is_err() {
                        return Err(Refusal::BadArguments(id.to_owned()));
                    }
                    called.push(id);
                }
                "function_call_output" => {
                    if !called.contains(&id) {
                        return refuse(format!(
                            "No tool call found for function call output with call_id {id}."
                        ));
                    }
                    answered.push(id);
                }
                "reasoning" => {
                    let shown: Vec<&str> = item
                        .summary
                        .iter()
                        .filter_map(|part| part.text.as_deref())
                        .collect();
                    let content = item.encrypted_content.as_deref();
                    if content.is_some_and(|content| content != sealed(&shown.join("\n"))) {
                        return refuse(
                            "The encrypted content of a reasoning item could not be verified."
                                .into(),
                        );
                    }
                }
                _ => {}
            }
        }
        match called.iter().find(|id| !answered.contains(id)) {
            Some(id) => refuse(format!("No tool output found for function call {id}.")),
            None => Ok(()),
        }
    }
}

impl From<Body> for Request {
    fn from(body: Body) -> Self {
        let said = |role, text| conversation::Message {
            role,
            text,
            calls: Vec::new(),
            answers: None,
        };
        let mut messages = Vec::new();
        if let Some(instructions) = body.instructions {
            messages.push(said(Role::System, instructions));
        }
        match body.input {
            Input::Text(text) => messages.push(said(Role::User, text)),
            Input::Items(items) => {
                for item in items {
                    let text = item.content.as_ref().map(Content::text).unwrap_or_default();
                    match item.r#type.as_str() {
                        "message" => {
                            let role = match item.role.as_deref() {
                                Some("user") => Role::User,
                                Some("assistant") => Role::Assistant,
                                _ => Role::System,
                            };
                            messages.push(said(role, text));
                        }
                        "function_call" => {
                            let arguments = item.arguments.unwrap_or_default();
                            let call = Call {
                                id: item.call_id.unwrap_or_default(),
                                name: item.name.unwrap_or_default(),
                                arguments: serde_json::from_str(&arguments).unwrap_or_default(),
                            };
                            // What the model said and called in one reply is one message.
                            match messages
                                .last_mut()
                                .filter(|last| last.role == Role::Assistant)
                            {
                                Some(last) => last.calls.push(call),
                                None => {
                                    let mut message = said(Role::Assistant, String::new());
                                    message.calls.push(call);
                                    messages.push(message);
                                }
                            }
                        }
                        "function_call_output" => messages.push(conversation::Message {
                            answers: item.call_id,
                            ..said(
                                Role::Tool,
                                item.output.as_ref().map(Content::text).unwrap_or_default(),
                            )
                        }),
                        _ => {}
                    }
                }
            }
        }
        let tools = body
            .tools
            .into_iter()
            .filter(|tool| tool.r#type == "function");
        let tools = tools.filter_map(|tool| {
            Some(conversation::ToolDefinition {
                name: tool.name?,
                parameters: tool.parameters?,
            })
        });
        Self {
            messages,
            tools: tools.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: Value, words: Option<&str>) {
        let body = json!({ "model": MODEL, "input": input });
        match (Responses.read(body), words) {
            (Ok(_), None) => {}
            (Err(refusal), Some(words)) => {
                assert!(refusal.to_string().contains(words), "{refusal}");
            }
            (got, _) => panic!("{got:?} for {words:?}"),
        }
    }

    #[test]
    fn calls_and_outputs_are_paired() {
        let user = json!({ "role": "user", "content": "hi" });
        let call =
            json!({ "type": "function_call", "call_id": "a", "name": "bash", "arguments": "{}" });
        let output = json!({ "type": "function_call_output", "call_id": "a", "output": "ok" });
        check(json!("hi"), None);
        check(json!([]), Some("must be provided"));
        check(json!([user, call, output]), None);
        check(json!([user, output]), Some("No tool call found"));
        check(json!([user, call]), Some("No tool output found"));
    }

    #[test]
    fn reasoning_comes_back_as_it_was_sealed() {
        let item = |content: &str| {
            json!([{ "type": "reasoning", "id": "r", "summary": [{ "type": "summary_text", "text": "hm" }],
                "encrypted_content": content }, { "role": "user", "content": "hi" }])
        };
        check(item(&sealed("hm")), None);
        check(item("b3BhcXVl"), Some("could not be verified"));
    }

    #[test]
    fn nothing_is_remembered() {
        let body = json!({ "model": MODEL, "input": "hi", "previous_response_id": "resp_1" });
        assert!(Responses.read(body).is_err());
    }
}
