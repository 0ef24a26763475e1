//! Messages.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Asked, Chunk, Dialect, Part, Refusal, argument_pieces, null_as_default, rfc3339_in, text_pieces,
};
use crate::conversation::{self, Call, MODEL, Reply, Request, Role, Usage};

/// The protocol of `POST /v1/messages`.
pub(crate) struct Messages;

impl Dialect for Messages {
    fn read(&self, body: Value) -> Result<Asked, Refusal> {
        let request: Body = serde_json::from_value(body)
            .map_err(|problem| Refusal::Unreadable(problem.to_string()))?;
        request.check()?;
        Ok(Asked {
            stream: request.stream,
            usage: true,
            thinks: request.thinks(),
            request: request.into(),
        })
    }

    fn whole(&self, id: u64, reply: &Reply, usage: Usage) -> Value {
        let mut content = Vec::new();
        if !reply.reasoning.is_empty() {
            content.push(json!({ "type": "thinking", "thinking": reply.reasoning,
                "signature": signature(&reply.reasoning) }));
        }
        if !reply.text.is_empty() {
            content.push(json!({ "type": "text", "text": reply.text }));
        }
        for call in &reply.calls {
            let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
            content.push(
                json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input }),
            );
        }
        json!({ "id": name(id), "type": "message", "role": "assistant", "model": MODEL,
            "content": content, "stop_reason": stop_reason(reply), "stop_sequence": null,
            "usage": counts(usage) })
    }

    fn chunks(&self, id: u64, reply: &Reply, usage: Option<Usage>) -> Vec<Chunk> {
        let counted = usage.map(counts).unwrap_or_else(|| json!({}));
        let mut begun = counted.clone();
        if let Some(fields) = begun.as_object_mut() {
            fields.insert("output_tokens".into(), json!(1));
        }
        let message = json!({ "id": name(id), "type": "message", "role": "assistant", "model": MODEL,
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": begun });
        let opening = json!({ "type": "message_start", "message": message });
        let ping = json!({ "type": "ping" });
        let mut chunks = vec![chunk(Part::Opening, &[opening, ping])];
        let mut blocks = 0;
        if !reply.reasoning.is_empty() {
            let delta = |text: &str| json!({ "type": "thinking_delta", "thinking": text });
            let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
            let mut deltas: Vec<Value> = text_pieces(&reply.reasoning)
                .iter()
                .map(|p| delta(p))
                .collect();
            let signature = signature(&reply.reasoning);
            deltas.push(json!({ "type": "signature_delta", "signature": signature }));
            add(
                &mut chunks,
                (Part::Reasoning, Part::Reasoning),
                &mut blocks,
                block,
                deltas,
            );
        }
        if !reply.text.is_empty() {
            let delta = |text: &String| json!({ "type": "text_delta", "text": text });
            let deltas = text_pieces(&reply.text).iter().map(delta).collect();
            let block = json!({ "type": "text", "text": "" });
            add(
                &mut chunks,
                (Part::Text, Part::Text),
                &mut blocks,
                block,
                deltas,
            );
        }
        for call in &reply.calls {
            let delta =
                |piece: &String| json!({ "type": "input_json_delta", "partial_json": piece });
            let deltas = argument_pieces(&call.arguments).iter().map(delta).collect();
            let block =
                json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} });
            add(
                &mut chunks,
                (Part::Call, Part::Arguments),
                &mut blocks,
                block,
                deltas,
            );
        }
        let delta = json!({ "stop_reason": stop_reason(reply), "stop_sequence": null });
        chunks.push(chunk(
            Part::Finish,
            &[json!({ "type": "message_delta", "delta": delta, "usage": counted })],
        ));
        chunks.push(chunk(Part::Done, &[json!({ "type": "message_stop" })]));
        chunks
    }

    fn failure(&self, code: &str, message: &str) -> Chunk {
        let kind = match code {
            "rate_limit_exceeded" => "rate_limit_error",
            "server_error" => "api_error",
            "server_is_overloaded" => "overloaded_error",
            other => other,
        };
        let error = json!({ "type": "error", "error": { "type": kind, "message": message } });
        chunk(Part::Failure, &[error])
    }

    fn error(&self, status: u16, _: &str, message: &str) -> Value {
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_sim" })
    }

    fn reset_header(&self, seconds: u64) -> (&'static str, String) {
        ("anthropic-ratelimit-tokens-reset", rfc3339_in(seconds))
    }
}

