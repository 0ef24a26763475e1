//! Sessions that are recorded, resumed, shown and replayed.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

use crate::run::{Harness, check_code, err, out};
use crate::server::{
    Reply, Server, Step, answer, arguments, call, calls, finish, result_of, text, until,
};
use serde_json::{Value, json};

/// The newest segment of the only session.
fn segment(harness: &Harness) -> std::path::PathBuf {
    let sessions = harness.dir.path().join("state/sam-harness/sessions");
    let session = std::fs::read_dir(sessions).unwrap().next().unwrap();
    let files = std::fs::read_dir(session.unwrap().path()).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some());
    files.sort();
    files.pop().unwrap()
}

fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["type"] == kind)
        .collect()
}

/// Waits until files have another time than those written before.
fn tick(harness: &Harness) {
    let probe = harness.dir.path().join("probe");
    let time = || {
        std::fs::write(&probe, "").unwrap();
        let modified = probe.metadata().unwrap().modified().unwrap();
        modified.duration_since(UNIX_EPOCH).unwrap().as_millis()
    };
    let before = time();
    until("the clock", || time() > before);
}

#[test]
fn a_session_is_resumed_and_its_conversation_goes_on() {
    let server = Server::start(vec![
        calls("a", "bash", &json!({"command": "echo one > f; cat f"})),
        answer("It is one."),
        answer("As I said."),
        answer("Else."),
        answer("Gone on."),
    ]);
    let harness = Harness::new(&server).with(&["--output", "json"]);
    let first = harness.run();
    check_code(&first, 0);
    let result: Value = serde_json::from_str(&out(&first)).unwrap();
    let id = result["session"].as_str().unwrap();
    assert!(id.starts_with("har_") && id.len() == 30, "{id}");
    let listed = harness.says(&["list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        (&listed["session"], &listed["title"]),
        (&json!(id), &json!("do it"))
    );
    // By the beginning of its id, with a prompt from stdin.
    let mut again = harness.command(&["run", "--resume", &id[..28]]);
    let mut again = again
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    again
        .stdin
        .take()
        .unwrap()
        .write_all(b"and now?\n")
        .unwrap();
    let again = again.wait_with_output().unwrap();
    check_code(&again, 0);
    assert_eq!(out(&again), "As I said.\n");
    let requests = server.requests();
    let (before, after) = (&requests[1]["messages"], &requests[2]["messages"]);
    let (before, after) = (before.as_array().unwrap(), after.as_array().unwrap());
    assert_eq!(&after[..before.len()], before);
    assert_eq!(after[before.len()]["content"], "It is one.");
    assert_eq!(after.last().unwrap()["content"], "and now?\n");
    // Everything that happened is shown, to people and to programs.
    let shown = harness.says(&["show", id]);
    for words in [
        "> do it",
        "→ Run echo one > f; cat f",
        "✓ one",
        "It is one.",
        "> and now?",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let events = harness.events();
    assert_eq!(events[0]["format"], "sam-transcript");
    assert_eq!(events[0]["version"], 1);
    assert_eq!(of_type(&events, "reply").len(), 3);
    assert_eq!(of_type(&events, "turn_end").len(), 2);
    assert_eq!(of_type(&events, "fact")[0]["name"], "isolation");
    // The one written last is meant by "last" and stands first, not the one begun last.
    tick(&harness);
    let other = harness.says(&["run", "-p", "something else", "--dir", "w"]);
    assert_eq!(other, "Else.\n");
    assert!(harness.says(&["show"]).contains("> something else"));
    tick(&harness);
    harness.says(&["run", "--resume", id, "-p", "go on"]);
    assert!(harness.says(&["show"]).contains("> and now?"));
    let listed = harness.says(&["list"]);
    assert!(listed.starts_with(id), "{listed}");
    let unknown = harness.command(&["show", "har_nothing"]).output().unwrap();
    check_code(&unknown, 1);
    assert!(err(&unknown).contains("there is no session har_nothing"));
}

#[test]
fn that_nothing_is_recorded_is_said() {
    let harness = Harness::at("http://127.0.0.1:9/v1");
    let none = harness.command(&["show"]).output().unwrap();
    check_code(&none, 1);
    assert!(
        err(&none).contains("no session is recorded in "),
        "{}",
        err(&none)
    );
    let none = harness.command(&["list"]).output().unwrap();
    check_code(&none, 0);
    assert!(out(&none).is_empty() && err(&none).contains("no session is recorded in "));
}

#[test]
fn a_replay_sends_the_same_requests_and_runs_nothing() {
    let server = Server::start(vec![
        Reply::Stream(vec![
            text("Both."),
            call(0, "a", "bash"),
            arguments(0, &json!({"command": "echo ran >> f"}).to_string()),
            call(1, "b", "read_file"),
            arguments(1, &json!({"path": "f"}).to_string()),
            finish("tool_calls"),
            Step::Done,
        ]),
        Reply::Stream(vec![text("Let"), Step::Cut]),
        answer("Done."),
        answer("Again."),
    ]);
    let harness = Harness::new(&server);
    check_code(&harness.run(), 0);
    harness.says(&["resume", "-p", "go on"]);
    assert_eq!(harness.read("f"), "ran\n");
    let replayed = harness
        .command(&["replay", "--output", "stream-json"])
        .output()
        .unwrap();
    check_code(&replayed, 0);
    assert_eq!(server.requests().len(), 4, "the model is not asked");
    assert_eq!(harness.read("f"), "ran\n", "no tool runs");
    let replayed = out(&replayed);
    for words in ["\"Both.\"", "\"Done.\"", "\"Again.\"", "ran"] {
        assert!(replayed.contains(words), "{words}: {replayed}");
    }
    // A transcript that was changed is found out.
    let path = segment(&harness);
    let changed = std::fs::read_to_string(&path)
        .unwrap()
        .replace("     1\\tran", "     1\\tlay");
    std::fs::write(&path, changed).unwrap();
    let differs = harness.command(&["replay"]).output().unwrap();
    check_code(&differs, 1);
    assert!(
        err(&differs).contains("request 1 is not the one that was sent then"),
        "{}",
        err(&differs)
    );
}

#[test]
fn a_process_that_was_killed_is_gone_on_from() {
    let server = Server::start(vec![
        calls(
            "a",
            "bash",
            &json!({"command": "echo $$ > begun.tmp; mv begun.tmp begun; exec sleep 1000"}),
        ),
        answer("I looked again."),
    ]);
    let harness = Harness::new(&server);
    let mut child = harness.start();
    until("the command", || harness.path("begun").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let command = harness.read("begun");
    let ended = Command::new("kill").args(["-9", command.trim()]).status();
    assert!(ended.unwrap().success());
    // It died while it wrote the next line.
    let mut file = OpenOptions::new()
        .append(true)
        .open(segment(&harness))
        .unwrap();
    file.write_all(b"{\"at\":1795180324000,\"type\":\"tool_res")
        .unwrap();
    drop(file);
    let said = harness.says(&["run", "--resume", "last", "-p", "go on"]);
    assert_eq!(said, "I looked again.\n");
    let request = &server.requests()[1];
    let result = result_of(request, "a");
    assert!(
        result.contains("whether it had its effect is unknown"),
        "{result}"
    );
    let events = harness.events();
    assert_eq!(of_type(&events, "torn")[0]["bytes"], 36);
    let results = of_type(&events, "tool_result");
    assert_eq!((results.len(), &results[0]["failed"]), (1, &json!(true)));
    // The killed turn is replayed as it stands, the later one in full.
    check_code(&harness.command(&["replay"]).output().unwrap(), 0);
}

#[test]
fn secrets_are_not_recorded() {
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let server = Server::start(vec![
        calls(
            "a",
            "bash",
            &json!({"command": format!("echo {token} key-0123456789 server-0123456789 $MY_TOKEN")}),
        ),
        answer("header-0123456789"),
    ]);
    let harness = Harness::new(&server);
    let words = [
        "run",
        "-p",
        "do",
        "--dir",
        "w",
        "--header",
        "x-team: header-0123456789",
        // Nobody listens there.
        "--mcp-url",
        "http://127.0.0.1:9/mcp",
        "--mcp-token",
        "server-0123456789",
    ];
    let mut run = harness.command(&words);
    run.env("SAM_MODEL_KEY", "key-0123456789")
        .env("MY_TOKEN", "value-0123456789");
    check_code(&run.output().unwrap(), 0);
    let sent = server.requests()[1]["_body"].as_str().unwrap().to_owned();
    assert!(sent.contains(&token), "the model has seen it");
    let written = std::fs::read_to_string(segment(&harness)).unwrap();
    for secret in [
        token.as_str(),
        "key-0123456789",
        "header-0123456789",
        "value-0123456789",
        "server-0123456789",
    ] {
        assert!(!written.contains(secret), "{secret}");
    }
    assert!(written.contains("[redacted]"));
}

#[test]
fn where_sessions_lie_is_chosen_or_nowhere() {
    let server = Server::start(vec![answer("one"), answer("two"), answer("three")]);
    let harness = Harness::new(&server);
    let elsewhere = harness.dir.path().join("elsewhere");
    let place = elsewhere.to_str().unwrap();
    harness.says(&["run", "-p", "x", "--transcript-dir", place]);
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 1);
    harness.says(&["run", "-p", "x", "--no-transcript"]);
    assert!(!harness.dir.path().join("state").exists());
    // Where a place was chosen, it has to be writable; else the work goes on.
    let file = harness.path("file");
    std::fs::write(&file, "").unwrap();
    let refused = harness.command(&["run", "-p", "x", "--transcript-dir", file.to_str().unwrap()]);
    let refused = { refused }.output().unwrap();
    check_code(&refused, 1);
    assert!(err(&refused).contains("the transcript cannot be written"));
    let mut unrecorded = harness.command(&["run", "-p", "x"]);
    let unrecorded = unrecorded.env("XDG_STATE_HOME", &file).output().unwrap();
    check_code(&unrecorded, 0);
    assert!(err(&unrecorded).contains("there is no transcript, and no resuming"));
}

#[test]
fn a_prompt_comes_from_stdin_and_has_to_come() {
    let server = Server::start(vec![answer("ok")]);
    let harness = Harness::new(&server);
    let mut run = harness.command(&["run", "-p", "-", "--dir", "w"]);
    let mut run = run
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    run.stdin
        .take()
        .unwrap()
        .write_all("ü".repeat(200_000).as_bytes())
        .unwrap();
    check_code(&run.wait_with_output().unwrap(), 0);
    let heard = &server.requests()[0]["messages"][1]["content"];
    assert_eq!(heard.as_str().unwrap().chars().count(), 200_000);
}
