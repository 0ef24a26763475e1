//! Tests of `bash` with real processes.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::process::Pid;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::guard::Guard;
use crate::tools::{Jobs, ProcessGroups};
use crate::workspace::Workspace;

struct Fixture {
    dir: tempfile::TempDir,
    workspace: Arc<Workspace>,
    groups: ProcessGroups,
    guard: Guard,
    jobs: Jobs,
    cancel: CancellationToken,
    progress: Mutex<Vec<String>>,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Arc::new(Workspace::open(dir.path()).unwrap());
        Self {
            dir,
            workspace,
            groups: ProcessGroups::default(),
            guard: Guard::open(),
            jobs: Jobs::default(),
            cancel: CancellationToken::new(),
            progress: Mutex::default(),
        }
    }

    async fn run(&self, command: &str, seconds: u64) -> ToolOutput {
        let context = ToolContext {
            workspace: &self.workspace,
            groups: &self.groups,
            guard: &self.guard,
            jobs: &self.jobs,
            call: "t",
            cancel: &self.cancel,
            progress: &|text| self.progress.lock().unwrap().push(text.to_owned()),
        };
        let bash = Bash {
            command: command.to_owned(),
            timeout_seconds: Some(seconds),
            background: false,
        };
        bash.run(&context).await
    }

    /// Whether a file has anything in it.
    fn holds(&self, name: &str) -> bool {
        let text = std::fs::read_to_string(self.dir.path().join(name));
        text.is_ok_and(|text| text.ends_with('\n'))
    }

    fn pid(&self, name: &str) -> Pid {
        let text = std::fs::read_to_string(self.dir.path().join(name)).unwrap();
        Pid::from_raw(text.trim().parse().unwrap()).unwrap()
    }
}

/// A process that is gone, or a zombie nobody has waited for.
fn has_ended(pid: Pid) -> bool {
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    match std::fs::read_to_string(stat) {
        Err(_) => true,
        Ok(stat) => stat
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z')),
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn output_keeps_its_order_and_the_exit_code_is_told() {
    let f = Fixture::new();
    let output = f
        .run("echo one; echo two >&2; echo three; exit 3", 10)
        .await;
    assert_eq!(output.text, "one\ntwo\nthree\n[exit code 3]");
    assert!(output.failed);
    let output = f.run("true", 10).await;
    assert_eq!(
        (output.text.as_str(), output.failed),
        ("[no output]", false)
    );
    let output = f.run("kill -9 $$", 10).await;
    assert_eq!(output.text, "[ended by signal 9]");
    let output = f.run("pwd; cat; echo ${SAM_MODEL_KEY-unset}", 10).await;
    let root = f.workspace.root().display().to_string();
    assert_eq!(
        output.text,
        format!("{root}\nunset\n"),
        "no input to wait for"
    );
}

#[tokio::test]
async fn endless_output_is_bounded_at_both_ends() {
    let f = Fixture::new();
    let output = f
        .run(
            "echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last",
            30,
        )
        .await;
    assert!(output.text.starts_with("first\n") && output.text.ends_with("last\n"));
    assert!(output.text.contains("bytes are left out") && output.text.len() < 2 * KEPT + 100);
}

#[tokio::test]
async fn the_time_limit_ends_the_whole_group_also_one_that_ignores_the_request() {
    let f = Fixture::new();
    let command = "trap '' TERM; echo begun; (trap '' TERM; echo $BASHPID > child; while :; do sleep 0.05; done) & \
        echo $$ > leader; wait; while :; do sleep 0.05; done";
    // A machine with much else to do takes longer to begin it.
    let begun = || ["leader", "child"].iter().all(|name| f.holds(name));
    let mut seconds = 1;
    let output = loop {
        let output = f.run(command, seconds).await;
        if begun() || seconds > 60 {
            break output;
        }
        seconds *= 4;
    };
    let stopped = format!("begun\n[stopped after {seconds} s");
    assert!(
        output.failed && output.text.contains(&stopped),
        "{}",
        output.text
    );
    until("leader", || has_ended(f.pid("leader"))).await;
    until("child", || has_ended(f.pid("child"))).await;
}

#[tokio::test]
async fn a_cancellation_ends_the_whole_group_at_once() {
    let f = Fixture::new();
    let cancelled = async {
        until("the child", || f.holds("child")).await;
        f.cancel.cancel();
        Instant::now()
    };
    let command = "sleep 1000 & echo $! > child.tmp; mv child.tmp child; wait";
    let (output, since) = tokio::join!(f.run(command, 600), cancelled);
    assert!(output.text.contains("[cancelled"), "{}", output.text);
    assert!(since.elapsed() < Duration::from_secs(60));
    until("child", || has_ended(f.pid("child"))).await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_stays_until_the_session_ends() {
    let f = Fixture::new();
    let started = Instant::now();
    let output = f.run("sleep 1000 & echo $! > child; echo up", 600).await;
    assert_eq!(output.text, "up\n");
    assert!(
        started.elapsed() < Duration::from_secs(300),
        "not waited for"
    );
    let child = f.pid("child");
    assert!(!has_ended(child));
    f.groups.kill();
    until("child", || has_ended(child)).await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_may_go_on_speaking() {
    let f = Fixture::new();
    let output = f
        .run(
            "(while echo said; do echo >> said; sleep 0.02; done) & echo $! > child; echo up",
            600,
        )
        .await;
    assert!(!output.failed, "{}", output.text);
    let said = || std::fs::read(f.dir.path().join("said")).map_or(0, |said| said.len());
    let before = said();
    until("more words", || said() > before + 3).await;
    f.groups.kill();
    until("child", || has_ended(f.pid("child"))).await;
}

#[tokio::test]
async fn a_slow_command_shows_its_output_so_far() {
    let f = Fixture::new();
    let go = f.dir.path().join("go");
    let show = async {
        until("progress", || !f.progress.lock().unwrap().is_empty()).await;
        std::fs::write(&go, "").unwrap();
    };
    let command = "echo working; until [ -e go ]; do sleep 0.02; done; echo done";
    let (output, ()) = tokio::join!(f.run(command, 60), show);
    assert_eq!(output.text, "working\ndone\n");
    assert_eq!(f.progress.lock().unwrap()[0], "working\n");
}

#[test]
fn titles_are_one_short_line() {
    let bash = Bash {
        command: format!("\nls {}\necho", "x".repeat(500)),
        timeout_seconds: None,
        background: false,
    };
    let title = bash.describe().title;
    assert!(title.starts_with("Run ls x") && title.len() < 170 && !title.contains('\n'));
    assert!(Path::new("/bin/bash").exists());
}
