//! How a task moves.
//!
//! ```text
//! queued → placing → preparing → starting → running ⇄ awaiting_input → finishing → completed
//!             ↑___________________________________|  (attempt + 1 when a machine is lost)
//! any of them → failed · cancelled
//! ```
//!
//! Rules that are decided here and nowhere else:
//! - What arrives under another attempt or from another workspace changes nothing.
//! - A terminal state is final; what arrives after it only frees the place.
//! - A prompt that may have begun is never sent again by itself: the person is
//!   asked. One that certainly never ran may be. An agent that is lost while it
//!   waits for a limit of the model to reset was doing nothing: it is not sent
//!   its prompt again, but asked to go on, when the limit has reset.
//! - An end of a prompt is told when the conversation holds what the agent said
//!   before it, or after a minute, with a notice.
//! - A step's deadline is stored when the step begins. Only a machine that is
//!   away while it commits gets the grace that every absence gets.
//! - What the agent does is told as its machine reported it while the machine is there, and as
//!   unknown while it is not. What an earlier agent or attempt reports changes nothing.
//! - An agent that stops without finishing is asked once what it waits for; when it stops again, or
//!   nobody answers what it asked, the task fails. A person's words begin that anew.
//! - `finishing` goes back to `running` when a further prompt was queued before
//!   the commit began, so that no accepted prompt is lost.

mod events;
mod finishing;
mod launch;
mod prompts;
mod trouble;

use super::patience::Patience;
use super::state::{
    AUTOMATIC_RETRIES, AWAY_GRACE, AgentBinding, Awaited, CLEANUP_LIMIT, Finishing, GIT_LIMIT,
    HeldPrompt, PLACING_LIMIT, PREPARING_LIMIT, PromptStage, ROWS_LIMIT, STARTING_LIMIT, Task,
    WAIT_LIMIT, step_of,
};
use super::wire::{GitResult, StepName, StepView, TaskMode, TaskState};
use crate::actor::message::{Origin, TaskIntent};
use crate::actor::{Address, Input, Machine, Message, Named, Transition};
use crate::budget::ledger::Warning;
use crate::budget::refusal::HolderKind;
use crate::conversation::row::{NoticeBody, NoticeLevel, truncate};
use crate::conversation::wire::ActivityState;
use crate::error::{Failure, Fault};
use crate::id::{AgentSessionId, CommandId, Id, PromptId, RowId, UserId, WorkspaceId};
use crate::link::frame::{Action, AgentState, Event, StopReason};
use crate::time::{Millis, Timestamp, Turn};

/// How long a prompt command may wait on the machine before it begins.
const PROMPT_LIMIT: Millis = Millis::hours(24);
/// Most bytes of an agent's question that its task shows; the conversation has all of it.
const QUESTION_SHOWN: usize = 500;
/// An answer whose machine is away is of use as long as the prompt is.
const ANSWER_LIMIT: Millis = PROMPT_LIMIT;

/// The task machine.
#[derive(Clone, Copy, Debug)]
pub struct TaskMachine;

/// What a TaskRunner's callers ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskLocal {
    /// Cancel it.
    Cancel {
        /// Who asked.
        by: UserId,
    },
    /// Commit, push, and be done.
    Close {
        /// Who asked.
        by: UserId,
    },
    /// The model refused a call until a limit resets.
    ModelWaits {
        /// Under which attempt the call was made.
        attempt: u32,
        /// When the limit resets.
        until: Timestamp,
    },
    /// A budget has come near a limit.
    BudgetNear {
        /// Whose budget.
        holder: HolderKind,
        /// What is nearly used up.
        warning: Warning,
    },
    /// Somebody found a title for it.
    SetTitle {
        /// The title.
        title: String,
    },
}

impl Named for TaskLocal {
    fn word(&self) -> &'static str {
        match self {
            Self::Cancel { .. } => "cancel",
            Self::Close { .. } => "close",
            Self::ModelWaits { .. } => "model_waits",
            Self::BudgetNear { .. } => "budget_near",
            Self::SetTitle { .. } => "set_title",
        }
    }
}

