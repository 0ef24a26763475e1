//! How help behaves. What it says, command by command, is the generated page
//! `docs/cli.md`. And what is said of a command line that is not understood.

mod support;

use serde_json::{Value, json};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use support::program::Program;

#[tokio::test]
async fn programs_are_told_of_a_mistake_as_of_any_failure() {
    let program = Program::new("http://127.0.0.1:9");
    for (arguments, message) in [
        (
            vec!["--json", "task", "bogus"],
            "unrecognized subcommand 'bogus'",
        ),
        (
            vec!["config", "set", "x", "y", "--json"],
            "invalid value 'x' for '<KEY>'\n  [possible values: url, project, profile]",
        ),
        (vec!["--json", "task"], "A command is missing."),
    ] {
        let ran = program.run(&arguments).await;
        let said: Value = serde_json::from_str(&ran.stderr).unwrap();
        let wanted = json!({ "error": {
            "code": "usage", "message": message, "exit_code": 2, "hint": "See --help.",
        } });
        assert_eq!((ran.code, said), (2, wanted), "{arguments:?}");
    }
    // What stands after `--` is no flag.
    let ran = program.run(&["task", "bogus", "--", "--json"]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.starts_with("error: "), "{ran:?}");
}

#[tokio::test]
async fn an_argument_that_is_no_text_is_a_mistake() {
    let program = Program::new("http://127.0.0.1:9");
    let mut command = program.command(&["task", "submit"]);
    let output = command.arg(OsStr::from_bytes(b"\xff\xfe")).output().await;
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: "), "{said}");
}

#[tokio::test]
async fn a_list_of_nothing_is_not_asked_for() {
    let program = Program::new("http://127.0.0.1:9");
    for list in ["task", "chat", "workspace"] {
        let ran = program.run(&[list, "list", "--limit", "0"]).await;
        assert_eq!(ran.code, 2, "{ran:?}");
    }
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_error() {
    let program = Program::new("http://127.0.0.1:9");
    let mut child = program.command(&["--help"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
}
