//! What this machine is, as far as the control plane needs to know.

use crate::agent::Agents;
use sam_domain::link::frame::NodeFacts;
use std::path::Path;

/// Reads the facts; what cannot be read is empty or zero.
pub(crate) fn read(state: &Path, agents: &Agents, max_workspaces: u32) -> NodeFacts {
    NodeFacts {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        hostname: hostname(),
        cpus: std::thread::available_parallelism()
            .ok()
            .and_then(|n| u32::try_from(n.get()).ok())
            .unwrap_or(0),
        memory_bytes: memory_bytes().unwrap_or(0),
        disk_free_bytes: disk_free(state),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        agents: agents.available(),
        max_workspaces,
        disk_full: crate::disk::is_full_now(state),
        answers: true,
    }
}

/// Free bytes where `state` is; as good as endless where that is not told.
pub(crate) fn disk_free(state: &Path) -> u64 {
    rustix::fs::statvfs(state)
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
        .unwrap_or(u64::MAX)
}

/// The host's name.
pub(crate) fn hostname() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}

fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}
