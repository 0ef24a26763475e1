//! How much room there is where everything is kept.
//!
//! Model: a disk with less than [`LEAST`] left is full. The machine says so, to
//! the control plane and in every conversation that has an agent here, and takes
//! no new work; its own records go on within their reserve
//! ([`store`](crate::store)). It has room again at twice that much, so that it
//! does not waver.

use crate::clock;
use crate::facts;
use crate::log::{info, warning};
use crate::machine::Machine;
use crate::rows::notice;
use crate::store::StoreError;
use sam_domain::conversation::row::NoticeLevel;
use sam_domain::link::frame::NodeFacts;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Less than this is not enough to work with.
pub(crate) const LEAST: u64 = 16 * 1024 * 1024;
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Whether the disk is full, after it was or was not.
fn is_full(free: u64, was: bool) -> bool {
    free < if was { 2 * LEAST } else { LEAST }
}

/// Looks at the disk for ever, and tells when it fills up and when it has room
/// again. `facts` are what the control plane was last told.
pub(crate) async fn watch(machine: Arc<Machine>, mut facts: NodeFacts) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        every.tick().await;
        let free = facts::disk_free(machine.store.dir());
        let full = is_full(free, facts.disk_full);
        if full == facts.disk_full {
            continue;
        }
        facts.disk_full = full;
        facts.disk_free_bytes = free;
        machine.set_disk_full(full);
        if full {
            warning!("the disk is full: no new work until there is room");
        } else {
            info!("there is room on the disk again");
        }
        if let Err(error) = tell(&machine, full) {
            warning!("conversations are not told about the disk: {error}");
        }
        machine.hub.facts(&facts).await;
    }
}

/// Whether there is too little room to begin something here now.
pub(crate) fn is_full_now(state: &Path) -> bool {
    is_full(facts::disk_free(state), false)
}

fn tell(machine: &Machine, full: bool) -> Result<(), StoreError> {
    let row = || {
        if full {
            let text = "The disk of the machine is full. What the agent writes may be lost; what it says is not.";
            let mut row = notice(&mut clock::turn(), NoticeLevel::Warning, "disk_full", text);
            row.set_hint("Make room on the disk that holds the vm-agent's state directory; it goes on by itself.");
            row
        } else {
            let text = "The machine's disk has room again.";
            notice(&mut clock::turn(), NoticeLevel::Info, "disk_has_room", text)
        }
    };
    for (workspace, _) in machine.store.agents()? {
        machine.store.put_row(&workspace, &row())?;
        let (_, outbox) = machine.deliveries(&workspace);
        outbox.wake();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_waver() {
        assert!(is_full(LEAST - 1, false));
        assert!(!is_full(LEAST, false));
        assert!(is_full(LEAST, true), "a little room is not room again");
        assert!(!is_full(2 * LEAST, true));
    }
}
