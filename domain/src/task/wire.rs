//! What others see of a task.

use crate::error::Failure;
use crate::id::{NodeId, ProjectId, SessionId, TaskId, UserId, WorkspaceId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a task stands. Terminal states are final.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Accepted and stored.
    #[default]
    Queued,
    /// Looking for a machine.
    Placing,
    /// The machine makes the workspace.
    Preparing,
    /// The agent starts.
    Starting,
    /// The agent works.
    Running,
    /// A person has the next word.
    AwaitingInput,
    /// Rows are complete; commit and push.
    Finishing,
    /// Done.
    Completed,
    /// Failed, with a [`Failure`].
    Failed,
    /// Cancelled by a person.
    Cancelled,
}

impl TaskState {
    /// All states, in the order a task meets them.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Placing,
        Self::Preparing,
        Self::Starting,
        Self::Running,
        Self::AwaitingInput,
        Self::Finishing,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether nothing can change any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The word on the wire, in the UI and in the docs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Placing => "placing",
            Self::Preparing => "preparing",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::AwaitingInput => "awaiting_input",
            Self::Finishing => "finishing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What ends a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskMode {
    /// The agent's completion ends it.
    #[default]
    Task,
    /// A finished prompt waits for the next; the person closes it.
    Conversation,
}

/// The steps a person watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// Finding a machine.
    Placing,
    /// Making the workspace.
    Preparing,
    /// Starting the agent.
    Starting,
    /// The agent works.
    Running,
    /// Commit and push.
    Finishing,
}

impl StepName {
    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Placing => "placing",
            Self::Preparing => "preparing",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Finishing => "finishing",
        }
    }
}

/// One step with its times. `ended_at` is absent while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepView {
    /// Which step.
    pub name: StepName,
    /// Under which attempt.
    pub attempt: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What it is doing or waiting for, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a task handed back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitResult {
    /// The branch the work is on.
    pub branch: String,
    /// The newest commit; absent when nothing was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether the branch reached the repository it was cloned from.
    pub pushed: bool,
    /// Files changed, lines added, lines removed against the base.
    pub files_changed: u32,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
    /// The unified diff against the base, in object storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<crate::conversation::row::BodyRef>,
}

/// A task as shown in lists, in the feed and at `GET /api/tasks/{task}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// Its project.
    pub project: ProjectId,
    /// The conversation it speaks in.
    pub session: SessionId,
    /// Who asked for it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
    /// The first line of what was asked.
    pub title: String,
    /// The agent from the catalogue, e.g. `sam-harness`.
    pub agent: String,
    /// What ends it.
    pub mode: TaskMode,
    /// Where it stands.
    pub state: TaskState,
    /// Since when.
    pub since: Timestamp,
    /// The current attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// Grows with every change; an older one is never shown over a newer.
    pub rev: u64,
    /// The steps so far.
    pub steps: Vec<StepView>,
    /// The machine of the current attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// The workspace of the current attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// Since when its machine has been away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_away_since: Option<Timestamp>,
    /// Until when it waits for a limit of the model, as the model or a budget said; then it goes
    /// on by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// The branch, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// What it handed back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<GitResult>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The task whose work it does again, from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<TaskId>,
    /// Rows did not all arrive before the task was finished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rows_incomplete: bool,
}
