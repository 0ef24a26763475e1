//! What was taken in, per sender.

use super::message::Address;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
#[serde(from = "Vec<(Address, u64)>", into = "Vec<(Address, u64)>")]
pub struct Inbox {
    last: BTreeMap<Address, u64>,
}

impl From<Vec<(Address, u64)>> for Inbox {
    fn from(list: Vec<(Address, u64)>) -> Self {
        Self {
            last: list.into_iter().collect(),
        }
    }
}

impl From<Inbox> for Vec<(Address, u64)> {
    fn from(inbox: Inbox) -> Self {
        inbox.last.into_iter().collect()
    }
}

impl Inbox {
    /// Judges number `ordinal` from `sender` without taking it in.
    #[must_use]
    pub fn judge(&self, sender: &Address, ordinal: u64) -> Receipt {
        let last = self.last.get(sender).copied().unwrap_or(0);
        if ordinal <= last {
            Receipt::Duplicate
        } else if ordinal == last + 1 {
            Receipt::Taken
        } else {
            Receipt::Gap
        }
    }

    /// Counts it.
    pub fn take(&mut self, sender: &Address, ordinal: u64) {
        self.last.insert(sender.clone(), ordinal);
    }
}
