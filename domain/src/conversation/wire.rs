//! The HTTP shapes of projects' tasks, sessions, prompts and rows.

use super::attachment::Attachment;
use super::row::{BodyRef, Row, RowUpsert};
use crate::agents::PermissionMode;
use crate::id::{ProjectId, PromptId, RowId, SessionId, TaskId, UserId};
use crate::task::{TaskMode, TaskView};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest prompt that travels inline, in bytes; a longer one becomes a body,
/// and its beginning travels.
pub const PROMPT_INLINE_LIMIT: usize = 64 * 1024;
/// Longest prompt, in bytes.
pub const PROMPT_LIMIT: usize = 8 * 1024 * 1024;
/// Most rows in one batch.
pub const BATCH_ROWS: usize = 100;
/// Most bytes in one batch.
pub const BATCH_BYTES: usize = 256 * 1024;

/// `POST /api/projects/{project}/tasks`, with an `Idempotency-Key` header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitTask {
    /// What is to be done, in the person's words.
    pub prompt: String,
    /// An agent of the catalogue; the project's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Instead of `agent`: two to eight agents, each once. The same work is done under each, in a
    /// conversation and on a branch of its own, to be compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// What ends it.
    #[serde(default)]
    pub mode: TaskMode,
    /// The branch, tag or commit to start from; the repository's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// What the agent may do unasked: everything, unless it says otherwise.
    #[serde(default, skip_serializing_if = "PermissionMode::is_default")]
    pub permission_mode: PermissionMode,
    /// Files that belong to it; each was stored before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

/// 202 to a submitted task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Submitted {
    /// The task.
    pub task: TaskId,
    /// Its conversation.
    pub session: SessionId,
    /// The prompt that began it.
    pub prompt: PromptId,
    /// The person's row.
    pub row: RowId,
    /// Where several agents were named: what is done under the others, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Submitted>,
}

/// `POST …/prompts`, with an `Idempotency-Key` header; `PATCH …/prompts/{prompt}` while it is queued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SendPrompt {
    /// The words.
    pub text: String,
    /// Files that belong to it; each was stored before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

/// 202 to a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromptAccepted {
    /// The prompt.
    pub prompt: PromptId,
    /// The person's row.
    pub row: RowId,
    /// The task that will carry it; a new one when the last was over.
    pub task: TaskId,
}

/// `POST …/permissions/{permission}`: the choice that is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AnswerPermission {
    /// The id of one of the choices that are offered.
    pub option: String,
}

/// 202 to an answer: it counts, and is on its way to the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnswerAccepted {
    /// The row that asked.
    pub permission: RowId,
    /// The row that shows the answer.
    pub row: RowId,
    /// The choice.
    pub option: String,
}

/// Where a prompt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PromptState {
    /// In the conversation's queue.
    Queued,
    /// Handed to the task; may not have reached the machine.
    Sent,
    /// The agent works on it.
    Running,
    /// The agent finished its turn.
    Finished,
    /// Cancelled before or while it ran.
    Cancelled,
    /// It was running when contact was lost: its effects are unknown, and a
    /// person decides what happens next. It is never sent again by itself.
    Unknown,
}

impl PromptState {
    /// Whether nothing can change any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled | Self::Unknown)
    }
}

/// A prompt as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromptView {
    /// Its id.
    pub id: PromptId,
    /// The row that shows its words.
    pub row: RowId,
    /// Where it stands.
    pub state: PromptState,
    /// Who sent it.
    pub by: UserId,
    /// How the agent said it stopped, once finished, e.g. `end_turn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
}

/// What the agent is doing, as far as it is known. A lease: it says since when, its machine's link
/// renews it, and what an earlier agent or attempt reports changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Activity {
    /// What.
    pub state: ActivityState,
    /// Since when.
    pub since: Timestamp,
    /// Grows with each change; an older one is never shown over a newer.
    pub epoch: u64,
}

/// What an agent can be doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActivityState {
    /// Nothing runs.
    #[default]
    Idle,
    /// The agent starts.
    Starting,
    /// The agent works on a prompt.
    Prompting,
    /// A person has to answer.
    WaitingForPerson,
    /// The agent is started again and gets its conversation back.
    Recovering,
    /// Its machine is away: what it does is not known until the machine is back.
    Unknown,
    /// The agent ended.
    Ended,
}

/// A conversation as shown in lists and in the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Its project.
    pub project: ProjectId,
    /// The first line of its first prompt.
    pub title: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its newest task.
    pub task: TaskId,
    /// Prompts that are queued or in flight, and the last ones that ended.
    pub prompts: Vec<PromptView>,
    /// What the agent is doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    /// Where the same work was submitted under several agents: the first of these conversations,
    /// by which they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<SessionId>,
    /// Whether it is the one of them that was chosen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chosen: bool,
    /// Grows with every change.
    pub rev: u64,
}

/// `GET /api/projects/{project}/tasks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskList {
    /// Newest first.
    pub tasks: Vec<TaskView>,
    /// Pass as `before` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TaskId>,
}

/// `GET /api/projects/{project}/sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionList {
    /// Newest first.
    pub sessions: Vec<SessionView>,
    /// Pass as `before` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<SessionId>,
}

/// `GET /api/sessions/{session}/messages?before=&after=&limit=`: rows by `pos`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessagePage {
    /// In order of `pos`; at most 512 KiB.
    pub rows: Vec<Row>,
    /// The session's sequence number this page is true for.
    pub as_of: u64,
    /// Whether rows before the first one exist.
    pub has_before: bool,
    /// Whether rows after the last one exist.
    pub has_after: bool,
}

/// `POST /api/workspaces/{workspace}/messages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageBatch {
    /// At most [`BATCH_ROWS`], in order of `n`.
    pub rows: Vec<RowUpsert>,
}

/// What became of one row of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RowOutcome {
    /// Stored.
    Accepted,
    /// This version or a newer one was stored before.
    Duplicate,
    /// It cannot be stored: it is malformed or another session's.
    Refused,
}

/// The answer to a batch, row by row and in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchAnswer {
    /// One outcome a row.
    pub outcomes: Vec<RowOutcome>,
}

/// One frame up the workspace's live socket: text that is not stored yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LiveDelta {
    /// The row that grows.
    pub row: RowId,
    /// The version it extends.
    pub rev: u32,
    /// Length in bytes of the text this appends to.
    pub at: u64,
    /// What to append.
    pub append: String,
}

/// `GET /api/tasks/{task}/diff`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiffInfo {
    /// The stored diff.
    pub body: BodyRef,
}
