//! Replays recorded conversations with real agents through the host.
//!
//! Each line of a transcript is one message with its direction. One task walks
//! the recording: what the client sent is sent through `Host`, what the agent
//! sent is written into the host's input, and each of those messages must come
//! out as exactly one event (or complete exactly one call). So nothing can be
//! lost, doubled or reordered without a test failing.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::HashMap;
use std::path::Path;

use agent_client_protocol::v1::schema as acp;
use sam_acp::{
    AcpError, AcpSessionId, AgentUpdate, Block, Host, HostEvent, HostEvents, HostOptions,
    PermissionOutcome, Report, StopReason, ToolCall, ToolContent, ToolStatus,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf};
use tokio::task::JoinHandle;

/// What came out of one process of one recording.
#[derive(Default)]
struct Outcome {
    updates: Vec<AgentUpdate>,
    calls: HashMap<String, ToolCall>,
    order: Vec<String>,
    finished: Vec<Result<StopReason, AcpError>>,
    finals: Vec<String>,
    refused: Vec<String>,
    ignored: Vec<String>,
    initialize_failed: bool,
    failed_loads: usize,
}

enum Call {
    Initialize(JoinHandle<Result<sam_acp::AgentInfo, AcpError>>),
    Session(JoinHandle<Result<sam_acp::SessionOpened, AcpError>>),
    Prompt,
    Skipped,
}

struct Replay {
    host: Host,
    events: HostEvents,
    from_host: Lines<BufReader<ReadHalf<DuplexStream>>>,
    to_host: tokio::io::WriteHalf<DuplexStream>,
    calls: HashMap<u64, (u64, Call)>,
    out: Outcome,
}

