//! Coding agents: how each is started, and one session with one of them.
//!
//! - [`conformance`]: every agent driven through what a host needs, for a table.
//! - [`install`]: which agents are here, and how one gets here.
//! - [`launch`]: environment, relay, process, and the first words of ACP.
//! - [`login`]: a subscription login, for as long as its agent runs.
//! - [`begin`]: from the command to a session that is ready.
//! - [`session`]: prompts, updates, cancelling, the end.
//! - [`permission`]: what an agent asks, and who answers.
//! - [`tools`]: what SAM itself offers an agent: to ask its person.

mod attachments;
mod begin;
pub(crate) mod conformance;
mod install;
mod launch;
mod login;
mod memory;
mod permission;
mod session;
mod tools;
mod watch;

pub(crate) use begin::{AgentCommand, AgentNotice, StartAgent, run};
pub(crate) use install::{Agents, CommandLine};
pub(crate) use login::remove_left;
