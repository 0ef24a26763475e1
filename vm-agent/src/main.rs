//! The hands: one per machine.
//!
//! Dials out to the control plane, prepares workspaces, hosts coding agents in
//! them, reports what they do, and serves them the model on a loopback address.
//!
//! Model: the control plane commands, this program does and reports. Both keep
//! what they owe on disk until the other has it, so either may die at any time.
//!
//! | module | what it is |
//! |---|---|
//! | [`store`] | everything that must survive, in one SQLite database |
//! | [`hub`] | the link's machine with its disk; [`link`]: its connection |
//! | [`workspace`] | one workspace's commands; [`recover`]: what the last process left |
//! | [`disk`] | whether there is room, and what is said and done when there is none |
//! | [`git`] | clone, commit, push |
//! | [`agent`] | one session with a coding agent; [`relay`]: its model |
//! | [`rows`] | from what it says to the conversation's rows, and their delivery |
//! | [`process`] | programs that cannot outlive their purpose |
//!
//! Invariants:
//! - No inbound port but the relays' on loopback.
//! - Nothing runs outside the supervisor; nothing runs on after this program.
//! - The node's token is on disk, readable by its owner alone; workspace and
//!   model tokens are in memory alone. None reaches a workspace, its agent's
//!   environment, a command line or a log.
//!
//! It knows nothing of tasks' lives, of projects or of people: it does what a
//! command says and says what came of it.

mod agent;
mod api;
mod clock;
mod disk;
mod facts;
mod git;
mod hub;
mod layout;
mod link;
mod log;
mod look;
mod machine;
mod process;
mod recover;
mod relay;
mod rows;
mod run;
mod secret;
mod store;
mod text;
mod workspace;