impl Replay {
    fn new() -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (host_reader, host_writer) = tokio::io::split(ours);
        let (from_host, to_host) = tokio::io::split(theirs);
        let (host, events) = Host::connect(host_reader, host_writer, HostOptions::default());
        Self {
            host,
            events,
            from_host: BufReader::new(from_host).lines(),
            to_host,
            calls: HashMap::new(),
            out: Outcome::default(),
        }
    }

    async fn sent(&mut self) -> Value {
        let line = self.from_host.next_line().await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn event(&mut self) -> HostEvent {
        let wait = std::time::Duration::from_secs(10);
        tokio::time::timeout(wait, self.events.recv())
            .await
            .expect("an event within 10 s")
            .expect("an open connection")
    }

    async fn client(&mut self, message: &Value) {
        let Some(method) = message["method"].as_str() else {
            return; // An answer to the agent; the host gives its own.
        };
        let recorded = message["id"].as_u64();
        let session = AcpSessionId(
            message["params"]["sessionId"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
        let host = self.host.clone();
        let call = match method {
            "initialize" => Call::Initialize(tokio::spawn(async move { host.initialize().await })),
            "session/new" => Call::Session(tokio::spawn(async move {
                host.new_session(Path::new("/workspace")).await
            })),
            "session/load" => Call::Session(tokio::spawn(async move {
                host.load_session(&session, Path::new("/workspace")).await
            })),
            "session/prompt" => {
                let text = message["params"]["prompt"][0]["text"].as_str().unwrap();
                self.out.finals.push(String::new());
                host.prompt(&session, &[Block::text(text)]).unwrap();
                Call::Prompt
            }
            "session/cancel" => {
                host.cancel(&session);
                assert_eq!(self.sent().await["method"], "session/cancel");
                return;
            }
            _ => {
                self.calls.insert(recorded.unwrap(), (0, Call::Skipped));
                return;
            }
        };
        let sent = self.sent().await;
        assert_eq!(sent["method"], method);
        if matches!(call, Call::Prompt) {
            assert_eq!(
                sent["params"], message["params"],
                "the prompt is the prompt"
            );
        }
        self.calls
            .insert(recorded.unwrap(), (sent["id"].as_u64().unwrap(), call));
    }

    async fn agent(&mut self, mut message: Value) {
        let is_response = message.get("method").is_none();
        let mut answered = None;
        if is_response {
            let recorded = message["id"].as_u64().unwrap();
            let (actual, call) = self.calls.remove(&recorded).unwrap();
            if matches!(call, Call::Skipped) {
                return;
            }
            message["id"] = json!(actual);
            answered = Some(call);
        }
        let mut line = message.to_string();
        line.push('\n');
        self.to_host.write_all(line.as_bytes()).await.unwrap();
        match answered {
            Some(Call::Initialize(call)) => match call.await.unwrap() {
                Ok(info) => assert_eq!(info.raw, message["result"]),
                Err(AcpError::Protocol { .. }) => self.out.initialize_failed = true,
                Err(error) => panic!("{error}"),
            },
            Some(Call::Session(call)) => match call.await.unwrap() {
                Ok(opened) => assert!(!opened.session.as_str().is_empty()),
                Err(AcpError::Rpc { error, .. }) => {
                    assert!(error.may_be_unknown_session(), "{error}");
                    self.out.failed_loads += 1;
                }
                Err(error) => panic!("{error}"),
            },
            Some(Call::Prompt | Call::Skipped) | None => {
                let event = self.event().await;
                self.take(event, &message).await;
            }
        }
    }

    async fn take(&mut self, event: HostEvent, message: &Value) {
        match event {
            HostEvent::Update { update, .. } => {
                assert_eq!(message["method"], "session/update");
                self.update(update);
            }
            HostEvent::Permission(request) => {
                assert_eq!(message["method"], "session/request_permission");
                let first = request.options[0].id.clone();
                assert!(request.responder.respond(&PermissionOutcome::Selected {
                    option: first.clone()
                }));
                let sent = self.sent().await;
                assert_eq!(sent["id"], message["id"]);
                assert_eq!(
                    sent["result"]["outcome"],
                    json!({"outcome": "selected", "optionId": first})
                );
            }
            HostEvent::PromptFinished { result, .. } => {
                assert!(message.get("method").is_none());
                self.out.finished.push(result.map(|o| o.stop_reason));
            }
            HostEvent::Report(Report::RefusedRequest { method }) => {
                let sent = self.sent().await;
                assert_eq!(sent["id"], message["id"]);
                assert_eq!(sent["error"]["code"], -32601);
                self.out.refused.push(method);
            }
            HostEvent::Report(Report::IgnoredNotification { method, params }) => {
                assert_eq!(params, message["params"]);
                self.out.ignored.push(method);
            }
            other => panic!("{message} gave {other:?}"),
        }
    }

    fn update(&mut self, update: AgentUpdate) {
        let out = &mut self.out;
        match &update {
            AgentUpdate::Message(chunk) => {
                if let (Some(text), Some(last)) = (chunk.block.as_text(), out.finals.last_mut()) {
                    last.push_str(text);
                }
            }
            AgentUpdate::ToolCall(call) => {
                let known = out.calls.insert(call.id.clone(), call.clone());
                out.order.extend(known.is_none().then(|| call.id.clone()));
            }
            AgentUpdate::ToolCallUpdate(update) => match out.calls.get_mut(&update.id) {
                Some(call) => call.apply(update.clone()),
                None => panic!("{} was not announced", update.id),
            },
            _ => {}
        }
        out.updates.push(update);
    }
}

fn messages(agent: &str, process: &str) -> Vec<(bool, Value)> {
    let path = format!(
        "{}/tests/transcripts/{agent}.ndjson",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["proc"] == process)
        .map(|line| (line["dir"] == "a>c", line["msg"].clone()))
        .collect()
}

async fn replay(agent: &str, process: &str) -> Outcome {
    let mut replay = Replay::new();
    for (from_agent, message) in messages(agent, process) {
        if from_agent {
            replay.agent(message).await;
        } else {
            replay.client(&message).await;
        }
    }
    let Replay {
        to_host,
        from_host,
        mut events,
        out,
        host,
        ..
    } = replay;
    drop((to_host, from_host, host));
    assert!(matches!(events.recv().await, Some(HostEvent::Closed(_))));
    assert!(events.recv().await.is_none(), "nothing after the close");
    out
}

const AGENTS: [&str; 8] = [
    "claude", "copilot", "droid", "goose", "kimi", "opencode", "pi", "qwen",
];
const DONE: &str = "SCRIPT-DONE: README read, out.txt written, shell command run.";

#[tokio::test]
async fn every_agent_reads_writes_runs_answers_and_is_cancelled() {
    for agent in AGENTS {
        let out = replay(agent, "1").await;
        assert_eq!(
            out.finished,
            [Ok(StopReason::EndTurn), Ok(StopReason::Cancelled)],
            "{agent}"
        );
        assert!(out.finals[0].ends_with(DONE), "{agent}: {:?}", out.finals);
        assert!(
            out.finals[1].starts_with("word0 word1"),
            "{agent}: {:?}",
            out.finals
        );
        assert_eq!(out.order.len(), 3, "{agent}: {:?}", out.order);
        for id in &out.order {
            let call = &out.calls[id];
            assert_eq!(call.status, ToolStatus::Completed, "{agent}: {call:?}");
            assert!(!call.title.is_empty(), "{agent}: {call:?}");
        }
        let unknown = out
            .updates
            .iter()
            .filter(|update| matches!(update, AgentUpdate::Unknown { .. }));
        assert_eq!(unknown.count(), 0, "{agent}");
    }
}

/// Kind, title and first location's path of each call, and the diffs.
async fn check(agent: &str, names: [&str; 3], titles: [&str; 3], diff: Option<(&str, &str)>) {
    let out = replay(agent, "1").await;
    let calls: Vec<&ToolCall> = out.order.iter().map(|id| &out.calls[id]).collect();
    let got: Vec<&str> = calls
        .iter()
        .map(|call| call.name.as_deref().unwrap_or_default())
        .collect();
    assert_eq!(got, names, "{agent}");
    let got: Vec<&str> = calls.iter().map(|call| call.title.as_str()).collect();
    assert_eq!(got, titles, "{agent}");
    let got = out.updates.iter().find_map(|update| {
        let content = match update {
            AgentUpdate::ToolCall(call) => &call.content,
            AgentUpdate::ToolCallUpdate(update) => update.content.as_ref()?,
            _ => return None,
        };
        content.iter().find_map(|content| match content {
            ToolContent::Diff { path, new, .. } => Some((path.clone(), new.clone())),
            _ => None,
        })
    });
    let expected = diff.map(|(path, new)| (path.to_owned(), new.to_owned()));
    assert_eq!(got, expected, "{agent}");
}

#[tokio::test]
async fn tool_names_titles_and_diffs_are_as_recorded() {
    let written = Some(("/workspace/out.txt", "hello from the script\n"));
    let command = "echo shell-ran && wc -c out.txt && echo ok > ran.txt";
    check(
        "claude",
        ["Read", "Write", "Bash"],
        ["Read README.md", "Write out.txt", command],
        written,
    )
    .await;
    check(
        "goose",
        ["read", "write", "shell"],
        [
            "read · /workspace/README.md",
            "write · /workspace/out.txt",
            &format!("shell · {command}"),
        ],
        written,
    )
    .await;
}

#[tokio::test]
async fn a_loaded_session_is_replayed_and_an_unknown_one_is_refused() {
    for agent in AGENTS {
        let out = replay(agent, "2").await;
        assert_eq!(out.failed_loads, 1, "{agent}");
        assert_eq!(out.finished, [Ok(StopReason::EndTurn)], "{agent}");
        let replayed = out
            .updates
            .iter()
            .any(|update| matches!(update, AgentUpdate::UserMessage(_)));
        assert!(replayed, "{agent}");
    }
}

#[tokio::test]
async fn a_claimed_version_2_with_a_body_of_version_1_is_borne() {
    for agent in AGENTS {
        let failed = replay(agent, "v2").await.initialize_failed;
        assert_eq!(
            failed,
            agent == "claude",
            "{agent}: only its body is of version 2"
        );
    }
}

#[tokio::test]
async fn requests_for_files_and_terminals_are_refused_and_named() {
    let out = replay("goose", "1").await;
    assert!(out.refused.contains(&"fs/read_text_file".to_owned()));
    assert!(out.refused.contains(&"terminal/create".to_owned()));
    let out = replay("claude", "1").await;
    assert_eq!(out.ignored, ["_auth/status_update"]);
    let out = replay("qwen", "1").await;
    assert!(out.refused.contains(&"craft/drainMidTurnQueue".to_owned()));
}

/// Where the protocol's own types read an update, ours agree with them.
#[tokio::test]
async fn our_reading_agrees_with_the_protocols_types() {
    for agent in AGENTS {
        let recorded: Vec<Value> = messages(agent, "1")
            .into_iter()
            .filter(|(from_agent, m)| *from_agent && m["method"] == "session/update")
            .map(|(_, m)| m["params"]["update"].clone())
            .collect();
        let ours = replay(agent, "1").await.updates;
        assert_eq!(ours.len(), recorded.len(), "{agent}");
        for (ours, recorded) in ours.iter().zip(&recorded) {
            let theirs: acp::SessionUpdate = serde_json::from_value(recorded.clone()).unwrap();
            agree(ours, &theirs);
        }
    }
}

fn agree(ours: &AgentUpdate, theirs: &acp::SessionUpdate) {
    match (ours, theirs) {
        (AgentUpdate::Message(a), acp::SessionUpdate::AgentMessageChunk(b))
        | (AgentUpdate::UserMessage(a), acp::SessionUpdate::UserMessageChunk(b)) => {
            let acp::ContentBlock::Text(b) = &b.content else {
                panic!("{b:?}")
            };
            assert_eq!(a.block.as_text(), Some(b.text.as_str()));
        }
        (AgentUpdate::ToolCall(a), acp::SessionUpdate::ToolCall(b)) => {
            assert_eq!(
                (a.id.as_str(), &a.title),
                (b.tool_call_id.0.as_ref(), &b.title)
            );
            assert_eq!(json!(a.kind), json!(b.kind));
            assert_eq!(json!(a.status), json!(b.status));
            assert_eq!(a.content.len(), b.content.len());
            assert_eq!(a.locations.len(), b.locations.len());
            assert_eq!(a.raw_input, b.raw_input);
        }
        (AgentUpdate::ToolCallUpdate(a), acp::SessionUpdate::ToolCallUpdate(b)) => {
            assert_eq!(
                (a.id.as_str(), &a.title),
                (b.tool_call_id.0.as_ref(), &b.fields.title)
            );
            assert_eq!(json!(a.kind), json!(b.fields.kind));
            assert_eq!(json!(a.status), json!(b.fields.status));
            let lengths = (
                a.content.as_ref().map(Vec::len),
                b.fields.content.as_ref().map(Vec::len),
            );
            assert_eq!(lengths.0, lengths.1);
            assert_eq!(a.raw_output, b.fields.raw_output);
        }
        (AgentUpdate::ContextUsage(a), acp::SessionUpdate::UsageUpdate(b)) => {
            assert_eq!((a.used, a.size), (b.used, b.size));
        }
        (AgentUpdate::Commands { commands }, acp::SessionUpdate::AvailableCommandsUpdate(b)) => {
            assert_eq!(commands.len(), b.available_commands.len());
        }
        (AgentUpdate::Mode { mode }, acp::SessionUpdate::CurrentModeUpdate(b)) => {
            assert_eq!(mode, b.current_mode_id.0.as_ref());
        }
        (AgentUpdate::ConfigOptions { .. }, acp::SessionUpdate::ConfigOptionUpdate(_))
        | (AgentUpdate::SessionInfo { .. }, acp::SessionUpdate::SessionInfoUpdate(_)) => {}
        (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
    }
}
