//! What must hold after every event, and once the world is left alone.
//!
//! Each file checks one promise and keeps what it has to remember for that.

mod attempt;
mod deadline;
mod dispatch;
mod feed;
mod loss;
mod outcome;
mod owner;
mod place;
mod rest;
mod rows;
mod terminal;

use crate::counts::Counts;
use crate::world::World;
use sam_domain::actor::Address;
use sam_domain::task::state::Task;
use sam_domain::time::{Millis, Timestamp};

/// What a promise says when it is broken.
type Held = Result<(), String>;

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) counts: Counts,
    pub(crate) attempt: attempt::Attempts,
    pub(crate) deadline: deadline::Deadlines,
    pub(crate) dispatch: dispatch::Dispatches,
    pub(crate) feed: feed::Feeds,
    pub(crate) loss: loss::Losses,
    pub(crate) outcome: outcome::Outcomes,
    pub(crate) rows: rows::Rows,
    pub(crate) terminal: terminal::Ends,
}

impl Ledger {
    /// An event of another attempt was taken in.
    pub(crate) fn stale_event(&mut self, before: &Task, after: &Task) {
        self.attempt.stale_event(before, after);
    }

    /// The objects' clock jumped: what was late by the old one is not by the new.
    pub(crate) fn clock_jumped(&mut self, now: Timestamp, back: Millis) {
        self.deadline.clock_jumped(now, back);
    }
}

/// Checks what the last event touched.
pub(crate) fn after_step(world: &mut World) -> Held {
    let mut touched = std::mem::take(&mut world.touched);
    for address in touched.drain(..) {
        match &address {
            Address::Session { .. } => {
                terminal::prompts(world, &address)?;
                dispatch::in_flight(world, &address)?;
                owner::session(world, &address)?;
                attempt::session(world, &address)?;
            }
            Address::Task(_) => {
                terminal::task(world, &address)?;
                attempt::task(world, &address)?;
                rows::task(world, &address)?;
                deadline::task(world, &address)?;
                place::task(world, &address)?;
            }
            Address::Pool(_) => place::pool(world, &address)?,
            Address::Node(_) | Address::Index => {}
        }
    }
    world.touched = touched;
    attempt::seen(world)?;
    dispatch::seen(world)?;
    feed::seen(world)?;
    loss::seen(world)?;
    deadline::leases(world)?;
    deadline::sweep(world)
}

/// Checks the world after it was left alone for longer than every deadline.
pub(crate) fn at_rest(world: &mut World) -> Held {
    after_step(world)?;
    outcome::at_rest(world)?;
    rest::sessions(world)?;
    rest::tasks(world)?;
    rest::nodes(world)?;
    place::at_rest(world)?;
    attempt::at_rest(world)?;
    feed::at_rest(world)
}
