//! `bash`: one command, waited for or left to run in the background.

use std::sync::OnceLock;
use std::time::Duration;

use sam_acp::{ToolContent, ToolKind};
use serde::Deserialize;

use crate::host::TerminalCommand;
use crate::tools::process::{KEPT, Running, with_note, without_secrets};
use crate::tools::{Description, ToolContext, ToolOutput, lenient_number, shorten};
use sam_harness::head_tail::HeadTail;

const DEFAULT_SECONDS: u64 = 120;
const MAX_SECONDS: u64 = 600;

/// Arguments of `bash`.
#[derive(Debug, Deserialize)]
pub(crate) struct Bash {
    command: String,
    #[serde(default, deserialize_with = "lenient_number")]
    timeout_seconds: Option<u64>,
    #[serde(default)]
    background: bool,
}

impl Bash {
    /// The command line.
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    pub(crate) fn describe(&self) -> Description {
        let first = self.command.trim().lines().next().unwrap_or_default();
        let verb = if self.background { "Start" } else { "Run" };
        Description {
            title: format!("{verb} {}", shorten(first, 150)),
            kind: ToolKind::Execute,
            locations: Vec::new(),
        }
    }

    pub(crate) async fn run(&self, context: &ToolContext<'_>) -> ToolOutput {
        let program = [shell(), "-c", &self.command];
        if let Some(output) = self.in_terminal(&program, context).await {
            return output;
        }
        if self.background
            && let Err(refused) = context.jobs.has_room()
        {
            return refused;
        }
        let started = Running::start(context, &program, context.guard.may_write());
        let running = match started {
            Ok(running) => running,
            Err(error) => return ToolOutput::failed(error.to_string()),
        };
        if self.background {
            return context.jobs.take(running, &self.command).await;
        }
        let mut output = HeadTail::new(KEPT);
        let end = running.finish(self.limit(), &mut output, context).await;
        let note = end.note();
        ToolOutput {
            failed: note.is_some(),
            ..ToolOutput::ok(with_note(output.text(), note))
        }
    }

    /// Runs it in a terminal of the host's, confined all the same; none where
    /// the host lends no terminals.
    async fn in_terminal(&self, program: &[&str], context: &ToolContext<'_>) -> Option<ToolOutput> {
        let host = context.workspace.host().filter(|_| !self.background)?;
        let (workspace, guard) = (context.workspace, context.guard);
        let sandbox = guard.sandbox();
        let confined = sandbox.command(workspace.roots(), program, guard.may_write());
        let confined = match confined {
            Ok(confined) => confined,
            Err(refused) => return Some(ToolOutput::failed(format!("not run: {refused}"))),
        };
        let command = TerminalCommand {
            call: context.call,
            program: without_secrets(confined.as_std())?,
            cwd: workspace.root(),
            limit: self.limit(),
            bytes: u64::try_from(2 * KEPT).unwrap_or(u64::MAX),
        };
        Some(match host.run(command, context.cancel)?.await {
            Err(error) => ToolOutput::failed(error),
            Ok(ran) => ToolOutput {
                failed: ran.note.is_some(),
                shown: Some(vec![ToolContent::Terminal {
                    terminal_id: ran.terminal,
                }]),
                ..ToolOutput::ok(with_note(ran.text, ran.note))
            },
        })
    }

    fn limit(&self) -> Duration {
        let seconds = self.timeout_seconds.unwrap_or(DEFAULT_SECONDS);
        Duration::from_secs(seconds.clamp(1, MAX_SECONDS))
    }
}

/// bash, or where there is none (small container images) the system's shell.
fn shell() -> &'static str {
    static FOUND: OnceLock<bool> = OnceLock::new();
    let has_bash = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join("bash").is_file())
    };
    if *FOUND.get_or_init(has_bash) {
        "bash"
    } else {
        "sh"
    }
}

#[cfg(test)]
#[path = "bash_tests.rs"]
mod tests;
