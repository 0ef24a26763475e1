//! Who machines are and what they tell each other.

use crate::agents::PermissionMode;
use crate::conversation::attachment::PromptBody;
use crate::conversation::row::NoticeBody;
use crate::conversation::wire::ActivityState;
use crate::id::{
    CommandId, NodeId, ProjectId, PromptId, RowId, SessionId, TaskId, UserId, WorkspaceId,
};
use crate::link::frame::{Action, Event, StopReason};
use crate::node::wire::NodeView;
use crate::task::TaskView;
use crate::task::patience::Patience;
use crate::task::wire::TaskMode;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// Who a machine is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// A conversation, hosted by its project's ProjectData.
    Session {
        /// The project whose object hosts it.
        project: ProjectId,
        /// The conversation.
        session: SessionId,
    },
    /// A task, in its TaskRunner.
    Task(TaskId),
    /// A node, in its NodeLifecycle.
    Node(NodeId),
    /// A person's nodes, in their NodePool.
    Pool(UserId),
    /// The cross-project index in D1: takes views, answers nothing.
    Index,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Who sent it.
    pub from: Address,
    /// Who it is for.
    pub to: Address,
    /// Its number among the messages of this sender, from 1.
    pub ordinal: u64,
    /// The number of the message to this receiver that has to be taken in
    /// before it; 0 when all earlier ones were.
    #[serde(default)]
    pub after: u64,
    /// What it says.
    pub message: Message,
}

/// A new task, as its conversation hands it to its TaskRunner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskIntent {
    /// The task.
    pub task: TaskId,
    /// Its project.
    pub project: ProjectId,
    /// Its conversation.
    pub session: SessionId,
    /// Who asked.
    pub user: UserId,
    /// Whose pool is drawn on; the asking person's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
    /// The first line of what was asked.
    pub title: String,
    /// http(s) URL or absolute path.
    pub repository: String,
    /// Branch, tag or commit to start from.
    pub base: Option<String>,
    /// The branch to make or to continue.
    pub branch: String,
    /// The agent of the catalogue.
    pub agent: String,
    /// What ends it.
    pub mode: TaskMode,
    /// What the agent may do unasked.
    #[serde(default)]
    pub permission_mode: PermissionMode,
    /// How long it waits when nothing moves.
    #[serde(default, skip_serializing_if = "Patience::is_standard")]
    pub patience: Patience,
    /// The task whose work it does again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<TaskId>,
}

impl TaskIntent {
    /// Whose pool is drawn on.
    #[must_use]
    pub fn pool(&self) -> &UserId {
        self.pool.as_ref().unwrap_or(&self.user)
    }
}

/// Where a wish for a place comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Who asked.
    pub user: UserId,
    /// For which project.
    pub project: ProjectId,
}

