//! The frame every machine runs in: addresses, messages, inbox and outbox.
//!
//! Model: an [`Actor`] is a machine's state together with its outbox, its inbox
//! and its deadline, stored as one value in one write. A turn takes one input,
//! steps the machine, files the messages it wants to send, and says when to
//! wake. Only after the value is stored does the shell deliver what is due.
//!
//! Delivery is at least once and in order per receiver; the receiver's inbox
//! keeps the last number per sender, so the effect is exactly once. Actors
//! never wait for each other's answer: an answer is another message.
//!
//! Invariants:
//! - A turn's messages are stored in the same write as the state that caused them.
//! - A message is removed from the outbox only when its receiver has stored it.
//! - The stored deadline is the earliest moment at which the machine or its
//!   outbox has something to do.

pub mod inbox;
pub mod message;
pub mod outbox;

pub use inbox::Inbox;
pub use message::{Address, Envelope, Message};
pub use outbox::Outbox;

use crate::time::{Timestamp, Turn};
use inbox::Receipt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A pure state machine that runs inside an [`Actor`].
pub trait Machine {
    /// What it remembers. The default is a machine nobody has spoken to.
    type State: Clone + Default + PartialEq + Serialize + DeserializeOwned;
    /// What its shell tells it, beyond messages and the passing of its deadline.
    type Local: Named;
    /// What it asks of its shell in the same turn; lost if the turn is lost.
    type Output;

    /// One step. `state` is changed in place; the shell stores it or drops it
    /// as a whole.
    fn step(
        state: &mut Self::State,
        turn: &mut Turn,
        input: Input<Self::Local>,
    ) -> Transition<Self::Output>;
}

/// What a machine can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<L> {
    /// Another machine's message, taken in exactly once.
    Message {
        /// Who sent it.
        from: Address,
        /// What it says.
        message: Message,
    },
    /// Something its shell saw.
    Local(L),
    /// The deadline it asked for has passed.
    DeadlinePassed,
}

/// Something that has a name in the tables of [`crate::table`].
pub trait Named {
    /// The name.
    fn word(&self) -> &'static str;
}

impl Named for std::convert::Infallible {
    fn word(&self) -> &'static str {
        match *self {}
    }
}

impl<L: Named> Named for Input<L> {
    fn word(&self) -> &'static str {
        match self {
            Self::Message { message, .. } => message.word(),
            Self::Local(local) => local.word(),
            Self::DeadlinePassed => "deadline",
        }
    }
}

/// What a step asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Transition<O> {
    /// Messages to other machines, in order.
    pub send: Vec<(Address, Message)>,
    /// Outputs for the shell, in order.
    pub output: Vec<O>,
    /// When the machine wants to be woken; `None` for never.
    pub deadline: Option<Timestamp>,
}

impl<O> Default for Transition<O> {
    fn default() -> Self {
        Self {
            send: Vec::new(),
            output: Vec::new(),
            deadline: None,
        }
    }
}

/// A machine with its mail and its deadline: what is stored, as one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "S: Serialize", deserialize = "S: DeserializeOwned"))]
pub struct Actor<S> {
    /// Who it is; the sender of its messages.
    pub address: Address,
    /// What the machine remembers.
    pub state: S,
    /// Messages that are stored and not yet taken in by their receiver.
    pub outbox: Outbox,
    /// The last number taken in, per sender.
    pub inbox: Inbox,
    /// When the machine itself wants to be woken.
    pub deadline: Option<Timestamp>,
}

/// What one turn did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Handled<O> {
    /// Outputs for the shell, to be performed after the value is stored.
    pub output: Vec<O>,
    /// For a delivered envelope: what the sender is to be told.
    pub receipt: Option<Receipt>,
    /// Whether the value changed and has to be stored.
    pub changed: bool,
}

impl<S: Clone + Default + PartialEq + Serialize + DeserializeOwned> Actor<S> {
    /// An actor nobody has spoken to.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            state: S::default(),
            outbox: Outbox::default(),
            inbox: Inbox::default(),
            deadline: None,
        }
    }

    /// Takes in an envelope from another actor.
    pub fn deliver<M: Machine<State = S>>(
        &mut self,
        turn: &mut Turn,
        envelope: Envelope,
    ) -> Handled<M::Output> {
        let receipt = if envelope.to == self.address {
            self.inbox
                .judge(&envelope.from, envelope.ordinal, envelope.after)
        } else {
            Receipt::Misaddressed
        };
        if receipt != Receipt::Taken {
            return Handled {
                output: Vec::new(),
                receipt: Some(receipt),
                changed: false,
            };
        }
        self.inbox.take(&envelope.from, envelope.ordinal, turn.now);
        let input = Input::Message {
            from: envelope.from,
            message: envelope.message,
        };
        let (output, _) = self.step::<M>(turn, input);
        Handled {
            output,
            receipt: Some(receipt),
            changed: true,
        }
    }

    /// Takes in something its shell saw.
    pub fn local<M: Machine<State = S>>(
        &mut self,
        turn: &mut Turn,
        local: M::Local,
    ) -> Handled<M::Output> {
        let (output, changed) = self.step::<M>(turn, Input::Local(local));
        Handled {
            output,
            receipt: None,
            changed,
        }
    }

    /// Takes in the passing of time. Spurious wake-ups change nothing.
    pub fn wake<M: Machine<State = S>>(&mut self, turn: &mut Turn) -> Handled<M::Output> {
        if self.deadline.is_none_or(|deadline| deadline > turn.now) {
            return Handled {
                output: Vec::new(),
                receipt: None,
                changed: false,
            };
        }
        let (output, changed) = self.step::<M>(turn, Input::DeadlinePassed);
        Handled {
            output,
            receipt: None,
            changed,
        }
    }

    fn step<M: Machine<State = S>>(
        &mut self,
        turn: &mut Turn,
        input: Input<M::Local>,
    ) -> (Vec<M::Output>, bool) {
        let before = self.state.clone();
        let transition = M::step(&mut self.state, turn, input);
        let changed = !transition.send.is_empty()
            || transition.deadline != self.deadline
            || before != self.state;
        for (to, message) in transition.send {
            self.outbox.push(turn.now, to, message);
        }
        self.deadline = transition.deadline;
        (transition.output, changed)
    }
}

impl<S> Actor<S> {
    /// The envelopes that are due, at most `limit`, in order per receiver.
    #[must_use]
    pub fn due(&self, now: Timestamp, limit: usize) -> Vec<Envelope> {
        self.outbox.due(&self.address, now, limit)
    }

    /// The earliest moment at which there is something to do.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        match (self.deadline, self.outbox.wake_at()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
