//! One workspace: takes its commands and sees them through.
//!
//! Model: an actor with a queue. Preparing, finishing and deleting are jobs,
//! one at a time; an agent is a task of its own that is fed prompts. Commands
//! wait their turn, except those that end something: a cancel and a stop
//! overtake, a delete ends everything before it.
//!
//! Every command that was begun is finished by someone here, exactly once.

use crate::agent::{self, AgentCommand, AgentNotice, StartAgent};
use crate::api::{ApiFailure, Backoff};
use crate::git::{self, Finished, Wanted};
use crate::hub::{Failure, Subject};
use crate::log::{info, warning};
use crate::machine::Machine;
use crate::rows;
use crate::store::{self, WorkspaceRecord};
use sam_domain::conversation::row::BodyRef;
use sam_domain::id::{PromptId, WorkspaceId};
use sam_domain::link::frame::{Action, Command, Event, StopReason};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What the actor is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// Begin a command.
    Command(Command),
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
                    Some(Message::Command(command)) => self.take(command).await,
                    Some(Message::Shutdown) | None => self.shut_down(),
                },
                ended = job => {
                    if let Err(error) = ended {
                        warning!("a job in {} broke: {error}", self.workspace);
                        self.fail_job(Failure::new("internal", "The vm-agent failed at it.")).await;
                    }
                    self.job = None;
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
            Action::StopAgent => {
                self.drop_waiting(false).await;
                self.stop(command).await;
            }
            Action::DeleteWorkspace => {
                self.drop_waiting(true).await;
                if let Some(job) = &self.job {
                    job.task.abort();
                }
                self.fail_job(deleted()).await;
                self.job = None;
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
        if let Some(agent) = &self.agent {
            let message = AgentCommand::Stop {
                command: command.id.clone(),
            };
            if agent.tell.send(message).is_ok() {
                return;
            }
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

    async fn fail_job(&mut self, failure: Failure) {
        if let Some(job) = &self.job {
            fail(&self.machine, &job.command, failure).await;
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
                Action::StartAgent { .. } => self.start_agent(command, notify).await,
                Action::Prompt {
                    prompt,
                    text,
                    context,
                    ..
                } => {
                    let message = AgentCommand::Prompt {
                        command: command.id.clone(),
                        prompt: prompt.clone(),
                        text: text.clone(),
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
                Action::CancelPrompt { .. } | Action::StopAgent => self.done(&command).await,
            }
        }
    }

    fn begin(&mut self, command: Command, job: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(job);
        self.job = Some(Job { command, task });
    }

    async fn start_agent(&mut self, command: Command, notify: &mpsc::UnboundedSender<AgentNotice>) {
        let Action::StartAgent {
            agent_session,
            agent,
            model,
        } = &command.action
        else {
            return;
        };
        if self.agent.is_some() {
            let failure = Failure::new("agent_running", "An agent is running in this workspace.");
            return fail(&self.machine, &command, failure).await;
        }
        let start = StartAgent {
            subject: Subject::of(&command),
            command: command.id.clone(),
            agent_session: agent_session.clone(),
            agent: agent.clone(),
            model: model.clone(),
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

/// Finishes a command that reached an agent after its end.
async fn too_late(machine: &Machine, subject: &Subject, late: AgentCommand) {
    let (command, events) = match late {
        AgentCommand::Prompt {
            command, prompt, ..
        } => {
            let event = Event::PromptFinished {
                prompt,
                stop_reason: StopReason::NeverRan {
                    reason: "the agent had ended".to_owned(),
                },
                rows_through: 0,
            };
            (command, vec![event])
        }
        AgentCommand::Cancel { command, .. } | AgentCommand::Stop { command } => {
            (command, Vec::new())
        }
        AgentCommand::Shutdown => return,
    };
    machine
        .hub
        .done(subject, &command, events, |_| Ok(()))
        .await;
}

fn deleted() -> Failure {
    Failure::new("workspace_deleted", "The workspace was deleted meanwhile.")
}

async fn fail(machine: &Machine, command: &Command, failure: Failure) {
    machine
        .hub
        .failed(
            &Subject::of(command),
            &command.id,
            Vec::new(),
            failure,
            |_| Ok(()),
        )
        .await;
}

async fn never_ran(machine: &Machine, command: &Command, prompt: &PromptId, why: StopReason) {
    let event = Event::PromptFinished {
        prompt: prompt.clone(),
        stop_reason: why,
        rows_through: 0,
    };
    machine
        .hub
        .done(&Subject::of(command), &command.id, vec![event], |_| Ok(()))
        .await;
}

/// Bounds a job by the time its command has left.
async fn in_time<T>(
    command: &Command,
    job: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let limit = Duration::from_millis(command.remaining.0);
    match tokio::time::timeout(limit, job).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(
            "timed_out",
            format!("{} took longer than the time given.", command.action.word()),
        )),
    }
}

async fn prepare(machine: Arc<Machine>, command: Command) {
    let Action::PrepareWorkspace {
        session,
        task,
        repository,
        base,
        branch,
    } = &command.action
    else {
        return;
    };
    let subject = Subject::of(&command);
    let layout = machine.layout(&command.workspace);
    let wanted = Wanted {
        repository: repository.clone(),
        base: base.clone(),
        branch: branch.clone(),
    };
    let work = async {
        let (began, mut phases) = mpsc::unbounded_channel();
        let preparing = git::prepare(&machine.store, &layout, &wanted, |phase| {
            let _ = began.send(phase);
        });
        tokio::pin!(preparing);
        loop {
            tokio::select! {
                biased;
                Some(phase) = phases.recv() => {
                    let event = Event::WorkspacePhase { phase: str::to_owned(phase) };
                    machine.hub.report(&subject, vec![event], |_| Ok(())).await;
                }
                prepared = &mut preparing => return prepared.map_err(Failure::from),
            }
        }
    };
    match in_time(&command, work).await {
        Ok(prepared) => {
            let record = WorkspaceRecord {
                id: command.workspace.clone(),
                attempt: command.attempt,
                session: session.clone(),
                task: task.clone(),
                repository: repository.clone(),
                branch: branch.clone(),
                base_commit: prepared.base_commit.clone(),
                start_commit: prepared.start_commit,
            };
            let ready = Event::WorkspaceReady {
                branch: branch.clone(),
                base_commit: prepared.base_commit,
            };
            info!("{} is prepared on {branch}", command.workspace);
            machine
                .hub
                .done(&subject, &command.id, vec![ready], |tx| {
                    store::put_workspace(tx, &record)
                })
                .await;
        }
        Err(failure) => {
            let folders = layout.clone();
            let removed = tokio::task::spawn_blocking(move || folders.remove()).await;
            if !matches!(removed, Ok(Ok(()))) {
                warning!("what was made of {} cannot be removed", command.workspace);
            }
            fail(&machine, &command, failure).await;
        }
    }
}

fn disk(error: crate::store::StoreError) -> Failure {
    if error.is_full() {
        return crate::git::GitFailure::disk_full().into();
    }
    Failure::new("workspace_failed", error.to_string())
}

async fn finish(machine: Arc<Machine>, command: Command) {
    let Action::FinishGit { message } = &command.action else {
        return;
    };
    let work = async {
        let record = machine
            .store
            .workspace(&command.workspace)
            .map_err(disk)?
            .ok_or_else(|| Failure::new("no_workspace", "The workspace is not on this machine."))?;
        let layout = machine.layout(&command.workspace);
        let welcomed = machine.hub.until_welcomed();
        let finished = git::finish(&machine.store, &layout, &record, message, welcomed).await?;
        let diff = match finished.diff.clone() {
            Some(diff) => deliver_diff(&machine, &command.workspace, diff).await,
            None => None,
        };
        Ok((finished, diff))
    };
    match in_time(&command, work).await {
        Ok((finished, diff)) => {
            let Finished {
                commit,
                push_error,
                files_changed,
                added,
                removed,
                diff: _,
            } = finished;
            let result = Event::GitResult {
                commit,
                push_error,
                files_changed,
                added,
                removed,
                diff,
            };
            machine
                .hub
                .done(
                    &Subject::of(&command),
                    &command.id,
                    vec![result],
                    |_| Ok(()),
                )
                .await;
        }
        Err(failure) => fail(&machine, &command, failure).await,
    }
}

/// Delivers the diff, however long it takes to reach the control plane. `None`
/// when it is refused.
async fn deliver_diff(
    machine: &Machine,
    workspace: &WorkspaceId,
    diff: Vec<u8>,
) -> Option<BodyRef> {
    let (api, _) = machine.deliveries(workspace);
    let (reference, (sha256, bytes)) = rows::body(diff);
    let mut backoff = Backoff::standard();
    loop {
        match api.put_body(&sha256, bytes.clone()).await {
            Ok(()) => return Some(reference),
            Err(ApiFailure::Refused {
                status: 400 | 413 | 422,
                message,
                ..
            }) => {
                warning!("the diff of {workspace} was refused: {message}");
                return None;
            }
            Err(failure) => {
                warning!("the diff of {workspace} waits: {failure}");
                tokio::time::sleep(backoff.step()).await;
            }
        }
    }
}

async fn delete(machine: Arc<Machine>, command: Command) {
    let layout = machine.layout(&command.workspace);
    let removed = tokio::task::spawn_blocking(move || layout.remove())
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)));
    if let Err(error) = removed {
        let failure = Failure::new(
            "delete_failed",
            format!("The workspace cannot be removed: {error}."),
        );
        return fail(&machine, &command, failure).await;
    }
    machine
        .hub
        .done(&Subject::of(&command), &command.id, Vec::new(), |tx| {
            store::remove_workspace(tx, &command.workspace)
        })
        .await;
    machine.forget(&command.workspace);
    info!("{} is deleted", command.workspace);
}
