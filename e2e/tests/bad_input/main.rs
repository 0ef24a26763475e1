//! What comes from outside and is not as it should be: each is a clear error, or a result that is
//! bounded and says so; nothing hangs, and everything else goes on.
//!
//! - [`repositories`]: unreachable, refused, empty, huge and hostile ones.
//! - [`words`]: prompts and output that are long, or hardly text.
//! - [`sockets`]: frames on the link, the feed and the live socket.
//! - [`requests`]: bodies, headers, keys, hashes; a machine whose clock is off.

mod repositories;
mod requests;
mod sockets;
mod words;

use sam_e2e::{Result, Stack, StackOptions, programs};

/// A stack with a machine, on which `goose` is the agent of `agent.mjs`.
async fn with_machine(arguments: &[&str]) -> Result<Stack> {
    let options = StackOptions {
        node_arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        ..StackOptions::default()
    };
    let mut stack = Stack::start_with(options).await?;
    let folder = stack.directory().join("agents");
    let agents = programs::scripted_agent(&folder, "goose", "e2e/tests/bad_input/agent.mjs")?;
    stack.start_node("machine", &[&agents]).await?;
    Ok(stack)
}
