//! A coding agent that does what its prompt says, line by line: each line is
//! one step as JSON. The tests start it in place of a real one.

#![expect(
    clippy::expect_used,
    clippy::zombie_processes,
    reason = "a stand-in for tests: a step that cannot be done ends it, and some steps leave processes behind"
)]

use sam_acp::{
    AcpSessionId, AgentDescription, AgentLink, AgentRequest, AgentServer, AgentUpdate, Block,
    Chunk, PermissionOption, PermissionOptionKind, PlanPriority, PromptOutcome, PromptReply,
    RpcError, SessionSettings, StopReason, TokenUsage, ToolCall, ToolCallUpdate, ToolContent,
    ToolStatus,
};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// Says something.
    Say(String),
    /// Thinks something.
    Think(String),
    /// Says a piece this many times, one every millisecond.
    Stream(String, u32),
    /// A plan with this many steps.
    Plan(usize),
    /// Announces a call that stays open.
    Open(String),
    /// A call with its output.
    Run(String, String),
    /// Writes a file, relative to the working directory, and reports the change.
    Write(String, String),
    /// Writes its environment and arguments into a file.
    Reveal(String),
    /// Asks the model; says what came back, or the status.
    Model(String),
    /// Asks for permission with options of these kinds; says the answer.
    Ask(Vec<String>),
    /// Asks its person through SAM's tools, with these options; says what came back.
    AskPerson(String, Vec<String>),
    /// Leaves a process behind and writes its number into a file.
    Leave(PathBuf),
    /// Writes its own number into a file.
    Pid(PathBuf),
    /// Waits until the file is there.
    Await(PathBuf),
    /// Does not stop when it is told to.
    Stubborn,
    /// Writes to standard error.
    Complain(String),
    /// Keeps what it was told, or these words as if it had been told them, so that the next of its
    /// kind can load the session.
    Keep(Option<String>),
    /// Neither hears nor says anything any more.
    Hang(()),
    /// A call that runs this command, and neither hears nor says anything meanwhile.
    Command(String),
    /// Exits.
    Exit(i32),
    /// Answers the prompt with an error.
    Fail(String),
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let description = AgentDescription {
        name: "scripted".into(),
        title: "Scripted".into(),
        version: "1".into(),
        keeps_sessions: kept().exists(),
        takes_images: false,
        isolation: None,
    };
    let (link, mut requests) =
        AgentServer::connect(tokio::io::stdin(), tokio::io::stdout(), description);
    let cancelled = Arc::new(AtomicBool::new(false));
    let mut servers = Vec::new();
    while let Some(request) = requests.recv().await {
        match request {
            AgentRequest::NewSession { wanted, reply } => {
                servers = wanted.mcp_servers;
                let session = AcpSessionId(format!("s{}", std::process::id()));
                reply.opened(&session, &SessionSettings::default());
            }
            AgentRequest::OpenSession {
                session,
                wanted,
                reply,
                ..
            } => {
                servers = wanted.mcp_servers;
                let text = std::fs::read_to_string(kept()).unwrap_or_default();
                if text == LETHAL {
                    std::process::exit(3);
                }
                let said = AgentUpdate::UserMessage(Chunk::text(text));
                link.update(&session, &said);
                link.update(&session, &AgentUpdate::Message(Chunk::text("as before")));
                reply.opened(&session, &SessionSettings::default());
                // Some agents go on with it for a moment.
                link.update(&session, &AgentUpdate::Message(Chunk::text(" and late")));
            }
            AgentRequest::Prompt {
                session,
                blocks,
                reply,
            } => {
                cancelled.store(false, Ordering::Relaxed);
                let turn = Turn {
                    link: link.clone(),
                    session,
                    servers: servers.clone(),
                    cancelled: Arc::clone(&cancelled),
                    stubborn: false,
                    told: String::new(),
                };
                tokio::spawn(turn.play(blocks, reply));
            }
            AgentRequest::Cancel { .. } => cancelled.store(true, Ordering::Relaxed),
            AgentRequest::Closed(_) => break,
            // It keeps no sessions and has no modes; a reply that is dropped
            // answers with an error.
            _ => {}
        }
    }
}

