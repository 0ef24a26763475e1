//! The product's figures: how large, how quick, how much memory.
//!
//! `scripts/bench` builds and runs this. Every figure is the median of several samples with the
//! range from the tenth to the ninetieth percentile; where there is a bare peer (a route, a write, a
//! socket of a Worker that does nothing else, in the same runtime and configuration), its samples
//! are taken in turn with the subject's, so that their ratio means something on a noisy machine.
//!
//! A figure that misses its aim is marked and fails nothing, because a busy machine misses most. A
//! subject that did not do its work (too few rows, an answer that is not 200) fails the run: there
//! is nothing to measure then.

mod agent;
mod agents;
mod bare;
mod harness;
mod load;
mod memory;
mod model;
mod proxy;
mod report;
mod requests;
mod rows;
mod start;
mod talk;
mod task;

use std::process::ExitCode;

use report::{Aim, Figure, Report};
use sam_e2e::{Result, failure, sizes};

/// The groups in the order in which they run: name, what it measures.
const GROUPS: &[(&str, &str)] = &[
    (
        "sizes",
        "the Worker and the web app compressed, the programs on disk",
    ),
    ("start", "process start to the first 200, cold and warm"),
    ("requests", "authenticated reads at 16 connections"),
    (
        "rows",
        "ingest, reading back, catching up, fan-out to 20 sockets",
    ),
    ("task", "submit to the first agent row and to completion"),
    (
        "proxy",
        "model calls through the proxy, against calling the model's gateway",
    ),
    (
        "memory",
        "of the vm-agent, idle and with 10 workspaces; of the server",
    ),
    (
        "agent",
        "joining, an agent's words to a follower, a lost network, many updates",
    ),
    (
        "harness",
        "start, four steps beside codex, goose and pi, 1,000 calls, resuming",
    ),
];

/// The most kilobytes that what is shipped should have; a test refuses what goes far beyond.
const SIZES: &[(&str, f64)] = &[
    ("Worker, gzip", 900.0),
    ("web app's first load, gzip", 350.0),
    (
        "web app's first load at a page of administration, gzip",
        560.0,
    ),
    ("sam-vm-agent", 10_000.0),
    ("sam-harness", 8_000.0),
    ("sam", 10_000.0),
];

const USAGE: &str = "\
Usage: scripts/bench [GROUP…] [--json] [--list] [--no-build]

Measures the built product and prints medians. Without a group, all of them.

  --json      prints one JSON document instead of the table
  --list      names the groups
  --no-build  measures what was built before
";

fn main() -> ExitCode {
    // cargo itself adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result {
    let mut json = false;
    let mut wanted: Vec<&str> = Vec::new();
    for word in words {
        match word.as_str() {
            "--json" => json = true,
            "--list" => {
                for (name, what) in GROUPS {
                    println!("{name:<10}{what}");
                }
                return Ok(());
            }
            "-h" | "--help" => {
                print!("{USAGE}");
                return Ok(());
            }
            name if GROUPS.iter().any(|(group, _)| *group == name) => wanted.push(name),
            other => return Err(failure(format!("`{other}` is unknown.\n\n{USAGE}"))),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut report = Report::default();
    for (name, _) in GROUPS {
        if !wanted.is_empty() && !wanted.contains(name) {
            continue;
        }
        eprintln!("measuring {name} …");
        let figures = runtime.block_on(measure(name))?;
        report.add(name, figures);
    }
    if json {
        println!("{}", report.json());
    } else {
        print!("{report}");
    }
    Ok(())
}

async fn measure(group: &str) -> Result<Vec<Figure>> {
    match group {
        "sizes" => sizes_of_what_is_shipped(),
        "start" => start::measure().await,
        "requests" => requests::measure().await,
        "rows" => rows::measure().await,
        "task" => task::measure().await,
        "proxy" => proxy::measure().await,
        "memory" => memory::measure().await,
        "agent" => agent::measure().await,
        // Nothing in it is asynchronous.
        "harness" => tokio::task::spawn_blocking(harness::measure).await?,
        other => Err(failure(format!("no group {other}"))),
    }
}

fn sizes_of_what_is_shipped() -> Result<Vec<Figure>> {
    Ok(sizes::shipped()?
        .into_iter()
        .map(|part| {
            let figure = Figure::new(part.name, "KB", vec![part.kilobytes]);
            match SIZES.iter().find(|(name, _)| *name == part.name) {
                Some((_, most)) => figure.aim(Aim::AtMost(*most)),
                None => figure,
            }
        })
        .collect())
}
