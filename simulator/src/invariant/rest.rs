//! Once the world is left alone it comes to rest: no mail, no commands, and
//! everybody shows the same.

use super::Held;
use crate::world::World;
use sam_domain::actor::Address;
use sam_domain::task::TaskState;

/// Whether a machine is there to do what it is told.
pub(super) fn is_reachable(world: &World, address: &Address) -> bool {
    world.nodes.get(address).is_some_and(|actor| {
        let connection = actor.state.link.connection;
        connection.is_some_and(|connection| world.vm_of_connection(connection).is_some())
    })
}

pub(super) fn sessions(world: &World) -> Held {
    for (address, actor) in &world.sessions {
        if !actor.outbox.is_empty() {
            return Err(format!("{address:?} still has mail"));
        }
        for prompt in &actor.state.prompts {
            if !prompt.state.is_terminal() {
                let task = actor.state.task.as_ref().map(|task| task.state);
                return Err(format!(
                    "prompt {} rests {:?} while its task is {task:?}",
                    prompt.id, prompt.state
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn tasks(world: &mut World) -> Held {
    for (address, actor) in &world.tasks {
        let task = &actor.state;
        if !actor.outbox.is_empty() {
            return Err(format!("{address:?} still has mail"));
        }
        if task.intent.is_some() && !task.state.is_terminal() {
            if task.state != TaskState::AwaitingInput {
                return Err(format!("{address:?} rests {:?}", task.state));
            }
            world.ledger.counts.waiting += 1;
        }
        let view = task.view();
        let shown = task.intent.as_ref().and_then(|intent| {
            let session = Address::Session {
                project: intent.project.clone(),
                session: intent.session.clone(),
            };
            let actor = world.sessions.get(&session);
            actor.and_then(|actor| actor.state.task.clone())
        });
        if let (Some(view), Some(shown)) = (view, shown)
            && view.id == shown.id
            && view.state != shown.state
        {
            return Err(format!(
                "{address:?} is {:?} and is shown {:?}",
                view.state, shown.state
            ));
        }
    }
    Ok(())
}

pub(super) fn nodes(world: &World) -> Held {
    for (address, actor) in &world.nodes {
        if !actor.outbox.is_empty() {
            return Err(format!("{address:?} still has mail"));
        }
        if !actor.state.commands.is_empty() && is_reachable(world, address) {
            return Err(format!(
                "{address:?} still has commands: {:?}",
                actor.state.commands
            ));
        }
    }
    Ok(())
}
