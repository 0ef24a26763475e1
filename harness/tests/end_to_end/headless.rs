//! What a script sees of `sam-harness run`: stdout, stderr, exit codes, help,
//! and the directories it may work in.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::run::{Harness, check_code, err, out};
use crate::server::{
    Reply, Server, Step, answer, arguments, call, calls, finish, result_of, text, usage,
};

/// A reply that says something and calls a tool.
fn says_and_calls(words: &str, name: &str, args: &Value) -> Reply {
    Reply::Stream(vec![
        text(words),
        call(0, "a", name),
        arguments(0, &args.to_string()),
        finish("tool_calls"),
        usage(10, 2),
        Step::Done,
    ])
}

fn two_steps() -> Server {
    Server::start(vec![
        says_and_calls("Let me look.", "bash", &json!({"command": "echo seen"})),
        answer("It says seen."),
    ])
}

#[test]
fn stdout_has_the_answer_and_stderr_the_steps() {
    let output = Harness::new(&two_steps()).run();
    check_code(&output, 0);
    assert_eq!(out(&output), "It says seen.\n");
    let steps = err(&output);
    let (said, ran) = (
        steps.find("Let me look.\n"),
        steps.find("→ Run echo seen\n"),
    );
    assert!(said.is_some() && said < ran, "{steps}");
}

#[test]
fn what_a_model_says_on_the_way_commands_no_terminal() {
    let clipboard = "\u{1b}]52;c;eA==\u{7}";
    let command = format!("true {clipboard}\r\u{202e}");
    let server = Server::start(vec![
        says_and_calls("\u{1b}[2JLook.", "bash", &json!({"command": command})),
        says_and_calls(
            "",
            "plan",
            &json!({"steps": [{"step": clipboard, "status": "pending"}]}),
        ),
        answer("Keep \u{1b}[1mthis."),
    ]);
    let output = Harness::new(&server).run();
    check_code(&output, 0);
    let steps = err(&output);
    assert!(
        steps.contains("[2JLook.\n") && steps.contains("→ Run true "),
        "{steps}"
    );
    let harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!steps.contains(harmful), "{steps:?}");
    // An answer that goes elsewhere is data.
    assert_eq!(out(&output), "Keep \u{1b}[1mthis.\n");
}

#[test]
fn json_is_one_object_and_stream_json_one_a_line() {
    let output = Harness::new(&two_steps()).with(&["--output", "json"]).run();
    check_code(&output, 0);
    let result: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(
        (
            &result["stop_reason"],
            &result["text"],
            &result["tool_calls"]
        ),
        (&json!("end_turn"), &json!("It says seen."), &json!(1))
    );
    let output = Harness::new(&two_steps())
        .with(&["--output", "stream-json"])
        .run();
    check_code(&output, 0);
    let lines: Vec<Value> = out(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("session", "result"));
    for kind in ["text", "tool_call", "tool_update", "context"] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
}

#[test]
fn a_prompt_that_is_missing_or_empty_is_a_mistake_in_the_command() {
    let harness = Harness::new(&Server::start(vec![]));
    let empty = harness.command(&["run", "--dir", "w"]).output().unwrap();
    check_code(&empty, 2);
    assert!(err(&empty).contains("the prompt on stdin is empty"));
    let blank = harness.command(&["run", "-p", " ", "--dir", "w"]);
    let blank = { blank }.output().unwrap();
    check_code(&blank, 2);
    assert!(
        err(&blank).contains("the prompt is empty"),
        "{}",
        err(&blank)
    );
}

