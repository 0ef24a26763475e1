//! What was taken in, per sender.

use super::message::Address;
use crate::collect::Map;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// Senders that are remembered whatever their age.
const REMEMBERED_SENDERS: usize = 256;
/// How long a sender beyond those is remembered. A message whose answer was
/// lost comes again within a minute, so nothing of a day ago comes again.
const REMEMBERED_FOR: Millis = Millis::hours(24);

/// What a receiver says about an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receipt {
    /// Stored with its effects.
    Taken,
    /// Stored before.
    Duplicate,
    /// An earlier one is missing; send that first.
    Gap,
    /// It is not for this actor; it will never be taken.
    Misaddressed,
}

impl Receipt {
    /// Whether the sender may forget the envelope. One that can never be taken
    /// is dropped rather than blocking those behind it.
    #[must_use]
    pub const fn settles(self) -> bool {
        matches!(self, Self::Taken | Self::Duplicate | Self::Misaddressed)
    }
}

/// The last number taken in, per sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Address, Last)>", into = "Vec<(Address, Last)>")]
pub struct Inbox {
    senders: Map<Address, Last>,
}

/// What is remembered of a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    /// The number of its newest message that was taken in.
    ordinal: u64,
    /// When.
    at: Timestamp,
}

impl From<Vec<(Address, Last)>> for Inbox {
    fn from(list: Vec<(Address, Last)>) -> Self {
        Self {
            senders: list.into_iter().collect(),
        }
    }
}

impl From<Inbox> for Vec<(Address, Last)> {
    fn from(inbox: Inbox) -> Self {
        inbox.senders.into_iter().collect()
    }
}

impl Inbox {
    /// Judges number `ordinal` from `sender`, which has to come after number
    /// `after`, without taking it in.
    #[must_use]
    pub fn judge(&self, sender: &Address, ordinal: u64, after: u64) -> Receipt {
        let last = self.senders.get(sender).map_or(0, |last| last.ordinal);
        if ordinal <= last {
            Receipt::Duplicate
        } else if after <= last {
            Receipt::Taken
        } else {
            Receipt::Gap
        }
    }

    /// Counts it, and forgets senders that were silent for long.
    pub fn take(&mut self, sender: &Address, ordinal: u64, now: Timestamp) {
        self.senders
            .insert(sender.clone(), Last { ordinal, at: now });
        if self.senders.len() > REMEMBERED_SENDERS {
            self.senders
                .retain(|_, last| last.at.plus(REMEMBERED_FOR) > now);
        }
    }

    /// How many senders are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.senders.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }
}
