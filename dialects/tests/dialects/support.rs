//! Streams as servers send them, and what is read of them.

use sam_dialects::conversation::{Collector, Reply, StreamError};
use sam_dialects::{Dialect, ReplyParser};
use serde_json::{Value, json};

/// Events of chat completions: bare data, and the end marker.
pub(crate) fn chat(chunks: &[Value]) -> String {
    let mut stream: String = chunks.iter().map(|c| format!("data: {c}\n\n")).collect();
    stream.push_str("data: [DONE]\n\n");
    stream
}

/// Events named by their type, as Responses and Messages have them.
pub(crate) fn named(events: &[Value]) -> String {
    let event = |e: &Value| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap());
    events.iter().map(event).collect()
}

/// A chunk of chat completions.
pub(crate) fn delta(delta: Value) -> Value {
    json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

/// The chunk that says why it stopped.
pub(crate) fn finish(reason: &str) -> Value {
    json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// The first event of Messages.
pub(crate) fn message_start() -> Value {
    json!({"type": "message_start", "message": {"id": "c", "model": "m", "role": "assistant",
        "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}})
}

/// The last events of Messages.
pub(crate) fn message_end(reason: &str) -> [Value; 2] {
    [
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
            "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ]
}

pub(crate) fn block(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

pub(crate) fn block_delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

pub(crate) fn block_end(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

/// The last event of Responses.
pub(crate) fn completed(output: Value, usage: Value) -> Value {
    json!({"type": "response.completed", "response": {"id": "c", "model": "m",
        "status": "completed", "output": output, "usage": usage}})
}

/// Reads a whole stream.
pub(crate) fn read(dialect: Dialect, stream: &str) -> Result<Reply, StreamError> {
    read_chunks(dialect, [stream.as_bytes()])
}

/// Reads a stream that comes in chunks.
pub(crate) fn read_chunks<'a>(
    dialect: Dialect,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Reply, StreamError> {
    let mut parser = ReplyParser::new(dialect, "x", 1 << 20);
    let mut collector = Collector::new();
    let mut events = Vec::new();
    for chunk in chunks {
        parser.push(chunk, &mut events)?;
    }
    parser.finish(&mut events)?;
    events.into_iter().for_each(|event| collector.take(event));
    Ok(collector.finish())
}
