//! The seeded generator. Everything the world decides is drawn from it in
//! order, so a seed is a whole run.

use sam_domain::time::{Millis, Timestamp, Turn};

/// A seeded generator.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    turn: Turn,
}

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            turn: Turn::new(Timestamp(0), seed),
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        (self.turn.draw() >> 64) as u64
    }

    /// A number below `end`; 0 when `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A span between the two, mostly near the first.
    pub(crate) fn span(&mut self, least: u64, most: u64) -> Millis {
        let wide = most.saturating_sub(least);
        let limit = if self.chance(90) { wide / 10 } else { wide };
        Millis(least + self.below(limit.max(1)))
    }
}
