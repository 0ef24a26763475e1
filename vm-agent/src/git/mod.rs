//! Git, as one runs it for somebody else.
//!
//! The git executable does the work; this module decides what it may see and
//! do. Invariants:
//! - Nobody's own configuration, hooks, credential helpers or terminal take
//!   part: each workspace has one configuration file of ours.
//! - Only `file`, `http` and `https`; no submodules; no external diff drivers.
//! - What a caller passes in never becomes an option: values that begin with a
//!   dash are refused before git starts.
//! - What git prints leaves this module redacted and bounded.
//! - Each run is supervised: aborting a job ends git and its helpers.
//!
//! - [`prepare`]: clone and check out, within bounds ([`clone`], [`tree`]).
//!   [`finish`]: commit, diff and push.

mod clone;
mod finish;
#[cfg(test)]
mod hostile_tests;
mod prepare;
mod repository;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use finish::{Finished, Leave, finish};
pub(crate) use prepare::{Mark, Wanted, prepare};

use crate::layout::Layout;
use crate::process::{Program, SpawnError, Supervised};
use crate::secret;
use crate::store::Store;
use crate::text::printable;
use std::ffi::OsString;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What every run is told: nobody's hooks, helpers, monitors or keys take part,
/// and a server that says nothing for minutes is given up.
const ALWAYS: [&str; 18] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "commit.gpgSign=false",
    "-c",
    "credential.helper=",
    "-c",
    "submodule.recurse=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "http.lowSpeedLimit=1",
    "-c",
    "http.lowSpeedTime=300",
];
/// How much is read at once.
const CHUNK: usize = 16 * 1024;
/// Most bytes of an answer that is read as a whole.
const ANSWER_LIMIT: usize = 1024 * 1024;
/// Most bytes of what git says about a failure.
const SAID_LIMIT: usize = 1500;

/// The code of a failure for want of room.
pub(crate) const DISK_FULL: &str = "disk_full";

/// Why a git job failed, in the words of the link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct GitFailure {
    /// A stable word.
    pub(crate) code: &'static str,
    /// What happened, redacted.
    pub(crate) message: String,
    /// What a person can do.
    pub(crate) hint: Option<String>,
}

impl GitFailure {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: printable(&secret::redact(&message.into())),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failure of the machine; a full disk has its own code.
    pub(crate) fn io(doing: &str, error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::StorageFull {
            return Self::disk_full();
        }
        Self::new("workspace_failed", format!("{doing} failed: {error}."))
    }

    pub(crate) fn disk_full() -> Self {
        Self::new(DISK_FULL, "The machine's disk is full.").hint(
            "Make room on the disk that holds the vm-agent's state directory, then try again.",
        )
    }
}

/// What a run printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    status: ExitStatus,
    stdout: Vec<u8>,
    /// Whether standard output went on beyond the limit.
    cut: bool,
    stderr: Vec<u8>,
}

impl Ran {
    pub(crate) fn ok(&self) -> bool {
        self.status.success()
    }

    /// Standard output, trimmed.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// The end of what it complained about, redacted and fit to be shown.
    pub(crate) fn said(&self) -> String {
        printable(&secret::tail(&complaint(&self.stderr), SAID_LIMIT))
    }

    /// The failure this run is, with `code` unless the disk is full.
    pub(crate) fn failure(&self, code: &'static str, what: &str) -> GitFailure {
        let said = self.said();
        if said.contains("No space left on device") {
            return GitFailure::disk_full();
        }
        GitFailure::new(code, format!("{what}: {said}"))
    }
}

/// Git for one workspace.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    store: Arc<Store>,
    layout: Layout,
    executable: PathBuf,
}

