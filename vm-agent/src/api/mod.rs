//! The control plane, as this machine may speak to it.
//!
//! One HTTP client for everything, WebSockets included. Redirects are not
//! followed and proxies from the environment are not used, so a token goes to
//! the configured origin and nowhere else.
//!
//! - [`client`]: requests and what their failures mean.
//! - [`tokens`]: the short-lived tokens of each workspace, in memory only.
//! - [`socket`]: its WebSockets.

mod client;
mod socket;
mod tokens;

pub(crate) use client::{Api, ApiFailure, Unanswered, model_url};
pub(crate) use socket::{Socket, SocketEnd, SocketMessage};
pub(crate) use tokens::{NodeIdentity, WorkspaceApi};

use std::time::Duration;

/// Waiting times that double, with jitter, between two bounds.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    next: Duration,
    first: Duration,
    most: Duration,
}

impl Backoff {
    /// From `first` to `most`.
    pub(crate) const fn new(first: Duration, most: Duration) -> Self {
        Self {
            next: first,
            first,
            most,
        }
    }

    /// The link's and the outbox's: half a second to half a minute.
    pub(crate) const fn standard() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(30))
    }

    /// The link's while nobody answers: a quarter of a second to a second and a
    /// half. An attempt that reaches nobody costs nobody, and everything waits
    /// for the network's return.
    pub(crate) const fn unanswered() -> Self {
        Self::new(Duration::from_millis(250), Duration::from_millis(1500))
    }

    /// For what is refused and may yet be allowed: half a minute to a quarter
    /// of an hour.
    pub(crate) const fn refused() -> Self {
        Self::new(Duration::from_secs(30), Duration::from_secs(900))
    }

    /// The next waiting time: between half and all of the current step.
    pub(crate) fn step(&mut self) -> Duration {
        let current = self.next;
        self.next = current.saturating_mul(2).min(self.most);
        let share = crate::clock::entropy() % 512 + 512;
        current.mul_f64(f64::from(u32::try_from(share).unwrap_or(1024)) / 1024.0)
    }

    /// It went well: begin again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_within_bounds_and_begins_again() {
        let mut backoff = Backoff::standard();
        let steps: Vec<_> = (0..10).map(|_| backoff.step()).collect();
        assert!(steps[0] >= Duration::from_millis(250) && steps[0] <= Duration::from_millis(500));
        assert!(steps.iter().all(|step| *step <= Duration::from_secs(30)));
        assert!(steps[9] >= Duration::from_secs(15));
        backoff.reset();
        assert!(backoff.step() <= Duration::from_millis(500));
        let mut unanswered = Backoff::unanswered();
        let most = (0..100).map(|_| unanswered.step()).max();
        assert!(most <= Some(Duration::from_millis(1500)));
    }
}
