//! What model servers send, and what clients ask of them.

use proptest::prelude::*;
use sam_dialects::conversation::Collector;
use sam_dialects::scan::{RequestScan, ScanError};
use sam_dialects::{Dialect, ReplyParser, UsageScan, read_request};
use sam_fuzz::{bytes, config, json, measured};
use serde_json::{Value, json};

use super::bound;

/// Longest event and longest reply that are read here.
const LIMIT: usize = 4096;

fn chunks() -> Vec<Value> {
    let choice = |delta: Value| json!({"id": "c", "choices": [{"index": 0, "delta": delta}]});
    vec![
        choice(json!({"role": "assistant", "content": "hé"})),
        choice(json!({"reasoning_content": "hm", "content": null})),
        choice(
            json!({"tool_calls": [{"index": 0, "id": "a", "type": "function",
            "function": {"name": "edit", "arguments": "{\"path\":"}}]}),
        ),
        choice(json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"a\"}"}}]})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}),
        json!({"error": {"message": "overloaded", "type": "server_error", "code": 529}}),
    ]
}

fn streams() -> Vec<Vec<u8>> {
    let lines: Vec<String> = chunks()
        .iter()
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect();
    vec![
        format!("{}data: [DONE]\n\n", lines.concat()).into_bytes(),
        format!(": waiting\r\n\r\nevent: x\r\nid: 7\r\n{}", lines.concat()).into_bytes(),
        b"\xef\xbb\xbfdata: a\rdata: b\r\rdata\n\n".to_vec(),
    ]
}

fn requests() -> Vec<Value> {
    vec![
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"type": "function", "function": {"name": "t", "parameters": {}}}],
            "stream_options": {"include_usage": false}, "max_tokens": 5}),
        json!({"model": "m", "system": "s", "max_tokens": 5, "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "t", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}]}]}),
        json!({"model": "m", "instructions": "s", "input": [{"role": "user", "content": "hi"},
            {"type": "function_call", "call_id": "a", "name": "t", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "x"}], "stream": true}),
    ]
}

/// Decodes a stream and takes its events apart; whole, or in pieces of this many bytes.
fn take_apart(stream: &[u8], piece: usize) -> Vec<String> {
    let mut parser = ReplyParser::new(Dialect::Chat, "c", LIMIT);
    let mut events = Vec::new();
    let mut pieces = stream.chunks(piece);
    let mut ended = pieces.try_for_each(|piece| parser.push(piece, &mut events));
    if ended.is_ok() {
        ended = parser.finish(&mut events);
    }
    let mut told: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
    let mut reply = Collector::new();
    events.into_iter().for_each(|event| reply.take(event));
    told.push(format!("{:?} {ended:?}", reply.finish()));
    told
}

/// What a proxy makes of a request.
fn prepare(request: &[u8]) -> Result<Vec<u8>, ScanError> {
    let scan = RequestScan::read(request)?;
    scan.facts(Dialect::Chat)?;
    scan.with(&[scan.include_usage()?])
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn a_stream_says_the_same_in_any_pieces(stream in bytes(streams()), piece in 1_usize..50) {
        let (whole, peak) = measured(|| take_apart(&stream, stream.len().max(1)));
        prop_assert!(peak <= bound(stream.len()), "{peak} bytes for {}", stream.len());
        prop_assert_eq!(whole, take_apart(&stream, piece));
        // What a proxy does with the same bytes.
        let mut scan = UsageScan::new();
        for piece in stream.chunks(piece) {
            scan.push(piece);
        }
        prop_assert_eq!(scan.bytes(), stream.len() as u64);
        let (head, tail) = stream.split_at(stream.len().min(piece));
        let ends = UsageScan::of_ends(head, tail, stream.len() as u64);
        prop_assert_eq!(ends.usage(), scan.usage());
        let _ = UsageScan::of_ends(head, tail, u64::MAX).usage();
    }

    #[test]
    fn a_request_is_passed_on_as_it_is_or_refused(request in json(requests())) {
        let (prepared, peak) = measured(|| prepare(&request));
        prop_assert!(peak <= bound(request.len()), "{peak} bytes for {}", request.len());
        if let Ok(prepared) = prepared {
            // It is scanned, not read: what is wrong within a value is for the upstream to say.
            let is_json = |text: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
            prop_assert_eq!(is_json(&prepared), is_json(&request));
        }
        for dialect in Dialect::ALL {
            let _ = read_request(dialect, &request);
        }
    }
}
