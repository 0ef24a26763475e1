//! One turn of an object: it can be lost before its write, or after it.

use super::*;
use crate::coverage::{Life, Observed};
use sam_domain::actor::{Handled, Input, Named};

/// The actors of one machine.
pub(super) type Pick<M> =
    fn(&mut World) -> &mut BTreeMap<Address, Actor<<M as sam_domain::actor::Machine>::State>>;

/// What an object is told.
pub(super) enum Told<L> {
    Envelope(Box<Envelope>),
    Local(L),
    Alarm,
}

/// How a turn ended.
pub(super) enum Turned<O> {
    /// It was lost as if it had never been; the caller hears nothing.
    Lost,
    /// It is stored. The caller hears of it unless the object died right after.
    Stored { handled: Handled<O>, heard: bool },
}

impl<O> Turned<O> {
    pub(super) fn receipt(&self) -> Option<Receipt> {
        match self {
            Self::Lost | Self::Stored { heard: false, .. } => None,
            Self::Stored { handled, .. } => handled.receipt,
        }
    }

    pub(super) const fn is_stored(&self) -> bool {
        matches!(self, Self::Stored { .. })
    }

    /// What the machine asks of its shell, when the object lives to do it.
    pub(super) fn outputs(self) -> Vec<O> {
        match self {
            Self::Stored {
                handled,
                heard: true,
            } => handled.output,
            Self::Lost | Self::Stored { .. } => Vec::new(),
        }
    }
}

/// What a turn changed beyond its own output.
struct Seen {
    changed: bool,
    mailed: bool,
    wake_at: Option<Timestamp>,
}

impl World {
    pub(super) fn object_turn<M: Observed>(
        &mut self,
        pick: Pick<M>,
        address: &Address,
        told: Told<M::Local>,
    ) -> Turned<M::Output> {
        let mut turn = self.turn();
        let crash = self.conditions.crash;
        let lost = self.breaks(crash);
        let dies_after = !lost && self.breaks(crash);
        let forgets = self.errs(Defect::ForgetfulInbox, 30);
        let word = match &told {
            Told::Envelope(envelope) => envelope.message.word(),
            Told::Local(local) => local.word(),
            Told::Alarm => Input::<M::Local>::DeadlinePassed.word(),
        };
        let mut coverage = std::mem::take(&mut self.coverage);
        let actor = pick(self)
            .entry(address.clone())
            .or_insert_with(|| Actor::new(address.clone()));
        let kept = lost.then(|| actor.clone());
        let (mut before, mut after): (Vec<Life>, Vec<Life>) = Default::default();
        M::lives(&actor.state, &mut before);
        let newest = actor.outbox.newest();
        let handled = match told {
            Told::Envelope(envelope) => actor.deliver::<M>(&mut turn, *envelope),
            Told::Local(local) => actor.local::<M>(&mut turn, local),
            Told::Alarm => actor.wake::<M>(&mut turn),
        };
        if let Some(kept) = kept {
            *actor = kept;
            self.coverage = coverage;
            self.object_crashed(address);
            return Turned::Lost;
        }
        if forgets {
            actor.inbox = sam_domain::actor::Inbox::default();
        }
        if handled.changed {
            M::lives(&actor.state, &mut after);
            coverage.compare(&before, &after, word);
        }
        let seen = Seen {
            changed: handled.changed,
            mailed: actor.outbox.newest() != newest,
            wake_at: actor.wake_at(),
        };
        self.coverage = coverage;
        self.turn_is_stored(address, &seen);
        if dies_after {
            self.object_crashed(address);
        } else if seen.mailed {
            self.after(Millis(0), Happening::Drain(address.clone()));
        }
        Turned::Stored {
            handled,
            heard: !dies_after,
        }
    }

    fn turn_is_stored(&mut self, address: &Address, seen: &Seen) {
        if !seen.changed {
            return;
        }
        self.touched.push(address.clone());
        if let Some(at) = seen.wake_at {
            self.arm(address, at);
        }
    }

    /// An object that crashes loses its sockets without a word, and forgets
    /// which deliveries were under way.
    pub(super) fn object_crashed(&mut self, address: &Address) {
        self.ledger.counts.object_crashes += 1;
        self.drains.remove(address);
        match address {
            Address::Node(node) => {
                let on_it = (0..self.vms.len())
                    .filter(|vm| self.vms.get(*vm).is_some_and(|vm| vm.node == *node));
                for vm in on_it.collect::<Vec<_>>() {
                    self.drop_wire(vm, false);
                }
            }
            Address::Session { .. } => self.feed_crashed(),
            Address::Task(_) | Address::Pool(_) | Address::Index => {}
        }
    }
}
