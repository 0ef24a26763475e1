//! What a task remembers.

use super::wire::{GitResult, StepName, StepView, TaskState, TaskView};
use crate::actor::message::TaskIntent;
use crate::conversation::attachment::PromptBody;
use crate::conversation::wire::ActivityState;
use crate::error::Failure;
use crate::id::{AgentSessionId, CommandId, NodeId, PromptId, WorkspaceId};
use crate::link::frame::StopReason;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a task waits for a machine; a person's own laptop may be closed.
pub const PLACING_LIMIT: Millis = Millis::hours(24);
/// How long a machine may take to make the workspace.
pub const PREPARING_LIMIT: Millis = Millis::minutes(15);
/// How long an agent may take to answer for the first time.
pub const STARTING_LIMIT: Millis = Millis::minutes(3);
/// How long the end of a prompt waits for its rows before it is told without them, which is said.
pub const ROWS_LIMIT: Millis = Millis::seconds(60);
/// How long commit and push may take.
pub const GIT_LIMIT: Millis = Millis::minutes(15);
/// How long the clean-up after a task waits for a machine that is away: as long
/// as that of a fenced attempt, since a machine that comes back goes on with
/// what it was told before.
pub const CLEANUP_LIMIT: Millis = crate::node::state::FENCE_LIMIT;
/// How long a task keeps its place on a person's own machine that is away.
pub const AWAY_GRACE: Millis = Millis::hours(24);
/// The longest wait for a limit of the model that a task believes in.
pub const WAIT_LIMIT: Millis = Millis::hours(24 * 7);
/// How often SAM tries again by itself before it gives up.
pub const AUTOMATIC_RETRIES: u32 = 2;

/// A task's whole memory. The default is a task nobody submitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What was asked; absent until the task is submitted.
    pub intent: Option<TaskIntent>,
    /// Where it stands.
    pub state: TaskState,
    /// Since when.
    pub since: Timestamp,
    /// The current attempt, from 1.
    pub attempt: u32,
    /// Grows with every visible change.
    pub rev: u64,
    /// The steps so far.
    pub steps: Vec<StepView>,
    /// When the current step gives up; stored when it began.
    pub step_deadline: Option<Timestamp>,
    /// The machine of the current attempt.
    pub node: Option<NodeId>,
    /// The workspace of the current attempt, while it is believed to exist.
    pub workspace: Option<WorkspaceId>,
    /// The coding agent in the workspace.
    pub agent: AgentBinding,
    /// The agent has had no prompt yet, so it is told the earlier conversation.
    pub agent_is_fresh: bool,
    /// The prompt the task holds or has given to the agent.
    pub prompt: Option<HeldPrompt>,
    /// How the agent ended the held prompt, while the rows that it ended with are awaited: nobody is
    /// told of an end that they cannot read yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settling: Option<StopReason>,
    /// The last prompt that ended, and the rows it ended with.
    pub rows_mark: Option<(PromptId, u64)>,
    /// How far finishing is.
    pub finishing: Option<Finishing>,
    /// Commands whose outcome decides a step.
    pub awaited: Vec<(CommandId, Awaited)>,
    /// Since when the machine has been away.
    pub away_since: Option<Timestamp>,
    /// Until when the agent waits for a limit of the model, as the model said; absent once that
    /// moment has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// When SAM goes on by itself, because the agent was lost while it waited for a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes_at: Option<Timestamp>,
    /// What the agent does, as its machine last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<ActivityState>,
    /// What the agent asked its person, while nobody has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<String>,
    /// When an agent that stopped without finishing has been idle for too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_until: Option<Timestamp>,
    /// It was asked what it waits for, and no person has said anything since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checked_in: bool,
    /// Placements and agent starts repeated by SAM itself since the last success.
    pub retries: u32,
    /// The branch, once the workspace is on it.
    pub branch: Option<String>,
    /// What it handed back.
    pub result: Option<GitResult>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Rows did not all arrive before it was finished.
    pub rows_incomplete: bool,
}

/// The coding agent in the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentBinding {
    /// None runs.
    #[default]
    None,
    /// It was told to start.
    Starting {
        /// Its id.
        agent_session: AgentSessionId,
    },
    /// It takes prompts.
    Ready {
        /// Its id.
        agent_session: AgentSessionId,
    },
}

