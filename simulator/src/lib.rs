//! A world of machines, a lossy network, and a clock that can be wound on.
//!
//! Model: every object is an [`Actor`](sam_domain::actor::Actor) whose stored
//! value is the only thing that survives; every node is a
//! [`Stored`](sam_domain::link::agent_end::Stored) disk with an
//! [`AgentEnd`](sam_domain::link::agent_end::AgentEnd) on it. The very same
//! `step` functions run here as in production. Events lie in a queue by time;
//! a seeded generator decides delays, losses, repeats and crashes. Crash points
//! lie between receive, store, send and acknowledge.
//!
//! After every event the invariants of [`invariant`] are checked; at the end
//! the faults stop, the clock is wound on, and everything that was accepted
//! must have ended in one visible outcome.
//!
//! What it does not know: SQL, sockets, ACP. Those are tested for real in `e2e`.

mod invariant;
mod person;
mod random;
mod vm;
mod world;

pub use world::{Counts, Plan, run};

#[cfg(test)]
mod tests {
    use super::{Counts, Plan, run};

    #[test]
    fn a_thousand_seeds_keep_the_invariants() {
        let mut totals = Counts::default();
        for seed in 1..=1_000 {
            match run(Plan { seed, trace: false }) {
                Ok(counts) => totals.add(counts),
                Err(broken) => {
                    panic!(
                        "seed {seed}: {broken}\nreplay: cargo run -p sam-simulator -- --seed {seed} --trace"
                    )
                }
            }
        }
        assert!(
            totals.happened_enough(),
            "the faults and outcomes that were meant to happen: {totals}"
        );
    }

    #[test]
    fn a_seed_replays_exactly() {
        assert_eq!(
            run(Plan {
                seed: 7,
                trace: false
            }),
            run(Plan {
                seed: 7,
                trace: false
            })
        );
    }
}
