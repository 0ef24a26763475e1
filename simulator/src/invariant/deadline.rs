//! A step that moves has a deadline, nothing moves it, and none passes without
//! a transition. A lease lapses.

use super::Held;
use crate::world::World;
use sam_domain::actor::{Actor, Address};
use sam_domain::link::frame::LEASE;
use sam_domain::task::TaskState;
use sam_domain::task::state::Finishing;
use sam_domain::time::{Millis, Timestamp};
use std::collections::BTreeMap;

/// How late a transition may be: an alarm whose turn was lost comes again.
const SLACK: Millis = Millis::minutes(1);
/// Events between two looks at everybody's deadline.
const EVERY: u64 = 32;

/// Which step a task is in: its attempt, state, since when, and whether it has
/// got to the commit.
type Step = (u32, TaskState, Timestamp, bool);

#[derive(Default)]
pub(crate) struct Deadlines {
    steps: BTreeMap<Address, (Step, Timestamp)>,
    /// When a node's link was last up or of no interest, by the true time.
    watched: BTreeMap<Address, Timestamp>,
    /// Since when an actor's deadline has been over, by the true time.
    overdue: BTreeMap<Address, Timestamp>,
}

impl Deadlines {
    pub(super) fn clock_jumped(&mut self, now: Timestamp, back: Millis) {
        self.overdue.clear();
        // What was seen just before counts for as long as the clock went back.
        for at in self.watched.values_mut() {
            *at = now.max(*at).plus(back);
        }
    }
}

pub(super) fn task(world: &mut World, address: &Address) -> Held {
    let Some(actor) = world.tasks.get(address) else {
        return Ok(());
    };
    let task = &actor.state;
    let moving = matches!(
        task.state,
        TaskState::Placing | TaskState::Preparing | TaskState::Starting | TaskState::Finishing
    );
    if !moving {
        world.ledger.deadline.steps.remove(address);
        return Ok(());
    }
    if actor.deadline.is_none() {
        return Err(format!(
            "{address:?} is {:?} without a deadline",
            task.state
        ));
    }
    let committing = task.finishing == Some(Finishing::Git);
    let step = (task.attempt, task.state, task.since, committing);
    let Some(deadline) = task.step_deadline else {
        // A commit on a machine that is away has the grace of every absence.
        world.ledger.deadline.steps.remove(address);
        return Ok(());
    };
    let held = world.ledger.deadline.steps.get(address);
    if let Some((same, before)) = held
        && *same == step
        && *before != deadline
    {
        return Err(format!(
            "the deadline of {address:?} ({:?}) moved from {} to {}",
            task.state, before.0, deadline.0
        ));
    }
    let steps = &mut world.ledger.deadline.steps;
    steps.insert(address.clone(), (step, deadline));
    Ok(())
}

/// A node whose link is dead while it is watched is away before long.
pub(super) fn leases(world: &mut World) -> Held {
    for (address, actor) in &world.nodes {
        let node = &actor.state;
        let up = node
            .link
            .connection
            .and_then(|connection| world.vm_of_connection(connection))
            .is_some();
        let fine = up || !node.is_watched();
        let watched = &mut world.ledger.deadline.watched;
        let since = match watched.get_mut(address) {
            Some(since) => since,
            None => watched.entry(address.clone()).or_insert(world.now),
        };
        if fine {
            *since = world.now.max(*since);
        } else if world.now.since(*since) > Millis(LEASE.0 * 2).plus_slack() {
            return Err(format!(
                "{address:?} has been silent for {} ms and counts as {:?}",
                world.now.since(*since).0,
                node.state
            ));
        }
    }
    Ok(())
}

/// Nobody sleeps through a deadline.
pub(super) fn sweep(world: &mut World) -> Held {
    if !world.ledger.counts.events.is_multiple_of(EVERY) {
        return Ok(());
    }
    let clock = world.object_now();
    let mut due: Vec<(Address, bool)> = Vec::new();
    over(&world.sessions, clock, &mut due);
    over(&world.tasks, clock, &mut due);
    over(&world.nodes, clock, &mut due);
    over(&world.pools, clock, &mut due);
    for (address, is_over) in due {
        let overdue = &mut world.ledger.deadline.overdue;
        if !is_over {
            overdue.remove(&address);
            continue;
        }
        let since = *overdue.entry(address.clone()).or_insert(world.now);
        if world.now.since(since) > SLACK {
            return Err(format!("{address:?} slept through its deadline"));
        }
    }
    Ok(())
}

fn over<S>(actors: &BTreeMap<Address, Actor<S>>, clock: Timestamp, due: &mut Vec<(Address, bool)>) {
    for (address, actor) in actors {
        let is_over = actor.deadline.is_some_and(|deadline| deadline <= clock);
        due.push((address.clone(), is_over));
    }
}

trait PlusSlack {
    fn plus_slack(self) -> Self;
}

impl PlusSlack for Millis {
    fn plus_slack(self) -> Self {
        Self(self.0 + SLACK.0)
    }
}
