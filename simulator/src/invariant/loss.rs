//! A workspace counts as lost only where a disk was lost, or where there were two of a machine.

use super::Held;
use crate::world::World;
use sam_domain::actor::{Address, Envelope, Message};
use sam_domain::id::NodeId;
use std::collections::BTreeSet;

#[derive(Default)]
pub(crate) struct Losses {
    causes: BTreeSet<NodeId>,
    without: Option<String>,
}

impl Losses {
    /// A machine lost its disk, or got a rival.
    pub(crate) fn caused(&mut self, node: &NodeId) {
        self.causes.insert(node.clone());
    }

    /// A message is on its way.
    pub(crate) fn sent(&mut self, envelope: &Envelope) {
        if let (Address::Node(node), Message::WorkspaceLost { workspace, .. }) =
            (&envelope.from, &envelope.message)
            && !self.causes.contains(node)
        {
            self.without = Some(format!("{node} gave up {workspace}, and nothing was lost"));
        }
    }
}

pub(super) fn seen(world: &World) -> Held {
    world.ledger.loss.without.clone().map_or(Ok(()), Err)
}
