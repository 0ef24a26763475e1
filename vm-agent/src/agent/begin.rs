//! The beginning of a session: its process, its first words, its report.

use super::launch::{Launch, Running, Stderr, Ungreeted, greet, start};
use super::memory::Memory;
use super::session::{END_LIMIT, LAST_WORDS, Session, record};
use crate::hub::{Failure, Subject};
use crate::log::info;
use crate::machine::Machine;
use crate::process::describe_exit;
use crate::rows::{Live, Writer};
use crate::store;
use sam_acp::AcpSessionId;
use sam_domain::agents::PermissionMode;
use sam_domain::conversation::attachment::PromptBody;
use sam_domain::conversation::wire::ActivityState;
use sam_domain::id::{AgentSessionId, CommandId, PromptId, RowId};
use sam_domain::link::frame::{AgentState, Event};
use sam_domain::time::Millis;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// What is to be started.
#[derive(Clone, Debug)]
pub(crate) struct StartAgent {
    /// What reports are about.
    pub(crate) subject: Subject,
    /// The command that asks for it.
    pub(crate) command: CommandId,
    /// The agent session's id.
    pub(crate) agent_session: AgentSessionId,
    /// Which agent.
    pub(crate) agent: String,
    /// Which model.
    pub(crate) model: Option<String>,
    /// What it may do unasked.
    pub(crate) permission_mode: PermissionMode,
    /// Time to become ready.
    pub(crate) remaining: Millis,
}

/// What a session can be told.
#[derive(Debug)]
pub(crate) enum AgentCommand {
    /// Work on a prompt.
    Prompt {
        /// The command.
        command: CommandId,
        /// The prompt.
        prompt: PromptId,
        /// Its words.
        text: String,
        /// The whole of them, when `text` is only their beginning.
        body: Option<PromptBody>,
        /// Earlier conversation; empty for none.
        context: String,
    },
    /// Stop the turn.
    Cancel {
        /// The command.
        command: CommandId,
        /// Which prompt.
        prompt: PromptId,
    },
    /// Answer what it asked.
    Answer {
        /// The command.
        command: CommandId,
        /// The row that shows the question.
        permission: RowId,
        /// The choice.
        option: String,
    },
    /// End the agent.
    Stop {
        /// The command.
        command: CommandId,
    },
    /// The vm-agent ends.
    Shutdown,
}

/// The session takes prompts, or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentNotice {
    /// It takes prompts.
    Ready,
    /// It is over.
    Ended,
}

/// Runs a session to its end. Commands that find it over are left in `queue`.
pub(crate) async fn run(
    machine: Arc<Machine>,
    start: StartAgent,
    queue: &mut mpsc::UnboundedReceiver<AgentCommand>,
    notices: &mpsc::UnboundedSender<AgentNotice>,
) {
    let workspace = start.subject.workspace.clone();
    let record = record(&start, None);
    let told = |state| Event::AgentState {
        agent_session: start.agent_session.clone(),
        state,
    };
    let mut events = vec![told(AgentState::Starting)];
    if Memory::of(&machine.layout(&workspace), &start.agent).is_some() {
        let state = ActivityState::Recovering;
        events.push(told(AgentState::Activity { state }));
    }
    machine
        .hub
        .report(&start.subject, events, |tx| {
            store::put_agent(tx, &workspace, &record)
        })
        .await;
    let mut stops = Vec::new();
    match begin(&machine, &start, queue, &mut stops).await {
        Ok((running, acp, recalls)) => {
            let (api, outbox) = machine.deliveries(&workspace);
            let layout = machine.layout(&workspace);
            let live = Live::start(api, &workspace, machine.hub.lease());
            let writer = Writer::new(&machine.store, &workspace, layout.repo(), &outbox, live);
            let ready = Event::AgentState {
                agent_session: start.agent_session.clone(),
                state: AgentState::Ready,
            };
            machine
                .hub
                .done(&start.subject, &start.command, vec![ready], |_| Ok(()))
                .await;
            info!("{} is ready in {workspace}", start.agent);
            let _ = notices.send(AgentNotice::Ready);
            // Cancels that came too early: there was no turn to stop.
            for command in stops {
                machine
                    .hub
                    .done(&start.subject, &command, Vec::new(), |_| Ok(()))
                    .await;
            }
            let mut session = Session::new(machine, start, acp, running, writer);
            if recalls {
                session.recalls();
            }
            session.work(queue).await;
        }
        Err((mut failure, stderr_tail)) => {
            let reason = failure.message.clone();
            if !stderr_tail.is_empty() {
                failure.message = format!("{reason} It said: {stderr_tail}");
            }
            let ended = Event::AgentState {
                agent_session: start.agent_session.clone(),
                state: AgentState::Ended {
                    reason,
                    stderr_tail,
                },
            };
            let forget = |tx: &rusqlite::Transaction<'_>| store::remove_agent(tx, &workspace);
            machine
                .hub
                .failed(&start.subject, &start.command, vec![ended], failure, forget)
                .await;
            for command in stops {
                machine
                    .hub
                    .done(&start.subject, &command, Vec::new(), |_| Ok(()))
                    .await;
            }
        }
    }
    let _ = notices.send(AgentNotice::Ended);
}

