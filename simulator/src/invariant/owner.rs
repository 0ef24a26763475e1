//! No task is without an owner: one that a conversation shows is held by its
//! runner, or the message that begins it is on its way.

use super::Held;
use crate::world::World;
use sam_domain::actor::Address;

pub(super) fn session(world: &World, address: &Address) -> Held {
    let Some(actor) = world.sessions.get(address) else {
        return Ok(());
    };
    let Some(live) = &actor.state.task else {
        return Ok(());
    };
    let owned = world
        .tasks
        .get(&Address::Task(live.id.clone()))
        .is_some_and(|task| task.state.intent.is_some());
    if !owned && actor.outbox.is_empty() {
        return Err(format!("task {} has no owner", live.id));
    }
    Ok(())
}
