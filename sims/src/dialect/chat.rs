//! Chat completions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Chunk, Dialect, Part, Refusal, argument_pieces, null_as_default, text_pieces};
use crate::conversation::{self, Call, MODEL, Reply, Request, Role, Usage};

/// The protocol of `POST /v1/chat/completions`.
pub(crate) struct Chat;

impl Dialect for Chat {
    fn read(&self, body: Value) -> Result<Asked, Refusal> {
        let request: ChatRequest = serde_json::from_value(body)
            .map_err(|problem| Refusal::Unreadable(problem.to_string()))?;
        request.check()?;
        Ok(request.into())
    }

    fn whole(&self, id: u64, reply: &Reply, usage: Usage) -> Value {
        json!({
            "id": name(id), "object": "chat.completion", "created": 0, "model": MODEL,
            "choices": [{ "index": 0, "message": message(reply), "finish_reason": finish_reason(reply) }],
            "usage": usage,
        })
    }

    fn chunks(&self, id: u64, reply: &Reply, usage: Option<Usage>) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        let reports = usage.is_some().then_some(Value::Null);
        let mut push = |part: Part, delta: Value, finish: Option<&str>| {
            let choices = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
            chunks.push(event(part, id, choices, reports.clone()));
        };
        push(
            Part::Opening,
            json!({ "role": "assistant", "content": "" }),
            None,
        );
        for piece in text_pieces(&reply.reasoning) {
            push(Part::Reasoning, json!({ "reasoning_content": piece }), None);
        }
        for piece in text_pieces(&reply.text) {
            push(Part::Text, json!({ "content": piece }), None);
        }
        for (index, call) in reply.calls.iter().enumerate() {
            let opening = json!([{ "index": index, "id": call.id, "type": "function",
                "function": { "name": call.name, "arguments": "" } }]);
            push(Part::Call, json!({ "tool_calls": opening }), None);
            for piece in argument_pieces(&call.arguments) {
                let piece = json!([{ "index": index, "function": { "arguments": piece } }]);
                push(Part::Arguments, json!({ "tool_calls": piece }), None);
            }
        }
        push(Part::Finish, json!({}), Some(finish_reason(reply)));
        if let Some(usage) = usage {
            chunks.push(event(
                Part::Usage,
                id,
                json!([]),
                serde_json::to_value(usage).ok(),
            ));
        }
        chunks.push(Chunk {
            part: Part::Done,
            text: "data: [DONE]\n\n".to_owned(),
        });
        chunks
    }

    fn failure(&self, code: &str, message: &str) -> Chunk {
        let error =
            json!({ "error": { "message": message, "type": code, "param": null, "code": code } });
        Chunk {
            part: Part::Failure,
            text: format!("data: {error}\n\n"),
        }
    }

    fn error(&self, status: u16, code: &str, message: &str) -> Value {
        let kind = match status {
            429 => "requests",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
    }
}

fn name(id: u64) -> String {
    format!("chatcmpl-sim{id:06}")
}

fn event(part: Part, id: u64, choices: Value, usage: Option<Value>) -> Chunk {
    let mut chunk = json!({ "id": name(id), "object": "chat.completion.chunk", "created": 0, "model": MODEL,
        "choices": choices });
    if let (Some(usage), Some(fields)) = (usage, chunk.as_object_mut()) {
        fields.insert("usage".into(), usage);
    }
    Chunk {
        part,
        text: format!("data: {chunk}\n\n"),
    }
}

/// Why the answer ends, in the protocol's words.
fn finish_reason(reply: &Reply) -> &'static str {
    if reply.calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    }
}

/// The assistant message of an answer that is not streamed.
fn message(reply: &Reply) -> Value {
    let mut message = json!({ "role": "assistant", "content": reply.text });
    if let Some(fields) = message.as_object_mut() {
        if !reply.reasoning.is_empty() {
            fields.insert("reasoning_content".into(), json!(reply.reasoning));
        }
        if !reply.calls.is_empty() {
            let calls: Vec<Value> = reply
                .calls
                .iter()
                .map(|call| {
                    json!({ "id": call.id, "type": "function",
                        "function": { "name": call.name, "arguments": call.arguments } })
                })
                .collect();
            fields.insert("tool_calls".into(), Value::Array(calls));
        }
    }
    message
}