use agent::CommandLine;
use clap::{Parser, Subcommand};
use secret::Secret;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// SAM's agent on a machine: prepares workspaces and runs coding agents in them.
#[derive(Parser)]
#[command(name = "sam-vm-agent", version)]
struct Arguments {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Join a control plane and work for it until stopped.
    Run {
        /// The control plane's URL.
        #[arg(long, env = "SAM_URL")]
        url: String,
        /// Where identity, queues and workspaces are kept.
        #[arg(long, env = "SAM_STATE_DIR")]
        state_dir: PathBuf,
        /// Joins this machine; needed the first time only.
        #[arg(long, env = "SAM_JOIN_TOKEN", hide_env_values = true)]
        join_token: Option<String>,
        /// A folder to search first for coding agents; may be repeated.
        #[arg(long = "agent-path", value_name = "DIR")]
        agent_path: Vec<PathBuf>,
        /// Where coding agents are installed when they are first needed; a folder of the state
        /// directory by default. Several machines may share one.
        #[arg(long, env = "SAM_AGENTS_DIR", value_name = "DIR")]
        agents_dir: Option<PathBuf>,
        /// The command line of the agent `custom`, which speaks ACP on stdin and stdout; its words
        /// are taken apart as a shell does, and no shell runs.
        #[arg(long, env = "SAM_CUSTOM_AGENT", value_name = "COMMAND", value_parser = CommandLine::parse)]
        custom_agent: Option<CommandLine>,
        /// Install no coding agents: use those that are there.
        #[arg(long, env = "SAM_NO_INSTALL")]
        no_install: bool,
        /// Seconds for which an agent's question waits for a person; then it is refused.
        #[arg(long, env = "SAM_PERMISSION_WAIT", default_value_t = 1800, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
        permission_wait: u64,
        /// Seconds without any sign of life after which an agent at work counts as hung and is ended. One that runs a
        /// command, or waits for the model or a person, gives one.
        #[arg(long, env = "SAM_AGENT_SILENCE", default_value_t = 180, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(6..=86_400))]
        agent_silence: u64,
        /// The machine's name for people; the host's name by default.
        #[arg(long)]
        name: Option<String>,
        /// Most workspaces at a time.
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
        max_workspaces: u32,
        /// Largest repository that is cloned or checked out, in MiB.
        #[arg(long, default_value_t = 8192, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
        max_repository_mib: u64,
    },
    /// Join a control plane and end; `run` then works for it. Prints the node's id.
    Join {
        /// The control plane's URL.
        #[arg(long, env = "SAM_URL")]
        url: String,
        /// Where identity, queues and workspaces are kept.
        #[arg(long, env = "SAM_STATE_DIR")]
        state_dir: PathBuf,
        /// Joins this machine.
        #[arg(long, env = "SAM_JOIN_TOKEN", hide_env_values = true)]
        join_token: String,
        /// The machine's name for people; the host's name by default.
        #[arg(long)]
        name: Option<String>,
    },
    /// Drive coding agents through what SAM needs of them, against the scripted gateway.
    Conformance {
        /// The address of `sam-sims gateway --key conformance --provider-key conformance`.
        #[arg(long)]
        gateway: String,
        /// A folder for this run; what is in it is replaced.
        #[arg(long)]
        state_dir: PathBuf,
        /// Where coding agents are installed.
        #[arg(long, env = "SAM_AGENTS_DIR", value_name = "DIR")]
        agents_dir: PathBuf,
        /// A folder to search first for coding agents; may be repeated.
        #[arg(long = "agent-path", value_name = "DIR")]
        agent_path: Vec<PathBuf>,
        /// The command line of the agent `custom`, which speaks ACP on stdin and stdout; its words
        /// are taken apart as a shell does, and no shell runs.
        #[arg(long, env = "SAM_CUSTOM_AGENT", value_name = "COMMAND", value_parser = CommandLine::parse)]
        custom_agent: Option<CommandLine>,
        /// An agent to drive; may be repeated, and is all that can be here by default.
        #[arg(long = "agent", value_name = "ID")]
        agents: Vec<String>,
        /// The day that is written down, as YYYY-MM-DD.
        #[arg(long)]
        on: String,
        /// The file to write the results to, as JSON; those of other agents in it stay.
        #[arg(long)]
        out: PathBuf,
    },
    /// Runs one program and ends everything it started. For internal use.
    #[command(hide = true)]
    Supervise {
        /// The process whose end ends this one.
        #[arg(long)]
        parent: i32,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        program: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Subcommands::Supervise { parent, program } => {
            let status = process::supervise::run(parent, &program);
            ExitCode::from(u8::try_from(status & 0xff).unwrap_or(1))
        }
        Subcommands::Run {
            url,
            state_dir,
            join_token,
            agent_path,
            agents_dir,
            custom_agent,
            no_install,
            permission_wait,
            agent_silence,
            name,
            max_workspaces,
            max_repository_mib,
        } => start(run::run(run::Options {
            url,
            state_dir,
            join_token: join_token
                .filter(|token| !token.is_empty())
                .map(Secret::new),
            agent_path,
            agents_dir,
            custom_agent,
            install: !no_install,
            name,
            max_workspaces,
            limits: machine::Limits {
                repository: max_repository_mib << 20,
                permission_wait: Duration::from_secs(permission_wait),
                agent_silence: Duration::from_secs(agent_silence),
            },
        })),
        Subcommands::Join {
            url,
            state_dir,
            join_token,
            name,
        } => start(run::join_only(
            url,
            state_dir,
            Secret::new(join_token),
            name,
        )),
        Subcommands::Conformance {
            gateway,
            state_dir,
            agents_dir,
            agent_path,
            custom_agent,
            agents,
            on,
            out,
        } => start(agent::conformance::run(agent::conformance::Options {
            gateway,
            state_dir,
            agents_dir,
            agent_path,
            custom_agent,
            agents,
            on,
            out,
        })),
    }
}

fn start(work: impl Future<Output = Result<(), run::RunError>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(work);
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::line("error", &error.to_string());
            ExitCode::from(error.status())
        }
    }
}
