//! What bounds a turn, and its exit code.

use crate::run::{Harness, check_code, err, out};
use crate::server::{
    Reply, Server, Step, answer, arguments, call, calls, finish, has_ended, result_of, text, until,
};
use serde_json::json;

#[test]
fn limits_end_the_turn_with_code_3() {
    let server = Server::start(vec![
        calls("a", "glob", &json!({"pattern": "*"})),
        calls("b", "glob", &json!({"pattern": "*"})),
    ]);
    let output = Harness::new(&server).with(&["--max-turns", "2"]).run();
    check_code(&output, 3);
    assert!(err(&output).contains("stopped: max_turns"));
    let server = Server::start(vec![Reply::Stream(vec![
        text("and so"),
        finish("length"),
        Step::Done,
    ])]);
    check_code(&Harness::new(&server).run(), 3);
}

#[test]
fn a_model_that_goes_in_circles_is_told_and_then_stopped() {
    let look = |n: u32| {
        calls(
            &format!("c{n}"),
            "bash",
            &json!({"command": "echo same; false"}),
        )
    };
    let server = Server::start((0..5).map(look).collect());
    let output = Harness::new(&server).with(&["--max-repeats", "5"]).run();
    check_code(&output, 3);
    assert!(
        err(&output).contains("5 times in a row"),
        "{}",
        err(&output)
    );
    assert!(
        err(&output).contains("stopped: repeating"),
        "{}",
        err(&output)
    );
    let last = &server.requests()[4];
    assert!(!result_of(last, "c1").contains("Try something else"));
    assert!(result_of(last, "c2").contains("3 times in a row. Try something else"));
}

#[test]
fn the_same_command_with_other_results_is_no_circle() {
    let count = |n: u32| {
        calls(
            &format!("c{n}"),
            "bash",
            &json!({"command": "echo x >> f; cat f"}),
        )
    };
    let mut script: Vec<Reply> = (0..6).map(count).collect();
    script.push(answer("ok"));
    let server = Server::start(script);
    let output = Harness::new(&server).with(&["--max-repeats", "5"]).run();
    check_code(&output, 0);
}

#[test]
fn time_that_is_up_ends_a_running_command() {
    let command = "echo $$ > shell.tmp; mv shell.tmp shell; sleep 1000";
    // A machine with much else to do takes longer to begin it.
    let shell = ["2", "10", "60"].iter().find_map(|seconds| {
        let server = Server::start(vec![calls("a", "bash", &json!({"command": command}))]);
        let harness = Harness::new(&server).with(&["--max-seconds", seconds]);
        let output = harness.run();
        check_code(&output, 3);
        let limit = format!("the limit of {seconds} s");
        assert!(err(&output).contains(&limit), "{}", err(&output));
        Some(harness.read("shell")).filter(|shell| !shell.is_empty())
    });
    let shell = shell.expect("the command began");
    until("the end of the command", || has_ended(&shell));
}

#[test]
fn the_reply_that_passes_the_limit_of_tokens_is_the_last() {
    // Each scripted reply reports 12 tokens.
    let look = |id: &str| calls(id, "glob", &json!({"pattern": id}));
    let server = Server::start(vec![look("a"), look("b")]);
    let output = Harness::new(&server)
        .with(&["--max-total-tokens", "20"])
        .run();
    check_code(&output, 3);
    assert!(
        err(&output).contains("the limit of 20 tokens"),
        "{}",
        err(&output)
    );
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn the_reply_that_passes_the_limit_of_cost_is_the_last() {
    // Each scripted reply costs 12 millionths of a dollar.
    let look = |id: &str| calls(id, "glob", &json!({"pattern": id}));
    let server = Server::start(vec![look("a"), look("b")]);
    let price = [
        "--price",
        "1,1",
        "--max-cost",
        "0.00002",
        "--output",
        "json",
    ];
    let output = Harness::new(&server).with(&price).run();
    check_code(&output, 3);
    assert!(
        err(&output).contains("the limit of $0.00002"),
        "{}",
        err(&output)
    );
    let result: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(result["stop_reason"], "max_cost");
    assert_eq!(result["cost_micro_dollars"], 24);
    // A limit that could not be kept is refused.
    let output = Harness::new(&server).with(&["--max-cost", "1"]).run();
    check_code(&output, 2);
    assert!(err(&output).contains("--price"), "{}", err(&output));
}

#[test]
fn limits_hold_where_the_upstream_counts_nothing() {
    let look = |id: &str| {
        Reply::Stream(vec![
            call(0, id, "glob"),
            arguments(0, "{\"pattern\":\"*\"}"),
            finish("tool_calls"),
            Step::Done,
        ])
    };
    for limit in [
        &["--max-total-tokens", "1000"][..],
        &["--max-cost", "0.001", "--price", "1,1"],
    ] {
        let server = Server::start(vec![look("a"), look("b")]);
        check_code(&Harness::new(&server).with(limit).run(), 3);
        assert_eq!(server.requests().len(), 1, "a request has more than that");
    }
}

#[test]
fn calls_that_look_and_calls_that_act_keep_their_order() {
    let made = [
        ("a", "grep", json!({"pattern": "needle"})),
        ("b", "read_file", json!({"path": "f"})),
        (
            "c",
            "write_file",
            json!({"path": "f", "content": "after\n"}),
        ),
        ("d", "read_file", json!({"path": "f"})),
        ("e", "glob", json!({"pattern": "*"})),
    ];
    let mut steps = Vec::new();
    for (index, (id, name, args)) in (0..).zip(&made) {
        steps.extend([call(index, id, name), arguments(index, &args.to_string())]);
    }
    steps.extend([finish("tool_calls"), Step::Done]);
    let server = Server::start(vec![Reply::Stream(steps), answer("ok")]);
    let harness = Harness::new(&server);
    std::fs::write(harness.path("f"), "before\n").unwrap();
    for n in 0..200 {
        let text = format!("{}needle\n", "hay\n".repeat(1000));
        std::fs::write(harness.path(&format!("hay{n}")), text).unwrap();
    }
    check_code(&harness.run(), 0);
    let request = &server.requests()[1];
    let messages = request["messages"].as_array().unwrap();
    let order: Vec<_> = messages
        .iter()
        .filter_map(|m| m["tool_call_id"].as_str())
        .collect();
    assert_eq!(order, ["a", "b", "c", "d", "e"]);
    assert!(result_of(request, "b").contains("before"));
    assert!(result_of(request, "d").contains("after"));
    let recorded = harness.events();
    let of = |kind: &str| {
        recorded
            .iter()
            .filter(|e| e["type"] == kind)
            .collect::<Vec<_>>()
    };
    let results: Vec<_> = of("tool_result")
        .iter()
        .map(|e| e["call"].clone())
        .collect();
    assert_eq!(results, ["a", "b", "c", "d", "e"]);
}
