//! Starting a program under the supervisor.

use super::table::{self, MARK};
use crate::store::{ProcessRecord, Store, StoreError};
use rustix::process::Signal;
use sam_domain::id::WorkspaceId;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// How long sweeping up may take.
const SWEEP_LIMIT: Duration = Duration::from_secs(10);

/// A program to start. Its environment is exactly `env` and the mark.
#[derive(Debug)]
pub(crate) struct Program {
    /// The workspace it works for.
    pub(crate) workspace: WorkspaceId,
    /// What it is there, in a word; part of its mark.
    pub(crate) role: &'static str,
    /// The executable, absolute.
    pub(crate) executable: PathBuf,
    /// Its arguments; never a secret, for everyone can read them.
    pub(crate) arguments: Vec<OsString>,
    /// Its whole environment.
    pub(crate) env: Vec<(String, OsString)>,
    /// Where it runs.
    pub(crate) directory: PathBuf,
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// The kernel refused.
    #[error("the supervisor cannot be started: {0}")]
    Io(#[from] std::io::Error),
    /// It could not be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A running program. Dropping it kills it and everything it started.
#[derive(Debug)]
pub(crate) struct Supervised {
    child: Child,
    pid: i32,
    store: Arc<Store>,
}

impl Supervised {
    /// Starts a program with pipes on all three streams.
    pub(crate) fn spawn(store: &Arc<Store>, program: &Program) -> Result<Self, SpawnError> {
        let child = Command::new(supervisor()?)
            .arg("supervise")
            .arg("--parent")
            .arg(std::process::id().to_string())
            .arg("--")
            .arg(&program.executable)
            .args(&program.arguments)
            .env_clear()
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .env(
                MARK,
                format!(
                    "{}.{}.{}",
                    store.store_id(),
                    program.workspace,
                    program.role
                ),
            )
            .current_dir(&program.directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .unwrap_or(0);
        let supervised = Self {
            child,
            pid,
            store: Arc::clone(store),
        };
        if let Some(started) = table::started(pid) {
            store.add_process(&program.workspace, &ProcessRecord { pid, started })?;
        }
        Ok(supervised)
    }

    /// Its standard streams, once.
    pub(crate) fn streams(&mut self) -> Option<(ChildStdin, ChildStdout, ChildStderr)> {
        Some((
            self.child.stdin.take()?,
            self.child.stdout.take()?,
            self.child.stderr.take()?,
        ))
    }

    /// Waits for its end. May be called again after being cancelled.
    pub(crate) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Everything that runs below its supervisor, itself included.
    pub(crate) fn below(&self) -> BTreeSet<i32> {
        table::descendants(&[self.pid])
    }

    /// Asks it to end; the supervisor sees to it that it does within seconds.
    pub(crate) fn terminate(&self) {
        if self.child.id().is_some() {
            table::signal(self.pid, Signal::TERM);
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if self.child.id().is_some() {
            // The supervisor must live to do its work, so what runs below it is
            // killed first; it then ends by itself.
            for pid in table::descendants(&[self.pid]) {
                table::signal(pid, Signal::KILL);
            }
            table::signal(self.pid, Signal::TERM);
        }
        if let Err(error) = self.store.remove_process(self.pid) {
            crate::log::warning!("cannot forget process {}: {error}", self.pid);
        }
    }
}

/// This same program; what runs, when its file was replaced by another since it started.
#[cfg(not(test))]
fn supervisor() -> std::io::Result<PathBuf> {
    let file = std::env::current_exe()?;
    let running = PathBuf::from("/proc/self/exe");
    Ok(if !file.exists() && running.exists() {
        running
    } else {
        file
    })
}

/// The program beside the unit tests, which are no supervisor themselves.
#[cfg(test)]
fn supervisor() -> std::io::Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let target = tests.parent().and_then(std::path::Path::parent);
    Ok(target
        .map(|dir| dir.join("sam-vm-agent"))
        .unwrap_or_default())
}

/// Kills what an earlier run left behind. Returns how many processes that were.
pub(crate) fn sweep(store: &Store) -> Result<usize, StoreError> {
    let mut known = Vec::new();
    for process in store.processes()? {
        if table::started(process.pid) == Some(process.started) {
            known.push(process.pid);
        }
        store.remove_process(process.pid)?;
    }
    let mut below = table::descendants(&known);
    below.extend(&known);
    for pid in &below {
        table::signal(*pid, Signal::KILL);
    }
    let prefix = format!("{}.", store.store_id());
    let marked = table::kill_all(SWEEP_LIMIT, || table::marked(&prefix));
    Ok(marked.max(below.len()))
}

/// Kills what a workspace's programs of one role left behind although their
/// supervisor is gone.
pub(crate) fn sweep_role(store: &Store, workspace: &WorkspaceId, role: &str) -> usize {
    let mark = format!("{}.{workspace}.{role}", store.store_id());
    table::kill_all(SWEEP_LIMIT, || table::marked(&mark))
}

/// How a program ended, in a few words. The supervisor handles three signals
/// itself and so cannot end by them; it then ends with 128 and the number.
pub(crate) fn describe_exit(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    let handled = [Signal::HUP, Signal::INT, Signal::TERM].map(|signal| 128 + signal.as_raw());
    match (status.code(), status.signal()) {
        (Some(code), _) if handled.contains(&code) => format!("killed by signal {}", code - 128),
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