/// What machines tell each other. The name says who tells whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Session → task: begin.
    TaskSubmitted(Box<TaskIntent>),
    /// Session → task: the next prompt. The task holds it until the agent is ready.
    PromptDispatched {
        /// Which.
        prompt: PromptId,
        /// The words.
        text: String,
        /// The whole of them, when `text` is only their beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<PromptBody>,
        /// Earlier conversation for an agent that starts afresh; may be empty.
        context: String,
        /// Whether SAM said it by itself, and no person.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        automatic: bool,
    },
    /// Session → task: stop this prompt.
    PromptCancelRequested {
        /// Which.
        prompt: PromptId,
    },
    /// Session → task: a person answered what the agent asked.
    PermissionAnswered {
        /// The row that shows the question.
        permission: RowId,
        /// The choice.
        option: String,
    },
    /// Session → task: the rows a prompt ended with are stored.
    RowsComplete {
        /// Which prompt.
        prompt: PromptId,
    },

    /// Task → session: the task as it is now.
    TaskChanged(Box<TaskView>),
    /// Task → session: the agent began to work on it.
    PromptStarted {
        /// Which.
        prompt: PromptId,
    },
    /// Task → session: it is over.
    PromptEnded {
        /// Which.
        prompt: PromptId,
        /// How.
        stop_reason: StopReason,
    },
    /// Task → session: the prompt was not taken (the task is over); queue it again.
    PromptReturned {
        /// Which.
        prompt: PromptId,
    },
    /// Task → session: say when rows up to `through` are stored.
    AwaitRows {
        /// For which prompt.
        prompt: PromptId,
        /// Of which workspace.
        workspace: WorkspaceId,
        /// The `n` to wait for.
        through: u64,
    },
    /// Task → session: rows of this workspace are taken from now on.
    WorkspaceBound {
        /// Which.
        workspace: WorkspaceId,
        /// Under which attempt.
        attempt: u32,
    },
    /// Task → session: what the agent does.
    ActivityChanged {
        /// What.
        state: ActivityState,
        /// Since when.
        since: Timestamp,
    },
    /// Task → session: the agent was lost while it waited for a limit, which has reset: ask it to
    /// go on, unless somebody has already.
    ContinuationDue,
    /// Task → session: the agent stopped without finishing and is idle: ask it what it waits for,
    /// unless somebody has said something.
    CheckInDue,
    /// Task → session: say this in the conversation.
    Notice(NoticeBody),

    /// Task → pool: a machine, please. Repeating it is harmless.
    PlaceRequested {
        /// Under which attempt.
        attempt: u32,
        /// The agent it has to have.
        agent: String,
        /// Who asks, for which project.
        #[serde(default)]
        origin: Option<Origin>,
    },
    /// Task → pool: the attempt needs its machine no more.
    Released {
        /// Which attempt.
        attempt: u32,
    },
    /// Pool → task: here it is.
    Placed {
        /// For which attempt.
        attempt: u32,
        /// Which machine.
        node: NodeId,
    },
    /// Pool → task: not yet, and why.
    PlacementWaiting {
        /// For which attempt.
        attempt: u32,
        /// Why, for a person.
        reason: String,
    },

    /// Task → node: do this. The command's id makes repeating harmless.
    CommandRequested {
        /// Its id.
        command: CommandId,
        /// The scope of the workspace it is about.
        workspace: WorkspaceId,
        /// The project, for the workspace's tokens.
        project: ProjectId,
        /// The conversation, for the workspace's tokens.
        session: SessionId,
        /// On whose behalf.
        user: UserId,
        /// Under which attempt.
        attempt: u32,
        /// How long it may take, from now.
        within: Millis,
        /// What to do.
        action: Action,
    },
    /// Task → node: older attempts of this task are fenced off; their
    /// workspaces get no tokens and their agents are stopped.
    Fenced {
        /// Attempts below this one are over.
        below: u32,
    },
    /// Node → task: an event of one of its workspaces, in order.
    NodeEvent {
        /// Which workspace.
        workspace: WorkspaceId,
        /// Under which attempt.
        attempt: u32,
        /// What happened.
        event: Event,
    },
    /// Node → task: the machine's disk was lost, with this workspace on it.
    WorkspaceLost {
        /// Which.
        workspace: WorkspaceId,
        /// Under which attempt.
        attempt: u32,
    },
    /// Node → task: the link has been silent for longer than the lease.
    NodeAway {
        /// Since when.
        since: Timestamp,
    },
    /// Node → task: the link is back.
    NodeBack,

    /// Node → pool: the machine as it is now.
    NodeChanged(Box<NodeView>),
    /// Node → index: the machine as it is now.
    NodeIndexed(Box<NodeView>),
    /// Node → pool and index: the machine was taken out for good.
    NodeLeft(NodeId),
    /// Task → index: the task as it is now.
    TaskIndexed(Box<TaskView>),
}

impl Message {
    /// Its name, as in the tables of [`crate::table`]; an event of a node goes
    /// by the event's own.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::TaskSubmitted(_) => "task_submitted",
            Self::PromptDispatched { .. } => "prompt_dispatched",
            Self::PromptCancelRequested { .. } => "prompt_cancel_requested",
            Self::PermissionAnswered { .. } => "permission_answered",
            Self::RowsComplete { .. } => "rows_complete",
            Self::TaskChanged(_) => "task_changed",
            Self::PromptStarted { .. } => "prompt_started",
            Self::PromptEnded { .. } => "prompt_ended",
            Self::PromptReturned { .. } => "prompt_returned",
            Self::AwaitRows { .. } => "await_rows",
            Self::WorkspaceBound { .. } => "workspace_bound",
            Self::ActivityChanged { .. } => "activity_changed",
            Self::ContinuationDue => "continuation_due",
            Self::CheckInDue => "check_in_due",
            Self::Notice(_) => "notice",
            Self::PlaceRequested { .. } => "place_requested",
            Self::Released { .. } => "released",
            Self::Placed { .. } => "placed",
            Self::PlacementWaiting { .. } => "placement_waiting",
            Self::CommandRequested { .. } => "command_requested",
            Self::Fenced { .. } => "fenced",
            Self::NodeEvent { event, .. } => event.word(),
            Self::WorkspaceLost { .. } => "workspace_lost",
            Self::NodeAway { .. } => "node_away",
            Self::NodeBack => "node_back",
            Self::NodeChanged(_) => "node_changed",
            Self::NodeIndexed(_) => "node_indexed",
            Self::NodeLeft(_) => "node_left",
            Self::TaskIndexed(_) => "task_indexed",
        }
    }
}
