//! When to try again: growing pauses with jitter, within a budget of time.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// The pauses of one request.
#[derive(Debug)]
pub(crate) struct Retry {
    started: Instant,
    budget: Duration,
    attempts: u32,
}

impl Retry {
    pub(crate) fn new(budget: Duration) -> Self {
        Self {
            started: Instant::now(),
            budget,
            attempts: 0,
        }
    }

    /// The pause before the next attempt; none when it would leave the budget.
    /// `asked` is the pause the server asked for, which is kept.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let doubled = FIRST.saturating_mul(1 << self.attempts.min(10));
        self.attempts = self.attempts.saturating_add(1);
        let wait = asked.unwrap_or_else(|| jittered(doubled.min(LONGEST)));
        (self.elapsed().saturating_add(wait) <= self.budget).then_some(wait)
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
        while let Some(wait) = retry.next(None) {
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
        assert_eq!(retry.next(Some(asked)), Some(asked));
        tokio::time::advance(asked).await;
        assert_eq!(retry.next(Some(asked)), None);
    }
}
