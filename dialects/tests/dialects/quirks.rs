//! What servers do otherwise than they should, in each dialect.
//!
//! | quirk or fault | what comes of it |
//! |---|---|
//! | null content | no text, and no error |
//! | a tool choice said aloud | written in the dialect's form; never without tools |
//! | a call hidden in text | stays text, is pointed out, makes no call |
//! | arguments in pieces, or as an object | one call |
//! | missing ids | ids from the prefix given |
//! | missing usage | none, rather than zero |
//! | duplicate indexes | as many calls as there were |
//! | the finish before the arguments' end | nothing is lost |
//! | 429, 500, 529, and an error within the stream | one kind, one moment to come back |
//! | cut off | no reply, so no call |
//! | unknown fields and events | passed over |
//!
//! Every quirk has a cell for each dialect; the match has no default.

use std::time::Duration;

use sam_dialects::conversation::{
    Message, Reply, Request, Role, StopReason, StreamError, Tool, ToolChoice,
};
use sam_dialects::{
    ApiError, Dialect, ErrorKind, Target, UsageScan, read_request, retry_after, write_request,
};
use serde_json::{Value, json};

use crate::support::*;

#[derive(Debug, Clone, Copy)]
enum Quirk {
    NullContent,
    ExplicitToolChoice,
    CallInText,
    ArgumentsInPieces,
    MissingIds,
    MissingUsage,
    DuplicateIndexes,
    FinishBeforeArguments,
    RateLimited,
    ServerError,
    Overloaded,
    ErrorInStream,
    Cut,
    Unknown,
}

const QUIRKS: [Quirk; 14] = [
    Quirk::NullContent,
    Quirk::ExplicitToolChoice,
    Quirk::CallInText,
    Quirk::ArgumentsInPieces,
    Quirk::MissingIds,
    Quirk::MissingUsage,
    Quirk::DuplicateIndexes,
    Quirk::FinishBeforeArguments,
    Quirk::RateLimited,
    Quirk::ServerError,
    Quirk::Overloaded,
    Quirk::ErrorInStream,
    Quirk::Cut,
    Quirk::Unknown,
];

#[test]
fn every_quirk_in_every_dialect() {
    for quirk in QUIRKS {
        for dialect in Dialect::ALL {
            println!("{quirk:?} in {dialect:?}");
            match quirk {
                Quirk::NullContent => null_content(dialect),
                Quirk::ExplicitToolChoice => explicit_tool_choice(dialect),
                Quirk::CallInText => call_in_text(dialect),
                Quirk::ArgumentsInPieces => arguments_in_pieces(dialect),
                Quirk::MissingIds => missing_ids(dialect),
                Quirk::MissingUsage => missing_usage(dialect),
                Quirk::DuplicateIndexes => duplicate_indexes(dialect),
                Quirk::FinishBeforeArguments => finish_before_arguments(dialect),
                Quirk::RateLimited => rate_limited(dialect),
                Quirk::ServerError => server_error(dialect),
                Quirk::Overloaded => overloaded(dialect),
                Quirk::ErrorInStream => error_in_stream(dialect),
                Quirk::Cut => cut(dialect),
                Quirk::Unknown => unknown(dialect),
            }
        }
    }
}

/// The calls that would be made.
fn made(reply: &Reply) -> Vec<(&str, &str, &str)> {
    assert!(reply.complete);
    let calls = reply.calls();
    calls
        .map(|c| (c.id.as_str(), c.name.as_str(), c.arguments.as_str()))
        .collect()
}

fn item_added(index: u64, item: Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": index, "item": item})
}

fn item_done(index: u64, item: Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn function_call(id: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "read",
        "arguments": arguments})
}

fn arguments_delta(index: u64, id: &str, delta: &str) -> Value {
    json!({"type": "response.function_call_arguments.delta", "output_index": index,
        "item_id": format!("fc_{id}"), "delta": delta})
}

fn tool_use(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "read", "input": {}})
}

fn piece(partial: &str) -> Value {
    json!({"type": "input_json_delta", "partial_json": partial})
}

fn chat_call(index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    delta(
        json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}),
    )
}

