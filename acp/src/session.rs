//! Sessions as an agent describes them to its host.

use std::path::PathBuf;

use crate::update::{AcpSessionId, AgentUpdate};

/// What a host offers to do for its agent, on its own side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostAbilities {
    /// Reading text files, also what an editor has not saved yet.
    pub read_text_file: bool,
    /// Writing text files.
    pub write_text_file: bool,
    /// Running commands in terminals of its own.
    pub terminal: bool,
}

/// One mode of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionMode {
    /// What a host sends back.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it means.
    pub description: String,
}

/// What sort of thing an option chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionCategory {
    /// The mode.
    Mode,
    /// The model.
    Model,
    /// How hard it thinks.
    ThoughtLevel,
}

/// One value of a session's option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionValue {
    /// What a host sends back.
    pub value: String,
    /// For people.
    pub name: String,
}

/// An option of a session: one of several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOption {
    /// What a host names it by.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it chooses.
    pub category: OptionCategory,
    /// The value it has.
    pub current: String,
    /// The values it can have.
    pub values: Vec<OptionValue>,
}

/// What a session can be set to, and is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionSettings {
    /// The mode it is in.
    pub mode: String,
    /// All modes; none when there are no modes.
    pub modes: Vec<SessionMode>,
    /// Its options.
    pub options: Vec<SessionOption>,
}

impl SessionSettings {
    /// That the options have changed, for the host.
    pub fn options_update(&self) -> AgentUpdate {
        AgentUpdate::ConfigOptions {
            options: crate::wire::options_value(self),
        }
    }
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionListed {
    /// Its id.
    pub session: AcpSessionId,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Further directories it may touch.
    pub additional_directories: Vec<PathBuf>,
    /// For people.
    pub title: Option<String>,
    /// When it was last active, as ISO 8601.
    pub updated_at: Option<String>,
}

/// What a host says of the session it wants opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionWanted {
    /// The absolute working directory.
    pub cwd: PathBuf,
    /// Further absolute directories the session may touch.
    pub additional_directories: Vec<PathBuf>,
    /// MCP servers to connect to, as they came.
    pub mcp_servers: Vec<serde_json::Value>,
}

/// How a command in a terminal of the host's ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TerminalExit {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i64>,
    /// The signal that ended it.
    pub signal: Option<String>,
}

/// What a terminal of the host's has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TerminalOutput {
    /// The text.
    pub text: String,
    /// Whether its beginning was dropped.
    pub truncated: bool,
}
