//! Runs the machines of `sam-domain` under seeded faults.
//!
//! `sam-simulator --runs 10000` runs that many seeds on all cores and fails on
//! the first that breaks an invariant, with the command that replays it, and on
//! a declared move that none of them made. `sam-simulator --seed 42 --trace`
//! replays one and tells what happens.

use clap::Parser;
use sam_simulator::{Batch, Defect, Plan, cores, run};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Fewer runs than this need not make every move.
const ENOUGH: u64 = 10_000;

/// Drives the state machines through seeded faults.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 10_000)]
    runs: u64,
    /// The first seed; with `--trace`, the only one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Tell every event of one seed.
    #[arg(long)]
    trace: bool,
    /// Threads; as many as there are cores when absent.
    #[arg(long)]
    jobs: Option<usize>,
    /// Make this mistake on purpose; the run then has to find it.
    #[arg(long)]
    defect: Option<Defect>,
    /// List every move and how often it was made.
    #[arg(long)]
    moves: bool,
    /// Say every ten thousand runs how far it is.
    #[arg(long)]
    progress: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.trace {
        return trace(&arguments);
    }
    let first = arguments.seed;
    let batch = Batch {
        seeds: first..first.saturating_add(arguments.runs),
        jobs: arguments.jobs.unwrap_or_else(cores),
        defect: arguments.defect,
    };
    let began = Instant::now();
    let said = AtomicU64::new(0);
    let outcome = batch.run(|done| {
        let tens = done / 10_000;
        if arguments.progress && said.fetch_max(tens, Ordering::Relaxed) < tens {
            let rate = done as f64 / began.elapsed().as_secs_f64();
            println!("{done} of {} runs, {rate:.0} a second", arguments.runs);
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    if arguments.moves {
        print!("{}", outcome.coverage.listed());
    }
    println!("{} runs: {}", outcome.runs, outcome.counts);
    println!(
        "{seconds:.1} s on {} threads, {:.0} runs a second",
        batch.jobs,
        outcome.runs as f64 / seconds
    );
    if let Some((seed, broken)) = outcome.broken {
        println!("seed {seed}: {broken}");
        println!("replay: {}", replay(seed, arguments.defect));
        return ExitCode::FAILURE;
    }
    if let Some(undeclared) = outcome.coverage.undeclared() {
        println!("{undeclared}");
        return ExitCode::FAILURE;
    }
    let never = outcome.coverage.never_made();
    if arguments.runs >= ENOUGH && arguments.defect.is_none() && !never.is_empty() {
        println!("declared and never made: {}", never.join("; "));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn trace(arguments: &Arguments) -> ExitCode {
    let plan = Plan {
        seed: arguments.seed,
        trace: true,
        defect: arguments.defect,
    };
    match run(plan) {
        Ok(report) => {
            println!("1 run: {}", report.counts);
            ExitCode::SUCCESS
        }
        Err(broken) => {
            println!("seed {}: {broken}", arguments.seed);
            ExitCode::FAILURE
        }
    }
}

fn replay(seed: u64, defect: Option<Defect>) -> String {
    let defect = defect.map_or_else(String::new, |d| format!(" --defect {}", d.word()));
    format!("cargo run --release -p sam-simulator -- --seed {seed} --trace{defect}")
}
