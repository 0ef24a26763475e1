//! How long a task waits when nothing moves.
//!
//! An agent that ended its turn without finishing is asked once what it waits for; one that asked its
//! person something is left alone for longer. Both end in a failure with its reason, so that no task
//! holds a machine for ever. A conversation is its person's own: there nobody is hurried.

use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// How long a task waits when nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// How long an agent that has not finished may be idle until it is asked what it waits for, and
    /// again until its task fails.
    pub idle: Millis,
    /// How long what an agent asked waits for an answer until its task fails.
    pub question: Millis,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            idle: Millis::minutes(5),
            question: Millis::hours(2),
        }
    }
}

impl Patience {
    /// Whether nobody set it otherwise.
    #[must_use]
    pub fn is_standard(&self) -> bool {
        *self == Self::default()
    }
}
