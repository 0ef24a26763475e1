//! Programs in process groups of their own, confined as the guard says.
//!
//! Output and errors share one pipe, so that their order is kept. At the time
//! limit or a cancellation the whole group is asked to end and, a second
//! later, killed. When a command ends but has left processes in its group (a
//! server started with `&`), they stay for the commands to come;
//! [`ProcessGroups::kill`] ends them with the session.
//!
//! The model's URL and key, and the platform's, are taken out of the
//! environment.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::tools::ToolContext;
use sam_harness::head_tail::HeadTail;

/// Kept of either end of the output.
pub(super) const KEPT: usize = 16 * 1024;
/// Between asking a group to end and killing it.
const GRACE: Duration = Duration::from_secs(1);
/// For output of processes that outlive the command.
const DRAIN: Duration = Duration::from_millis(200);
/// Between two looks at what a process says that stays: none is worth a processor.
const SIP: Duration = Duration::from_millis(10);
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What commands are not told.
pub(crate) const SECRETS: [&str; 5] = [
    "SAM_MODEL_URL",
    "SAM_MODEL_KEY",
    "SAM_MODEL_HEADERS",
    "SAM_MCP_URL",
    "SAM_MCP_TOKEN",
];

/// A command's words, so that somebody else can run it without what commands
/// are not told; none when a word is no text.
pub(super) fn without_secrets(command: &std::process::Command) -> Option<Vec<String>> {
    let unset = SECRETS
        .iter()
        .flat_map(|name| ["-u", name])
        .map(str::to_owned);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Option<Vec<String>> = words.map(|word| word.to_str().map(str::to_owned)).collect();
    Some(
        std::iter::once("env".to_owned())
            .chain(unset)
            .chain(words?)
            .collect(),
    )
}

/// Groups of commands that run, or that have left processes behind.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessGroups {
    left: Arc<Mutex<Vec<Pid>>>,
}

impl ProcessGroups {
    /// Keeps a group to be ended with the session.
    pub(super) fn remember(&self, group: Pid) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        // A group that has emptied since may be another's by now.
        left.retain(|group| test_kill_process_group(*group).is_ok());
        if !left.contains(&group) && test_kill_process_group(group).is_ok() {
            left.push(group);
        }
    }

    /// Kills what runs and what is left.
    pub(crate) fn kill(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        for group in left.drain(..) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// How a program ended.
#[derive(Debug)]
pub(super) enum End {
    Exited(ExitStatus),
    TimedOut(Duration),
    Cancelled,
    Failed(String),
}

impl End {
    /// What is to be said of it; nothing of a success.
    pub(super) fn note(&self) -> Option<String> {
        Some(match self {
            Self::Exited(status) => match (status.code(), status.signal()) {
                (Some(0), _) => return None,
                (Some(code), _) => format!("[exit code {code}]"),
                (None, signal) => format!("[ended by signal {}]", signal.unwrap_or_default()),
            },
            Self::TimedOut(limit) => format!(
                "[stopped after {} s: the time limit; its processes were ended]",
                limit.as_secs()
            ),
            Self::Cancelled => "[cancelled; its processes were ended]".to_owned(),
            Self::Failed(error) => format!("[lost track of the command: {error}]"),
        })
    }
}

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    #[error("{0} cannot be started: {1}")]
    Failed(String, std::io::Error),
    #[error("not run: {0}")]
    Refused(String),
}

/// A program that runs.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) pipe: pipe::Receiver,
    /// Its process group.
    pub(super) group: Option<Pid>,
}

impl Running {
    /// Starts a program in the workspace.
    pub(super) fn start(
        context: &ToolContext<'_>,
        program: &[&str],
        may_write: bool,
    ) -> Result<Self, SpawnError> {
        let sandbox = context.guard.sandbox();
        let command = sandbox.command(context.workspace.roots(), program, may_write);
        let mut command = command.map_err(SpawnError::Refused)?;
        let name = program.first().copied().unwrap_or_default();
        let failed = |error| SpawnError::Failed(name.to_owned(), error);
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        prepare(&mut command);
        command
            .stdout(writer.try_clone().map_err(failed)?)
            .stderr(writer);
        let child = command.spawn().map_err(failed)?;
        // The command holds our writing ends; without it the pipe can end.
        drop(command);
        let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(failed)?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let group = id.and_then(Pid::from_raw);
        // Also when nobody is left to wait for its end.
        if let Some(group) = group {
            context.groups.remember(group);
        }
        Ok(Self { child, pipe, group })
    }