fn said(dialect: Dialect, text: &str) -> String {
    match dialect {
        Dialect::Chat => chat(&[delta(json!({"content": text})), finish("stop")]),
        Dialect::Responses => named(&[
            json!({"type": "response.output_text.delta", "output_index": 0, "delta": text}),
            completed(json!([]), Value::Null),
        ]),
        Dialect::Messages => {
            let [end, stop] = message_end("end_turn");
            let text = json!({"type": "text_delta", "text": text});
            named(&[message_start(), block_delta(0, text), end, stop])
        }
    }
}

fn null_content(dialect: Dialect) {
    let stream = match dialect {
        Dialect::Chat => chat(&[
            delta(json!({"role": "assistant", "content": null, "tool_calls": null})),
            json!({"choices": null}),
            json!({"choices": [{"index": 0, "delta": null, "finish_reason": "stop"}]}),
        ]),
        Dialect::Responses => named(&[
            item_added(0, json!({"type": "message", "id": "m", "content": null})),
            item_done(0, json!({"type": "message", "id": "m", "content": null})),
            completed(Value::Null, Value::Null),
        ]),
        Dialect::Messages => {
            let [end, stop] = message_end("end_turn");
            named(&[
                json!({"type": "message_start", "message": null}),
                block(0, json!({"type": "text", "text": null})),
                block_delta(0, json!({"type": "text_delta", "text": null})),
                block_end(0),
                end,
                stop,
            ])
        }
    };
    let reply = read(dialect, &stream).unwrap();
    assert_eq!((reply.text(), made(&reply).len()), (String::new(), 0));
    let body = match dialect {
        Dialect::Chat => json!({"messages": [{"role": "user", "content": null}]}),
        Dialect::Responses => json!({"input": [{"role": "user", "content": null}]}),
        Dialect::Messages => json!({"messages": [{"role": "user", "content": []}]}),
    };
    assert!(read_request(dialect, body.to_string().as_bytes()).is_ok());
}

fn explicit_tool_choice(dialect: Dialect) {
    let written = |choice: ToolChoice, tools: bool| {
        let tool = Tool::function("read", "reads", json!({"type": "object"}));
        let request = Request {
            messages: vec![Message::text(Role::User, "hi")],
            tools: if tools { vec![tool] } else { Vec::new() },
            tool_choice: Some(choice),
            ..Request::default()
        };
        let written = write_request(&request, &Target::new(dialect)).unwrap();
        written.to_value()["tool_choice"].clone()
    };
    let named = || ToolChoice::Tool("read".to_owned());
    let expected = match dialect {
        Dialect::Chat => json!(["auto", "none", "required",
            {"type": "function", "function": {"name": "read"}}]),
        Dialect::Responses => {
            json!(["auto", "none", "required", {"type": "function", "name": "read"}])
        }
        Dialect::Messages => json!([{"type": "auto"}, {"type": "none"}, {"type": "any"},
            {"type": "tool", "name": "read"}]),
    };
    let choices = [
        ToolChoice::Auto,
        ToolChoice::None,
        ToolChoice::Required,
        named(),
    ];
    let got: Vec<Value> = choices
        .into_iter()
        .map(|choice| written(choice, true))
        .collect();
    assert_eq!(Value::from(got), expected);
    assert_eq!(
        written(ToolChoice::Auto, false),
        Value::Null,
        "never without tools"
    );
}

fn call_in_text(dialect: Dialect) {
    let hidden = "<tool_call>{\"name\":\"read\",\"arguments\":{\"path\":\"a\"}}</tool_call>";
    let reply = read(dialect, &said(dialect, hidden)).unwrap();
    assert_eq!((reply.text().as_str(), made(&reply).len()), (hidden, 0));
    assert!(reply.call_in_text());
    assert_eq!(reply.stop, Some(StopReason::EndTurn));
    assert!(
        !read(dialect, &said(dialect, "Done."))
            .unwrap()
            .call_in_text()
    );
}

