//! `target/release`: the native programs, in one cargo invocation so that
//! shared dependencies are compiled once.

use crate::error::Result;
use crate::paths::Paths;
use crate::process;

/// Packages whose programs a person or an end-to-end test starts.
pub(crate) const PACKAGES: &[&str] = &["sam-cli", "sam-vm-agent", "sam-harness", "sam-sims"];

/// Compiles the native programs for release.
pub(crate) fn build(paths: &Paths) -> Result<()> {
    let mut cargo = process::cargo(paths);
    cargo.args(["build", "--release", "--bins"]);
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    process::run(&mut cargo)
}
