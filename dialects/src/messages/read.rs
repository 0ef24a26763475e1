//! Requests of Messages, read.

use serde_json::Value;

use crate::Dialect;
use crate::chat::read::empty_schema;
use crate::conversation::{
    Body, Effort, Format, Image, Message, Part, Reasoning, Request, Role, Thinking, Tool, ToolCall,
    ToolChoice, ToolKind, ToolResult, unseal,
};
use crate::dialect::RequestError;
use crate::json::{count, items, present, rest, string, text};

const KNOWN: &[&str] = &[
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "max_tokens",
    "temperature",
    "top_p",
    "stop_sequences",
    "stream",
    "thinking",
    "output_config",
    "output_format",
];

pub(crate) fn request(body: &Value) -> Result<Request, RequestError> {
    let mut messages = Vec::new();
    if let Some(system) = present(body, "system") {
        messages.push(Message {
            role: Role::System,
            parts: parts(system, "system")?,
        });
    }
    let said = body.get("messages").and_then(Value::as_array);
    let said = said.ok_or_else(|| RequestError::malformed("messages", "a list"))?;
    for (at, raw) in said.iter().enumerate() {
        let field = format!("messages[{at}]");
        let role = match text(raw, "role") {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            _ => {
                return Err(RequestError::malformed(
                    format!("{field}.role"),
                    "a known role",
                ));
            }
        };
        let content = raw.get("content").unwrap_or(&Value::Null);
        let parts = parts(content, &format!("{field}.content"))?;
        messages.push(Message { role, parts });
    }
    let choice = present(body, "tool_choice");
    let single = choice.and_then(|choice| choice.get("disable_parallel_tool_use")?.as_bool());
    let config = body.get("output_config").unwrap_or(&Value::Null);
    let form = present(config, "format").or_else(|| present(body, "output_format"));
    Ok(Request {
        model: string(body, "model").unwrap_or_default(),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        messages,
        tools: items(body, "tools").map(tool).collect::<Result<_, _>>()?,
        tool_choice: choice.map(tool_choice).transpose()?,
        parallel_calls: single.map(|single| !single),
        max_output: count(body, "max_tokens"),
        temperature: body.get("temperature").and_then(Value::as_f64),
        top_p: body.get("top_p").and_then(Value::as_f64),
        stop: items(body, "stop_sequences")
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        reasoning: reasoning(body, config)?,
        format: form.map(format).transpose()?,
        report_usage: true,
        extra: rest(body, KNOWN),
    })
}

fn reasoning(body: &Value, config: &Value) -> Result<Reasoning, RequestError> {
    let effort = match text(config, "effort") {
        Some(name) => Some(
            Effort::parse(name)
                .ok_or_else(|| RequestError::malformed("output_config.effort", "a known effort"))?,
        ),
        None => None,
    };
    let mut reasoning = Reasoning {
        effort,
        ..Reasoning::default()
    };
    if let Some(thinking) = present(body, "thinking") {
        match text(thinking, "type") {
            Some("enabled") => reasoning.budget = count(thinking, "budget_tokens"),
            Some("adaptive") => reasoning.adaptive = true,
            Some("disabled") => reasoning.effort = Some(Effort::None),
            _ => {
                return Err(RequestError::malformed(
                    "thinking",
                    "a known way of thinking",
                ));
            }
        }
    }
    Ok(reasoning)
}

fn parts(content: &Value, field: &str) -> Result<Vec<Part>, RequestError> {
    match content {
        Value::String(text) => Ok(vec![Part::text(text.clone())]),
        Value::Array(blocks) => {
            let block = |(at, raw)| block(raw, &format!("{field}[{at}]"));
            blocks.iter().enumerate().map(block).collect()
        }
        _ => Err(RequestError::malformed(field, "a text or a list of blocks")),
    }
}

