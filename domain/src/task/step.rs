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
//!   asked. One that certainly never ran may be.
//! - A step's deadline is stored when the step begins. Only a machine that is
//!   away while it commits gets the grace that every absence gets.
//! - `finishing` goes back to `running` when a further prompt was queued before
//!   the commit began, so that no accepted prompt is lost.

use super::state::{
    AUTOMATIC_RETRIES, AWAY_GRACE, AgentBinding, Awaited, Finishing, GIT_LIMIT, HeldPrompt,
    PLACING_LIMIT, PREPARING_LIMIT, PromptStage, ROWS_LIMIT, STARTING_LIMIT, Task, step_of,
};
use super::wire::{GitResult, StepName, StepView, TaskMode, TaskState};
use crate::actor::message::TaskIntent;
use crate::actor::{Address, Input, Machine, Message, Transition};
use crate::conversation::row::{NoticeBody, NoticeLevel};
use crate::conversation::wire::ActivityState;
use crate::error::{Failure, Fault};
use crate::id::{AgentSessionId, CommandId, Id, PromptId, UserId, WorkspaceId};
use crate::link::frame::{Action, AgentState, Event, StopReason};
use crate::time::{Millis, Timestamp, Turn};

/// How long a prompt command may wait on the machine before it begins.
const PROMPT_LIMIT: Millis = Millis::hours(24);

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
}

impl Machine for TaskMachine {
    type State = Task;
    type Local = TaskLocal;
    type Output = ();

