//! Other programs of this machine: where they are, and what they say.

use crate::args::runner::Programs;
use crate::error::Failure;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long a program may take to say something of itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a program said.
#[derive(Debug)]
pub(super) struct Said {
    /// Whether it ended well.
    pub(super) ok: bool,
    /// Its standard output.
    pub(super) out: String,
    /// Its standard error.
    pub(super) err: String,
}

impl Said {
    /// The first line of its output.
    pub(super) fn line(&self) -> &str {
        self.out.lines().next().unwrap_or_default().trim()
    }

    /// The last line of its complaints, without secrets.
    pub(super) fn complaint(&self) -> String {
        let line = self.err.lines().rfind(|line| !line.trim().is_empty());
        crate::secret::scrub(line.unwrap_or("it said nothing").trim())
    }
}

/// Runs a program to its end, with nothing on its standard input; none when it
/// cannot be started or takes too long.
pub(super) async fn ask(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<Said> {
    let mut command = Command::new(program);
    command.args(arguments);
    said(&mut command, PATIENCE).await.ok()
}

/// The same for a command that is ready, and with why it could not be run.
pub(super) async fn said(command: &mut Command, within: Duration) -> std::io::Result<Said> {
    let ended = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?
        .wait_with_output();
    let output = tokio::time::timeout(within, ended)
        .await
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    Ok(Said {
        ok: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A program beside this one, else in `PATH`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| Some(own.parent()?.join(name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(std::env::split_paths(&path).map(|folder| folder.join(name)))
        .find(|file| is_program(file))
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

/// The vm-agent: the one that was named, else the one that is found.
pub(super) fn vm_agent(programs: &Programs) -> Result<PathBuf, Failure> {
    match &programs.vm_agent {
        Some(named) if is_program(named) => std::path::absolute(named)
            .map_err(|error| Failure::local("The vm-agent's path is wrong", &error)),
        Some(named) => Err(Failure::not_ready(
            format!("{} is no program.", named.display()),
            "Name the file `sam-vm-agent`, which must be executable.",
        )),
        None => find("sam-vm-agent").ok_or_else(|| {
            Failure::not_ready(
                "There is no vm-agent on this machine.",
                "Install `sam-vm-agent` beside `sam` or in PATH, or name it with --vm-agent.",
            )
        }),
    }
}