fn block(raw: &Value, field: &str) -> Result<Part, RequestError> {
    let malformed = |expected| RequestError::malformed(field, expected);
    let named = |key| string(raw, key).ok_or_else(|| malformed("a block with what it needs"));
    let body = match text(raw, "type") {
        Some("text") => Body::Text(named("text")?),
        Some("image") => image(raw).unwrap_or_else(|| foreign(raw)),
        Some("document") => document(raw).unwrap_or_else(|| foreign(raw)),
        Some("tool_use") => Body::Call(ToolCall {
            id: named("id")?,
            name: named("name")?,
            arguments: match raw.get("input") {
                None | Some(Value::Null) => "{}".to_owned(),
                Some(input) => input.to_string(),
            },
            custom: false,
        }),
        Some("tool_result") => Body::Result(ToolResult {
            call: named("tool_use_id")?,
            parts: match present(raw, "content") {
                Some(content) => parts(content, &format!("{field}.content"))?,
                None => Vec::new(),
            },
            failed: raw
                .get("is_error")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            custom: false,
        }),
        Some("thinking") => {
            let text = string(raw, "thinking").unwrap_or_default();
            let sealed = raw
                .get("signature")
                .and_then(Value::as_str)
                .and_then(unseal);
            let raw = sealed.unwrap_or_else(|| (Dialect::Messages, raw.clone()));
            Body::Thinking(Thinking {
                text,
                raw: Some(raw),
            })
        }
        Some("redacted_thinking") => {
            let sealed = text(raw, "data").and_then(unseal);
            let raw = sealed.unwrap_or_else(|| (Dialect::Messages, raw.clone()));
            Body::Thinking(Thinking {
                text: String::new(),
                raw: Some(raw),
            })
        }
        Some(_) => foreign(raw),
        None => return Err(malformed("a block with a type")),
    };
    Ok(Part {
        body,
        cache: present(raw, "cache_control").cloned(),
    })
}

fn image(raw: &Value) -> Option<Body> {
    let source = raw.get("source")?;
    let image = match text(source, "type")? {
        "base64" => Image::from_base64(text(source, "media_type")?, text(source, "data")?),
        "url" => Image {
            url: string(source, "url")?,
            detail: None,
        },
        _ => return None,
    };
    Some(Body::Image(image))
}

fn document(raw: &Value) -> Option<Body> {
    let source = raw.get("source")?;
    match text(source, "type")? {
        "base64" => Some(Body::Document {
            name: string(raw, "title"),
            media_type: string(source, "media_type")?,
            data: string(source, "data")?,
        }),
        _ => None,
    }
}

fn foreign(raw: &Value) -> Body {
    let mut raw = raw.clone();
    // The marker is kept beside it.
    if let Some(fields) = raw.as_object_mut() {
        fields.remove("cache_control");
    }
    Body::Foreign {
        dialect: Dialect::Messages,
        raw,
    }
}

fn tool(raw: &Value) -> Result<Tool, RequestError> {
    let name = string(raw, "name");
    let name = name.ok_or_else(|| RequestError::malformed("tools", "a list of named tools"))?;
    let kind = match text(raw, "type") {
        None | Some("custom") => ToolKind::Function {
            schema: present(raw, "input_schema")
                .cloned()
                .unwrap_or_else(empty_schema),
            strict: raw.get("strict").and_then(Value::as_bool),
        },
        Some(_) => ToolKind::Hosted {
            dialect: Dialect::Messages,
            raw: raw.clone(),
        },
    };
    Ok(Tool {
        name,
        description: string(raw, "description"),
        kind,
        namespace: None,
        cache: present(raw, "cache_control").cloned(),
    })
}

fn tool_choice(raw: &Value) -> Result<ToolChoice, RequestError> {
    match (text(raw, "type"), string(raw, "name")) {
        (Some("auto"), _) => Ok(ToolChoice::Auto),
        (Some("none"), _) => Ok(ToolChoice::None),
        (Some("any"), _) => Ok(ToolChoice::Required),
        (Some("tool"), Some(name)) => Ok(ToolChoice::Tool(name)),
        _ => Err(RequestError::malformed("tool_choice", "a known choice")),
    }
}

fn format(raw: &Value) -> Result<Format, RequestError> {
    match text(raw, "type") {
        Some("json_schema") => Ok(Format::Schema {
            name: "answer".to_owned(),
            schema: raw.get("schema").cloned().unwrap_or_else(empty_schema),
            strict: None,
        }),
        _ => Err(RequestError::malformed(
            "output_config.format",
            "a known form",
        )),
    }
}
