//! What a host lends its agent: the files its editor has open, and terminals.
//!
//! Paths given to a host are those of handles that were opened below the
//! workspace, so a host is never led out of it; commands are confined by the
//! same sandbox before they reach its terminal.

use std::fmt::Debug;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A command for a host's terminal.
#[derive(Debug)]
pub(crate) struct TerminalCommand<'a> {
    /// The tool call it belongs to.
    pub(crate) call: &'a str,
    /// The program and its arguments.
    pub(crate) program: Vec<String>,
    /// The directory it runs in.
    pub(crate) cwd: &'a Path,
    /// How long it may take.
    pub(crate) limit: Duration,
    /// The most bytes of output that are kept.
    pub(crate) bytes: u64,
}

/// What a command in a host's terminal gave.
#[derive(Debug, Default)]
pub(crate) struct TerminalResult {
    /// The terminal.
    pub(crate) terminal: String,
    /// The end of its output.
    pub(crate) text: String,
    /// What is to be said of its end; nothing of a success.
    pub(crate) note: Option<String>,
}

/// A command that runs in a host's terminal.
pub(crate) type InTerminal<'a> =
    Pin<Box<dyn Future<Output = Result<TerminalResult, String>> + Send + 'a>>;

/// A host that lends something.
pub(crate) trait Host: Debug + Send + Sync {
    /// A text file as the host has it; none when it lends no files, or has not
    /// this one. Blocks.
    fn read(&self, path: &Path) -> Option<String>;

    /// Writes a text file; none when the host writes none. Blocks.
    fn write(&self, path: &Path, text: &str) -> Option<Result<(), String>>;

    /// Whether it lends files, which takes time.
    fn lends_files(&self) -> bool;

    /// Runs a command in a terminal; none when the host lends no terminals.
    fn run<'a>(
        &'a self,
        command: TerminalCommand<'a>,
        cancel: &'a CancellationToken,
    ) -> Option<InTerminal<'a>>;
}
