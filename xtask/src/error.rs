//! What can go wrong in a build step, in words for the person at the terminal.

use std::path::{Path, PathBuf};

/// The result of a build step.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// A failed step: what failed, and what to do where that is known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line was not understood.
    #[error("{0}")]
    Usage(String),
    /// A program of this repository's toolchain is not installed.
    #[error("{} is missing; run scripts/test or scripts/demo once, or `npm ci`", .0.display())]
    ToolMissing(PathBuf),
    /// A child process failed; its own output has said why.
    #[error("`{command}` failed ({status})")]
    Command {
        /// Program and arguments.
        command: String,
        /// Exit status or signal.
        status: String,
    },
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// wasm-bindgen refused the module.
    #[error("wasm-bindgen on {}: {reason}", path.display())]
    Bindgen {
        /// The module.
        path: PathBuf,
        /// Its reason, with causes.
        reason: String,
    },
    /// The repository breaks one of its own rules.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Wraps an I/O error with the path it is about; for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { path, source }
    }
}
