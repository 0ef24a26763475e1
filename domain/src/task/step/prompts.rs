//! Prompts on their way to the agent and back.

use super::*;

impl Step<'_> {
    pub(super) fn prompt_dispatched(&mut self, dispatched: HeldPrompt, automatic: bool) {
        let prompt = dispatched.prompt.clone();
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
        self.task.prompt = Some(dispatched);
        self.task.checked_in &= automatic;
        match self.task.state {
            TaskState::AwaitingInput | TaskState::Finishing | TaskState::Running => {
                self.serve_prompt()
            }
            _ => {}
        }
    }

    /// Brings the held prompt one step closer to the agent.
    pub(super) fn serve_prompt(&mut self) {
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

    pub(super) fn send_prompt(&mut self) {
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
            body: held.body.clone(),
            context,
        };
        self.command(action, PROMPT_LIMIT, Some(Awaited::Prompt));
    }

    pub(super) fn cancel_prompt(&mut self, prompt: &PromptId) {
        let Some(held) = self
            .task
            .prompt
            .as_ref()
            .filter(|held| held.prompt == *prompt)
        else {
            return;
        };
        match held.stage {
            _ if self.task.settling.is_some() => {}
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

    /// Passes an answer on to the agent that asked. One that is gone asked nothing any more.
    pub(super) fn answer_permission(&mut self, permission: RowId, option: String) {
        if self.is_at_work() {
            let action = Action::AnswerPermission { permission, option };
            self.command(action, ANSWER_LIMIT, None);
        }
    }

    /// Whether the agent has a prompt of which it has not said yet how it ended.
    fn is_at_work(&self) -> bool {
        let held = self.task.prompt.as_ref();
        self.task.state == TaskState::Running
            && self.task.settling.is_none()
            && held.is_some_and(|held| held.stage != PromptStage::Waiting)
    }

    pub(super) fn end_prompt(&mut self, stop_reason: StopReason) {
        self.task.settling = None;
        if let Some(held) = self.task.prompt.take() {
            self.tell_session(Message::PromptEnded {
                prompt: held.prompt,
                stop_reason,
            });
        }
    }

    pub(super) fn prompt_finished(
        &mut self,
        prompt: PromptId,
        stop_reason: StopReason,
        rows_through: u64,
    ) {
        let in_flight = self
            .task
            .prompt
            .as_ref()
            .is_some_and(|held| held.prompt == prompt && held.stage != PromptStage::Waiting);
        if !in_flight || self.task.settling.is_some() {
            return;
        }
        self.task
            .awaited
            .retain(|(_, what)| *what != Awaited::Prompt);
        if let StopReason::NeverRan { reason } = &stop_reason {
            self.prompt_never_ran(reason.clone());
            return;
        }
        self.task.rows_mark = Some((prompt.clone(), rows_through));
        if matches!(stop_reason, StopReason::EndTurn) && self.mode() == TaskMode::Task {
            self.end_prompt(stop_reason);
            self.await_rows(prompt, rows_through);
            return;
        }
        self.task.settling = Some(stop_reason);
        self.task.step_deadline = Some(self.turn.now.plus(ROWS_LIMIT));
        self.ask_for_rows(prompt, rows_through);
    }

    /// The agent's turn is over and all of it can be read: says how it ended.
    pub(super) fn settle_prompt(&mut self) {
        let Some(stop_reason) = self.task.settling.take() else {
            return;
        };
        self.task.step_deadline = None;
        self.end_prompt(stop_reason.clone());
        match stop_reason {
            StopReason::EndTurn | StopReason::Cancelled => self.await_input(),
            StopReason::Error {
                message,
                code,
                hint,
            } => self.prompt_failed(&message, code.as_deref(), hint.as_deref()),
            StopReason::MaxTokens => self.stopped_short(
                "max_tokens",
                "The model reached its output limit in mid-work.",
            ),
            StopReason::MaxTurnRequests => {
                self.stopped_short(
                    "max_turn_requests",
                    "The agent stopped at one of its limits.",
                );
            }
            StopReason::Refusal => self.stopped_short("refusal", "The model refused to go on."),
            StopReason::NeedsInput { question } => self.await_answer(&question),
            StopReason::Unknown { reason } | StopReason::NeverRan { reason } => {
                self.prompt_unknown(&reason)
            }
        }
    }

    fn prompt_failed(&mut self, message: &str, code: Option<&str>, hint: Option<&str>) {
        let code = code.unwrap_or("agent_error");
        let hint = |then: &str| match hint {
            Some(hint) => format!("{hint} {then}"),
            None => then.to_owned(),
        };
        if self.mode() == TaskMode::Task {
            let hint = hint(
                "Read the conversation's last rows; submit the task again when the cause is gone.",
            );
            self.fail(code, message, Some(&hint), Fault::Environment);
        } else {
            let hint = hint("Send another prompt to go on.");
            self.notice(NoticeLevel::Error, code, message, Some(&hint));
            self.await_input();
        }
    }

    fn mode(&self) -> TaskMode {
        self.task
            .intent
            .as_ref()
            .map_or(TaskMode::Task, |intent| intent.mode)
    }

    pub(super) fn prompt_never_ran(&mut self, reason: String) {
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

    /// The model told the agent to wait; it asks again by itself.
    pub(super) fn model_waits(&mut self, attempt: u32, until: Timestamp) {
        let now = self.turn.now;
        if self.is_at_work() && attempt == self.task.attempt && until > now {
            self.task.waits_until = Some(until.min(now.plus(WAIT_LIMIT)));
        }
    }

    /// The moment has come until which the agent waited, or at which SAM goes on by itself.
    pub(super) fn wait_over(&mut self) {
        let now = self.turn.now;
        // While an end is settling it is still to be told that the agent was waiting.
        if self.task.settling.is_none() {
            self.task.waits_until = self.task.waits_until.filter(|until| *until > now);
        }
        if self.task.resumes_at.is_some_and(|at| at <= now) {
            self.task.resumes_at = None;
            self.tell_session(Message::ContinuationDue);
        }
    }

    pub(super) fn prompt_unknown(&mut self, reason: &str) {
        if let Some(until) = self.task.waits_until {
            let text = format!(
                "Contact with the agent was lost while it waited for a limit of the model: {reason}. \
                 It is asked to go on when the limit resets."
            );
            let hint = Some("Say something to have it go on sooner, or cancel the task.");
            self.notice(NoticeLevel::Warning, "wait_interrupted", &text, hint);
            self.await_input();
            self.task.resumes_at = Some(until);
            return;
        }
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

    pub(super) fn ask(&mut self, code: &str, text: &str) {
        self.notice(
            NoticeLevel::Question,
            code,
            text,
            Some("Say how to go on, or close the task."),
        );
        self.await_input();
    }

    pub(super) fn await_input(&mut self) {
        self.enter(TaskState::AwaitingInput, None);
        self.end_step();
    }

    /// The agent stopped without finishing: the person is told at once, and the agent asked what it
    /// waits for when nobody says anything.
    fn stopped_short(&mut self, code: &str, text: &str) {
        self.ask(code, text);
        self.idle_for(|patience| patience.idle);
    }

    /// The agent asked its person something; the conversation shows it already.
    fn await_answer(&mut self, question: &str) {
        self.await_input();
        self.task.asks = Some(truncate(question, QUESTION_SHOWN).0.to_owned());
        self.idle_for(|patience| patience.question);
    }

    fn idle_for(&mut self, limit: impl FnOnce(&Patience) -> Millis) {
        let intent = self.task.intent.as_ref();
        if let Some(intent) = intent.filter(|intent| intent.mode == TaskMode::Task) {
            self.task.idle_until = Some(self.turn.now.plus(limit(&intent.patience)));
        }
    }

    /// Nobody has said anything since the agent stopped.
    pub(super) fn idle_over(&mut self) {
        let now = self.turn.now;
        if self.task.idle_until.is_none_or(|until| until > now) {
            return;
        }
        self.task.idle_until = None;
        let place = self.task.workspace.as_ref();
        let place = place.map(ToString::to_string).unwrap_or_default();
        let hint = format!(
            "What it did is kept in workspace {place} on its machine. Say something to go on in a new task."
        );
        if let Some(question) = self.task.asks.take() {
            let message = format!("Nobody answered what the agent asked: {question}");
            self.fail("not_answered", &message, Some(&hint), Fault::Person);
        } else if self.task.checked_in {
            let message = "The agent stopped without finishing, was asked what it waits for, and stopped again.";
            self.fail("idle", message, Some(&hint), Fault::Environment);
        } else {
            self.task.checked_in = true;
            self.tell_session(Message::CheckInDue);
        }
    }
}
