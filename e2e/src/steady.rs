//! A machine that keeps its link whatever happens, and does by itself what it is told.
//!
//! It stands on the product's own end of the link ([`AgentEnd`]), with its disk in memory: it
//! reconnects, repeats what was not acknowledged, and begins nothing twice. Its agent answers every
//! prompt with two batches of rows; a prompt with `hold` in it is worked on until it is stopped.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use sam_domain::access::wire::{JoinToken, Joined, WorkspaceTokens};
use sam_domain::conversation::row::{Author, RowBody, RowUpsert, TextBody, ToolBody, ToolStatus};
use sam_domain::conversation::wire::{ActivityState, BatchAnswer, MessageBatch, RowOutcome};
use sam_domain::id::{CommandId, Id as _, NodeId, PromptId, RowId, WorkspaceId};
use sam_domain::link::agent_end::{AgentEnd, Do, Draft, Identity, Outcome, Stored};
use sam_domain::link::frame::{Action, AgentState, Command, Event, NodeFacts, PING, StopReason};
use sam_domain::time::Timestamp;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::insist::insist;
use crate::{Client, Result, Socket, ensure, failure};

/// How long a pause between two connections is.
const PAUSE: Duration = Duration::from_millis(20);
/// How often it shows that it is there.
const PING_EVERY: Duration = Duration::from_millis(500);
/// How long nothing may come.
const QUIET: Duration = Duration::from_secs(600);

/// A machine at work until it is dropped.
#[derive(Debug)]
pub struct SteadyNode {
    /// Its id.
    pub node: NodeId,
    client: Client,
    work: JoinHandle<()>,
    trouble: Arc<Mutex<Vec<String>>>,
}

impl Drop for SteadyNode {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl SteadyNode {
    /// Joins as a machine of this person's and opens its link.
    ///
    /// # Errors
    /// When a step is refused.
    pub async fn join(person: &Client, anyone: &Client) -> Result<Self> {
        let join: JoinToken = person
            .post("/api/nodes/join-tokens", &json!({}))
            .await?
            .json()?;
        let store_id = join.expires_at.0.to_string();
        let joined: Joined = insist("the join", &anyone.with_token(&join.token), |client| {
            client
                .request(Method::POST, "/api/nodes/join")
                .json(&json!({"store_id": store_id, "name": "steady"}))
        })
        .await?
        .json()?;
        let identity = Identity {
            store_id,
            boot_id: "boot-1".to_owned(),
            boots: None,
            version: "steady".to_owned(),
            facts: NodeFacts {
                os: "linux".to_owned(),
                arch: "x86_64".to_owned(),
                hostname: "steady".to_owned(),
                cpus: 2,
                memory_bytes: 1 << 32,
                disk_free_bytes: 1 << 36,
                version: "steady".to_owned(),
                agents: vec!["sam-harness".to_owned()],
                max_workspaces: 4,
                ..NodeFacts::default()
            },
        };
        let trouble = Arc::default();
        let machine = Machine {
            node: joined.node.clone(),
            client: anyone.with_token(&joined.token),
            anyone: anyone.clone(),
            end: AgentEnd::restore(identity, Stored::default()),
            held: None,
            begun: BTreeSet::new(),
            rows: 0,
            trouble: Arc::clone(&trouble),
        };
        Ok(Self {
            node: joined.node,
            client: machine.client.clone(),
            work: tokio::spawn(machine.run()),
            trouble,
        })
    }

    /// Fetches the tokens of a workspace placed here.
    ///
    /// # Errors
    /// When they are refused.
    pub async fn tokens(&self, workspace: &WorkspaceId) -> Result<WorkspaceTokens> {
        tokens(&self.client, &self.node, workspace).await
    }

