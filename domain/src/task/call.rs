//! What the Worker asks of a TaskRunner.

use crate::budget::ledger::Warning;
use crate::budget::refusal::HolderKind;
use crate::id::UserId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A call to a TaskRunner. Each is answered with the task's
/// [`TaskView`](super::TaskView), or 404 when the task does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskCall {
    /// Read it.
    Get,
    /// Cancel it. A task that is over is answered as it is.
    Cancel {
        /// Who asked.
        by: UserId,
    },
    /// The model refused a call of its agent until a limit resets. A task that is not at work, or
    /// at it under another attempt, is answered as it is.
    ModelWaits {
        /// Under which attempt the call was made.
        attempt: u32,
        /// When the limit resets.
        until: Timestamp,
    },
    /// A budget that its calls are counted in has come near a limit. Whoever asks has been told so by
    /// the budget, which tells it once a period.
    BudgetNear {
        /// Whose budget.
        holder: HolderKind,
        /// What is nearly used up.
        warning: Warning,
    },
    /// Call it so: a model found a title for it. A task that is over is answered as it is.
    SetTitle {
        /// The title, cut to its limit.
        title: String,
    },
    /// Close a conversation-mode task; 409 `not_open` unless it awaits input. One that is closed
    /// stays so: repeating it is harmless.
    Close {
        /// Who asked.
        by: UserId,
    },
}
