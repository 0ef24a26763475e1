//! A machine whose every word the test writes: it joins, keeps the link and answers commands as the
//! test says. It is how tests bring a task to any point without a real agent.

use std::time::Duration;

use sam_domain::access::wire::{JoinToken, Joined, WorkspaceTokens};
use sam_domain::id::{NodeId, WorkspaceId};
use sam_domain::link::frame::{
    Action, AgentFrame, AgentState, Command, Event, EventFrame, NodeFacts, ObjectFrame, PROTOCOL,
    StopReason,
};
use sam_domain::time::Timestamp;
use serde_json::json;

use crate::{Client, Result, Socket, Stack, failure};

/// How long the control plane may take for one step.
const PATIENCE: Duration = Duration::from_secs(20);

/// A scripted machine with an open link.
#[derive(Debug)]
pub struct ScriptedNode {
    /// Its id.
    pub node: NodeId,
    /// Its token.
    pub token: String,
    client: Client,
    link: Socket,
    hello: AgentFrame,
    next_event: u64,
    waiting: Vec<Command>,
}

impl ScriptedNode {
    /// Joins the stack as its admin's machine and opens the link.
    ///
    /// # Errors
    /// When a step is refused.
    pub async fn join(stack: &Stack, name: &str) -> Result<Self> {
        Self::join_as(stack.admin()?, name, 4).await
    }

    /// Joins as this person's machine, with so many places for workspaces, and opens the link.
    ///
    /// # Errors
    /// When a step is refused.
    pub async fn join_as(owner: &Client, name: &str, places: u32) -> Result<Self> {
        let join: JoinToken = owner
            .post("/api/nodes/join-tokens", &json!({}))
            .await?
            .json()?;
        let store_id = format!("store-{name}");
        let joined: Joined = owner
            .with_token(&join.token)
            .post(
                "/api/nodes/join",
                &json!({"store_id": store_id, "name": name}),
            )
            .await?
            .json()?;
        let client = owner.with_token(&joined.token);
        let link = client
            .socket(&format!("/api/nodes/{}/link", joined.node))
            .await?;
        let mut node = Self {
            node: joined.node,
            token: joined.token,
            client,
            link,
            hello: hello(name, &store_id, places),
            next_event: 1,
            waiting: Vec::new(),
        };
        node.greet().await?;
        Ok(node)
    }

