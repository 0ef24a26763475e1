//! What an agent may still know of its workspace's conversation when it is started again.
//!
//! Model: beside the workspace lies the name of the agent's own session and the words that it was
//! given last. An agent that keeps sessions is asked to load that one; what it then replays is
//! compared with those words and otherwise suppressed, for it is in the conversation already. One
//! that does not have them begins a new session, and is told the conversation instead.
//!
//! It decides nothing about prompts: what was interrupted is never given again.

use crate::layout::Layout;
use sam_acp::{AcpSessionId, AgentUpdate, HostEvent};
use sam_domain::conversation::row::truncate;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Most bytes of the last words that are compared.
const COMPARED: usize = 1024;

/// The session that an agent had here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Which agent.
    pub(super) agent: String,
    /// Its own name for the session.
    pub(super) session: String,
    /// The beginning of the words that it was given last.
    words: String,
}

fn file(layout: &Layout) -> PathBuf {
    layout.root().join("agent-session.json")
}

impl Memory {
    /// Of this agent, if it has had words here.
    pub(super) fn of(layout: &Layout, agent: &str) -> Option<Self> {
        let text = std::fs::read_to_string(file(layout)).ok()?;
        let memory: Self = serde_json::from_str(&text).ok()?;
        (memory.agent == agent && !memory.words.is_empty()).then_some(memory)
    }

    /// Keeps what an agent is given now. Without it the agent begins afresh, which is no failure.
    pub(super) fn keep(layout: &Layout, agent: &str, session: &AcpSessionId, words: &str) {
        let memory = Self {
            agent: agent.to_owned(),
            session: session.0.clone(),
            words: compared(words).to_owned(),
        };
        let (path, fresh) = (file(layout), layout.root().join("agent-session.new"));
        let kept = serde_json::to_vec(&memory)
            .map_err(std::io::Error::other)
            .and_then(|text| std::fs::write(&fresh, text))
            .and_then(|()| std::fs::rename(&fresh, &path));
        if let Err(error) = kept {
            crate::log::warning!("the agent's session is not kept: {error}");
        }
    }

    /// Forgets it, so that the next start begins afresh.
    pub(super) fn forget(layout: &Layout) {
        if let Err(error) = std::fs::remove_file(file(layout)) {
            crate::log::warning!("the agent's session is not forgotten: {error}");
        }
    }
}

fn compared(words: &str) -> &str {
    truncate(words.trim(), COMPARED).0
}

/// What an agent replays of a session that it loads.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// What people said, in its pieces.
    said: String,
    /// Updates of any kind.
    pub(super) updates: usize,
}

impl Replay {
    /// Takes in an event, which nobody else sees.
    pub(super) fn take(&mut self, event: &HostEvent) {
        let HostEvent::Update { update, .. } = event else {
            return;
        };
        self.updates += 1;
        if let AgentUpdate::UserMessage(chunk) = update
            && let Some(text) = chunk.block.as_text()
        {
            self.said.push_str(text);
        }
    }

    /// Whether it is the session that is remembered: it has the words that were given last.
    pub(super) fn is_of(&self, memory: &Memory) -> bool {
        // Agents replay spaces and the ends of lines in their own way.
        let bare = |text: &str| -> String { text.split_whitespace().collect() };
        bare(&self.said).contains(&bare(&memory.words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_acp::Chunk;
    use sam_domain::id::{Id as _, WorkspaceId};
    use sam_domain::time::Timestamp;

    fn said(text: &str) -> HostEvent {
        HostEvent::Update {
            session: AcpSessionId("s".to_owned()),
            update: AgentUpdate::UserMessage(Chunk::text(text)),
        }
    }

    #[test]
    fn a_session_is_kept_for_its_agent_and_known_by_its_last_words() {
        let dir = tempfile::tempdir().expect("dir");
        let layout = Layout::new(dir.path(), &WorkspaceId::mint(Timestamp(1), 1));
        layout.make_afresh().expect("folders");
        assert_eq!(Memory::of(&layout, "goose"), None);
        let session = AcpSessionId("s1".to_owned());
        Memory::keep(&layout, "goose", &session, "");
        assert_eq!(Memory::of(&layout, "goose"), None, "it was told nothing");
        let words = format!(" Fix the\n\ntest. {}", "x".repeat(3000));
        Memory::keep(&layout, "goose", &session, &words);
        assert_eq!(Memory::of(&layout, "codex"), None);
        let memory = Memory::of(&layout, "goose").expect("kept");
        assert_eq!(memory.session, "s1");

        let mut replay = Replay::default();
        assert!(!replay.is_of(&memory), "it remembers nothing");
        replay.take(&said("Something else. "));
        assert!(!replay.is_of(&memory));
        replay.take(&said("Fix the\n"));
        replay.take(&said(words.trim().trim_start_matches("Fix the")));
        assert!(replay.is_of(&memory));
        assert_eq!(replay.updates, 3);
    }
}
