//! The main job through every real part: a task is submitted, a coding agent does it on a machine
//! that dialled in, and the work comes back as a branch.
//!
//! - [`repair`]: a bug is fixed, by two agents, in the sample and in a repository made from it.
//! - [`rename`]: a name is changed across files.
//! - [`recover`]: a command that fails gets what it lacks.
//! - [`diagnose`]: a failing test is diagnosed in writing.
//! - [`question`]: an answer that changes nothing.
//! - [`attach`]: files that go with a prompt.
//! - [`compare`]: the same work under two agents, side by side, and a choice.
//! - [`apart`]: two workspaces on one machine, and no secret in either.
//! - [`remote`]: a repository behind HTTP, and one that refuses the push.
//! - [`refused`]: what cannot be done fails where it does, and says what to do.
//! - [`talk`]: conversations: several prompts, follow-ups, cancelling.

mod apart;
mod attach;
mod compare;
mod diagnose;
mod question;
mod recover;
mod refused;
mod remote;
mod rename;
mod repair;
mod talk;

/// What the person asks of the agent that repairs the sample.
const REPAIR: &str =
    "A test of this repository fails. Find the cause, fix the code and not the test.";
