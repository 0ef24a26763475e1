//! What bounds a turn, and its exit code.

use crate::run::{Harness, check_code, err};
use crate::server::{
    Reply, Server, Step, answer, calls, finish, has_ended, result_of, text, until,
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
    let server = Server::start(vec![calls("a", "bash", &json!({"command": command}))]);
    let harness = Harness::new(&server).with(&["--max-seconds", "2"]);
    let output = harness.run();
    check_code(&output, 3);
    assert!(
        err(&output).contains("the limit of 2 s"),
        "{}",
        err(&output)
    );
    let shell = harness.read("shell");
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
