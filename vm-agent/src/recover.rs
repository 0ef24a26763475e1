//! After a start: what the last process left undone.
//!
//! Whatever was running is dead by now, and is killed if it is not. Rows that
//! were growing are ended. A prompt that may have reached its agent is reported
//! as unknown; it is never repeated. Everything else that was commanded can be
//! repeated and is begun again by the hub's own list.

use crate::agent;
use crate::clock;
use crate::hub::Subject;
use crate::log::{info, warning};
use crate::machine::Machine;
use crate::process::sweep;
use crate::rows::close;
use crate::store::{self, Stored};
use sam_domain::link::frame::{Action, AgentState, Event, StopReason};
use std::sync::Arc;

const REASON: &str = "the vm-agent stopped while it ran";

/// Brings the records to what is true now.
pub(crate) async fn recover(machine: &Arc<Machine>) -> Stored<()> {
    let store = Arc::clone(&machine.store);
    if let Ok(swept) = tokio::task::spawn_blocking(move || sweep(&store)).await {
        match swept? {
            0 => {}
            n => info!("{n} processes of an earlier run were killed"),
        }
    }
    for workspace in machine.store.workspaces_with_open_rows()? {
        for row in machine.store.open_rows(&workspace)? {
            machine
                .store
                .put_row(&workspace, &close(row, clock::now()))?;
        }
    }
    let open = machine.hub.open_commands();
    for (workspace, agent) in machine.store.agents()? {
        agent::remove_left(&machine.layout(&workspace));
        let subject = Subject {
            workspace: workspace.clone(),
            attempt: agent.attempt,
        };
        let starting = open.iter().any(|command| {
            matches!(&command.action, Action::StartAgent { agent_session, .. } if *agent_session == agent.agent_session)
        });
        let mut ended = Vec::new();
        if !starting {
            ended.push(Event::AgentState {
                agent_session: agent.agent_session.clone(),
                state: AgentState::Ended {
                    reason: "the vm-agent stopped".to_owned(),
                    stderr_tail: String::new(),
                },
            });
        }
        let forget = |tx: &rusqlite::Transaction<'_>| store::remove_agent(tx, &workspace);
        match &agent.prompt {
            Some((prompt, command)) => {
                warning!("{prompt} was running: its effects are unknown");
                let rows_through = machine.store.last_row_number(&workspace)?;
                let finished = Event::PromptFinished {
                    prompt: prompt.clone(),
                    stop_reason: StopReason::Unknown {
                        reason: REASON.to_owned(),
                    },
                    rows_through,
                };
                ended.insert(0, finished);
                machine.hub.done(&subject, command, ended, forget).await;
            }
            None => machine.hub.report(&subject, ended, forget).await,
        }
    }
    for workspace in machine.store.workspaces_owing_rows()? {
        machine.deliveries(&workspace);
    }
    Ok(())
}
