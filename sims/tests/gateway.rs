//! The gateway's own behaviour: protocol, keys, faults, what it records.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Gateway, assemble};

fn hello(stream: bool) -> Value {
    json!({ "model": "scripted", "stream": stream, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "Hello" }] })
}

fn outcome(record: &Value) -> &str {
    record["outcome"].as_str().unwrap_or_default()
}

#[test]
fn every_response_says_that_the_model_is_scripted() {
    let gateway = Gateway::start();
    let models = gateway.request("GET", "/v1/models", &[], "");
    assert_eq!(models.header("x-sam-sims"), Some("scripted-model"));
    let models = models.json();
    assert_eq!(models["data"][0]["id"], "scripted");
    assert!(
        models["data"][0]["description"]
            .as_str()
            .unwrap()
            .contains("not a language model")
    );
    assert_eq!(
        gateway.chat(&hello(true)).header("x-sam-sims"),
        Some("scripted-model")
    );
    let lost = gateway.request("GET", "/v2/models", &[], "");
    assert_eq!(
        (lost.status, lost.header("x-sam-sims")),
        (404, Some("scripted-model"))
    );
}

#[test]
fn streamed_and_whole_answers_are_the_same_and_report_the_same_usage() {
    let gateway = Gateway::start();
    let whole = gateway.chat(&hello(false)).json();
    let response = gateway.chat(&hello(true));
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let streamed = assemble(&response.text().unwrap());
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["content"], json!(streamed.text));
    assert_eq!(whole["usage"], streamed.usage);
    assert_eq!(whole["choices"][0]["finish_reason"], json!(streamed.finish));
    // "Hello" is five characters, two tokens.
    assert_eq!(streamed.usage["prompt_tokens"], 2);
    assert_eq!(
        streamed.usage["completion_tokens"],
        json!(streamed.text.chars().count().div_ceil(4))
    );
    let records = gateway.records(|records| records.len() == 2);
    assert_eq!(records[0]["usage"], whole["usage"]);
    assert_eq!(records[1]["usage"], streamed.usage);
    assert_eq!(records[1]["body"], hello(true));
}

#[test]
fn no_usage_chunk_comes_unasked() {
    let gateway = Gateway::start();
    let mut body = hello(true);
    body["stream_options"] = Value::Null;
    assert!(!gateway.chat(&body).text().unwrap().contains("usage"));
}

#[test]
fn a_key_is_required_in_one_of_two_headers() {
    let gateway = Gateway::with(&["--key", "k-123"]);
    let send = |headers: &[(&str, &str)]| {
        gateway.request(
            "POST",
            "/v1/chat/completions",
            headers,
            &hello(false).to_string(),
        )
    };
    for headers in [
        &[][..],
        &[("authorization", "Bearer other")],
        &[("authorization", "k-123")],
    ] {
        let refused = send(headers);
        assert_eq!(refused.status, 401);
        let error = refused.json()["error"].clone();
        assert_eq!(
            (error["code"].as_str(), error["type"].as_str()),
            (Some("invalid_api_key"), Some("invalid_request_error"))
        );
    }
    assert_eq!(gateway.request("GET", "/v1/models", &[], "").status, 401);
    assert_eq!(send(&[("authorization", "Bearer k-123")]).status, 200);
    assert_eq!(
        send(&[
            ("cf-aig-authorization", "Bearer k-123"),
            ("authorization", "Bearer upstream")
        ])
        .status,
        200
    );
    let records = gateway.records(|records| records.len() == 5);
    assert_eq!(records[3]["authorised_by"], "authorization");
    assert_eq!(records[4]["authorised_by"], "cf-aig-authorization");
    assert_eq!(outcome(&records[0]), "refused");
    assert!(
        records[4]["header_names"]
            .as_array()
            .unwrap()
            .contains(&json!("cf-aig-authorization"))
    );
    assert!(
        !gateway
            .get("/control/requests")
            .to_string()
            .contains("k-123"),
        "keys are not recorded"
    );
}

