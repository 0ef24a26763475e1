//! How often something may be tried.
//!
//! Model: a bucket that holds `burst` tries and gets one back every `every`.
//! Its whole memory is one moment, the one at which it is full again (the
//! generic cell rate algorithm), so counting a try is one write of one number.
//!
//! Invariant: within any span of time at most `burst + span / every` tries are
//! let through, also when they come at once.
//!
//! It does not know who tries what: each bucket is kept under a key of its own
//! by its one writer.

use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// What is limited, and by whom it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitName {
    /// Tokens presented to `auth/token-login`, by address.
    TokenLoginAddress,
    /// Sessions opened with a person's tokens, by person.
    TokenLoginAccount,
    /// Device flows begun, by address.
    DeviceCodeAddress,
    /// Polls of device flows, by address. Each flow has its own pace beside it.
    DeviceTokenAddress,
    /// User codes entered, by person: whoever guesses codes does it here.
    UserCodeAccount,
    /// Links, invites and claim tokens presented, by address.
    SignInAddress,
    /// What everybody may read, by address.
    PublicReadAddress,
}

/// How much is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Tries that may come at once.
    pub burst: u32,
    /// After which time one more may come.
    pub every: Millis,
}

impl LimitName {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TokenLoginAddress,
        Self::TokenLoginAccount,
        Self::DeviceCodeAddress,
        Self::DeviceTokenAddress,
        Self::UserCodeAccount,
        Self::SignInAddress,
        Self::PublicReadAddress,
    ];

    /// Its word, as in the key of its buckets.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TokenLoginAddress => "token_login_address",
            Self::TokenLoginAccount => "token_login_account",
            Self::DeviceCodeAddress => "device_code_address",
            Self::DeviceTokenAddress => "device_token_address",
            Self::UserCodeAccount => "user_code_account",
            Self::SignInAddress => "sign_in_address",
            Self::PublicReadAddress => "public_read_address",
        }
    }

    /// How much it lets through.
    #[must_use]
    pub const fn limit(self) -> Limit {
        match self {
            Self::TokenLoginAddress => Limit {
                burst: 20,
                every: Millis::seconds(6),
            },
            Self::TokenLoginAccount => Limit {
                burst: 30,
                every: Millis::seconds(10),
            },
            Self::DeviceCodeAddress => Limit {
                burst: 30,
                every: Millis::seconds(10),
            },
            // A whole office polls every five seconds.
            Self::DeviceTokenAddress => Limit {
                burst: 120,
                every: Millis::seconds(1),
            },
            // Fifty tries in the fifteen minutes that a code lives, of 20^8 codes.
            Self::UserCodeAccount => Limit {
                burst: 20,
                every: Millis::seconds(30),
            },
            // Fifty who claim at once are one moment of one installation's life.
            Self::SignInAddress => Limit {
                burst: 100,
                every: Millis::seconds(2),
            },
            // Three for each page that is opened.
            Self::PublicReadAddress => Limit {
                burst: 300,
                every: Millis(200),
            },
        }
    }

    /// Whether somebody guesses here, so that every try is written down and one that cannot be
    /// counted is refused. What only costs work is counted in memory, which is full again within a
    /// minute anyway, and let through where nobody counts.
    #[must_use]
    pub const fn guards(self) -> bool {
        !matches!(self, Self::PublicReadAddress)
    }
}

/// A bucket's whole memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// When it is full again.
    pub full_at: Timestamp,
}

/// What a counting object answers to the name of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// For how long to wait; the try was let through when absent.
    pub wait: Option<Millis>,
}

impl Bucket {
    /// Counts a try, or says after which time one may come. A refused try costs nothing.
    ///
    /// # Errors
    /// The time to wait.
    pub fn take(&mut self, limit: Limit, now: Timestamp) -> Result<(), Millis> {
        let whole = Millis(limit.every.0.saturating_mul(u64::from(limit.burst)));
        // A clock that went back must not shut anybody out for longer than an empty bucket does.
        let full_at = self.full_at.clamp(now, now.plus(whole));
        let next = full_at.plus(limit.every);
        let over = next.since(now).0.saturating_sub(whole.0);
        if over > 0 {
            return Err(Millis(over));
        }
        self.full_at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: Limit = Limit {
        burst: 3,
        every: Millis::seconds(10),
    };

    #[test]
    fn a_burst_is_let_through_and_then_one_at_a_time() {
        let mut bucket = Bucket::default();
        let now = Timestamp(1_000_000);
        for _ in 0..3 {
            assert_eq!(bucket.take(LIMIT, now), Ok(()));
        }
        assert_eq!(bucket.take(LIMIT, now), Err(Millis::seconds(10)));
        let later = now.plus(Millis::seconds(4));
        assert_eq!(bucket.take(LIMIT, later), Err(Millis::seconds(6)));
        let later = now.plus(Millis::seconds(10));
        assert_eq!(bucket.take(LIMIT, later), Ok(()));
        assert_eq!(bucket.take(LIMIT, later), Err(Millis::seconds(10)));
    }

    #[test]
    fn a_clock_that_goes_back_shuts_nobody_out_for_longer() {
        let mut bucket = Bucket {
            full_at: Timestamp(u64::MAX / 2),
        };
        assert_eq!(
            bucket.take(LIMIT, Timestamp(5_000)),
            Err(Millis::seconds(10))
        );
    }

    #[test]
    fn what_is_not_written_down_is_soon_full_again() {
        for name in LimitName::ALL {
            let limit = name.limit();
            let whole = limit.every.0 * u64::from(limit.burst);
            assert!(name.guards() || whole <= 60_000, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn no_more_get_through_than_the_limit_says(pauses in prop::collection::vec(0u64..30_000, 1..200)) {
            let mut bucket = Bucket::default();
            let mut now = Timestamp(1_000_000_000);
            let mut through = Vec::new();
            for pause in pauses {
                now = now.plus(Millis(pause));
                if bucket.take(LIMIT, now).is_ok() {
                    through.push(now);
                }
            }
            for (first, from) in through.iter().enumerate() {
                for (last, to) in through.iter().enumerate().skip(first) {
                    let most = u64::from(LIMIT.burst) + to.since(*from).0 / LIMIT.every.0;
                    prop_assert!((last - first + 1) as u64 <= most);
                }
            }
        }
    }
}
