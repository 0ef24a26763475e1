//! Where an attempt happens: a directory of its own below the temporary one.
//!
//! | in it | what it is |
//! |---|---|
//! | `repository` | the fresh copy, a git repository of its own |
//! | `home`, `tmp` | the agent's |
//! | `records` | its transcript |
//! | `check` | the hidden check; it comes here when the agent is gone |
//! | `*.log` | what programs wrote |
//!
//! Invariant: while an agent runs, nothing of its task but the prompt and the
//! repository is in the place, and no path in its environment leads to the
//! suite.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use sam_domain::agents::{PASSED_ON, TOOLCHAINS};
use tokio::process::{Child, Command};

use super::suite::Task;

/// What setting up and checking may take.
const SCRIPT_LIMIT: Duration = Duration::from_secs(180);
/// How much of a log is told.
const TOLD: usize = 600;

/// A directory for one attempt.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    kept: bool,
}

impl Place {
    /// An empty one; below `keep` it stays, by this name.
    pub(super) fn new(keep: Option<&Path>, name: &str) -> io::Result<Self> {
        let root = match keep {
            Some(keep) => std::path::absolute(keep)?.join(name),
            None => std::env::temp_dir().join(format!("sam-eval-{}", unique()?)),
        };
        if keep.is_some() && root.exists() {
            fs::remove_dir_all(&root)?;
        }
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&root)?;
        let place = Self {
            root: root.canonicalize()?,
            kept: keep.is_some(),
        };
        for folder in ["repository", "home", "tmp", "records"] {
            fs::create_dir(place.root.join(folder))?;
        }
        Ok(place)
    }

    /// The agent's work directory.
    pub(super) fn repository(&self) -> PathBuf {
        self.root.join("repository")
    }

    /// Where the agent's transcript goes.
    pub(super) fn records(&self) -> PathBuf {
        self.root.join("records")
    }

    /// A log to write, by this name.
    pub(super) fn log(&self, name: &str) -> io::Result<File> {
        File::create(self.root.join(format!("{name}.log")))
    }

    /// The end of a log, on one line.
    pub(super) fn told(&self, name: &str) -> Option<String> {
        let bytes = fs::read(self.root.join(format!("{name}.log"))).ok()?;
        let tail = bytes.get(bytes.len().saturating_sub(TOLD)..)?;
        let text = String::from_utf8_lossy(tail);
        let text: Vec<&str> = text.split_whitespace().collect();
        (!text.is_empty()).then(|| text.join(" "))
    }

    /// Makes the repository as the task has it; its last commit.
    pub(super) async fn prepare(&self, task: &Task) -> Result<String, String> {
        let repository = self.repository();
        copy(&task.dir.join("repository"), &repository).map_err(failed)?;
        for words in [
            &["init", "-q", "-b", "main"][..],
            &["config", "user.name", "Eval"],
            &["config", "user.email", "eval@noreply.invalid"],
            // A collection in the background would outlive the attempt.
            &["config", "gc.auto", "0"],
            &["add", "-A"],
            &["commit", "-q", "--allow-empty", "-m", "Start"],
        ] {
            self.git(words).await?;
        }
        let setup = task.dir.join("setup.sh");
        if setup.exists() {
            let status = self.script("setup", &setup, &[]).await?;
            if !status.success() {
                let said = self.told("setup").unwrap_or_default();
                return Err(format!("its setup failed: {said}"));
            }
        }
        Ok(self.git(&["rev-parse", "HEAD"]).await?.trim().to_owned())
    }

    /// Puts the reference solution into the repository.
    pub(super) async fn solve(&self, task: &Task) -> Result<(), String> {
        let files = task.dir.join("solution");
        if files.is_dir() {
            copy(&files, &self.repository()).map_err(failed)?;
        }
        let script = task.dir.join("solution.sh");
        if !script.exists() {
            return Ok(());
        }
        match self.script("solution", &script, &[]).await?.success() {
            true => Ok(()),
            false => Err(format!(
                "its solution failed: {}",
                self.told("solution").unwrap_or_default()
            )),
        }
    }

    /// Whether the hidden check succeeds, in a repository that began at `base`.
    pub(super) async fn check(&self, task: &Task, base: &str) -> Result<bool, String> {
        let check = self.root.join("check");
        fs::create_dir(&check).map_err(failed)?;
        let files = task.dir.join("check");
        if files.is_dir() {
            copy(&files, &check).map_err(failed)?;
        }
        let env = [
            ("BASE", OsString::from(base)),
            ("CHECK", check.into_os_string()),
        ];
        let script = task.dir.join("check.sh");
        Ok(self.script("check", &script, &env).await?.success())
    }

    /// Runs a script of the task's in the repository, to its end or its limit.
    async fn script(
        &self,
        log: &str,
        script: &Path,
        env: &[(&str, OsString)],
    ) -> Result<ExitStatus, String> {
        let mut command = self.command("sh");
        command.arg("-e").arg(script);
        command.envs(env.iter().map(|(name, value)| (name, value)));
        let log = self.log(log).map_err(failed)?;
        command.stdout(log.try_clone().map_err(failed)?).stderr(log);
        let mut running = Group::spawn(&mut command).map_err(failed)?;
        match tokio::time::timeout(SCRIPT_LIMIT, running.child.wait()).await {
            Ok(status) => status.map_err(failed),
            Err(_) => {
                running.signal(Signal::KILL);
                running.child.wait().await.map_err(failed)
            }
        }
    }

    async fn git(&self, words: &[&str]) -> Result<String, String> {
        let ran = self.command("git").args(words).output().await;
        let output = ran.map_err(failed)?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!(
                "git {} failed: {}",
                words.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            )),
        }
    }

    /// A command in the repository, in a process group of its own, with
    /// nothing of the person's environment but where programs are.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.repository())
            .env_clear()
            .envs(self.environment())
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// The agent's home.
    pub(super) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let home = self.home();
        let mut env: Vec<(&str, OsString)> = PASSED_ON
            .iter()
            .filter_map(|name| Some((*name, std::env::var_os(name)?)))
            .collect();
        let persons_home = std::env::var_os("HOME").map(PathBuf::from);
        env.extend(TOOLCHAINS.iter().filter_map(|(name, below)| {
            let found = || Some(persons_home.as_ref()?.join(below)).filter(|path| path.is_dir());
            Some((
                *name,
                std::env::var_os(name).or_else(|| found().map(OsString::from))?,
            ))
        }));
        env.extend([
            ("HOME", home.clone().into_os_string()),
            ("TMPDIR", self.root.join("tmp").into_os_string()),
            ("XDG_CONFIG_HOME", home.join(".config").into_os_string()),
            ("XDG_DATA_HOME", home.join(".local/share").into_os_string()),
            ("XDG_STATE_HOME", home.join(".local/state").into_os_string()),
            ("XDG_CACHE_HOME", home.join(".cache").into_os_string()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
        ]);
        env
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept {
            // What an agent made unremovable stays in the temporary folder.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// A program and whatever it leaves behind in its process group, which ends
/// with this value.
#[derive(Debug)]
pub(super) struct Group {
    /// The program.
    pub(super) child: Child,
    leader: Option<Pid>,
}

impl Group {
    /// Starts a [`Place::command`].
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self {
            child,
            leader: leader.and_then(Pid::from_raw),
        })
    }

    /// Tells all of it something.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn failed(error: io::Error) -> String {
    error.to_string()
}

fn unique() -> io::Result<String> {
    let mut entropy = [0_u8; 16];
    getrandom::fill(&mut entropy).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(ulid::Ulid::from_bytes(entropy).to_string())
}

/// Copies a folder's files over another's, modes included.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            // A suite may lie on a read-only disk.
            let mode = fs::metadata(&target)?.permissions().mode();
            fs::set_permissions(&target, fs::Permissions::from_mode(mode | 0o600))?;
        }
    }
    Ok(())
}
