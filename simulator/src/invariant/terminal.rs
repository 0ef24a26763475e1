//! A terminal state is final, of a task and of a prompt.

use super::Held;
use crate::world::World;
use sam_domain::actor::Address;
use sam_domain::conversation::wire::PromptState;
use sam_domain::id::{PromptId, TaskId};
use sam_domain::task::TaskState;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Ends {
    tasks: BTreeMap<TaskId, TaskState>,
    pub(super) prompts: BTreeMap<PromptId, PromptState>,
}

pub(super) fn prompts(world: &mut World, address: &Address) -> Held {
    let Some(actor) = world.sessions.get(address) else {
        return Ok(());
    };
    for prompt in &actor.state.prompts {
        let ended = world.ledger.terminal.prompts.get(&prompt.id);
        match ended {
            Some(held) if *held != prompt.state => {
                return Err(format!(
                    "prompt {} ended {held:?} and became {:?}",
                    prompt.id, prompt.state
                ));
            }
            None if prompt.state.is_terminal() => {
                let ends = &mut world.ledger.terminal.prompts;
                ends.insert(prompt.id.clone(), prompt.state);
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn task(world: &mut World, address: &Address) -> Held {
    let Some(task) = world.tasks.get(address).map(|actor| &actor.state) else {
        return Ok(());
    };
    let Some(intent) = &task.intent else {
        return Ok(());
    };
    let ends = &mut world.ledger.terminal.tasks;
    match ends.get(&intent.task) {
        Some(held) if *held != task.state => {
            return Err(format!(
                "task {} was {held:?} and became {:?}",
                intent.task, task.state
            ));
        }
        None if task.state.is_terminal() => {
            ends.insert(intent.task.clone(), task.state);
            let counts = &mut world.ledger.counts;
            match task.state {
                TaskState::Completed => counts.completed += 1,
                TaskState::Failed => counts.failed += 1,
                _ => counts.cancelled += 1,
            }
            counts.further_attempts += u64::from(task.attempt.saturating_sub(1));
        }
        _ => {}
    }
    Ok(())
}
