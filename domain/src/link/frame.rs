//! Frames of the node link.

use crate::agents::PermissionMode;
use crate::conversation::attachment::PromptBody;
use crate::conversation::row::BodyRef;
use crate::conversation::wire::ActivityState;
use crate::id::{AgentSessionId, CommandId, PromptId, RowId, SessionId, TaskId, WorkspaceId};
use crate::link::question::{Answer, Question};
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// The protocol both ends speak; another number is refused with `bye`.
pub const PROTOCOL: u32 = 1;
/// The text that is answered without waking the object.
pub const PING: &str = "{\"t\":\"ping\"}";
/// The answer to [`PING`].
pub const PONG: &str = "{\"t\":\"pong\"}";
/// A link that was silent this long is down, unless the installation says otherwise.
pub const LEASE: Millis = Millis::seconds(90);

/// How often a node pings: often enough that two pings may be lost.
#[must_use]
pub const fn ping_every(lease: Millis) -> Millis {
    Millis(lease.0 / 3)
}

const fn standard_lease() -> Millis {
    LEASE
}

/// Largest frame accepted, in bytes.
pub const FRAME_LIMIT: usize = 512 * 1024;

/// A frame from the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(tag = "t"))]
#[serde(remote = "AgentFrame", rename_all = "snake_case")]
pub enum AgentFrame {
    /// The first frame of a connection.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The vm-agent's version.
        version: String,
        /// The identity of its disk; new when the disk was lost.
        store_id: String,
        /// The identity of this process.
        boot_id: String,
        /// The processes that ran on this disk before, newest last; absent when
        /// it does not say. A disk that does not know the one the control plane
        /// knows is a copy, or an older state, of the disk that does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boots: Option<Vec<String>>,
        /// What the machine is.
        facts: NodeFacts,
        /// Commands on its disk that are not done.
        open_commands: Vec<CommandId>,
        /// The number of the oldest event it still holds, or of the next one.
        next_event: u64,
    },
    /// The command is on the node's disk.
    Ack {
        /// Which.
        command: CommandId,
    },
    /// Something happened.
    Event(EventFrame),
    /// What it was asked; nobody keeps it.
    Answer(Answer),
    /// Keeps the link; see [`PING`].
    Ping,
}
crate::tagged!(AgentFrame, "t");

/// An event with its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventFrame {
    /// Grows by one within a store id.
    pub n: u64,
    /// The workspace it is about, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// The attempt it belongs to; 0 where there is none.
    pub attempt: u32,
    /// When it happened, by the node's clock.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// A frame from the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(tag = "t"))]
#[serde(remote = "ObjectFrame", rename_all = "snake_case")]
pub enum ObjectFrame {
    /// Answer to `hello`.
    Welcome {
        /// Events up to this number are stored.
        acked_event: u64,
        /// Commands the node does not hold yet, oldest first.
        commands: Vec<Command>,
        /// How long the link may be silent; the node gives it up after that, and pushes nothing
        /// until it is welcomed again.
        #[serde(default = "standard_lease")]
        lease: Millis,
    },
    /// One command.
    Command(Command),
    /// Events up to `n` are stored together with their effects.
    Acked {
        /// The store id the numbers belong to.
        store_id: String,
        /// Up to and including.
        n: u64,
    },
    /// Something is asked, to be answered now or not at all.
    Ask(Question),
    /// Answer to `ping`.
    Pong,
    /// The socket is about to be closed.
    Bye {
        /// Why, as a stable word: `replaced`, `contested`, `revoked`,
        /// `suspended`, `protocol`, `malformed`.
        reason: String,
    },
}
crate::tagged!(ObjectFrame, "t");

impl ObjectFrame {
    /// Its name, as in the tables of [`crate::table`].
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::Command(_) => "command",
            Self::Acked { .. } => "acked",
            Self::Ask(_) => "ask",
            Self::Pong => "pong",
            Self::Bye { .. } => "bye",
        }
    }
}

