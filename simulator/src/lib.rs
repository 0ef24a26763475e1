//! A world of machines, a lossy network, and a clock that can be wound on.
//!
//! Model: every object is an [`Actor`](sam_domain::actor::Actor) whose stored
//! value is the only thing that survives; every node is a
//! [`Stored`](sam_domain::link::agent_end::Stored) disk with an
//! [`AgentEnd`](sam_domain::link::agent_end::AgentEnd) on it; every follower
//! has a [`Follower`](sam_domain::feed::follower::Follower) at the object and a
//! reducer of its own. The very same code runs here as in production. Events
//! lie in a queue by time; a seeded generator decides what kind of trouble a
//! run has, and then delays, losses, repeats and crashes. Crash points lie
//! between receive, store, send and acknowledge.
//!
//! After every event the promises of [`invariant`] are checked; at the end the
//! faults stop, the clock is wound on, and everything that was accepted must
//! have ended in one visible outcome. Every move of a machine has to stand in
//! its table ([`sam_domain::table`]), and every move in the tables has to be
//! made. [`Defect`] puts mistakes into the world, to see that they are caught.
//!
//! What it does not know: SQL, sockets, ACP. Those are tested for real in `e2e`.

mod batch;
mod conditions;
mod counts;
mod coverage;
mod defect;
mod invariant;
mod person;
mod random;
mod vm;
mod world;

pub use batch::{Batch, Outcome, cores};
pub use counts::Counts;
pub use coverage::Coverage;
pub use defect::Defect;
pub use world::{Plan, Report, run};

#[cfg(test)]
mod tests {
    use super::{Batch, Plan, cores, run};

    /// The test command runs ten thousand in a build of its own (the step
    /// `simulation`), which also has to make every declared move.
    #[test]
    fn a_thousand_seeds_keep_the_invariants() {
        let batch = Batch {
            seeds: 1..1_001,
            jobs: cores(),
            defect: None,
        };
        let outcome = batch.run(|_| ());
        if let Some((seed, broken)) = outcome.broken {
            panic!(
                "seed {seed}: {broken}\nreplay: cargo run --release -p sam-simulator -- --seed {seed} --trace"
            );
        }
        assert_eq!(outcome.coverage.undeclared(), None);
        let missing = outcome.counts.missing();
        assert!(missing.is_empty(), "never happened: {missing:?}");
    }

    #[test]
    fn a_seed_replays_exactly() {
        for seed in [7, 8, 9] {
            let plan = Plan {
                seed,
                ..Plan::default()
            };
            assert_eq!(run(plan), run(plan));
        }
    }
}
