//! What is stored and not yet taken in by its receiver.

use super::inbox::Receipt;
use super::message::{Address, Envelope, Message};
use crate::collect::Map;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The pause before the first repeat; doubled for each further one.
const FIRST_PAUSE: Millis = Millis(500);
/// The longest pause between repeats.
const LONGEST_PAUSE: Millis = Millis::seconds(60);
/// How long a drain that just began may take before the alarm repeats it.
const DRAIN_GRACE: Millis = Millis::seconds(5);

/// Messages by receiver, each receiver's in order. A receiver to whom nothing
/// is owed is not remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Outbox {
    /// The number of the newest message.
    newest: u64,
    lanes: Map<Address, Lane>,
}

/// The stored form: JSON has no maps with structured keys.
#[derive(Serialize, Deserialize)]
struct Kept {
    newest: u64,
    lanes: Vec<(Address, Lane)>,
}

/// One receiver's messages; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lane {
    queue: VecDeque<(u64, Message)>,
    /// Failed deliveries of the first message in a row.
    failures: u32,
    /// When to try (again).
    not_before: Timestamp,
    /// When a lost drain is noticed.
    wake: Timestamp,
}

impl Lane {
    /// Whether it is too early to try again. A pause that is longer than any
    /// pause was set before the clock went back, and is over.
    fn waits_at(&self, now: Timestamp) -> bool {
        self.not_before > now && self.not_before <= now.plus(LONGEST_PAUSE)
    }
}

impl From<Kept> for Outbox {
    fn from(kept: Kept) -> Self {
        Self {
            newest: kept.newest,
            lanes: kept.lanes.into_iter().collect(),
        }
    }
}

impl From<Outbox> for Kept {
    fn from(outbox: Outbox) -> Self {
        Self {
            newest: outbox.newest,
            lanes: outbox.lanes.into_iter().collect(),
        }
    }
}

impl Outbox {
    /// Files a message. It is due at once, or once those before it are taken in.
    pub fn push(&mut self, now: Timestamp, to: Address, message: Message) {
        self.newest += 1;
        let lane = self.lanes.entry(to).or_insert_with(|| Lane {
            queue: VecDeque::new(),
            failures: 0,
            not_before: now,
            wake: now.plus(DRAIN_GRACE),
        });
        if !lane.waits_at(now) {
            lane.not_before = lane.not_before.min(now);
            lane.wake = lane.wake.min(now.plus(DRAIN_GRACE));
        }
        lane.queue.push_back((self.newest, message));
    }

    /// The envelopes that are due, at most `limit`; receivers take turns, each
    /// receiver's are in order.
    #[must_use]
    pub fn due(&self, from: &Address, now: Timestamp, limit: usize) -> Vec<Envelope> {
        let mut due = Vec::new();
        let mut ready: Vec<_> = self
            .lanes
            .iter()
            .filter(|(_, lane)| !lane.waits_at(now))
            .map(|(to, lane)| (to, lane.queue.iter(), 0))
            .collect();
        while !ready.is_empty() {
            ready.retain_mut(|(to, queue, after)| {
                let Some((ordinal, message)) = queue.next() else {
                    return false;
                };
                if due.len() == limit {
                    return false;
                }
                due.push(Envelope {
                    from: from.clone(),
                    to: (*to).clone(),
                    ordinal: *ordinal,
                    after: *after,
                    message: message.clone(),
                });
                *after = *ordinal;
                true
            });
        }
        due
    }

    /// The receiver answered for number `ordinal`. Returns whether anything changed.
    pub fn answered(
        &mut self,
        now: Timestamp,
        to: &Address,
        ordinal: u64,
        receipt: Receipt,
    ) -> bool {
        if !receipt.settles() {
            return self.failed(now, to);
        }
        let Some(lane) = self.lanes.get_mut(to) else {
            return false;
        };
        let before = lane.queue.len();
        lane.queue.retain(|(held, _)| *held > ordinal);
        let changed = lane.queue.len() != before;
        if changed {
            lane.failures = 0;
            lane.not_before = now;
            lane.wake = now.plus(DRAIN_GRACE);
        }
        if lane.queue.is_empty() {
            self.lanes.remove(to);
        }
        changed
    }

    /// The receiver could not be reached. Returns whether anything changed.
    pub fn failed(&mut self, now: Timestamp, to: &Address) -> bool {
        let Some(lane) = self.lanes.get_mut(to) else {
            return false;
        };
        let pause = FIRST_PAUSE
            .0
            .saturating_mul(1 << lane.failures.min(10))
            .min(LONGEST_PAUSE.0);
        lane.failures = lane.failures.saturating_add(1);
        lane.not_before = now.plus(Millis(pause));
        lane.wake = lane.not_before;
        true
    }

    /// The earliest moment at which a delivery has to be tried, if any is open.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.lanes.values().map(|lane| lane.wake).min()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The number of the newest message; grows with every one.
    #[must_use]
    pub const fn newest(&self) -> u64 {
        self.newest
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.queue.len()).sum()
    }
}
