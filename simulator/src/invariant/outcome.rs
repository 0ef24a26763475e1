//! Every accepted intent ends in exactly one visible outcome: a prompt in its
//! end, a cancelled task cancelled. That an end is never replaced by another
//! is checked with the terminal states.

use super::Held;
use crate::world::World;
use sam_domain::actor::Address;
use sam_domain::conversation::wire::PromptState;
use sam_domain::id::PromptId;
use sam_domain::task::TaskState;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(crate) struct Outcomes {
    accepted: BTreeMap<PromptId, Address>,
    cancelled: BTreeSet<Address>,
}

impl Outcomes {
    /// A person's prompt was stored.
    pub(crate) fn accepted(&mut self, prompt: PromptId, session: Address) {
        self.accepted.insert(prompt, session);
    }

    /// A person's wish to cancel an open task was stored.
    pub(crate) fn cancelled(&mut self, task: Address) {
        self.cancelled.insert(task);
    }
}

pub(super) fn at_rest(world: &mut World) -> Held {
    for (prompt, address) in &world.ledger.outcome.accepted {
        let ended = world.ledger.terminal.prompts.get(prompt);
        let begun = world.ledger.dispatch.has_begun(prompt);
        match ended {
            None => return Err(format!("prompt {prompt} of {address:?} has no outcome")),
            Some(PromptState::Finished) if !begun => {
                return Err(format!("prompt {prompt} finished and never began"));
            }
            Some(PromptState::Unknown) => world.ledger.counts.unknown += 1,
            Some(_) => {}
        }
    }
    for task in &world.ledger.outcome.cancelled {
        let state = world.tasks.get(task).map(|actor| actor.state.state);
        if state != Some(TaskState::Cancelled) {
            return Err(format!("{task:?} was cancelled and is {state:?}"));
        }
    }
    Ok(())
}
