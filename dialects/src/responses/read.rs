//! Requests of Responses, read.
//!
//! Items are gathered into messages: what the model said, thought and called
//! between two words of others is one reply, and the results of its calls are
//! one message.

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
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "temperature",
    "top_p",
    "stream",
    "reasoning",
    "text",
];

pub(crate) fn request(body: &Value) -> Result<Request, RequestError> {
    let mut messages = Vec::new();
    match present(body, "instructions") {
        None => {}
        Some(Value::String(text)) => messages.push(Message::text(Role::System, text.clone())),
        Some(_) => return Err(RequestError::malformed("instructions", "a text")),
    }
    match body.get("input") {
        Some(Value::String(text)) => messages.push(Message::text(Role::User, text.clone())),
        Some(Value::Array(input)) => {
            let mut gathered = Gathered::default();
            for (at, raw) in input.iter().enumerate() {
                gathered.item(raw, &format!("input[{at}]"))?;
            }
            messages.append(&mut gathered.0);
        }
        _ => {
            return Err(RequestError::malformed(
                "input",
                "a text or a list of items",
            ));
        }
    }
    let mut tools = Vec::new();
    for raw in items(body, "tools") {
        tool(raw, None, &mut tools)?;
    }
    let reasoning = body.get("reasoning").unwrap_or(&Value::Null);
    let effort = match text(reasoning, "effort") {
        Some(name) => Some(
            Effort::parse(name)
                .ok_or_else(|| RequestError::malformed("reasoning.effort", "a known effort"))?,
        ),
        None => None,
    };
    let form = body.get("text").and_then(|text| present(text, "format"));
    Ok(Request {
        model: string(body, "model").unwrap_or_default(),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        messages,
        tools,
        tool_choice: present(body, "tool_choice").map(tool_choice).transpose()?,
        parallel_calls: body.get("parallel_tool_calls").and_then(Value::as_bool),
        max_output: count(body, "max_output_tokens"),
        temperature: body.get("temperature").and_then(Value::as_f64),
        top_p: body.get("top_p").and_then(Value::as_f64),
        stop: Vec::new(),
        reasoning: Reasoning {
            effort,
            summary: string(reasoning, "summary"),
            ..Reasoning::default()
        },
        format: form.map(format).transpose()?.flatten(),
        report_usage: true,
        extra: rest(body, KNOWN),
    })
}

#[derive(Default)]
struct Gathered(Vec<Message>);

impl Gathered {
    /// Adds to the open reply, or to the open message of results.
    fn push(&mut self, role: Role, body: Body) {
        let fits = self.0.last().is_some_and(|last| {
            let result = |part: &Part| matches!(part.body, Body::Result(_));
            last.role == role && (role == Role::Assistant || last.parts.iter().all(result))
        });
        match self.0.last_mut().filter(|_| fits) {
            Some(open) => open.parts.push(body.into()),
            None => self.0.push(Message {
                role,
                parts: vec![body.into()],
            }),
        }
    }

    fn item(&mut self, raw: &Value, field: &str) -> Result<(), RequestError> {
        let malformed = |expected| RequestError::malformed(field, expected);
        let named = |key| string(raw, key).ok_or_else(|| malformed("an item with what it needs"));
        match text(raw, "type").unwrap_or("message") {
            "message" => {
                let role = match text(raw, "role") {
                    Some("system") => Role::System,
                    Some("developer") => Role::Developer,
                    Some("user") => Role::User,
                    Some("assistant") => Role::Assistant,
                    _ => return Err(malformed("a message with a known role")),
                };
                let parts = parts(raw.get("content").unwrap_or(&Value::Null), field)?;
                if role == Role::Assistant {
                    parts
                        .into_iter()
                        .for_each(|part| self.push(role, part.body));
                } else {
                    self.0.push(Message { role, parts });
                }
            }
            kind @ ("function_call" | "custom_tool_call") => {
                let custom = kind == "custom_tool_call";
                let name = named("name")?;
                let call = ToolCall {
                    id: named("call_id")?,
                    name: match text(raw, "namespace") {
                        Some(namespace) => within(namespace, &name),
                        None => name,
                    },
                    arguments: named(if custom { "input" } else { "arguments" })?,
                    custom,
                };
                self.push(Role::Assistant, Body::Call(call));
            }
            kind @ ("function_call_output" | "custom_tool_call_output") => {
                let result = ToolResult {
                    call: named("call_id")?,
                    parts: parts(raw.get("output").unwrap_or(&Value::Null), field)?,
                    failed: false,
                    custom: kind == "custom_tool_call_output",
                };
                self.push(Role::User, Body::Result(result));
            }
            "reasoning" => {
                let sealed = text(raw, "encrypted_content").and_then(unseal);
                let shown = items(raw, "summary").chain(items(raw, "content"));
                let shown: Vec<&str> = shown.filter_map(|part| text(part, "text")).collect();
                let thinking = Thinking {
                    text: shown.join("\n\n"),
                    raw: Some(sealed.unwrap_or_else(|| (Dialect::Responses, raw.clone()))),
                };
                self.push(Role::Assistant, Body::Thinking(thinking));
            }
            _ => {
                let (dialect, raw) = (Dialect::Responses, raw.clone());
                self.push(Role::Assistant, Body::Foreign { dialect, raw });
            }
        }
        Ok(())
    }
}

