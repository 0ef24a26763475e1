//! One workspace: takes its commands and sees them through.
//!
//! Model: an actor with a queue. Preparing, finishing and deleting are jobs,
//! one at a time; an agent is a task of its own that is fed prompts. Commands
//! wait their turn, except those that end something: a cancel and a stop
//! overtake, a delete ends everything before it.
//!
//! Every command that was begun is finished by someone here, exactly once.

mod jobs;

use crate::agent::{self, AgentCommand, AgentNotice, StartAgent};
use crate::hub::{Failure, Subject};
use crate::log::warning;
use crate::machine::Machine;
use jobs::{delete, deleted, fail, finish, never_ran, prepare, too_late};
use sam_domain::id::{PromptId, WorkspaceId};
use sam_domain::link::frame::{Action, Command, StopReason};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What the actor is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// Begin a command.
    Command(Box<Command>),
    /// The vm-agent ends: end the agent, leave the jobs for the next start.
    Shutdown,
}

struct Job {
    command: Command,
    task: JoinHandle<()>,
}

struct Agent {
    tell: mpsc::UnboundedSender<AgentCommand>,
    ready: bool,
    task: JoinHandle<()>,
}

struct Actor {
    machine: Arc<Machine>,
    workspace: WorkspaceId,
    queue: VecDeque<Command>,
    job: Option<Job>,
    agent: Option<Agent>,
    ending: bool,
}

/// Starts the actor of a workspace.
pub(crate) fn start(
    machine: &Arc<Machine>,
    workspace: &WorkspaceId,
) -> (mpsc::UnboundedSender<Message>, JoinHandle<()>) {
    let (tell, told) = mpsc::unbounded_channel();
    let actor = Actor {
        machine: Arc::clone(machine),
        workspace: workspace.clone(),
        queue: VecDeque::new(),
        job: None,
        agent: None,
        ending: false,
    };
    (tell, tokio::spawn(actor.run(told)))
}

