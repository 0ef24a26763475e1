//! What an agent tells its host, in our own words.
//!
//! These types are serialisable so that they can be stored; their form is
//! ours and stable, and is not the wire form of the protocol.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The id an agent gave to one of its sessions. It means nothing elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AcpSessionId(pub String);

impl AcpSessionId {
    /// The id as the agent wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for AcpSessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One content block of a prompt or a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Plain text or Markdown.
    Text {
        /// The text.
        text: String,
    },
    /// Any other block (image, audio, resource), as it came.
    Other {
        /// The block's JSON.
        raw: Value,
    },
}

impl Block {
    /// A text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// The text, when it is a text block.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text } => Some(text),
            Self::Other { .. } => None,
        }
    }
}

/// A piece of a message that is being streamed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// Which message it belongs to, when the agent says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The piece.
    pub block: Block,
}

impl Chunk {
    /// A piece of text that names no message.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            message_id: None,
            block: Block::text(text),
        }
    }
}

/// What sort of thing a tool does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    /// Reads files or data.
    Read,
    /// Changes files.
    Edit,
    /// Removes files.
    Delete,
    /// Moves or renames files.
    Move,
    /// Searches.
    Search,
    /// Runs a command.
    Execute,
    /// Reasons or plans.
    Think,
    /// Fetches from the network.
    Fetch,
    /// Changes the session's mode.
    SwitchMode,
    /// Anything else.
    #[default]
    Other,
}

/// How far a tool call has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// Announced; its input may still be streaming, or it waits for permission.
    #[default]
    Pending,
    /// Running.
    InProgress,
    /// Done.
    Completed,
    /// Done, without success.
    Failed,
}

/// A place in a file that a tool touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The path as the agent wrote it, usually absolute.
    pub path: String,
    /// The line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// What a tool call shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToolContent {
    /// Text output.
    Text {
        /// The text.
        text: String,
    },
    /// A change to a file.
    Diff {
        /// The file's path as the agent wrote it.
        path: String,
        /// The text before; none for a new file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<String>,
        /// The text after.
        new: String,
    },
    /// A terminal of the host's, by id.
    Terminal {
        /// The terminal's id.
        terminal_id: String,
    },
    /// Anything else, as it came.
    Unknown {
        /// The item's JSON.
        raw: Value,
    },
}

/// A tool call, announced.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique within the session.
    pub id: String,
    /// The tool's name, when the agent tells it (in the protocol's field or in
    /// one of the known extensions).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people.
    pub title: String,
    /// What sort of tool.
    pub kind: ToolKind,
    /// How far it has come.
    pub status: ToolStatus,
    /// What it shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<ToolContent>,
    /// The files it touches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// The arguments the model gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_input: Option<Value>,
    /// What the tool returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_output: Option<Value>,
    /// The agent's own extension fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
}

impl ToolCall {
    /// Applies an update. A list replaces the list before; what the update
    /// does not name stays. Terminal output carried in an extension field is
    /// not applied here; see [`ToolCallUpdate::terminal_output`].
    pub fn apply(&mut self, update: ToolCallUpdate) {
        let ToolCallUpdate {
            id: _,
            name,
            title,
            kind,
            status,
            content,
            locations,
            raw_input,
            raw_output,
            meta,
        } = update;
        if let Some(name) = name {
            self.name = Some(name);
        }
        if let Some(title) = title {
            self.title = title;
        }
        if let Some(kind) = kind {
            self.kind = kind;
        }
        if let Some(status) = status {
            self.status = status;
        }
        if let Some(content) = content {
            self.content = content;
        }
        if let Some(locations) = locations {
            self.locations = locations;
        }
        if let Some(raw_input) = raw_input {
            self.raw_input = Some(raw_input);
        }
        if let Some(raw_output) = raw_output {
            self.raw_output = Some(raw_output);
        }
        if let Some(meta) = meta {
            self.meta = Some(meta);
        }
    }
}

/// A change to a tool call: only what changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCallUpdate {
    /// The call it changes. Agents have sent updates for calls they never
    /// announced; see [`ToolCallUpdate::into_tool_call`].
    pub id: String,
    /// The tool's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What sort of tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ToolKind>,
    /// How far it has come; absent means unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ToolStatus>,
    /// Replaces what the call shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Vec<ToolContent>>,
    /// Replaces the files it touches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locations: Option<Vec<Location>>,
    /// The arguments the model gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_input: Option<Value>,
    /// What the tool returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_output: Option<Value>,
    /// The agent's own extension fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
}

impl ToolCallUpdate {
    /// The call this update would be, had it been announced: the title falls
    /// back to the name, then to the id.
    pub fn into_tool_call(self) -> ToolCall {
        let mut call = ToolCall {
            id: self.id.clone(),
            title: self.name.clone().unwrap_or_else(|| self.id.clone()),
            ..ToolCall::default()
        };
        call.apply(self);
        call
    }

