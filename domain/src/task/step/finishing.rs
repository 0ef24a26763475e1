//! Rows, commit, push, and the result.

use super::*;

impl Step<'_> {
    pub(super) fn await_rows(&mut self, prompt: PromptId, through: u64) {
        if self.task.workspace.is_none() {
            return;
        }
        self.task.finishing = Some(Finishing::Rows {
            prompt: prompt.clone(),
        });
        self.enter(TaskState::Finishing, Some(ROWS_LIMIT));
        self.begin(StepName::Finishing);
        self.ask_for_rows(prompt, through);
    }

    /// Asks the conversation to say when it holds all rows up to a number.
    pub(super) fn ask_for_rows(&mut self, prompt: PromptId, through: u64) {
        if let Some(workspace) = self.task.workspace.clone() {
            self.tell_session(Message::AwaitRows {
                prompt,
                workspace,
                through,
            });
        }
    }

    pub(super) fn rows_complete(&mut self, prompt: &PromptId) {
        let settles = self.task.settling.is_some()
            && self
                .task
                .prompt
                .as_ref()
                .is_some_and(|held| held.prompt == *prompt);
        if settles {
            self.settle_prompt();
        } else if matches!(&self.task.finishing, Some(Finishing::Rows { prompt: of }) if of == prompt)
        {
            self.begin_git();
        }
    }

    /// A minute is over: goes on without the rows that are missing, and says so.
    pub(super) fn rows_overdue(&mut self) {
        self.task.rows_incomplete = true;
        let text =
            "Some of the agent's rows did not arrive in a minute; they are added when they do.";
        self.notice(NoticeLevel::Warning, "rows_incomplete", text, None);
        if self.task.settling.is_some() {
            self.settle_prompt();
        } else {
            self.begin_git();
        }
    }

    pub(super) fn begin_git(&mut self) {
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

    pub(super) fn close(&mut self) {
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

    pub(super) fn git_result(&mut self, event: Event) {
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
                    CLEANUP_LIMIT,
                    Some(Awaited::Cleanup),
                );
            }
        }
    }
}
