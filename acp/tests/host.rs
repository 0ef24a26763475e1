//! What a host must bear from agents that misbehave, and both sides together.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::time::Duration;

use agent_client_protocol::v1::schema as acp;
use proptest::prelude::*;
use sam_acp::{
    AcpError, AcpSessionId, AgentDescription, AgentRequest, AgentServer, AgentUpdate, Besides,
    Block, Chunk, CloseReason, Host, HostEvent, HostEvents, HostOptions, Location,
    PermissionOption, PermissionOptionKind, PermissionOutcome, PromptOutcome, Report, RpcError,
    SessionSettings, StopReason, TokenUsage, ToolCall, ToolCallUpdate, ToolContent, ToolKind,
    ToolStatus,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};

struct FakeAgent {
    input: tokio::io::Lines<BufReader<ReadHalf<DuplexStream>>>,
    output: WriteHalf<DuplexStream>,
}

impl FakeAgent {
    async fn received(&mut self) -> Value {
        let line = self.input.next_line().await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn say(&mut self, message: Value) {
        self.raw(&format!("{message}\n")).await;
    }

    async fn raw(&mut self, line: &str) {
        self.output.write_all(line.as_bytes()).await.unwrap();
    }
}

fn connect(options: HostOptions) -> (Host, HostEvents, FakeAgent) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(ours);
    let (input, output) = tokio::io::split(theirs);
    let (host, events) = Host::connect(reader, writer, options);
    let input = BufReader::new(input).lines();
    (host, events, FakeAgent { input, output })
}

async fn next(events: &mut HostEvents) -> HostEvent {
    tokio::time::timeout(Duration::from_secs(10), events.recv())
        .await
        .expect("an event within 10 s")
        .expect("an open connection")
}

fn session() -> AcpSessionId {
    AcpSessionId("s".to_owned())
}

fn chunk(text: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s", "update":
        {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}}})
}

fn permission(id: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "session/request_permission", "params": {
        "sessionId": "s", "toolCall": {"toolCallId": "t"}, "options": [
            {"optionId": "a", "name": "Yes", "kind": "allow_once"},
            {"optionId": "b", "name": "Yes, and", "kind": "allow_once"},
            {"optionId": "c", "name": "Later", "kind": "new_kind"}]}})
}

