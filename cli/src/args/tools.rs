//! The grammar of what is about the program itself, and of what has no command of its own.

use crate::secret::Secret;
use clap_complete::Shell;
use std::path::PathBuf;

/// `sam upgrade`
#[derive(Debug, clap::Args)]
pub(crate) struct Upgrade {
    /// Only say whether the server has another version
    #[arg(long)]
    pub(crate) check: bool,
    /// The server's address [default: the one in use]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

/// `sam completions`
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

/// `sam man`
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The folder to write the pages to, e.g. ~/.local/share/man/man1
    pub(crate) directory: PathBuf,
}

/// `sam api`
#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    /// GET, POST, PUT, PATCH or DELETE
    #[arg(value_parser = ["GET", "POST", "PUT", "PATCH", "DELETE"], ignore_case = true, hide_possible_values = true)]
    pub(crate) method: String,
    /// The path, with its query: /api/projects
    pub(crate) path: String,
    /// The body: as it stands here, of a file (`@FILE`), or of stdin (`-`)
    #[arg(long, short = 'd', value_name = "BODY")]
    pub(crate) data: Option<Secret>,
    /// A further header; may be repeated
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub(crate) header: Vec<Secret>,
    /// Print the status and the headers of the answer first
    #[arg(long, short = 'i')]
    pub(crate) include: bool,
}

/// `sam harness …`
#[derive(Debug, clap::Args)]
pub(crate) struct Harness {
    /// What the harness is given
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    pub(crate) arguments: Vec<std::ffi::OsString>,
}