    /// What the machine could not do, or was asked to do twice.
    #[must_use]
    pub fn trouble(&self) -> Vec<String> {
        self.trouble
            .lock()
            .map(|trouble| trouble.clone())
            .unwrap_or_default()
    }
}

struct Machine {
    node: NodeId,
    client: Client,
    anyone: Client,
    end: AgentEnd,
    /// The prompt that is worked on until it is stopped.
    held: Option<(Command, PromptId)>,
    begun: BTreeSet<CommandId>,
    /// Row upserts so far.
    rows: u64,
    trouble: Arc<Mutex<Vec<String>>>,
}

impl Machine {
    async fn run(mut self) {
        loop {
            // A link that breaks is what this machine is made for.
            let _ = self.connected().await;
            self.end.disconnected();
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn connected(&mut self) -> Result {
        let path = format!("/api/nodes/{}/link", self.node);
        let mut link = self.client.socket(&path).await?;
        let hello = self.end.connected();
        self.perform(&mut link, hello).await?;
        let mut ping = tokio::time::interval(PING_EVERY);
        loop {
            tokio::select! {
                frame = link.next(QUIET) => {
                    let outcome = self.end.frame(frame?);
                    self.perform(&mut link, outcome).await?;
                }
                _ = ping.tick() => link.send_text(PING).await?,
            }
        }
    }

    /// Does what the end of the link asks for. What is begun is done before the next frame is read;
    /// its events are kept even if the link breaks meanwhile.
    async fn perform(&mut self, link: &mut Socket, outcome: Outcome) -> Result {
        let mut broken = Ok(());
        for step in outcome.then {
            match step {
                Do::Send(frame) if broken.is_ok() => broken = link.send(&frame).await,
                Do::Send(_) => {}
                Do::Begin(command) => {
                    for outcome in self.begin(command).await {
                        for step in outcome.then {
                            if let (Do::Send(frame), true) = (step, broken.is_ok()) {
                                broken = link.send(&frame).await;
                            }
                        }
                    }
                }
                Do::Close { reason, for_good } => {
                    if for_good {
                        self.complain(format!("the link was closed for good: {reason}"));
                    }
                    return Err(failure(reason));
                }
            }
        }
        broken
    }

    fn complain(&self, what: String) {
        if let Ok(mut trouble) = self.trouble.lock() {
            trouble.push(what);
        }
    }

    fn draft(command: &Command, event: Event) -> Draft {
        Draft {
            workspace: Some(command.workspace.clone()),
            attempt: command.attempt,
            at: now(),
            event,
        }
    }

    fn finish(&mut self, command: &Command, events: Vec<Event>) -> Outcome {
        let done = Event::CommandDone {
            command: command.id.clone(),
        };
        let drafts = events.into_iter().chain([done]);
        let drafts = drafts.map(|event| Self::draft(command, event)).collect();
        self.end.finish(&command.id, drafts)
    }

    async fn begin(&mut self, command: Command) -> Vec<Outcome> {
        if !self.begun.insert(command.id.clone()) {
            self.complain(format!("{} was begun twice", command.action.word()));
        }
        let mut done = Vec::new();
        match &command.action {
            Action::PrepareWorkspace { branch, .. } => {
                let phase = Event::WorkspacePhase {
                    phase: "cloning".to_owned(),
                };
                done.push(self.end.emit(Self::draft(&command, phase)));
                let ready = Event::WorkspaceReady {
                    branch: branch.clone(),
                    base_commit: "0".repeat(40),
                };
                done.push(self.finish(&command, vec![ready]));
            }
            Action::StartAgent { agent_session, .. } => {
                let ready = Event::AgentState {
                    agent_session: agent_session.clone(),
                    state: AgentState::Ready,
                };
                done.push(self.finish(&command, vec![ready]));
            }
            Action::Prompt {
                agent_session,
                prompt,
                text,
                ..
            } => {
                let activity = |state| Event::AgentState {
                    agent_session: agent_session.clone(),
                    state: AgentState::Activity { state },
                };
                let started = Event::PromptStarted {
                    prompt: prompt.clone(),
                };
                done.push(self.end.emit(Self::draft(&command, started)));
                let busy = activity(ActivityState::Prompting);
                done.push(self.end.emit(Self::draft(&command, busy)));
                if text.contains("hold") {
                    self.held = Some((command.clone(), prompt.clone()));
                } else {
                    if let Err(error) = self.say(&command.workspace, text).await {
                        self.complain(format!("rows: {error}"));
                    }
                    let finished = Event::PromptFinished {
                        prompt: prompt.clone(),
                        stop_reason: StopReason::EndTurn,
                        rows_through: self.rows,
                    };
                    let idle = activity(ActivityState::Idle);
                    done.push(self.finish(&command, vec![finished, idle]));
                }
            }
            Action::AnswerPermission { .. } => done.push(self.finish(&command, Vec::new())),
            Action::CancelPrompt { .. } | Action::StopAgent => {
                if let Some((held, prompt)) = self.held.take() {
                    let finished = Event::PromptFinished {
                        prompt,
                        stop_reason: StopReason::Cancelled,
                        rows_through: self.rows,
                    };
                    done.push(self.finish(&held, vec![finished]));
                }
                done.push(self.finish(&command, Vec::new()));
            }
            Action::FinishGit { .. } => {
                let result = Event::GitResult {
                    commit: Some("1".repeat(40)),
                    push_error: None,
                    files_changed: 1,
                    added: 2,
                    removed: 1,
                    diff: None,
                };
                done.push(self.finish(&command, vec![result]));
            }
            Action::DeleteWorkspace => done.push(self.finish(&command, Vec::new())),
        }
        done
    }

    /// Two batches: a text that begins and a tool call, then both at their end.
    async fn say(&mut self, workspace: &WorkspaceId, prompt: &str) -> Result {
        let tokens = tokens(&self.client, &self.node, workspace).await?;
        let client = self.anyone.with_token(&tokens.workspace_token);
        let first = self.rows;
        let ids = [1, 2].map(|row| RowId::mint(now(), u128::from(first * 10 + row)));
        for rev in [1, 2] {
            let ended = rev == 2;
            let text = TextBody {
                text: format!("about {prompt}: part {rev}"),
                ended_at: ended.then(now),
                ..TextBody::default()
            };
            let tool = ToolBody {
                title: "look around".to_owned(),
                status: if ended {
                    ToolStatus::Completed
                } else {
                    ToolStatus::InProgress
                },
                ended_at: ended.then(now),
                ..ToolBody::default()
            };
            let bodies = [RowBody::Text(text), RowBody::Tool(Box::new(tool))];
            let rows = ids.iter().zip(bodies).map(|(id, body)| {
                self.rows += 1;
                RowUpsert {
                    n: self.rows,
                    id: id.clone(),
                    rev,
                    author: Author::Agent,
                    created_at: now(),
                    body,
                }
            });
            let batch = MessageBatch {
                rows: rows.collect(),
            };
            post(&client, workspace, &batch).await?;
        }
        Ok(())
    }
}

async fn tokens(
    client: &Client,
    node: &NodeId,
    workspace: &WorkspaceId,
) -> Result<WorkspaceTokens> {
    let path = format!("/api/nodes/{node}/tokens");
    insist("tokens", client, |client| {
        client
            .request(Method::POST, &path)
            .json(&json!({"workspace": workspace}))
    })
    .await?
    .json()
}

/// Posts a batch until it is stored.
///
/// # Errors
/// When a row of it is refused.
pub async fn post(client: &Client, workspace: &WorkspaceId, batch: &MessageBatch) -> Result {
    let path = format!("/api/workspaces/{workspace}/messages");
    let answer: BatchAnswer = insist("a batch is stored", client, |client| {
        client.request(Method::POST, &path).json(batch)
    })
    .await?
    .json()?;
    ensure(!answer.outcomes.contains(&RowOutcome::Refused), || {
        format!("rows were refused: {answer:?}")
    })
}

fn now() -> Timestamp {
    Timestamp(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }),
    )
}
