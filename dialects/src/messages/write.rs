//! Requests of Messages, written.
//!
//! The API is strict where others are lax: ids have an alphabet, texts are
//! not empty, the conversation begins with the person and alternates, a
//! reply's calls are answered by one message, thinking excludes forced calls
//! and a temperature, and a bound must be named.

use serde_json::{Value, json};

use crate::Dialect;
use crate::chat::write::free_text_schema;
use crate::conversation::{
    Body, Effort, Format, Image, Message, Part, Request, Role, Tool, ToolCall, ToolChoice,
    ToolKind, ToolResult,
};
use crate::dialect::{RequestError, Target, Written};
use crate::json::{arguments_object, set, set_some, text};

/// The least tokens of thinking that can be asked for.
const LEAST_BUDGET: u64 = 1024;

pub(crate) fn request(request: &Request, target: &Target) -> Result<Written, RequestError> {
    let mut out = Written::default();
    out.set("model", request.model.as_str());
    let tools: Vec<Value> = request
        .tools
        .iter()
        .filter_map(|offered| tool(offered, &mut out))
        .collect();
    let offers = !tools.is_empty();
    if offers {
        out.set("tools", tools);
    }
    let instructs = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
    let leading = request.messages.iter().take_while(instructs).count();
    let (instructions, talk) = request
        .messages
        .split_at_checked(leading)
        .unwrap_or_default();
    let mut system = Vec::new();
    for part in instructions.iter().flat_map(|message| &message.parts) {
        system.extend(block(part, &mut out)?);
    }
    if !system.is_empty() {
        out.set("system", system);
    }
    let messages = messages(talk, &mut out)?;
    let thinking = thinking(request, target, &messages);
    out.set("messages", messages);
    if offers {
        out.set_some("tool_choice", tool_choice(request));
    }
    let bound = request.max_output.unwrap_or(target.default_output);
    out.set("max_tokens", bound);
    if thinking.is_some() {
        if request.temperature.is_some() {
            out.drop("temperature");
        }
    } else {
        // OpenAI's dialects count to 2.
        out.set_some(
            "temperature",
            request.temperature.map(|t| t.clamp(0.0, 1.0)),
        );
    }
    out.set_some("top_p", request.top_p);
    let stop: Vec<&String> = request
        .stop
        .iter()
        .filter(|s| !s.trim().is_empty())
        .collect();
    if !stop.is_empty() {
        out.set("stop_sequences", json!(stop));
    }
    out.set_some("thinking", thinking);
    let mut config = json!({});
    if target.adaptive && request.reasoning.effort != Some(Effort::None) {
        let effort = request.reasoning.effort.map(|effort| match effort {
            Effort::None | Effort::Minimal => Effort::Low,
            other => other,
        });
        set_some(&mut config, "effort", effort.map(Effort::name));
    }
    match &request.format {
        Some(Format::Schema { schema, .. }) => {
            let format = json!({ "type": "json_schema", "schema": schema });
            set(&mut config, "format", format);
        }
        Some(Format::Json) => out.drop("response_format"),
        None => {}
    }
    if config.as_object().is_some_and(|fields| !fields.is_empty()) {
        out.set("output_config", config);
    }
    if request.stream {
        out.set("stream", true);
    }
    for (key, value) in &request.extra {
        out.set(key, value.clone());
    }
    Ok(out)
}

/// How to think, if at all. Not where a call is forced, which excludes it, nor
/// where the last reply called without the thinking that led there, because it
/// came from another model.
fn thinking(request: &Request, target: &Target, messages: &[Value]) -> Option<Value> {
    let asked = &request.reasoning;
    if !target.reasons || asked.effort == Some(Effort::None) {
        return None;
    }
    let forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Tool(_))
    );
    if forced || calls_without_thinking(messages) {
        return None;
    }
    if target.adaptive {
        return asked.as_effort().map(|_| json!({ "type": "adaptive" }));
    }
    let bound = request.max_output.unwrap_or(target.default_output);
    // The budget is part of the bound, and something must be left to say.
    let room = bound.saturating_sub(LEAST_BUDGET);
    let budget = asked.as_budget()?.min(room);
    (budget >= LEAST_BUDGET).then(|| json!({ "type": "enabled", "budget_tokens": budget }))
}

fn calls_without_thinking(messages: &[Value]) -> bool {
    let role = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("assistant");
    let Some(last) = messages.iter().rev().find(role) else {
        return false;
    };
    let kinds = last
        .get("content")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let kinds: Vec<&str> = kinds
        .filter_map(|block| block.get("type")?.as_str())
        .collect();
    kinds.contains(&"tool_use")
        && !matches!(kinds.first(), Some(&"thinking" | &"redacted_thinking"))
}

fn messages(talk: &[Message], out: &mut Written) -> Result<Vec<Value>, RequestError> {
    let mut merged: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for message in talk {
        let role = match message.role {
            Role::Assistant => "assistant",
            // Instructions amidst the conversation can only be said there.
            Role::User | Role::System | Role::Developer => "user",
        };
        let mut blocks = Vec::new();
        for part in &message.parts {
            blocks.extend(block(part, out)?);
        }
        if blocks.is_empty() {
            continue;
        }
        match merged.last_mut() {
            Some((last, open)) if *last == role => open.append(&mut blocks),
            None if role == "assistant" => {
                let opening = json!({ "type": "text", "text": "(The conversation begins here.)" });
                merged.push(("user", vec![opening]));
                merged.push((role, blocks));
            }
            _ => merged.push((role, blocks)),
        }
    }
    for (role, blocks) in &mut merged {
        if *role == "user" {
            // Results come before whatever else is said.
            let is_result = |block: &Value| text(block, "type") == Some("tool_result");
            let (results, rest): (Vec<_>, Vec<_>) = blocks.drain(..).partition(is_result);
            blocks.extend(results);
            blocks.extend(rest);
        }
    }
    let message = |(role, content)| json!({ "role": role, "content": Value::Array(content) });
    Ok(merged.into_iter().map(message).collect())
}

