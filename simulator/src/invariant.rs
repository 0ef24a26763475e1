//! What must hold after every event, and once the world is left alone.

use crate::world::World;
use sam_domain::actor::{Actor, Address};
use sam_domain::conversation::session::Session;
use sam_domain::conversation::wire::PromptState;
use sam_domain::id::{PromptId, TaskId, WorkspaceId};
use sam_domain::task::TaskState;
use std::collections::BTreeMap;
use std::fmt;

/// What happened in a run, to see that a run was worth something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tasks that ended completed.
    pub completed: u64,
    /// Tasks that ended failed.
    pub failed: u64,
    /// Tasks that ended cancelled.
    pub cancelled: u64,
    /// Tasks that wait for a person in the end.
    pub waiting: u64,
    /// Prompts that ended unknown.
    pub unknown: u64,
    /// Placements beyond a task's first.
    pub further_attempts: u64,
    /// vm-agents killed.
    pub kills: u64,
    /// Coding agents killed.
    pub agents_killed: u64,
    /// Disks lost.
    pub disks_lost: u64,
    /// Links cut.
    pub cuts: u64,
    /// Object turns lost, before or after their write.
    pub object_crashes: u64,
    /// Messages lost on the way.
    pub lost: u64,
    /// Messages that were taken in before.
    pub duplicates: u64,
    /// Messages that came too early.
    pub gaps: u64,
}

impl Counts {
    fn each(&mut self) -> [&mut u64; 14] {
        [
            &mut self.completed,
            &mut self.failed,
            &mut self.cancelled,
            &mut self.waiting,
            &mut self.unknown,
            &mut self.further_attempts,
            &mut self.kills,
            &mut self.agents_killed,
            &mut self.disks_lost,
            &mut self.cuts,
            &mut self.object_crashes,
            &mut self.lost,
            &mut self.duplicates,
            &mut self.gaps,
        ]
    }

    /// Adds another run's counts.
    pub fn add(&mut self, mut other: Self) {
        for (sum, more) in self.each().into_iter().zip(other.each()) {
            *sum += *more;
        }
    }

    /// Whether every kind of fault and outcome was met.
    #[must_use]
    pub fn happened_enough(mut self) -> bool {
        self.each().iter().all(|count| **count > 0)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tasks completed {}, failed {}, cancelled {}, waiting {}; prompts unknown {}; further attempts {}; \
             vm-agents killed {}, agents killed {}, disks lost {}, links cut {}, object turns lost {}; \
             messages lost {}, repeated {}, early {}",
            self.completed,
            self.failed,
            self.cancelled,
            self.waiting,
            self.unknown,
            self.further_attempts,
            self.kills,
            self.agents_killed,
            self.disks_lost,
            self.cuts,
            self.object_crashes,
            self.lost,
            self.duplicates,
            self.gaps
        )
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) counts: Counts,
    begun: BTreeMap<PromptId, u32>,
    accepted: BTreeMap<PromptId, Address>,
    outcomes: BTreeMap<PromptId, PromptState>,
    terminal: BTreeMap<TaskId, TaskState>,
    attempts: BTreeMap<TaskId, u32>,
    written: BTreeMap<WorkspaceId, u64>,
}

impl Ledger {
    /// An agent was given a prompt.
    pub(crate) fn begun(&mut self, prompt: &PromptId) {
        *self.begun.entry(prompt.clone()).or_insert(0) += 1;
    }

    /// A turn ended with this many rows written.
    pub(crate) fn written(&mut self, workspace: &WorkspaceId, rows: u64) {
        self.written.insert(workspace.clone(), rows);
    }

    /// A person's prompt counts as accepted once it is stored.
    pub(crate) fn accepted_if_stored(
        &mut self,
        sessions: &BTreeMap<Address, Actor<Session>>,
        address: &Address,
        prompt: PromptId,
    ) {
        if sessions
            .get(address)
            .is_some_and(|actor| actor.state.prompt(&prompt).is_some())
        {
            self.accepted.insert(prompt, address.clone());
        }
    }
}

/// Checks what the last event touched.
pub(crate) fn after_step(world: &mut World) -> Result<(), String> {
    for address in std::mem::take(&mut world.touched) {
        match &address {
            Address::Session { .. } => session(world, &address)?,
            Address::Task(_) => task(world, &address)?,
            Address::Node(_) => {}
            Address::Pool(_) => pool(world, &address)?,
            Address::Index => {}
        }
    }
    if let Some((prompt, times)) = world.ledger.begun.iter().find(|(_, times)| **times > 1) {
        return Err(format!(
            "prompt {prompt} was given to an agent {times} times"
        ));
    }
    Ok(())
}

