//! When following is over, and how.

use crate::error::Exit;
use sam_domain::conversation::wire::SessionView;
use sam_domain::task::{TaskState, TaskView};
use serde::Serialize;

/// How a followed task ended, or why it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Done.
    Completed,
    /// Failed.
    Failed,
    /// Cancelled.
    Cancelled,
    /// A person has the next word.
    AwaitingInput,
}

impl Outcome {
    pub(super) const fn exit(self) -> Exit {
        match self {
            Self::Completed => Exit::Ok,
            Self::Failed => Exit::Failed,
            Self::Cancelled => Exit::Cancelled,
            Self::AwaitingInput => Exit::AwaitingInput,
        }
    }

    /// The task's outcome, if there is one. A task that awaits input while a
    /// prompt is still on its way is about to go on.
    pub(super) fn of(task: &TaskView, session: Option<&SessionView>) -> Option<Self> {
        match task.state {
            TaskState::Completed => Some(Self::Completed),
            TaskState::Failed => Some(Self::Failed),
            TaskState::Cancelled => Some(Self::Cancelled),
            TaskState::AwaitingInput => {
                let going_on = session
                    .is_some_and(|s| s.prompts.iter().any(|prompt| !prompt.state.is_terminal()));
                (!going_on).then_some(Self::AwaitingInput)
            }
            TaskState::Queued
            | TaskState::Placing
            | TaskState::Preparing
            | TaskState::Starting
            | TaskState::Running
            | TaskState::Finishing => None,
        }
    }
}
