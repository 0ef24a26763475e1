//! `bash`: one command in a process group of its own.
//!
//! The command's output and errors share one pipe, so that their order is
//! kept. At the time limit or a cancellation the whole group is asked to end
//! and, a second later, killed. When the command ends but has left processes
//! in its group (a server started with `&`), they stay for the commands to
//! come; [`ProcessGroups::kill`] ends them with the session.
//!
//! The model's URL and key are taken out of the environment.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use sam_acp::ToolKind;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::time::Instant;

use crate::tools::output::HeadTail;
use crate::tools::{Description, ToolContext, ToolOutput, lenient_number, shorten};

const DEFAULT_SECONDS: u64 = 120;
const MAX_SECONDS: u64 = 600;
/// Kept of either end of the output.
const KEPT: usize = 16 * 1024;
/// Between asking a group to end and killing it.
const GRACE: Duration = Duration::from_secs(1);
/// For output of processes that outlive the command.
const DRAIN: Duration = Duration::from_millis(200);
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `bash`.
#[derive(Debug, Deserialize)]
pub(crate) struct Bash {
    command: String,
    #[serde(default, deserialize_with = "lenient_number")]
    timeout_seconds: Option<u64>,
}

/// Groups that outlived their command.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessGroups {
    left: Arc<Mutex<Vec<Pid>>>,
}

impl ProcessGroups {
    fn remember(&self, group: Pid) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        // A group that has emptied since may be another's by now.
        left.retain(|group| test_kill_process_group(*group).is_ok());
        if test_kill_process_group(group).is_ok() {
            left.push(group);
        }
    }

    /// Kills what is left.
    pub(crate) fn kill(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        for group in left.drain(..) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
enum SpawnError {
    #[error("bash cannot be started: {0}")]
    Failed(#[from] std::io::Error),
    #[error("not run: {0}")]
    Refused(String),
}

enum End {
    Exited(ExitStatus),
    TimedOut,
    Cancelled,
    Failed(String),
}

impl Bash {
    /// The command line.
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    pub(crate) fn describe(&self) -> Description {
        let first = self.command.trim().lines().next().unwrap_or_default();
        Description {
            title: format!("Run {}", shorten(first, 150)),
            kind: ToolKind::Execute,
            locations: Vec::new(),
        }
    }

    pub(crate) async fn run(&self, context: &ToolContext<'_>) -> ToolOutput {
        let (mut child, mut pipe) = match self.spawn(context) {
            Ok(spawned) => spawned,
            Err(error) => return ToolOutput::failed(error.to_string()),
        };
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let limit = self.limit();
        let mut output = HeadTail::new(KEPT);
        let end = follow(&mut child, &mut pipe, &mut output, limit, context).await;
        if let Some(group) = group {
            match end {
                End::Exited(_) => {}
                End::TimedOut | End::Cancelled | End::Failed(_) => {
                    end_group(group, &mut child).await;
                }
            }
            drain(&mut pipe, &mut output).await;
            context.groups.remember(group);
        }
        report(&end, &output, limit)
    }

    fn limit(&self) -> Duration {
        let seconds = self.timeout_seconds.unwrap_or(DEFAULT_SECONDS);
        Duration::from_secs(seconds.clamp(1, MAX_SECONDS))
    }

    fn spawn(&self, context: &ToolContext<'_>) -> Result<(Child, pipe::Receiver), SpawnError> {
        let (reader, writer) = std::io::pipe()?;
        let sandbox = context.guard.sandbox();
        let root = context.workspace.root();
        let mut command = sandbox
            .shell(root, &self.command, context.guard.may_write())
            .map_err(SpawnError::Refused)?;
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .env_remove("SAM_MODEL_URL")
            .env_remove("SAM_MODEL_KEY")
            .env("TERM", "dumb")
            .env("NO_COLOR", "1")
            .env("PAGER", "cat")
            .env("GIT_PAGER", "cat")
            .env("GIT_TERMINAL_PROMPT", "0");
        let child = command.spawn()?;
        // The command holds our writing ends; without it the pipe can end.
        drop(command);
        let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        Ok((child, reader))
    }
}

/// Reads until the command ends, or must.
async fn follow(
    child: &mut Child,
    pipe: &mut pipe::Receiver,
    output: &mut HeadTail,
    limit: Duration,
    context: &ToolContext<'_>,
) -> End {
    let deadline = Instant::now() + limit;
    let mut progress = tokio::time::interval_at(Instant::now() + PROGRESS_EVERY, PROGRESS_EVERY);
    let mut buffer = vec![0; 16 * 1024];
    let mut open = true;
    let mut unshown = false;
    loop {
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => return End::Cancelled,
            () = tokio::time::sleep_until(deadline) => return End::TimedOut,
            status = child.wait() => return match status {
                Ok(status) => End::Exited(status),
                Err(error) => End::Failed(error.to_string()),
            },
            _ = progress.tick(), if unshown => {
                unshown = false;
                (context.progress)(&output.text());
            }
            read = pipe.read(&mut buffer), if open => match read {
                Ok(0) | Err(_) => open = false,
                Ok(length) => {
                    output.push(buffer.get(..length).unwrap_or_default());
                    unshown = true;
                }
            },
        }
    }
}

/// What is in the pipe already, and what follows at once.
async fn drain(pipe: &mut pipe::Receiver, output: &mut HeadTail) {
    let mut buffer = vec![0; 16 * 1024];
    let end = Instant::now() + DRAIN;
    while let Ok(Ok(length @ 1..)) = tokio::time::timeout_at(end, pipe.read(&mut buffer)).await {
        output.push(buffer.get(..length).unwrap_or_default());
    }
}

async fn end_group(group: Pid, child: &mut Child) {
    let _ = kill_process_group(group, Signal::TERM);
    let _ = tokio::time::timeout(GRACE, child.wait()).await;
    let _ = kill_process_group(group, Signal::KILL);
    // Killed, it ends; unless the kernel holds it, for which nobody waits.
    let _ = tokio::time::timeout(GRACE, child.wait()).await;
}

fn report(end: &End, output: &HeadTail, limit: Duration) -> ToolOutput {
    let mut text = output.text();
    let (note, failed) = match end {
        End::Exited(status) => match (status.code(), status.signal()) {
            (Some(0), _) => (None, false),
            (Some(code), _) => (Some(format!("[exit code {code}]")), true),
            (None, signal) => {
                let signal = signal.unwrap_or_default();
                (Some(format!("[ended by signal {signal}]")), true)
            }
        },
        End::TimedOut => {
            let seconds = limit.as_secs();
            let note =
                format!("[stopped after {seconds} s: the time limit; its processes were ended]");
            (Some(note), true)
        }
        End::Cancelled => (
            Some("[cancelled; its processes were ended]".to_owned()),
            true,
        ),
        End::Failed(error) => (Some(format!("[lost track of the command: {error}]")), true),
    };
    if text.trim().is_empty() {
        text = if note.is_some() {
            String::new()
        } else {
            "[no output]".to_owned()
        };
    }
    if let Some(note) = note {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&note);
    }
    ToolOutput {
        text,
        failed,
        ..ToolOutput::default()
    }
}

#[cfg(test)]
#[path = "bash_tests.rs"]
mod tests;