/// What a machine is and can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeFacts {
    /// `linux`, `macos`.
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// The host's name.
    pub hostname: String,
    /// Processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Free bytes where workspaces go.
    pub disk_free_bytes: u64,
    /// The vm-agent's version.
    pub version: String,
    /// Ids of the catalogue's agents that are installed.
    pub agents: Vec<String>,
    /// Most workspaces at a time.
    pub max_workspaces: u32,
    /// There is no room left where workspaces go: it takes no new work until there is.
    #[serde(default)]
    pub disk_full: bool,
    /// It answers questions about itself and its workspaces.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers: bool,
}

/// A command to a node. It is kept until it is done, failed or given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Command {
    /// Its id.
    pub id: CommandId,
    /// The workspace it is about.
    pub workspace: WorkspaceId,
    /// The attempt it belongs to.
    pub attempt: u32,
    /// Time left when it was sent; the node counts it by its own clock.
    pub remaining: Millis,
    /// What to do.
    #[serde(rename = "do")]
    pub action: Action,
}

/// What a node can be told to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(tag = "action")
)]
#[serde(remote = "Action", rename_all = "snake_case")]
pub enum Action {
    /// Make the workspace: clone and check out a branch of its own.
    PrepareWorkspace {
        /// The conversation it speaks in.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// http(s) URL or absolute path.
        repository: String,
        /// Branch, tag or commit to start from; the default branch when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<String>,
        /// The branch to make, or to continue where it exists on the remote.
        branch: String,
        /// The agent that will work in it: installed meanwhile, where it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
    },
    /// Start a coding agent in the workspace.
    StartAgent {
        /// The agent session's id, minted here before it exists.
        agent_session: AgentSessionId,
        /// Which agent of the catalogue.
        agent: String,
        /// The model it is to use; its default when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// What it may do unasked.
        #[serde(default)]
        permission_mode: PermissionMode,
    },
    /// Give the agent a prompt.
    Prompt {
        /// To which agent session.
        agent_session: AgentSessionId,
        /// The prompt's id.
        prompt: PromptId,
        /// The words.
        text: String,
        /// The whole of them, when `text` is only their beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<PromptBody>,
        /// Earlier conversation, for an agent that starts afresh; empty for none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        context: String,
    },
    /// Stop the current turn: by protocol, then by force.
    CancelPrompt {
        /// Which prompt.
        prompt: PromptId,
    },
    /// Answer what the agent asked.
    AnswerPermission {
        /// The row that shows the question.
        permission: RowId,
        /// The choice.
        option: String,
    },
    /// End the agent and everything it started.
    StopAgent,
    /// Commit what is there and push the branch.
    FinishGit {
        /// First line of the commit message.
        message: String,
    },
    /// Remove the workspace from disk.
    DeleteWorkspace,
}
crate::tagged!(Action, "action");

impl Action {
    /// The word on the wire, for messages and logs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::PrepareWorkspace { .. } => "prepare_workspace",
            Self::StartAgent { .. } => "start_agent",
            Self::Prompt { .. } => "prompt",
            Self::CancelPrompt { .. } => "cancel_prompt",
            Self::AnswerPermission { .. } => "answer_permission",
            Self::StopAgent => "stop_agent",
            Self::FinishGit { .. } => "finish_git",
            Self::DeleteWorkspace => "delete_workspace",
        }
    }
}

