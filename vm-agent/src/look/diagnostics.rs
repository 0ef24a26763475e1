//! What this machine knows of itself, for a person who looks for what is wrong.
//!
//! What is told is masked once more as a whole: nothing in it is worth a secret.

use crate::machine::Machine;
use crate::process::table;
use crate::{clock, log};
use sam_domain::id::WorkspaceId;
use sam_domain::link::question::Diagnostics;
use sam_domain::time::Millis;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Programs that the work needs and that say their version.
const PROGRAMS: [&str; 2] = ["git", "docker"];

/// Takes stock; what cannot be read is empty or zero.
pub(super) fn take(machine: &Machine, started: Instant) -> Diagnostics {
    let uname = rustix::system::uname();
    let (facts, open_commands, pending_events) = machine.hub.standing();
    Diagnostics {
        taken_at: clock::now(),
        facts,
        kernel: format!(
            "{} {}",
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy()
        ),
        up: millis(clock::since_boot().as_millis()),
        agent_up: millis(started.elapsed().as_millis()),
        load: read("/proc/loadavg", |text| {
            let figures: Vec<&str> = text.split(' ').take(3).collect();
            Some(figures.join(" "))
        }),
        memory_available_bytes: read("/proc/meminfo", |text| {
            let line = text
                .lines()
                .find(|line| line.starts_with("MemAvailable:"))?;
            let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kib.saturating_mul(1024))
        }),
        programs: PROGRAMS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), version(name)?)))
            .collect(),
        workspaces: workspaces(machine.store.dir(), machine.store.store_id()),
        open_commands,
        pending_events,
        log: log::last(),
    }
}

fn millis(millis: u128) -> Millis {
    Millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

fn read<T: Default>(path: &str, find: impl FnOnce(&str) -> Option<T>) -> T {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    find(&text).unwrap_or_default()
}

/// The first line of what a program says of its version.
fn version(program: &str) -> Option<String> {
    let said = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&said.stdout);
    Some(text.lines().next()?.trim().to_owned())
}

/// Workspaces on the disk, and how many processes each has.
fn workspaces(state: &Path, store_id: &str) -> Vec<(WorkspaceId, u32)> {
    let folders = std::fs::read_dir(state.join("workspaces"));
    let names = folders.into_iter().flatten().flatten();
    let mut found: Vec<_> = names
        .filter_map(|entry| entry.file_name().to_str()?.parse::<WorkspaceId>().ok())
        .map(|workspace| {
            let processes = table::marked(&format!("{store_id}.{workspace}.")).len();
            (workspace, u32::try_from(processes).unwrap_or(u32::MAX))
        })
        .collect();
    found.sort();
    found
}
