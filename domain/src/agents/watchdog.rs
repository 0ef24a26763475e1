//! Whether an agent that says nothing works or hangs.
//!
//! Model: that an agent is at work is a lease. What it says renews it, and so does what is seen of it
//! while it says nothing: a model call that it waits for, a command that it runs, a question that
//! waits for a person. When nothing renews it, the agent is asked for a sign of life, more than once,
//! and hangs when no answer comes.
//!
//! Time is counted in looks, never in moments: a watcher that was itself asleep, or a clock that
//! jumped, has seen nothing and accuses nobody.
//!
//! Invariants:
//! - Whoever runs a command, waits for the model or for a person works, however long.
//! - An agent that never answered when it was asked is never accused: it may not know how.
//! - Between the first question and the verdict lie [`HUNG`] − [`ASKED`] looks without a sign.

/// Looks without a sign after which an agent is asked, and again after as many.
pub const ASKED: u32 = 4;
/// Looks without a sign after which it hangs.
pub const HUNG: u32 = 12;

/// Watches one agent while it has a prompt. The default has never heard of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watchdog {
    /// It has answered before, so no answer means something.
    answers: bool,
    /// Looks since the last sign.
    quiet: u32,
}

/// What is seen of an agent that says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// A model call of its is under way.
    pub asks_model: bool,
    /// It has announced a call, and a process runs that it did not have when it was at rest.
    pub runs_command: bool,
    /// A question of its waits for a person.
    pub asks_person: bool,
}

/// What is to be done after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Works,
    /// Ask it for a sign of life.
    Ask,
    /// It hangs.
    Hangs,
}

impl Watchdog {
    /// It said something, or its turn begins.
    pub const fn heard(&mut self) {
        self.quiet = 0;
    }

    /// It answered when it was asked for a sign of life.
    pub const fn answered(&mut self) {
        self.answers = true;
        self.quiet = 0;
    }

    /// A look at it.
    pub const fn look(&mut self, seen: Seen) -> Verdict {
        if seen.asks_model || seen.runs_command || seen.asks_person {
            self.quiet = 0;
            return Verdict::Works;
        }
        self.quiet = self.quiet.saturating_add(1);
        if self.quiet >= HUNG && self.answers {
            return Verdict::Hangs;
        }
        if self.quiet.is_multiple_of(ASKED) {
            return Verdict::Ask;
        }
        Verdict::Works
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTHING: Seen = Seen {
        asks_model: false,
        runs_command: false,
        asks_person: false,
    };

    #[test]
    fn who_stays_silent_is_asked_twice_and_then_hangs() {
        let mut dog = Watchdog::default();
        dog.answered();
        let said: Vec<_> = (1..=HUNG).map(|_| dog.look(NOTHING)).collect();
        let asked = said.iter().filter(|said| **said == Verdict::Ask).count();
        assert_eq!((asked, said.last()), (2, Some(&Verdict::Hangs)));
    }

    #[test]
    fn a_tool_that_is_silent_for_hours_is_work() {
        let mut dog = Watchdog::default();
        dog.answered();
        let runs = Seen {
            runs_command: true,
            ..NOTHING
        };
        for _ in 0..10_000 {
            assert_eq!(dog.look(runs), Verdict::Works);
        }
        for _ in 1..HUNG {
            assert_ne!(dog.look(NOTHING), Verdict::Hangs, "its lease begins anew");
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Happens {
        Heard,
        Answered,
        Look(Seen),
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            1 => Just(Happens::Heard),
            1 => Just(Happens::Answered),
            2 => (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(a, b, c)| {
                Happens::Look(Seen { asks_model: a, runs_command: b, asks_person: c })
            }),
            30 => Just(Happens::Look(NOTHING)),
        ]
    }

    proptest! {
        #[test]
        fn nobody_is_accused_without_silence_questions_and_an_answer_before(all in proptest::collection::vec(happens(), 0..200)) {
            let mut dog = Watchdog::default();
            // What a judge would hold against the agent.
            let (mut ever_answered, mut silent, mut asked) = (false, 0, 0);
            for one in all {
                match one {
                    Happens::Heard => { dog.heard(); (silent, asked) = (0, 0); }
                    Happens::Answered => { dog.answered(); ever_answered = true; (silent, asked) = (0, 0); }
                    Happens::Look(seen) => {
                        let verdict = dog.look(seen);
                        if seen == NOTHING { silent += 1 } else { (silent, asked) = (0, 0) }
                        let hangs = ever_answered && silent >= HUNG;
                        prop_assert_eq!(verdict == Verdict::Hangs, hangs, "after {} looks", silent);
                        if hangs {
                            prop_assert!(asked > 0, "it was never asked");
                        }
                        asked += u32::from(verdict == Verdict::Ask);
                    }
                }
            }
        }
    }
}