#[test]
fn broken_requests_are_refused_in_the_protocol_s_shape() {
    let gateway = Gateway::start();
    let check = |body: &str, status: u16, code: &str| {
        let response = gateway.request("POST", "/v1/chat/completions", &[], body);
        assert_eq!(response.status, status);
        assert_eq!(response.json()["error"]["code"], code, "{body}");
    };
    check("{", 400, "bad_request");
    check(
        r#"{"model":"scripted","messages":[]}"#,
        400,
        "invalid_messages",
    );
    check(
        r#"{"model":"gpt","messages":[{"role":"user","content":"x"}]}"#,
        404,
        "model_not_found",
    );
    check(
        r#"{"model":"scripted","messages":[{"role":"user","content":"x"},{"role":"tool","tool_call_id":"a","content":"x"}]}"#,
        400,
        "invalid_messages",
    );
}

#[test]
fn a_rate_limit_names_its_reset_and_passes() {
    let gateway = Gateway::with(&["--faults", r#"[{"kind":"rate_limit","retry_after":7}]"#]);
    let limited = gateway.chat(&hello(true));
    assert_eq!(limited.status, 429);
    assert_eq!(limited.header("retry-after"), Some("7"));
    assert_eq!(limited.header("x-ratelimit-reset-requests"), Some("7s"));
    assert_eq!(limited.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(gateway.chat(&hello(true)).status, 200);
}

#[test]
fn a_rate_limit_says_its_reset_in_the_way_that_was_asked_for() {
    for (says, header) in [
        ("date", Some("retry-after")),
        ("header", Some("x-ratelimit-reset-tokens")),
        ("nothing", None),
    ] {
        let faults = json!([{ "kind": "rate_limit", "retry_after": 7, "says": says }]);
        let gateway = Gateway::with(&["--faults", &faults.to_string()]);
        let limited = gateway.chat(&hello(true));
        assert_eq!(limited.status, 429);
        for name in ["retry-after", "x-ratelimit-reset-tokens"] {
            let said = limited.header(name);
            assert_eq!(said.is_some(), header == Some(name), "{says} {name}");
        }
        if says == "date" {
            assert!(
                limited
                    .header("retry-after")
                    .is_some_and(|date| date.ends_with(" GMT"))
            );
        }
    }
}

#[test]
fn a_stream_can_fail_in_its_own_words() {
    let faults = json!([{ "kind": "failure", "after_chunks": 2, "code": "overloaded_error" }]);
    let gateway = Gateway::with(&["--faults", &faults.to_string()]);
    let text = gateway.chat(&hello(true)).text().expect("a proper end");
    let events: Vec<&str> = text
        .split("\n\n")
        .filter(|event| !event.is_empty())
        .collect();
    assert_eq!(events.len(), 3, "{text}");
    assert!(
        events[2].contains("\"code\":\"overloaded_error\""),
        "{text}"
    );
}

#[test]
fn a_page_is_no_answer_and_an_empty_answer_is_one() {
    let faults = json!([{ "kind": "html" }, { "kind": "empty" }]);
    let gateway = Gateway::with(&["--faults", &faults.to_string()]);
    let page = gateway.chat(&hello(false));
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    let empty = assemble(&gateway.chat(&hello(true)).text().expect("a proper end"));
    assert_eq!(
        (
            empty.text.as_str(),
            empty.calls.len(),
            empty.finish.as_str()
        ),
        ("", 0, "stop")
    );
}

#[test]
fn faults_hit_the_requests_they_fit() {
    let gateway = Gateway::start();
    gateway.post(
        "/control/fault",
        &json!([{ "kind": "status", "status": 503, "skip": 1, "contains": "Hello" }]),
    );
    let mut other = hello(false);
    other["messages"][0]["content"] = json!("Bye");
    let statuses: Vec<u16> = [&other, &hello(false), &other, &hello(false), &hello(false)]
        .iter()
        .map(|body| gateway.chat(body).status)
        .collect();
    assert_eq!(statuses, [200, 200, 200, 503, 200]);
    assert_eq!(
        gateway
            .post("/control/fault", &json!({ "kind": "nonsense" }))
            .status,
        400
    );
}

#[test]
fn a_cut_stream_breaks_after_its_chunks() {
    let gateway = Gateway::start();
    gateway.post(
        "/control/fault",
        &json!({ "kind": "cut", "after_chunks": 3 }),
    );
    let mut response = gateway.chat(&hello(true));
    let mut chunks = 0;
    let broken = loop {
        match response.chunk() {
            Ok(Some(_)) => chunks += 1,
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "the stream must not end properly");
    assert_eq!(chunks, 3);
    let records = gateway.records(|records| outcome(&records[0]) == "cut");
    assert_eq!(records[0]["chunks_sent"], 3);
}

#[test]
fn a_held_stream_delivers_what_came_before_and_goes_on_when_released() {
    let gateway = Gateway::start();
    gateway.post(
        "/control/fault",
        &json!({ "kind": "hold", "after_chunks": 2 }),
    );
    let mut response = gateway.chat(&hello(true));
    let mut text = String::new();
    for _ in 0..2 {
        text.push_str(&response.chunk().unwrap().unwrap());
    }
    let records = gateway.records(|records| records[0]["held"] == true);
    assert_eq!(
        (outcome(&records[0]), records[0]["chunks_sent"].as_u64()),
        ("running", Some(2))
    );
    assert_eq!(
        gateway.post("/control/release", &json!(null)).json()["released"],
        1
    );
    while let Some(chunk) = response.chunk().unwrap() {
        text.push_str(&chunk);
    }
    assert!(!assemble(&text).text.is_empty());
    gateway.records(|records| outcome(&records[0]) == "complete");
}

#[test]
fn a_client_that_leaves_is_seen() {
    let gateway = Gateway::start();
    for stream in [true, false] {
        gateway.post("/control/reset", &json!(null));
        gateway.post(
            "/control/fault",
            &json!({ "kind": "hold", "after_chunks": usize::from(stream) }),
        );
        let response = gateway.chat(&hello(stream));
        gateway.records(|records| records[0]["held"] == true);
        drop(response);
        gateway.records(|records| outcome(&records[0]) == "disconnected");
    }
}

#[test]
fn a_slow_first_byte_is_slow() {
    let gateway = Gateway::start();
    gateway.post(
        "/control/fault",
        &json!({ "kind": "slow_first_byte", "ms": 300 }),
    );
    let start = Instant::now();
    let mut response = gateway.chat(&hello(true));
    assert_eq!(response.status, 200);
    response.chunk().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn chunks_leave_one_by_one_at_their_pace() {
    let gateway = Gateway::paced(20, &[]);
    let mut response = gateway.chat(&hello(true));
    let start = Instant::now();
    let mut chunks = 0;
    while let Some(chunk) = response.chunk().unwrap() {
        assert_eq!(chunk.matches("data: ").count(), 1, "{chunk}");
        chunks += 1;
    }
    assert!(chunks > 5);
    assert!(start.elapsed() >= Duration::from_millis(20 * (chunks - 1)));
}

#[test]
fn a_title_is_a_title() {
    let gateway = Gateway::start();
    let body = json!({ "model": "scripted", "messages": [
        { "role": "system", "content": "Generate a short title (four words or less) for this conversation." },
        { "role": "user", "content": "---BEGIN USER MESSAGES---\nFix the failing test\n---END USER MESSAGES---\n\nGenerate." },
    ] });
    assert_eq!(
        gateway.chat(&body).json()["choices"][0]["message"]["content"],
        "Fix failing test"
    );
}

#[test]
fn the_gateway_ends_with_the_program_that_started_it() {
    let mut gateway = Gateway::start();
    assert!(gateway.ends_when_its_stdin_closes());
}
