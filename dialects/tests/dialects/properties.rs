//! What holds whatever comes.

use proptest::prelude::*;
use sam_dialects::conversation::{
    Body, Image, Message, Part, Request, Role, StreamError, Tool, ToolCall, ToolChoice, ToolResult,
};
use sam_dialects::translate::{Exchange, translate};
use sam_dialects::{
    ApiError, Dialect, ReplyParser, Target, UsageScan, read_reply, read_request, scan::RequestScan,
    write_request,
};
use serde_json::json;

use crate::captured::captured;
use crate::support::*;

fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(Dialect::ALL.to_vec())
}

fn streams(dialect: Dialect) -> String {
    let text = "sé <tool_call>";
    match dialect {
        Dialect::Chat => chat(&[
            delta(json!({"reasoning": text, "content": null})),
            delta(json!({"content": [{"type": "text", "text": text}]})),
            delta(
                json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "t", "arguments": "{\"k\":"}},
                {"index": 1, "function": {"name": "u", "arguments": {"k": 1}}}]}),
            ),
            delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"v\"}"}}]})),
            finish("stop"),
            json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
        ]),
        Dialect::Responses => named(&[
            json!({"type": "response.created", "response": {"id": "c"}}),
            json!({"type": "response.output_text.delta", "output_index": 0, "item_id": "m", "delta": text}),
            json!({"type": "response.output_item.added", "output_index": 1,
                "item": {"type": "function_call", "id": "f", "call_id": "a", "name": "t"}}),
            json!({"type": "response.function_call_arguments.delta", "item_id": "f", "delta": "{\"k\":1}"}),
            completed(
                json!([{"type": "message", "id": "m", "content": [{"type": "output_text", "text": text}]},
                {"type": "function_call", "id": "f", "call_id": "a", "name": "t", "arguments": "{\"k\":1}"},
                {"type": "reasoning", "id": "r", "summary": [{"text": "x"}], "encrypted_content": "y"}]),
                json!({"input_tokens": 1, "output_tokens": 2}),
            ),
        ]),
        Dialect::Messages => {
            let [end, stop] = message_end("tool_use");
            named(&[
                message_start(),
                block(0, json!({"type": "thinking", "thinking": ""})),
                block_delta(0, json!({"type": "thinking_delta", "thinking": text})),
                block_delta(0, json!({"type": "signature_delta", "signature": "s"})),
                block_end(0),
                block(1, json!({"type": "tool_use", "id": "a", "name": "t"})),
                block_delta(
                    1,
                    json!({"type": "input_json_delta", "partial_json": "{\"k\":1}"}),
                ),
                end,
                stop,
            ])
        }
    }
}

/// Bytes with some of them changed, taken out or doubled.
fn mutate(bytes: &mut Vec<u8>, changes: &[(usize, u8, u8)]) {
    for (at, byte, how) in changes {
        if bytes.is_empty() {
            return;
        }
        let at = at % bytes.len();
        match how % 4 {
            0 => bytes[at] = *byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, *byte),
            _ => bytes.truncate(at),
        }
    }
}

fn feed(dialect: Dialect, bytes: &[u8], size: usize) -> (Vec<String>, Option<StreamError>) {
    let mut parser = ReplyParser::new(dialect, "x", 1 << 16);
    let mut events = Vec::new();
    let mut error = None;
    for chunk in bytes.chunks(size) {
        if let Err(broken) = parser.push(chunk, &mut events) {
            error = Some(broken);
            break;
        }
    }
    if error.is_none() {
        error = parser.finish(&mut events).err();
    }
    (
        events.iter().map(|event| format!("{event:?}")).collect(),
        error,
    )
}

fn words() -> impl Strategy<Value = String> + Clone {
    "[a-z\u{fc}\"\\\\{<]{1,8}"
}

fn user_parts() -> impl Strategy<Value = Vec<Part>> {
    let text = words().prop_map(Part::text);
    let image = "[A-Za-z0-9]{4}"
        .prop_map(|data| Part::from(Body::Image(Image::from_base64("image/png", &data))));
    (
        words().prop_map(Part::text),
        prop::collection::vec(prop_oneof![text, image], 0..2),
    )
        .prop_map(|(first, mut more)| {
            more.insert(0, first);
            more
        })
}

/// A turn: the person, the model, the results of its calls.
fn turn() -> impl Strategy<Value = Vec<Message>> {
    let call = ("[a-z]{1,5}", words(), words());
    (
        user_parts(),
        words(),
        prop::collection::vec(call, 0..3),
        any::<u32>(),
    )
        .prop_map(|(asked, said, calls, seed)| {
            let mut answer = vec![Part::text(said)];
            let mut results = Vec::new();
            for (number, (name, argument, result)) in calls.into_iter().enumerate() {
                let id = format!("call_{seed}_{number}");
                answer.push(Part::from(Body::Call(ToolCall {
                    id: id.clone(),
                    name,
                    arguments: json!({"a": argument}).to_string(),
                    custom: false,
                })));
                results.push(Part::from(Body::Result(ToolResult {
                    call: id,
                    parts: vec![Part::text(result)],
                    ..ToolResult::default()
                })));
            }
            let message = |role, parts| Message { role, parts };
            let mut turn = vec![message(Role::User, asked), message(Role::Assistant, answer)];
            if !results.is_empty() {
                turn.push(message(Role::User, results));
                turn.push(Message::text(Role::Assistant, "done"));
            }
            turn
        })
}

