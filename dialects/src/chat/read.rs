//! Requests of chat completions, read.

use serde_json::Value;

use crate::Dialect;
use crate::conversation::{
    Body, Effort, Format, Image, Message, Part, Reasoning, Request, Role, Thinking, Tool, ToolCall,
    ToolChoice, ToolKind, ToolResult, unseal,
};
use crate::dialect::RequestError;
use crate::json::{count, items, object, present, rest, string, text};

const KNOWN: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "stream",
    "stream_options",
    "reasoning_effort",
    "response_format",
];
/// Fields of an assistant message in which servers give their reasoning and
/// want it back.
pub(super) const REASONING: &[&str] = &["reasoning_content", "reasoning", "reasoning_details"];

pub(crate) fn request(body: &Value) -> Result<Request, RequestError> {
    let mut messages: Vec<Message> = Vec::new();
    let said = body.get("messages").and_then(Value::as_array);
    let said = said.ok_or_else(|| RequestError::malformed("messages", "a list"))?;
    for (at, raw) in said.iter().enumerate() {
        message(raw, &format!("messages[{at}]"), &mut messages)?;
    }
    let effort = match text(body, "reasoning_effort") {
        Some(name) => Some(
            Effort::parse(name)
                .ok_or_else(|| RequestError::malformed("reasoning_effort", "a known effort"))?,
        ),
        None => None,
    };
    let options = body.get("stream_options");
    Ok(Request {
        model: string(body, "model").unwrap_or_default(),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        messages,
        tools: items(body, "tools").map(tool).collect::<Result<_, _>>()?,
        tool_choice: present(body, "tool_choice").map(tool_choice).transpose()?,
        parallel_calls: body.get("parallel_tool_calls").and_then(Value::as_bool),
        max_output: count(body, "max_completion_tokens").or_else(|| count(body, "max_tokens")),
        temperature: body.get("temperature").and_then(Value::as_f64),
        top_p: body.get("top_p").and_then(Value::as_f64),
        stop: match body.get("stop") {
            Some(Value::String(stop)) => vec![stop.clone()],
            _ => items(body, "stop")
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        },
        reasoning: Reasoning {
            effort,
            ..Reasoning::default()
        },
        format: present(body, "response_format")
            .map(format)
            .transpose()?
            .flatten(),
        report_usage: options
            .and_then(|o| o.get("include_usage")?.as_bool())
            .unwrap_or(false),
        extra: rest(body, KNOWN),
    })
}

fn message(raw: &Value, field: &str, messages: &mut Vec<Message>) -> Result<(), RequestError> {
    let role = match text(raw, "role") {
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool") => {
            let result = ToolResult {
                call: string(raw, "tool_call_id").unwrap_or_default(),
                parts: parts(raw, field)?,
                ..ToolResult::default()
            };
            // All results of one reply are one message.
            let open = messages.last_mut().filter(|last| {
                let results = |part: &Part| matches!(part.body, Body::Result(_));
                last.role == Role::User && last.parts.iter().all(results)
            });
            let part = Part::from(Body::Result(result));
            match open {
                Some(open) => open.parts.push(part),
                None => messages.push(Message {
                    role: Role::User,
                    parts: vec![part],
                }),
            }
            return Ok(());
        }
        _ => {
            return Err(RequestError::malformed(
                format!("{field}.role"),
                "a known role",
            ));
        }
    };
    let mut message = Message {
        role,
        parts: Vec::new(),
    };
    if role == Role::Assistant {
        message.parts.extend(thinking(raw));
    }
    message.parts.extend(parts(raw, field)?);
    if let Some(refusal) = text(raw, "refusal") {
        message.parts.push(Body::Refusal(refusal.to_owned()).into());
    }
    for call in items(raw, "tool_calls") {
        message
            .parts
            .push(Body::Call(tool_call(call, field)?).into());
    }
    messages.push(message);
    Ok(())
}

/// Reasoning as it came from the server that is asked again, or another
/// dialect's item that the client carries.
fn thinking(raw: &Value) -> Option<Part> {
    let sealed = items(raw, "reasoning_details").find_map(|detail| unseal(text(detail, "data")?));
    let shown = text(raw, "reasoning_content").or_else(|| text(raw, "reasoning"));
    let own = object(
        REASONING
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), present(raw, key)?.clone()))),
    );
    if own.is_empty() {
        return None;
    }
    Some(
        Body::Thinking(Thinking {
            text: shown.unwrap_or_default().to_owned(),
            raw: Some(sealed.unwrap_or((Dialect::Chat, Value::Object(own)))),
        })
        .into(),
    )
}

