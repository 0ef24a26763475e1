//! What can be looked at without a model: the version and the sandbox, the
//! system prompt, the tools of MCP servers.

use std::sync::Arc;

use clap::CommandFactory;
use sam_dialects::conversation::ToolKind;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, McpCommand, PromptCommand};
use crate::guard::{Guard, PermissionMode};
use crate::mcp::Servers;
use crate::prompt::{self, PromptOptions};
use crate::sandbox::Sandbox;
use crate::workspace::Workspace;
use crate::{COMPLETE, FAILED, USAGE};

/// The version, and what isolates commands here; the exit code.
pub(crate) fn version(version: bool, verbose: bool) -> u8 {
    if !version {
        eprintln!("{}", Cli::command().render_help());
        return USAGE;
    }
    println!("sam-harness {}", env!("CARGO_PKG_VERSION"));
    if verbose {
        match Sandbox::new(&Cli::sandbox_of_environment()) {
            Ok(sandbox) => println!("sandbox: {}", sandbox.level()),
            Err(error) => println!("sandbox: unknown, {error}"),
        }
    }
    COMPLETE
}

/// Prints the system prompt of a session that would begin now.
pub(crate) fn prompt(args: &PromptCommand) -> Result<u8, String> {
    let workspace = Workspace::with_further(&args.dir, &args.agent.add_dir)?;
    let sandbox = Arc::new(Sandbox::new(&args.agent.guard.sandbox)?);
    let guard = Guard::new(&args.agent.guard, PermissionMode::Full, sandbox);
    let options = PromptOptions::new(&args.agent.prompt)?;
    println!("{}", prompt::system(&options, &workspace, &guard));
    Ok(COMPLETE)
}

/// Lists the tools of the servers, one JSON object a line, or calls one and
/// prints what it gives.
pub(crate) async fn mcp(args: McpCommand) -> Result<u8, String> {
    let arguments: Value = serde_json::from_str(&args.arguments)
        .map_err(|error| format!("the arguments are no JSON: {error}"))?;
    let Value::Object(arguments) = arguments else {
        return Err("the arguments are no JSON object".to_owned());
    };
    let mut servers = Servers::new(&args.mcp, &[])?;
    if servers.is_empty() {
        return Err("there is no MCP server; name one with --mcp-url or --mcp-config".to_owned());
    }
    let cancel = CancellationToken::new();
    let mut code = COMPLETE;
    for (name, why) in servers.connect(&cancel).await {
        eprintln!("sam-harness: the MCP server {name}: {why}");
        code = FAILED;
    }
    let Some(wanted) = args.tool else {
        for tool in servers.definitions() {
            let schema = match tool.kind {
                ToolKind::Function { schema, .. } => schema,
                _ => Value::Null,
            };
            let line = json!({
                "name": tool.name,
                "description": tool.description,
                "input_schema": schema,
            });
            println!("{line}");
        }
        return Ok(code);
    };
    let call = servers
        .call(&wanted)
        .ok_or_else(|| format!("there is no tool {wanted}"))?;
    let output = call.with(arguments).run(&cancel).await;
    println!("{}", output.text);
    Ok(if output.failed { FAILED } else { COMPLETE })
}