    /// Output appended to a terminal that the agent runs itself, which some
    /// agents report in the extension field `terminal_output`.
    pub fn terminal_output(&self) -> Option<&str> {
        self.meta
            .as_ref()?
            .get("terminal_output")?
            .get("data")?
            .as_str()
    }
}

/// How much an entry of a plan matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanPriority {
    /// First.
    High,
    /// Then.
    #[default]
    Medium,
    /// If there is time.
    Low,
}

/// How far an entry of a plan has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Not begun.
    #[default]
    Pending,
    /// Begun.
    InProgress,
    /// Done.
    Completed,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanEntry {
    /// What is to be done.
    pub content: String,
    /// How much it matters.
    pub priority: PlanPriority,
    /// How far it has come.
    pub status: PlanStatus,
}

/// What a session has cost so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The amount.
    pub amount: f64,
    /// ISO 4217, as a rule `USD`.
    pub currency: String,
}

/// How full the model's context is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContextUsage {
    /// Tokens in the context.
    pub used: u64,
    /// Tokens the context can hold.
    pub size: u64,
    /// The session's cost, when the agent knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// A command the agent offers to the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Without the slash.
    pub name: String,
    /// For people.
    pub description: String,
}

/// How much a [`Notice`] matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeLevel {
    /// For the record.
    #[default]
    Info,
    /// Worth a look.
    Warning,
    /// Something failed.
    Error,
}

/// What an agent says of its own condition rather than of the work: that it
/// waits for a limit to reset, that it gave up.
///
/// An extension: it travels as a `session_info_update` that changes nothing,
/// under `sam/notice` in its `_meta`, so that hosts which do not know it see a
/// valid update and show nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// A later notice with the same id replaces the earlier one.
    pub id: String,
    /// How much it matters.
    pub level: NoticeLevel,
    /// A stable snake_case word.
    pub code: String,
    /// For people.
    pub text: String,
    /// What a person can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One `session/update`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "update", rename_all = "snake_case")]
pub enum AgentUpdate {
    /// A piece of a message of the person's, replayed by a load.
    UserMessage(Chunk),
    /// A piece of the agent's answer.
    Message(Chunk),
    /// A piece of the agent's reasoning.
    Thought(Chunk),
    /// A tool call, announced.
    ToolCall(ToolCall),
    /// A tool call, changed.
    ToolCallUpdate(ToolCallUpdate),
    /// The plan, whole; it replaces the plan before.
    Plan {
        /// Its steps in order.
        entries: Vec<PlanEntry>,
    },
    /// How full the context is.
    ContextUsage(ContextUsage),
    /// The session's mode changed.
    Mode {
        /// The mode's id.
        mode: String,
    },
    /// The session's options changed.
    ConfigOptions {
        /// The options' JSON, a list.
        options: Value,
    },
    /// The agent's commands changed.
    Commands {
        /// All of them.
        commands: Vec<Command>,
    },
    /// The session's title or time changed.
    SessionInfo {
        /// The new title; absent when it did not change or was cleared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// The whole update's JSON.
        raw: Value,
    },
    /// The agent's own condition.
    Notice(Notice),
    /// Anything else, as it came.
    Unknown {
        /// The update's JSON.
        raw: Value,
    },
}

/// Why a turn ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The agent finished.
    EndTurn,
    /// The model ran out of output.
    MaxTokens,
    /// The agent's own limit on model requests was reached.
    MaxTurnRequests,
    /// The model refused.
    Refusal,
    /// The host cancelled.
    Cancelled,
    /// A reason the protocol does not know.
    Other(String),
}

/// Tokens a turn has used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens sent to the model.
    pub input: u64,
    /// Tokens the model wrote.
    pub output: u64,
    /// Both, as the agent counts.
    pub total: u64,
    /// Of the output, reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought: Option<u64>,
    /// Of the input, read from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_read: Option<u64>,
    /// Of the input, written to a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_write: Option<u64>,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptOutcome {
    /// Why.
    pub stop_reason: StopReason,
    /// What it used, when the agent tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TokenUsage>,
}

/// What an option of a permission request would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionOptionKind {
    /// Allow this once.
    AllowOnce,
    /// Allow this and its like.
    AllowAlways,
    /// Refuse this once.
    RejectOnce,
    /// Refuse this and its like.
    RejectAlways,
    /// Something the protocol does not know; never chosen by itself.
    Other,
}

/// One answer to a permission request. Kinds may repeat; the id tells them
/// apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionOption {
    /// What the answer names.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it would do.
    pub kind: PermissionOptionKind,
}

/// The answer to a permission request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum PermissionOutcome {
    /// An option was chosen.
    Selected {
        /// The option's id.
        option: String,
    },
    /// The turn was cancelled, or nobody will answer.
    Cancelled,
}
