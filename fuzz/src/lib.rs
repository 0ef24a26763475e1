//! Hostile variations of well-formed input.
//!
//! Model: whatever a program reads from outside has examples that are right.
//! [`json`] changes their structure and [`bytes`] their bytes, a little at a
//! time, so that a reader is led past its first check; [`measured`] counts what
//! reading costs. The properties stand beside the readers, in `tests/`.
//!
//! A run is the same every time: the seed is fixed. `PROPTEST_RNG_SEED` and
//! `PROPTEST_CASES` choose another run and a longer one.
//!
//! It knows nothing of what it varies.

mod memory;
mod text;
mod tree;

pub use memory::measured;
pub use text::bytes;
pub use tree::json;

use std::fmt;
use std::ops::Deref;

use proptest::test_runner::{Config, RngSeed};

/// The seed of a run for which nobody chose one.
const SEED: u64 = 0x005a_4d00;

/// How much of an input is shown.
const SHOWN: usize = 2000;

/// Bytes that show themselves as text where they are text.
#[derive(Clone, PartialEq, Eq)]
pub struct Input(Vec<u8>);

impl Deref for Input {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..SHOWN).unwrap_or(&self.0);
        write!(f, "b\"{}\" ({} bytes)", shown.escape_ascii(), self.0.len())
    }
}

/// `cases` cases from the fixed seed; nothing is written beside the sources.
#[must_use]
pub fn config(cases: u32) -> Config {
    let chosen = Config::default();
    Config {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => chosen.cases,
            None => cases,
        },
        rng_seed: match chosen.rng_seed {
            RngSeed::Random => RngSeed::Fixed(SEED),
            fixed => fixed,
        },
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..chosen
    }
}
