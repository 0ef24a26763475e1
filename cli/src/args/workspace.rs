//! `sam workspace …`

use super::InProject;
use clap::Subcommand;

/// `sam workspace …`; the workspace may stand before or after the command.
#[derive(Debug, clap::Args)]
#[command(subcommand_precedence_over_arg = true)]
pub(crate) struct Workspace {
    /// The workspace: its id or enough of it, or its task's
    #[arg(hide = true)]
    pub(crate) workspace: Option<String>,
    #[command(subcommand)]
    pub(crate) command: WorkspaceCommand,
}

/// The commands of `sam workspace`.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkspaceCommand {
    /// The workspaces of the project's tasks, newest first
    List {
        #[command(flatten)]
        within: InProject,
        /// Those whose task is over as well
        #[arg(long)]
        all: bool,
        /// Most tasks to look at
        #[arg(long, short = 'n', default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// What a workspace's task changed, against its base
    Diff(OneWorkspace),
    /// The ports that programs in a workspace listen on
    Ports(OneWorkspace),
    /// (not built yet) Bring a workspace's port to this machine
    Forward {
        #[command(flatten)]
        which: OneWorkspace,
        /// The port; may be repeated [default: all that are open]
        #[arg(long)]
        port: Vec<u16>,
    },
    /// The files of a workspace as they are now: a folder's entries, or what a file says
    Files {
        #[command(flatten)]
        which: OneWorkspace,
        /// The file or folder, below the checkout
        #[arg(long, value_name = "PATH", default_value = "")]
        path: String,
    },
}

/// A workspace, and where its short id is looked up.
#[derive(Debug, clap::Args)]
pub(crate) struct OneWorkspace {
    /// The workspace: its id or enough of it, or its task's
    pub(crate) workspace: Option<String>,
    #[command(flatten)]
    pub(crate) within: InProject,
}
