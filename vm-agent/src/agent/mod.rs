//! Coding agents: how each is started, and one session with one of them.
//!
//! - [`recipe`]: launch recipes, as data.
//! - [`launch`]: environment, relay, process, and the first words of ACP.
//! - [`begin`]: from the command to a session that is ready.
//! - [`session`]: prompts, updates, permissions, cancelling, the end.

mod begin;
mod launch;
mod recipe;
mod session;

pub(crate) use begin::{AgentCommand, AgentNotice, StartAgent, run};
pub(crate) use recipe::installed;