impl Git {
    /// Git for the workspace, with a configuration file of its own. Fails when
    /// git is not installed.
    pub(crate) fn new(
        store: &Arc<Store>,
        layout: &Layout,
        repository: &str,
    ) -> Result<Self, GitFailure> {
        let executable = crate::layout::find_executable("git", &[]).ok_or_else(|| {
            GitFailure::new("git_missing", "git is not installed on this machine.")
                .hint("Install git and make sure it is on the vm-agent's PATH.")
        })?;
        let config = layout.git_config();
        std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&config)
            .and_then(|mut file| {
                std::io::Write::write_all(&mut file, config_text(repository).as_bytes())
            })
            .map_err(|error| GitFailure::io("Writing git's configuration", &error))?;
        Ok(Self {
            store: Arc::clone(store),
            layout: layout.clone(),
            executable,
        })
    }

    /// Runs git in the workspace's folder or in its repository.
    pub(crate) async fn run(
        &self,
        directory: &Path,
        arguments: &[&str],
    ) -> Result<Ran, GitFailure> {
        self.run_bounded(directory, arguments, ANSWER_LIMIT).await
    }

    /// The same with a bound on standard output; git is ended at the bound.
    pub(crate) async fn run_bounded(
        &self,
        directory: &Path,
        arguments: &[&str],
        limit: usize,
    ) -> Result<Ran, GitFailure> {
        let mut stdout = Vec::new();
        let mut cut = false;
        let mut ran = self
            .each(directory, arguments, |bytes| {
                let room = limit.saturating_sub(stdout.len());
                cut = bytes.len() > room;
                stdout.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
                !cut
            })
            .await?;
        ran.stdout = stdout;
        ran.cut = cut;
        Ok(ran)
    }

    /// Runs git and hands out what it prints, piece by piece; git is ended when
    /// `take` has had enough.
    pub(super) async fn each(
        &self,
        directory: &Path,
        arguments: &[&str],
        take: impl FnMut(&[u8]) -> bool,
    ) -> Result<Ran, GitFailure> {
        let never = std::future::pending();
        let ran = self.conduct(directory, arguments, take, |_| {}, never);
        Ok(ran.await?.0)
    }

    /// Runs git, whose complaints are heard as they come, until `stop`, which
    /// ends it: then `None`.
    pub(super) async fn watch(
        &self,
        directory: &Path,
        arguments: &[&str],
        hear: impl FnMut(&[u8]),
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Ran>, GitFailure> {
        let ran = self.conduct(directory, arguments, |_| true, hear, stop);
        let (ran, stopped) = ran.await?;
        Ok((!stopped).then_some(ran))
    }

    /// One supervised run, and whether `stop` ended it.
    async fn conduct(
        &self,
        directory: &Path,
        arguments: &[&str],
        mut take: impl FnMut(&[u8]) -> bool,
        hear: impl FnMut(&[u8]),
        stop: impl Future<Output = ()>,
    ) -> Result<(Ran, bool), GitFailure> {
        let program = Program {
            workspace: self.layout.workspace().clone(),
            role: "git",
            executable: self.executable.clone(),
            arguments: ALWAYS.iter().chain(arguments).map(OsString::from).collect(),
            env: self.env(),
            directory: directory.to_owned(),
        };
        let mut child = Supervised::spawn(&self.store, &program).map_err(|error| match error {
            SpawnError::Io(error) => GitFailure::io("Starting git", &error),
            SpawnError::Store(error) if error.is_full() => GitFailure::disk_full(),
            SpawnError::Store(error) => GitFailure::new("workspace_failed", error.to_string()),
        })?;
        let Some((stdin, mut stdout, stderr)) = child.streams() else {
            return Err(GitFailure::new("workspace_failed", "git has no streams."));
        };
        drop(stdin);
        let (stderr, stopped) = {
            let reading = async {
                let output = async {
                    let mut chunk = vec![0; CHUNK];
                    while let Ok(n @ 1..) = stdout.read(&mut chunk).await {
                        if !take(chunk.get(..n).unwrap_or_default()) {
                            child.terminate();
                            break;
                        }
                    }
                    // Closed, so that a git that goes on printing does not wait for a reader.
                    drop(stdout);
                };
                tokio::join!(output, read_tail(stderr, hear)).1
            };
            tokio::pin!(reading);
            tokio::select! {
                stderr = &mut reading => (stderr, false),
                () = stop => {
                    child.terminate();
                    (reading.await, true)
                }
            }
        };
        let status = child
            .wait()
            .await
            .map_err(|error| GitFailure::io("Waiting for git", &error))?;
        let ran = Ran {
            status,
            stdout: Vec::new(),
            cut: false,
            stderr,
        };
        Ok((ran, stopped))
    }

    fn env(&self) -> Vec<(String, OsString)> {
        let mut env: Vec<(String, OsString)> = [
            "PATH",
            "http_proxy",
            "https_proxy",
            "HTTPS_PROXY",
            "no_proxy",
            "NO_PROXY",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?)))
        .collect();
        let mut set = |name: &str, value: OsString| env.push((name.to_owned(), value));
        set("HOME", self.layout.home().into());
        set("TMPDIR", self.layout.tmp().into());
        set("LC_ALL", "C".into());
        set("GIT_CONFIG_GLOBAL", self.layout.git_config().into());
        set("GIT_CONFIG_NOSYSTEM", "1".into());
        set("GIT_TERMINAL_PROMPT", "0".into());
        set("GIT_ASKPASS", "".into());
        set("GIT_ALLOW_PROTOCOL", "file:http:https".into());
        // No transport of ours uses it; should one lead there, it asks nobody.
        set("GIT_SSH_COMMAND", "ssh -oBatchMode=yes".into());
        set("GIT_OPTIONAL_LOCKS", "0".into());
        set("GIT_PAGER", "cat".into());
        env
    }
}

/// Our configuration: who commits where the repository names nobody, and that
/// the person's own repository may be read although another user may own it.
fn config_text(repository: &str) -> String {
    let quoted = repository.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = "[user]\n\tname = SAM\n\temail = sam@noreply.invalid\n\
        [init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
        .to_owned();
    if repository.starts_with('/') {
        text.push_str(&format!(
            "[safe]\n\tdirectory = \"{quoted}\"\n\tdirectory = \"{quoted}/.git\"\n"
        ));
    }
    text
}

/// Reads everything, tells `hear` of it, and keeps the end.
async fn read_tail(mut from: impl AsyncRead + Unpin, mut hear: impl FnMut(&[u8])) -> Vec<u8> {
    const KEEP: usize = 8 * 1024;
    let mut kept = Vec::new();
    let mut chunk = vec![0; 4096];
    while let Ok(n @ 1..) = from.read(&mut chunk).await {
        let piece = chunk.get(..n).unwrap_or_default();
        hear(piece);
        kept.extend_from_slice(piece);
        let excess = kept.len().saturating_sub(KEEP);
        kept.drain(..excess);
    }
    kept
}

/// What git printed without the progress that it overwrote and what it says of
/// every clone.
fn complaint(stderr: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in stderr.split(|byte| *byte == b'\n') {
        let shown = line
            .rsplit(|byte| *byte == b'\r')
            .find(|part| !part.is_empty())
            .unwrap_or_default();
        let text = String::from_utf8_lossy(shown);
        let is_noise = text.starts_with("Cloning into") || clone::progress(&text).is_some();
        if !is_noise {
            lines.extend_from_slice(shown);
            lines.push(b'\n');
        }
    }
    lines
}
