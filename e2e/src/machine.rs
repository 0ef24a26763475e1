//! What runs on this machine, read from `/proc`: which processes, in which environment, listening
//! where. So that a test can say that nothing is left, and that no secret lies about.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Result, failure};

/// A process at one moment. Ids are reused; an id with its start time is not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Running {
    /// Its id.
    pub id: u32,
    /// When it started, in the kernel's ticks.
    pub started: u64,
    /// Its parent's id.
    pub parent: u32,
    /// Its arguments, the program first.
    pub arguments: Vec<String>,
}

struct Stat {
    state: char,
    parent: u32,
    started: u64,
}

/// The program's name stands in parentheses and may itself contain spaces and parentheses.
fn stat(id: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = text.get(text.rfind(')')? + 2..)?.split(' ');
    Some(Stat {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        started: fields.nth(17)?.parse().ok()?,
    })
}

/// Everything that runs; what has ended and waits to be taken note of does not.
#[must_use]
pub fn everything() -> Vec<Running> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id: u32| {
        let stat = stat(id).filter(|stat| !matches!(stat.state, 'Z' | 'X'))?;
        let arguments = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        Some(Running {
            id,
            started: stat.started,
            parent: stat.parent,
            arguments: arguments
                .split(|byte| *byte == 0)
                .filter(|argument| !argument.is_empty())
                .map(|argument| String::from_utf8_lossy(argument).into_owned())
                .collect(),
        })
    })
    .collect()
}

/// Everything that a process started, and what that started, itself excluded.
#[must_use]
pub fn below(id: u32) -> Vec<Running> {
    let everything = everything();
    let mut found = BTreeSet::from([id]);
    loop {
        let before = found.len();
        found.extend(
            everything
                .iter()
                .filter(|process| found.contains(&process.parent))
                .map(|process| process.id)
                .collect::<Vec<_>>(),
        );
        if found.len() == before {
            break;
        }
    }
    found.remove(&id);
    everything
        .into_iter()
        .filter(|process| found.contains(&process.id))
        .collect()
}

/// Everything whose environment holds these bytes, whoever its parent is by now.
#[must_use]
pub fn with_environment(text: &str) -> Vec<Running> {
    everything()
        .into_iter()
        .filter(|process| contains(&process.environment(), text.as_bytes()))
        .collect()
}

/// Everything that has these words in its arguments or its environment.
#[must_use]
pub fn knowing(text: &str) -> Vec<Running> {
    everything()
        .into_iter()
        .filter(|process| {
            let told = process.arguments.iter().any(|word| word.contains(text));
            told || contains(&process.environment(), text.as_bytes())
        })
        .collect()
}

/// Whether `needle` is in `haystack`.
#[must_use]
pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len().max(1))
        .any(|window| window == needle)
}

impl Running {
    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        stat(self.id)
            .is_some_and(|now| now.started == self.started && !matches!(now.state, 'Z' | 'X'))
    }

    /// The name of its program.
    #[must_use]
    pub fn program(&self) -> &str {
        let path = self.arguments.first().map_or("", String::as_str);
        Path::new(path)
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or(path)
    }

    /// Its environment as the kernel shows it; empty once it has ended.
    #[must_use]
    pub fn environment(&self) -> Vec<u8> {
        std::fs::read(format!("/proc/{}/environ", self.id)).unwrap_or_default()
    }

    /// Sends it a signal, if it still is what it was.
    pub fn signal(&self, signal: Signal) {
        if self.is_running()
            && let Some(pid) = i32::try_from(self.id).ok().and_then(Pid::from_raw)
        {
            // It may have ended in between.
            let _ = kill_process(pid, signal);
        }
    }
}

/// The process with this id, if it runs.
#[must_use]
pub fn process(id: u32) -> Option<Running> {
    everything().into_iter().find(|process| process.id == id)
}

/// The TCP ports of IPv4 on which a process listens.
#[must_use]
pub fn listening(id: u32) -> Vec<u16> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{id}/fd")) else {
        return Vec::new();
    };
    let sockets: BTreeSet<String> = entries
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter_map(|link| {
            let text = link.to_str()?;
            Some(text.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{id}/net/tcp")).unwrap_or_default();
    table
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // Columns: local address, …, state (0A listens), …, inode.
            let listens = fields.get(3) == Some(&"0A") && sockets.contains(*fields.get(9)?);
            let (_, port) = fields.get(1)?.split_once(':')?;
            listens
                .then(|| u16::from_str_radix(port, 16).ok())
                .flatten()
        })
        .collect()
}

/// What a process holds, in kilobytes, what it shares with others included.
///
/// # Errors
/// When there is no such process.
pub fn resident(process: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or_else(|| failure(text.clone()))?.parse()?)
}
