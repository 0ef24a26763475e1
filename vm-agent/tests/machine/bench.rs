//! A machine with the program on it, made for one test.
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use crate::common::{PROGRAM, alive, file, kill, wait_until};
use crate::plane::{JOIN_TOKEN, Plane};
use rustix::process::Signal;
use sam_domain::id::WorkspaceId;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A machine: a state directory, agents, a repository, and the program on it.
pub(crate) struct Machine {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) program: Option<Child>,
    /// Seconds of silence after which an agent hangs, where a test cannot wait for minutes.
    pub(crate) agent_silence: Option<u32>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).expect("bin");
        let here = std::env::current_exe().expect("the test");
        let target = here.parent().and_then(Path::parent).expect("target");
        for agent in ["sam-harness", "goose"] {
            std::os::unix::fs::symlink(target.join("examples/scripted-agent"), bin.join(agent))
                .expect("agent");
        }
        let machine = Self {
            dir,
            program: None,
            agent_silence: None,
        };
        let origin = machine.origin();
        std::fs::create_dir(&origin).expect("origin");
        git(&origin, &["init", "-q", "-b", "main"]);
        std::fs::write(origin.join("a.txt"), "one\n").expect("file");
        git(&origin, &["add", "--all"]);
        git(
            &origin,
            &[
                "-c",
                "user.name=P",
                "-c",
                "user.email=p@example.invalid",
                "commit",
                "-q",
                "-m",
                "first",
            ],
        );
        machine
    }

    pub(crate) fn origin(&self) -> PathBuf {
        self.dir.path().join("origin")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        file(&self.dir, name)
    }

    pub(crate) fn command(&self, plane: &Plane) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(["run", "--url", &plane.url, "--name", "test", "--state-dir"])
            .arg(self.state())
            .arg("--agent-path")
            .arg(self.dir.path().join("bin"))
            .env("SAM_JOIN_TOKEN", JOIN_TOKEN)
            // What nobody here answers is over soon.
            .env("SAM_PERMISSION_WAIT", "1")
            .env("CANARY_OF_THE_HOST", "canary-of-the-host")
            .stdin(Stdio::null());
        if let Some(seconds) = self.agent_silence {
            command.env("SAM_AGENT_SILENCE", seconds.to_string());
        }
        command
    }

    pub(crate) fn start(&mut self, plane: &Plane) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.file("log"))
            .expect("log");
        let child = self.command(plane).stderr(log).spawn().expect("starts");
        self.program = Some(child);
        let before = plane.see().hellos;
        wait_until("the link is up", || plane.see().hellos > before);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.as_ref().expect("running").id()
    }

    pub(crate) fn kill(&mut self) {
        let mut program = self.program.take().expect("running");
        kill(program.id(), Signal::KILL);
        program.wait().expect("reaped");
    }

    pub(crate) fn workspace_dir(&self, workspace: &WorkspaceId) -> PathBuf {
        self.state().join("workspaces").join(workspace.to_string())
    }

    /// A prepared workspace with a running agent.
    pub(crate) fn ready(&self, plane: &Plane) -> (WorkspaceId, sam_domain::id::AgentSessionId) {
        let workspace: WorkspaceId = plane.mint();
        plane.done(&plane.prepare(&workspace, &self.origin().to_string_lossy()));
        let (agent, command) = plane.start_agent(&workspace, "sam-harness");
        plane.done(&command);
        (workspace, agent)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut program) = self.program.take() {
            let _ = program.kill();
            let _ = program.wait();
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
            eprintln!("--- what the vm-agent said\n{log}---");
        }
    }
}

pub(crate) fn git(dir: &Path, arguments: &[&str]) -> String {
    let out = Command::new("git")
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git runs");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

pub(crate) fn expect(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter()
        .map(|(kind, text)| ((*kind).to_owned(), (*text).to_owned()))
        .collect()
}

/// Everything a process and its descendants are, by the mark in their environment.
pub(crate) fn marked(state: &Path) -> Vec<u32> {
    let text = state.to_string_lossy().into_owned();
    std::fs::read_dir("/proc")
        .expect("proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| alive(*pid))
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|env| String::from_utf8_lossy(&env).contains(&text))
        })
        .collect()
}
