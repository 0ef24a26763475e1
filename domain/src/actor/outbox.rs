//! What is stored and not yet taken in by its receiver.

use super::inbox::Receipt;
use super::message::{Address, Envelope, Message};
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The pause before the first repeat; doubled for each further one.
const FIRST_PAUSE: Millis = Millis(500);
/// The longest pause between repeats.
const LONGEST_PAUSE: Millis = Millis::seconds(60);
/// How long a drain that just began may take before the alarm repeats it.
const DRAIN_GRACE: Millis = Millis::seconds(5);

/// Messages by receiver, each receiver's in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Address, Lane)>", into = "Vec<(Address, Lane)>")]
pub struct Outbox {
    lanes: BTreeMap<Address, Lane>,
}

/// One receiver's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Lane {
    /// The number of the first message in `queue`, or of the next one.
    first: u64,
    queue: VecDeque<Message>,
    /// Failed deliveries of the first message in a row.
    failures: u32,
    /// When to try (again).
    not_before: Timestamp,
    /// When a lost drain is noticed.
    wake: Timestamp,
}

impl From<Vec<(Address, Lane)>> for Outbox {
    fn from(list: Vec<(Address, Lane)>) -> Self {
        Self {
            lanes: list.into_iter().collect(),
        }
    }
}

impl From<Outbox> for Vec<(Address, Lane)> {
    fn from(outbox: Outbox) -> Self {
        outbox.lanes.into_iter().collect()
    }
}

impl Outbox {
    /// Files a message. It is due at once.
    pub fn push(&mut self, now: Timestamp, to: Address, message: Message) {
        let lane = self.lanes.entry(to).or_default();
        if lane.first == 0 {
            lane.first = 1;
        }
        if lane.queue.is_empty() {
            lane.failures = 0;
            lane.not_before = now;
            lane.wake = now.plus(DRAIN_GRACE);
        }
        lane.queue.push_back(message);
    }

    /// The envelopes that are due, at most `limit`; receivers take turns, each
    /// receiver's are in order.
    #[must_use]
    pub fn due(&self, from: &Address, now: Timestamp, limit: usize) -> Vec<Envelope> {
        let mut due = Vec::new();
        let ready: Vec<_> = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.not_before <= now)
            .collect();
        for depth in 0.. {
            let before = due.len();
            for (to, lane) in &ready {
                if due.len() == limit {
                    return due;
                }
                if let Some(message) = lane.queue.get(depth) {
                    due.push(Envelope {
                        from: from.clone(),
                        to: (*to).clone(),
                        ordinal: lane.first + depth as u64,
                        message: message.clone(),
                    });
                }
            }
            if due.len() == before {
                break;
            }
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
        let mut changed = false;
        while lane.first <= ordinal && lane.queue.pop_front().is_some() {
            lane.first += 1;
            changed = true;
        }
        if changed {
            lane.failures = 0;
            lane.not_before = now;
            lane.wake = now.plus(DRAIN_GRACE);
        }
        changed
    }

    /// The receiver could not be reached. Returns whether anything changed.
    pub fn failed(&mut self, now: Timestamp, to: &Address) -> bool {
        let Some(lane) = self.lanes.get_mut(to).filter(|lane| !lane.queue.is_empty()) else {
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
        self.lanes
            .values()
            .filter(|lane| !lane.queue.is_empty())
            .map(|lane| lane.wake)
            .min()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.values().all(|lane| lane.queue.is_empty())
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.queue.len()).sum()
    }
}