    /// Opens the link again, after it was closed.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn relink(&mut self) -> Result {
        let path = format!("/api/nodes/{}/link", self.node);
        self.link = self.client.socket(&path).await?;
        self.greet().await
    }

    async fn greet(&mut self) -> Result {
        if let AgentFrame::Hello { next_event, .. } = &mut self.hello {
            *next_event = self.next_event;
        }
        self.link.send(&self.hello).await?;
        self.waiting = self
            .link
            .until("the welcome", PATIENCE, |frame| match frame {
                ObjectFrame::Welcome { commands, .. } => Some(commands),
                _ => None,
            })
            .await?;
        Ok(())
    }

    /// Waits until the control plane has closed the link, and returns why.
    ///
    /// # Errors
    /// When it stays open, or is closed without a word.
    pub async fn until_turned_away(&mut self) -> Result<String> {
        let reason = self
            .link
            .until("a farewell", PATIENCE, |frame| match frame {
                ObjectFrame::Bye { reason } => Some(reason),
                _ => None,
            })
            .await?;
        while self.link.next_text(PATIENCE).await?.is_some() {}
        Ok(reason)
    }

    /// The next command, acknowledged.
    ///
    /// # Errors
    /// When none comes.
    pub async fn command(&mut self) -> Result<Command> {
        let command = if self.waiting.is_empty() {
            self.link
                .until("a command", PATIENCE, |frame| match frame {
                    ObjectFrame::Command(command) => Some(command),
                    _ => None,
                })
                .await?
        } else {
            self.waiting.remove(0)
        };
        self.link
            .send(&AgentFrame::Ack {
                command: command.id.clone(),
            })
            .await?;
        Ok(command)
    }

    /// Reports an event of a workspace.
    ///
    /// # Errors
    /// When the link is gone.
    pub async fn report(
        &mut self,
        workspace: &WorkspaceId,
        attempt: u32,
        event: Event,
    ) -> Result<u64> {
        let n = self.next_event;
        self.next_event += 1;
        self.link
            .send(&AgentFrame::Event(EventFrame {
                n,
                workspace: Some(workspace.clone()),
                attempt,
                at: Timestamp(now()),
                event,
            }))
            .await?;
        Ok(n)
    }

    /// Reports that a command is done.
    ///
    /// # Errors
    /// When the link is gone.
    pub async fn done(&mut self, command: &Command) -> Result<u64> {
        let event = Event::CommandDone {
            command: command.id.clone(),
        };
        self.report(&command.workspace, command.attempt, event)
            .await
    }

    /// Waits until the control plane has stored this event with its effects.
    ///
    /// # Errors
    /// When it does not say so.
    pub async fn stored(&mut self, event: u64) -> Result {
        let waiting = &mut self.waiting;
        self.link
            .until("the event is stored", PATIENCE, |frame| match frame {
                ObjectFrame::Acked { n, .. } if n >= event => Some(()),
                ObjectFrame::Command(command) => {
                    waiting.push(command);
                    None
                }
                _ => None,
            })
            .await
    }

    /// Plays a task up to the moment at which its agent has its first prompt: the workspace is made,
    /// the agent is ready, the prompt was taken. Returns that command.
    ///
    /// # Errors
    /// When other commands come than a task begins with.
    pub async fn play_to_prompt(&mut self) -> Result<Command> {
        loop {
            let command = self.command().await?;
            match &command.action {
                Action::PrepareWorkspace { .. } | Action::StartAgent { .. } => {
                    let done = self.play(&command).await?;
                    self.stored(done).await?;
                }
                Action::Prompt { .. } => {
                    self.play(&command).await?;
                    return Ok(command);
                }
                other => {
                    return Err(failure(format!(
                        "a task does not begin with {}",
                        other.word()
                    )));
                }
            }
        }
    }

    /// Reports that a prompt's turn is over as it should be, with rows up to this number.
    ///
    /// # Errors
    /// When the link is gone.
    pub async fn finish(&mut self, command: &Command, rows_through: u64) -> Result<u64> {
        let Action::Prompt { prompt, .. } = &command.action else {
            return Err(failure("only a prompt is finished"));
        };
        let event = Event::PromptFinished {
            prompt: prompt.clone(),
            stop_reason: StopReason::EndTurn,
            rows_through,
        };
        self.report(&command.workspace, command.attempt, event)
            .await?;
        self.done(command).await
    }

    /// Does what a command asks, as far as it needs no more than saying so: makes workspaces, starts
    /// and stops agents, commits nothing, deletes. A prompt is begun, a cancelled one is not ended.
    ///
    /// # Errors
    /// When the link is gone.
    pub async fn play(&mut self, command: &Command) -> Result<u64> {
        let event = match &command.action {
            Action::PrepareWorkspace { branch, .. } => Event::WorkspaceReady {
                branch: branch.clone(),
                base_commit: "0".repeat(40),
            },
            Action::StartAgent { agent_session, .. } => Event::AgentState {
                agent_session: agent_session.clone(),
                state: AgentState::Ready,
            },
            Action::Prompt { prompt, .. } => {
                let event = Event::PromptStarted {
                    prompt: prompt.clone(),
                };
                return self
                    .report(&command.workspace, command.attempt, event)
                    .await;
            }
            Action::FinishGit { .. } => Event::GitResult {
                commit: None,
                push_error: None,
                files_changed: 0,
                added: 0,
                removed: 0,
                diff: None,
            },
            Action::CancelPrompt { .. }
            | Action::AnswerPermission { .. }
            | Action::StopAgent
            | Action::DeleteWorkspace => {
                return self.done(command).await;
            }
        };
        self.report(&command.workspace, command.attempt, event)
            .await?;
        self.done(command).await
    }

    /// Fetches the tokens of a workspace placed here.
    ///
    /// # Errors
    /// When they are refused.
    pub async fn tokens(&self, workspace: &WorkspaceId) -> Result<WorkspaceTokens> {
        self.client
            .post(
                &format!("/api/nodes/{}/tokens", self.node),
                &json!({"workspace": workspace}),
            )
            .await?
            .json()
    }

    /// The machine as a client of the API, with its node token.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }
}

fn hello(name: &str, store_id: &str, places: u32) -> AgentFrame {
    AgentFrame::Hello {
        protocol: PROTOCOL,
        version: "scripted".to_owned(),
        store_id: store_id.to_owned(),
        boot_id: "boot-1".to_owned(),
        boots: None,
        facts: NodeFacts {
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            hostname: name.to_owned(),
            cpus: 2,
            memory_bytes: 1 << 32,
            disk_free_bytes: 1 << 36,
            version: "scripted".to_owned(),
            agents: ["sam-harness", "goose", "claude-code", "codex"]
                .map(str::to_owned)
                .to_vec(),
            max_workspaces: places,
            ..NodeFacts::default()
        },
        open_commands: Vec::new(),
        next_event: 1,
    }
}

/// The moment, in milliseconds, as a machine tells it.
fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}
