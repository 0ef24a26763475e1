//! Replies and errors from every upstream to every other client.

use sam_dialects::conversation::{Body, Reply, StopReason, StreamError};
use sam_dialects::translate::{Exchange, Translated, translate};
use sam_dialects::{ApiError, Dialect, RequestError, Target, read_reply, read_request};
use serde_json::{Value, json};

use crate::support::*;

/// The six ordered pairs.
fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    let all = Dialect::ALL;
    let pairs = all
        .into_iter()
        .flat_map(move |a| all.into_iter().map(move |b| (a, b)));
    pairs.filter(|(client, upstream)| client != upstream)
}

fn ask(client: Dialect) -> Value {
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}});
    match client {
        Dialect::Chat => {
            json!({"model": "mine", "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "read"}],
            "tools": [{"type": "function", "function": {"name": "read", "parameters": schema}}]})
        }
        Dialect::Responses => json!({"model": "mine", "stream": true, "input": "read",
            "tools": [{"type": "function", "name": "read", "parameters": schema}]}),
        Dialect::Messages => json!({"model": "mine", "stream": true, "max_tokens": 100,
            "messages": [{"role": "user", "content": "read"}],
            "tools": [{"name": "read", "input_schema": schema}]}),
    }
}

fn translated(
    client: Dialect,
    upstream: Dialect,
    body: &Value,
) -> Result<Translated, RequestError> {
    let target = Target::new(upstream);
    let exchange = Exchange {
        client,
        target: &target,
        model: "theirs",
        id: "r1",
        now: 1_000,
    };
    translate(&exchange, body.to_string().as_bytes())
}

/// Thinks, speaks, and calls twice, the calls' pieces in turns where the
/// dialect allows that.
fn full(upstream: Dialect) -> String {
    let call = |index: u64, id: Value, name: Value, piece: &str| {
        delta(
            json!({"tool_calls": [{"index": index, "id": id, "type": "function",
            "function": {"name": name, "arguments": piece}}]}),
        )
    };
    match upstream {
        Dialect::Chat => chat(&[
            delta(json!({"role": "assistant", "content": null})),
            delta(json!({"reasoning_content": "Let me "})),
            delta(json!({"reasoning_content": "see."})),
            delta(json!({"content": "I read "})),
            delta(json!({"content": "both."})),
            call(0, json!("a"), json!("read"), "{\"path\""),
            call(1, json!("b"), json!("read"), "{\"path\":"),
            call(0, Value::Null, Value::Null, ":\"x\"}"),
            call(1, Value::Null, Value::Null, "\"y\"}"),
            finish("tool_calls"),
            json!({"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 100,
                "completion_tokens": 20, "total_tokens": 120, "prompt_tokens_details": {"cached_tokens": 60}}}),
        ]),
        Dialect::Responses => {
            let reasoning = reasoning_item();
            let function = |id: &str, path: &str| {
                json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "read",
                    "arguments": json!({"path": path}).to_string()})
            };
            let message = json!({"type": "message", "id": "m1", "role": "assistant",
                "content": [{"type": "output_text", "text": "I read both."}]});
            let output = json!([reasoning, message, function("a", "x"), function("b", "y")]);
            named(&[
                json!({"type": "response.created", "response": {"id": "c", "model": "m"}}),
                json!({"type": "response.output_item.added", "output_index": 0,
                    "item": {"type": "reasoning", "id": "rs_1", "summary": []}}),
                json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "item_id": "rs_1",
                    "summary_index": 0, "delta": "Let me "}),
                json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "item_id": "rs_1",
                    "summary_index": 0, "delta": "see."}),
                json!({"type": "response.output_item.done", "output_index": 0, "item": reasoning}),
                json!({"type": "response.output_item.added", "output_index": 1,
                    "item": {"type": "message", "id": "m1", "content": []}}),
                json!({"type": "response.output_text.delta", "output_index": 1, "item_id": "m1", "delta": "I read both."}),
                json!({"type": "response.output_item.done", "output_index": 1, "item": message}),
                json!({"type": "response.output_item.done", "output_index": 2, "item": function("a", "x")}),
                completed(
                    output,
                    json!({"input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
                    "input_tokens_details": {"cached_tokens": 60}}),
                ),
            ])
        }
        Dialect::Messages => {
            let tool =
                |id: &str| json!({"type": "tool_use", "id": id, "name": "read", "input": {}});
            let piece =
                |partial: &str| json!({"type": "input_json_delta", "partial_json": partial});
            named(&[
                json!({"type": "message_start", "message": {"id": "c", "model": "m", "usage":
                    {"input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 1}}}),
                block(
                    0,
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                ),
                block_delta(0, json!({"type": "thinking_delta", "thinking": "Let me "})),
                block_delta(0, json!({"type": "thinking_delta", "thinking": "see."})),
                block_delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
                block_end(0),
                json!({"type": "ping"}),
                block(1, json!({"type": "text", "text": ""})),
                block_delta(1, json!({"type": "text_delta", "text": "I read both."})),
                block_end(1),
                block(2, tool("a")),
                block_delta(2, piece("{\"path\":")),
                block_delta(2, piece("\"x\"}")),
                block_end(2),
                block(3, tool("b")),
                block_delta(3, piece("{\"path\":\"y\"}")),
                block_end(3),
                json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20}}),
                json!({"type": "message_stop"}),
            ])
        }
    }
}

