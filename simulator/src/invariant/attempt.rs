//! No two live attempts: an older one changes nothing, writes nothing, and is
//! not left running.

use super::Held;
use crate::world::World;
use sam_domain::actor::Address;
use sam_domain::id::TaskId;
use sam_domain::task::state::Task;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Attempts {
    newest: BTreeMap<TaskId, u32>,
    broken: Option<String>,
}

impl Attempts {
    /// A task took in an event that was sent under another attempt.
    pub(super) fn stale_event(&mut self, before: &Task, after: &Task) {
        if before != after {
            self.broken = Some(format!(
                "an event of another attempt changed {:?} (attempt {}) to {:?}",
                before.state, before.attempt, after.state
            ));
        }
    }
}

pub(super) fn seen(world: &mut World) -> Held {
    world.ledger.attempt.broken.take().map_or(Ok(()), Err)
}

pub(super) fn task(world: &mut World, address: &Address) -> Held {
    let Some(task) = world.tasks.get(address).map(|actor| &actor.state) else {
        return Ok(());
    };
    let Some(intent) = &task.intent else {
        return Ok(());
    };
    let attempts = &mut world.ledger.attempt.newest;
    let newest = attempts.entry(intent.task.clone()).or_insert(0);
    if task.attempt < *newest {
        return Err(format!(
            "task {} went back from attempt {newest} to {}",
            intent.task, task.attempt
        ));
    }
    *newest = task.attempt;
    Ok(())
}

/// Of a task's workspaces at most one may write rows.
pub(super) fn session(world: &World, address: &Address) -> Held {
    let Some(session) = world.sessions.get(address).map(|actor| &actor.state) else {
        return Ok(());
    };
    for bound in &session.workspaces {
        let writing = session.workspaces.iter().filter(|other| {
            other.task == bound.task && session.takes_rows_from(&other.workspace, other.attempt)
        });
        if writing.count() > 1 {
            return Err(format!("two attempts of task {} write rows", bound.task));
        }
    }
    Ok(())
}

/// No agent runs for an attempt that is over, on a machine that can be told.
pub(super) fn at_rest(world: &World) -> Held {
    for (number, vm) in world.vms.iter().enumerate() {
        if world.wires.get(number).copied().flatten().is_none() {
            continue;
        }
        for (workspace, process) in &vm.processes {
            let wanted = world.tasks.values().any(|actor| {
                let task = &actor.state;
                task.workspace.as_ref() == Some(workspace)
                    && !task.state.is_terminal()
                    && task.agent.is(&process.session)
            });
            if !wanted {
                return Err(format!("an agent still runs in {workspace} for nobody"));
            }
        }
    }
    Ok(())
}