/// What every dialect can say.
fn requests() -> impl Strategy<Value = Request> {
    let choice = prop::sample::select(vec![
        None,
        Some(ToolChoice::Auto),
        Some(ToolChoice::None),
        Some(ToolChoice::Required),
        Some(ToolChoice::Tool("read".to_owned())),
    ]);
    let turns = prop::collection::vec(turn(), 0..3);
    (
        words(),
        turns,
        user_parts(),
        choice,
        any::<bool>(),
        2000..9000_u64,
    )
        .prop_map(|(system, turns, last, tool_choice, stream, bound)| {
            let mut messages = vec![Message::text(Role::System, system)];
            messages.extend(turns.into_iter().flatten());
            messages.push(Message {
                role: Role::User,
                parts: last,
            });
            Request {
                model: "m".to_owned(),
                stream,
                messages,
                tools: vec![Tool::function("read", "reads", json!({"type": "object"}))],
                tool_choice,
                max_output: Some(bound),
                ..Request::default()
            }
        })
}

/// A request as it is after a dialect that says less.
fn bare(mut request: Request) -> Request {
    for part in request
        .messages
        .iter_mut()
        .flat_map(|message| &mut message.parts)
    {
        part.cache = None;
    }
    request.tools.iter_mut().for_each(|tool| tool.cache = None);
    request.extra.clear();
    request.report_usage = false;
    request
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        dialect in dialects(),
        size in 1_usize..60,
        changes in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..3),
    ) {
        let mut stream = streams(dialect).into_bytes();
        mutate(&mut stream, &changes);
        prop_assert_eq!(feed(dialect, &stream, size), feed(dialect, &stream, stream.len().max(1)));
    }

    #[test]
    fn there_and_back_a_request_is_the_same(request in requests(), a in dialects(), b in dialects()) {
        let pass = |request: &Request, dialect: Dialect| {
            let written = write_request(request, &Target::new(dialect)).unwrap();
            bare(read_request(dialect, &written.to_bytes()).unwrap())
        };
        let first = pass(&request, a);
        prop_assert_eq!(&bare(request), &first);
        prop_assert_eq!(&pass(&first, b), &first);
        prop_assert_eq!(&pass(&pass(&first, b), a), &first);
    }

    #[test]
    fn no_reply_makes_it_panic(
        upstream in dialects(),
        client in dialects(),
        size in 1_usize..200,
        changes in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..12),
    ) {
        let mut stream = streams(upstream).into_bytes();
        mutate(&mut stream, &changes);
        let target = Target::new(upstream);
        let exchange = Exchange { client, target: &target, model: "m", id: "r", now: 0 };
        let ask = match client {
            Dialect::Responses => json!({"input": "x", "stream": true}),
            Dialect::Chat | Dialect::Messages => json!({"messages": [], "stream": true}),
        };
        let mut reply = translate(&exchange, ask.to_string().as_bytes()).unwrap().reply;
        let mut scan = UsageScan::new();
        for chunk in stream.chunks(size) {
            let out = reply.push(chunk);
            scan.push(out.as_bytes());
        }
        reply.finish();
        let _ = (scan.metered(), reply.document(&stream));
        let _ = ApiError::from_response(500, &stream, None);
        let _ = read_reply(upstream, &stream, "x");
    }

    #[test]
    fn no_request_makes_it_panic(
        which in any::<prop::sample::Index>(),
        upstream in dialects(),
        changes in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..6),
        swap in prop::option::of((any::<usize>(), any::<usize>())),
    ) {
        let all = captured();
        let (_, client, body) = which.get(&all);
        let mut body = body.to_string();
        if let Some((one, other)) = swap {
            // Another value in the place of one: valid JSON of a wrong shape.
            let values = ["null", "[]", "{}", "7", "\"x\"", "[null]", "[{}]", "true"];
            let at: Vec<usize> = body.match_indices(':').map(|(at, _)| at).collect();
            let at = at[one % at.len()] + 1;
            let end = body[at..].find([',', '}', ']']).map_or(body.len(), |end| at + end);
            body.replace_range(at..end, values[other % values.len()]);
        }
        let mut bytes = body.into_bytes();
        mutate(&mut bytes, &changes);
        let target = Target::new(upstream);
        let exchange = Exchange { client: *client, target: &target, model: "m", id: "r", now: 0 };
        let _ = translate(&exchange, &bytes);
        if let Ok(scan) = RequestScan::read(&bytes) {
            let _ = scan.facts(*client);
        }
    }
}
