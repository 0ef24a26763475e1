//! The drain: delivers what lies in the outboxes, one drain at a time in each object.
//!
//! Each receiver's messages go in order and one after the other; different receivers at the same
//! time. At most twenty are under way, each with a deadline. What was taken in is remembered, and
//! removed with the next write of its actor; a crash in between repeats the delivery, which the
//! receiver's inbox recognises.
//! When a receiver cannot be reached the outbox says when to try again, and the alarm is set to it.

use std::rc::Rc;

use futures::future::join_all;
use sam_domain::actor::inbox::Receipt;
use sam_domain::actor::{Actor, Address, Envelope, Machine, Message};

use sam_domain::collect::Map;
use sam_domain::node::wire::NodeView;
use sam_domain::task::TaskView;
use sam_domain::time::Turn;
use sam_platform::d1::node_index::{IndexedNode, NodeIndex};
use sam_platform::d1::task_index::{IndexedTask, TaskIndex};
use sam_platform::objects::{self, CallError};
use sam_platform::probe::Outside;
use sam_platform::{bindings, clock};

use crate::shell::{Host, Shell, ShellError, TakenIn, key_of};

/// Most messages under way at once.
const AT_ONCE: usize = 20;

/// What became of one delivery. `None`: it is not known, so it must be repeated.
struct Answer {
    envelope: Envelope,
    receipt: Option<Receipt>,
}

/// Resets the flag however the drain ends.
struct Draining(Rc<Host>);

impl Drop for Draining {
    fn drop(&mut self) {
        self.0.draining.set(false);
    }
}

impl<M: Machine> Shell<M> {
    /// Takes in a message of another machine and says what the sender is to be told. `perform` does
    /// what the machine asks of its shell, in the same transaction.
    pub(crate) fn take_in<T: Default>(
        &self,
        envelope: Envelope,
        perform: impl FnOnce(&mut Actor<M::State>, &mut Turn, Vec<M::Output>) -> Result<T, ShellError>,
    ) -> Result<(Receipt, T), ShellError> {
        if !self.is_mine(&envelope.to) {
            return Ok((Receipt::Misaddressed, T::default()));
        }
        let to = envelope.to.clone();
        let taken = self.turn(&to, |actor, turn| {
            let handled = actor.deliver::<M>(turn, envelope);
            let receipt = handled.receipt.unwrap_or(Receipt::Misaddressed);
            let done = perform(actor, turn, handled.output)?;
            Ok((handled.changed, (receipt, done)))
        })?;
        self.host.deliver_soon();
        Ok(taken)
    }
}

impl Host {
    /// Starts a drain in the background, unless one runs: it will find the new mail itself.
    pub(crate) fn deliver_soon(self: &Rc<Self>) {
        if self.pending.borrow().is_empty() || self.draining.get() {
            return;
        }
        self.background.run(Rc::clone(self).deliver_all());
    }

    /// Delivers until nothing is due.
    pub(crate) async fn deliver_all(self: Rc<Self>) {
        if self.draining.replace(true) {
            return;
        }
        let _draining = Draining(Rc::clone(&self));
        loop {
            let keys = std::mem::take(&mut *self.pending.borrow_mut());
            let mut due = Vec::new();
            for key in keys.into_keys() {
                let room = AT_ONCE.saturating_sub(due.len());
                if room == 0 {
                    self.pending.borrow_mut().insert(key, ());
                    continue;
                }
                match self.due(&key, clock::now(), room) {
                    Ok(envelopes) => due.extend(envelopes),
                    Err(error) => worker::console_error!("mail of {key}: {error}"),
                }
            }
            if due.is_empty() {
                return;
            }
            let answers = self.deliver_lanes(due).await;
            if let Err(error) = self.settle(answers) {
                // The deliveries will be repeated by the alarm, and recognised.
                worker::console_error!("mail could not be settled: {error}");
                return;
            }
            self.probe.point("mail.settled").await;
        }
    }

