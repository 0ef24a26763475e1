//! Runs the machines of `sam-domain` under seeded faults.
//!
//! `sam-simulator --runs 1000` runs that many seeds and fails on the first one
//! that breaks an invariant, with the command that replays it;
//! `sam-simulator --seed 42 --trace` replays one and tells what happens.

use clap::Parser;
use sam_simulator::{Plan, run};
use std::process::ExitCode;

/// Drives the state machines through seeded faults.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    runs: u64,
    /// The first seed; with `--runs 1` or `--trace`, the only one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Tell every event of one seed.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runs = if arguments.trace { 1 } else { arguments.runs };
    let mut totals = sam_simulator::Counts::default();
    for seed in arguments.seed..arguments.seed.saturating_add(runs) {
        match run(Plan {
            seed,
            trace: arguments.trace,
        }) {
            Ok(counts) => totals.add(counts),
            Err(broken) => {
                println!("seed {seed}: {broken}");
                println!("replay: cargo run -p sam-simulator -- --seed {seed} --trace");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{runs} runs: {totals}");
    ExitCode::SUCCESS
}