fn reasoning_item() -> Value {
    json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "b3BhcXVl",
        "summary": [{"type": "summary_text", "text": "Let me see."}]})
}

/// The item of thinking as the upstream gave it.
fn own_item(upstream: Dialect) -> Value {
    match upstream {
        Dialect::Chat => json!({"reasoning_content": "Let me see."}),
        Dialect::Responses => reasoning_item(),
        Dialect::Messages => {
            json!({"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"})
        }
    }
}

fn check_full(reply: &Reply, pair: (Dialect, Dialect)) {
    assert!(reply.complete, "{pair:?}");
    assert_eq!(reply.thinking(), "Let me see.", "{pair:?}");
    assert_eq!(reply.text(), "I read both.", "{pair:?}");
    let calls: Vec<(String, String, Value)> = reply
        .calls()
        .map(|c| {
            (
                c.id.clone(),
                c.name.clone(),
                serde_json::from_str(&c.arguments).unwrap(),
            )
        })
        .collect();
    let call = |id: &str, path: &str| (id.to_owned(), "read".to_owned(), json!({"path": path}));
    assert_eq!(calls, [call("a", "x"), call("b", "y")], "{pair:?}");
    assert_eq!(reply.stop, Some(StopReason::ToolUse), "{pair:?}");
    assert_eq!(reply.model.as_deref(), Some("mine"), "{pair:?}");
    let usage = reply.usage.unwrap();
    assert_eq!(
        (usage.input, usage.cached_input, usage.output),
        (100, 60, 20),
        "{pair:?}"
    );
}

#[test]
fn a_stream_reads_the_same_in_every_dialect() {
    for pair @ (client, upstream) in pairs() {
        let stream = full(upstream);
        for size in [1, 7, 100, stream.len()] {
            let mut reply = translated(client, upstream, &ask(client)).unwrap().reply;
            let mut out = String::new();
            for chunk in stream.as_bytes().chunks(size) {
                out.push_str(&reply.push(chunk));
            }
            out.push_str(&reply.finish());
            assert!(reply.is_complete());
            assert_eq!(reply.usage().unwrap().output, 20);
            check_full(&read(client, &out).unwrap(), pair);
        }
    }
}

#[test]
fn what_a_model_thought_comes_back_to_it_verbatim() {
    for pair @ (client, upstream) in pairs() {
        let mut reply = translated(client, upstream, &ask(client)).unwrap().reply;
        let mut out = reply.push(full(upstream).as_bytes());
        out.push_str(&reply.finish());
        // The client says again what it was told, as it has it.
        let told = read(client, &out).unwrap();
        let mut next = read_request(client, ask(client).to_string().as_bytes()).unwrap();
        next.messages.push(told.into_message());
        let next = sam_dialects::write_request(&next, &Target::new(client)).unwrap();
        let asked = translated(client, upstream, &next.to_value()).unwrap();
        let asked = read_request(upstream, &asked.body).unwrap();
        let thought = asked
            .messages
            .iter()
            .flat_map(|message| &message.parts)
            .find_map(|part| match &part.body {
                Body::Thinking(thinking) => thinking.raw.clone(),
                _ => None,
            });
        assert_eq!(thought, Some((upstream, own_item(upstream))), "{pair:?}");
    }
}

#[test]
fn a_document_reads_the_same_in_every_dialect() {
    for pair @ (client, upstream) in pairs() {
        let whole = read(upstream, &full(upstream)).unwrap();
        let options = sam_dialects::WriterOptions::default();
        let document = sam_dialects::write_reply(upstream, &whole, &options);
        let mut reply = translated(client, upstream, &ask(client)).unwrap().reply;
        let (status, body) = reply.document(document.to_string().as_bytes());
        assert_eq!(status, 200);
        check_full(
            &read_reply(client, body.to_string().as_bytes(), "x").unwrap(),
            pair,
        );
    }
}

