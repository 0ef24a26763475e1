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

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use sam_e2e::{Result, Stack, StackOptions, programs};

/// A stack with a machine, on which `goose` is the agent of `agent.mjs`.
async fn with_machine(arguments: &[&str]) -> Result<Stack> {
    let options = StackOptions {
        node_arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        ..StackOptions::default()
    };
    let mut stack = Stack::start_with(options).await?;
    let agents = scripted_agent(&stack)?;
    stack.start_node("machine", &[&agents]).await?;
    Ok(stack)
}

/// The folder of the agent.
fn scripted_agent(stack: &Stack) -> Result<PathBuf> {
    let folder = stack.directory().join("agents");
    std::fs::create_dir(&folder)?;
    let program = folder.join("goose");
    let script = programs::root().join("e2e/tests/bad_input/agent.mjs");
    let node = std::path::absolute(programs::node())?;
    let node = if node.exists() {
        node
    } else {
        programs::node()
    };
    let text = format!("#!/bin/sh\nexec {} {}\n", node.display(), script.display());
    std::fs::write(&program, text)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}