/// A tool's name beyond its namespace.
pub(crate) fn within(namespace: &str, name: &str) -> String {
    let gap = if namespace.ends_with("__") { "" } else { "__" };
    [namespace, gap, name].concat()
}

fn parts(content: &Value, field: &str) -> Result<Vec<Part>, RequestError> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Part::text(text.clone())]),
        Value::Array(parts) => {
            let part = |(at, raw)| part(raw, &format!("{field}.content[{at}]"));
            parts.iter().enumerate().map(part).collect()
        }
        _ => Err(RequestError::malformed(field, "an item with content")),
    }
}

fn part(raw: &Value, field: &str) -> Result<Part, RequestError> {
    let body = match text(raw, "type") {
        Some("input_text" | "output_text" | "text") => {
            Body::Text(string(raw, "text").unwrap_or_default())
        }
        Some("refusal") => Body::Refusal(string(raw, "refusal").unwrap_or_default()),
        Some("input_image") if raw.get("image_url").is_some_and(Value::is_string) => {
            Body::Image(Image {
                url: string(raw, "image_url").unwrap_or_default(),
                detail: string(raw, "detail"),
            })
        }
        Some("input_file") => {
            let data = text(raw, "file_data");
            match data.and_then(|data| data.strip_prefix("data:")?.split_once(";base64,")) {
                Some((media_type, data)) => Body::Document {
                    name: string(raw, "filename"),
                    media_type: media_type.to_owned(),
                    data: data.to_owned(),
                },
                None => foreign(raw),
            }
        }
        Some(_) => foreign(raw),
        None => return Err(RequestError::malformed(field, "a part with a type")),
    };
    Ok(body.into())
}

fn foreign(raw: &Value) -> Body {
    Body::Foreign {
        dialect: Dialect::Responses,
        raw: raw.clone(),
    }
}

fn tool(raw: &Value, namespace: Option<&str>, tools: &mut Vec<Tool>) -> Result<(), RequestError> {
    let kind = match text(raw, "type") {
        Some("namespace") if namespace.is_none() => {
            let name = string(raw, "name");
            let name = name.ok_or_else(|| RequestError::malformed("tools", "named namespaces"))?;
            for inner in items(raw, "tools") {
                tool(inner, Some(&name), tools)?;
            }
            return Ok(());
        }
        Some("function") => ToolKind::Function {
            schema: present(raw, "parameters")
                .cloned()
                .unwrap_or_else(empty_schema),
            strict: raw
                .get("strict")
                .and_then(Value::as_bool)
                .filter(|strict| *strict),
        },
        Some("custom") => ToolKind::Custom {
            format: present(raw, "format").cloned(),
        },
        _ => ToolKind::Hosted {
            dialect: Dialect::Responses,
            raw: raw.clone(),
        },
    };
    let name = string(raw, "name");
    if name.is_none() && !matches!(kind, ToolKind::Hosted { .. }) {
        return Err(RequestError::malformed("tools", "a list of named tools"));
    }
    let name = name.unwrap_or_default();
    tools.push(Tool {
        name: match namespace {
            Some(namespace) => within(namespace, &name),
            None => name.clone(),
        },
        description: string(raw, "description"),
        kind,
        namespace: namespace.map(|namespace| (namespace.to_owned(), name)),
        cache: None,
    });
    Ok(())
}

fn tool_choice(raw: &Value) -> Result<ToolChoice, RequestError> {
    match (raw.as_str(), text(raw, "type")) {
        (Some("auto"), _) => Ok(ToolChoice::Auto),
        (Some("none"), _) => Ok(ToolChoice::None),
        (Some("required"), _) => Ok(ToolChoice::Required),
        (_, Some("function" | "custom")) => string(raw, "name")
            .map(ToolChoice::Tool)
            .ok_or_else(|| RequestError::malformed("tool_choice", "a named tool")),
        (_, Some("allowed_tools")) => Err(RequestError::malformed(
            "tool_choice",
            "a choice that is understood here; allowed_tools is not",
        )),
        _ => Err(RequestError::malformed("tool_choice", "a known choice")),
    }
}

fn format(raw: &Value) -> Result<Option<Format>, RequestError> {
    match text(raw, "type") {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::Json)),
        Some("json_schema") => Ok(Some(Format::Schema {
            name: string(raw, "name").unwrap_or_else(|| "answer".to_owned()),
            schema: raw.get("schema").cloned().unwrap_or_else(empty_schema),
            strict: raw.get("strict").and_then(Value::as_bool),
        })),
        _ => Err(RequestError::malformed("text.format", "a known form")),
    }
}
