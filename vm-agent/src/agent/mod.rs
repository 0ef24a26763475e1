//! Coding agents: how each is started, and one session with one of them.
//!
//! - [`recipe`]: launch recipes, as data.
//! - [`launch`]: environment, relay, process, and the first words of ACP.
//! - [`session`]: prompts, updates, permissions, cancelling, the end.

mod launch;
mod recipe;
mod session;

pub(crate) use recipe::installed;
pub(crate) use session::{AgentCommand, AgentNotice, StartAgent, run};
