//! No prompt is dispatched twice in effect: it is given to an agent at most
//! once, wherever who crashes; and one is in flight at a time.

use super::Held;
use crate::world::World;
use sam_domain::actor::Address;
use sam_domain::conversation::wire::PromptState;
use sam_domain::id::PromptId;
use std::collections::BTreeSet;

#[derive(Default)]
pub(crate) struct Dispatches {
    begun: BTreeSet<PromptId>,
    twice: Option<PromptId>,
}

impl Dispatches {
    /// An agent was given a prompt.
    pub(crate) fn begun(&mut self, prompt: &PromptId) {
        if !self.begun.insert(prompt.clone()) {
            self.twice = Some(prompt.clone());
        }
    }

    pub(super) fn has_begun(&self, prompt: &PromptId) -> bool {
        self.begun.contains(prompt)
    }
}

pub(super) fn seen(world: &World) -> Held {
    match &world.ledger.dispatch.twice {
        Some(prompt) => Err(format!("prompt {prompt} was given to an agent twice")),
        None => Ok(()),
    }
}

pub(super) fn in_flight(world: &World, address: &Address) -> Held {
    let Some(actor) = world.sessions.get(address) else {
        return Ok(());
    };
    let in_flight = actor
        .state
        .prompts
        .iter()
        .filter(|p| matches!(p.state, PromptState::Sent | PromptState::Running))
        .count();
    if in_flight > 1 {
        return Err(format!("{in_flight} prompts of {address:?} are in flight"));
    }
    Ok(())
}
