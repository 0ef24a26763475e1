//! Nodes: machines that dial out and run workspaces.
//!
//! A node's only writer is its NodeLifecycle. It keeps the command queue, what
//! is on the machine and the link's cursor; it decides nothing about tasks.
//!
//! - [`state`]: what a node remembers.
//! - [`step`]: how it moves.
//! - [`table`]: the same as tables.
//! - [`wire`]: what others see of it.

pub mod call;
pub mod state;
pub mod step;
pub mod table;
pub mod wire;