fn session(world: &mut World, address: &Address) -> Result<(), String> {
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
    for prompt in actor
        .state
        .prompts
        .iter()
        .filter(|prompt| prompt.state.is_terminal())
    {
        let held = world
            .ledger
            .outcomes
            .entry(prompt.id.clone())
            .or_insert(prompt.state);
        if *held != prompt.state {
            return Err(format!(
                "prompt {} ended {held:?} and then {:?}",
                prompt.id, prompt.state
            ));
        }
    }
    if let Some(live) = &actor.state.task {
        let task = Address::Task(live.id.clone());
        let owned = world
            .tasks
            .get(&task)
            .is_some_and(|task| task.state.intent.is_some());
        if !owned && actor.outbox.is_empty() {
            return Err(format!("task {} has no owner", live.id));
        }
    }
    Ok(())
}

fn task(world: &mut World, address: &Address) -> Result<(), String> {
    let Some(actor) = world.tasks.get(address) else {
        return Ok(());
    };
    let task = &actor.state;
    let Some(intent) = &task.intent else {
        return Ok(());
    };
    if let Some(held) = world.ledger.terminal.get(&intent.task)
        && *held != task.state
    {
        return Err(format!(
            "task {} was {held:?} and became {:?}",
            intent.task, task.state
        ));
    }
    let attempts = world
        .ledger
        .attempts
        .entry(intent.task.clone())
        .or_insert(0);
    if task.attempt < *attempts {
        return Err(format!(
            "task {} went back to attempt {}",
            intent.task, task.attempt
        ));
    }
    *attempts = task.attempt;
    if task.state.is_terminal()
        && world
            .ledger
            .terminal
            .insert(intent.task.clone(), task.state)
            .is_none()
    {
        match task.state {
            TaskState::Completed => world.ledger.counts.completed += 1,
            TaskState::Failed => world.ledger.counts.failed += 1,
            _ => world.ledger.counts.cancelled += 1,
        }
        world.ledger.counts.further_attempts += u64::from(task.attempt.saturating_sub(1));
    }
    if task.state == TaskState::Completed
        && !task.rows_incomplete
        && let Some(workspace) = &task.workspace
    {
        let stored = world.rows.get(workspace).copied().unwrap_or(0);
        let written = world.ledger.written.get(workspace).copied().unwrap_or(0);
        if stored < written {
            return Err(format!(
                "task {} completed with {stored} of {written} rows",
                intent.task
            ));
        }
    }
    let moving = matches!(
        task.state,
        TaskState::Placing | TaskState::Preparing | TaskState::Starting | TaskState::Finishing
    );
    if moving && actor.deadline.is_none() {
        return Err(format!(
            "task {} is {:?} without a deadline",
            intent.task, task.state
        ));
    }
    Ok(())
}

fn pool(world: &World, address: &Address) -> Result<(), String> {
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

/// Checks the world after it was left alone for longer than every deadline.
pub(crate) fn at_rest(world: &mut World) -> Result<(), String> {
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
    for (prompt, address) in &world.ledger.accepted {
        match world.ledger.outcomes.get(prompt) {
            None => return Err(format!("prompt {prompt} of {address:?} has no outcome")),
            Some(PromptState::Unknown) => world.ledger.counts.unknown += 1,
            Some(_) => {}
        }
    }
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
        if actor.deadline.is_some_and(|deadline| deadline <= world.now) {
            return Err(format!("{address:?} slept through its deadline"));
        }
        let view = task.view();
        let shown = task.intent.as_ref().and_then(|intent| {
            let session = Address::Session {
                project: intent.project.clone(),
                session: intent.session.clone(),
            };
            world
                .sessions
                .get(&session)
                .and_then(|actor| actor.state.task.clone())
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
    for (address, actor) in &world.nodes {
        if !actor.outbox.is_empty() {
            return Err(format!("{address:?} still has mail"));
        }
        if !actor.state.commands.is_empty() {
            return Err(format!(
                "{address:?} still has commands: {:?}",
                actor.state.commands
            ));
        }
    }
    for (address, actor) in &world.pools {
        for (task, claim) in &actor.state.claims {
            let holds = world
                .tasks
                .get(&Address::Task(task.clone()))
                .is_some_and(|actor| {
                    actor.state.attempt == claim.attempt && !actor.state.state.is_terminal()
                });
            if !holds {
                return Err(format!(
                    "{address:?} keeps a place for {task}, which needs none"
                ));
            }
        }
    }
    Ok(())
}
