//! `sam`: the remote control.
//!
//! Model: a command parses its arguments, asks the control plane over HTTP and
//! prints. Following a task opens the feed and draws the conversation with the
//! same reducer as the web app ([`follow`]).
//!
//! Invariants:
//! - Data goes to stdout, hints and progress to stderr; `--json` makes data JSON.
//! - The exit code says what happened ([`error::Exit`]); it is the same in every command.
//! - A secret is printed only by the commands whose purpose it is to hand one
//!   out (`auth link`, `node join-token`); errors are scrubbed before they show.
//! - Text from elsewhere is cleaned of terminal escapes before it reaches a terminal.
//!
//! This crate does not know how the control plane stores or runs anything.

mod api;
mod args;
mod commands;
mod config;
mod context;
mod error;
mod follow;
mod output;
mod resolve;
mod secret;

use clap::Parser;
use clap::error::ErrorKind;
use error::{Exit, Failure};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Building a TLS client needs a provider; ring is the one linked in. A
    // second installation is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let json = args.json;
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return report(&Failure::local("The program could not start", &error), json);
        }
    };
    match runtime.block_on(commands::run(args)) {
        Ok(exit) => exit.into(),
        Err(failure) => report(&failure, json),
    }
}

/// Prints help and version to stdout, mistakes to stderr without the secrets
/// that may stand in the arguments.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Help is cut short when its reader leaves; nothing is lost by that.
        let _ = error.print();
        return Exit::Ok.into();
    }
    // An argument need not be text; what of it is, shows.
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let json = arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json");
    let said = secret::scrub_arguments(&error.render().to_string(), arguments.into_iter());
    if json {
        return report(&mistake(error.kind(), &said), json);
    }
    complain(&said);
    Exit::Usage.into()
}

/// A mistaken command line as programs are told of it: what is wrong, without the help around it.
fn mistake(kind: ErrorKind, said: &str) -> Failure {
    let (message, _) = said.split_once("\n\n").unwrap_or((said, ""));
    let message = match kind {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "A command is missing.",
        _ => message
            .strip_prefix("error: ")
            .unwrap_or(message)
            .trim_end(),
    };
    Failure::usage(message, "See --help.")
}

fn report(failure: &Failure, json: bool) -> ExitCode {
    if !failure.is_broken_pipe() {
        complain(&output::failure(failure, json));
    }
    failure.exit().into()
}

/// Prints to stderr. If nobody listens there, the exit code still tells.
fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