    /// Reads its output until it ends, or must.
    pub(super) async fn finish(
        mut self,
        limit: Duration,
        output: &mut HeadTail,
        context: &ToolContext<'_>,
    ) -> End {
        let end = self.follow(limit, output, context).await;
        if let Some(group) = self.group {
            match end {
                End::Exited(_) => {}
                End::TimedOut(_) | End::Cancelled | End::Failed(_) => {
                    end_group(group, &mut self.child).await;
                }
            }
            drain(self.pipe, |bytes| output.push(bytes)).await;
            context.groups.remember(group);
        }
        end
    }

    async fn follow(
        &mut self,
        limit: Duration,
        output: &mut HeadTail,
        context: &ToolContext<'_>,
    ) -> End {
        let deadline = Instant::now() + limit;
        let first = Instant::now() + PROGRESS_EVERY;
        let mut progress = tokio::time::interval_at(first, PROGRESS_EVERY);
        let mut buffer = vec![0; 16 * 1024];
        let mut open = true;
        let mut unshown = false;
        loop {
            tokio::select! {
                biased;
                () = context.cancel.cancelled() => return End::Cancelled,
                () = tokio::time::sleep_until(deadline) => return End::TimedOut(limit),
                status = self.child.wait() => return exited(status),
                _ = progress.tick(), if unshown => {
                    unshown = false;
                    (context.progress)(&output.text());
                }
                read = self.pipe.read(&mut buffer), if open => match read {
                    Ok(0) | Err(_) => open = false,
                    Ok(length) => {
                        output.push(buffer.get(..length).unwrap_or_default());
                        unshown = true;
                    }
                },
            }
        }
    }
}

pub(super) fn exited(status: std::io::Result<ExitStatus>) -> End {
    match status {
        Ok(status) => End::Exited(status),
        Err(error) => End::Failed(error.to_string()),
    }
}

fn prepare(command: &mut Command) {
    for secret in SECRETS {
        command.env_remove(secret);
    }
    command
        .stdin(Stdio::null())
        .process_group(0)
        .env("TERM", "dumb")
        .env("NO_COLOR", "1")
        .env("PAGER", "cat")
        .env("GIT_PAGER", "cat")
        .env("GIT_TERMINAL_PROMPT", "0");
}

/// What is in a pipe already, and what follows at once. What a process says
/// that stays is read on and forgotten: it would die of a closed pipe.
pub(super) async fn drain(mut pipe: pipe::Receiver, mut push: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 16 * 1024];
    let end = Instant::now() + DRAIN;
    loop {
        match tokio::time::timeout_at(end, pipe.read(&mut buffer)).await {
            Ok(Ok(length @ 1..)) => push(buffer.get(..length).unwrap_or_default()),
            Ok(Ok(0) | Err(_)) => return,
            Err(_) => break,
        }
    }
    tokio::spawn(async move {
        while pipe.read(&mut buffer).await.is_ok_and(|length| length > 0) {
            tokio::time::sleep(SIP).await;
        }
    });
}

/// Asks a group to end, and then makes it.
pub(super) async fn end_group(group: Pid, child: &mut Child) {
    let _ = kill_process_group(group, Signal::TERM);
    let _ = tokio::time::timeout(GRACE, child.wait()).await;
    let _ = kill_process_group(group, Signal::KILL);
    // Killed, it ends; unless the kernel holds it, for which nobody waits.
    let _ = tokio::time::timeout(GRACE, child.wait()).await;
}

/// Output with what is to be said of the end.
pub(super) fn with_note(mut text: String, note: Option<String>) -> String {
    if text.trim().is_empty() {
        return note.unwrap_or_else(|| "[no output]".to_owned());
    }
    if let Some(note) = note {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&note);
    }
    text
}
