//! A machine whose every word the test writes: it joins, keeps the link and answers commands as the
//! test says. It is how tests bring a task to any point without a real agent.

use std::time::Duration;

use sam_domain::access::wire::{JoinToken, Joined, WorkspaceTokens};
use sam_domain::id::{NodeId, WorkspaceId};
use sam_domain::link::frame::{
    Action, AgentFrame, AgentState, Command, Event, EventFrame, NodeFacts, ObjectFrame, PROTOCOL,
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
    next_event: u64,
    waiting: Vec<Command>,
}

impl ScriptedNode {
    /// Joins the stack as its admin's machine and opens the link.
    ///
    /// # Errors
    /// When a step is refused.
    pub async fn join(stack: &Stack, name: &str) -> Result<Self> {
        let join: JoinToken = stack
            .admin()?
            .post("/api/nodes/join-tokens", &json!({}))
            .await?
            .json()?;
        let store_id = format!("store-{name}");
        let joined: Joined = stack
            .anyone()?
            .with_token(&join.token)
            .post(
                "/api/nodes/join",
                &json!({"store_id": store_id, "name": name}),
            )
            .await?
            .json()?;
        let client = stack.anyone()?.with_token(&joined.token);
        let link = client
            .socket(&format!("/api/nodes/{}/link", joined.node))
            .await?;
        let mut node = Self {
            node: joined.node,
            token: joined.token,
            client,
            link,
            next_event: 1,
            waiting: Vec::new(),
        };
        let hello = AgentFrame::Hello {
            protocol: PROTOCOL,
            version: "scripted".to_owned(),
            store_id,
            boot_id: "boot-1".to_owned(),
            facts: NodeFacts {
                os: "linux".to_owned(),
                arch: "x86_64".to_owned(),
                hostname: name.to_owned(),
                cpus: 2,
                memory_bytes: 1 << 32,
                disk_free_bytes: 1 << 36,
                version: "scripted".to_owned(),
                agents: vec!["sam-harness".to_owned(), "goose".to_owned()],
                max_workspaces: 4,
            },
            open_commands: Vec::new(),
            next_event: 1,
        };
        node.link.send(&hello).await?;
        let welcome = node
            .link
            .until("the welcome", PATIENCE, |frame| match frame {
                ObjectFrame::Welcome { commands, .. } => Some(commands),
                _ => None,
            })
            .await?;
        node.waiting = welcome;
        Ok(node)
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
                    self.report(&command.workspace, command.attempt, event)
                        .await?;
                    return Ok(command);
                }
                other => {
                    return Err(failure(format!(
                        "a task does not begin with {}",
                        other.word()
                    )));
                }
            };
            self.report(&command.workspace, command.attempt, event)
                .await?;
            let done = self.done(&command).await?;
            self.stored(done).await?;
        }
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

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}
