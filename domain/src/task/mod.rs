//! Tasks: one piece of work, from a person's words to a branch.
//!
//! A task's only writer is its TaskRunner. It owns the attempts: an attempt is
//! a fence, and what arrives under an older one changes nothing. Terminal
//! states are final.
//!
//! - [`patience`]: how long it waits when nothing moves.
//! - [`state`]: what a task remembers.
//! - [`step`]: how it moves.
//! - [`table`]: the same as a table.
//! - [`wire`]: what others see of it.

pub mod call;
pub mod patience;
pub mod state;
pub mod step;
pub mod table;
pub mod wire;

pub use wire::{StepName, TaskMode, TaskState, TaskView};
