//! A pager for what is longer than a screen.
//!
//! While one is open, the program's stdout is the pager's stdin; everything
//! that prints goes there without knowing. Ctrl-C is the pager's then, because
//! a shell that came back while it still draws would fight it for the terminal.

use crate::error::Exit;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The pager when nobody chose one: `less`, which ends by itself where all fits on the screen,
/// passes colours and leaves what it showed.
const USUAL: &str = "less";
const USUAL_FLAGS: &str = "FRX";

/// Whether somebody reads what is printed in a pager.
static OPEN: AtomicBool = AtomicBool::new(false);

/// An open pager. Dropping it waits until it ends.
#[derive(Debug)]
pub(crate) struct Pager {
    child: Child,
    /// What stdout was before.
    terminal: OwnedFd,
    /// As long as it is there, Ctrl-C does not end this program.
    _interrupts: Signal,
}

/// The pager that is wished for; none where it is none.
fn wished() -> Option<String> {
    let chosen = ["SAM_PAGER", "PAGER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    let command = chosen.unwrap_or_else(|| USUAL.to_owned());
    let command = command.trim();
    // `cat` is how one says "none" to every program that pages.
    (!command.is_empty() && command != "cat").then(|| command.to_owned())
}

impl Pager {
    /// Opens the pager that is wished for. Where there is none, or it does not
    /// start, what is printed goes to the terminal as ever.
    pub(crate) fn open() -> Option<Self> {
        let wished = wished()?;
        if OPEN.load(Ordering::Relaxed) {
            return None;
        }
        let interrupts = signal(SignalKind::interrupt()).ok()?;
        let terminal = rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 0).ok()?;
        // By a shell, because a pager comes with arguments.
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!(
                "command -v {} >/dev/null || exec cat\n{wished}",
                first_word(&wished)
            ),
        ]);
        for (name, value) in [("LESS", USUAL_FLAGS), ("LV", "-c")] {
            if std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        let mut child = command.stdin(Stdio::piped()).spawn().ok()?;
        let input = child.stdin.take()?;
        if rustix::stdio::dup2_stdout(&input).is_err() {
            drop(input);
            let _ = child.wait();
            return None;
        }
        OPEN.store(true, Ordering::Relaxed);
        Some(Self {
            child,
            terminal,
            _interrupts: interrupts,
        })
    }
}

/// The program of a shell's command line, as long as it is a plain word.
fn first_word(command: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    let word = command.split_whitespace().next().unwrap_or_default();
    if word.chars().all(plain) { word } else { "sh" }
}

/// From here on Ctrl-C ends this program again, at its next wait; what came before does not count.
pub(crate) fn ends_by_interrupt() {
    if let Ok(mut interrupts) = signal(SignalKind::interrupt()) {
        tokio::spawn(async move {
            interrupts.recv().await;
            std::process::exit(i32::from(Exit::Detached.code()));
        });
    }
}

/// Whether what is printed goes to a pager, which may end before it has read all: it was enough then.
pub(crate) fn is_open() -> bool {
    OPEN.load(Ordering::Relaxed)
}

impl Drop for Pager {
    fn drop(&mut self) {
        let _ = std::io::stdout().flush();
        // Its end of the pipe was stdout alone, so that it now sees the end of the text.
        let _ = rustix::stdio::dup2_stdout(&self.terminal);
        let _ = self.child.wait();
        ends_by_interrupt();
        OPEN.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pagers_program_is_its_first_word() {
        for (command, word) in [
            ("less -R", "less"),
            ("/usr/bin/most", "/usr/bin/most"),
            ("X=1 less", "sh"),
            ("$(which less)", "sh"),
        ] {
            assert_eq!(first_word(command), word, "{command}");
        }
    }
}
