//! A model for measurements: it makes every agent run the same commands in its shell and then
//! answers, in whichever dialect it is asked, and notes when it was asked and by how much.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sam_e2e::Result;
use serde_json::{Value, json};

/// A request, as far as it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    /// Bytes of its body.
    pub(crate) bytes: usize,
}

/// A running model; it ends with the process.
#[derive(Clone)]
pub(crate) struct Model {
    /// The base URL, without `/v1`.
    pub(crate) host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Model {
    /// Starts one whose agents run these commands, one for each request.
    pub(crate) fn start(commands: Vec<String>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let model = Self {
            host: format!("http://{}", listener.local_addr()?),
            asked: Arc::default(),
        };
        let (asked, commands) = (Arc::clone(&model.asked), Arc::new(commands));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, commands) = (Arc::clone(&asked), Arc::clone(&commands));
                // An agent that leaves early is seen by what it did not do.
                std::thread::spawn(move || drop(serve(&stream, &asked, &commands)));
            }
        });
        Ok(model)
    }

    /// The requests of an agent at work so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }
}

fn serve(stream: &TcpStream, asked: &Mutex<Vec<Asked>>, commands: &[String]) -> Result {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let at = Instant::now();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let tools = request.get("tools").and_then(Value::as_array);
    let shell = tools.and_then(|tools| shell(tools));
    let done = request.to_string().matches("\"call-").count() / 2;
    if shell.is_some() {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(Asked {
            at,
            bytes: body.len(),
        });
    }
    // Without a shell there is nothing to do: goose asks for a title so.
    let call = shell.and_then(|shell| Some((shell, commands.get(done)?)));
    let events = match first.split(' ').nth(1) {
        Some("/v1/responses") => responses(call, done),
        Some("/v1/chat/completions") => chat(call, done),
        _ => Vec::new(),
    };
    let mut text: String = events
        .iter()
        .map(|(kind, event)| format!("event: {kind}\ndata: {event}\n\n"))
        .collect();
    if first.contains("chat/completions") {
        text = events
            .iter()
            .map(|(_, event)| format!("data: {event}\n\n"))
            .collect();
        text.push_str("data: [DONE]\n\n");
    }
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )?;
    Ok(())
}

/// The tool that runs commands, and how it wants one.
struct Shell {
    name: String,
    arguments: fn(&str) -> Value,
}

fn shell(tools: &[Value]) -> Option<Shell> {
    let described = |tool: &Value| {
        let function = tool.get("function").unwrap_or(tool).clone();
        let name = function.get("name")?.as_str()?.to_owned();
        let wanted = ["bash", "shell", "exec_command"];
        let is_shell = wanted
            .iter()
            .any(|wanted| name == *wanted || name.ends_with(&format!("__{wanted}")));
        let properties = function.pointer("/parameters/properties").cloned();
        is_shell.then_some((name, properties.unwrap_or_default()))
    };
    let (name, properties) = tools.iter().find_map(described)?;
    let arguments: fn(&str) -> Value = if properties.get("cmd").is_some() {
        |command| json!({"cmd": command})
    } else if properties
        .pointer("/command/type")
        .is_some_and(|kind| kind == "array")
    {
        |command| json!({"command": ["bash", "-c", command]})
    } else {
        |command| json!({"command": command})
    };
    Some(Shell { name, arguments })
}

type Events = Vec<(&'static str, Value)>;

fn chat(call: Option<(Shell, &String)>, done: usize) -> Events {
    let delta = |delta: Value, finish: Value| {
        (
            "",
            json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices":
            [{"index": 0, "delta": delta, "finish_reason": finish}]}),
        )
    };
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010});
    let mut events = match call {
        Some((shell, command)) => {
            let arguments = (shell.arguments)(command).to_string();
            let call = json!({"index": 0, "id": format!("call-{done}"), "type": "function",
                "function": {"name": shell.name, "arguments": arguments}});
            vec![
                delta(
                    json!({"role": "assistant", "tool_calls": [call]}),
                    Value::Null,
                ),
                delta(json!({}), json!("tool_calls")),
            ]
        }
        None => vec![
            delta(
                json!({"role": "assistant", "content": "Done."}),
                Value::Null,
            ),
            delta(json!({}), json!("stop")),
        ],
    };
    events.push(("", json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [], "usage": usage})));
    events
}

fn responses(call: Option<(Shell, &String)>, done: usize) -> Events {
    let item = match call {
        Some((shell, command)) => {
            json!({"type": "function_call", "id": format!("fc_{done}"), "call_id": format!("call-{done}"),
            "name": shell.name, "arguments": (shell.arguments)(command).to_string(), "status": "completed"})
        }
        None => {
            json!({"type": "message", "id": "msg", "role": "assistant", "status": "completed", "content":
            [{"type": "output_text", "text": "Done.", "annotations": []}]})
        }
    };
    let usage = json!({"input_tokens": 1000, "output_tokens": 10, "total_tokens": 1010,
        "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}});
    let response = |status: &str| json!({"id": "resp", "object": "response", "status": status, "model": "m", "output": [], "usage": usage});
    vec![
        (
            "response.created",
            json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress")}),
        ),
        (
            "response.output_item.added",
            json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item}),
        ),
        (
            "response.output_item.done",
            json!({"type": "response.output_item.done", "sequence_number": 2, "output_index": 0, "item": item}),
        ),
        (
            "response.completed",
            json!({"type": "response.completed", "sequence_number": 3, "response": response("completed")}),
        ),
    ]
}
