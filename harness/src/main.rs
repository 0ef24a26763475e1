//! `sam-harness`: a coding agent.
//!
//! One conversation is a list of chat messages. A turn asks the model, runs
//! the tools it calls, sends it their results, and ends when it calls none.
//! The agent is served over the Agent Client Protocol (`sam-harness acp`) or
//! run once from a shell (`sam-harness run`).
//!
//! Invariants: file tools reach nothing outside the workspace root, through
//! whatever symlink or `..`; a tool runs only for a reply that arrived whole,
//! so that a cut or repeated stream never doubles an effect; a command's whole
//! process group ends with its time limit, the turn's cancellation or the
//! agent's end; every call in the conversation has its result, so that it can
//! always be continued; no fault of the model API and no habit of the model's
//! keeps a turn for ever; no call runs that the session's permission mode does
//! not admit, and no command with less isolation than was claimed.
//!
//! It knows nothing of tasks, nodes or the control plane: a model endpoint and
//! a directory are all it gets.

mod about;
mod cli;
mod ending;
mod eval;
mod guard;
mod host;
mod limits;
mod mcp;
mod model;
mod notice;
mod price;
mod printable;
mod prompt;
mod recorded;
mod repeats;
mod run;
mod sandbox;
mod serve;
mod session;
mod sink;
mod tools;
mod turn;
mod visible;
mod workspace;

use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::cli::{Cli, Command};

/// The turn ended by itself.
const COMPLETE: u8 = 0;
/// Something failed.
const FAILED: u8 = 1;
/// The command line cannot be understood.
const USAGE: u8 = 2;
/// A limit of the turn was reached.
const LIMIT: u8 = 3;
/// Cancelled by a signal.
const CANCELLED: u8 = 130;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let command = match cli.command {
        None => return ExitCode::from(about::version(cli.version, cli.verbose)),
        // Before there is a second thread: the kernel confines one by one.
        Some(Command::Confine(args)) => return fail(&sandbox::confine(&args)),
        Some(command) => command,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    let code = runtime.block_on(async {
        match command {
            Command::Acp(args) => serve::serve(args).await,
            Command::Run(args) => run::run(args).await,
            Command::Resume(args) => run::resume(args).await,
            Command::List(args) => recorded::list(&args),
            Command::Show(args) => recorded::show(&args),
            Command::Replay(args) => recorded::replay(args).await,
            Command::Prompt(args) => about::prompt(&args),
            Command::Mcp(args) => about::mcp(args).await,
            Command::Eval(args) => eval::eval(*args).await,
            Command::Confine(args) => Err(sandbox::confine(&args)),
        }
    });
    // A blocking read of stdin must not keep the process.
    runtime.shutdown_background();
    match code {
        Ok(code) => ExitCode::from(code),
        Err(message) => fail(&message),
    }
}

/// Says what is wrong with the command line, or prints the help asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    // A terminal that has gone away need not be told.
    let _ = error.print();
    let missing = error.kind() == ErrorKind::MissingRequiredArgument;
    if missing && error.to_string().contains("--base-url") {
        eprintln!("{}", cli::NO_MODEL);
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
}

fn fail(message: &str) -> ExitCode {
    eprintln!("sam-harness: {message}");
    ExitCode::from(FAILED)
}
