//! The chat completions protocol as this gateway reads and writes it.
//!
//! The types are written from the protocol's public description, not shared with the product's clients, so that a
//! misreading on one side shows up as a failure between the two. [`ChatRequest::check`] refuses what the real service
//! refuses: tool results without their call, calls without their result.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The id of the one model served here.
pub const MODEL: &str = "scripted";

/// The body of `POST /v1/chat/completions`.
#[derive(Debug, Clone, Deserialize)]
pub struct ChatRequest {
    /// Model id; the last `/`-separated part must be [`MODEL`].
    pub model: String,
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tools: Vec<ToolDefinition>,
    /// Whether to answer as server-sent events.
    #[serde(default, deserialize_with = "null_as_default")]
    pub stream: bool,
    /// What a stream carries beside the deltas.
    #[serde(default)]
    pub stream_options: Option<StreamOptions>,
}

/// `stream_options` of a request.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct StreamOptions {
    /// Whether a last chunk reports the usage.
    #[serde(default, deserialize_with = "null_as_default")]
    pub include_usage: bool,
}

/// One message of the conversation.
#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    /// Who speaks: `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What is said, as text or as parts.
    #[serde(default)]
    pub content: Option<Content>,
    /// The calls an assistant message makes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a `tool` message answers.
    #[serde(default)]
    pub tool_call_id: Option<String>,
}

impl Message {
    /// The text of the message; parts that are not text are left out.
    #[must_use]
    pub fn text(&self) -> String {
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
pub enum Content {
    /// Plain text.
    Text(String),
    /// A list of parts.
    Parts(Vec<Part>),
}

/// One part of a message's content.
#[derive(Debug, Clone, Deserialize)]
pub struct Part {
    /// The text of a text part.
    #[serde(default)]
    pub text: Option<String>,
}

/// A call made by an earlier assistant message.
#[derive(Debug, Clone, Deserialize)]
pub struct ToolCall {
    /// The call's id, named by its result.
    pub id: String,
    /// The function and its arguments.
    pub function: CalledFunction,
}

/// The function of a [`ToolCall`].
#[derive(Debug, Clone, Deserialize)]
pub struct CalledFunction {
    /// Tool name.
    pub name: String,
    /// Arguments as JSON text.
    #[serde(default)]
    pub arguments: String,
}

/// A tool offered by the client.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct ToolDefinition {
    /// Its function.
    pub function: FunctionDefinition,
}

/// The function of a [`ToolDefinition`].
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct FunctionDefinition {
    /// Tool name.
    pub name: String,
    /// What it does, in the client's words.
    #[serde(default)]
    pub description: Option<String>,
    /// JSON schema of its arguments.
    #[serde(default)]
    pub parameters: Value,
}

/// What the model answers: some text, or some calls, or both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// Reasoning shown apart from the answer; often empty.
    pub reasoning: String,
    /// The answer's text.
    pub text: String,
    /// Tool calls; when there are none the turn is over.
    pub calls: Vec<PlannedCall>,
}

/// A call the model makes.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedCall {
    /// The call's id, unique in its conversation.
    pub id: String,
    /// Tool name.
    pub name: String,
    /// Arguments, an object.
    pub arguments: Value,
}

impl Reply {
    /// Why the answer ends, in the protocol's words.
    #[must_use]
    pub fn finish_reason(&self) -> &'static str {
        if self.calls.is_empty() {
            "stop"
        } else {
            "tool_calls"
        }
    }

    /// The assistant message of an answer that is not streamed.
    #[must_use]
    pub fn message(&self) -> Value {
        let mut message = json!({ "role": "assistant", "content": self.text });
        if let Some(fields) = message.as_object_mut() {
            if !self.reasoning.is_empty() {
                fields.insert("reasoning_content".into(), json!(self.reasoning));
            }
            if !self.calls.is_empty() {
                let calls: Vec<Value> = self
                    .calls
                    .iter()
                    .map(|call| {
                        json!({ "id": call.id, "type": "function",
                            "function": { "name": call.name, "arguments": call.arguments.to_string() } })
                    })
                    .collect();
                fields.insert("tool_calls".into(), Value::Array(calls));
            }
        }
        message
    }
}

/// Token counts, computed from the lengths of the texts: one token for every four characters, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of messages and tool definitions.
    pub prompt_tokens: u64,
    /// Tokens of text, reasoning and call arguments.
    pub completion_tokens: u64,
    /// Both together.
    pub total_tokens: u64,
}

impl Usage {
    /// The usage of one request and its answer.
    #[must_use]
    pub fn of(request: &ChatRequest, reply: &Reply) -> Self {
        let mut prompt = 0;
        for message in &request.messages {
            prompt += message.text().chars().count();
            for call in &message.tool_calls {
                prompt +=
                    call.function.name.chars().count() + call.function.arguments.chars().count();
            }
        }
        for tool in &request.tools {
            prompt += serde_json::to_string(tool).map_or(0, |text| text.chars().count());
        }
        let mut completion = reply.text.chars().count() + reply.reasoning.chars().count();
        for call in &reply.calls {
            completion += call.name.chars().count() + call.arguments.to_string().chars().count();
        }
        let tokens = |chars: usize| u64::try_from(chars.div_ceil(4)).unwrap_or(u64::MAX);
        let (prompt_tokens, completion_tokens) = (tokens(prompt), tokens(completion));
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
        }
    }
}

/// A request the service refuses.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// The model is not served here.
    #[error("The model `{0}` does not exist; this gateway serves `scripted` alone.")]
    UnknownModel(String),
    /// There is nothing to answer.
    #[error("[] is too short - 'messages'")]
    NoMessages,
    /// A tool result that answers no call.
    #[error(
        "messages with role 'tool' must be a response to a preceding message with 'tool_calls': {0}"
    )]
    ResultWithoutCall(String),
    /// A call that was never answered.
    #[error(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id': {0}"
    )]
    CallWithoutResult(String),
    /// A call whose arguments are not a JSON object.
    #[error("tool call {0} has arguments that are not a JSON object")]
    BadArguments(String),
}

impl ChatRequest {
    /// Refuses what the real service refuses.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    pub fn check(&self) -> Result<(), Refusal> {
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

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
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
