//! Once the world is left alone it comes to rest: no mail, no commands, and
//! everybody shows the same.

use super::Held;
use crate::world::World;
use sam_domain::actor::Address;
use sam_domain::conversation::session::Session;
use sam_domain::conversation::wire::ActivityState;
use sam_domain::task::TaskState;
use sam_domain::task::state::Task;

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
        activity(world, address, task)?;
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

/// What an agent does is shown as it is known, and nobody is shown at work when nothing runs.
fn activity(world: &World, address: &Address, task: &Task) -> Held {
    let (Some(intent), Some(known)) = (&task.intent, task.activity()) else {
        return Ok(());
    };
    let session = Address::Session {
        project: intent.project.clone(),
        session: intent.session.clone(),
    };
    let session = world.sessions.get(&session).map(|actor| &actor.state);
    let live = |session: &&Session| {
        let live = session.task.as_ref();
        live.is_some_and(|live| live.id == intent.task)
    };
    if let Some(session) = session.filter(live) {
        let shown = session.activity.as_ref().map(|activity| activity.state);
        if shown != Some(known) {
            return Err(format!(
                "the agent of {address:?} is {known:?} and is shown {shown:?}"
            ));
        }
    }
    use ActivityState::{Ended, Idle, Unknown};
    if matches!(known, Idle | Unknown | Ended) {
        Ok(())
    } else {
        Err(format!("the agent of {address:?} rests {known:?}"))
    }
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
