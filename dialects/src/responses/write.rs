//! Requests of Responses, written.
//!
//! Nothing is left on the server: the request says `store: false` and asks for
//! reasoning in a form that can be given back.

use serde_json::{Value, json};

use crate::Dialect;
use crate::conversation::{
    Body, Format, Image, Message, Part, Request, Role, Tool, ToolCall, ToolChoice, ToolKind,
    ToolResult,
};
use crate::dialect::{RequestError, Target, Written};
use crate::json::{present, set, set_some};

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
    let mut talk = request.messages.as_slice();
    if let Some((first, rest)) = talk.split_first()
        && first.role == Role::System
        && first.parts.iter().all(|part| part.as_text().is_some())
    {
        let texts: Vec<&str> = first.parts.iter().filter_map(Part::as_text).collect();
        out.set("instructions", texts.join("\n\n"));
        first
            .parts
            .iter()
            .for_each(|part| note_cache(part, &mut out));
        talk = rest;
    }
    let mut input = Vec::new();
    for message in talk {
        items(message, target, &mut out, &mut input)?;
    }
    out.set("input", input);
    if offers {
        let choice = request.tool_choice.as_ref();
        out.set_some(
            "tool_choice",
            choice.map(|choice| tool_choice(choice, request, target)),
        );
        out.set_some("parallel_tool_calls", request.parallel_calls);
    }
    out.set_some("max_output_tokens", request.max_output);
    out.set_some("temperature", request.temperature);
    out.set_some("top_p", request.top_p);
    if !request.stop.is_empty() {
        out.drop("stop");
    }
    let asked = &request.reasoning;
    let thinks = target.reasons && (asked.as_effort().is_some() || asked.summary.is_some());
    if let Some(effort) = request.reasoning.as_effort() {
        if target.reasons {
            let summary = request.reasoning.summary.as_deref().unwrap_or("auto");
            let effort = if effort.name() == "max" {
                "xhigh"
            } else {
                effort.name()
            };
            out.set("reasoning", json!({ "effort": effort, "summary": summary }));
        } else {
            out.drop("reasoning");
        }
    } else if let Some(summary) = request
        .reasoning
        .summary
        .as_ref()
        .filter(|_| target.reasons)
    {
        out.set("reasoning", json!({ "summary": summary }));
    }
    if let Some(format) = &request.format {
        out.set("text", json!({ "format": self::format(format) }));
    }
    if request.stream {
        out.set("stream", true);
    }
    let extra = &request.extra;
    if !extra.contains_key("store") {
        out.set("store", false);
    }
    // Models that do not reason refuse to give what they do not have.
    if thinks && !extra.contains_key("include") {
        out.set("include", json!(["reasoning.encrypted_content"]));
    }
    for (key, value) in extra {
        out.set(key, value.clone());
    }
    Ok(out)
}

fn note_cache(part: &Part, out: &mut Written) {
    if part.cache.is_some() {
        out.drop("cache_control");
    }
}

fn items(
    message: &Message,
    target: &Target,
    out: &mut Written,
    input: &mut Vec<Value>,
) -> Result<(), RequestError> {
    let role = match message.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let mut content = Vec::new();
    for part in &message.parts {
        note_cache(part, out);
        let item = match &part.body {
            Body::Text(text) if message.role == Role::Assistant => {
                content.push(json!({ "type": "output_text", "text": text }));
                continue;
            }
            Body::Refusal(text) if message.role == Role::Assistant => {
                content.push(json!({ "type": "refusal", "refusal": text }));
                continue;
            }
            Body::Text(_) | Body::Refusal(_) | Body::Image(_) | Body::Document { .. } => {
                content.push(content_part(part)?);
                continue;
            }
            Body::Call(call) => function_call(call, target),
            Body::Result(result) => output(result, target)?,
            Body::Thinking(thinking) => match &thinking.raw {
                // Without its content it is only a name, and nothing is stored.
                Some((Dialect::Responses, raw)) if carries_content(raw) => raw.clone(),
                _ => {
                    out.drop("thinking");
                    continue;
                }
            },
            Body::Foreign {
                dialect: Dialect::Responses,
                raw,
            } if message.role == Role::Assistant => raw.clone(),
            Body::Foreign { dialect, raw } if message.role != Role::Assistant => {
                if *dialect == Dialect::Responses {
                    content.push(raw.clone());
                    continue;
                }
                let kind = raw.get("type").and_then(Value::as_str).unwrap_or("unknown");
                return Err(cannot(&format!("a part of the kind {kind}")));
            }
            Body::Foreign { .. } => {
                out.drop("hosted tool calls");
                continue;
            }
        };
        // Items keep their order; what was said before them comes before them.
        say(role, &mut content, input);
        input.push(item);
    }
    say(role, &mut content, input);
    Ok(())
}

