//! Looks at an agent that has a prompt and says nothing; what it sees is judged by
//! [`Watchdog`].

use super::launch::Running;
use sam_acp::Host;
use sam_domain::agents::watchdog::{HUNG, Seen, Verdict, Watchdog};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The watch over one agent.
pub(super) struct Watch {
    dog: Watchdog,
    every: Duration,
    next: Instant,
    /// Its processes before it had a prompt: what its kind keeps running.
    at_rest: BTreeSet<i32>,
    answered: mpsc::UnboundedSender<()>,
    answers: mpsc::UnboundedReceiver<()>,
}

impl Watch {
    /// Over an agent that has just become ready; `silence` is how long one may give no sign of life.
    /// It is asked for one at once, to learn whether it knows how.
    pub(super) fn over(running: &Running, silence: Duration) -> Self {
        let (answered, answers) = mpsc::unbounded_channel();
        let every = silence / HUNG;
        let watch = Self {
            dog: Watchdog::default(),
            every,
            next: Instant::now() + every,
            at_rest: running.process.below(),
            answered,
            answers,
        };
        watch.ask(&running.host);
        watch
    }

    fn ask(&self, host: &Host) {
        let (host, answered) = (host.clone(), self.answered.clone());
        tokio::spawn(async move {
            if host.ping().await.is_ok() {
                let _ = answered.send(());
            }
        });
    }

    /// A turn begins, or the agent said something.
    pub(super) fn heard(&mut self) {
        self.dog.heard();
        self.next = Instant::now() + self.every;
    }

    /// When to look at an agent at work.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// The next answer to a question for a sign of life.
    pub(super) async fn answer(&mut self) {
        // Its own sender keeps the channel open.
        let _ = self.answers.recv().await;
        self.dog.answered();
    }

    /// Looks at it; `calling`: it has announced a call that has not ended, `asks_person`: it asked a
    /// person. Says whether it hangs.
    pub(super) fn look(&mut self, running: &Running, calling: bool, asks_person: bool) -> bool {
        // Counted from here, so that a machine that stood still has not looked.
        self.next = Instant::now() + self.every;
        let seen = Seen {
            asks_model: running.relay.as_ref().is_some_and(|relay| relay.is_asked()),
            runs_command: calling && !running.process.below().is_subset(&self.at_rest),
            asks_person,
        };
        match self.dog.look(seen) {
            Verdict::Works => false,
            Verdict::Ask => {
                self.ask(&running.host);
                false
            }
            Verdict::Hangs => true,
        }
    }
}
