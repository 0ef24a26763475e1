//! The kernel's process table, read from `/proc`.

use rustix::process::{Pid, Signal, WaitOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// The environment variable that marks everything this program starts.
pub(crate) const MARK: &str = "SAM_SUPERVISED";

/// Parent and start time from `/proc/<pid>/stat`. The program's name stands in
/// parentheses and may itself contain spaces and parentheses.
fn stat(pid: i32) -> Option<(i32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = text.get(text.rfind(')')? + 2..)?;
    let mut fields = after_name.split(' ');
    // Fields 3 (state), 4 (parent), … 22 (start time), counted from 1.
    let parent = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some((parent, started))
}

/// When the process started, in the kernel's ticks; `None` when it is gone.
pub(crate) fn started(pid: i32) -> Option<u64> {
    stat(pid).map(|(_, started)| started)
}

fn pids() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Everything below these processes, themselves excluded.
pub(crate) fn descendants(roots: &[i32]) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for pid in pids() {
        if let Some((parent, _)) = stat(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut open: Vec<i32> = roots.to_vec();
    while let Some(pid) = open.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if found.insert(*child) {
                open.push(*child);
            }
        }
    }
    found
}

/// Processes whose environment carries [`MARK`] with a value that starts so.
pub(crate) fn marked(prefix: &str) -> BTreeSet<i32> {
    let wanted = format!("{MARK}={prefix}");
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    pids()
        .into_iter()
        .filter(|pid| *pid != own)
        .filter(|pid| {
            std::fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).is_ok_and(
                |env| {
                    env.split(|b| *b == 0)
                        .any(|v| v.starts_with(wanted.as_bytes()))
                },
            )
        })
        .collect()
}

/// Sends a signal; a process that is gone is what was wanted.
pub(crate) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Kills what `find` finds until it finds nothing, for at most `limit`. Returns
/// how many processes were killed.
pub(crate) fn kill_all(limit: Duration, mut find: impl FnMut() -> BTreeSet<i32>) -> usize {
    let until = Instant::now() + limit;
    let mut killed = BTreeSet::new();
    loop {
        reap();
        let found = find();
        if found.is_empty() || Instant::now() > until {
            return killed.len();
        }
        for pid in found {
            signal(pid, Signal::KILL);
            killed.insert(pid);
        }
        // A killed process needs a moment to be gone.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Takes the exit status of adopted children that have ended. Only for a
/// process that waits for no child by other means.
fn reap() {
    if supervising() {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
    }
}

static SUPERVISING: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Declares this process a supervisor, which reaps whatever it adopts.
pub(crate) fn set_supervising() {
    SUPERVISING.store(true, std::sync::atomic::Ordering::Relaxed);
}

fn supervising() -> bool {
    SUPERVISING.load(std::sync::atomic::Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_parent_and_a_start_time() {
        let own = i32::try_from(std::process::id()).expect("pid");
        let (parent, _) = stat(own).expect("stat");
        assert!(parent > 0);
        assert!(started(own).expect("started") > 0);
        assert!(descendants(&[parent]).contains(&own));
        assert_eq!(started(i32::MAX), None);
    }
}
