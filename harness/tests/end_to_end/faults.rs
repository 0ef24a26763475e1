//! What goes wrong between the harness and its model: it is told, bounded, and never doubles what
//! a tool did.

use std::time::{Duration, Instant};

use crate::run::{Harness, check_code, err, interrupt, out};
use crate::server::{Reply, Server, Step, answer, arguments, call, calls, finish, text, usage};
use serde_json::{Value, json};

/// Every way in which a reply may break off, followed by the same reply
/// whole: the call's effect is there once.
#[test]
fn a_cut_reply_is_asked_for_again_and_no_effect_is_doubled() {
    let begun = || {
        vec![
            text("Appending."),
            call(0, "a", "bash"),
            arguments(0, "{\"command\":\"echo x >> effects\"}"),
        ]
    };
    let cut_by = |last: Vec<Step>| {
        let mut steps = begun();
        steps.extend(last);
        Reply::Stream(steps)
    };
    let server = Server::start(vec![
        cut_by(vec![Step::Cut]),
        cut_by(vec![]),
        cut_by(vec![Step::HalfEvent]),
        Reply::Hangup,
        cut_by(vec![finish("tool_calls"), usage(1, 1), Step::Done]),
        answer("Done."),
    ]);
    let harness = Harness::new(&server).with(&["--output", "stream-json"]);
    let output = harness.run();
    check_code(&output, 0);
    assert_eq!(harness.read("effects"), "x\n");
    let events: Vec<Value> = out(&output)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let of = |kind: &str| {
        events
            .iter()
            .filter(|e| e["type"] == kind)
            .collect::<Vec<_>>()
    };
    let steps: Vec<&str> = of("trouble")
        .iter()
        .map(|e| e["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["wait", "wait", "wait", "wait", "went_on"]);
    assert!(of("trouble").iter().all(|e| e["code"] == "model_broke_off"));
    assert_eq!(of("tool_call").len(), 1);
    let shown: String = of("text")
        .iter()
        .map(|e| e["text"].as_str().unwrap())
        .collect();
    assert_eq!(shown, "Appending.Done.", "repeated text is shown once");
    assert_eq!(
        server.requests()[1]["messages"],
        server.requests()[4]["messages"]
    );
}

#[test]
fn a_busy_server_is_given_the_time_it_asks_for() {
    let server = Server::start(vec![
        Reply::Answer(
            429,
            "retry-after: 2\r\n",
            r#"{"error":{"message":"slow down"}}"#.to_owned(),
        ),
        Reply::Answer(503, "", "<html>".to_owned()),
        answer("ok"),
    ]);
    let begun = Instant::now();
    let output = Harness::new(&server).run();
    check_code(&output, 0);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let steps = err(&output);
    assert!(
        steps
            .contains("Model rate limited: slow down (status 429). Retrying in 2.0 s (attempt 2)."),
        "{steps}"
    );
    assert!(steps.contains("Attempt 3 succeeded"), "{steps}");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn what_will_not_mend_is_not_tried_again() {
    for (status, body, expected) in [
        (
            401,
            r#"{"error":{"message":"bad key"}}"#,
            "Model key refused: bad key (status 401). Tried 1 time in 0 s.\nhint: Check SAM_MODEL_KEY.",
        ),
        (404, "{}", "Check SAM_MODEL_URL"),
        (
            429,
            r#"{"error":{"message":"pay","code":"insufficient_quota"}}"#,
            "pay",
        ),
    ] {
        let server = Server::start(vec![Reply::Answer(status, "", body.to_owned())]);
        let output = Harness::new(&server).run();
        check_code(&output, 1);
        assert!(err(&output).contains(expected), "{}", err(&output));
    }
    let server = Server::start(vec![Reply::Answer(
        200,
        "content-type: text/html\r\n",
        "<html>hi".to_owned(),
    )]);
    let output = Harness::new(&server).run();
    check_code(&output, 1);
    assert!(
        err(&output).contains("Not a model's reply: <html>hi"),
        "{}",
        err(&output)
    );
}

#[test]
fn the_budget_for_trying_again_ends() {
    let refuse = || Reply::Answer(429, "retry-after: 30000\r\n", String::new());
    let server = Server::start(vec![refuse()]);
    let output = Harness::new(&server).with(&["--output", "json"]).run();
    check_code(&output, 1);
    let result: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(result["stop_reason"], "error");
    assert_eq!(result["code"], "model_rate_limited");
    assert!(result["error"].as_str().unwrap().contains("Tried 1 time"));
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    // A port that nobody listens on, kept from others until then.
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let harness = Harness::at(&format!("http://{address}/v1"));
    let mut child = harness.start();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
    assert!(
        line.contains("Connection refused") && line.contains("Retrying in"),
        "{line}"
    );
    let server = Server::on(
        std::net::TcpListener::bind(address).unwrap(),
        vec![answer("here")],
    );
    let output = child.wait_with_output().unwrap();
    check_code(&output, 0);
    assert_eq!(
        (out(&output).as_str(), server.requests().len()),
        ("here\n", 1)
    );
}

#[test]
fn a_silent_stream_is_given_up_and_asked_for_again() {
    let server = Server::start(vec![
        Reply::Stream(vec![text("He"), Step::Hold]),
        answer("Hello"),
    ]);
    let output = Harness::new(&server).with(&["--idle-timeout", "2"]).run();
    check_code(&output, 0);
    server.wait_for_departure();
    assert_eq!(out(&output), "Hello\n");
    assert!(err(&output).contains("Model silent: nothing came for 2 s"));
}

/// Reads a child's errors up to a line with this text.
fn stderr_until(child: &mut std::process::Child, words: &str) -> String {
    let mut lines = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(words) {
        line.clear();
        let read = std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
        assert!(read > 0, "it ended without a word of {words}");
    }
    line
}

#[test]
fn a_reset_far_away_is_waited_for_and_the_wait_can_be_ended() {
    let server = Server::start(vec![Reply::Answer(
        429,
        "x-ratelimit-reset-tokens: 1h30m0s\r\n",
        r#"{"error":{"message":"tokens a minute"}}"#.to_owned(),
    )]);
    let harness = Harness::new(&server);
    let mut child = harness.start();
    let line = stderr_until(&mut child, "Waiting until");
    assert!(
        line.contains("GMT (90 min), then retrying (attempt 2)"),
        "{line}"
    );
    interrupt(&child);
    check_code(&child.wait_with_output().unwrap(), 130);
    assert_eq!(server.requests().len(), 1, "nobody was asked meanwhile");
}

#[test]
fn a_reset_at_a_date_is_kept() {
    let at = std::time::SystemTime::now() + Duration::from_secs(2);
    let headers = format!("retry-after: {}\r\n", httpdate::fmt_http_date(at));
    let server = Server::start(vec![
        Reply::Answer(429, headers.leak(), "{}".to_owned()),
        answer("ok"),
    ]);
    check_code(&Harness::new(&server).run(), 0);
    // A date has whole seconds.
    assert!(std::time::SystemTime::now() >= at - Duration::from_secs(1));
}

#[test]
fn a_reply_that_was_done_when_it_broke_off_is_not_asked_for_again() {
    let server = Server::start(vec![
        Reply::Stream(vec![
            call(0, "a", "bash"),
            arguments(0, "{\"command\":\"echo x >> effects\"}"),
            finish("tool_calls"),
            Step::Cut,
        ]),
        Reply::Stream(vec![
            text("Done."),
            finish("stop"),
            Step::Event(json!({"error": {"message": "broke off", "code": "upstream_broke_off"}})),
        ]),
    ]);
    let harness = Harness::new(&server);
    let output = harness.run();
    check_code(&output, 0);
    assert_eq!(
        (out(&output).as_str(), harness.read("effects").as_str()),
        ("Done.\n", "x\n")
    );
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn an_error_within_a_stream_is_read_by_its_code() {
    let broken = |code: &str| {
        Reply::Stream(vec![
            text("He"),
            Step::Event(json!({"error": {"message": "words", "code": code}})),
        ])
    };
    let server = Server::start(vec![broken("overloaded_error"), answer("Hello")]);
    let output = Harness::new(&server).run();
    check_code(&output, 0);
    assert_eq!(out(&output), "Hello\n");
    assert!(
        err(&output).contains("Model overloaded: words"),
        "{}",
        err(&output)
    );
    let server = Server::start(vec![broken("invalid_api_key")]);
    let output = Harness::new(&server).run();
    check_code(&output, 1);
    assert!(
        err(&output).contains("Model key refused: words"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let silent = || Reply::Stream(vec![Step::Hold]);
    let server = Server::start(vec![silent(), answer("ok")]);
    let harness = Harness::new(&server).with(&["--first-byte-timeout", "2"]);
    let output = harness.run();
    check_code(&output, 0);
    assert!(
        err(&output).contains("Model silent: nothing came for 2 s"),
        "{}",
        err(&output)
    );
    // Bytes that are no reply keep a stream open only so long.
    let comments = vec![Step::Comment, Step::Hold];
    let server = Server::start(vec![Reply::Stream(comments), answer("ok")]);
    let harness = Harness::new(&server).with(&["--reply-timeout", "2"]);
    let output = harness.run();
    check_code(&output, 0);
    assert!(
        err(&output).contains("no whole reply in 2 s"),
        "{}",
        err(&output)
    );
}

#[test]
fn an_empty_reply_is_asked_for_again_and_fails_unless_work_was_done() {
    let empty = || Reply::Stream(vec![finish("stop"), usage(1, 0), Step::Done]);
    let server = Server::start(vec![empty(), answer("ok")]);
    check_code(&Harness::new(&server).run(), 0);

    let server = Server::start(vec![empty(), empty(), empty()]);
    let output = Harness::new(&server).with(&["--output", "json"]).run();
    check_code(&output, 1);
    let result: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(result["code"], "model_empty_reply");

    let work = calls("a", "bash", &json!({"command": "echo x >> effects"}));
    let server = Server::start(vec![work, empty(), empty(), empty()]);
    let harness = Harness::new(&server);
    check_code(&harness.run(), 0);
    assert_eq!(harness.read("effects"), "x\n");
}

#[test]
fn calls_that_cannot_be_read_end_the_turn_after_a_few() {
    let unreadable = |n: u32| calls(&format!("c{n}"), "fly", &json!({"to": n}));
    let server = Server::start((0..5).map(unreadable).collect());
    let output = Harness::new(&server).with(&["--output", "json"]).run();
    check_code(&output, 1);
    let result: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(result["code"], "model_calls_unreadable");
    assert_eq!(server.requests().len(), 5);
}