impl Actor {
    async fn run(mut self, mut told: mpsc::UnboundedReceiver<Message>) {
        let (notify, mut notices) = mpsc::unbounded_channel();
        loop {
            self.pump(&notify).await;
            if self.ending && self.agent.is_none() {
                return;
            }
            let job = async {
                match self.job.as_mut() {
                    Some(job) => (&mut job.task).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = told.recv() => match message {
                    Some(Message::Command(command)) => self.take(*command).await,
                    Some(Message::Shutdown) | None => self.shut_down(),
                },
                ended = job => {
                    let job = self.job.take();
                    if let (Err(error), Some(job)) = (ended, job) {
                        warning!("a job in {} broke: {error}", self.workspace);
                        let failure = Failure::new("internal", "The vm-agent failed at it.");
                        fail(&self.machine, &job.command, failure).await;
                    }
                }
                Some(notice) = notices.recv() => match notice {
                    AgentNotice::Ready => {
                        if let Some(agent) = self.agent.as_mut() {
                            agent.ready = true;
                        }
                    }
                    AgentNotice::Ended => {
                        if let Some(agent) = self.agent.take() {
                            let _ = agent.task.await;
                        }
                    }
                },
            }
        }
    }

    fn shut_down(&mut self) {
        self.ending = true;
        self.queue.clear();
        if let Some(job) = self.job.take() {
            job.task.abort();
        }
        if let Some(agent) = &self.agent {
            let _ = agent.tell.send(AgentCommand::Shutdown);
        }
    }

    async fn take(&mut self, command: Command) {
        match &command.action {
            Action::CancelPrompt { prompt } => {
                let prompt = prompt.clone();
                self.cancel(command, &prompt).await;
            }
            Action::AnswerPermission { permission, option } => {
                let message = AgentCommand::Answer {
                    command: command.id.clone(),
                    permission: permission.clone(),
                    option: option.clone(),
                };
                self.tell_agent(command, message).await;
            }
            Action::StopAgent => {
                self.drop_waiting(false).await;
                self.stop(command).await;
            }
            Action::DeleteWorkspace => {
                self.drop_waiting(true).await;
                if let Some(job) = self.job.take() {
                    job.task.abort();
                    // One that was faster has reported its own end.
                    if job.task.await.is_err() {
                        fail(&self.machine, &job.command, deleted()).await;
                    }
                }
                if let Some(agent) = &self.agent {
                    let _ = agent.tell.send(AgentCommand::Shutdown);
                }
                self.queue.push_back(command);
            }
            Action::PrepareWorkspace { .. }
            | Action::StartAgent { .. }
            | Action::Prompt { .. }
            | Action::FinishGit { .. } => self.queue.push_back(command),
        }
    }

    async fn cancel(&mut self, command: Command, prompt: &PromptId) {
        let waiting = self.queue.iter().position(
            |held| matches!(&held.action, Action::Prompt { prompt: held, .. } if held == prompt),
        );
        if let Some(waiting) = waiting.and_then(|at| self.queue.remove(at)) {
            never_ran(&self.machine, &waiting, prompt, StopReason::Cancelled).await;
        } else if let Some(agent) = &self.agent {
            let message = AgentCommand::Cancel {
                command: command.id.clone(),
                prompt: prompt.clone(),
            };
            if agent.tell.send(message).is_ok() {
                return;
            }
        }
        self.done(&command).await;
    }

    async fn stop(&mut self, command: Command) {
        let message = AgentCommand::Stop {
            command: command.id.clone(),
        };
        self.tell_agent(command, message).await;
    }

    /// Hands a command to the agent; without one it is done.
    async fn tell_agent(&mut self, command: Command, message: AgentCommand) {
        if let Some(agent) = &self.agent
            && agent.tell.send(message).is_ok()
        {
            return;
        }
        self.done(&command).await;
    }

    /// Finishes commands that wait for an agent, or (`all`) for anything.
    async fn drop_waiting(&mut self, all: bool) {
        for command in std::mem::take(&mut self.queue) {
            match &command.action {
                Action::Prompt { prompt, .. } => {
                    let reason = "the agent was stopped before".to_owned();
                    never_ran(
                        &self.machine,
                        &command,
                        prompt,
                        StopReason::NeverRan { reason },
                    )
                    .await;
                }
                Action::StartAgent { .. } => {
                    let failure =
                        Failure::new("stopped", "The agent was stopped before it started.");
                    fail(&self.machine, &command, failure).await;
                }
                _ if all => fail(&self.machine, &command, deleted()).await,
                _ => self.queue.push_back(command),
            }
        }
    }

    /// Begins whatever can begin now.
    async fn pump(&mut self, notify: &mpsc::UnboundedSender<AgentNotice>) {
        while self.job.is_none()
            && self.agent.as_ref().is_none_or(|agent| agent.ready)
            && !self.ending
        {
            let Some(command) = self.queue.pop_front() else {
                return;
            };
            let machine = Arc::clone(&self.machine);
            let job = command.clone();
            match &command.action {
                Action::PrepareWorkspace { .. } => self.begin(command, prepare(machine, job)),
                Action::FinishGit { .. } => self.begin(command, finish(machine, job)),
                Action::DeleteWorkspace => {
                    if self.agent.is_some() {
                        // It is on its way out; its end comes back here.
                        self.queue.push_front(command);
                        return;
                    }
                    self.begin(command, delete(machine, job));
                }
                Action::StartAgent { .. } => {
                    if let Some(older) = &self.agent {
                        // It is on its way out, or the control plane gave it up. Its end
                        // comes back here, and then the newer one begins.
                        let _ = older.tell.send(AgentCommand::Shutdown);
                        self.queue.push_front(command);
                        return;
                    }
                    self.start_agent(command, notify);
                }
                Action::Prompt {
                    prompt,
                    text,
                    body,
                    context,
                    ..
                } => {
                    let message = AgentCommand::Prompt {
                        command: command.id.clone(),
                        prompt: prompt.clone(),
                        text: text.clone(),
                        body: body.clone(),
                        context: context.clone(),
                    };
                    let taken = self
                        .agent
                        .as_ref()
                        .is_some_and(|agent| agent.tell.send(message).is_ok());
                    if !taken {
                        let reason = "no agent is running".to_owned();
                        never_ran(&machine, &command, prompt, StopReason::NeverRan { reason })
                            .await;
                    }
                }
                Action::CancelPrompt { .. }
                | Action::AnswerPermission { .. }
                | Action::StopAgent => self.done(&command).await,
            }
        }
    }

    fn begin(&mut self, command: Command, job: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(job);
        self.job = Some(Job { command, task });
    }

    fn start_agent(&mut self, command: Command, notify: &mpsc::UnboundedSender<AgentNotice>) {
        let Action::StartAgent {
            agent_session,
            agent,
            model,
            permission_mode,
        } = &command.action
        else {
            return;
        };
        let start = StartAgent {
            subject: Subject::of(&command),
            command: command.id.clone(),
            agent_session: agent_session.clone(),
            agent: agent.clone(),
            model: model.clone(),
            permission_mode: *permission_mode,
            remaining: command.remaining,
        };
        let (tell, mut queue) = mpsc::unbounded_channel();
        let (machine, notify) = (Arc::clone(&self.machine), notify.clone());
        let task = tokio::spawn(async move {
            let subject = start.subject.clone();
            agent::run(Arc::clone(&machine), start, &mut queue, &notify).await;
            queue.close();
            while let Some(late) = queue.recv().await {
                too_late(&machine, &subject, late).await;
            }
        });
        self.agent = Some(Agent {
            tell,
            ready: false,
            task,
        });
    }

    async fn done(&self, command: &Command) {
        self.machine
            .hub
            .done(&Subject::of(command), &command.id, Vec::new(), |_| Ok(()))
            .await;
    }
}
