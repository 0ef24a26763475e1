//! What an agent read, and read again though it had not changed.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use sam_acp::{AgentUpdate, ToolCall, ToolContent, ToolKind, ToolStatus};
use serde::{Deserialize, Serialize};

/// Reads of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reads {
    /// All.
    pub(super) all: u64,
    /// Of these, those of what had been read before and had not changed.
    pub(super) again: u64,
}

impl Reads {
    /// The sum.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            all: self.all.saturating_add(other.all),
            again: self.again.saturating_add(other.again),
        }
    }
}

/// Counts the reads that an agent tells of over ACP: calls of the kind `read`
/// with the file's place. The same place is the same file at the same line.
#[derive(Debug)]
pub(super) struct ReadCounter {
    repository: PathBuf,
    calls: HashMap<String, ToolCall>,
    seen: HashSet<(PathBuf, Option<u32>, u64)>,
    reads: Reads,
}

impl ReadCounter {
    /// Nothing read yet in this directory.
    pub(super) fn new(repository: PathBuf) -> Self {
        Self {
            repository,
            calls: HashMap::new(),
            seen: HashSet::new(),
            reads: Reads::default(),
        }
    }

    /// Takes in what the agent tells.
    pub(super) fn take(&mut self, update: AgentUpdate) {
        let (id, was_done) = match update {
            AgentUpdate::ToolCall(call) => {
                let id = call.id.clone();
                let before = self.calls.insert(id.clone(), call);
                (id, before.is_some_and(|call| done(&call)))
            }
            AgentUpdate::ToolCallUpdate(update) => {
                let id = update.id.clone();
                let was_done = match self.calls.get_mut(&id) {
                    Some(call) => {
                        let was_done = done(call);
                        call.apply(update);
                        was_done
                    }
                    None => {
                        self.calls.insert(id.clone(), update.into_tool_call());
                        false
                    }
                };
                (id, was_done)
            }
            _ => return,
        };
        let Some(call) = self.calls.get(&id).filter(|call| done(call) && !was_done) else {
            return;
        };
        if call.kind != ToolKind::Read {
            return;
        }
        for location in &call.locations {
            let path = self.repository.join(&location.path);
            let Some(content) = content(call, &path) else {
                continue;
            };
            self.reads.all += 1;
            if !self.seen.insert((path, location.line, content)) {
                self.reads.again += 1;
            }
        }
    }

    /// What was read; none when the agent told of no read.
    pub(super) fn reads(&self) -> Option<Reads> {
        (self.reads.all > 0).then_some(self.reads)
    }
}

fn done(call: &ToolCall) -> bool {
    call.status == ToolStatus::Completed
}

/// A fingerprint of what was read. What the agent shows of it is from the moment of the read; the file
/// may be another one by now, so it is asked only for want of that. None: it was no file.
fn content(call: &ToolCall, path: &Path) -> Option<u64> {
    let shown: Vec<&str> = call.content.iter().filter_map(text).collect();
    let mut hasher = DefaultHasher::new();
    if path.is_dir() {
        return None;
    }
    if shown.is_empty() {
        std::fs::read(path).ok()?.hash(&mut hasher);
    } else {
        shown.hash(&mut hasher);
    }
    Some(hasher.finish())
}

fn text(content: &ToolContent) -> Option<&str> {
    match content {
        ToolContent::Text { text } if !text.is_empty() => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use sam_acp::{Location, ToolCallUpdate};

    use super::*;

    #[test]
    fn what_did_not_change_and_is_read_again_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "one").unwrap();
        let mut counter = ReadCounter::new(dir.path().to_owned());
        assert_eq!(counter.reads(), None);
        let mut number = 0;
        let mut read = |counter: &mut ReadCounter, path: &str, line| {
            number += 1;
            let call = ToolCall {
                id: number.to_string(),
                kind: ToolKind::Read,
                locations: vec![Location {
                    path: path.to_owned(),
                    line,
                }],
                ..ToolCall::default()
            };
            counter.take(AgentUpdate::ToolCall(call));
            for _ in 0..2 {
                counter.take(AgentUpdate::ToolCallUpdate(ToolCallUpdate {
                    id: number.to_string(),
                    status: Some(ToolStatus::Completed),
                    ..ToolCallUpdate::default()
                }));
            }
        };
        read(&mut counter, "a", None);
        read(&mut counter, "a", Some(40));
        read(&mut counter, "no such file", None);
        assert_eq!(counter.reads(), Some(Reads { all: 2, again: 0 }));
        read(&mut counter, &file.to_string_lossy(), None);
        assert_eq!(counter.reads(), Some(Reads { all: 3, again: 1 }));
        std::fs::write(&file, "two").unwrap();
        read(&mut counter, "a", None);
        assert_eq!(counter.reads(), Some(Reads { all: 4, again: 1 }));
    }

    #[test]
    fn what_the_agent_shows_counts_and_not_what_became_of_the_file_since() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        let mut counter = ReadCounter::new(dir.path().to_owned());
        for (number, (now, shown, again)) in [
            ("one", "one", 0),
            // It was changed between the read and the word of it.
            ("two", "one", 1),
            ("two", "two", 1),
        ]
        .into_iter()
        .enumerate()
        {
            std::fs::write(&file, now).unwrap();
            counter.take(AgentUpdate::ToolCall(ToolCall {
                id: number.to_string(),
                kind: ToolKind::Read,
                status: ToolStatus::Completed,
                content: vec![ToolContent::Text {
                    text: shown.to_owned(),
                }],
                locations: vec![Location {
                    path: file.to_string_lossy().into_owned(),
                    line: None,
                }],
                ..ToolCall::default()
            }));
            let all = number as u64 + 1;
            assert_eq!(counter.reads(), Some(Reads { all, again }));
        }
    }
}