fn arguments_in_pieces(dialect: Dialect) {
    let pieces = ["", "{\"pa", "th\":\"\\u00", "fc\"", "}"];
    let stream = match dialect {
        Dialect::Chat => {
            let mut chunks = vec![chat_call(0, Some("a"), Some("read"), "")];
            chunks.extend(pieces.map(|piece| chat_call(0, None, None, piece)));
            let object = json!({"tool_calls": [{"index": 1, "id": "b",
                "function": {"name": "read", "arguments": {"path": "b"}}}]});
            chunks.extend([delta(object), finish("tool_calls")]);
            chat(&chunks)
        }
        Dialect::Responses => {
            let mut events = vec![item_added(0, function_call("a", ""))];
            events.extend(pieces.map(|piece| arguments_delta(0, "a", piece)));
            events.push(item_done(0, function_call("a", &pieces.concat())));
            events.push(item_done(1, function_call("b", "{\"path\":\"b\"}")));
            events.push(completed(json!([]), Value::Null));
            named(&events)
        }
        Dialect::Messages => {
            let mut events = vec![message_start(), block(0, tool_use("a"))];
            events.extend(pieces.map(|partial| block_delta(0, piece(partial))));
            let whole =
                json!({"type": "tool_use", "id": "b", "name": "read", "input": {"path": "b"}});
            events.extend([block_end(0), block(1, whole), block_end(1)]);
            events.extend(message_end("tool_use"));
            named(&events)
        }
    };
    let reply = read(dialect, &stream).unwrap();
    let expected = [
        ("a", "read", "{\"path\":\"\\u00fc\"}"),
        ("b", "read", "{\"path\":\"b\"}"),
    ];
    assert_eq!(made(&reply), expected);
    assert_eq!(reply.stop, Some(StopReason::ToolUse));
}

fn missing_ids(dialect: Dialect) {
    let stream = match dialect {
        Dialect::Chat => chat(&[
            chat_call(0, None, Some("read"), "{}"),
            chat_call(1, Some(""), Some("read"), "{}"),
            finish("tool_calls"),
        ]),
        Dialect::Responses => {
            let call = json!({"type": "function_call", "name": "read", "arguments": "{}"});
            named(&[
                item_done(0, call.clone()),
                item_done(1, call.clone()),
                completed(json!([call, call]), Value::Null),
            ])
        }
        Dialect::Messages => {
            let call = json!({"type": "tool_use", "name": "read"});
            let [end, stop] = message_end("tool_use");
            let events = [
                block(0, call.clone()),
                block_end(0),
                block(1, call),
                end,
                stop,
            ];
            named(&events)
        }
    };
    let reply = read(dialect, &stream).unwrap();
    assert_eq!(made(&reply), [("x0", "read", "{}"), ("x1", "read", "{}")]);
}

fn missing_usage(dialect: Dialect) {
    let stream = match dialect {
        Dialect::Chat | Dialect::Responses => said(dialect, "x"),
        Dialect::Messages => named(&[
            json!({"type": "message_start", "message": {"id": "c"}}),
            block_delta(0, json!({"type": "text_delta", "text": "x"})),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": null}),
        ]),
    };
    let reply = read(dialect, &stream).unwrap();
    assert_eq!((reply.usage, reply.text().as_str()), (None, "x"));
    let mut scan = UsageScan::new();
    scan.push(stream.as_bytes());
    assert_eq!(scan.usage(), None);
}

fn duplicate_indexes(dialect: Dialect) {
    let stream = match dialect {
        Dialect::Chat => chat(&[
            chat_call(0, Some("a"), Some("read"), "{}"),
            chat_call(0, Some("b"), Some("read"), "{"),
            chat_call(0, None, None, "}"),
            finish("stop"),
        ]),
        Dialect::Responses => named(&[
            item_added(0, function_call("a", "")),
            arguments_delta(0, "a", "{}"),
            item_done(0, function_call("a", "{}")),
            item_added(0, function_call("b", "")),
            arguments_delta(0, "b", "{"),
            arguments_delta(0, "b", "}"),
            item_done(0, function_call("b", "{}")),
            completed(
                json!([function_call("a", "{}"), function_call("b", "{}")]),
                Value::Null,
            ),
        ]),
        Dialect::Messages => {
            let mut events = vec![message_start(), block(0, tool_use("a"))];
            events.extend([block_delta(0, piece("{}")), block(0, tool_use("b"))]);
            events.extend([block_delta(0, piece("{")), block_delta(0, piece("}"))]);
            events.extend(message_end("tool_use"));
            named(&events)
        }
    };
    let reply = read(dialect, &stream).unwrap();
    assert_eq!(made(&reply), [("a", "read", "{}"), ("b", "read", "{}")]);
}