fn tool_call(raw: &Value, field: &str) -> Result<ToolCall, RequestError> {
    let (function, custom) = match raw.get("custom") {
        Some(custom) => (Some(custom), true),
        None => (raw.get("function"), false),
    };
    let named = function.and_then(|function| string(function, "name"));
    let name = named.ok_or_else(|| {
        RequestError::malformed(format!("{field}.tool_calls"), "a list of named calls")
    })?;
    let input = if custom { "input" } else { "arguments" };
    Ok(ToolCall {
        id: string(raw, "id").unwrap_or_default(),
        name,
        arguments: function.and_then(|f| string(f, input)).unwrap_or_default(),
        custom,
    })
}

fn parts(raw: &Value, field: &str) -> Result<Vec<Part>, RequestError> {
    match raw.get("content") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::text(text.clone())]),
        Some(Value::Array(parts)) => {
            let part = |(at, raw)| part(raw, &format!("{field}.content[{at}]"));
            parts.iter().enumerate().map(part).collect()
        }
        Some(_) => Err(RequestError::malformed(
            format!("{field}.content"),
            "a text or a list of parts",
        )),
    }
}

fn part(raw: &Value, field: &str) -> Result<Part, RequestError> {
    let body = match text(raw, "type") {
        Some("text") => Body::Text(string(raw, "text").unwrap_or_default()),
        Some("refusal") => Body::Refusal(string(raw, "refusal").unwrap_or_default()),
        Some("image_url") => {
            let image = raw.get("image_url");
            let url = image.and_then(|image| image.as_str().or_else(|| text(image, "url")));
            let url =
                url.ok_or_else(|| RequestError::malformed(format!("{field}.image_url"), "a URL"))?;
            Body::Image(Image {
                url: url.to_owned(),
                detail: image.and_then(|image| string(image, "detail")),
            })
        }
        Some("file") => {
            let file = raw.get("file");
            let data = file.and_then(|file| text(file, "file_data"));
            match data.and_then(|data| data.strip_prefix("data:")?.split_once(";base64,")) {
                Some((media_type, data)) => Body::Document {
                    name: file.and_then(|file| string(file, "filename")),
                    media_type: media_type.to_owned(),
                    data: data.to_owned(),
                },
                None => foreign(raw),
            }
        }
        Some(_) => foreign(raw),
        None => return Err(RequestError::malformed(field, "a part with a type")),
    };
    Ok(Part {
        body,
        cache: present(raw, "cache_control").cloned(),
    })
}

fn foreign(raw: &Value) -> Body {
    Body::Foreign {
        dialect: Dialect::Chat,
        raw: raw.clone(),
    }
}

fn tool(raw: &Value) -> Result<Tool, RequestError> {
    let (inner, kind) = match text(raw, "type") {
        Some("function") | None => {
            let function = raw.get("function");
            let schema = function.and_then(|function| present(function, "parameters"));
            let schema = schema.cloned().unwrap_or_else(empty_schema);
            let strict = function.and_then(|function| function.get("strict")?.as_bool());
            (function, ToolKind::Function { schema, strict })
        }
        Some("custom") => {
            let custom = raw.get("custom");
            let format = custom.and_then(|custom| present(custom, "format")).cloned();
            (custom, ToolKind::Custom { format })
        }
        Some(_) => {
            let (dialect, raw) = (Dialect::Chat, raw.clone());
            (None, ToolKind::Hosted { dialect, raw })
        }
    };
    let name = inner.and_then(|inner| string(inner, "name"));
    if name.is_none() && !matches!(kind, ToolKind::Hosted { .. }) {
        return Err(RequestError::malformed("tools", "a list of named tools"));
    }
    Ok(Tool {
        name: name.unwrap_or_default(),
        description: inner.and_then(|inner| string(inner, "description")),
        kind,
        namespace: None,
        cache: present(raw, "cache_control").cloned(),
    })
}

/// The schema of a tool that takes nothing.
pub(crate) fn empty_schema() -> Value {
    serde_json::json!({ "type": "object", "properties": {} })
}

fn tool_choice(raw: &Value) -> Result<ToolChoice, RequestError> {
    let inner = raw.get("function").or_else(|| raw.get("custom"));
    match raw.as_str() {
        Some("auto") => Ok(ToolChoice::Auto),
        Some("none") => Ok(ToolChoice::None),
        Some("required" | "any") => Ok(ToolChoice::Required),
        _ => inner
            .and_then(|inner| string(inner, "name"))
            .map(ToolChoice::Tool)
            .ok_or_else(|| RequestError::malformed("tool_choice", "a known choice")),
    }
}

fn format(raw: &Value) -> Result<Option<Format>, RequestError> {
    match text(raw, "type") {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::Json)),
        Some("json_schema") => {
            let inner = raw.get("json_schema").unwrap_or(&Value::Null);
            Ok(Some(Format::Schema {
                name: string(inner, "name").unwrap_or_else(|| "answer".to_owned()),
                schema: inner.get("schema").cloned().unwrap_or_else(empty_schema),
                strict: inner.get("strict").and_then(Value::as_bool),
            }))
        }
        _ => Err(RequestError::malformed("response_format", "a known form")),
    }
}