    /// Remembers what was taken in and puts off what could not be delivered, in one turn.
    fn settle(&self, answers: Vec<Answer>) -> Result<(), ShellError> {
        let now = clock::now();
        let mut by_actor: Map<String, Vec<Answer>> = Map::new();
        for answer in answers {
            by_actor
                .entry(key_of(&answer.envelope.from))
                .or_default()
                .push(answer);
        }
        for (key, answers) in by_actor {
            let mut refused = Vec::new();
            for Answer { envelope, receipt } in answers {
                match receipt.filter(|receipt| receipt.settles()) {
                    Some(receipt) => self.remember_taken_in(
                        &key,
                        TakenIn {
                            to: envelope.to,
                            ordinal: envelope.ordinal,
                            receipt,
                            at: now,
                        },
                    ),
                    None => refused.push(envelope.to),
                }
            }
            let Some(mut actor) = self.load_unread(&key)? else {
                continue;
            };
            for to in &refused {
                actor.outbox.failed(now, to);
            }
            if !refused.is_empty() {
                self.settle_actor(&actor)?;
            } else if !actor.outbox.is_empty() {
                self.pending.borrow_mut().insert(key, ());
            }
        }
        self.arm()
    }

    async fn deliver_lanes(&self, due: Vec<Envelope>) -> Vec<Answer> {
        let mut lanes: Map<(Address, Address), Vec<Envelope>> = Map::new();
        for envelope in due {
            lanes
                .entry((envelope.from.clone(), envelope.to.clone()))
                .or_default()
                .push(envelope);
        }
        let answers = join_all(lanes.into_values().map(|lane| self.deliver_lane(lane))).await;
        answers.into_iter().flatten().collect()
    }

    /// Delivers one receiver's messages in order, up to the first that is not settled.
    async fn deliver_lane(&self, lane: Vec<Envelope>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(lane.len());
        for envelope in lane {
            let receipt = match self.hand_over(&envelope).await {
                Ok(receipt) => Some(receipt),
                Err(error) => {
                    worker::console_warn!(
                        "message {} of {} to {} waits: {error}",
                        envelope.ordinal,
                        key_of(&envelope.from),
                        key_of(&envelope.to)
                    );
                    None
                }
            };
            let settled = receipt.is_some_and(Receipt::settles);
            answers.push(Answer { envelope, receipt });
            if !settled {
                break;
            }
        }
        answers
    }

    async fn hand_over(&self, envelope: &Envelope) -> Result<Receipt, CallError> {
        let env = &self.env;
        let object = match &envelope.to {
            Address::Session { project, .. } => objects::project(env, project)?,
            Address::Task(id) => objects::task(env, id)?,
            Address::Node(id) => objects::node(env, id)?,
            Address::Pool(owner) => objects::pool(env, owner)?,
            Address::Index => return self.write_index(&envelope.message).await,
        };
        self.probe
            .outside(Outside::Delivery, object.deliver(envelope))
            .await
    }

    /// Writes the cross-project index. It is ordered by `rev`, so a repeat or an older view changes
    /// nothing; a message that is no view is never taken.
    async fn write_index(&self, message: &Message) -> Result<Receipt, CallError> {
        let database = bindings::database(&self.env)?;
        let written = match message {
            Message::TaskIndexed(task) => {
                let (index, row) = (TaskIndex(&database), indexed_task(task));
                self.probe.outside(Outside::Database, index.put(&row)).await
            }
            Message::NodeIndexed(node) => {
                let (index, row) = (NodeIndex(&database), indexed_node(node));
                self.probe.outside(Outside::Database, index.put(&row)).await
            }
            Message::NodeLeft(node) => {
                let index = NodeIndex(&database);
                let removed = self
                    .probe
                    .outside(Outside::Database, index.remove(node))
                    .await;
                removed.map(|()| true)
            }
            _ => return Ok(Receipt::Misaddressed),
        };
        written.map(|_| Receipt::Taken).map_err(|error| {
            CallError::Unavailable(sam_platform::js::JsFailure::new(error.to_string()))
        })
    }
}

fn indexed_task(task: &TaskView) -> IndexedTask {
    IndexedTask {
        id: task.id.clone(),
        project_id: task.project.clone(),
        session_id: task.session.clone(),
        created_by: task.created_by.clone(),
        title: task.title.clone(),
        state: task.state.word().to_owned(),
        rev: task.rev,
        created_at: task.created_at,
        since: task.since,
    }
}

fn indexed_node(node: &NodeView) -> IndexedNode {
    IndexedNode {
        id: node.id.clone(),
        owner_id: node.owner.clone(),
        name: node.name.clone(),
        state: node.state.word().to_owned(),
        rev: node.rev,
        created_at: node.since,
        updated_at: clock::now(),
    }
}
