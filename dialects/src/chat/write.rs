//! Requests of chat completions, written.
//!
//! Many servers of this dialect know only its core, so only that is written:
//! one system message at the beginning, no `developer`, tool results that are
//! text (pictures in them follow as a person's message), no fields that are
//! not needed.

use serde_json::{Value, json};

use crate::Dialect;
use crate::conversation::{
    Body, Effort, Format, Image, Message, Part, Request, Role, Tool, ToolCall, ToolChoice,
    ToolKind, ToolResult,
};
use crate::dialect::{RequestError, Target, Written};
use crate::json::{set, set_some};

pub(crate) fn request(request: &Request, target: &Target) -> Result<Written, RequestError> {
    let mut out = Written::default();
    out.set("model", request.model.as_str());
    let tools: Vec<Value> = request
        .tools
        .iter()
        .filter_map(|offered| tool(offered, target, &mut out))
        .collect();
    let offers = !tools.is_empty();
    if offers {
        out.set("tools", tools);
    }
    let messages = messages(&request.messages, target, &mut out)?;
    out.set("messages", messages);
    if offers {
        // A choice without tools is refused.
        out.set_some("tool_choice", request.tool_choice.as_ref().map(tool_choice));
        out.set_some("parallel_tool_calls", request.parallel_calls);
    }
    let bound = if target.completion_tokens {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    out.set_some(bound, request.max_output);
    out.set_some("temperature", request.temperature);
    out.set_some("top_p", request.top_p);
    if !request.stop.is_empty() {
        out.set("stop", request.stop.clone());
    }
    if let Some(effort) = request.reasoning.as_effort() {
        if target.reasons {
            let effort = if effort == Effort::Max {
                Effort::XHigh
            } else {
                effort
            };
            out.set("reasoning_effort", effort.name());
        } else {
            out.drop("reasoning");
        }
    }
    out.set_some("response_format", request.format.as_ref().map(format));
    if request.stream {
        out.set("stream", true);
        // Without it a stream says nothing of its cost.
        out.set("stream_options", json!({ "include_usage": true }));
    }
    for (key, value) in &request.extra {
        out.set(key, value.clone());
    }
    Ok(out)
}

fn messages(
    said: &[Message],
    target: &Target,
    out: &mut Written,
) -> Result<Vec<Value>, RequestError> {
    let mut written = Vec::new();
    let instructs = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
    let leading = said.iter().take_while(instructs).count();
    let (instructions, talk) = said.split_at_checked(leading).unwrap_or((&[], said));
    let mut system: Vec<&str> = Vec::new();
    for part in instructions.iter().flat_map(|message| &message.parts) {
        note_cache(part, out);
        match part.as_text() {
            Some(text) => system.push(text),
            None => return Err(cannot("an instruction that is not text")),
        }
    }
    if !instructions.is_empty() {
        written.push(json!({ "role": "system", "content": system.join("\n\n") }));
    }
    for message in talk {
        message.parts.iter().for_each(|part| note_cache(part, out));
        match message.role {
            Role::System | Role::Developer => {
                let content = joined(&message.parts);
                written.push(json!({ "role": "system", "content": content }));
            }
            Role::User => user(message, &mut written)?,
            Role::Assistant => written.push(assistant(message, target, out)),
        }
    }
    Ok(written)
}

fn note_cache(part: &Part, out: &mut Written) {
    if part.cache.is_some() {
        out.drop("cache_control");
    }
}

fn cannot(what: &str) -> RequestError {
    RequestError::untranslatable(what, Dialect::Chat)
}

fn joined(parts: &[Part]) -> String {
    let texts: Vec<&str> = parts.iter().filter_map(Part::as_text).collect();
    texts.join("\n\n")
}

fn user(message: &Message, written: &mut Vec<Value>) -> Result<(), RequestError> {
    let mut content = Vec::new();
    for part in &message.parts {
        if let Body::Result(result) = &part.body {
            let text = result_text(result);
            written.push(json!({ "role": "tool", "tool_call_id": result.call, "content": text }));
            for shown in &result.parts {
                match &shown.body {
                    Body::Image(_) | Body::Document { .. } => {
                        let text = format!("From the result of call {}:", result.call);
                        content.push(json!({ "type": "text", "text": text }));
                        content.push(user_part(shown)?);
                    }
                    _ => {}
                }
            }
        }
    }
    for part in &message.parts {
        if !matches!(part.body, Body::Result(_)) {
            content.push(user_part(part)?);
        }
    }
    if let [Value::Object(only)] = content.as_slice()
        && let Some(text @ Value::String(_)) = only.get("text")
    {
        written.push(json!({ "role": "user", "content": text }));
    } else if !content.is_empty() {
        written.push(json!({ "role": "user", "content": content }));
    }
    Ok(())
}

fn result_text(result: &ToolResult) -> String {
    let text = |part: &Part| match &part.body {
        Body::Text(text) => Some(text.clone()),
        Body::Foreign { raw, .. } => Some(raw.to_string()),
        _ => None,
    };
    let texts: Vec<String> = result.parts.iter().filter_map(text).collect();
    match texts.join("\n\n") {
        text if text.is_empty() && result.failed => "The tool failed.".to_owned(),
        text => text,
    }
}

fn user_part(part: &Part) -> Result<Value, RequestError> {
    match &part.body {
        Body::Text(text) | Body::Refusal(text) => Ok(json!({ "type": "text", "text": text })),
        Body::Image(Image { url, detail }) => {
            let mut image = json!({ "url": url });
            set_some(&mut image, "detail", detail.clone());
            Ok(json!({ "type": "image_url", "image_url": image }))
        }
        Body::Document {
            name,
            media_type,
            data,
        } => {
            let data = ["data:", media_type, ";base64,", data].concat();
            let name = name.as_deref().unwrap_or("document");
            Ok(json!({ "type": "file", "file": { "filename": name, "file_data": data } }))
        }
        Body::Foreign {
            dialect: Dialect::Chat,
            raw,
        } => Ok(raw.clone()),
        Body::Foreign { raw, .. } => {
            let kind = raw.get("type").and_then(Value::as_str).unwrap_or("unknown");
            Err(cannot(&format!("a part of the kind {kind}")))
        }
        Body::Thinking(_) | Body::Call(_) | Body::Result(_) => {
            Err(cannot("a call by somebody who is not the model"))
        }
    }
}

fn assistant(message: &Message, target: &Target, out: &mut Written) -> Value {
    let (mut texts, mut calls) = (Vec::new(), Vec::new());
    let mut written = json!({ "role": "assistant" });
    for part in &message.parts {
        match &part.body {
            Body::Text(text) | Body::Refusal(text) => texts.push(text.as_str()),
            Body::Call(call) => calls.push(tool_call(call, target)),
            Body::Thinking(thinking) => match &thinking.raw {
                Some((Dialect::Chat, Value::Object(fields))) => {
                    for (key, value) in fields {
                        extend(&mut written, key, value);
                    }
                }
                _ => out.drop("thinking"),
            },
            Body::Foreign { .. } => out.drop("hosted tool calls"),
            Body::Image(_) | Body::Document { .. } | Body::Result(_) => {
                out.drop("pictures of the model");
            }
        }
    }
    let text = texts.join("\n\n");
    // Null is for messages that only call; some servers refuse it elsewhere.
    let content = (!text.is_empty() || calls.is_empty()).then_some(text);
    set(&mut written, "content", content);
    if !calls.is_empty() {
        set(&mut written, "tool_calls", calls);
    }
    written
}

/// Several pieces of reasoning in one message are one.
fn extend(message: &mut Value, key: &str, value: &Value) {
    match (message.get_mut(key), value) {
        (Some(Value::String(whole)), Value::String(more)) => whole.push_str(more),
        (Some(Value::Array(whole)), Value::Array(more)) => whole.extend(more.iter().cloned()),
        _ => set(message, key, value.clone()),
    }
}

fn tool_call(call: &ToolCall, target: &Target) -> Value {
    if call.custom && target.custom_tools {
        let custom = json!({ "name": call.name, "input": call.arguments });
        return json!({ "id": call.id, "type": "custom", "custom": custom });
    }
    let arguments = if call.custom {
        json!({ "input": call.arguments }).to_string()
    } else if serde_json::from_str::<serde::de::IgnoredAny>(&call.arguments).is_ok() {
        call.arguments.clone()
    } else {
        // Servers refuse a history whose arguments are not JSON.
        crate::json::arguments_object(&call.arguments).to_string()
    };
    let function = json!({ "name": call.name, "arguments": arguments });
    json!({ "id": call.id, "type": "function", "function": function })
}

fn tool(tool: &Tool, target: &Target, out: &mut Written) -> Option<Value> {
    if tool.cache.is_some() {
        out.drop("cache_control");
    }
    let mut function = json!({ "name": tool.name });
    set_some(&mut function, "description", tool.description.clone());
    match &tool.kind {
        ToolKind::Function { schema, strict } => {
            set(&mut function, "parameters", schema.clone());
            set_some(&mut function, "strict", *strict);
        }
        ToolKind::Custom { format } if target.custom_tools => {
            set_some(&mut function, "format", format.clone());
            return Some(json!({ "type": "custom", "custom": function }));
        }
        ToolKind::Custom { .. } => set(&mut function, "parameters", free_text_schema()),
        ToolKind::Hosted {
            dialect: Dialect::Chat,
            raw,
        } => return Some(raw.clone()),
        ToolKind::Hosted { .. } => {
            out.drop("hosted tools");
            return None;
        }
    }
    Some(json!({ "type": "function", "function": function }))
}

/// How a tool that takes free text is offered where there are none.
pub(crate) fn free_text_schema() -> Value {
    json!({ "type": "object", "properties": { "input": { "type": "string" } },
        "required": ["input"], "additionalProperties": false })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Tool(name) => json!({ "type": "function", "function": { "name": name } }),
    }
}

fn format(format: &Format) -> Value {
    match format {
        Format::Json => json!({ "type": "json_object" }),
        Format::Schema {
            name,
            schema,
            strict,
        } => {
            let mut inner = json!({ "name": name, "schema": schema });
            set_some(&mut inner, "strict", *strict);
            json!({ "type": "json_schema", "json_schema": inner })
        }
    }
}