impl AgentBinding {
    /// Whether this is the bound agent.
    #[must_use]
    pub fn is(&self, id: &AgentSessionId) -> bool {
        match self {
            Self::None => false,
            Self::Starting { agent_session } | Self::Ready { agent_session } => agent_session == id,
        }
    }
}

/// A prompt on its way through the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPrompt {
    /// Which.
    pub prompt: PromptId,
    /// The words.
    pub text: String,
    /// The whole of them, when `text` is only their beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<PromptBody>,
    /// Earlier conversation for an agent that starts afresh.
    pub context: String,
    /// How far it is.
    pub stage: PromptStage,
}

/// How far a held prompt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptStage {
    /// Waits for the agent.
    Waiting,
    /// Sent to the machine; it may have begun.
    Sent,
    /// The agent works on it.
    Running,
}

/// How far finishing is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finishing {
    /// Waiting for the conversation to hold all rows of this prompt.
    Rows {
        /// Which prompt.
        prompt: PromptId,
    },
    /// Waiting for commit and push.
    Git,
}

/// What a command's outcome decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// The workspace.
    Prepare,
    /// The agent.
    Start,
    /// The prompt.
    Prompt,
    /// Commit and push.
    Finish,
    /// The last command of a task that is over; then its place is free.
    Cleanup,
}

impl Task {
    /// The task as others see it; absent until it was submitted.
    #[must_use]
    pub fn view(&self) -> Option<TaskView> {
        self.intent.as_ref().map(|intent| self.view_of(intent))
    }

    /// The view of a task that was submitted a moment ago and not begun.
    #[must_use]
    pub fn queued_view(intent: &TaskIntent) -> TaskView {
        Self {
            since: intent.created_at,
            ..Self::default()
        }
        .view_of(intent)
    }

    fn view_of(&self, intent: &TaskIntent) -> TaskView {
        TaskView {
            id: intent.task.clone(),
            project: intent.project.clone(),
            session: intent.session.clone(),
            created_by: intent.user.clone(),
            created_at: intent.created_at,
            title: intent.title.clone(),
            agent: intent.agent.clone(),
            mode: intent.mode,
            state: self.state,
            since: self.since,
            attempt: self.attempt,
            rev: self.rev,
            steps: self.steps.clone(),
            node: self.node.clone(),
            workspace: self.workspace.clone(),
            machine_away_since: self.away_since,
            waits_until: self.waits_until.or(self.resumes_at),
            asks: self.asks.clone(),
            branch: self.branch.clone(),
            result: self.result.clone(),
            failure: self.failure.clone(),
            retry_of: intent.retry_of.clone(),
            rows_incomplete: self.rows_incomplete,
        }
    }

    /// What its agent does, as far as it is known: what was reported, while the link of its machine
    /// renews the lease on that. Whatever changes while it does not is reported once it does again,
    /// because reports lie on the machine's disk.
    #[must_use]
    pub fn activity(&self) -> Option<ActivityState> {
        match self.reported {
            Some(ActivityState::Ended) | None => self.reported,
            Some(_) if self.away_since.is_some() => Some(ActivityState::Unknown),
            known => known,
        }
    }

    /// Whether a person may close it now.
    #[must_use]
    pub fn can_close(&self) -> bool {
        self.state == TaskState::AwaitingInput
    }

    /// When the machine wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let grace = match self.state {
            TaskState::Running | TaskState::Finishing => {
                self.away_since.map(|since| since.plus(AWAY_GRACE))
            }
            _ => None,
        };
        // While an end is settling nothing is to be done when the limit resets.
        let waits = self.waits_until.filter(|_| self.settling.is_none());
        let moments = [
            self.step_deadline,
            grace,
            waits,
            self.resumes_at,
            self.idle_until,
        ];
        moments.into_iter().flatten().min()
    }
}

/// The step a state belongs to, for failures.
#[must_use]
pub const fn step_of(state: TaskState) -> StepName {
    match state {
        TaskState::Queued | TaskState::Placing => StepName::Placing,
        TaskState::Preparing => StepName::Preparing,
        TaskState::Starting => StepName::Starting,
        TaskState::Running
        | TaskState::AwaitingInput
        | TaskState::Completed
        | TaskState::Failed
        | TaskState::Cancelled => StepName::Running,
        TaskState::Finishing => StepName::Finishing,
    }
}
