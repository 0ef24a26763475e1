//! What the end-to-end tests stand on: the built programs started on free ports in a directory of
//! their own, and clients that speak to them as people's browsers, terminals and machines do.
//!
//! Model: a [`Stack`] is the local server with the scripted model gateway behind it. Tests add
//! machines to it: real ones ([`Stack::start_node`]) or one whose every word the test writes
//! ([`node::ScriptedNode`]). Whatever a stack started ends with it, by its process id.
//!
//! The programs are the release builds; `cargo xtask build all` makes them. A test that finds one
//! missing fails and says so.

pub mod agents;
pub mod caller;
pub mod client;
pub mod conversation;
pub mod disk;
pub mod evals;
pub mod faults;
pub mod follower;
pub mod gateway;
pub mod git_server;
pub mod insist;
pub mod machine;
pub mod node;
pub mod normal;
pub mod people;
pub mod process;
pub mod programs;
pub mod repository;
pub mod samples;
pub mod sizes;
pub mod socket;
pub mod specification;
pub mod stack;
pub mod steady;
pub mod wait;
pub mod wire;

pub use client::{Client, Reply};
pub use conversation::Work;
pub use disk::Disk;
pub use people::Person;
pub use socket::Socket;
pub use stack::{Stack, StackOptions};
pub use wait::{wait_until, within};
pub use wire::Wire;

/// Any failure of a test; the message says what was expected.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What tests and their helpers return.
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// A failure with these words.
pub fn failure(message: impl Into<String>) -> Failure {
    message.into().into()
}

/// Fails the test unless the condition holds.
///
/// # Errors
/// With the message, when it does not.
pub fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result {
    if condition {
        Ok(())
    } else {
        Err(failure(message()))
    }
}
