//! What stands on a line.

use std::path::PathBuf;

use sam_acp::{Block, Notice, PlanEntry, ToolCall, ToolCallUpdate};
use sam_dialects::Usage;
use sam_dialects::conversation::{Part, Tool};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::message::{is_false, parts, tools};
use super::state::State;

/// The first line of every segment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`super::FORMAT`].
    pub format: String,
    /// [`super::VERSION`] when it was written.
    pub version: u32,
    /// The session's id.
    pub session: String,
    /// This segment's number, from 0.
    pub segment: u32,
    /// When the session began, in milliseconds since 1970.
    pub created: u64,
    /// The workspace.
    pub cwd: PathBuf,
    /// Further directories the session may touch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_directories: Vec<PathBuf>,
    /// The program that wrote it, and its version.
    pub agent: String,
    /// How the model API speaks.
    pub provider: String,
    /// The model the session began with.
    pub model: String,
    /// The bound of a reply, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u64>,
    /// How hard the model was told to think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// The model's context in tokens.
    pub context_window: u64,
    /// Whether the conversation is compacted by itself: `auto` or `off`.
    pub compaction: String,
}

/// One line after the header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// The bytes of a request, for whoever wants to know whether they would be
/// the same again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Their number.
    pub bytes: u64,
}

/// A file as a tool saw it or left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSeen {
    /// Relative to the workspace.
    pub path: String,
    /// SHA-256 of the whole file, in hexadecimal.
    pub sha256: String,
    /// Its lines.
    pub lines: u64,
    /// The lines that were shown, first and last; none when it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<(u64, u64)>,
    /// Whether the tool wrote it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub written: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The whole state, at the beginning of a segment. Not something that
    /// happened: what comes before it in the order of segments adds up to it.
    Checkpoint {
        /// The state.
        state: Box<State>,
    },
    /// What the model is told before the person speaks.
    Instructions {
        /// The text.
        text: String,
    },
    /// The tools offered from here on.
    Tools {
        /// All of them, in the order in which they are offered.
        #[serde(with = "tools")]
        tools: Vec<Tool>,
    },
    /// The person said something.
    Prompt {
        /// As the model is given it.
        #[serde(with = "parts")]
        parts: Vec<Part>,
        /// As a host gave it, when that is more than one text.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        blocks: Vec<Block>,
    },
    /// The model's whole reply.
    Reply {
        /// Its number among the requests of the session, from 0.
        number: u64,
        /// What it said, thought and called.
        #[serde(with = "parts")]
        parts: Vec<Part>,
        /// The model, as it calls itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// What it took.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
        /// The same in millionths of a US dollar, where the price was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<u64>,
        /// Why the model stopped, in the upstream's word or ours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stop: Option<String>,
        /// The request it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Digest>,
    },
    /// What was shown of a reply that never became whole.
    Broken {
        /// Its number among the requests of the session, from 0.
        number: u64,
        /// The text shown; may be empty.
        text: String,
    },
    /// What was shown of a reply that was then asked for again and began
    /// otherwise.
    Withdrawn {
        /// The reply's number among the requests of the session, from 0.
        number: u64,
        /// The text shown.
        text: String,
    },
    /// A tool is about to run. A call without a later result may have had its
    /// effect or not.
    ToolCall {
        /// The call as hosts see it.
        call: ToolCall,
    },
    /// A tool has run, or was not run for a reason.
    ToolResult {
        /// The call's id.
        call: String,
        /// What the model is told.
        #[serde(with = "parts")]
        parts: Vec<Part>,
        /// Whether it failed.
        #[serde(default, skip_serializing_if = "is_false")]
        failed: bool,
        /// Whether the tool takes free text.
        #[serde(default, skip_serializing_if = "is_false")]
        custom: bool,
        /// What hosts see; none for a call that was never announced.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        update: Option<ToolCallUpdate>,
        /// The files it read and wrote.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<FileSeen>,
    },
    /// The plan, whole.
    Plan {
        /// Its steps in order.
        entries: Vec<PlanEntry>,
    },
    /// What the agent says of its own condition.
    Notice {
        /// The notice.
        notice: Notice,
    },
    /// A setting of the session changed.
    Setting {
        /// Its name: `mode`, `model`, `effort`.
        name: String,
        /// Its value.
        value: String,
    },
    /// Something true of the process that goes on from here, such as the
    /// isolation its commands run under.
    Fact {
        /// A snake_case word.
        name: String,
        /// What is true.
        value: Value,
    },
    /// Older messages were replaced; the next segment begins with the rest.
    Compaction {
        /// `full`, `refused` or `asked`.
        reason: String,
        /// Bytes of the request before.
        bytes_before: u64,
        /// Bytes of the request after.
        bytes_after: u64,
        /// Messages before.
        messages_before: u64,
        /// Messages after.
        messages_after: u64,
    },
    /// A turn is over.
    TurnEnd {
        /// How: the words of `run --output json`, or `error`.
        end: String,
        /// Why, for people, when it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Model requests that gave a reply.
        requests: u32,
        /// Tools run.
        tool_calls: u32,
        /// Over all replies of the turn.
        usage: Usage,
    },
    /// The session was opened again.
    Resumed {
        /// The program that goes on, and its version.
        agent: String,
        /// How the model API speaks from here on.
        provider: String,
        /// The model.
        model: String,
    },
    /// A line was cut off by the end of a process and has been removed.
    Torn {
        /// Its length.
        bytes: u64,
    },
}
