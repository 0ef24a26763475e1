//! What each command does.

mod agent;
mod answer;
mod attach;
mod auth;
mod auth_sessions;
mod budget;
mod chat;
mod compare;
mod config;
mod credential;
mod device;
mod members;
mod models;
mod node;
mod people;
mod program;
mod project;
mod queue;
mod request;
mod runner;
mod task;
mod token;
mod upgrade;
mod usage;
mod workspace;

pub(crate) use auth::model_line;
pub(crate) use task::{shape, state_word};

use crate::args::{Args, Command};
use crate::context::Context;
use crate::error::{Exit, Failure};
use sam_domain::conversation::wire::PROMPT_LIMIT;
use std::io::Read;

/// Runs a parsed command line.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    // What is about the program alone needs no settings, nor that they can be read.
    match args.command {
        Command::Completions(asked) => return program::completions(&asked),
        Command::Man(asked) => return program::man(&asked),
        Command::Harness(asked) => return program::harness(&asked),
        _ => {}
    }
    let mut context = Context::new(&args)?;
    match args.command {
        Command::Auth(command) => auth::run(&mut context, command).await,
        Command::Project(command) => project::run(&mut context, command).await,
        Command::Task(command) => task::run(&context, command).await,
        Command::Node(command) => node::run(&context, command).await,
        Command::Token(command) => token::run(&context, command).await,
        Command::People(command) => people::run(&context, command).await,
        Command::Model(command) => models::model(&context, command).await,
        Command::Agent(command) => models::agent(&context, command).await,
        Command::Credential(command) => credential::run(&context, command).await,
        Command::Admin(command) => models::admin(&context, command).await,
        Command::Chat(command) => chat::run(&context, command).await,
        Command::Workspace(command) => workspace::run(&context, command).await,
        Command::Runner(command) => runner::run(&context, command).await,
        Command::Config(command) => config::run(&mut context, command).await,
        Command::Usage(asked) => usage::run(&context, asked).await,
        Command::Budget(command) => budget::run(&context, command).await,
        Command::Api(asked) => request::run(&context, asked).await,
        Command::Upgrade(asked) => upgrade::run(&context, asked).await,
        Command::Completions(_) | Command::Man(_) | Command::Harness(_) => Ok(Exit::Ok),
        Command::Acp(_) => Err(planned("`sam acp`", None)),
    }
}

fn planned(what: &str, hint: Option<&str>) -> Failure {
    Failure::NotBuilt {
        what: what.to_owned(),
        hint: hint.map(str::to_owned),
    }
}

/// Most bytes read from stdin: well above the longest prompt that is accepted, so
/// that what is cut off here is refused there.
const STDIN_LIMIT: u64 = 2 * PROMPT_LIMIT as u64;

/// All of stdin, up to [`STDIN_LIMIT`].
fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(STDIN_LIMIT)
        .read_to_string(&mut text)
        .map_err(|error| Failure::local("Could not read stdin", &error))?;
    Ok(text)
}
