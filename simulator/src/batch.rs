//! Many runs on all cores.

use crate::counts::Counts;
use crate::coverage::Coverage;
use crate::defect::Defect;
use crate::world::{Plan, run};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seeds that a thread takes at a time.
const SHARE: u64 = 16;

/// Many runs.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Threads.
    pub jobs: usize,
    /// A mistake that the world makes on purpose.
    pub defect: Option<Defect>,
}

/// What many runs were worth.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Runs that kept every invariant.
    pub runs: u64,
    /// What happened in them.
    pub counts: Counts,
    /// Which moves were made in them.
    pub coverage: Coverage,
    /// The first seed that broke one, and what it says. With several threads
    /// an earlier seed is never passed over.
    pub broken: Option<(u64, String)>,
}

impl Batch {
    /// Runs them; stops at the first that breaks an invariant. `progress` is
    /// called now and then with the number of runs done.
    pub fn run(&self, progress: impl Fn(u64) + Sync) -> Outcome {
        let next = AtomicU64::new(self.seeds.start);
        let end = AtomicU64::new(self.seeds.end);
        let done = AtomicU64::new(0);
        let total = Mutex::new(Outcome::default());
        let work = || {
            let mut mine = Outcome::default();
            loop {
                let first = next.fetch_add(SHARE, Ordering::Relaxed);
                if first >= end.load(Ordering::Relaxed) {
                    break;
                }
                for seed in first..first.saturating_add(SHARE) {
                    if seed >= end.load(Ordering::Relaxed) {
                        break;
                    }
                    let plan = Plan {
                        seed,
                        trace: false,
                        defect: self.defect,
                    };
                    match run(plan) {
                        Ok(report) => {
                            mine.runs += 1;
                            mine.counts.add(&report.counts);
                            mine.coverage.add(&report.coverage);
                        }
                        Err(broken) => {
                            // What comes before it is still run; what comes after is not.
                            end.fetch_min(seed, Ordering::Relaxed);
                            let earlier = mine.broken.as_ref().is_none_or(|(at, _)| seed < *at);
                            if earlier {
                                mine.broken = Some((seed, broken));
                            }
                        }
                    }
                }
                progress(done.fetch_add(SHARE, Ordering::Relaxed) + SHARE);
            }
            let mut total = total
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            total.merge(mine);
        };
        std::thread::scope(|scope| {
            for _ in 1..self.jobs.max(1) {
                scope.spawn(work);
            }
            work();
        });
        total
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Outcome {
    fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.counts.add(&other.counts);
        self.coverage.add(&other.coverage);
        let earlier = match (&self.broken, &other.broken) {
            (Some((held, _)), Some((new, _))) => new < held,
            (None, _) => true,
            (Some(_), None) => false,
        };
        if earlier {
            self.broken = other.broken;
        }
    }
}

/// As many threads as there are cores.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
