//! What people do, at random.

use crate::random::Random;
use sam_domain::task::TaskMode;

/// One thing a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Submits a task in a new conversation.
    Submit(TaskMode),
    /// Sends a prompt into a conversation.
    Prompt,
    /// Takes back a queued prompt.
    Remove,
    /// Stops the current turn.
    CancelTurn,
    /// Cancels the task.
    CancelTask,
    /// Closes the task.
    Close,
}

impl Act {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let mode = if random.chance(60) {
            TaskMode::Task
        } else {
            TaskMode::Conversation
        };
        match random.below(100) {
            0..45 => Self::Submit(mode),
            45..75 => Self::Prompt,
            75..80 => Self::Remove,
            80..87 => Self::CancelTurn,
            87..92 => Self::CancelTask,
            _ => Self::Close,
        }
    }
}
