//! When to ask again.
//!
//! Two budgets. Faults without a time of their own are followed by pauses that
//! grow, with jitter, as long as nothing has come for less than the first
//! budget. A server that says when its limit resets is given that time, and
//! all such waits together the second budget, which is hours: a limit that
//! resets tonight is worth waiting for, a server that answers nothing is not.
//!
//! Progress renews the first budget: a long reply that breaks off after
//! minutes of work was no idle attempt. Since such an attempt costs money,
//! there are only so many of them; and of empty replies only a few.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::model::fault::{Fault, FaultKind};

const FIRST: Duration = Duration::from_millis(400);
const LONGEST: Duration = Duration::from_secs(10);
const FEWEST: u32 = 2;
const MOST_BREAKS: u32 = 5;
const MOST_EMPTY: u32 = 2;

/// For how long a request is repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Without any sign of progress.
    pub(crate) idle: Duration,
    /// For limits to reset, all together.
    pub(crate) resets: Duration,
}

/// The pauses of one request.
#[derive(Debug)]
pub(crate) struct Retry {
    patience: Patience,
    started: Instant,
    idle_since: Instant,
    /// Left for limits to reset.
    resets: Duration,
    pauses: ExponentialBackoff,
    attempts: u32,
    breaks: u32,
    empty: u32,
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times()
        .build()
}

impl Retry {
    pub(crate) fn new(patience: Patience) -> Self {
        let now = Instant::now();
        Self {
            patience,
            started: now,
            idle_since: now,
            resets: patience.resets,
            pauses: pauses(),
            attempts: 0,
            breaks: 0,
            empty: 0,
        }
    }

    /// The pause after an attempt that failed; none when asking again is over.
    pub(crate) fn next(&mut self, fault: &Fault) -> Option<Duration> {
        self.attempts = self.attempts.saturating_add(1);
        if !fault.kind.is_transient() {
            return None;
        }
        if fault.began {
            self.breaks += 1;
            self.idle_since = Instant::now();
            if self.breaks > MOST_BREAKS {
                return None;
            }
        }
        if fault.kind == FaultKind::EmptyReply {
            self.empty += 1;
            if self.empty > MOST_EMPTY {
                return None;
            }
        }
        let pause = self.pauses.next()?;
        match fault.reset {
            Some(reset) => {
                // Never sooner than asked; a reset that is now is no reason to hurry.
                let wait = reset.max(pause);
                self.resets = self.resets.checked_sub(wait)?;
                self.idle_since = Instant::now() + wait;
                Some(wait)
            }
            None => {
                let idle = self.idle_since.elapsed().saturating_add(pause);
                // One silent attempt may take longer than the budget; it is not the only one.
                (idle <= self.patience.idle || self.attempts < FEWEST).then_some(pause)
            }
        }
    }

    /// How many attempts failed.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Since the first attempt.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(idle: u64, resets: u64) -> Retry {
        Retry::new(Patience {
            idle: Duration::from_secs(idle),
            resets: Duration::from_secs(resets),
        })
    }

    fn overloaded() -> Fault {
        Fault::new(FaultKind::Overloaded, "")
    }

    fn limited(seconds: u64) -> Fault {
        let mut fault = Fault::new(FaultKind::RateLimited, "");
        fault.reset = Some(Duration::from_secs(seconds));
        fault
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_outlast_a_minute_without_a_server() {
        let mut retry = retry(180, 0);
        let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
        while let Some(wait) = retry.next(&overloaded()) {
            (shortest, longest) = (shortest.min(wait), longest.max(wait));
            tokio::time::advance(wait).await;
        }
        assert!(retry.elapsed() > Duration::from_secs(60));
        assert!(retry.elapsed() <= Duration::from_secs(180));
        assert!(shortest >= FIRST && longest <= LONGEST * 2 && retry.attempts() > 10);
    }

    #[tokio::test(start_paused = true)]
    async fn one_attempt_that_took_longer_than_the_budget_is_repeated_once() {
        let mut retry = retry(30, 0);
        let silent = Fault::new(FaultKind::Silent, "");
        tokio::time::advance(Duration::from_secs(600)).await;
        assert!(retry.next(&silent).is_some());
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(retry.next(&silent), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_is_waited_for_however_far_until_the_budget_for_resets_ends() {
        let mut retry = retry(30, 7200);
        for _ in 0..2 {
            let wait = retry.next(&limited(3600));
            assert_eq!(wait, Some(Duration::from_secs(3600)));
            tokio::time::advance(Duration::from_secs(3600)).await;
        }
        assert_eq!(retry.next(&limited(1)), None, "the budget is used up");
        assert!(retry.next(&overloaded()).is_some(), "the other is not");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_that_is_now_does_not_make_a_storm() {
        let mut retry = retry(30, 600);
        let mut attempts = 0;
        while let Some(wait) = retry.next(&limited(0)) {
            assert!(wait >= FIRST);
            tokio::time::advance(wait).await;
            attempts += 1;
        }
        assert!(attempts < 80, "{attempts}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_reply_that_breaks_off_is_asked_for_again_but_not_for_ever() {
        let mut retry = retry(30, 0);
        let broken = Fault::new(FaultKind::BrokeOff, "").after(true);
        for _ in 0..MOST_BREAKS {
            tokio::time::advance(Duration::from_secs(3600)).await;
            assert!(retry.next(&broken).is_some());
        }
        assert_eq!(retry.next(&broken), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_mend_is_not_repeated_and_empty_replies_hardly() {
        let refused = Fault::new(FaultKind::KeyRefused, "");
        assert_eq!(retry(30, 30).next(&refused), None);
        let empty = Fault::new(FaultKind::EmptyReply, "").after(true);
        let mut retry = retry(30, 30);
        let tries = std::iter::from_fn(|| retry.next(&empty)).count();
        assert_eq!(tries, 2);
    }
}
