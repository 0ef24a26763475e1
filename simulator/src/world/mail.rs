//! Mail between objects: one drain at a time in each, as the shell does it.
//!
//! The first message to each receiver is under way at once; the next follows
//! when it is settled. A run with reordering sends all of them at once, as when
//! a call that was given up arrives after those behind it.

use super::turns::{Told, Turned};
use super::*;
use sam_domain::actor::Message;

/// The drain of a message that the network repeats: nobody waits for its answer.
const NO_DRAIN: u64 = 0;
/// How long a delivery that was lost is waited for.
const GIVEN_UP: Millis = Millis::seconds(5);

impl World {
    /// Sends what is due, unless deliveries are under way.
    pub(super) fn drain(&mut self, address: &Address) {
        if self.drains.contains_key(address) {
            return;
        }
        let now = self.object_now();
        let mut due = match address {
            Address::Session { .. } => self.sessions.get(address).map(|a| a.due(now, 20)),
            Address::Task(_) => self.tasks.get(address).map(|a| a.due(now, 20)),
            Address::Node(_) => self.nodes.get(address).map(|a| a.due(now, 20)),
            Address::Pool(_) => self.pools.get(address).map(|a| a.due(now, 20)),
            Address::Index => None,
        }
        .unwrap_or_default();
        if !self.conditions.reorder {
            let mut receivers: Vec<Address> = Vec::new();
            due.retain(|envelope| {
                let first = !receivers.contains(&envelope.to);
                if first {
                    receivers.push(envelope.to.clone());
                }
                first
            });
        }
        if due.is_empty() {
            return;
        }
        self.next_drain += 1;
        let drain = self.next_drain;
        self.drains.insert(address.clone(), (drain, due.len()));
        for envelope in due {
            self.send(envelope, drain);
        }
    }

    fn send(&mut self, envelope: Envelope, drain: u64) {
        let (loss, repeat) = (self.conditions.loss, self.conditions.repeat);
        let dropped = self.errs(Defect::EffectDropped, 2);
        if self.breaks(loss) || dropped {
            self.ledger.counts.lost += 1;
            let answer = Happening::Answer {
                from: envelope.from,
                to: envelope.to,
                ordinal: envelope.ordinal,
                receipt: dropped.then_some(Receipt::Taken),
                drain,
            };
            self.after(GIVEN_UP, answer);
            return;
        }
        if self.breaks(repeat) {
            let span = self.random.span(1, 30_000);
            self.after(span, Happening::Deliver(envelope.clone(), NO_DRAIN));
        }
        let span = self.random.span(1, 3_000);
        self.after(span, Happening::Deliver(envelope, drain));
    }

    pub(super) fn deliver(&mut self, envelope: Envelope, drain: u64) {
        let (from, to, ordinal) = (envelope.from.clone(), envelope.to.clone(), envelope.ordinal);
        self.ledger.loss.sent(&envelope);
        let mut receipt = self.take_in(envelope);
        match receipt {
            Some(Receipt::Duplicate) => self.ledger.counts.duplicates += 1,
            Some(Receipt::Gap) => self.ledger.counts.gaps += 1,
            None if self.defect == Some(Defect::AcknowledgeBeforeStore) => {
                receipt = Some(Receipt::Taken);
            }
            _ => {}
        }
        let lost = self.breaks(self.conditions.loss);
        let span = match lost {
            true => GIVEN_UP,
            false => self.random.span(1, 2_000),
        };
        let answer = Happening::Answer {
            from,
            to,
            ordinal,
            receipt: receipt.filter(|_| !lost),
            drain,
        };
        self.after(span, answer);
    }

