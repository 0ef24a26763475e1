//! A task completes only when all its rows are stored, or says that they are not.

use super::Held;
use crate::world::World;
use sam_domain::actor::Address;
use sam_domain::id::WorkspaceId;
use sam_domain::task::TaskState;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Rows {
    written: BTreeMap<WorkspaceId, u64>,
}

impl Rows {
    /// A turn ended with this many rows written on the machine.
    pub(crate) fn written(&mut self, workspace: &WorkspaceId, rows: u64) {
        self.written.insert(workspace.clone(), rows);
    }
}

pub(super) fn task(world: &World, address: &Address) -> Held {
    let Some(task) = world.tasks.get(address).map(|actor| &actor.state) else {
        return Ok(());
    };
    let Some(workspace) = &task.workspace else {
        return Ok(());
    };
    if task.state != TaskState::Completed || task.rows_incomplete {
        return Ok(());
    }
    let stored = world.rows.get(workspace).copied().unwrap_or(0);
    let written = world.ledger.rows.written.get(workspace).copied();
    let written = written.unwrap_or(0);
    if stored < written {
        return Err(format!(
            "{address:?} completed with {stored} of {written} rows"
        ));
    }
    Ok(())
}
