//! What the machine reports.

use super::*;

impl Step<'_> {
    pub(super) fn node_event(&mut self, event: Event) {
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
    pub(super) fn late_event(&mut self, event: &Event) {
        let (Event::CommandDone { command } | Event::CommandFailed { command, .. }) = event else {
            return;
        };
        if self.task.awaited.iter().any(|(id, _)| id == command) {
            self.release_after_end();
        }
    }

    /// Nothing of a task that is over is left on its machine.
    pub(super) fn release_after_end(&mut self) {
        if self.awaits(Awaited::Cleanup) {
            self.task.awaited.clear();
            self.tell_pool(Message::Released {
                attempt: self.task.attempt,
            });
        }
    }

    fn awaits(&self, outcome: Awaited) -> bool {
        self.task.awaited.iter().any(|(_, what)| *what == outcome)
    }

    pub(super) fn prompt_started(&mut self, prompt: PromptId) {
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

    pub(super) fn agent_state(&mut self, state: AgentState) {
        match state {
            AgentState::Starting => self.task.reported = Some(ActivityState::Starting),
            AgentState::Activity { state } => self.task.reported = Some(state),
            AgentState::Ready => {
                let AgentBinding::Starting { agent_session } = self.task.agent.clone() else {
                    return;
                };
                self.task.agent = AgentBinding::Ready { agent_session };
                self.task.reported = Some(ActivityState::Idle);
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

    pub(super) fn agent_ended(&mut self, reason: &str, stderr_tail: &str) {
        self.task.agent = AgentBinding::None;
        self.task.reported = Some(ActivityState::Ended);
        match self.task.prompt.as_ref().map(|held| held.stage) {
            // How the prompt ended is known, and told when its rows are there.
            _ if self.task.settling.is_some() => {}
            Some(PromptStage::Sent | PromptStage::Running) => {
                let reason = format!("the agent {reason}");
                self.end_prompt(StopReason::Unknown {
                    reason: reason.clone(),
                });
                self.prompt_unknown(&reason);
            }
            // The command that was to start it fails as well, and says why and what to do.
            _ if self.task.state == TaskState::Starting && !self.awaits(Awaited::Start) => {
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

    pub(super) fn command_failed(
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
}
