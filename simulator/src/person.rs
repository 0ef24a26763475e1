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
    /// Changes the words of a queued prompt.
    Edit,
    /// Takes back a queued prompt.
    Remove,
    /// Stops the current turn.
    CancelTurn,
    /// Cancels the task.
    CancelTask,
    /// Closes the task.
    Close,
    /// Joins a contested machine anew.
    Rejoin,
    /// Suspends a machine for a while.
    Suspend,
    /// Has a machine take no more work for a while.
    Drain,
}

impl Act {
    /// Draws one; a crowd cancels a lot.
    pub(crate) fn draw(random: &mut Random, crowd: bool) -> Self {
        if crowd && random.chance(30) {
            return Self::CancelTask;
        }
        let mode = if random.chance(60) {
            TaskMode::Task
        } else {
            TaskMode::Conversation
        };
        match random.below(100) {
            0..44 => Self::Submit(mode),
            44..72 => Self::Prompt,
            72..74 => Self::Edit,
            74..79 => Self::Remove,
            79..86 => Self::CancelTurn,
            86..91 => Self::CancelTask,
            91..96 => Self::Close,
            96..98 => Self::Rejoin,
            98 => Self::Suspend,
            _ => Self::Drain,
        }
    }
}
