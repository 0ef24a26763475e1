//! `sam runner …`

use clap::Subcommand;
use std::path::PathBuf;

/// `sam runner …`
#[derive(Debug, Subcommand)]
pub(crate) enum Runner {
    /// Look at what this machine has for the work; changes nothing
    #[command(after_help = "Exit codes: 0 ready, 1 something is missing.")]
    Doctor {
        #[command(flatten)]
        programs: Programs,
    },
    /// Make the vm-agent a service of systemd's, which `sam runner register` starts
    Install {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        programs: Programs,
        #[command(flatten)]
        work: Work,
        /// The person whose rights the service has [default: who called sudo, else root]
        #[arg(long, value_name = "NAME", requires = "system")]
        run_as: Option<String>,
        /// Only print the unit
        #[arg(long)]
        print: bool,
    },
    /// Join this machine, and start its service or work in the foreground
    Register {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        programs: Programs,
        #[command(flatten)]
        work: Work,
        /// The machine's name for people [default: the host's]
        #[arg(long)]
        name: Option<String>,
        /// Work here, without a service, until Ctrl-C
        #[arg(long)]
        foreground: bool,
    },
    /// Whether this machine has joined, whether its service runs, and how the server sees it
    #[command(after_help = "Exit codes: 0 ready for work, 1 joined and not ready, 4 not joined.")]
    Status {
        #[command(flatten)]
        place: Place,
    },
    /// Leave: the server forgets this machine, the service and all it kept here go
    Unregister {
        #[command(flatten)]
        place: Place,
        /// Leave even while work is under way here; it begins anew on another machine
        #[arg(long)]
        force: bool,
        /// Keep the service's unit, to register again
        #[arg(long)]
        keep_service: bool,
    },
}

/// Whose service it is, and where its things lie.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// A service of the machine's instead of yours; needs root
    #[arg(long)]
    pub(crate) system: bool,
    /// Where identity, queues and workspaces are kept [default: below ~/.local/state/sam]
    #[arg(long, value_name = "DIR", conflicts_with = "system")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// Where programs are looked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Programs {
    /// The vm-agent [default: beside this program, else in PATH]
    #[arg(long, value_name = "FILE")]
    pub(crate) vm_agent: Option<PathBuf>,
}

/// What work it takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Work {
    /// Most workspaces at a time [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) max_workspaces: Option<u32>,
    /// A folder to search first for coding agents; may be repeated
    #[arg(long = "agent-path", value_name = "DIR")]
    pub(crate) agent_path: Vec<PathBuf>,
    /// Install no coding agents: use those that are there
    #[arg(long)]
    pub(crate) no_install: bool,
}
