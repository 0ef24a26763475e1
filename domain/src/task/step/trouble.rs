//! What goes wrong, and what ends a task early.

use super::*;

impl Step<'_> {
    pub(super) fn machine_lost(&mut self, why: &str) {
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
            TaskState::Finishing => {
                self.leave_attempt();
                self.fail("workspace_lost", why, None, Fault::Environment);
            }
            TaskState::AwaitingInput => self.leave_attempt(),
            _ => {
                // There is nothing left to clean up whose end could be awaited.
                self.leave_attempt();
                self.place_again("machine_lost", why);
            }
        }
    }

    pub(super) fn place_again(&mut self, code: &str, why: &str) {
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

    pub(super) fn deadline_passed(&mut self) {
        self.wait_over();
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
                    self.rows_overdue();
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
            TaskState::Running if step_over && self.task.settling.is_some() => {
                self.rows_overdue();
            }
            TaskState::Running if grace_over => {
                self.machine_lost("The machine has been away for 24 hours.");
            }
            TaskState::AwaitingInput => self.idle_over(),
            _ => {}
        }
    }

    pub(super) fn cancel(&mut self) {
        if self.task.state.is_terminal() {
            return;
        }
        self.end_prompt(StopReason::Cancelled);
        self.over(TaskState::Cancelled);
        self.stop_agent_and_release();
    }

    pub(super) fn fail(&mut self, code: &str, message: &str, hint: Option<&str>, fault: Fault) {
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
    pub(super) fn stop_agent_and_release(&mut self) {
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
            self.command(action, CLEANUP_LIMIT, Some(Awaited::Cleanup));
        } else {
            self.tell_pool(Message::Released {
                attempt: self.task.attempt,
            });
        }
    }

    pub(super) fn over(&mut self, state: TaskState) {
        self.enter(state, None);
        self.end_step();
        self.task.finishing = None;
        self.task.away_since = None;
        self.task.agent = AgentBinding::None;
        self.task.awaited.clear();
        self.task.reported = Some(ActivityState::Ended);
    }
}
