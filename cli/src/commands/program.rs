//! What is about the program itself: completions, manual pages, and the harness beside it.

use crate::args::Args;
use crate::args::tools::{Completions, Harness, Man};
use crate::error::{Exit, Failure};
use clap::CommandFactory;
use sam_domain::release::Program;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::Command;

pub(super) fn completions(asked: &Completions) -> Result<Exit, Failure> {
    // Written at once: the generator itself does not bear a reader that leaves.
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut Args::command(), "sam", &mut script);
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(&script)
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::local("Could not print", &error))?;
    Ok(Exit::Ok)
}

pub(super) fn man(asked: &Man) -> Result<Exit, Failure> {
    std::fs::create_dir_all(&asked.directory)
        .and_then(|()| clap_mangen::generate_to(Args::command(), &asked.directory))
        .map_err(|error| {
            let what = format!("Could not write into {}", asked.directory.display());
            Failure::local(&what, &error)
        })?;
    Ok(Exit::Ok)
}

/// Becomes the harness: what it prints, reads and exits with is its own.
pub(super) fn harness(asked: &Harness) -> Result<Exit, Failure> {
    let name = Program::Harness.executable();
    let Some(path) = beside(name).or_else(|| on_path(name)) else {
        return Err(Failure::NotFound {
            message: format!("{name} is not installed."),
            hint: Some(format!(
                "Put it beside sam or on the PATH; a server hands it out at \
                 /api/harness/download?os={}&arch={}.",
                std::env::consts::OS,
                std::env::consts::ARCH
            )),
        });
    };
    let mut command = Command::new(&path);
    command.args(&asked.arguments);
    let error = become_it(command);
    Err(Failure::local(
        &format!("Could not start {}", path.display()),
        &error,
    ))
}

#[cfg(unix)]
fn become_it(mut command: Command) -> io::Error {
    std::os::unix::process::CommandExt::exec(&mut command)
}

#[cfg(not(unix))]
fn become_it(_: Command) -> io::Error {
    io::Error::from(io::ErrorKind::Unsupported)
}

fn beside(name: &str) -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.with_file_name(name);
    path.is_file().then_some(path)
}

fn on_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
