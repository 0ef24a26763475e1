//! `sam config …`

use clap::{Subcommand, ValueEnum};

/// `sam config …`
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print one setting
    Get {
        /// Which
        #[arg(value_enum)]
        key: Key,
    },
    /// Change one setting; `none` takes it back
    Set {
        /// Which
        #[arg(value_enum)]
        key: Key,
        /// The new value
        value: String,
    },
    /// The settings, where each comes from, and the profiles
    #[command(visible_alias = "show")]
    List,
    /// Where the file is
    Path,
}

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Key {
    /// The server's address; another one ends the sign-in
    Url,
    /// The current project on that server
    Project,
    /// The profile that is used where none is named
    Profile,
}