/// A block: its beginning, its pieces, its end. The last piece and the end travel together.
fn add(
    chunks: &mut Vec<Chunk>,
    (begins, grows): (Part, Part),
    blocks: &mut u64,
    block: Value,
    deltas: Vec<Value>,
) {
    let index = *blocks;
    *blocks += 1;
    let start = json!({ "type": "content_block_start", "index": index, "content_block": block });
    chunks.push(chunk(begins, &[start]));
    for delta in deltas {
        let delta = json!({ "type": "content_block_delta", "index": index, "delta": delta });
        chunks.push(chunk(grows, &[delta]));
    }
    let end = chunk(
        grows,
        &[json!({ "type": "content_block_stop", "index": index })],
    );
    if let Some(last) = chunks.last_mut() {
        last.text.push_str(&end.text);
    }
}

fn chunk(part: Part, events: &[Value]) -> Chunk {
    let event = |event: &Value| {
        let kind = event
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        format!("event: {kind}\ndata: {event}\n\n")
    };
    Chunk {
        part,
        text: events.iter().map(event).collect(),
    }
}

fn name(id: u64) -> String {
    format!("msg_sim{id:06}")
}

fn stop_reason(reply: &Reply) -> &'static str {
    if reply.calls.is_empty() {
        "end_turn"
    } else {
        "tool_use"
    }
}

fn counts(usage: Usage) -> Value {
    json!({ "input_tokens": usage.prompt_tokens, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0, "output_tokens": usage.completion_tokens })
}

