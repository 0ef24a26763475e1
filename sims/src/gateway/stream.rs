//! An answer cut into server-sent events, and the body that plays them.
//!
//! The pieces are small, as a real model's are, and the arguments of a call are torn apart in the middle of words:
//! a client must put them together by index.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use futures::Stream;
use serde_json::{Value, json};

use super::faults::FaultKind;
use super::records::{Outcome, RecordGuard};
use crate::wire::{MODEL, Reply, Usage};

/// Characters of a piece of call arguments, unless that makes too many pieces.
const ARGUMENT_PIECE: usize = 24;
/// Pieces of one call's arguments.
const MOST_PIECES: usize = 60;
/// A piece of text ends at the first space after this many characters.
const TEXT_PIECE: usize = 10;
/// Long enough for what was sent to leave the socket before a cut closes it.
const FLUSH: Duration = Duration::from_millis(20);

/// The events of an answer, each a complete `data:` block, the last one `[DONE]`.
#[must_use]
pub(super) fn events(id: &str, reply: &Reply, usage: Option<Usage>) -> Vec<String> {
    let mut events = Vec::new();
    let mut push = |delta: Value, finish: Option<&str>| {
        let choices = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        events.push(event(id, choices, usage.is_some().then_some(Value::Null)));
    };
    push(json!({ "role": "assistant", "content": "" }), None);
    for piece in text_pieces(&reply.reasoning) {
        push(json!({ "reasoning_content": piece }), None);
    }
    for piece in text_pieces(&reply.text) {
        push(json!({ "content": piece }), None);
    }
    for (index, call) in reply.calls.iter().enumerate() {
        let opening = json!([{ "index": index, "id": call.id, "type": "function",
            "function": { "name": call.name, "arguments": "" } }]);
        push(json!({ "tool_calls": opening }), None);
        let arguments: Vec<char> = call.arguments.to_string().chars().collect();
        for piece in arguments.chunks(ARGUMENT_PIECE.max(arguments.len().div_ceil(MOST_PIECES))) {
            let piece: String = piece.iter().collect();
            push(
                json!({ "tool_calls": [{ "index": index, "function": { "arguments": piece } }] }),
                None,
            );
        }
    }
    push(json!({}), Some(reply.finish_reason()));
    if let Some(usage) = usage {
        events.push(event(id, json!([]), serde_json::to_value(usage).ok()));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn event(id: &str, choices: Value, usage: Option<Value>) -> String {
    let mut chunk = json!({ "id": id, "object": "chat.completion.chunk", "created": 0, "model": MODEL, "choices": choices });
    if let (Some(usage), Some(fields)) = (usage, chunk.as_object_mut()) {
        fields.insert("usage".into(), usage);
    }
    format!("data: {chunk}\n\n")
}

fn text_pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for character in text.chars() {
        piece.push(character);
        if character.is_whitespace() && piece.chars().count() > TEXT_PIECE {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

struct Playback {
    waiting: VecDeque<String>,
    sent: usize,
    delay: Duration,
    fault: Option<FaultKind>,
    record: RecordGuard,
}

/// Plays the events, one at a time, with `delay` between them and the fault that was asked for. When the client
/// leaves, the stream is dropped, and with it the record's guard.
pub(super) fn play(
    events: Vec<String>,
    delay: Duration,
    fault: Option<FaultKind>,
    record: RecordGuard,
) -> impl Stream<Item = io::Result<String>> + Send + 'static {
    let playback = Playback {
        waiting: events.into(),
        sent: 0,
        delay,
        fault,
        record,
    };
    futures::stream::unfold(playback, |mut playback| async move {
        match playback.fault {
            Some(FaultKind::Cut { after_chunks }) if playback.sent >= after_chunks => {
                tokio::time::sleep(FLUSH).await;
                playback
                    .record
                    .update(|record| record.outcome = Outcome::Cut);
                playback.waiting.clear();
                playback.fault = None;
                return Some((Err(io::Error::other("cut on request")), playback));
            }
            Some(FaultKind::Hold { after_chunks }) if playback.sent >= after_chunks => {
                playback.record.hold().await;
                playback.fault = None;
            }
            Some(FaultKind::SlowFirstByte { ms }) if playback.sent == 0 => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            _ => {}
        }
        let next = playback.waiting.pop_front()?;
        if playback.sent > 0 && !playback.delay.is_zero() {
            tokio::time::sleep(playback.delay).await;
        }
        playback.sent += 1;
        let (sent, last) = (playback.sent, playback.waiting.is_empty());
        playback.record.update(|record| {
            record.chunks_sent = sent;
            if last {
                record.outcome = Outcome::Complete;
            }
        });
        Some((Ok(next), playback))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::PlannedCall;

    #[test]
    fn the_pieces_add_up_to_the_answer() {
        let arguments =
            json!({ "command": "node --test — and a command that is longer than one piece" });
        let reply = Reply {
            reasoning: "Nothing is known yet.".into(),
            text: "I look around first, then I run the tests.".into(),
            calls: vec![PlannedCall {
                id: "call_1".into(),
                name: "bash".into(),
                arguments: arguments.clone(),
            }],
        };
        let usage = Usage {
            prompt_tokens: 1,
            completion_tokens: 2,
            total_tokens: 3,
        };
        let events = events("chatcmpl-1", &reply, Some(usage));
        let (mut reasoning, mut text, mut called) = (String::new(), String::new(), String::new());
        let mut reported = None;
        for event in events.iter().take(events.len() - 1) {
            let data: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
            let delta = &data["choices"][0]["delta"];
            reasoning += delta["reasoning_content"].as_str().unwrap_or_default();
            text += delta["content"].as_str().unwrap_or_default();
            called += delta["tool_calls"][0]["function"]["arguments"]
                .as_str()
                .unwrap_or_default();
            if !data["usage"].is_null() {
                reported = data["usage"]["total_tokens"].as_u64();
            }
        }
        assert_eq!((reasoning, text), (reply.reasoning, reply.text));
        assert_eq!(serde_json::from_str::<Value>(&called).unwrap(), arguments);
        assert_eq!(reported, Some(3));
        assert_eq!(events.last().unwrap(), "data: [DONE]\n\n");
    }
}
