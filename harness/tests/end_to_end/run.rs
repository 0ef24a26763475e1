//! `sam-harness run`, the built binary against a chat server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use crate::server::{
    Reply, Server, Step, answer, arguments, call, calls, finish, has_ended, result_of, text,
    thought, until, usage,
};
use serde_json::{Value, json};

pub(crate) struct Harness {
    pub(crate) dir: tempfile::TempDir,
    url: String,
    arguments: Vec<String>,
}

impl Harness {
    pub(crate) fn new(server: &Server) -> Self {
        Self::at(&server.url)
    }

    pub(crate) fn at(url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("w")).unwrap();
        Self {
            dir,
            url: url.to_owned(),
            arguments: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|a| (*a).to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("w").join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn start(&self) -> Child {
        self.spawn(Command::new(env!("CARGO_BIN_EXE_sam-harness")))
    }

    /// Runs it by a command to which it is, or will be, the program.
    fn spawn(&self, mut command: Command) -> Child {
        command
            .args(["run", "-p", "do it", "--dir", "w"])
            .args(&self.arguments)
            .current_dir(self.dir.path())
            .env("SAM_MODEL_URL", &self.url)
            .env("SAM_MODEL_KEY", "k-123")
            .env("SAM_MODEL", "m")
            .env("XDG_STATE_HOME", self.dir.path().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn run(&self) -> Output {
        self.start().wait_with_output().unwrap()
    }

    /// Another command about the same sessions.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sam-harness"));
        command
            .args(words)
            .current_dir(self.dir.path())
            .env("SAM_MODEL_URL", &self.url)
            .env("SAM_MODEL_KEY", "k-123")
            .env("SAM_MODEL", "m")
            .env("XDG_STATE_HOME", self.dir.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    /// Its output, when it has succeeded.
    pub(crate) fn says(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        check_code(&output, 0);
        out(&output)
    }

    /// What is recorded of the last session, line by line.
    pub(crate) fn events(&self) -> Vec<Value> {
        let said = self.says(&["show", "--json"]);
        let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn check_code(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}{}",
        out(output),
        err(output)
    );
}

#[test]
fn an_answer_is_printed_and_the_request_is_what_it_should_be() {
    let server = Server::start(vec![Reply::Stream(vec![
        thought("hm"),
        text("Hel"),
        text("lo"),
        finish("stop"),
        usage(3, 2),
        Step::Done,
    ])]);
    let output = Harness::new(&server).run();
    check_code(&output, 0);
    assert_eq!(out(&output), "Hello\n");
    let request = &server.requests()[0];
    let head = request["_head"].as_str().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("post /v1/chat/completions "), "{head}");
    assert!(head.contains("authorization: bearer k-123"), "{head}");
    assert_eq!(request["model"], "m");
    assert_eq!(request["stream_options"]["include_usage"], true);
    let names: Vec<_> = request["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["function"]["name"])
        .collect();
    assert_eq!(
        names,
        [
            "read_file",
            "write_file",
            "edit_file",
            "apply_patch",
            "bash",
            "job",
            "glob",
            "grep",
            "git",
            "plan",
        ]
    );
    assert_eq!(
        request["messages"][1],
        json!({"role": "user", "content": "do it"})
    );
}

#[test]
fn the_key_goes_into_the_header_chosen() {
    for (name, line) in [
        ("cf-aig-authorization", "cf-aig-authorization: bearer k-123"),
        ("x-api-key", "x-api-key: k-123"),
    ] {
        let server = Server::start(vec![answer("ok")]);
        let output = Harness::new(&server)
            .with(&["--auth-header", name, "--provider", "openai-proxy"])
            .run();
        check_code(&output, 0);
        let head = server.requests()[0]["_head"]
            .as_str()
            .unwrap()
            .to_ascii_lowercase();
        assert!(
            head.contains(line) && !head.contains("\nauthorization:"),
            "{head}"
        );
    }
    let server = Server::start(vec![answer("ok")]);
    check_code(
        &Harness::new(&server).with(&["--auth-header", "none"]).run(),
        0,
    );
    assert!(
        !server.requests()[0]["_head"]
            .as_str()
            .unwrap()
            .contains("k-123")
    );
}

#[test]
fn calls_in_pieces_run_in_order_and_their_results_go_back() {
    let server = Server::start(vec![
        Reply::Stream(vec![
            text("Working."),
            call(0, "a", "write_file"),
            arguments(0, "{\"path\":\"f.txt\",\"con"),
            call(1, "b", "bash"),
            arguments(1, "{\"command\":\"cat f.txt; env\"}"),
            arguments(0, "tent\":\"one\\n\"}"),
            finish("tool_calls"),
            usage(10, 5),
            Step::Done,
        ]),
        calls(
            "c",
            "edit_file",
            &json!({"path": "f.txt", "old_text": "one", "new_text": "two"}),
        ),
        calls("d", "read_file", &json!({"path": "../secret"})),
        answer("Done."),
    ]);
    let harness = Harness::new(&server).with(&["--output", "json"]);
    std::fs::write(harness.dir.path().join("secret"), "hunter2").unwrap();
    let output = harness.run();
    check_code(&output, 0);
    let result: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(result["stop_reason"], "end_turn");
    assert_eq!(result["text"], "Done.");
    assert_eq!(
        (&result["model_requests"], &result["tool_calls"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(result["usage"]["total"], 15 + 12 + 12 + 12);
    assert_eq!(harness.read("f.txt"), "two\n");
    let requests = server.requests();
    let last = &requests[3];
    assert_eq!(result_of(last, "a"), "f.txt created, 1 lines");
    let shell = result_of(last, "b");
    assert!(shell.starts_with("one\n"), "{shell}");
    assert!(
        !shell.contains("k-123") && !shell.contains("SAM_MODEL_URL"),
        "{shell}"
    );
    assert!(result_of(last, "d").contains("outside the workspace"));
    // What was sent once is sent again as it was.
    for pair in requests.windows(2) {
        let (earlier, later) = (&pair[0]["messages"], &pair[1]["messages"]);
        let earlier = earlier.as_array().unwrap();
        assert_eq!(&later.as_array().unwrap()[..earlier.len()], earlier);
    }
}

#[test]
fn a_call_that_cannot_be_read_is_answered_and_the_turn_goes_on() {
    let server = Server::start(vec![
        Reply::Stream(vec![
            call(0, "a", "bash"),
            arguments(0, "{\"command\": "),
            finish("tool_calls"),
            Step::Done,
        ]),
        calls("b", "fly", &json!({})),
        answer("ok"),
    ]);
    check_code(&Harness::new(&server).run(), 0);
    let last = &server.requests()[2];
    assert!(result_of(last, "a").contains("cannot be read"));
    assert!(result_of(last, "b").contains("there is no tool fly"));
    assert_eq!(
        last["messages"][2]["tool_calls"][0]["function"]["arguments"], "{}",
        "valid JSON goes back"
    );
}

#[test]
fn calls_numbered_anew_in_each_reply_are_told_apart() {
    let glob = json!({"pattern": "*"});
    let server = Server::start(vec![
        calls("call_1", "glob", &glob),
        calls("call_1", "glob", &glob),
        answer("ok"),
    ]);
    let harness = Harness::new(&server).with(&["--output", "stream-json"]);
    let output = harness.run();
    check_code(&output, 0);
    let ids: Vec<Value> = out(&output)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["type"] == "tool_call")
        .map(|event| event["call"]["id"].clone())
        .collect();
    assert_eq!(ids, ["call_1", "call_1-2"]);
    let last = &server.requests()[2];
    assert_eq!(last["messages"][4]["tool_calls"][0]["id"], "call_1-2");
    assert!(result_of(last, "call_1-2").contains("no file"));
}

#[test]
fn calls_of_a_reply_that_ran_out_of_output_are_not_run() {
    let server = Server::start(vec![
        Reply::Stream(vec![
            call(0, "a", "bash"),
            arguments(0, "{\"command\":\"touch f\"}"),
            finish("length"),
            Step::Done,
        ]),
        answer("ok"),
    ]);
    let harness = Harness::new(&server);
    check_code(&harness.run(), 0);
    assert!(!harness.path("f").exists());
    assert!(result_of(&server.requests()[1], "a").contains("output limit"));
}

pub(crate) fn interrupt(child: &Child) {
    signal(child, "-INT");
}

/// Whether this process ignores that its terminal goes.
fn outlives_its_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.split("SigIgn:").nth(1).unwrap();
    let mask = ignored.split_whitespace().next().unwrap();
    u64::from_str_radix(mask, 16).unwrap() & 1 != 0
}

fn signal(child: &Child, which: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([which, &pid]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn an_interrupt_ends_the_command_and_all_its_processes() {
    let command = "sleep 1000 & echo $! > child.tmp; mv child.tmp child; wait";
    let server = Server::start(vec![calls("a", "bash", &json!({"command": command}))]);
    let harness = Harness::new(&server);
    let child = harness.start();
    until("the command", || harness.path("child").exists());
    assert!(!has_ended(&harness.read("child")));
    interrupt(&child);
    check_code(&child.wait_with_output().unwrap(), 130);
    until("the end of its child", || has_ended(&harness.read("child")));
}

#[test]
fn a_second_interrupt_and_a_terminal_that_goes_leave_nothing_running() {
    let command =
        "trap '' TERM; echo $$ > shell.tmp; mv shell.tmp shell; while :; do sleep 1; done";
    // Where these tests themselves outlive their terminal, the harness does as well.
    let hangup = match outlives_its_terminal() {
        true => "-TERM",
        false => "-HUP",
    };
    for signals in [&["-INT", "-INT"][..], &[hangup], &[hangup, "-TERM"]] {
        let server = Server::start(vec![calls("a", "bash", &json!({"command": command}))]);
        let harness = Harness::new(&server);
        let child = harness.start();
        until("the command", || harness.path("shell").exists());
        for which in signals {
            signal(&child, which);
        }
        check_code(&child.wait_with_output().unwrap(), 130);
        until("the command's end", || has_ended(&harness.read("shell")));
    }
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let server = Server::start(vec![Reply::Stream(vec![
        text("Here "),
        Step::Hold,
        text("still."),
        finish("stop"),
        Step::Done,
    ])]);
    let harness = Harness::new(&server);
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_sam-harness"));
    let child = harness.spawn(command);
    server.wait_for_hold();
    signal(&child, "-HUP");
    server.release();
    let output = child.wait_with_output().unwrap();
    check_code(&output, 0);
    assert_eq!(out(&output), "Here still.\n");
}

#[test]
fn an_interrupt_ends_the_stream() {
    let server = Server::start(vec![Reply::Stream(vec![text("He"), Step::Hold])]);
    let harness = Harness::new(&server).with(&["--output", "stream-json"]);
    let mut child = harness.start();
    let mut shown = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let text = shown.find(|line| line.as_ref().unwrap().contains(r#""text":"He""#));
    assert!(text.is_some(), "shown while the rest is held back");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    check_code(&output, 130);
    server.wait_for_departure();
    assert!(err(&output).contains("stopped: cancelled"));
}

#[test]
fn what_was_left_running_ends_with_the_run() {
    let server = Server::start(vec![
        calls(
            "a",
            "bash",
            &json!({"command": "sleep 1000 & echo $! > child"}),
        ),
        answer("ok"),
    ]);
    let harness = Harness::new(&server);
    check_code(&harness.run(), 0);
    until("the end of what was left", || {
        has_ended(&harness.read("child"))
    });
}

#[test]
fn usage_errors_have_code_2_and_a_missing_directory_is_named() {
    let server = Server::start(vec![]);
    check_code(&Harness::new(&server).with(&["--output", "xml"]).run(), 2);
    check_code(&Harness::new(&server).with(&["--max-turns", "0"]).run(), 2);
    let output = Command::new(env!("CARGO_BIN_EXE_sam-harness"))
        .args(["run", "-p", "x"])
        .env_remove("SAM_MODEL_URL")
        .output()
        .unwrap();
    check_code(&output, 2);
    let mut harness = Harness::new(&server);
    std::fs::remove_dir(harness.path("")).unwrap();
    check_code(&harness.run(), 1);
    assert!(err(&harness.run()).contains("w cannot be opened"));
    harness.url = "ftp://x".to_owned();
    assert!(err(&harness.run()).contains("neither http nor https"));
}
