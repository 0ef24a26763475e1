//! What a workspace's commands do, and how they are reported.
//!
//! Each job reports the end of its command by itself, in one write with what it
//! changed in the records.

use crate::agent::AgentCommand;
use crate::api::{ApiFailure, Backoff};
use crate::clock;
use crate::git::{self, Finished, Mark, Wanted};
use crate::hub::{Failure, Hub, Subject};
use crate::log::{info, warning};
use crate::machine::Machine;
use crate::rows;
use crate::store::{self, WorkspaceRecord};
use sam_domain::agents;
use sam_domain::conversation::row::{BodyRef, NoticeLevel};
use sam_domain::id::{PromptId, WorkspaceId};
use sam_domain::link::frame::{Action, Command, Event, StopReason};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often work that met a full disk is tried again.
const ROOM_EVERY: Duration = Duration::from_secs(5);

/// Finishes a command that reached an agent after its end.
pub(super) async fn too_late(machine: &Machine, subject: &Subject, late: AgentCommand) {
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
        AgentCommand::Cancel { command, .. }
        | AgentCommand::Answer { command, .. }
        | AgentCommand::Stop { command } => (command, Vec::new()),
        AgentCommand::Shutdown => return,
    };
    machine
        .hub
        .done(subject, &command, events, |_| Ok(()))
        .await;
}

pub(super) fn deleted() -> Failure {
    Failure::new("workspace_deleted", "The workspace was deleted meanwhile.")
}

pub(super) async fn fail(machine: &Machine, command: &Command, failure: Failure) {
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

pub(super) async fn never_ran(
    machine: &Machine,
    command: &Command,
    prompt: &PromptId,
    why: StopReason,
) {
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

pub(super) async fn prepare(machine: Arc<Machine>, command: Command) {
    let Action::PrepareWorkspace {
        session,
        task,
        repository,
        base,
        branch,
        agent,
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
        limit: machine.limits.repository,
    };
    let work = async {
        if crate::disk::is_full_now(layout.state()) {
            return Err(git::GitFailure::disk_full().into());
        }
        let (began, mut phases) = mpsc::unbounded_channel();
        let preparing = git::prepare(&machine.store, &layout, &wanted, |phase| {
            let _ = began.send(phase);
        });
        tokio::pin!(preparing);
        loop {
            tokio::select! {
                biased;
                Some(phase) = phases.recv() => {
                    let event = Event::WorkspacePhase { phase };
                    machine.hub.report(&subject, vec![event], |_| Ok(())).await;
                }
                prepared = &mut preparing => break prepared.map_err(Failure::from),
            }
        }
    };
    let work = async {
        let prepared = work.await?;
        let agent = agent.as_deref().and_then(agents::agent);
        if let Some(agent) = agent.filter(|agent| machine.agents.installs(agent)) {
            let phase = format!("installing {}", agent.name);
            let event = Event::WorkspacePhase { phase };
            machine.hub.report(&subject, vec![event], |_| Ok(())).await;
            let ensured = machine
                .agents
                .ensure(agent, &machine.store, &command.workspace);
            ensured.await?;
        }
        Ok(prepared)
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
            mark(&machine, &command.workspace, &prepared.marks);
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

/// Says in the conversation what its person should know of the workspace. A
/// preparation that is repeated after a crash may say it twice.
fn mark(machine: &Machine, workspace: &WorkspaceId, marks: &[Mark]) {
    for mark in marks {
        let row = rows::notice(
            &mut clock::turn(),
            NoticeLevel::Warning,
            mark.code,
            &mark.text,
        );
        if let Err(error) = machine.store.put_row(workspace, &row) {
            warning!("{} of {workspace} cannot be said: {error}", mark.code);
        }
    }
    if !marks.is_empty() {
        machine.deliveries(workspace).1.wake();
    }
}

fn disk(error: crate::store::StoreError) -> Failure {
    if error.is_full() {
        return crate::git::GitFailure::disk_full().into();
    }
    Failure::new("workspace_failed", error.to_string())
}

/// Only a node that the control plane counts on pushes: one that has lapsed may have
/// been replaced.
impl git::Leave for Hub {
    async fn given(&self) {
        self.until_current().await;
    }

    async fn withdrawn(&self) {
        self.until_lapsed().await;
    }
}

pub(super) async fn finish(machine: Arc<Machine>, command: Command) {
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
        let finished = loop {
            match git::finish(&machine.store, &layout, &record, message, &machine.hub).await {
                // It can be repeated, and what was worked for is worth waiting for room.
                Err(failure) if failure.code == git::DISK_FULL => {
                    warning!("{} waits for room on the disk", command.workspace);
                    tokio::time::sleep(ROOM_EVERY).await;
                    machine.until_room().await;
                }
                finished => break finished?,
            }
        };
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
                api.api().pause(backoff.step()).await;
            }
        }
    }
}

pub(super) async fn delete(machine: Arc<Machine>, command: Command) {
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