#[test]
fn stop_reasons_are_told_in_the_clients_words() {
    let ends = [
        (StopReason::EndTurn, ["stop", "completed", "end_turn"]),
        (
            StopReason::MaxTokens,
            ["length", "max_output_tokens", "max_tokens"],
        ),
        (
            StopReason::Refusal,
            ["content_filter", "content_filter", "refusal"],
        ),
    ];
    for (stop, words) in ends {
        for (client, upstream) in pairs() {
            let word = words[Dialect::ALL.iter().position(|d| *d == upstream).unwrap()];
            let stream = match upstream {
                Dialect::Chat => chat(&[delta(json!({"content": "x"})), finish(word)]),
                Dialect::Responses if word == "completed" => {
                    named(&[completed(json!([]), Value::Null)])
                }
                Dialect::Responses => named(&[json!({"type": "response.incomplete", "response":
                    {"status": "incomplete", "incomplete_details": {"reason": word}, "output": []}})]),
                Dialect::Messages => {
                    let [end, last] = message_end(word);
                    named(&[message_start(), end, last])
                }
            };
            let mut reply = translated(client, upstream, &ask(client)).unwrap().reply;
            let mut out = reply.push(stream.as_bytes());
            out.push_str(&reply.finish());
            let told = read(client, &out).unwrap().stop;
            assert_eq!(told.as_ref(), Some(&stop), "{upstream:?} to {client:?}");
        }
    }
}

#[test]
fn a_stream_that_fails_says_so_in_the_clients_words() {
    for (client, upstream) in pairs() {
        let start = full(upstream);
        let begun = &start[..start.len() / 2];
        let begun = &begun[..begun.rfind("\n\n").unwrap() + 2];
        let failure = match upstream {
            Dialect::Chat => {
                "data: {\"error\":{\"message\":\"busy\",\"code\":\"rate_limit_exceeded\"}}\n\n"
            }
            Dialect::Responses => {
                "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"busy\"}}}\n\n"
            }
            Dialect::Messages => {
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"busy\"}}\n\n"
            }
        };
        let mut reply = translated(client, upstream, &ask(client)).unwrap().reply;
        let mut out = reply.push([begun, failure].concat().as_bytes());
        out.push_str(&reply.push(b"data: {}\n\n"));
        out.push_str(&reply.finish());
        assert!(!reply.is_complete());
        match read(client, &out) {
            Err(StreamError::Api(error)) => assert_eq!(
                (error.message.as_str(), error.kind()),
                ("busy", sam_dialects::ErrorKind::RateLimit),
                "{upstream:?} to {client:?}"
            ),
            other => panic!("{upstream:?} to {client:?}: {other:?}"),
        }

        let mut reply = translated(client, upstream, &ask(client)).unwrap().reply;
        let mut out = reply.push(begun.as_bytes());
        out.push_str(&reply.finish());
        assert!(!reply.is_complete());
        assert!(
            matches!(read(client, &out), Err(StreamError::Api(_))),
            "a cut is told"
        );
    }
}

#[test]
fn a_refusal_is_told_in_the_clients_shape() {
    for (client, upstream) in pairs() {
        let reply = translated(client, upstream, &ask(client)).unwrap().reply;
        for (status, code, told) in [
            (429, "rate_limit_error", [429, 429, 429]),
            (529, "overloaded_error", [503, 503, 529]),
            (402, "billing_error", [429, 429, 402]),
            (400, "invalid_request_error", [400, 400, 400]),
        ] {
            let body = json!({"error": {"type": code, "message": "words"}}).to_string();
            let error = ApiError::from_response(status, body.as_bytes(), None);
            let (status, body) = reply.error(&error);
            let at = Dialect::ALL.iter().position(|d| *d == client).unwrap();
            assert_eq!(
                (status, &body["error"]["message"]),
                (told[at], &json!("words"))
            );
        }
    }
}

#[test]
fn what_has_no_counterpart_is_refused_in_words() {
    let with = |client: Dialect, field: &str, value: Value| {
        let mut body = ask(client);
        body[field] = value;
        body
    };
    for (client, field, value) in [
        (Dialect::Chat, "n", json!(2)),
        (Dialect::Chat, "functions", json!([{}])),
        (Dialect::Chat, "modalities", json!(["text", "audio"])),
        (Dialect::Responses, "previous_response_id", json!("resp_1")),
        (Dialect::Responses, "background", json!(true)),
        (Dialect::Messages, "mcp_servers", json!([{"type": "url"}])),
    ] {
        for upstream in Dialect::ALL
            .into_iter()
            .filter(|upstream| *upstream != client)
        {
            let refused = translated(client, upstream, &with(client, field, value.clone()));
            let words = refused.unwrap_err().to_api_error();
            assert_eq!(words.status, Some(400));
            assert!(words.message.contains(field), "{}", words.message);
        }
    }
    for (client, field, value) in [
        (Dialect::Chat, "n", json!(1)),
        (Dialect::Chat, "seed", json!(7)),
        (Dialect::Responses, "background", json!(false)),
        (Dialect::Messages, "mcp_servers", json!([])),
    ] {
        for upstream in Dialect::ALL
            .into_iter()
            .filter(|upstream| *upstream != client)
        {
            let taken = translated(client, upstream, &with(client, field, value.clone())).unwrap();
            assert!(taken.dropped.iter().any(|name| name == field));
        }
    }
    let odd = json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]});
    let refused = translated(Dialect::Chat, Dialect::Messages, &odd).unwrap_err();
    assert!(refused.to_string().contains("input_audio"), "{refused}");
}