impl Machine for TaskMachine {
    type State = Task;
    type Local = TaskLocal;
    type Output = ();

    fn step(state: &mut Task, turn: &mut Turn, input: Input<TaskLocal>) -> Transition<()> {
        let before = (state.state, visible(state), state.activity());
        let mut step = Step {
            task: state,
            turn,
            send: Vec::new(),
            renamed: false,
        };
        step.take(input);
        let send = step.finish(before);
        Transition {
            send,
            output: Vec::new(),
            deadline: state.deadline(),
        }
    }
}

/// What makes a new revision; compared before and after.
type Visible = (
    Option<Timestamp>,
    usize,
    Option<StepView>,
    Option<GitResult>,
    Option<String>,
    Option<Timestamp>,
);

fn visible(task: &Task) -> Visible {
    (
        task.away_since,
        task.steps.len(),
        task.steps.last().cloned(),
        task.result.clone(),
        task.branch.clone(),
        task.waits_until.or(task.resumes_at),
    )
}

struct Step<'a> {
    task: &'a mut Task,
    turn: &'a mut Turn,
    send: Vec<(Address, Message)>,
    /// Whether it is called otherwise now.
    renamed: bool,
}

impl Step<'_> {
    fn finish(
        mut self,
        before: (TaskState, Visible, Option<ActivityState>),
    ) -> Vec<(Address, Message)> {
        let activity = self.task.activity().filter(|now| before.2 != Some(*now));
        if let Some(state) = activity {
            let since = self.turn.now;
            self.tell_session(Message::ActivityChanged { state, since });
        }
        let moved = before.0 != self.task.state || self.task.rev == 0;
        let seen = moved || self.renamed || before.1 != visible(self.task);
        if self.task.intent.is_some() && seen {
            self.task.rev += 1;
            if let Some(view) = self.task.view() {
                let view = Box::new(view);
                self.tell_session(Message::TaskChanged(view.clone()));
                // The index finds tasks and tells those that are over from those that are not; each
                // step of the way would be a row written that nobody looks at.
                if self.task.rev == 1 || self.renamed || moved && self.task.state.is_terminal() {
                    self.send.push((Address::Index, Message::TaskIndexed(view)));
                }
            }
        }
        self.send
    }

    fn take(&mut self, input: Input<TaskLocal>) {
        match input {
            Input::Message {
                message: Message::TaskSubmitted(intent),
                ..
            } => self.submitted(*intent),
            _ if self.task.intent.is_none() => {}
            Input::Message { message, .. } => self.message(message),
            Input::Local(TaskLocal::Cancel { .. }) => self.cancel(),
            Input::Local(TaskLocal::Close { .. }) => self.close(),
            Input::Local(TaskLocal::ModelWaits { attempt, until }) => {
                self.model_waits(attempt, until);
            }
            Input::Local(TaskLocal::BudgetNear { holder, warning }) => {
                let notice = warning.notice(holder, self.turn.now);
                self.tell_session(Message::Notice(notice));
            }
            Input::Local(TaskLocal::SetTitle { title }) => self.set_title(title),
            Input::DeadlinePassed => self.deadline_passed(),
        }
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::PromptDispatched {
                prompt,
                text,
                body,
                context,
                automatic,
            } => {
                let held = HeldPrompt {
                    prompt,
                    text,
                    body,
                    context,
                    stage: PromptStage::Waiting,
                };
                self.prompt_dispatched(held, automatic);
            }
            Message::PromptCancelRequested { prompt } => self.cancel_prompt(&prompt),
            Message::PermissionAnswered { permission, option } => {
                self.answer_permission(permission, option);
            }
            Message::RowsComplete { prompt } => self.rows_complete(&prompt),
            Message::Placed { attempt, node } => {
                if self.task.state == TaskState::Placing && attempt == self.task.attempt {
                    self.task.node = Some(node);
                    self.prepare();
                } else if attempt != self.task.attempt || self.task.state.is_terminal() {
                    self.tell_pool(Message::Released { attempt });
                }
            }
            Message::PlacementWaiting { attempt, reason }
                if self.task.state == TaskState::Placing && attempt == self.task.attempt =>
            {
                self.detail(reason);
            }
            Message::NodeEvent {
                workspace,
                attempt,
                event,
            } if self.is_current(&workspace, attempt) => {
                self.node_event(event);
            }
            Message::WorkspaceLost { workspace, attempt }
                if self.is_current(&workspace, attempt) =>
            {
                self.machine_lost("The machine or its disk is gone, and the workspace with it.");
            }
            Message::NodeAway { since }
                if !self.task.state.is_terminal() && self.task.away_since.is_none() =>
            {
                self.task.away_since = Some(since);
            }
            Message::NodeBack => self.node_back(),
            _ => {}
        }
    }

    fn set_title(&mut self, title: String) {
        if let Some(intent) = &mut self.task.intent
            && !self.task.state.is_terminal()
            && intent.title != title
        {
            self.renamed = true;
            intent.title = title;
        }
    }

    fn is_current(&self, workspace: &WorkspaceId, attempt: u32) -> bool {
        attempt == self.task.attempt && self.task.workspace.as_ref() == Some(workspace)
    }

    fn node_back(&mut self) {
        self.task.away_since = None;
        // A commit that outlived its deadline during an absence gets a new one.
        if self.task.finishing == Some(Finishing::Git) && self.task.step_deadline.is_none() {
            self.task.step_deadline = Some(self.turn.now.plus(GIT_LIMIT));
        }
    }

    fn enter(&mut self, state: TaskState, limit: Option<Millis>) {
        self.task.state = state;
        self.task.since = self.turn.now;
        self.task.waits_until = None;
        self.task.resumes_at = None;
        self.task.asks = None;
        self.task.idle_until = None;
        self.task.step_deadline = limit.map(|limit| self.turn.now.plus(limit));
    }

    fn begin(&mut self, name: StepName) {
        self.end_step();
        self.task.steps.push(StepView {
            name,
            attempt: self.task.attempt,
            started_at: self.turn.now,
            ended_at: None,
            detail: None,
        });
    }

    fn end_step(&mut self) {
        if let Some(step) = self
            .task
            .steps
            .last_mut()
            .filter(|step| step.ended_at.is_none())
        {
            step.ended_at = Some(self.turn.now);
        }
    }

    fn detail(&mut self, detail: String) {
        if let Some(step) = self.task.steps.last_mut() {
            step.detail = Some(detail);
        }
    }

    fn notice(&mut self, level: NoticeLevel, code: &str, text: &str, hint: Option<&str>) {
        let body = NoticeBody {
            level,
            code: code.to_owned(),
            text: text.to_owned(),
            hint: hint.map(str::to_owned),
        };
        self.tell_session(Message::Notice(body));
    }

    fn command(&mut self, action: Action, within: Millis, awaited: Option<Awaited>) {
        let (Some(intent), Some(node), Some(workspace)) =
            (&self.task.intent, &self.task.node, &self.task.workspace)
        else {
            return;
        };
        let command = CommandId::draw(self.turn);
        let message = Message::CommandRequested {
            command: command.clone(),
            workspace: workspace.clone(),
            project: intent.project.clone(),
            session: intent.session.clone(),
            user: intent.user.clone(),
            attempt: self.task.attempt,
            within,
            action,
        };
        self.send.push((Address::Node(node.clone()), message));
        if let Some(what) = awaited {
            self.task.awaited.push((command, what));
        }
    }

    fn tell_session(&mut self, message: Message) {
        if let Some(intent) = &self.task.intent {
            let to = Address::Session {
                project: intent.project.clone(),
                session: intent.session.clone(),
            };
            self.send.push((to, message));
        }
    }

    fn tell_pool(&mut self, message: Message) {
        if let Some(intent) = &self.task.intent {
            self.send
                .push((Address::Pool(intent.pool().clone()), message));
        }
    }
}