/// The body of `POST /v1/chat/completions`.
#[derive(Debug, Clone, Deserialize)]
struct ChatRequest {
    /// Model id; the last `/`-separated part must be [`MODEL`].
    model: String,
    /// The conversation so far, oldest first.
    messages: Vec<Message>,
    /// Tools the model may call.
    #[serde(default, deserialize_with = "null_as_default")]
    tools: Vec<ToolDefinition>,
    /// Whether to answer as server-sent events.
    #[serde(default, deserialize_with = "null_as_default")]
    stream: bool,
    /// What a stream carries beside the deltas.
    #[serde(default)]
    stream_options: Option<StreamOptions>,
}

/// `stream_options` of a request.
#[derive(Debug, Clone, Default, Deserialize)]
struct StreamOptions {
    /// Whether a last chunk reports the usage.
    #[serde(default, deserialize_with = "null_as_default")]
    include_usage: bool,
}

/// One message of the conversation.
#[derive(Debug, Clone, Deserialize)]
struct Message {
    /// Who speaks: `system`, `developer`, `user`, `assistant` or `tool`.
    role: String,
    /// What is said, as text or as parts.
    #[serde(default)]
    content: Option<Content>,
    /// The calls an assistant message makes.
    #[serde(default, deserialize_with = "null_as_default")]
    tool_calls: Vec<ToolCall>,
    /// The call that a `tool` message answers.
    #[serde(default)]
    tool_call_id: Option<String>,
}

impl Message {
    /// The text of the message; parts that are not text are left out.
    fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                let texts: Vec<&str> = parts
                    .iter()
                    .filter_map(|part| part.text.as_deref())
                    .collect();
                texts.join("\n")
            }
        }
    }
}

/// A message's content.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Content {
    /// Plain text.
    Text(String),
    /// A list of parts.
    Parts(Vec<ContentPart>),
}

/// One part of a message's content.
#[derive(Debug, Clone, Deserialize)]
struct ContentPart {
    /// The text of a text part.
    #[serde(default)]
    text: Option<String>,
}

/// A call made by an earlier assistant message.
#[derive(Debug, Clone, Deserialize)]
struct ToolCall {
    /// The call's id, named by its result.
    id: String,
    /// The function and its arguments.
    function: CalledFunction,
}

/// The function of a [`ToolCall`].
#[derive(Debug, Clone, Deserialize)]
struct CalledFunction {
    /// Tool name.
    name: String,
    /// Arguments as JSON text.
    #[serde(default)]
    arguments: String,
}

/// A tool offered by the client.
#[derive(Debug, Clone, Deserialize)]
struct ToolDefinition {
    /// Its function.
    function: FunctionDefinition,
}

/// The function of a [`ToolDefinition`].
#[derive(Debug, Clone, Deserialize)]
struct FunctionDefinition {
    /// Tool name.
    name: String,
    /// JSON schema of its arguments.
    #[serde(default)]
    parameters: Value,
}

impl From<ChatRequest> for Asked {
    fn from(asked: ChatRequest) -> Self {
        let include_usage = asked
            .stream_options
            .is_some_and(|options| options.include_usage);
        Self {
            stream: asked.stream,
            usage: include_usage,
            thinks: true,
            request: Request {
                messages: asked.messages.into_iter().map(Into::into).collect(),
                tools: asked
                    .tools
                    .into_iter()
                    .map(|tool| conversation::ToolDefinition {
                        name: tool.function.name,
                        parameters: tool.function.parameters,
                    })
                    .collect(),
            },
        }
    }
}

impl From<Message> for conversation::Message {
    fn from(message: Message) -> Self {
        let call = |call: ToolCall| Call {
            id: call.id,
            name: call.function.name,
            arguments: serde_json::from_str(&call.function.arguments).unwrap_or_default(),
        };
        Self {
            role: match message.role.as_str() {
                "user" => Role::User,
                "assistant" => Role::Assistant,
                "tool" => Role::Tool,
                _ => Role::System,
            },
            text: message.text(),
            calls: message.tool_calls.into_iter().map(call).collect(),
            answers: message.tool_call_id,
        }
    }
}