#[test]
fn help_tells_a_newcomer_how_to_begin() {
    let help = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sam-harness"));
        let output = { output }.args(words).output().unwrap();
        check_code(&output, 0);
        out(&output)
    };
    let whole = help(&["--help"]);
    for words in ["export SAM_MODEL_URL=", "run -p", "resume", "acp"] {
        assert!(whole.contains(words), "{words} in {whole}");
    }
    let short = help(&["run", "-h"]);
    assert!(short.lines().count() < 50, "{short}");
    let long = help(&["run", "--help"]);
    for words in [
        "--add-dir",
        "--max-turns",
        "--output",
        "Limits:",
        "Sandbox:",
        "Examples:",
        "130",
    ] {
        assert!(long.contains(words), "{words} in {long}");
    }
    let unset = Command::new(env!("CARGO_BIN_EXE_sam-harness"))
        .args(["run", "-p", "x"])
        .env_remove("SAM_MODEL_URL")
        .env_remove("SAM_MODEL")
        .output()
        .unwrap();
    check_code(&unset, 2);
    assert!(err(&unset).contains("SAM_MODEL_URL"), "{}", err(&unset));
}

/// Where commands cannot write by themselves.
fn closed() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn further_work(further: &Path) -> Vec<Reply> {
    let at = |name: &str| further.join(name).display().to_string();
    vec![
        calls(
            "a",
            "write_file",
            &json!({"path": at("sub/a"), "content": "one\n"}),
        ),
        calls(
            "b",
            "bash",
            &json!({"command": format!("echo two >> {}", at("sub/a"))}),
        ),
        calls("c", "grep", &json!({"pattern": "two", "path": further})),
        calls(
            "d",
            "edit_file",
            &json!({"path": at("sub/a"), "old_text": "one", "new_text": "1"}),
        ),
        calls("e", "read_file", &json!({"path": at("../secret")})),
        answer("done"),
    ]
}

#[test]
fn a_further_directory_is_worked_in_by_the_same_rules() {
    let place = closed();
    let further = place.path().canonicalize().unwrap().join("further");
    std::fs::create_dir(&further).unwrap();
    std::fs::write(place.path().join("secret"), "hunter2").unwrap();
    let server = Server::start(further_work(&further));
    let named = further.to_str().unwrap();
    let harness = Harness::new(&server).with(&["--add-dir", named]);
    check_code(&harness.run(), 0);
    assert_eq!(
        std::fs::read_to_string(further.join("sub/a")).unwrap(),
        "1\ntwo\n"
    );
    let requests = server.requests();
    let last = requests.last().unwrap();
    assert_eq!(result_of(last, "c"), format!("{named}/sub/a:2:two"));
    assert!(result_of(last, "e").contains("outside the workspace"));
    let system = requests[0]["messages"][0]["content"].as_str().unwrap();
    assert!(
        system.contains(&format!("absolute paths: {named}")),
        "{system}"
    );
    // The record names it, and a resumed session has it again.
    let events = harness.events();
    let fact = events
        .iter()
        .find(|event| event["name"] == "additional_directories");
    assert_eq!(fact.unwrap()["value"], json!([named]));
    assert!(harness.says(&["show"]).contains(named));
    let again = Server::start(vec![
        calls("f", "read_file", &json!({"path": format!("{named}/sub/a")})),
        answer("ok"),
    ]);
    let resumed = harness.command(&["resume", "-p", "again"]);
    let resumed = { resumed }
        .env("SAM_MODEL_URL", &again.url)
        .output()
        .unwrap();
    check_code(&resumed, 0);
    assert!(result_of(&again.requests()[1], "f").contains("two"));
}

#[test]
fn without_the_flag_nothing_there_is_touched() {
    let place = closed();
    let further = place.path().canonicalize().unwrap();
    let server = Server::start(further_work(&further));
    check_code(&Harness::new(&server).run(), 0);
    let requests = server.requests();
    for call in ["a", "c", "d"] {
        let result = result_of(requests.last().unwrap(), call);
        assert!(result.contains("outside the workspace"), "{call}: {result}");
    }
    let refused = Harness::new(&server).with(&["--add-dir", "/no/such"]).run();
    check_code(&refused, 1);
    assert!(err(&refused).contains("/no/such cannot be opened"));
}
