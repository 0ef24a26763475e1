//! Programs that a test starts, and ends by their process id.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Result, failure};

/// How long a program may take to stop when asked.
const STOPS_WITHIN: Duration = Duration::from_secs(60);
/// How often an ending program is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running program. Dropping it stops it: politely, then by force.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a program in a process group of its own. What it writes to stderr goes to
    /// `<logs>/<name>.log`, which a restart continues. Its stdin stays open until it is stopped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, mut command: Command, logs: &Path) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let log = logs.join(format!("{name}.log"));
        let stderr = File::options().create(true).append(true).open(&log)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .map_err(|error| failure(format!("{name} does not start: {error}")))?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            // Read to the end, so that the program never waits for its reader.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout)
                    .lines()
                    .map_while(std::io::Result::ok)
                {
                    let _ = sender.send(line);
                }
            });
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
            lines,
        })
    }

    /// The next line of its stdout.
    ///
    /// # Errors
    /// When none comes within the time, or the program ended; with the end of its log.
    pub fn next_line(&mut self, deadline: Duration) -> Result<String> {
        match self.lines.recv_timeout(deadline) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(failure(format!(
                "{} wrote no line within {deadline:?}:\n{}",
                self.name,
                self.log_tail()
            ))),
            Err(RecvTimeoutError::Disconnected) => Err(failure(format!(
                "{} ended:\n{}",
                self.name,
                self.log_tail()
            ))),
        }
    }

    /// The address that the program says it listens on: `{"listening": …}` as its first line.
    ///
    /// # Errors
    /// When it does not say so within the time.
    pub fn listening(&mut self, deadline: Duration) -> Result<serde_json::Value> {
        let line = self.next_line(deadline)?;
        let said: serde_json::Value = serde_json::from_str(&line)?;
        if said.get("listening").is_some() {
            Ok(said)
        } else {
            Err(failure(format!("{} said {line}", self.name)))
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its stderr goes.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// The end of what it wrote to stderr.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(40);
        lines.get(from..).unwrap_or_default().join("\n")
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// When the system does not say how it ended.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::KILL);
        Ok(self.child.wait()?)
    }

    /// Asks it to stop, and forces it when it does not.
    ///
    /// # Errors
    /// When the system does not say how it ended.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        drop(self.child.stdin.take());
        self.signal(Signal::TERM);
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > STOPS_WITHIN {
                return self.kill();
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