impl ChatRequest {
    /// The first rule of the real service that the request breaks.
    fn check(&self) -> Result<(), Refusal> {
        if self.model.rsplit('/').next() != Some(MODEL) {
            return Err(Refusal::UnknownModel(self.model.clone()));
        }
        if self.messages.is_empty() {
            return Err(Refusal::NoMessages);
        }
        let mut open: Vec<&str> = Vec::new();
        for message in &self.messages {
            if message.role == "tool" {
                let id = message.tool_call_id.as_deref().unwrap_or_default();
                match open.iter().position(|call| *call == id) {
                    Some(at) => drop(open.remove(at)),
                    None => return Err(Refusal::ResultWithoutCall(id.to_owned())),
                }
                continue;
            }
            if let Some(id) = open.first() {
                return Err(Refusal::CallWithoutResult((*id).to_owned()));
            }
            for call in &message.tool_calls {
                let arguments = &call.function.arguments;
                let object =
                    serde_json::from_str::<Value>(arguments).is_ok_and(|value| value.is_object());
                if !object && !arguments.trim().is_empty() {
                    return Err(Refusal::BadArguments(call.id.clone()));
                }
                open.push(&call.id);
            }
        }
        match open.first() {
            Some(id) => Err(Refusal::CallWithoutResult((*id).to_owned())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(messages: Value, expect: Result<(), Refusal>) {
        let request: ChatRequest = serde_json::from_value(
            json!({ "model": "scripted", "messages": messages, "tools": null }),
        )
        .unwrap();
        assert_eq!(request.check(), expect);
    }

    fn call(id: &str, arguments: &str) -> Value {
        json!({ "role": "assistant", "content": null,
            "tool_calls": [{ "id": id, "type": "function", "function": { "name": "bash", "arguments": arguments } }] })
    }

    #[test]
    fn a_conversation_must_pair_calls_and_results() {
        let user = json!({ "role": "user", "content": [{ "type": "text", "text": "hi" }] });
        let result = json!({ "role": "tool", "tool_call_id": "a", "content": "ok" });
        check(json!([]), Err(Refusal::NoMessages));
        check(json!([user]), Ok(()));
        check(json!([user, call("a", "{}"), result]), Ok(()));
        check(
            json!([user, result]),
            Err(Refusal::ResultWithoutCall("a".into())),
        );
        check(
            json!([user, call("b", "{}"), result]),
            Err(Refusal::ResultWithoutCall("a".into())),
        );
        check(
            json!([user, call("a", "{}"), user]),
            Err(Refusal::CallWithoutResult("a".into())),
        );
        check(
            json!([user, call("a", "{}")]),
            Err(Refusal::CallWithoutResult("a".into())),
        );
        check(
            json!([user, call("a", "{\"x\""), result]),
            Err(Refusal::BadArguments("a".into())),
        );
    }

    #[test]
    fn the_pieces_add_up_to_the_answer() {
        let arguments =
            json!({ "command": "node --test — and a command that is longer than one piece" })
                .to_string();
        let reply = Reply {
            reasoning: "Nothing is known yet.".into(),
            text: "I look around first, then I run the tests.".into(),
            calls: vec![conversation::PlannedCall {
                id: "call_1".into(),
                name: "bash".into(),
                arguments: arguments.clone(),
            }],
        };
        let usage = Usage {
            prompt_tokens: 1,
            completion_tokens: 2,
            total_tokens: 3,
        };
        let chunks = Chat.chunks(1, &reply, Some(usage));
        let (mut reasoning, mut text, mut called) = (String::new(), String::new(), String::new());
        let mut reported = None;
        for chunk in chunks.iter().take(chunks.len() - 1) {
            let data: Value =
                serde_json::from_str(chunk.text.strip_prefix("data: ").unwrap()).unwrap();
            let delta = &data["choices"][0]["delta"];
            reasoning += delta["reasoning_content"].as_str().unwrap_or_default();
            text += delta["content"].as_str().unwrap_or_default();
            called += delta["tool_calls"][0]["function"]["arguments"]
                .as_str()
                .unwrap_or_default();
            if !data["usage"].is_null() {
                reported = data["usage"]["total_tokens"].as_u64();
            }
        }
        assert_eq!(
            (reasoning, text, called),
            (reply.reasoning, reply.text, arguments)
        );
        assert_eq!(reported, Some(3));
        assert_eq!(chunks.last().unwrap().text, "data: [DONE]\n\n");
    }

    #[test]
    fn only_the_scripted_model_is_served() {
        let named = |model: &str| {
            let request: ChatRequest = serde_json::from_value(
                json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] }),
            )
            .unwrap();
            request.check()
        };
        assert_eq!(named("scripted"), Ok(()));
        assert_eq!(named("openai/scripted"), Ok(()));
        assert_eq!(named("gpt"), Err(Refusal::UnknownModel("gpt".into())));
    }
}