fn say(role: &str, content: &mut Vec<Value>, input: &mut Vec<Value>) {
    if !content.is_empty() {
        let content = std::mem::take(content);
        input.push(json!({ "type": "message", "role": role, "content": content }));
    }
}

fn carries_content(raw: &Value) -> bool {
    present(raw, "encrypted_content").is_some() || present(raw, "content").is_some()
}

fn cannot(what: &str) -> RequestError {
    RequestError::untranslatable(what, Dialect::Responses)
}

fn content_part(part: &Part) -> Result<Value, RequestError> {
    match &part.body {
        Body::Text(text) | Body::Refusal(text) => Ok(json!({ "type": "input_text", "text": text })),
        Body::Image(Image { url, detail }) => {
            let mut image = json!({ "type": "input_image", "image_url": url });
            set_some(&mut image, "detail", detail.clone());
            Ok(image)
        }
        Body::Document {
            name,
            media_type,
            data,
        } => {
            let data = ["data:", media_type, ";base64,", data].concat();
            let name = name.as_deref().unwrap_or("document");
            Ok(json!({ "type": "input_file", "filename": name, "file_data": data }))
        }
        Body::Foreign {
            dialect: Dialect::Responses,
            raw,
        } => Ok(raw.clone()),
        Body::Foreign { raw, .. } => Ok(json!({ "type": "input_text", "text": raw.to_string() })),
        Body::Thinking(_) | Body::Call(_) | Body::Result(_) => {
            Err(cannot("a call within a result"))
        }
    }
}

fn function_call(call: &ToolCall, target: &Target) -> Value {
    let ToolCall {
        id,
        name,
        arguments,
        custom,
    } = call;
    if *custom && target.custom_tools {
        return json!({ "type": "custom_tool_call", "call_id": id, "name": name, "input": arguments });
    }
    let arguments = if *custom {
        json!({ "input": arguments }).to_string()
    } else {
        arguments.clone()
    };
    json!({ "type": "function_call", "call_id": id, "name": name, "arguments": arguments })
}

fn output(result: &ToolResult, target: &Target) -> Result<Value, RequestError> {
    let kind = if result.custom && target.custom_tools {
        "custom_tool_call_output"
    } else {
        "function_call_output"
    };
    let plain = result.parts.iter().all(|part| part.as_text().is_some());
    let output = if plain {
        let texts: Vec<&str> = result.parts.iter().filter_map(Part::as_text).collect();
        match texts.join("\n\n") {
            text if text.is_empty() && result.failed => json!("The tool failed."),
            text => json!(text),
        }
    } else {
        let parts: Result<Vec<Value>, _> = result.parts.iter().map(content_part).collect();
        Value::Array(parts?)
    };
    Ok(json!({ "type": kind, "call_id": result.call, "output": output }))
}

fn tool(tool: &Tool, target: &Target, out: &mut Written) -> Option<Value> {
    if tool.cache.is_some() {
        out.drop("cache_control");
    }
    let mut written = json!({ "name": tool.name });
    set_some(&mut written, "description", tool.description.clone());
    match &tool.kind {
        ToolKind::Function { schema, strict } => {
            set(&mut written, "type", "function");
            set(&mut written, "parameters", schema.clone());
            // Left out it would be true, and schemas made for others do not fit.
            set(&mut written, "strict", strict.unwrap_or(false));
        }
        ToolKind::Custom { format } if target.custom_tools => {
            set(&mut written, "type", "custom");
            set_some(&mut written, "format", format.clone());
        }
        ToolKind::Custom { .. } => {
            set(&mut written, "type", "function");
            set(
                &mut written,
                "parameters",
                crate::chat::write::free_text_schema(),
            );
            set(&mut written, "strict", false);
        }
        ToolKind::Hosted {
            dialect: Dialect::Responses,
            raw,
        } => return Some(raw.clone()),
        ToolKind::Hosted { .. } => {
            out.drop("hosted tools");
            return None;
        }
    }
    Some(written)
}

fn tool_choice(choice: &ToolChoice, request: &Request, target: &Target) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Tool(name) if request.is_custom(name) && target.custom_tools => {
            json!({ "type": "custom", "name": name })
        }
        ToolChoice::Tool(name) => json!({ "type": "function", "name": name }),
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
            let mut form = json!({ "type": "json_schema", "name": name, "schema": schema });
            set_some(&mut form, "strict", *strict);
            form
        }
    }
}