/// What a node reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(tag = "event")
)]
#[serde(remote = "Event", rename_all = "snake_case")]
pub enum Event {
    /// The command is done; its own event, if it has one, came before.
    CommandDone {
        /// Which.
        command: CommandId,
    },
    /// The command failed.
    CommandFailed {
        /// Which.
        command: CommandId,
        /// A stable snake_case word, e.g. `clone_failed`, `agent_not_installed`.
        code: String,
        /// What happened, in a sentence, without secrets.
        message: String,
        /// What a person can do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// A part of preparing began: `cloning`, `checking_out`.
    WorkspacePhase {
        /// Which.
        phase: String,
    },
    /// The workspace is there.
    WorkspaceReady {
        /// The branch that is checked out.
        branch: String,
        /// The commit it started from.
        base_commit: String,
    },
    /// The agent session changed.
    AgentState {
        /// Which.
        agent_session: AgentSessionId,
        /// To what.
        state: AgentState,
    },
    /// The agent began to work on the prompt.
    PromptStarted {
        /// Which.
        prompt: PromptId,
    },
    /// The agent's turn is over.
    PromptFinished {
        /// Which.
        prompt: PromptId,
        /// How it stopped.
        stop_reason: StopReason,
        /// The `n` of the last row upsert that belongs to it; 0 for none.
        rows_through: u64,
    },
    /// The branch is committed, and pushed unless `push_error` says why not.
    GitResult {
        /// The newest commit; absent when nothing was changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<String>,
        /// Why the push was refused; absent when it went through or was not needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        push_error: Option<String>,
        /// Files changed against the base.
        files_changed: u32,
        /// Lines added.
        added: u32,
        /// Lines removed.
        removed: u32,
        /// The unified diff, uploaded before this event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        diff: Option<BodyRef>,
    },
    /// What the machine is, when it changed.
    Facts {
        /// The new facts.
        facts: NodeFacts,
    },
}
crate::tagged!(Event, "event");

impl Event {
    /// Its name, as in the tables of [`crate::table`]; a change of the agent
    /// goes by what it became.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::CommandDone { .. } => "command_done",
            Self::CommandFailed { .. } => "command_failed",
            Self::WorkspacePhase { .. } => "workspace_phase",
            Self::WorkspaceReady { .. } => "workspace_ready",
            Self::AgentState { state, .. } => match state {
                AgentState::Starting => "agent_starting",
                AgentState::Ready => "agent_ready",
                AgentState::Activity { .. } => "agent_activity",
                AgentState::Ended { .. } => "agent_ended",
            },
            Self::PromptStarted { .. } => "prompt_started",
            Self::PromptFinished { .. } => "prompt_finished",
            Self::GitResult { .. } => "git_result",
            Self::Facts { .. } => "facts",
        }
    }
}

/// Where an agent session stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(tag = "is"))]
#[serde(remote = "AgentState", rename_all = "snake_case")]
pub enum AgentState {
    /// Its process starts.
    Starting,
    /// It answers and takes prompts.
    Ready,
    /// It does something else now; for the activity line.
    Activity {
        /// What.
        state: ActivityState,
    },
    /// It is over.
    Ended {
        /// Why, in a few words, e.g. `exited with status 1`, `killed by signal 9`, `stopped`.
        reason: String,
        /// A redacted tail of what it wrote to standard error; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        stderr_tail: String,
    },
}
crate::tagged!(AgentState, "is");

/// How an agent's turn stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(tag = "why")
)]
#[serde(remote = "StopReason", rename_all = "snake_case")]
pub enum StopReason {
    /// The agent was done.
    EndTurn,
    /// A token limit.
    MaxTokens,
    /// A limit on model requests.
    MaxTurnRequests,
    /// The model refused.
    Refusal,
    /// The agent asked its person something that it cannot go on without.
    NeedsInput {
        /// What it asked.
        question: String,
    },
    /// A person cancelled it.
    Cancelled,
    /// The agent answered the prompt with an error.
    Error {
        /// What it said, redacted.
        message: String,
        /// The cause as a stable snake_case word, when it named one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// What a person can do, when it said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// The agent or the vm-agent died while it ran: effects unknown.
    Unknown {
        /// What is known.
        reason: String,
    },
    /// It never reached the agent.
    NeverRan {
        /// Why.
        reason: String,
    },
}
crate::tagged!(StopReason, "why");

impl StopReason {
    /// The word on the wire.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::EndTurn => "end_turn",
            Self::MaxTokens => "max_tokens",
            Self::MaxTurnRequests => "max_turn_requests",
            Self::Refusal => "refusal",
            Self::NeedsInput { .. } => "needs_input",
            Self::Cancelled => "cancelled",
            Self::Error { .. } => "error",
            Self::Unknown { .. } => "unknown",
            Self::NeverRan { .. } => "never_ran",
        }
    }
}
