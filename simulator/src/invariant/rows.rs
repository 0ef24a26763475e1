//! A task completes, fails at its agent's word or asks a person only when all that the agent said before
//! is stored, or it says that some is not.

use super::Held;
use crate::world::World;
use sam_domain::actor::Address;
use sam_domain::id::{PromptId, WorkspaceId};
use sam_domain::task::TaskState;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Rows {
    written: BTreeMap<WorkspaceId, u64>,
    /// What each task held last: an agent that dies before a turn begins says nothing of rows.
    held: BTreeMap<Address, PromptId>,
}

impl Rows {
    /// A turn ended with this many rows written on the machine.
    pub(crate) fn written(&mut self, workspace: &WorkspaceId, rows: u64) {
        self.written.insert(workspace.clone(), rows);
    }
}

pub(super) fn task(world: &mut World, address: &Address) -> Held {
    let Some(task) = world.tasks.get(address).map(|actor| &actor.state) else {
        return Ok(());
    };
    let held = &mut world.ledger.rows.held;
    if let Some(prompt) = &task.prompt {
        held.insert(address.clone(), prompt.prompt.clone());
    }
    let Some(workspace) = &task.workspace else {
        return Ok(());
    };
    if task.rows_incomplete {
        return Ok(());
    }
    let stored = world.rows.get(workspace).copied().unwrap_or(0);
    if let (TaskState::AwaitingInput | TaskState::Failed, None, Some((prompt, through))) =
        (task.state, &task.prompt, &task.rows_mark)
        && held.get(address) == Some(prompt)
        && stored < *through
    {
        return Err(format!(
            "{address:?} told how {prompt} ended with {stored} of {through} rows"
        ));
    }
    if task.state != TaskState::Completed {
        return Ok(());
    }
    let written = world.ledger.rows.written.get(workspace).copied();
    let written = written.unwrap_or(0);
    if stored < written {
        return Err(format!(
            "{address:?} completed with {stored} of {written} rows"
        ));
    }
    Ok(())
}
