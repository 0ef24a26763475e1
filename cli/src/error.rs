//! What can go wrong and which exit code says so.

use sam_domain::error::ApiError;
use std::io;
use std::process::ExitCode;

/// The exit codes, the same in every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done; a followed task completed.
    Ok,
    /// A followed task failed, or this machine got in the way.
    Failed,
    /// The command was not understood.
    Usage,
    /// Nobody is signed in, or the session is over.
    NotSignedIn,
    /// There is no such thing, or it is another's.
    NotFound,
    /// The control plane refused.
    Refused,
    /// The control plane could not be reached or gave no usable answer.
    Unreachable,
    /// The command is planned and not built.
    NotBuilt,
    /// A followed task was cancelled.
    Cancelled,
    /// A followed task waits for a person's answer.
    AwaitingInput,
    /// Ctrl-C ended it: following, while the task goes on, or what had changed nothing yet.
    Detached,
    /// The reader of stdout left.
    BrokenPipe,
}

impl Exit {
    /// The number a shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotSignedIn => 3,
            Self::NotFound => 4,
            Self::Refused => 5,
            Self::Unreachable => 6,
            Self::NotBuilt => 7,
            Self::Cancelled => 8,
            Self::AwaitingInput => 9,
            Self::Detached => 130,
            Self::BrokenPipe => 141,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what was asked. Each says what failed; [`Failure::hint`]
/// says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command or its arguments make no sense as given.
    #[error("{message}")]
    Usage {
        message: String,
        hint: Option<String>,
    },
    /// There is no token, or it does not fit the server.
    #[error("{message}")]
    NotSignedIn { message: String, hint: String },
    /// Nothing here has that id or name.
    #[error("{message}")]
    NotFound {
        message: String,
        hint: Option<String>,
    },
    /// The control plane answered with an error.
    #[error("{0}")]
    Api(ApiError),
    /// No usable answer came.
    #[error("{message}")]
    Unreachable {
        message: String,
        hint: Option<String>,
    },
    /// The command does not exist yet.
    #[error("{what} is not built yet.")]
    NotBuilt { what: String, hint: Option<String> },
    /// This machine lacks something that the command needs.
    #[error("{message}")]
    NotReady { message: String, hint: String },
    /// Who was asked which, chose none.
    #[error("Nothing was chosen, and nothing done.")]
    NoneChosen,
    /// Something on this machine: a file, the terminal.
    #[error("{what}: {source}")]
    Local { what: String, source: io::Error },
}

impl Failure {
    /// A mistake in the arguments.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// This machine lacks something.
    pub(crate) fn not_ready(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::NotReady {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// Something on this machine failed while doing `what`.
    pub(crate) fn local(what: &str, source: &io::Error) -> Self {
        Self::Local {
            what: what.to_owned(),
            source: io::Error::new(source.kind(), source.to_string()),
        }
    }

    /// The answer made no sense.
    pub(crate) fn unusable(message: impl Into<String>) -> Self {
        Self::Unreachable {
            message: message.into(),
            hint: Some(
                "Check the address with `sam auth status`; the server may be of another version."
                    .to_owned(),
            ),
        }
    }

    /// What the person can do.
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. }
            | Self::NotFound { hint, .. }
            | Self::Unreachable { hint, .. }
            | Self::NotBuilt { hint, .. } => hint.as_deref(),
            Self::NotSignedIn { hint, .. } | Self::NotReady { hint, .. } => Some(hint),
            Self::Api(error) => error.hint.as_deref().or_else(|| default_hint(error.status)),
            Self::Local { .. } | Self::NoneChosen => None,
        }
    }

    /// A stable word for programs.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Usage { .. } => "usage",
            Self::NotSignedIn { .. } => "not_signed_in",
            Self::NotFound { .. } => "not_found",
            Self::Api(error) => &error.code,
            Self::Unreachable { .. } => "unreachable",
            Self::NotBuilt { .. } => "not_built",
            Self::NotReady { .. } => "not_ready",
            Self::NoneChosen => "none_chosen",
            Self::Local { .. } => "local",
        }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } => Exit::Usage,
            Self::NotSignedIn { .. } => Exit::NotSignedIn,
            Self::NotFound { .. } => Exit::NotFound,
            Self::Api(error) => match error.status {
                401 => Exit::NotSignedIn,
                404 => Exit::NotFound,
                501 => Exit::NotBuilt,
                500.. => Exit::Unreachable,
                _ => Exit::Refused,
            },
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::NotBuilt { .. } => Exit::NotBuilt,
            Self::NoneChosen => Exit::Detached,
            Self::Local { .. } if self.is_broken_pipe() => Exit::BrokenPipe,
            Self::Local { .. } | Self::NotReady { .. } => Exit::Failed,
        }
    }

    /// Whether the reader of stdout left, which is nobody's mistake.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Local { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

const fn default_hint(status: u16) -> Option<&'static str> {
    match status {
        401 => Some("Sign in again with `sam auth login`."),
        _ => None,
    }
}