fn finish_before_arguments(dialect: Dialect) {
    let stream = match dialect {
        Dialect::Chat => chat(&[
            chat_call(0, Some("a"), Some("read"), "{\"p\""),
            finish("tool_calls"),
            chat_call(0, None, None, ":1}"),
        ]),
        Dialect::Responses => named(&[
            item_added(0, function_call("a", "")),
            arguments_delta(0, "a", "{\"p\""),
            json!({"type": "response.content_part.done", "output_index": 0}),
            arguments_delta(0, "a", ":1}"),
            completed(json!([function_call("a", "{\"p\":1}")]), Value::Null),
        ]),
        Dialect::Messages => {
            let [end, stop] = message_end("tool_use");
            let begun = [block(0, tool_use("a")), block_delta(0, piece("{\"p\""))];
            let [begun, first] = begun;
            named(&[
                message_start(),
                begun,
                first,
                end,
                block_delta(0, piece(":1}")),
                stop,
            ])
        }
    };
    let reply = read(dialect, &stream).unwrap();
    assert_eq!(made(&reply), [("a", "read", "{\"p\":1}")]);
    assert_eq!(reply.stop, Some(StopReason::ToolUse));
}

/// Unix seconds of 2026-11-20T12:00:00Z.
const NOW: u64 = 1_795_176_000;

fn refused(status: u16, body: &Value, headers: &[(&str, &str)]) -> ApiError {
    let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let wait = retry_after(header, NOW);
    ApiError::from_response(status, body.to_string().as_bytes(), wait)
}

fn rate_limited(dialect: Dialect) {
    let headers: &[&[(&str, &str)]] = match dialect {
        Dialect::Chat | Dialect::Responses => &[
            &[("retry-after", "30")],
            &[("retry-after-ms", "30000")],
            &[("retry-after", "Fri, 20 Nov 2026 12:00:30 GMT")],
            &[
                ("x-ratelimit-reset-requests", "30s"),
                ("x-ratelimit-reset-tokens", "6ms"),
            ],
            &[
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "0m30s"),
                ("x-ratelimit-remaining-requests", "99"),
                ("x-ratelimit-reset-requests", "1h"),
            ],
        ],
        Dialect::Messages => &[
            &[("retry-after", "30")],
            &[("anthropic-ratelimit-requests-reset", "2026-11-20T12:00:30Z")],
            &[
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "2026-11-20T12:00:30Z"),
                ("anthropic-ratelimit-requests-remaining", "9"),
                ("anthropic-ratelimit-requests-reset", "2026-11-20T13:00:00Z"),
            ],
            &[("anthropic-ratelimit-unified-reset", "1795176030")],
        ],
    };
    let error = ApiError {
        status: None,
        code: Some("rate_limit_exceeded".to_owned()),
        message: "slow down".to_owned(),
        retry_after: None,
    };
    for headers in headers {
        let error = refused(429, &error.body_in(dialect), headers);
        assert_eq!(
            (error.kind(), error.is_transient()),
            (ErrorKind::RateLimit, true)
        );
        assert_eq!(
            error.retry_after,
            Some(Duration::from_secs(30)),
            "{headers:?}"
        );
        assert_eq!(error.status_in(dialect), 429);
    }
}

fn server_error(dialect: Dialect) {
    for body in [
        json!({"error": {"message": "x"}}),
        json!("<html>"),
        Value::Null,
    ] {
        let error = refused(500, &body, &[]);
        assert_eq!(
            (error.kind(), error.is_transient()),
            (ErrorKind::Server, true)
        );
        assert_eq!((error.status_in(dialect), error.retry_after), (500, None));
        let told = error.body_in(dialect);
        assert_eq!(
            told["error"]["message"].as_str(),
            Some(error.message.as_str())
        );
        assert_eq!(told["type"] == "error", dialect == Dialect::Messages);
    }
}

fn overloaded(dialect: Dialect) {
    let (status, body) = match dialect {
        Dialect::Chat | Dialect::Responses => (
            503,
            json!({"error": {"type": "server_error", "code": "server_is_overloaded", "message": "x"}}),
        ),
        Dialect::Messages => (
            529,
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}),
        ),
    };
    let error = refused(status, &body, &[]);
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Overloaded, true)
    );
    assert_eq!(error.status_in(dialect), status);
    let plain = refused(529, &Value::Null, &[]);
    assert_eq!(plain.kind(), ErrorKind::Overloaded);
}

