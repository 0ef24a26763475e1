//! `sam-harness acp`, the built binary driven by a host, with every line it
//! writes checked against the protocol's own types.

use std::process::Stdio;

use crate::server::{
    PATIENCE, Reply, Server, Step, answer, blocking, call, calls, finish, has_ended, result_of,
    text, thought, until, usage,
};
use agent_client_protocol::v1::schema as acp;
use sam_acp::{
    AcpError, AcpSessionId, AgentUpdate, Block, Host, HostEvent, HostEvents, HostOptions, Location,
    PromptOutcome, StopReason, ToolCall, ToolContent, ToolKind, ToolStatus,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

struct Agent {
    host: Host,
    events: HostEvents,
    child: Child,
    dir: tempfile::TempDir,
    /// Where its transcripts lie.
    _state: tempfile::TempDir,
    session: AcpSessionId,
}

impl Agent {
    async fn start(server: &Server) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_sam-harness"))
            .args(["acp", "--permission-mode", "full"])
            .env("SAM_MODEL_URL", &server.url)
            .env("SAM_MODEL", "m")
            .env("XDG_STATE_HOME", state.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let (checked, wire) = tokio::io::duplex(1 << 16);
        tokio::spawn(check_lines(child.stdout.take().unwrap(), wire));
        let (host, events) = Host::connect(checked, stdin, HostOptions::default());
        let info = host.initialize().await.unwrap();
        assert_eq!(
            (info.protocol_version, info.name.as_deref()),
            (1, Some("sam-harness"))
        );
        assert!(info.load_session);
        let opened = host.new_session(dir.path()).await.unwrap();
        Self {
            host,
            events,
            child,
            dir,
            _state: state,
            session: opened.session,
        }
    }

    fn prompt(&self, text: &str) {
        self.host
            .prompt(&self.session, &[Block::text(text)])
            .unwrap();
    }

    /// The next event of the work; what is said of the session is skipped.
    async fn next(&mut self) -> HostEvent {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.recv())
                .await
                .expect("an event within 20 s")
                .expect("an open connection");
            match event {
                HostEvent::Update {
                    update: AgentUpdate::Commands { .. } | AgentUpdate::SessionInfo { .. },
                    ..
                } => {}
                event => return event,
            }
        }
    }

    async fn update(&mut self) -> AgentUpdate {
        match self.next().await {
            HostEvent::Update { session, update } => {
                assert_eq!(session, self.session);
                update
            }
            other => panic!("{other:?}"),
        }
    }

    /// The updates up to the turn's end, and the end.
    async fn rest(&mut self) -> (Vec<AgentUpdate>, Result<PromptOutcome, AcpError>) {
        let mut updates = Vec::new();
        loop {
            match self.next().await {
                HostEvent::Update { update, .. } => updates.push(update),
                HostEvent::PromptFinished { result, .. } => return (updates, result),
                other => panic!("{other:?}"),
            }
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

/// Passes the agent's lines on, each valid by the protocol's own types.
async fn check_lines(stdout: ChildStdout, mut wire: tokio::io::DuplexStream) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(message["jsonrpc"], "2.0");
        if message.get("method").is_some() {
            assert_eq!(message["method"], "session/update", "{line}");
            let read: Result<acp::SessionNotification, _> =
                serde_json::from_value(message["params"].clone());
            let typed = read.unwrap_or_else(|error| panic!("{line}: {error}"));
            // The types are lenient; what they dropped would be missing here.
            assert_eq!(
                serde_json::to_value(&typed).unwrap(),
                message["params"],
                "{line}"
            );
        } else if let Some(result) = message.get("result") {
            let valid = [
                serde_json::from_value::<acp::InitializeResponse>(result.clone()).is_ok(),
                serde_json::from_value::<acp::NewSessionResponse>(result.clone()).is_ok(),
                serde_json::from_value::<acp::PromptResponse>(result.clone()).is_ok(),
            ];
            assert!(valid.contains(&true), "{line}");
        } else {
            let read: Result<acp::Error, _> = serde_json::from_value(message["error"].clone());
            read.unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        if wire
            .write_all(format!("{line}\n").as_bytes())
            .await
            .is_err()
        {
            break;
        }
    }
}

/// The updates about the work, without how full the context is.
fn of_the_work(updates: Vec<AgentUpdate>) -> Vec<AgentUpdate> {
    let told = |update: &AgentUpdate| !matches!(update, AgentUpdate::ContextUsage(_));
    updates.into_iter().filter(told).collect()
}

fn message(update: &AgentUpdate) -> (&str, &str) {
    match update {
        AgentUpdate::Message(chunk) => {
            let id = chunk.message_id.as_deref().unwrap();
            (id, chunk.block.as_text().unwrap())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn text_arrives_while_the_rest_is_held_back() {
    let server = Server::start(vec![Reply::Stream(vec![
        thought("hm"),
        text("Hel"),
        Step::Hold,
        text("lo"),
        finish("stop"),
        usage(30, 12),
        Step::Done,
    ])]);
    let mut agent = Agent::start(&server).await;
    agent.prompt("hi");
    assert!(matches!(agent.update().await, AgentUpdate::Thought(_)));
    assert_eq!(message(&agent.update().await).1, "Hel");
    server.release();
    assert_eq!(message(&agent.update().await).1, "lo");
    let (rest, end) = agent.rest().await;
    let [AgentUpdate::ContextUsage(context)] = rest.as_slice() else {
        panic!("{rest:?}");
    };
    assert_eq!((context.used, context.size), (42, 128_000));
    let end = end.unwrap();
    assert_eq!(end.stop_reason, StopReason::EndTurn);
    let usage = end.usage.unwrap();
    assert_eq!((usage.input, usage.output, usage.total), (30, 12, 42));
}

#[tokio::test]
async fn tools_are_shown_with_arguments_places_status_and_change() {
    let edit = json!({"path": "a.txt", "old_text": "one", "new_text": "two"});
    let shell = json!({"command": "cat a.txt; exit 4"});
    let server = Server::start(vec![
        calls("t1", "edit_file", &edit),
        calls("t2", "bash", &shell),
        answer("Done."),
    ]);
    let mut agent = Agent::start(&server).await;
    std::fs::write(agent.path("a.txt"), "one\n").unwrap();
    agent.prompt("edit");
    let (updates, end) = agent.rest().await;
    let updates = of_the_work(updates);
    assert_eq!(end.unwrap().stop_reason, StopReason::EndTurn);
    let path = agent.path("a.txt").display().to_string();
    let expected = ToolCall {
        id: "t1".to_owned(),
        name: Some("edit_file".to_owned()),
        title: "Edit a.txt".to_owned(),
        kind: ToolKind::Edit,
        status: ToolStatus::InProgress,
        locations: vec![Location {
            path: path.clone(),
            line: None,
        }],
        raw_input: Some(edit),
        ..ToolCall::default()
    };
    assert_eq!(updates[0], AgentUpdate::ToolCall(expected));
    let AgentUpdate::ToolCallUpdate(changed) = &updates[1] else {
        panic!("{updates:?}");
    };
    assert_eq!(changed.status, Some(ToolStatus::Completed));
    let diff = ToolContent::Diff {
        path,
        old: Some("one\n".to_owned()),
        new: "two\n".to_owned(),
    };
    assert_eq!(changed.content, Some(vec![diff]));
    let (AgentUpdate::ToolCall(shell), AgentUpdate::ToolCallUpdate(ended)) =
        (&updates[2], &updates[3])
    else {
        panic!("{updates:?}");
    };
    assert_eq!(
        (shell.kind, shell.title.as_str()),
        (ToolKind::Execute, "Run cat a.txt; exit 4")
    );
    assert_eq!(ended.status, Some(ToolStatus::Failed));
    let text = ToolContent::Text {
        text: "two\n[exit code 4]".to_owned(),
    };
    assert_eq!(ended.content, Some(vec![text]));
    assert_eq!(message(&updates[4]).1, "Done.");
}

#[tokio::test]
async fn another_beginning_after_a_cut_is_another_message() {
    let server = Server::start(vec![
        Reply::Stream(vec![text("Let me"), Step::Cut]),
        answer("I will"),
    ]);
    let mut agent = Agent::start(&server).await;
    agent.prompt("go");
    let (updates, end) = agent.rest().await;
    assert_eq!(end.unwrap().stop_reason, StopReason::EndTurn);
    let (first, second) = (message(&updates[0]), message(&updates[2]));
    assert_eq!((first.1, second.1), ("Let me", "I will"));
    assert_ne!(first.0, second.0);
    // One notice, which says what is done and then what came of it.
    let notices = updates.iter().filter_map(|update| match update {
        AgentUpdate::Notice(notice) => Some(notice),
        _ => None,
    });
    let notices: Vec<_> = notices.collect();
    assert_eq!(notices.len(), 2, "{updates:?}");
    assert_eq!(notices[0].id, notices[1].id);
    assert!(notices.iter().all(|n| n.code == "model_broke_off"));
    assert!(notices[0].text.contains("Retrying in"), "{notices:?}");
    assert!(
        notices[1].text.contains("Attempt 2 succeeded"),
        "{notices:?}"
    );
}

#[tokio::test]
async fn a_cancelled_stream_is_closed_and_the_session_goes_on() {
    let server = Server::start(vec![
        Reply::Stream(vec![text("So"), Step::Hold]),
        answer("Again"),
    ]);
    let mut agent = Agent::start(&server).await;
    agent.prompt("one");
    assert_eq!(message(&agent.update().await).1, "So");
    agent.host.cancel(&agent.session);
    let (_, end) = agent.rest().await;
    assert_eq!(end.unwrap().stop_reason, StopReason::Cancelled);
    let waiting = server.clone();
    blocking(move || waiting.wait_for_departure()).await;
    agent.prompt("two");
    let (updates, end) = agent.rest().await;
    assert_eq!(end.unwrap().stop_reason, StopReason::EndTurn);
    assert_eq!(message(&updates[0]).1, "Again");
    let messages = server.requests()[1]["messages"].clone();
    let roles: Vec<_> = messages
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
    assert_eq!(messages[2]["content"], "So");
}

#[tokio::test]
async fn a_cancelled_command_ends_with_all_its_processes_and_every_call_has_its_result() {
    let command = "sleep 1000 & echo $! > child.tmp; mv child.tmp child; echo up; wait";
    let server = Server::start(vec![
        Reply::Stream(vec![
            call(0, "a", "bash"),
            crate::server::arguments(0, &json!({"command": command}).to_string()),
            call(1, "b", "write_file"),
            crate::server::arguments(1, &json!({"path": "late", "content": ""}).to_string()),
            finish("tool_calls"),
            Step::Done,
        ]),
        answer("Again"),
    ]);
    let mut agent = Agent::start(&server).await;
    agent.prompt("one");
    assert!(matches!(agent.update().await, AgentUpdate::ToolCall(_)));
    // What runs so far is shown while it runs.
    match agent.update().await {
        AgentUpdate::ToolCallUpdate(update) => {
            assert_eq!(
                (update.status, update.content),
                (
                    None,
                    Some(vec![ToolContent::Text {
                        text: "up\n".to_owned()
                    }])
                )
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(!has_ended(&agent.read("child")));
    agent.host.cancel(&agent.session);
    let (_, end) = agent.rest().await;
    assert_eq!(end.unwrap().stop_reason, StopReason::Cancelled);
    until("the end of its child", || has_ended(&agent.read("child")));
    assert!(!agent.path("late").exists());
    agent.prompt("two");
    let (_, end) = agent.rest().await;
    assert_eq!(end.unwrap().stop_reason, StopReason::EndTurn);
    let request = &server.requests()[1];
    assert!(result_of(request, "a").contains("cancelled"));
    assert!(result_of(request, "b").contains("not run"));
}

#[tokio::test]
async fn the_hosts_departure_ends_everything() {
    let command = "sleep 1000 & echo $! > child.tmp; mv child.tmp child; wait";
    let server = Server::start(vec![calls("a", "bash", &json!({"command": command}))]);
    let mut agent = Agent::start(&server).await;
    agent.prompt("one");
    let child = agent.path("child");
    blocking(move || until("the command", || child.exists())).await;
    agent.host.close();
    let status = agent.child.wait().await.unwrap();
    assert_eq!(status.code(), Some(0));
    until("the end of its child", || has_ended(&agent.read("child")));
}

#[tokio::test]
async fn errors_are_answers() {
    let server = Server::start(vec![
        Reply::Answer(401, "", r#"{"error":{"message":"bad key"}}"#.to_owned()),
        Reply::Stream(vec![Step::Hold]),
    ]);
    let mut agent = Agent::start(&server).await;
    agent.prompt("one");
    let (_, end) = agent.rest().await;
    let AcpError::Rpc { error, .. } = end.unwrap_err() else {
        panic!("an answer");
    };
    assert!(error.message.contains("bad key"), "{error}");
    let fault = error.fault().unwrap();
    assert_eq!(fault.code, "model_key_refused");
    assert_eq!(fault.hint.as_deref(), Some("Check SAM_MODEL_KEY."));
    // A second prompt while one is being worked on.
    agent.prompt("two");
    let waiting = server.clone();
    blocking(move || waiting.wait_for_hold()).await;
    agent.prompt("three");
    let (_, end) = agent.rest().await;
    assert!(end.unwrap_err().to_string().contains("in progress"));
    let stranger = AcpSessionId("stranger".to_owned());
    agent.host.prompt(&stranger, &[Block::text("x")]).unwrap();
    let (_, end) = agent.rest().await;
    assert!(matches!(end, Err(AcpError::Rpc { error, .. }) if error.code == -32002));
    let missing = agent
        .host
        .new_session(std::path::Path::new("/no/such/place"))
        .await;
    assert!(matches!(missing, Err(AcpError::Rpc { error, .. }) if error.code == -32602));
}

#[tokio::test]
async fn two_sessions_work_at_once_in_their_own_directories() {
    let write = json!({"path": "f", "content": "x"});
    let server = Server::start(vec![
        Reply::Stream(vec![text("So"), Step::Hold]),
        calls("a", "write_file", &write),
        answer("Done"),
    ]);
    let mut agent = Agent::start(&server).await;
    let other_dir = tempfile::tempdir().unwrap();
    let other = agent
        .host
        .new_session(other_dir.path())
        .await
        .unwrap()
        .session;
    assert_ne!(other, agent.session);
    agent.prompt("one");
    assert_eq!(message(&agent.update().await).1, "So");
    agent.host.prompt(&other, &[Block::text("two")]).unwrap();
    let (updates, end) = agent.rest().await;
    let updates = of_the_work(updates);
    assert_eq!(end.unwrap().stop_reason, StopReason::EndTurn);
    assert_eq!(updates.len(), 3, "{updates:?}");
    assert!(other_dir.path().join("f").exists() && !agent.path("f").exists());
}
