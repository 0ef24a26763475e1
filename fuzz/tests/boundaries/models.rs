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

fn events(events: &[Value]) -> Vec<u8> {
    let event = |event: &Value| {
        let kind = event["type"].as_str().unwrap_or_default();
        format!("event: {kind}\ndata: {event}\n\n")
    };
    events.iter().map(event).collect::<String>().into_bytes()
}

fn responses() -> Vec<Vec<u8>> {
    let of = |kind: &str, mut event: Value| {
        event["type"] = json!(kind);
        event
    };
    let response = |status: &str| {
        json!({"response": {"id": "r", "status": status, "model": "m", "output": [],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}}})
    };
    let call = json!({"type": "function_call", "id": "f", "call_id": "a", "name": "edit", "arguments": "{\"path\":\"a\"}"});
    let thought = json!({"type": "reasoning", "id": "g", "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "AA"});
    let delta = |item: &str, at: u64, words: &str| json!({"item_id": item, "output_index": at, "content_index": 0, "delta": words});
    vec![
        events(&[
            of("response.created", response("in_progress")),
            of(
                "response.output_item.added",
                json!({"output_index": 0, "item": thought}),
            ),
            of("response.reasoning_summary_text.delta", delta("g", 0, "hm")),
            of(
                "response.output_item.done",
                json!({"output_index": 0, "item": thought}),
            ),
            of(
                "response.output_item.added",
                json!({"output_index": 1, "item": call}),
            ),
            of(
                "response.function_call_arguments.delta",
                delta("f", 1, "{\"path\":"),
            ),
            of(
                "response.output_item.done",
                json!({"output_index": 1, "item": call}),
            ),
            of("response.output_text.delta", delta("t", 2, "hé")),
            of("response.completed", response("completed")),
        ]),
        events(&[of("response.failed", response("failed"))]),
        events(&[json!({"type": "error", "code": "server_error", "message": "overloaded"})]),
    ]
}

fn messages() -> Vec<Vec<u8>> {
    let start = json!({"type": "message_start", "message": {"id": "m", "role": "assistant", "model": "m",
        "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}});
    let begin = |at: u64, block: Value| json!({"type": "content_block_start", "index": at, "content_block": block});
    let delta =
        |at: u64, delta: Value| json!({"type": "content_block_delta", "index": at, "delta": delta});
    let stop = |at: u64| json!({"type": "content_block_stop", "index": at});
    vec![
        events(&[
            start,
            begin(
                0,
                json!({"type": "thinking", "thinking": "", "signature": ""}),
            ),
            delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
            delta(0, json!({"type": "signature_delta", "signature": "AA"})),
            stop(0),
            begin(1, json!({"type": "text", "text": ""})),
            delta(1, json!({"type": "text_delta", "text": "hé"})),
            stop(1),
            begin(
                2,
                json!({"type": "tool_use", "id": "a", "name": "edit", "input": {}}),
            ),
            delta(
                2,
                json!({"type": "input_json_delta", "partial_json": "{\"path\":\"a\"}"}),
            ),
            stop(2),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}}),
            json!({"type": "message_stop"}),
        ]),
        events(&[
            json!({"type": "ping"}),
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
        ]),
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
fn take_apart(dialect: Dialect, stream: &[u8], piece: usize) -> Vec<String> {
    let mut parser = ReplyParser::new(dialect, "c", LIMIT);
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

fn says_the_same(dialect: Dialect, stream: &[u8], piece: usize) -> Result<(), TestCaseError> {
    let (whole, peak) = measured(|| take_apart(dialect, stream, stream.len().max(1)));
    prop_assert!(
        peak <= bound(stream.len()),
        "{peak} bytes for {}",
        stream.len()
    );
    prop_assert_eq!(whole, take_apart(dialect, stream, piece));
    Ok(())
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
        says_the_same(Dialect::Chat, &stream, piece)?;
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
    fn streams_of_the_other_dialects_say_the_same_in_any_pieces(
        response in bytes(responses()),
        message in bytes(messages()),
        piece in 1_usize..50,
    ) {
        says_the_same(Dialect::Responses, &response, piece)?;
        says_the_same(Dialect::Messages, &message, piece)?;
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
