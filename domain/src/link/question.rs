//! Questions to a machine that is there: answered now, or not at all.
//!
//! A command is kept until it is done; a question is not. It goes to the machine whose link is up,
//! and whoever asked waits a few seconds for the answer. Nothing of it is stored at either end, and
//! one that is lost is asked again by whoever still wants to know.
//!
//! The control plane does not read an answer: it hands the text on as the machine wrote it.

use crate::id::{RequestId, WorkspaceId};
use crate::link::frame::NodeFacts;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// Most bytes of a file in one answer.
pub const FILE_PAGE: u64 = 192 * 1024;
/// Most entries of a folder in one answer.
pub const FOLDER_ENTRIES: usize = 1000;
/// How long whoever asked waits for the machine.
pub const PATIENCE: Millis = Millis::seconds(10);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A file or folder of a workspace: [`FileView`].
    Files,
    /// The ports that a workspace's programs listen on: [`PortList`].
    Ports,
    /// What the machine knows of itself: [`Diagnostics`].
    Diagnostics,
}

/// A question to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Question {
    /// By which the answer is known.
    pub id: RequestId,
    /// What is asked.
    pub about: About,
    /// Of which workspace; absent when it is about the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// Of which file or folder, below the checkout; the checkout itself when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// From which byte of the file on.
    #[serde(default)]
    pub offset: u64,
}

/// A machine's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Answer {
    /// The question's.
    pub id: RequestId,
    /// 200, or the status of the refusal.
    pub status: u16,
    /// The answer as JSON text; of a refusal, its sentence.
    pub body: String,
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A symbolic link. It is not followed.
    Link,
    /// A socket, a pipe, a device.
    Other,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entry {
    /// Its name; what is not UTF-8 of it is replaced, and then it cannot be asked for.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file.
    #[serde(default)]
    pub bytes: u64,
}

/// `GET /api/tasks/{task}/files`: a folder's entries, or a part of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileView {
    /// The path below the checkout, as it was asked for.
    pub path: String,
    /// `folder` or `file`.
    pub kind: EntryKind,
    /// Of a folder: its entries in order of name, without git's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
    /// There are more entries than are told, or more of the file after this part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Of a file: how long it is as a whole.
    #[serde(default)]
    pub bytes: u64,
    /// Where this part of it begins.
    #[serde(default)]
    pub offset: u64,
    /// This part of it, as base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content: String,
}

/// A port that a program of a workspace listens on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OpenPort {
    /// The port.
    pub port: u16,
    /// The address it is bound to.
    pub address: String,
    /// The program's name.
    pub program: String,
}

/// `GET /api/tasks/{task}/ports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PortList {
    /// In order of port.
    pub ports: Vec<OpenPort>,
}

/// `GET /api/nodes/{node}/diagnostics`: what a machine knows of itself, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diagnostics {
    /// When, by the machine's clock.
    pub taken_at: Timestamp,
    /// What the machine is.
    pub facts: NodeFacts,
    /// The kernel's name and version.
    pub kernel: String,
    /// How long the machine has been up.
    pub up: Millis,
    /// How long the vm-agent has been.
    pub agent_up: Millis,
    /// The load of the last 1, 5 and 15 minutes.
    pub load: String,
    /// Bytes of memory that are free for programs.
    pub memory_available_bytes: u64,
    /// Versions of programs that the work needs, by name.
    pub programs: Vec<(String, String)>,
    /// Workspaces on its disk, and how many processes each has.
    pub workspaces: Vec<(WorkspaceId, u32)>,
    /// Commands that it holds and that are not done.
    pub open_commands: u32,
    /// Events that the control plane has not stored yet.
    pub pending_events: u32,
    /// The last lines that the vm-agent logged: its link's ups and downs among them.
    pub log: Vec<String>,
}
