//! The supervisor against programs that do not want to end.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use common::{PROGRAM, alive, file, kill, number_in, wait_until};
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

fn supervised(script: &str) -> Child {
    Command::new(PROGRAM)
        .args([
            "supervise",
            "--parent",
            &std::process::id().to_string(),
            "--",
        ])
        .args(["/bin/sh", "-c", script])
        .stdin(Stdio::null())
        .spawn()
        .expect("starts")
}

fn status(script: &str) -> ExitStatus {
    supervised(script).wait().expect("ends")
}

#[test]
fn it_ends_as_the_program_did() {
    assert_eq!(status("exit 0").code(), Some(0));
    assert_eq!(status("exit 7").code(), Some(7));
    assert_eq!(status("kill -9 $$").signal(), Some(9));
    // Signals it handles itself are told as shells tell them.
    assert_eq!(status("kill -TERM $$").code(), Some(128 + 15));
    let missing = Command::new(PROGRAM)
        .args(["supervise", "--parent", &std::process::id().to_string()])
        .args(["--", "/nowhere/at/all"])
        .output()
        .expect("ends");
    assert_eq!(missing.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere/at/all"));
}

#[test]
fn what_a_program_leaves_behind_ends_with_it() {
    let dir = tempfile::tempdir().expect("dir");
    let pids = [
        file(&dir, "plain"),
        file(&dir, "detached"),
        file(&dir, "deep"),
    ];
    let script = format!(
        "sleep 1000 & echo $! > {}; \
         setsid sh -c 'echo $$ > {}; trap \"\" TERM HUP; while :; do sleep 1000; done' & \
         setsid sh -c 'setsid sh -c \"echo \\$\\$ > {}; exec sleep 1000\" & exit' & \
         while ! [ -s {} ] || ! [ -s {} ]; do sleep 0.01; done; exit 3",
        pids[0].display(),
        pids[1].display(),
        pids[2].display(),
        pids[1].display(),
        pids[2].display(),
    );
    assert_eq!(status(&script).code(), Some(3));
    for pid in pids {
        assert!(!alive(number_in(&pid)), "{}", pid.display());
    }
}

#[test]
fn asked_to_end_it_ends_even_a_program_that_ignores_it() {
    let dir = tempfile::tempdir().expect("dir");
    let pid = file(&dir, "pid");
    let script = format!(
        "trap '' TERM; echo $$ > {}; while :; do sleep 1000; done",
        pid.display()
    );
    let mut supervisor = supervised(&script);
    let program = number_in(&pid);
    kill(supervisor.id(), Signal::TERM);
    let status = supervisor.wait().expect("ends");
    assert_eq!(status.signal(), Some(9));
    assert!(!alive(program));
}

#[test]
fn when_its_parent_is_killed_everything_ends() {
    let dir = tempfile::tempdir().expect("dir");
    let (program, supervisor) = (file(&dir, "program"), file(&dir, "supervisor"));
    let script = format!(
        "'{PROGRAM}' supervise --parent $$ -- /bin/sh -c \
         'echo $PPID > {}; echo $$ > {}; setsid sleep 1000 & wait' & wait",
        supervisor.display(),
        program.display(),
    );
    let mut parent = Command::new("/bin/sh")
        .args(["-c", &script])
        .spawn()
        .expect("starts");
    let (program, supervisor) = (number_in(&program), number_in(&supervisor));
    assert!(alive(program) && alive(supervisor));
    kill(parent.id(), Signal::KILL);
    parent.wait().expect("reaped");
    wait_until("the program is gone", || !alive(program));
    wait_until("the supervisor is gone", || !alive(supervisor));
}

#[test]
fn a_parent_that_is_gone_before_it_begins_is_noticed() {
    let mut gone = Command::new("/bin/true").spawn().expect("starts");
    let pid = gone.id();
    gone.wait().expect("ends");
    let status = Command::new(PROGRAM)
        .args([
            "supervise",
            "--parent",
            &pid.to_string(),
            "--",
            "/bin/sleep",
            "1000",
        ])
        .status()
        .expect("ends");
    assert_eq!(status.signal(), Some(9));
}