/// A session that it cannot be loaded with: it ends over it.
const LETHAL: &str = "lethal";

/// Where it keeps its session.
fn kept() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join("kept")
}

struct Turn {
    link: AgentLink,
    session: AcpSessionId,
    servers: Vec<serde_json::Value>,
    cancelled: Arc<AtomicBool>,
    stubborn: bool,
    told: String,
}

impl Turn {
    fn tell(&self, update: AgentUpdate) {
        self.link.update(&self.session, &update);
    }

    fn say(&self, text: impl Into<String>) {
        self.tell(AgentUpdate::Message(Chunk::text(text)));
    }

    async fn play(mut self, blocks: Vec<Block>, reply: PromptReply) {
        let text: Vec<_> = blocks.iter().filter_map(Block::as_text).collect();
        self.told = text.join("\n");
        for line in self.told.clone().lines() {
            let Ok(step) = serde_json::from_str::<Step>(line) else {
                self.say(format!("[heard: {line}]"));
                continue;
            };
            if let Step::Fail(why) = step {
                return reply.failed(RpcError::internal(why));
            }
            self.step(step).await;
            if self.cancelled.load(Ordering::Relaxed) && !self.stubborn {
                return reply.finished(&outcome(StopReason::Cancelled));
            }
        }
        reply.finished(&outcome(StopReason::EndTurn));
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Say(text) => self.say(text),
            Step::Think(text) => self.tell(AgentUpdate::Thought(Chunk::text(text))),
            Step::Stream(piece, times) => {
                for _ in 0..times {
                    self.say(piece.clone());
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            Step::Plan(steps) => self.tell(AgentUpdate::Plan {
                entries: (1..=steps)
                    .map(|n| sam_acp::PlanEntry {
                        content: format!("step {n}"),
                        priority: PlanPriority::Medium,
                        status: sam_acp::PlanStatus::Pending,
                    })
                    .collect(),
            }),
            Step::Open(id) => self.tell(AgentUpdate::ToolCall(ToolCall {
                title: "a long run".into(),
                status: ToolStatus::InProgress,
                id,
                ..ToolCall::default()
            })),
            Step::Run(id, output) => self.run(id, ToolContent::Text { text: output }),
            Step::Write(path, text) => {
                let path = std::env::current_dir().expect("directory").join(path);
                std::fs::write(&path, &text).expect("written");
                let path = path.to_string_lossy().into_owned();
                self.run(
                    format!("w-{path}"),
                    ToolContent::Diff {
                        path,
                        old: None,
                        new: text,
                    },
                );
            }
            Step::Reveal(path) => std::fs::write(path, revealed()).expect("written"),
            Step::Model(text) => {
                let said = model(&text).await;
                self.say(said);
            }
            Step::Ask(kinds) => self.ask(kinds).await,
            Step::AskPerson(question, options) => {
                let said = ask_person(&self.servers, &question, &options).await;
                self.say(said);
            }
            Step::Leave(file) => {
                let script = format!("echo $$ > {}; exec sleep 1000", file.display());
                std::process::Command::new("setsid")
                    .args(["sh", "-c", &script])
                    .spawn()
                    .expect("left behind");
                wait_for(&file, || false).await;
            }
            Step::Pid(file) => {
                std::fs::write(file, format!("{}\n", std::process::id())).expect("written");
            }
            Step::Await(file) => {
                let stop = || self.cancelled.load(Ordering::Relaxed) && !self.stubborn;
                wait_for(&file, stop).await;
            }
            Step::Stubborn => self.stubborn = true,
            Step::Complain(text) => eprintln!("{text}"),
            Step::Keep(words) => {
                std::fs::write(kept(), words.as_ref().unwrap_or(&self.told)).expect("written");
            }
            Step::Hang(()) => {
                // What it said before is heard.
                self.link.flush().await;
                loop {
                    std::thread::park();
                }
            }
            Step::Command(script) => {
                let id = format!("c-{script}");
                self.tell(AgentUpdate::ToolCall(ToolCall {
                    id: id.clone(),
                    title: script.clone(),
                    status: ToolStatus::InProgress,
                    ..ToolCall::default()
                }));
                self.link.flush().await;
                let ran = std::process::Command::new("sh")
                    .args(["-c", &script])
                    .status()
                    .expect("it runs");
                self.tell(AgentUpdate::ToolCallUpdate(ToolCallUpdate {
                    id,
                    status: Some(if ran.success() {
                        ToolStatus::Completed
                    } else {
                        ToolStatus::Failed
                    }),
                    ..ToolCallUpdate::default()
                }));
            }
            Step::Exit(code) => {
                self.link.close();
                std::process::exit(code);
            }
            Step::Fail(_) => {}
        }
    }

    fn run(&self, id: String, content: ToolContent) {
        self.tell(AgentUpdate::ToolCall(ToolCall {
            id: id.clone(),
            title: "run".into(),
            name: Some("run".into()),
            raw_input: Some(serde_json::json!({ "id": id })),
            ..ToolCall::default()
        }));
        self.tell(AgentUpdate::ToolCallUpdate(ToolCallUpdate {
            id,
            status: Some(ToolStatus::Completed),
            content: Some(vec![content]),
            ..ToolCallUpdate::default()
        }));
    }

    async fn ask(&self, kinds: Vec<String>) {
        let options: Vec<_> = kinds
            .iter()
            .enumerate()
            .map(|(n, kind)| PermissionOption {
                id: format!("{kind}-{n}"),
                name: kind.clone(),
                kind: match kind.as_str() {
                    "allow_once" => PermissionOptionKind::AllowOnce,
                    "allow_always" => PermissionOptionKind::AllowAlways,
                    _ => PermissionOptionKind::RejectOnce,
                },
            })
            .collect();
        let call = ToolCallUpdate {
            id: "asked".into(),
            ..ToolCallUpdate::default()
        };
        let answer = self
            .link
            .request_permission(&self.session, &call, &options)
            .await;
        self.say(format!("[{answer:?}]"));
    }
}

fn outcome(stop_reason: StopReason) -> PromptOutcome {
    PromptOutcome {
        stop_reason,
        usage: Some(TokenUsage {
            input: 7,
            output: 2,
            total: 9,
            ..TokenUsage::default()
        }),
    }
}

fn revealed() -> String {
    let mut text = String::new();
    for (name, value) in std::env::vars() {
        text.push_str(&format!("{name}={value}\n"));
    }
    for argument in std::env::args() {
        text.push_str(&format!("argument {argument}\n"));
    }
    text
}

async fn wait_for(file: &std::path::Path, stop: impl Fn() -> bool) {
    while !file.exists() && !stop() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
}

/// What SAM's tool says to it.
async fn ask_person(servers: &[serde_json::Value], question: &str, options: &[String]) -> String {
    let Some(server) = servers.first() else {
        return "[nobody can be asked]".to_owned();
    };
    let text = |at: &str| server.pointer(at).and_then(serde_json::Value::as_str);
    let call = serde_json::json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": "request_human_input",
            "arguments": { "question": question, "options": options },
        },
    });
    let answer = client()
        .post(text("/url").expect("an address"))
        .header("authorization", text("/headers/0/value").expect("a secret"))
        .body(call.to_string())
        .send()
        .await
        .expect("an answer");
    let said = answer.text().await.expect("text");
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let text = said.pointer("/result/content/0/text");
    format!(
        "[{}]",
        text.and_then(serde_json::Value::as_str)
            .unwrap_or("nothing")
    )
}

async fn model(text: &str) -> String {
    let base = std::env::var("SAM_MODEL_URL").expect("an address");
    let key = std::env::var("SAM_MODEL_KEY").expect("a key");
    let answer = client()
        .post(format!("{base}/chat/completions"))
        .bearer_auth(key)
        .json(&serde_json::json!({ "say": text }))
        .send()
        .await;
    match answer {
        Ok(answer) => {
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            format!("[model {status}: {text}]")
        }
        Err(error) => format!("[model unreachable: {error}]"),
    }
}
