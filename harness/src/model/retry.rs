//! When to try again: growing pauses with jitter, within a budget of time.
//!
//! The budget counts the time in which nothing comes. A reply that began shows
//! a server at work and starts the count anew; so that a server that always
//! breaks off does not keep a turn for ever, there are only so many of those.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);
const MOST_BREAKS: u32 = 8;

/// The pauses of one request.
#[derive(Debug)]
pub(crate) struct Retry {
    started: Instant,
    idle_since: Instant,
    budget: Duration,
    attempts: u32,
    /// Attempts in a row to which nothing came.
    failures: u32,
    breaks: u32,
}

impl Retry {
    pub(crate) fn new(budget: Duration) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            idle_since: now,
            budget,
            attempts: 0,
            failures: 0,
            breaks: 0,
        }
    }

    /// The pause after an attempt that failed; none when the time or the
    /// number of breaks is used up. `began` says that a part of a reply had
    /// come, `asked` the pause the server asked for, which is kept.
    pub(crate) fn next(&mut self, began: bool, asked: Option<Duration>) -> Option<Duration> {
        self.attempts = self.attempts.saturating_add(1);
        if began {
            self.breaks += 1;
            self.failures = 0;
            self.idle_since = Instant::now();
        }
        let doubled = FIRST.saturating_mul(1 << self.failures.max(self.breaks).min(10));
        self.failures = self.failures.saturating_add(1);
        let wait = asked.unwrap_or_else(|| jittered(doubled.min(LONGEST)));
        let idle = self.idle_since.elapsed().saturating_add(wait);
        (self.breaks <= MOST_BREAKS && idle <= self.budget).then_some(wait)
    }

    /// How many attempts were made.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Since the first attempt.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Between three and five quarters of the pause, so that clients that failed
/// together do not return together.
fn jittered(wait: Duration) -> Duration {
    // The standard library's hasher is the one source of randomness at hand.
    let random = RandomState::new().build_hasher().finish();
    let percent = u32::try_from(random % 51).unwrap_or(0);
    wait.saturating_mul(75 + percent) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_outlast_a_minute_without_a_server() {
        let mut retry = Retry::new(Duration::from_secs(180));
        let mut longest = Duration::ZERO;
        while let Some(wait) = retry.next(false, None) {
            longest = longest.max(wait);
            tokio::time::advance(wait).await;
        }
        assert!(retry.elapsed() > Duration::from_secs(60));
        assert!(retry.elapsed() <= Duration::from_secs(180));
        assert!(longest <= LONGEST * 5 / 4 && retry.attempts() > 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_was_asked_for_is_kept_or_given_up_on() {
        let mut retry = Retry::new(Duration::from_secs(30));
        let asked = Duration::from_secs(20);
        assert_eq!(retry.next(false, Some(asked)), Some(asked));
        tokio::time::advance(asked).await;
        assert_eq!(retry.next(false, Some(asked)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_reply_that_breaks_off_is_asked_for_again_but_not_for_ever() {
        let mut retry = Retry::new(Duration::from_secs(30));
        for _ in 0..MOST_BREAKS {
            tokio::time::advance(Duration::from_secs(3600)).await;
            assert!(retry.next(true, None).is_some());
        }
        assert_eq!(retry.next(true, None), None);
    }
}