    fn take_in(&mut self, envelope: Envelope) -> Option<Receipt> {
        let to = envelope.to.clone();
        match &to {
            Address::Session { .. } => {
                let turned = self.object_turn::<SessionMachine>(
                    |w| &mut w.sessions,
                    &to,
                    Told::Envelope(Box::new(envelope)),
                );
                let receipt = turned.receipt();
                self.session_stored(&to, turned);
                receipt
            }
            Address::Task(_) => self.deliver_to_task(&to, envelope),
            Address::Node(_) => {
                let turned = self.object_turn::<NodeMachine>(
                    |w| &mut w.nodes,
                    &to,
                    Told::Envelope(Box::new(envelope)),
                );
                let receipt = turned.receipt();
                self.node_outputs(turned);
                if self.defect == Some(Defect::OldAttemptAccepted)
                    && let Some(actor) = self.nodes.get_mut(&to)
                {
                    let placements = actor.state.workspaces.values_mut();
                    placements.for_each(|placement| placement.fenced = false);
                }
                receipt
            }
            Address::Pool(_) => {
                let receipt = self
                    .object_turn::<PoolMachine>(
                        |w| &mut w.pools,
                        &to,
                        Told::Envelope(Box::new(envelope)),
                    )
                    .receipt();
                if self.defect == Some(Defect::DispatchBeforeClaim)
                    && let Some(actor) = self.pools.get_mut(&to)
                {
                    actor.state.claims.clear();
                }
                receipt
            }
            Address::Index => Some(Receipt::Taken),
        }
    }

    fn deliver_to_task(&mut self, to: &Address, mut envelope: Envelope) -> Option<Receipt> {
        let held = self.tasks.get(to).map(|actor| {
            let task = &actor.state;
            (
                task.attempt,
                task.workspace.clone(),
                task.state,
                task.step_deadline,
            )
        });
        let mut stale = None;
        let mut committed = false;
        let mut heartbeat = false;
        if let (
            Some((current, bound, ..)),
            Message::NodeEvent {
                workspace,
                attempt,
                event,
            },
        ) = (&held, &mut envelope.message)
        {
            stale = (attempt != current).then(|| self.tasks.get(to).map(|a| a.state.clone()));
            committed = matches!(event, Event::GitResult { .. });
            heartbeat = matches!(event, Event::WorkspacePhase { .. });
            if let (Some(Defect::OldAttemptAccepted), Some(bound)) = (self.defect, bound) {
                attempt.clone_from(current);
                workspace.clone_from(bound);
            }
        }
        let turned = self.object_turn::<TaskMachine>(
            |w| &mut w.tasks,
            to,
            Told::Envelope(Box::new(envelope)),
        );
        let receipt = turned.receipt();
        if let (Turned::Stored { handled, .. }, Some(actor)) = (&turned, self.tasks.get_mut(to)) {
            if let (Some(Some(before)), true) = (stale, handled.changed) {
                self.ledger.stale_event(&before, &actor.state);
            }
            let cancelled = actor.state.state == sam_domain::task::TaskState::Cancelled;
            if committed && cancelled && self.defect == Some(Defect::LateSuccessOverCancel) {
                actor.state.state = sam_domain::task::TaskState::Completed;
                self.touched.push(to.clone());
            }
            if heartbeat
                && self.defect == Some(Defect::HeartbeatMovesDeadline)
                && let Some(deadline) = &mut actor.state.step_deadline
            {
                *deadline = deadline.plus(Millis::seconds(10));
                actor.deadline = actor.state.deadline();
            }
        }
        receipt
    }

    pub(super) fn answer(
        &mut self,
        from: &Address,
        to: &Address,
        ordinal: u64,
        receipt: Option<Receipt>,
        drain: u64,
    ) {
        // A drain that died with its object hears no answers.
        let Some((under_way, left)) = self.drains.get_mut(from) else {
            return;
        };
        if *under_way != drain {
            return;
        }
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.drains.remove(from);
        }
        let now = self.object_now();
        match from {
            Address::Session { .. } => {
                settle(self.sessions.get_mut(from), now, to, ordinal, receipt);
            }
            Address::Task(_) => settle(self.tasks.get_mut(from), now, to, ordinal, receipt),
            Address::Node(_) => settle(self.nodes.get_mut(from), now, to, ordinal, receipt),
            Address::Pool(_) => settle(self.pools.get_mut(from), now, to, ordinal, receipt),
            Address::Index => {}
        }
        if let Some(at) = self.wake_at(from) {
            self.arm(from, at);
        }
        if !self.drains.contains_key(from) {
            self.after(Millis(0), Happening::Drain(from.clone()));
        }
    }
}

fn settle<S>(
    actor: Option<&mut Actor<S>>,
    now: Timestamp,
    to: &Address,
    ordinal: u64,
    receipt: Option<Receipt>,
) {
    if let Some(actor) = actor {
        match receipt {
            Some(receipt) => actor.outbox.answered(now, to, ordinal, receipt),
            None => actor.outbox.failed(now, to),
        };
    }
}