#[test]
fn pictures_reach_every_dialect() {
    let data = "data:image/png;base64,AAAA";
    let body = |client| match client {
        Dialect::Chat => {
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": data}}]}]})
        }
        Dialect::Responses => {
            json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "see"},
            {"type": "input_image", "image_url": data}]}]})
        }
        Dialect::Messages => {
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "see"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]})
        }
    };
    for (client, upstream) in pairs() {
        let sent = translated(client, upstream, &body(client)).unwrap().body;
        let sent = read_request(upstream, &sent).unwrap();
        let found = sent.messages[0]
            .parts
            .iter()
            .any(|part| matches!(&part.body, Body::Image(image) if image.url == data));
        assert!(found, "{client:?} to {upstream:?}");
    }
}

#[test]
fn cache_markers_are_set_where_they_are_needed_and_nobody_set_them() {
    let body = json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"},
        {"role": "assistant", "content": "a"}, {"role": "user", "content": "v"}]});
    let sent = translated(Dialect::Chat, Dialect::Messages, &body)
        .unwrap()
        .body;
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    let marker = json!({"type": "ephemeral"});
    for place in [
        "/system/0",
        "/messages/0/content/0",
        "/messages/2/content/0",
    ] {
        let place = format!("{place}/cache_control");
        assert_eq!(sent.pointer(&place), Some(&marker), "{place}");
    }
    assert_eq!(sent.pointer("/messages/1/content/0/cache_control"), None);
}

#[test]
fn a_tool_that_takes_free_text_is_one_for_the_client() {
    let mut body = ask(Dialect::Responses);
    body["tools"] = json!([{"type": "custom", "name": "apply_patch", "description": "d"}]);
    let mut exchange = translated(Dialect::Responses, Dialect::Chat, &body).unwrap();
    let sent: Value = serde_json::from_slice(&exchange.body).unwrap();
    assert_eq!(
        sent["tools"][0]["function"]["parameters"]["required"],
        json!(["input"])
    );
    let piece = |piece: &str| {
        delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}))
    };
    let stream = chat(&[
        delta(
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "apply_patch", "arguments": ""}}]}),
        ),
        piece("{\"input\":\"*** Begin\\n"),
        piece("+x\"}"),
        finish("tool_calls"),
    ]);
    let mut out = exchange.reply.push(stream.as_bytes());
    out.push_str(&exchange.reply.finish());
    assert!(out.contains("response.custom_tool_call_input.delta"));
    let told = read(Dialect::Responses, &out).unwrap();
    let call = told.calls().next().unwrap();
    assert_eq!(
        (call.custom, call.arguments.as_str()),
        (true, "*** Begin\n+x")
    );
}

#[test]
fn a_namespace_is_folded_into_the_name_and_back() {
    let mut body = ask(Dialect::Responses);
    body["tools"] = json!([{"type": "namespace", "name": "files", "tools":
        [{"type": "function", "name": "read", "parameters": {"type": "object"}}]}]);
    body["input"] = json!([{"role": "user", "content": "go"},
        {"type": "function_call", "call_id": "z", "namespace": "files", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "z", "output": "x"}]);
    let mut exchange = translated(Dialect::Responses, Dialect::Messages, &body).unwrap();
    let sent: Value = serde_json::from_slice(&exchange.body).unwrap();
    assert_eq!(sent["tools"][0]["name"], "files__read");
    assert_eq!(sent["messages"][1]["content"][0]["name"], "files__read");
    let [end, stop] = message_end("tool_use");
    let call = json!({"type": "tool_use", "id": "a", "name": "files__read", "input": {}});
    let stream = named(&[message_start(), block(0, call), block_end(0), end, stop]);
    let out = exchange.reply.push(stream.as_bytes());
    let done = out
        .lines()
        .rfind(|line| line.contains("output_item.done"))
        .unwrap();
    assert!(
        done.contains("\"namespace\":\"files\"") && done.contains("\"name\":\"read\""),
        "{done}"
    );
}