fn cannot(what: &str) -> RequestError {
    RequestError::untranslatable(what, Dialect::Messages)
}

fn block(part: &Part, out: &mut Written) -> Result<Option<Value>, RequestError> {
    let mut block = match &part.body {
        Body::Text(text) | Body::Refusal(text) => {
            if text.is_empty() {
                return Ok(None);
            }
            json!({ "type": "text", "text": text })
        }
        Body::Image(image) => self::image(image, out)?,
        Body::Document {
            name,
            media_type,
            data,
        } => {
            let source = json!({ "type": "base64", "media_type": media_type, "data": data });
            let mut block = json!({ "type": "document", "source": source });
            set_some(&mut block, "title", name.clone());
            block
        }
        Body::Call(call) => tool_use(call),
        Body::Result(result) => tool_result(result, out)?,
        Body::Thinking(thinking) => match &thinking.raw {
            // It takes no marker.
            Some((Dialect::Messages, raw)) => return Ok(Some(raw.clone())),
            _ => {
                out.drop("reasoning");
                return Ok(None);
            }
        },
        Body::Foreign {
            dialect: Dialect::Messages,
            raw,
        } => raw.clone(),
        Body::Foreign { raw, .. } => {
            let kind = raw.get("type").and_then(Value::as_str).unwrap_or("unknown");
            return Err(cannot(&format!("a part of the kind {kind}")));
        }
    };
    set_some(&mut block, "cache_control", part.cache.clone());
    Ok(Some(block))
}

fn image(image: &Image, out: &mut Written) -> Result<Value, RequestError> {
    if image.detail.is_some() {
        out.drop("detail");
    }
    let source = match image.inline() {
        Some((media_type, data)) => {
            json!({ "type": "base64", "media_type": media_type, "data": data })
        }
        None if image.url.starts_with("data:") => {
            return Err(cannot("a picture in a data URL that is not base64"));
        }
        None => json!({ "type": "url", "url": image.url }),
    };
    Ok(json!({ "type": "image", "source": source }))
}

/// Ids have an alphabet; what is outside of it becomes `_`, in the call and in
/// its result alike.
fn id(given: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let id: String = given
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    if id.is_empty() { "_".to_owned() } else { id }
}

fn tool_use(call: &ToolCall) -> Value {
    let input = if call.custom {
        json!({ "input": call.arguments })
    } else {
        arguments_object(&call.arguments)
    };
    json!({ "type": "tool_use", "id": id(&call.id), "name": call.name, "input": input })
}

fn tool_result(result: &ToolResult, out: &mut Written) -> Result<Value, RequestError> {
    let mut content = Vec::new();
    for part in &result.parts {
        content.extend(match &part.body {
            Body::Foreign { dialect, raw } if *dialect != Dialect::Messages => {
                Some(json!({ "type": "text", "text": raw.to_string() }))
            }
            _ => block(part, out)?,
        });
    }
    let mut block = json!({ "type": "tool_result", "tool_use_id": id(&result.call) });
    match content.as_slice() {
        [] => {}
        [Value::Object(only)] if only.len() == 2 && only.contains_key("text") => {
            set_some(&mut block, "content", only.get("text").cloned());
        }
        _ => set(&mut block, "content", content),
    }
    if result.failed {
        set(&mut block, "is_error", true);
    }
    Ok(block)
}

fn tool(tool: &Tool, out: &mut Written) -> Option<Value> {
    let mut written = json!({ "name": tool.name });
    set_some(&mut written, "description", tool.description.clone());
    match &tool.kind {
        ToolKind::Function { schema, strict } => {
            set(&mut written, "input_schema", object_schema(schema));
            // Only a promise: schemas that fit OpenAI's rules for it may not fit here.
            if *strict == Some(true) {
                out.drop("strict");
            }
        }
        ToolKind::Custom { .. } => set(&mut written, "input_schema", free_text_schema()),
        ToolKind::Hosted {
            dialect: Dialect::Messages,
            raw,
        } => return Some(raw.clone()),
        ToolKind::Hosted { .. } => {
            out.drop("hosted tools");
            return None;
        }
    }
    set_some(&mut written, "cache_control", tool.cache.clone());
    Some(written)
}

/// A schema must say that it is one of an object.
fn object_schema(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if schema.get("type").is_none() {
        set(&mut schema, "type", "object");
    }
    schema
}

fn tool_choice(request: &Request) -> Option<Value> {
    let mut choice = match &request.tool_choice {
        Some(ToolChoice::Auto) => json!({ "type": "auto" }),
        Some(ToolChoice::None) => return Some(json!({ "type": "none" })),
        Some(ToolChoice::Required) => json!({ "type": "any" }),
        Some(ToolChoice::Tool(name)) => json!({ "type": "tool", "name": name }),
        // Only what it says is needed.
        None if request.parallel_calls == Some(false) => json!({ "type": "auto" }),
        None => return None,
    };
    if let Some(parallel) = request.parallel_calls {
        set(&mut choice, "disable_parallel_tool_use", !parallel);
    }
    Some(choice)
}
