//! The supervisor: one program, and the end of everything it started.
//!
//! It is the parent that cannot be escaped: a program that detaches itself is
//! adopted by its nearest subreaper, which is this process. It ends
//! - when the program ends: what is left below is killed, and this process ends
//!   the same way (same status, or by the same signal);
//! - on SIGTERM: the program gets SIGTERM and [`GRACE`], then everything is killed;
//! - when its own parent is gone: everything is killed at once.
//!
//! It reads nothing and writes nothing but a line when the program cannot be
//! started; standard streams pass through untouched.

use super::table;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, WaitStatus};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);
/// How long killing may take; only a process stuck in the kernel needs longer.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How often it is looked whether the parent is there, where nothing tells.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Status when the program could not be started, as shells have it.
const NOT_STARTED: i32 = 127;
/// Status when this process could not do its job.
const NOT_SUPERVISED: i32 = 125;

/// Runs `command` for the process `parent`. Returns this process's exit status.
pub(crate) fn run(parent: i32, command: &[OsString]) -> i32 {
    let own = rustix::process::getpid();
    if let Err(error) = rustix::process::set_child_subreaper(Some(own)) {
        eprintln!("sam-vm-agent supervise: cannot adopt orphans: {error}");
        return NOT_SUPERVISED;
    }
    table::set_supervising();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(supervise(parent, command)),
        Err(error) => Err(error),
    };
    let own_pid = own.as_raw_nonzero().get();
    table::kill_all(KILL_LIMIT, || table::descendants(&[own_pid]));
    match ended {
        Ok(Some(status)) => end_like(own, status),
        Ok(None) => end_by(own, Signal::KILL),
        Err(error) => {
            eprintln!("sam-vm-agent supervise: {error}");
            NOT_STARTED
        }
    }
}

/// Waits for the end. `None`: the parent is gone.
async fn supervise(parent: i32, command: &[OsString]) -> std::io::Result<Option<WaitStatus>> {
    let Some(parent) = Pid::from_raw(parent) else {
        return Ok(None);
    };
    // Opened before the check: a parent that dies in between is noticed either way.
    let handle = rustix::process::pidfd_open(parent, PidfdFlags::NONBLOCK).ok();
    let is_parent = || rustix::process::getppid() == Some(parent);
    if !is_parent() {
        return Ok(None);
    }
    #[expect(
        deprecated,
        reason = "it gave way to an unsafe one; an OwnedFd keeps the promise that one asks for"
    )]
    let handle = handle
        .map(|fd| AsyncFd::with_interest(fd, Interest::READABLE))
        .transpose()?;
    let gone = async {
        match &handle {
            Some(handle) => handle.readable().await.map(drop),
            // A kernel without such handles: an orphan has another parent.
            None => {
                while is_parent() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Ok(())
            }
        }
    };
    tokio::pin!(gone);
    let mut children = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Only the vm-agent decides; a Ctrl-C or a closed terminal is its business.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;

    let Some((program, arguments)) = command.split_first() else {
        return Err(std::io::Error::other("no program is given"));
    };
    let child = std::process::Command::new(program)
        .args(arguments)
        .process_group(0)
        .spawn()
        .map_err(|error| {
            std::io::Error::other(format!(
                "{} cannot be started: {error}",
                std::path::Path::new(program).display()
            ))
        })?;
    let pid = i32::try_from(child.id()).unwrap_or(0);
    let mut deadline = None;
    loop {
        let expired = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = children.recv() => {
                if let Some(status) = reap(pid) {
                    return Ok(Some(status));
                }
            }
            _ = &mut gone => return Ok(None),
            _ = terminate.recv() => {
                table::signal(pid, Signal::TERM);
                deadline.get_or_insert(tokio::time::Instant::now() + GRACE);
            }
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
            () = expired => {
                table::signal(pid, Signal::KILL);
                deadline = None;
            }
        }
    }
}

/// Reaps everything that ended; returns the program's status if it is among it.
fn reap(program: i32) -> Option<WaitStatus> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == program {
            ended = Some(status);
        }
    }
    ended
}

/// Ends as the program did, so that whoever waits for this process learns how.
fn end_like(own: Pid, status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(number)) => match Signal::from_named_raw(number) {
            Some(signal) => end_by(own, signal),
            None => 128 + number,
        },
        (None, None) => NOT_SUPERVISED,
    }
}

/// Ends by a signal, without a core file of this process.
fn end_by(own: Pid, signal: Signal) -> i32 {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    let _ = rustix::process::kill_process(own, signal);
    // Reached when this process handles or ignores that signal.
    128 + signal.as_raw()
}