/// What a thinking block is signed with: it comes back unchanged or not at all.
fn signature(thinking: &str) -> String {
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in thinking.bytes() {
        sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("sim{sum:016x}")
}

/// The body of `POST /v1/messages`.
#[derive(Debug, Deserialize)]
struct Body {
    model: String,
    max_tokens: Option<u64>,
    messages: Vec<Message>,
    #[serde(default)]
    system: Option<Content>,
    #[serde(default, deserialize_with = "null_as_default")]
    tools: Vec<ToolDefinition>,
    #[serde(default, deserialize_with = "null_as_default")]
    stream: bool,
    #[serde(default)]
    thinking: Option<Thinking>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Thinking {
    Enabled { budget_tokens: u64 },
    Adaptive,
    Disabled,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: Speaker,
    content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Speaker {
    User,
    Assistant,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

impl Content {
    /// Its text; what is not text is left out.
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Blocks(blocks) => {
                let text = |block: &Block| match block {
                    Block::Text { text } => Some(text.clone()),
                    _ => None,
                };
                let texts: Vec<String> = blocks.iter().filter_map(text).collect();
                texts.join("\n")
            }
        }
    }

    fn blocks(&self) -> &[Block] {
        match self {
            Self::Text(_) => &[],
            Self::Blocks(blocks) => blocks,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    Thinking {
        thinking: String,
        signature: String,
    },
    RedactedThinking {},
    ToolUse {
        id: String,
        name: String,
        input: serde_json::Map<String, Value>,
    },
    ToolResult {
        tool_use_id: String,
        #[serde(default)]
        content: Option<Content>,
    },
    #[serde(other)]
    Other,
}

/// A tool of the client's, or one of the service's own, which has no schema.
#[derive(Debug, Deserialize)]
struct ToolDefinition {
    name: String,
    #[serde(default)]
    input_schema: Option<Value>,
}

impl Body {
    fn thinks(&self) -> bool {
        matches!(
            self.thinking,
            Some(Thinking::Enabled { .. } | Thinking::Adaptive)
        )
    }

    /// The first rule of the real service that the request breaks.
    fn check(&self) -> Result<(), Refusal> {
        let refuse = |words: String| Err(Refusal::Unreadable(words));
        if self.model.rsplit('/').next() != Some(MODEL) {
            return Err(Refusal::UnknownModel(self.model.clone()));
        }
        let Some(bound) = self.max_tokens.filter(|bound| *bound > 0) else {
            return refuse("max_tokens: Field required".into());
        };
        if let Some(Thinking::Enabled { budget_tokens }) = &self.thinking {
            if *budget_tokens < 1024 {
                let words =
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024";
                return refuse(words.into());
            }
            if *budget_tokens >= bound {
                return refuse("`max_tokens` must be greater than `thinking.budget_tokens`".into());
            }
        }
        match self.messages.first().map(|message| message.role) {
            None => return refuse("messages: at least one message is required".into()),
            Some(Speaker::Assistant) => {
                return refuse("messages: first message must use the \"user\" role".into());
            }
            Some(Speaker::User) => {}
        }
        let mut open: Vec<&str> = Vec::new();
        for (at, message) in self.messages.iter().enumerate() {
            let mut answered = Vec::new();
            for block in message.content.blocks() {
                match block {
                    Block::Text { text } if text.is_empty() => {
                        return refuse("messages: text content blocks must be non-empty".into());
                    }
                    Block::Thinking {
                        thinking,
                        signature: signed,
                    } if *signed != signature(thinking) => {
                        return refuse(format!(
                            "messages.{at}: Invalid `signature` in `thinking` block"
                        ));
                    }
                    Block::ToolResult { tool_use_id, .. } => {
                        if !open.contains(&tool_use_id.as_str()) {
                            return refuse(format!(
                                "messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {tool_use_id}. \
                                 Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                            ));
                        }
                        answered.push(tool_use_id.as_str());
                    }
                    _ => {}
                }
            }
            if let Some(id) = open.iter().find(|id| !answered.contains(id)) {
                return refuse(format!(
                    "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}. \
                     Each `tool_use` block must have a corresponding `tool_result` block in the next message."
                ));
            }
            open.clear();
            for block in message.content.blocks() {
                if let Block::ToolUse { id, .. } = block {
                    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                    if id.is_empty() || !id.chars().all(allowed) {
                        return refuse(format!(
                            "messages.{at}: tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
                        ));
                    }
                    open.push(id);
                }
            }
            if message.role == Speaker::Assistant && !open.is_empty() && self.thinks() {
                self.check_thinking(at)?;
            }
        }
        match open.first() {
            Some(id) => refuse(format!(
                "`tool_use` ids were found without `tool_result` blocks immediately after: {id}"
            )),
            None => Ok(()),
        }
    }

    /// With thinking on, the last reply that called has to begin with what it thought. The scripted model does not
    /// always think, so only what another model left out is found: a block of some other kind before the thinking.
    fn check_thinking(&self, at: usize) -> Result<(), Refusal> {
        let blocks = self
            .messages
            .get(at)
            .map(|message| message.content.blocks());
        let thought =
            |block: &Block| matches!(block, Block::Thinking { .. } | Block::RedactedThinking {});
        let blocks = blocks.unwrap_or_default();
        match blocks.iter().position(thought) {
            Some(place) if place > 0 => Err(Refusal::Unreadable(format!(
                "messages.{at}: Expected `thinking` or `redacted_thinking`, but found something else first."
            ))),
            _ => Ok(()),
        }
    }
}

impl From<Body> for Request {
    fn from(body: Body) -> Self {
        let mut messages = Vec::new();
        let mut say = |role, text: String| {
            if !text.is_empty() {
                messages.push(conversation::Message {
                    role,
                    text,
                    calls: Vec::new(),
                    answers: None,
                });
            }
        };
        say(
            Role::System,
            body.system.map(|system| system.text()).unwrap_or_default(),
        );
        for message in body.messages {
            let text = message.content.text();
            let role = match message.role {
                Speaker::User => Role::User,
                Speaker::Assistant => Role::Assistant,
            };
            let mut calls = Vec::new();
            let mut results = Vec::new();
            if let Content::Blocks(blocks) = message.content {
                for block in blocks {
                    match block {
                        Block::ToolUse { id, name, input } => calls.push(Call {
                            id,
                            name,
                            arguments: Value::Object(input),
                        }),
                        Block::ToolResult {
                            tool_use_id,
                            content,
                        } => results.push(conversation::Message {
                            role: Role::Tool,
                            text: content.map(|content| content.text()).unwrap_or_default(),
                            calls: Vec::new(),
                            answers: Some(tool_use_id),
                        }),
                        _ => {}
                    }
                }
            }
            // What is said beside results is the client's, about them.
            let said = results.is_empty() || !text.is_empty() && !is_reminder(&text);
            messages.append(&mut results);
            if said {
                messages.push(conversation::Message {
                    role,
                    text,
                    calls,
                    answers: None,
                });
            }
        }
        let tools = body.tools.into_iter().filter_map(|tool| {
            Some(conversation::ToolDefinition {
                name: tool.name,
                parameters: tool.input_schema?,
            })
        });
        Self {
            messages,
            tools: tools.collect(),
        }
    }
}

/// Whether a text is one that a client adds by itself, marked as such.
fn is_reminder(text: &str) -> bool {
    text.trim_start().starts_with("<system-reminder>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(messages: Value, words: Option<&str>) {
        let body = json!({ "model": MODEL, "max_tokens": 100, "messages": messages });
        match (Messages.read(body), words) {
            (Ok(_), None) => {}
            (Err(refusal), Some(words)) => {
                assert!(refusal.to_string().contains(words), "{refusal}");
            }
            (got, _) => panic!("{got:?} for {words:?}"),
        }
    }

    fn calls(id: &str) -> Value {
        json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": id, "name": "bash", "input": {} }] })
    }

    fn answers(id: &str) -> Value {
        json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "ok" }] })
    }

    #[test]
    fn a_conversation_must_pair_calls_and_results() {
        let user = json!({ "role": "user", "content": "hi" });
        check(json!([]), Some("at least one"));
        check(json!([user]), None);
        check(json!([calls("a"), answers("a")]), Some("first message"));
        check(json!([user, calls("a"), answers("a")]), None);
        check(
            json!([user, calls("a"), answers("b")]),
            Some("unexpected `tool_use_id`"),
        );
        check(
            json!([user, calls("a"), user]),
            Some("without `tool_result`"),
        );
        check(json!([user, calls("a")]), Some("without `tool_result`"));
        check(json!([user, calls("a.b"), answers("a.b")]), Some("pattern"));
        let empty = json!({ "role": "user", "content": [{ "type": "text", "text": "" }] });
        check(json!([empty]), Some("non-empty"));
    }

    #[test]
    fn thinking_comes_back_as_it_was_signed() {
        let user = json!({ "role": "user", "content": "hi" });
        let thought = |signature: &str| {
            json!({ "role": "assistant", "content":
                [{ "type": "thinking", "thinking": "hm", "signature": signature }] })
        };
        check(json!([user, thought(&signature("hm")), user]), None);
        check(
            json!([user, thought("c2ln"), user]),
            Some("Invalid `signature`"),
        );
    }

    #[test]
    fn a_bound_is_needed() {
        let body = json!({ "model": MODEL, "messages": [{ "role": "user", "content": "hi" }] });
        assert!(Messages.read(body).is_err());
    }
}