/// Starts the process and opens a session, unless it is told to stop before.
async fn begin(
    machine: &Arc<Machine>,
    wanted: &StartAgent,
    queue: &mut mpsc::UnboundedReceiver<AgentCommand>,
    stops: &mut Vec<CommandId>,
) -> Result<(Running, AcpSessionId, bool), (Failure, String)> {
    let workspace = &wanted.subject.workspace;
    let (api, _) = machine.deliveries(workspace);
    let launch = Launch {
        agent: wanted.agent.clone(),
        model: wanted.model.clone(),
        permission_mode: wanted.permission_mode,
        layout: machine.layout(workspace),
    };
    let deadline = Instant::now() + Duration::from_millis(wanted.remaining.0);
    let mut stderr = Stderr::default();
    let started = async {
        let mut killed = false;
        loop {
            let mut running = start(machine, &api, &launch).await?;
            stderr = running.stderr.clone();
            let Ungreeted { failure, forgot } =
                match greet(&mut running, &launch.layout, &launch.agent).await {
                    Ok((acp, recalls)) => return Ok((running, acp, recalls)),
                    Err(ungreeted) => ungreeted,
                };
            // How it ended says more than that it no longer answered.
            let exit = timeout(LAST_WORDS, running.process.wait()).await;
            if !matches!(exit, Ok(Ok(_))) {
                running.process.terminate();
                let _ = timeout(END_LIMIT, running.process.wait()).await;
            }
            if forgot {
                info!(
                    "{} is started again without the session that it had: {}",
                    launch.agent, failure.message
                );
                continue;
            }
            let Ok(Ok(status)) = exit else {
                return Err(failure);
            };
            let how = describe_exit(status);
            // It has had no prompt, so it may be started again; whoever killed it twice means it.
            if status.signal().is_some() && !killed {
                info!(
                    "{} was {how} while it started, and is started again",
                    launch.agent
                );
                killed = true;
                continue;
            }
            let message = format!("The agent {how} while it started.");
            let hint = "Look at what the machine's log says of it, and at its memory; then submit the task again.";
            return Err(Failure {
                hint: Some(hint.to_owned()),
                ..Failure::new("agent_failed_to_start", message)
            });
        }
    };
    let started = async {
        tokio::select! {
            started = started => started,
            () = sleep_until(deadline) => Err(Failure::new(
                "timed_out",
                "The agent did not start in the time given.",
            )),
            () = stopped(queue, stops) => Err(Failure::new("stopped", "The agent was stopped while it started.")),
        }
    }
    .await;
    started.map_err(|failure| (failure, stderr.tail()))
}

/// Until a command ends the start. Cancels find no turn and are done with it.
async fn stopped(queue: &mut mpsc::UnboundedReceiver<AgentCommand>, stops: &mut Vec<CommandId>) {
    loop {
        match queue.recv().await {
            Some(AgentCommand::Stop { command }) => {
                stops.push(command);
                return;
            }
            Some(AgentCommand::Cancel { command, .. } | AgentCommand::Answer { command, .. }) => {
                stops.push(command);
            }
            // Prompts are held back until the session is ready.
            Some(AgentCommand::Prompt { .. }) => {}
            Some(AgentCommand::Shutdown) | None => return,
        }
    }
}