fn error_in_stream(dialect: Dialect) {
    let began = said(dialect, "so far");
    let at = began.find("so far").unwrap();
    let began = &began[..at + began[at..].find("\n\n").unwrap() + 2];
    let failure = match dialect {
        Dialect::Chat => {
            "data: {\"error\":{\"message\":\"busy\",\"code\":\"server_is_overloaded\"}}\n\n"
                .to_owned()
        }
        Dialect::Responses => named(&[
            json!({"type": "response.failed", "response": {"status": "failed",
            "error": {"code": "server_is_overloaded", "message": "busy"}}}),
        ]),
        Dialect::Messages => named(&[json!({"type": "error",
            "error": {"type": "overloaded_error", "message": "busy"}})]),
    };
    match read(dialect, &[began, &failure].concat()) {
        Err(StreamError::Api(error)) => {
            assert_eq!(
                (error.message.as_str(), error.kind()),
                ("busy", ErrorKind::Overloaded)
            );
            assert!(error.is_transient());
        }
        other => panic!("{other:?}"),
    }
    if dialect == Dialect::Responses {
        let event = json!({"type": "error", "code": "rate_limit_exceeded", "message": "busy", "param": null});
        assert!(matches!(read(dialect, &named(&[event])),
            Err(StreamError::Api(error)) if error.kind() == ErrorKind::RateLimit));
    }
}

fn cut(dialect: Dialect) {
    let stream = match dialect {
        Dialect::Chat => chat(&[
            chat_call(0, Some("a"), Some("read"), "{}"),
            finish("tool_calls"),
        ]),
        Dialect::Responses => named(&[
            item_done(0, function_call("a", "{}")),
            completed(json!([]), Value::Null),
        ]),
        Dialect::Messages => {
            let [end, stop] = message_end("tool_use");
            named(&[
                message_start(),
                block(0, tool_use("a")),
                block_end(0),
                end,
                stop,
            ])
        }
    };
    assert!(read(dialect, &stream).unwrap().complete);
    let marks: &[&str] = match dialect {
        Dialect::Chat => &["\"finish_reason\":\"tool_calls\""],
        Dialect::Responses => &["response.completed\""],
        Dialect::Messages => &["\"stop_reason\":\"tool_use\""],
    };
    let end = stream.find(marks[0]).unwrap();
    for cut in 0..end {
        let got = read_chunks(dialect, [&stream.as_bytes()[..cut]]);
        assert_eq!(got.err(), Some(StreamError::Cut), "after {cut} bytes");
    }
}

fn unknown(dialect: Dialect) {
    let plain = said(dialect, "x");
    let odd = match dialect {
        Dialect::Chat => {
            ": comment\n\nevent: news\ndata: {\"kind\":\"odd\"}\n\nid: 7\ndata: {\"choices\":[],\"odd\":{\"a\":[1]}}\n\n"
        }
        Dialect::Responses => {
            "event: response.odd\ndata: {\"type\":\"response.odd\",\"x\":[1]}\n\ndata: {\"no\":\"type\"}\n\n"
        }
        Dialect::Messages => {
            "event: ping\ndata: {\"type\":\"ping\"}\n\nevent: odd\ndata: {\"type\":\"odd\"}\n\ndata: {\"type\":\
             \"content_block_delta\",\"index\":9,\"delta\":{\"type\":\"odd_delta\"}}\n\n"
        }
    };
    let expected = read(dialect, &plain).unwrap();
    let with_odd = read(dialect, &[odd, &plain].concat()).unwrap();
    assert_eq!(
        (with_odd.parts, with_odd.stop),
        (expected.parts, expected.stop)
    );
    let body = match dialect {
        Dialect::Responses => json!({"input": "hi", "odd": {"b": 1}}),
        Dialect::Chat | Dialect::Messages => json!({"messages": [], "odd": {"b": 1}}),
    };
    let request = read_request(dialect, body.to_string().as_bytes()).unwrap();
    let written = write_request(&request, &Target::new(dialect)).unwrap();
    assert_eq!(written.to_value()["odd"], json!({"b": 1}));
}
