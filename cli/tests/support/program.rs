//! The real binary in an environment of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Longest any run may take.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A token that must never show.
pub const TOKEN: &str = "sam_ses_canaryCANARY0123456789canaryCANARY012345678";

/// A machine with an empty home.
pub struct Program {
    pub home: TempDir,
    pub url: String,
    executable: PathBuf,
    folder: Option<TempDir>,
    env: Vec<(String, String)>,
}

/// What a run printed and returned.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// Not signed in; the server's address comes from the environment.
    pub fn new(url: &str) -> Self {
        Self {
            home: tempfile::tempdir().expect("a temporary directory"),
            url: url.to_owned(),
            executable: PathBuf::from(env!("CARGO_BIN_EXE_sam")),
            folder: None,
            env: vec![("SAM_API_URL".to_owned(), url.to_owned())],
        }
    }

    /// With a token in the environment.
    pub fn signed_in(url: &str) -> Self {
        Self::new(url).env("SAM_API_TOKEN", TOKEN)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same program in another folder, where nothing else was built.
    pub fn alone(mut self) -> Self {
        let folder = tempfile::Builder::new()
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a temporary directory");
        // A link and no copy: what was just written cannot always be run.
        let binary = folder.path().join("sam");
        std::fs::hard_link(&self.executable, &binary).expect("linked");
        self.executable = binary;
        self.folder = Some(folder);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.env.retain(|(n, _)| n != name);
        self
    }

    /// The same program under another name of its own, which it may replace.
    pub fn installed_at(mut self, path: &Path) -> Self {
        // A link, because a copy could be held open by whatever else this process starts just then.
        std::fs::hard_link(&self.executable, path).expect("a link in the same file system");
        path.clone_into(&mut self.executable);
        self
    }

    pub fn config(&self) -> PathBuf {
        self.home.path().join("sam").join("config.json")
    }

    /// The command, ready to run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(arguments)
            .env_clear()
            // Where the program, compiled for tests, leaves the counts of its lines.
            .envs(std::env::var_os("LLVM_PROFILE_FILE").map(|to| ("LLVM_PROFILE_FILE", to)))
            .env("XDG_CONFIG_HOME", self.home.path())
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs to the end.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "").await
    }

    /// Runs to the end with something on stdin. Nothing it prints may show a
    /// secret unless handing one out is what it is for.
    pub async fn run_with(&self, arguments: &[&str], stdin: &str) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        // A program that reads nothing closes its end; that is its business.
        let _ = pipe.write_all(stdin.as_bytes()).await;
        drop(pipe);
        let output = tokio::time::timeout(DEADLINE, child.wait_with_output())
            .await
            .expect("the program ends in time")
            .expect("the program ran");
        let ran = Ran {
            code: output.status.code().expect("an exit code"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        };
        assert!(!ran.stdout.contains(TOKEN), "{ran:?}");
        assert!(!ran.stderr.contains(TOKEN), "{ran:?}");
        ran
    }
}

impl Ran {
    /// Compares code and stdout as a whole.
    pub fn expect(&self, code: i32, stdout: &str) {
        assert_eq!(
            (self.code, self.stdout.as_str()),
            (code, stdout),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
    }

    /// Compares code and stderr as a whole, with nothing on stdout.
    pub fn expect_error(&self, code: i32, stderr: &str) {
        assert_eq!(
            (self.code, self.stdout.as_str(), self.stderr.as_str()),
            (code, "", stderr)
        );
    }
}
