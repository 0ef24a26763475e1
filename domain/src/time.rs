//! Time and entropy as arguments.
//!
//! Nothing in this crate reads a clock or draws random numbers: the shell that
//! runs a machine hands both in as a [`Turn`], so that the simulator can replay
//! any run from its seed.

use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment `span` later; saturates at the end of time.
    #[must_use]
    pub const fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long after `earlier` this moment is; zero when it is before it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

/// A span of time in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Millis(pub u64);

impl Millis {
    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(n: u64) -> Self {
        Self(n.saturating_mul(1_000))
    }

    /// A span of whole minutes.
    #[must_use]
    pub const fn minutes(n: u64) -> Self {
        Self::seconds(n.saturating_mul(60))
    }

    /// A span of whole hours.
    #[must_use]
    pub const fn hours(n: u64) -> Self {
        Self::minutes(n.saturating_mul(60))
    }
}

/// One turn of a machine: the moment it happens and the entropy it may use.
///
/// Entropy is drawn in order, so a turn replayed with the same seed mints the
/// same ids.
#[derive(Clone, Debug)]
pub struct Turn {
    /// When the turn happens.
    pub now: Timestamp,
    state: u64,
}

impl Turn {
    /// A turn at `now`, drawing from `seed`.
    #[must_use]
    pub const fn new(now: Timestamp, seed: u64) -> Self {
        Self { now, state: seed }
    }

    /// The next 128 bits. SplitMix64, twice: the seed is what carries the
    /// entropy, this only spreads it.
    pub fn draw(&mut self) -> u128 {
        (u128::from(self.draw64()) << 64) | u128::from(self.draw64())
    }

    fn draw64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