    fn step(state: &mut Task, turn: &mut Turn, input: Input<TaskLocal>) -> Transition<()> {
        let before = (state.state, visible(state));
        let mut step = Step {
            task: state,
            turn,
            send: Vec::new(),
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
);

fn visible(task: &Task) -> Visible {
    (
        task.away_since,
        task.steps.len(),
        task.steps.last().cloned(),
        task.result.clone(),
        task.branch.clone(),
    )
}

struct Step<'a> {
    task: &'a mut Task,
    turn: &'a mut Turn,
    send: Vec<(Address, Message)>,
}

impl Step<'_> {
    fn finish(mut self, before: (TaskState, Visible)) -> Vec<(Address, Message)> {
        let moved = before.0 != self.task.state || self.task.rev == 0;
        if self.task.intent.is_some() && (moved || before.1 != visible(self.task)) {
            self.task.rev += 1;
            if let Some(view) = self.task.view() {
                let view = Box::new(view);
                self.tell_session(Message::TaskChanged(view.clone()));
                if moved {
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
            Input::DeadlinePassed => self.deadline_passed(),
        }
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::PromptDispatched {
                prompt,
                text,
                context,
            } => self.prompt_dispatched(prompt, text, context),
            Message::PromptCancelRequested { prompt } => self.cancel_prompt(&prompt),
            Message::RowsComplete { prompt }
                if self.task.finishing
                    == Some(Finishing::Rows {
                        prompt: prompt.clone(),
                    }) =>
            {
                self.begin_git();
            }
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
                self.machine_lost("The machine lost its disk, and the workspace with it.");
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

    // --- placing, preparing, starting -------------------------------------

    fn submitted(&mut self, intent: TaskIntent) {
        if self.task.intent.is_some() {
            return;
        }
        self.task.since = intent.created_at;
        self.task.branch = Some(intent.branch.clone());
        self.task.intent = Some(intent);
        self.place();
    }

    fn place(&mut self) {
        let Some(agent) = self.task.intent.as_ref().map(|intent| intent.agent.clone()) else {
            return;
        };
        self.leave_attempt();
        self.task.attempt += 1;
        self.enter(TaskState::Placing, Some(PLACING_LIMIT));
        self.begin(StepName::Placing);
        self.tell_pool(Message::PlaceRequested {
            attempt: self.task.attempt,
            agent,
        });
    }

    /// Fences off the current attempt and gives its place back.
    fn leave_attempt(&mut self) {
        if self.task.attempt == 0 {
            return;
        }
        if let Some(node) = self.task.node.take() {
            self.send.push((
                Address::Node(node),
                Message::Fenced {
                    below: self.task.attempt + 1,
                },
            ));
        }
        self.tell_pool(Message::Released {
            attempt: self.task.attempt,
        });
        self.task.workspace = None;
        self.task.agent = AgentBinding::None;
        self.task.awaited.clear();
        self.task.away_since = None;
        self.task.rows_mark = None;
    }

    fn prepare(&mut self) {
        let Some(intent) = self.task.intent.clone() else {
            return;
        };
        let workspace = WorkspaceId::draw(self.turn);
        self.task.workspace = Some(workspace.clone());
        self.enter(TaskState::Preparing, Some(PREPARING_LIMIT));
        self.begin(StepName::Preparing);
        self.tell_session(Message::WorkspaceBound {
            workspace,
            attempt: self.task.attempt,
        });
        let action = Action::PrepareWorkspace {
            session: intent.session,
            task: intent.task,
            repository: intent.repository,
            base: intent.base,
            branch: intent.branch,
        };
        self.command(action, PREPARING_LIMIT, Some(Awaited::Prepare));
    }

    fn start_agent(&mut self) {
        let Some(agent) = self.task.intent.as_ref().map(|intent| intent.agent.clone()) else {
            return;
        };
        let agent_session = AgentSessionId::draw(self.turn);
        self.task.agent = AgentBinding::Starting {
            agent_session: agent_session.clone(),
        };
        self.task.agent_is_fresh = true;
        self.enter(TaskState::Starting, Some(STARTING_LIMIT));
        self.begin(StepName::Starting);
        self.command(
            Action::StartAgent {
                agent_session,
                agent,
                model: None,
            },
            STARTING_LIMIT,
            Some(Awaited::Start),
        );
    }

    // --- prompts -----------------------------------------------------------

    fn prompt_dispatched(&mut self, prompt: PromptId, text: String, context: String) {
        let over = self.task.state.is_terminal() || self.task.finishing == Some(Finishing::Git);
        let same = self
            .task
            .prompt
            .as_ref()
            .is_some_and(|held| held.prompt == prompt);
        if same {
            return;
        }
        if over || self.task.prompt.is_some() {
            self.tell_session(Message::PromptReturned { prompt });
            return;
        }
        self.task.prompt = Some(HeldPrompt {
            prompt,
            text,
            context,
            stage: PromptStage::Waiting,
        });
        match self.task.state {
            TaskState::AwaitingInput | TaskState::Finishing | TaskState::Running => {
                self.serve_prompt()
            }
            _ => {}
        }
    }

    /// Brings the held prompt one step closer to the agent.
    fn serve_prompt(&mut self) {
        self.task.finishing = None;
        match (&self.task.agent, &self.task.workspace) {
            (AgentBinding::Ready { .. }, Some(_)) => {
                if self.task.state != TaskState::Running {
                    self.enter(TaskState::Running, None);
                    self.begin(StepName::Running);
                }
                self.send_prompt();
            }
            (AgentBinding::Starting { .. }, Some(_)) => {}
            (AgentBinding::None, Some(_)) => self.start_agent(),
            (_, None) => self.place(),
        }
    }

    fn send_prompt(&mut self) {
        let AgentBinding::Ready { agent_session } = self.task.agent.clone() else {
            return;
        };
        let Some(held) = self
            .task
            .prompt
            .as_mut()
            .filter(|held| held.stage == PromptStage::Waiting)
        else {
            return;
        };
        held.stage = PromptStage::Sent;
        let fresh = std::mem::replace(&mut self.task.agent_is_fresh, false);
        let context = if fresh {
            held.context.clone()
        } else {
            String::new()
        };
        let action = Action::Prompt {
            agent_session,
            prompt: held.prompt.clone(),
            text: held.text.clone(),
            context,
        };
        self.command(action, PROMPT_LIMIT, Some(Awaited::Prompt));
    }

    fn cancel_prompt(&mut self, prompt: &PromptId) {
        let Some(held) = self
            .task
            .prompt
            .as_ref()
            .filter(|held| held.prompt == *prompt)
        else {
            return;
        };
        match held.stage {
            PromptStage::Waiting => {
                self.end_prompt(StopReason::Cancelled);
                // A task still on its way to the agent waits there for the next words.
                if self.task.state == TaskState::Running {
                    self.await_input();
                }
            }
            PromptStage::Sent | PromptStage::Running => {
                self.command(
                    Action::CancelPrompt {
                        prompt: prompt.clone(),
                    },
                    Millis::minutes(5),
                    None,
                );
            }
        }
    }

    fn end_prompt(&mut self, stop_reason: StopReason) {
        if let Some(held) = self.task.prompt.take() {
            self.tell_session(Message::PromptEnded {
                prompt: held.prompt,
                stop_reason,
            });
        }
    }

    fn prompt_finished(&mut self, prompt: PromptId, stop_reason: StopReason, rows_through: u64) {
        let in_flight = self
            .task
            .prompt
            .as_ref()
            .is_some_and(|held| held.prompt == prompt && held.stage != PromptStage::Waiting);
        if !in_flight {
            return;
        }
        self.task
            .awaited
            .retain(|(_, what)| *what != Awaited::Prompt);
        if let StopReason::NeverRan { reason } = &stop_reason {
            self.prompt_never_ran(reason.clone());
            return;
        }
        self.end_prompt(stop_reason.clone());
        self.task.rows_mark = Some((prompt.clone(), rows_through));
        let mode = self
            .task
            .intent
            .as_ref()
            .map_or(TaskMode::Task, |intent| intent.mode);
        match stop_reason {
            StopReason::EndTurn if mode == TaskMode::Task => self.await_rows(prompt, rows_through),
            StopReason::EndTurn | StopReason::Cancelled => self.await_input(),
            StopReason::Error { message } if mode == TaskMode::Task => {
                let hint = "Read the conversation's last rows; submit the task again when the cause is gone.";
                self.fail("agent_error", &message, Some(hint), Fault::Environment);
            }
            StopReason::Error { message } => {
                self.notice(
                    NoticeLevel::Error,
                    "agent_error",
                    &message,
                    Some("Send another prompt to go on."),
                );
                self.await_input();
            }
            StopReason::MaxTokens => self.ask(
                "max_tokens",
                "The model reached its output limit in mid-work.",
            ),
            StopReason::MaxTurnRequests => {
                self.ask(
                    "max_turn_requests",
                    "The agent reached its limit of model requests.",
                );
            }
            StopReason::Refusal => self.ask("refusal", "The model refused to go on."),
            StopReason::Unknown { reason } | StopReason::NeverRan { reason } => {
                self.prompt_unknown(&reason)
            }
        }
    }

    fn prompt_never_ran(&mut self, reason: String) {
        if self.task.retries < AUTOMATIC_RETRIES {
            self.task.retries += 1;
            if let Some(held) = self.task.prompt.as_mut() {
                held.stage = PromptStage::Waiting;
            }
            self.serve_prompt();
        } else {
            self.end_prompt(StopReason::NeverRan {
                reason: reason.clone(),
            });
            self.ask(
                "prompt_never_ran",
                &format!("The prompt did not reach the agent: {reason}."),
            );
        }
    }

    fn prompt_unknown(&mut self, reason: &str) {
        let text = format!(
            "Contact with the agent was lost while it worked: {reason}. What it had begun may be half done."
        );
        self.notice(
            NoticeLevel::Question,
            "prompt_interrupted",
            &text,
            Some("Look at what is there, then say how to go on; nothing is repeated by itself."),
        );
        self.await_input();
    }

    fn ask(&mut self, code: &str, text: &str) {
        self.notice(
            NoticeLevel::Question,
            code,
            text,
            Some("Say how to go on, or close the task."),
        );
        self.await_input();
    }

    fn await_input(&mut self) {
        self.enter(TaskState::AwaitingInput, None);
        self.end_step();
    }

    // --- finishing -----------------------------------------------------------

    fn await_rows(&mut self, prompt: PromptId, through: u64) {
        let Some(workspace) = self.task.workspace.clone() else {
            return;
        };
        self.task.finishing = Some(Finishing::Rows {
            prompt: prompt.clone(),
        });
        self.enter(TaskState::Finishing, Some(ROWS_LIMIT));
        self.begin(StepName::Finishing);
        self.tell_session(Message::AwaitRows {
            prompt,
            workspace,
            through,
        });
    }

    fn begin_git(&mut self) {
        let Some(message) = self.task.intent.as_ref().map(|intent| intent.title.clone()) else {
            return;
        };
        self.task.finishing = Some(Finishing::Git);
        self.task.step_deadline = Some(self.turn.now.plus(GIT_LIMIT));
        self.detail("commit and push".to_owned());
        self.command(
            Action::FinishGit { message },
            GIT_LIMIT,
            Some(Awaited::Finish),
        );
    }

    fn close(&mut self) {
        if !self.task.can_close() {
            return;
        }
        if self.task.workspace.is_none() {
            self.fail(
                "workspace_lost",
                "The workspace is gone, so there is nothing to commit.",
                None,
                Fault::Environment,
            );
            return;
        }
        match self.task.rows_mark.clone() {
            Some((prompt, through)) => self.await_rows(prompt, through),
            None => {
                self.enter(TaskState::Finishing, None);
                self.begin(StepName::Finishing);
                self.begin_git();
            }
        }
    }

    fn git_result(&mut self, event: Event) {
        let Event::GitResult {
            commit,
            push_error,
            files_changed,
            added,
            removed,
            diff,
        } = event
        else {
            return;
        };
        if self.task.finishing != Some(Finishing::Git) {
            return;
        }
        let branch = self.task.branch.clone().unwrap_or_default();
        let pushed = commit.is_some() && push_error.is_none();
        self.task.result = Some(GitResult {
            branch: branch.clone(),
            commit: commit.clone(),
            pushed,
            files_changed,
            added,
            removed,
            diff,
        });
        match (push_error, commit) {
            (Some(error), commit) => {
                let commit = commit.unwrap_or_default();
                let message = format!(
                    "The work is committed as {commit}, but the repository refused the push: {error}"
                );
                let place = self
                    .task
                    .workspace
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let hint = format!(
                    "The commit is on branch {branch} in workspace {place} on the machine; push it from there."
                );
                self.fail("push_failed", &message, Some(&hint), Fault::Environment);
            }
            (None, _) => {
                self.over(TaskState::Completed);
                self.command(
                    Action::DeleteWorkspace,
                    Millis::minutes(30),
                    Some(Awaited::Cleanup),
                );
            }
        }
    }

    // --- events of the workspace ---------------------------------------------

    fn node_event(&mut self, event: Event) {
        if self.task.state.is_terminal() {
            self.late_event(&event);
            return;
        }
        match event {
            Event::WorkspacePhase { phase } if self.task.state == TaskState::Preparing => {
                self.detail(phase)
            }
            Event::WorkspaceReady { branch, .. } if self.task.state == TaskState::Preparing => {
                self.task.branch = Some(branch);
                self.start_agent();
            }
            Event::AgentState {
                agent_session,
                state,
            } if self.task.agent.is(&agent_session) => self.agent_state(state),
            Event::PromptStarted { prompt } => self.prompt_started(prompt),
            Event::PromptFinished {
                prompt,
                stop_reason,
                rows_through,
            } => {
                self.prompt_finished(prompt, stop_reason, rows_through);
            }
            Event::GitResult { .. } => self.git_result(event),
            Event::CommandDone { command } => self.task.awaited.retain(|(id, _)| *id != command),
            Event::CommandFailed {
                command,
                code,
                message,
                hint,
            } => {
                self.command_failed(&command, &code, &message, hint.as_deref());
            }
            Event::WorkspacePhase { .. }
            | Event::WorkspaceReady { .. }
            | Event::AgentState { .. }
            | Event::Facts { .. } => {}
        }
    }

    /// After the end only one thing matters: when the place is free.
    fn late_event(&mut self, event: &Event) {
        let (Event::CommandDone { command } | Event::CommandFailed { command, .. }) = event else {
            return;
        };
        if self.task.awaited.iter().any(|(id, _)| id == command) {
            self.release_after_end();
        }
    }

    /// Nothing of a task that is over is left on its machine.
    fn release_after_end(&mut self) {
        if self
            .task
            .awaited
            .iter()
            .any(|(_, what)| *what == Awaited::Cleanup)
        {
            self.task.awaited.clear();
            self.tell_pool(Message::Released {
                attempt: self.task.attempt,
            });
        }
    }

    fn prompt_started(&mut self, prompt: PromptId) {
        let Some(held) = self
            .task
            .prompt
            .as_mut()
            .filter(|held| held.prompt == prompt)
        else {
            return;
        };
        if held.stage == PromptStage::Sent {
            held.stage = PromptStage::Running;
            self.task.retries = 0;
            self.tell_session(Message::PromptStarted { prompt });
        }
    }

    fn agent_state(&mut self, state: AgentState) {
        match state {
            AgentState::Starting => self.activity(ActivityState::Starting),
            AgentState::Activity { state } => self.activity(state),
            AgentState::Ready => {
                let AgentBinding::Starting { agent_session } = self.task.agent.clone() else {
                    return;
                };
                self.task.agent = AgentBinding::Ready { agent_session };
                self.activity(ActivityState::Idle);
                if self.task.prompt.is_some() {
                    self.enter(TaskState::Running, None);
                    self.begin(StepName::Running);
                    self.send_prompt();
                } else {
                    self.await_input();
                }
            }
            AgentState::Ended {
                reason,
                stderr_tail,
            } => self.agent_ended(&reason, &stderr_tail),
        }
    }

    fn agent_ended(&mut self, reason: &str, stderr_tail: &str) {
        self.task.agent = AgentBinding::None;
        self.activity(ActivityState::Ended);
        match self.task.prompt.as_ref().map(|held| held.stage) {
            Some(PromptStage::Sent | PromptStage::Running) => {
                let reason = format!("the agent {reason}");
                self.end_prompt(StopReason::Unknown {
                    reason: reason.clone(),
                });
                self.prompt_unknown(&reason);
            }
            _ if self.task.state == TaskState::Starting => {
                let tail = if stderr_tail.is_empty() {
                    String::new()
                } else {
                    format!(" It said: {stderr_tail}")
                };
                let message = format!("The agent {reason} before it was ready.{tail}");
                self.fail("agent_start_failed", &message, None, Fault::Environment);
            }
            _ => {}
        }
    }

    fn command_failed(
        &mut self,
        command: &CommandId,
        code: &str,
        message: &str,
        hint: Option<&str>,
    ) {
        let Some(what) = self
            .task
            .awaited
            .iter()
            .find(|(id, _)| id == command)
            .map(|(_, what)| *what)
        else {
            return;
        };
        self.task.awaited.retain(|(id, _)| id != command);
        match what {
            Awaited::Prepare if self.task.state == TaskState::Preparing => {
                self.fail(code, message, hint, Fault::Environment);
            }
            Awaited::Start if self.task.state == TaskState::Starting => {
                self.fail(code, message, hint, Fault::Environment);
            }
            Awaited::Finish if self.task.state == TaskState::Finishing => {
                self.fail(code, message, hint, Fault::Environment);
            }
            Awaited::Prompt => {
                if self
                    .task
                    .prompt
                    .as_ref()
                    .is_some_and(|held| held.stage != PromptStage::Waiting)
                {
                    self.prompt_never_ran(message.to_owned());
                }
            }
            Awaited::Prepare | Awaited::Start | Awaited::Finish | Awaited::Cleanup => {}
        }
    }

    // --- what goes wrong -------------------------------------------------------

    fn machine_lost(&mut self, why: &str) {
        if self.task.state.is_terminal() {
            self.release_after_end();
            return;
        }
        let in_flight = self
            .task
            .prompt
            .as_ref()
            .is_some_and(|held| held.stage != PromptStage::Waiting);
        match self.task.state {
            TaskState::Running | TaskState::Finishing if in_flight => {
                self.leave_attempt();
                self.end_prompt(StopReason::Unknown {
                    reason: why.to_owned(),
                });
                self.prompt_unknown(why);
            }
            TaskState::Finishing => self.fail("workspace_lost", why, None, Fault::Environment),
            TaskState::AwaitingInput => self.leave_attempt(),
            _ => self.place_again("machine_lost", why),
        }
    }

    fn place_again(&mut self, code: &str, why: &str) {
        if self.task.retries < AUTOMATIC_RETRIES {
            self.task.retries += 1;
            self.notice(
                NoticeLevel::Warning,
                code,
                &format!("{why} Trying again."),
                None,
            );
            self.place();
        } else {
            self.fail(
                code,
                why,
                Some("Look at the machine's log, then submit the task again."),
                Fault::Environment,
            );
        }
    }

    fn deadline_passed(&mut self) {
        let now = self.turn.now;
        let step_over = self
            .task
            .step_deadline
            .is_some_and(|deadline| deadline <= now);
        let grace_over = self
            .task
            .away_since
            .is_some_and(|since| since.plus(AWAY_GRACE) <= now);
        match self.task.state {
            TaskState::Placing if step_over => {
                let hint = "Start the vm-agent on your machine (sam node join-token shows how), then submit the task again.";
                self.fail(
                    "no_machine",
                    "No machine became free in 24 hours.",
                    Some(hint),
                    Fault::Person,
                );
            }
            TaskState::Preparing if step_over => {
                self.place_again(
                    "preparing_timed_out",
                    "The machine did not make the workspace in 15 minutes.",
                );
            }
            TaskState::Starting if step_over => {
                self.place_again(
                    "starting_timed_out",
                    "The agent did not answer in 3 minutes.",
                );
            }
            TaskState::Finishing => match self.task.finishing {
                Some(Finishing::Rows { .. }) if step_over => {
                    self.task.rows_incomplete = true;
                    let text = "Some of the agent's rows did not arrive in a minute; they are added when they do.";
                    self.notice(NoticeLevel::Warning, "rows_incomplete", text, None);
                    self.begin_git();
                }
                Some(Finishing::Git)
                    if step_over && self.task.away_since.is_some() && !grace_over =>
                {
                    self.task.step_deadline = None;
                }
                _ if step_over || grace_over => {
                    let message = "Commit and push did not end in time.";
                    self.fail(
                        "finishing_timed_out",
                        message,
                        Some("The work is kept in the workspace."),
                        Fault::Environment,
                    );
                }
                _ => {}
            },
            TaskState::Running if grace_over => {
                self.machine_lost("The machine has been away for 24 hours.");
            }
            _ => {}
        }
    }

    fn cancel(&mut self) {
        if self.task.state.is_terminal() {
            return;
        }
        self.end_prompt(StopReason::Cancelled);
        self.over(TaskState::Cancelled);
        self.stop_agent_and_release();
    }

    fn fail(&mut self, code: &str, message: &str, hint: Option<&str>, fault: Fault) {
        self.task.failure = Some(Failure {
            step: step_of(self.task.state),
            code: code.to_owned(),
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
            fault,
        });
        self.end_prompt(StopReason::NeverRan {
            reason: format!("the task failed: {code}"),
        });
        self.over(TaskState::Failed);
        self.stop_agent_and_release();
    }

    /// Stops the agent and frees the place when that is done. A workspace in
    /// which an agent worked is kept: what it left may be wanted.
    fn stop_agent_and_release(&mut self) {
        if self.task.workspace.is_some() && self.task.node.is_some() {
            let attempt = self.task.attempt;
            let worked = self
                .task
                .steps
                .iter()
                .any(|step| step.name == StepName::Running && step.attempt == attempt);
            let action = if worked {
                Action::StopAgent
            } else {
                Action::DeleteWorkspace
            };
            self.command(action, Millis::minutes(30), Some(Awaited::Cleanup));
        } else {
            self.tell_pool(Message::Released {
                attempt: self.task.attempt,
            });
        }
    }

    fn over(&mut self, state: TaskState) {
        self.enter(state, None);
        self.end_step();
        self.task.finishing = None;
        self.task.away_since = None;
        self.task.agent = AgentBinding::None;
        self.task.awaited.clear();
        self.activity(ActivityState::Ended);
    }

    // --- small things ------------------------------------------------------------

    fn enter(&mut self, state: TaskState, limit: Option<Millis>) {
        self.task.state = state;
        self.task.since = self.turn.now;
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

    fn activity(&mut self, state: ActivityState) {
        self.tell_session(Message::ActivityChanged {
            state,
            since: self.turn.now,
        });
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
                .push((Address::Pool(intent.user.clone()), message));
        }
    }
}