#[tokio::test]
async fn garbage_between_messages_is_reported_and_loses_nothing() {
    let (_host, mut events, mut agent) = connect(HostOptions::default());
    agent.raw("Starting agent v3...\n").await;
    agent.say(chunk("one")).await;
    agent.raw("{\"jsonrpc\":\n").await;
    agent
        .say(json!({"jsonrpc": "2.0", "id": 99, "result": {}}))
        .await;
    agent.say(chunk("two")).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(match next(&mut events).await {
            HostEvent::Update {
                update: AgentUpdate::Message(c),
                ..
            } => c.block.as_text().unwrap().to_owned(),
            HostEvent::Report(Report::MalformedLine { .. }) => "malformed".to_owned(),
            HostEvent::Report(Report::StrayResponse { .. }) => "stray".to_owned(),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, ["malformed", "one", "malformed", "stray", "two"]);
}

#[tokio::test]
async fn the_end_of_a_turn_comes_after_its_updates_and_before_later_ones() {
    let (host, mut events, mut agent) = connect(HostOptions::default());
    let turn = host.prompt(&session(), &[Block::text("hi")]).unwrap();
    let id = agent.received().await["id"].clone();
    agent.say(chunk("before")).await;
    let end = json!({"jsonrpc": "2.0", "id": id, "result": {"stopReason": "end_turn"}});
    agent.say(end).await;
    agent.say(chunk("after")).await;
    assert!(matches!(next(&mut events).await, HostEvent::Update { .. }));
    match next(&mut events).await {
        HostEvent::PromptFinished {
            turn: t, result, ..
        } => {
            assert_eq!(t, turn);
            assert_eq!(result.unwrap().stop_reason, StopReason::EndTurn);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(next(&mut events).await, HostEvent::Update { .. }));
}

#[tokio::test]
async fn the_agents_exit_ends_the_turn_the_calls_and_the_connection() {
    let (host, mut events, mut agent) = connect(HostOptions::default());
    host.prompt(&session(), &[Block::text("hi")]).unwrap();
    agent.received().await;
    let waiting = tokio::spawn({
        let host = host.clone();
        async move { host.new_session(Path::new("/w")).await }
    });
    agent.received().await;
    drop(agent);
    let closed = AcpError::Closed(CloseReason::EndOfStream);
    assert_eq!(waiting.await.unwrap(), Err(closed.clone()));
    match next(&mut events).await {
        HostEvent::PromptFinished { result, .. } => assert_eq!(result, Err(closed.clone())),
        other => panic!("{other:?}"),
    }
    assert!(matches!(next(&mut events).await, HostEvent::Closed(_)));
    assert!(events.recv().await.is_none());
    assert_eq!(host.prompt(&session(), &[]), Err(closed));
}

#[tokio::test(start_paused = true)]
async fn a_silent_agent_runs_into_the_time_limit() {
    let (host, _events, _agent) = connect(HostOptions::default());
    let error = host.initialize().await.unwrap_err();
    assert!(
        matches!(error, AcpError::Timeout { seconds: 120, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn permission_is_answered_once_with_the_option_chosen_by_id() {
    let (_host, mut events, mut agent) = connect(HostOptions::default());
    agent.say(permission(json!("p1"))).await;
    let HostEvent::Permission(request) = next(&mut events).await else {
        panic!("a permission request");
    };
    let kinds: Vec<_> = request.options.iter().map(|o| o.kind).collect();
    use PermissionOptionKind::{AllowOnce, Other};
    assert_eq!(kinds, [AllowOnce, AllowOnce, Other]);
    let chosen = PermissionOutcome::Selected {
        option: "b".to_owned(),
    };
    assert!(request.responder.respond(&chosen));
    let answer = agent.received().await;
    assert_eq!(answer["id"], "p1");
    assert_eq!(answer["result"]["outcome"]["optionId"], "b");
}

#[tokio::test]
async fn cancelling_answers_open_permission_requests_first_and_only_once() {
    let (host, mut events, mut agent) = connect(HostOptions::default());
    agent.say(permission(json!(7))).await;
    let HostEvent::Permission(request) = next(&mut events).await else {
        panic!("a permission request");
    };
    host.cancel(&session());
    assert_eq!(agent.received().await["method"], "session/cancel");
    let answer = agent.received().await;
    assert_eq!(
        (&answer["id"], &answer["result"]["outcome"]["outcome"]),
        (&json!(7), &json!("cancelled"))
    );
    assert!(!request.responder.is_open());
    let late = PermissionOutcome::Selected {
        option: "a".to_owned(),
    };
    assert!(!request.responder.respond(&late), "too late");
    // A dropped question is answered too.
    agent.say(permission(json!(8))).await;
    drop(next(&mut events).await);
    let answer = agent.received().await;
    assert_eq!(
        (&answer["id"], &answer["result"]["outcome"]["outcome"]),
        (&json!(8), &json!("cancelled"))
    );
}

#[tokio::test]
async fn an_unread_flood_stops_being_read_and_is_complete_once_it_is() {
    let options = HostOptions {
        max_queued_bytes: 4096,
        ..HostOptions::default()
    };
    let (_host, mut events, mut agent) = connect(options);
    let flood = tokio::spawn(async move {
        for n in 0..20_000 {
            agent.say(chunk(&n.to_string())).await;
        }
        agent
    });
    for n in 0..20_000 {
        match next(&mut events).await {
            HostEvent::Update {
                update: AgentUpdate::Message(c),
                ..
            } => {
                assert_eq!(c.block.as_text(), Some(n.to_string().as_str()));
            }
            other => panic!("{other:?}"),
        }
    }
    flood.await.unwrap();
}

#[tokio::test]
async fn what_has_no_type_is_kept_whole() {
    let (_host, mut events, mut agent) = connect(HostOptions::default());
    let update = json!({"sessionUpdate": "hologram", "x": [1, {"y": null}]});
    let odd = json!({"type": "hologram", "z": 1});
    for update in [
        update.clone(),
        json!({"sessionUpdate": "tool_call", "title": "no id"}),
        json!({"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "melted", "content": [odd]}),
    ] {
        agent
            .say(
                json!({"method": "session/update", "params": {"sessionId": "s", "update": update}}),
            )
            .await;
    }
    match next(&mut events).await {
        HostEvent::Update {
            update: AgentUpdate::Unknown { raw },
            ..
        } => assert_eq!(raw, update),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        next(&mut events).await,
        HostEvent::Update {
            update: AgentUpdate::Unknown { .. },
            ..
        }
    ));
    match next(&mut events).await {
        HostEvent::Update {
            update: AgentUpdate::ToolCallUpdate(update),
            ..
        } => {
            assert_eq!(update.status, None);
            assert_eq!(
                update.content,
                Some(vec![ToolContent::Unknown { raw: odd }])
            );
            assert_eq!(update.into_tool_call().title, "t");
        }
        other => panic!("{other:?}"),
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\\n\"ü]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop_oneof![
            Just("sessionUpdate"),
            Just("toolCallId"),
            Just("content"),
            Just("type"),
            Just("text"),
            Just("entries"),
            Just("used"),
            Just("size"),
            Just("title"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5).prop_map(|pairs| {
                pairs
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

fn any_update() -> impl Strategy<Value = Value> {
    let tag = prop::sample::select(vec![
        "agent_message_chunk",
        "agent_thought_chunk",
        "user_message_chunk",
        "tool_call",
        "tool_call_update",
        "plan",
        "usage_update",
        "current_mode_update",
        "config_option_update",
        "available_commands_update",
        "session_info_update",
        "else",
    ]);
    (json_value(), tag).prop_map(|(mut value, tag)| {
        if let Value::Object(object) = &mut value {
            object.insert("sessionUpdate".to_owned(), tag.into());
        }
        value
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One line in, one event out, whatever is in the line.
    #[test]
    fn no_update_is_lost(updates in prop::collection::vec(any_update(), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_host, mut events, mut agent) = connect(HostOptions::default());
            for update in &updates {
                agent.say(json!({"method": "session/update",
                    "params": {"sessionId": "s", "update": update}})).await;
            }
            for update in &updates {
                match next(&mut events).await {
                    HostEvent::Update { update: AgentUpdate::Unknown { raw }, .. } => {
                        assert_eq!(&raw, update);
                    }
                    HostEvent::Update { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        });
    }
}

/// Both sides on one pipe, with every line that passes checked against the
/// protocol's own types.
#[tokio::test]
async fn both_sides_together_speak_schema_v1() {
    let (host_end, host_wire) = tokio::io::duplex(1 << 16);
    let (agent_end, agent_wire) = tokio::io::duplex(1 << 16);
    let (host_wire_in, host_wire_out) = tokio::io::split(host_wire);
    let (agent_wire_in, agent_wire_out) = tokio::io::split(agent_wire);
    tokio::spawn(tap(agent_wire_in, host_wire_out, from_agent_is_valid));
    tokio::spawn(tap(host_wire_in, agent_wire_out, from_host_is_valid));

    let (reader, writer) = tokio::io::split(agent_end);
    let description = AgentDescription {
        name: "test-agent".to_owned(),
        title: "Test".to_owned(),
        version: "1".to_owned(),
        keeps_sessions: false,
        takes_images: false,
        isolation: None,
    };
    let (link, mut requests) = AgentServer::connect(reader, writer, description);
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            match request {
                AgentRequest::NewSession { reply, .. } => {
                    reply.opened(&session(), &SessionSettings::default());
                }
                AgentRequest::Prompt {
                    session,
                    blocks,
                    reply,
                } => {
                    if blocks == [Block::text("fail")] {
                        reply.failed(RpcError::session_not_found("s"));
                        continue;
                    }
                    for update in every_update() {
                        link.update(&session, &update);
                    }
                    let option = PermissionOption {
                        id: "yes".to_owned(),
                        name: "Yes".to_owned(),
                        kind: PermissionOptionKind::AllowOnce,
                    };
                    let call = ToolCallUpdate {
                        id: "t".to_owned(),
                        ..ToolCallUpdate::default()
                    };
                    let link = link.clone();
                    tokio::spawn(async move {
                        let outcome = link.request_permission(&session, &call, &[option]).await;
                        assert_eq!(
                            outcome,
                            PermissionOutcome::Selected {
                                option: "yes".to_owned()
                            }
                        );
                        reply.finished(&PromptOutcome {
                            stop_reason: StopReason::EndTurn,
                            usage: Some(TokenUsage {
                                input: 5,
                                output: 2,
                                total: 7,
                                ..TokenUsage::default()
                            }),
                        });
                    });
                }
                AgentRequest::Initialized(_)
                | AgentRequest::OpenSession { .. }
                | AgentRequest::ListSessions { .. }
                | AgentRequest::CloseSession { .. }
                | AgentRequest::SetMode { .. }
                | AgentRequest::SetOption { .. }
                | AgentRequest::Cancel { .. }
                | AgentRequest::Closed(_) => {}
            }
        }
    });

    let (reader, writer) = tokio::io::split(host_end);
    let (host, mut events) = Host::connect(reader, writer, HostOptions::default());
    let info = host.initialize().await.unwrap();
    assert_eq!(
        (info.name.as_deref(), info.load_session),
        (Some("test-agent"), false)
    );
    let opened = host.new_session(Path::new("/w")).await.unwrap();
    let error = host
        .load_session(&opened.session, Path::new("/w"))
        .await
        .unwrap_err();
    assert!(matches!(error, AcpError::Rpc { error, .. } if error.code == -32601));
    let resumed = host.resume_session(&opened.session, Path::new("/w"), Besides::default());
    let error = resumed.await.unwrap_err();
    assert!(matches!(error, AcpError::Rpc { error, .. } if error.code == -32601));
    assert!(info.http_servers && !info.resume_session);
    let error = host.new_session(Path::new("relative")).await.unwrap_err();
    assert!(matches!(error, AcpError::Rpc { error, .. } if error.code == -32602));
    host.prompt(&opened.session, &[Block::text("go")]).unwrap();
    for expected in every_update() {
        match next(&mut events).await {
            HostEvent::Update { update, .. } => match (&update, &expected) {
                (
                    AgentUpdate::SessionInfo { title: a, .. },
                    AgentUpdate::SessionInfo { title: b, .. },
                ) => {
                    assert_eq!(a, b);
                }
                _ => assert_eq!(update, expected),
            },
            other => panic!("{other:?}"),
        }
    }
    let HostEvent::Permission(request) = next(&mut events).await else {
        panic!("a permission request");
    };
    request.responder.respond(&PermissionOutcome::Selected {
        option: "yes".to_owned(),
    });
    match next(&mut events).await {
        HostEvent::PromptFinished {
            result: Ok(outcome),
            ..
        } => {
            assert_eq!(outcome.usage.unwrap().total, 7);
        }
        other => panic!("{other:?}"),
    }
    host.prompt(&opened.session, &[Block::text("fail")])
        .unwrap();
    assert!(matches!(
        next(&mut events).await,
        HostEvent::PromptFinished {
            result: Err(AcpError::Rpc { .. }),
            ..
        }
    ));
}

fn every_update() -> Vec<AgentUpdate> {
    let call = ToolCall {
        id: "t".to_owned(),
        name: Some("edit_file".to_owned()),
        title: "Edit".to_owned(),
        kind: ToolKind::Edit,
        status: ToolStatus::InProgress,
        locations: vec![Location {
            path: "/w/a".to_owned(),
            line: Some(3),
        }],
        raw_input: Some(json!({"path": "a"})),
        ..ToolCall::default()
    };
    let update = ToolCallUpdate {
        id: "t".to_owned(),
        status: Some(ToolStatus::Completed),
        content: Some(vec![
            ToolContent::Diff {
                path: "/w/a".to_owned(),
                old: Some("x".to_owned()),
                new: "y".to_owned(),
            },
            ToolContent::Text {
                text: "done".to_owned(),
            },
        ]),
        raw_output: Some(json!("ok")),
        ..ToolCallUpdate::default()
    };
    vec![
        AgentUpdate::Thought(Chunk::text("hm")),
        AgentUpdate::Message(Chunk {
            message_id: Some("m".to_owned()),
            block: Block::text("hé\n"),
        }),
        AgentUpdate::ToolCall(call),
        AgentUpdate::ToolCallUpdate(update),
        AgentUpdate::Plan {
            entries: vec![sam_acp::PlanEntry {
                content: "do".to_owned(),
                priority: sam_acp::PlanPriority::High,
                status: sam_acp::PlanStatus::InProgress,
            }],
        },
        AgentUpdate::ContextUsage(sam_acp::ContextUsage {
            used: 1,
            size: 2,
            cost: None,
        }),
        AgentUpdate::SessionInfo {
            title: Some("T".to_owned()),
            raw: Value::Null,
        },
        AgentUpdate::Notice(sam_acp::Notice {
            id: "n".to_owned(),
            level: sam_acp::NoticeLevel::Warning,
            code: "model_overloaded".to_owned(),
            text: "Model overloaded.".to_owned(),
            hint: None,
        }),
    ]
}

async fn tap(
    reader: ReadHalf<DuplexStream>,
    mut writer: WriteHalf<DuplexStream>,
    check: fn(&Value),
) {
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        check(&serde_json::from_str(&line).unwrap());
        // The other side may have left already.
        if writer
            .write_all(format!("{line}\n").as_bytes())
            .await
            .is_err()
        {
            break;
        }
    }
}

fn typed<T: serde::de::DeserializeOwned>(value: &Value) {
    if let Err(error) = serde_json::from_value::<T>(value.clone()) {
        panic!("{value}: {error}");
    }
}

fn from_agent_is_valid(message: &Value) {
    assert_eq!(message["jsonrpc"], "2.0");
    match message["method"].as_str() {
        Some("session/update") => typed::<acp::SessionNotification>(&message["params"]),
        Some("session/request_permission") => {
            typed::<acp::RequestPermissionRequest>(&message["params"]);
        }
        Some(other) => panic!("{other}"),
        None => {}
    }
}

fn from_host_is_valid(message: &Value) {
    assert_eq!(message["jsonrpc"], "2.0");
    match message["method"].as_str() {
        Some("initialize") => typed::<acp::InitializeRequest>(&message["params"]),
        Some("session/new") => typed::<acp::NewSessionRequest>(&message["params"]),
        Some("session/load") => typed::<acp::LoadSessionRequest>(&message["params"]),
        Some("session/resume") => typed::<acp::ResumeSessionRequest>(&message["params"]),
        Some("session/prompt") => typed::<acp::PromptRequest>(&message["params"]),
        Some("session/cancel") => typed::<acp::CancelNotification>(&message["params"]),
        Some(other) => panic!("{other}"),
        None => typed::<acp::RequestPermissionResponse>(&message["result"]),
    }
}

#[tokio::test]
async fn a_session_is_resumed_with_what_it_is_told_besides() {
    let (host, _events, mut agent) = connect(HostOptions::default());
    let capabilities = json!({"sessionCapabilities": {"resume": {}}});
    let asked = async {
        let info = host.initialize().await.unwrap();
        assert!(info.resume_session && !info.load_session && !info.http_servers);
        let (meta, servers) = (json!({"a": 1}), [json!({"name": "sam"})]);
        let besides = Besides {
            meta: Some(&meta),
            servers: &servers,
        };
        host.resume_session(&session(), Path::new("/w"), besides)
            .await
            .unwrap()
    };
    let answered = async {
        let hello = agent.received().await;
        let result = json!({"protocolVersion": 1, "agentCapabilities": capabilities});
        agent
            .say(json!({"jsonrpc": "2.0", "id": hello["id"], "result": result}))
            .await;
        let resume = agent.received().await;
        agent
            .say(json!({"jsonrpc": "2.0", "id": resume["id"], "result": {}}))
            .await;
        resume
    };
    let (opened, resume) = tokio::join!(asked, answered);
    assert_eq!(opened.session, session());
    assert_eq!(resume["method"], "session/resume");
    let told =
        json!({"sessionId": "s", "cwd": "/w", "mcpServers": [{"name": "sam"}], "_meta": {"a": 1}});
    assert_eq!(resume["params"], told);
}
