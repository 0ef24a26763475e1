//! A place is claimed before it is used, never given twice, and given back.

use super::Held;
use crate::world::World;
use sam_domain::actor::Address;

/// A task that is on a machine has the claim for it.
pub(super) fn task(world: &World, address: &Address) -> Held {
    let Some(task) = world.tasks.get(address).map(|actor| &actor.state) else {
        return Ok(());
    };
    let (Some(intent), Some(node)) = (&task.intent, &task.node) else {
        return Ok(());
    };
    if task.state.is_terminal() {
        return Ok(());
    }
    let claimed = world
        .pools
        .get(&Address::Pool(intent.pool().clone()))
        .and_then(|pool| pool.state.claims.get(&intent.task))
        .is_some_and(|claim| claim.attempt == task.attempt && claim.node == *node);
    if !claimed {
        return Err(format!("{address:?} is on {node} without a claim"));
    }
    Ok(())
}

pub(super) fn pool(world: &World, address: &Address) -> Held {
    let Some(actor) = world.pools.get(address) else {
        return Ok(());
    };
    for (id, node) in &actor.state.nodes {
        let taken = actor.state.taken(id);
        if taken > node.room as usize {
            return Err(format!("{taken} claims on {id}, which takes {}", node.room));
        }
    }
    Ok(())
}

/// In the end nobody keeps a place that is needed no more, except on a machine
/// that never came back to say so.
pub(super) fn at_rest(world: &World) -> Held {
    for (address, actor) in &world.pools {
        for (task, claim) in &actor.state.claims {
            let holds = world
                .tasks
                .get(&Address::Task(task.clone()))
                .is_some_and(|actor| {
                    actor.state.attempt == claim.attempt && !actor.state.state.is_terminal()
                });
            if !holds && super::rest::is_reachable(world, &Address::Node(claim.node.clone())) {
                return Err(format!(
                    "{address:?} keeps a place for {task}, which needs none"
                ));
            }
        }
    }
    Ok(())
}
