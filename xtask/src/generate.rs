//! The reference pages under `docs/`, written from what the types and the
//! programs say of themselves.
//!
//! | page | from |
//! |---|---|
//! | `openapi.json` | the route table and the wire types of `sam-domain` |
//! | `settings.md` | the settings table of `sam-domain`, and each program's help |
//! | `cli.md` | the help of every `sam` command |
//! | `agents.md` | the catalogue of `sam-domain`, and the results in `conformance.json` |
//! | `dialects.md` | the captured requests of `sam-dialects`, and what they become |
//! | `states.md` | the machines' tables in `sam-domain` |
//!
//! A page is never edited by hand; `--check` compares instead of writing, and
//! the test command runs that. Help is asked of the built programs, so that
//! the page cannot know an option that the program does not.

use std::process::Command;

use crate::dialects;
use crate::error::{Error, Result};
use crate::paths::{self, Paths};
use crate::process;

/// Whether pages are written or compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write what differs.
    Write,
    /// Fail when something differs.
    Check,
}

/// Writes or checks every page.
pub(crate) fn run(paths: &Paths, mode: Mode) -> Result<()> {
    build_examples(paths)?;
    let pages = [
        ("openapi.json", example(paths, "openapi", &[])?),
        ("settings.md", settings(paths)?),
        ("cli.md", cli(paths)?),
        (
            "agents.md",
            example(paths, "pages", &["agents", "docs/conformance.json"])?,
        ),
        ("dialects.md", dialects::page(paths)?),
        ("states.md", example(paths, "pages", &["states"])?),
    ];
    let mut stale = Vec::new();
    for (name, content) in pages {
        let path = paths.root.join("docs").join(name);
        if path.exists() && paths::read(&path)? == content {
            continue;
        }
        match mode {
            Mode::Write => {
                paths::write(&path, content)?;
                println!("docs/{name}: written");
            }
            Mode::Check => stale.push(format!("docs/{name}")),
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "{}: not in step with the programs; run `cargo xtask build native`, then `cargo xtask generate`",
        stale.join(", ")
    )))
}

/// Builds the example programs of `sam-domain`, out of the packages that the tests are built of: so
/// what both need is compiled once.
fn build_examples(paths: &Paths) -> Result<()> {
    process::run(process::cargo(paths).args([
        "build",
        "--quiet",
        "--workspace",
        "--exclude=sam-worker-fault",
        "--exclude=xtask",
        "--example=openapi",
        "--example=pages",
    ]))
}

/// What one of them prints.
fn example(paths: &Paths, name: &str, arguments: &[&str]) -> Result<String> {
    let program = paths.target.join("debug/examples").join(name);
    process::output(
        Command::new(program)
            .current_dir(&paths.root)
            .args(arguments),
    )
}

const SETTINGS_HEAD: &str = "\
# Settings

Everything that can be set, and where. This page is generated (`cargo xtask generate`).

## The control plane

On one machine these are environment variables of `scripts/demo`, or of `node scripts/server/main.mjs`, which also takes
them as `--var NAME=VALUE` or from an `--env-file`. On Cloudflare they are the Worker's secrets and variables.

Those marked \"also in the app\" an administrator may set there as well, under Settings or with `PUT /api/setup/config`: sealed,
without a restart, and never read out again. What the environment sets wins, so a setting can always be taken back from the
app; the app says where each comes from.

";

const SETTINGS_TAIL: &str = "
## Tests

| variable | meaning |
|---|---|
| `SAM_CHROMIUM` | the Chromium that the browser tests drive |
| `SAM_E2E_EVICTIONS` | `all` evicts objects at every point, not at a tenth of them |
| `SAM_E2E_KEEP` | show the logs of every stack, not only of one whose test failed |
";

fn settings(paths: &Paths) -> Result<String> {
    let mut page = String::from(SETTINGS_HEAD);
    page.push_str(&example(paths, "pages", &["settings"])?);
    let script = |name: &str| paths.root.join("scripts").join(name);
    let mut demo = Command::new(script("demo"));
    let mut server = Command::new("node");
    server.arg(script("server/main.mjs"));
    let mut programs = vec![
        ("scripts/demo".to_owned(), &mut demo),
        ("node scripts/server/main.mjs".to_owned(), &mut server),
    ];
    let mut natives = Vec::new();
    for (name, command) in [
        ("sam-vm-agent", "run"),
        ("sam-vm-agent", "conformance"),
        ("sam-harness", "acp"),
        ("sam-harness", "run"),
        ("sam-harness", "resume"),
        ("sam-harness", "list"),
        ("sam-harness", "show"),
        ("sam-harness", "replay"),
        ("sam-harness", "eval"),
        ("sam-sims", "gateway"),
        ("sam-sims", "github"),
    ] {
        let mut program = native(paths, name)?;
        program.arg(command);
        natives.push((format!("{name} {command}"), program));
    }
    programs.extend(
        natives
            .iter_mut()
            .map(|(name, command)| (name.clone(), command)),
    );
    for (name, command) in programs {
        page.push_str(&format!("\n## {name}\n\n{}", fenced(&help(command)?)));
    }
    page.push_str("\n## sam\n\nOptions and variables of the command line: [cli.md](cli.md).\n");
    page.push_str(SETTINGS_TAIL);
    Ok(page)
}

const CLI_HEAD: &str = "\
# The command line

What every command of `sam` says of itself. This page is generated (`cargo xtask generate`).
";

fn cli(paths: &Paths) -> Result<String> {
    let mut page = String::from(CLI_HEAD);
    // Depth first, in the order of the help.
    let mut waiting = vec![Vec::<String>::new()];
    while let Some(words) = waiting.pop() {
        let mut program = native(paths, "sam")?;
        let said = help(program.args(&words))?;
        let title = std::iter::once("sam").chain(words.iter().map(String::as_str));
        let title = title.collect::<Vec<_>>().join(" ");
        page.push_str(&format!("\n## {title}\n\n{}", fenced(&said)));
        for name in commands(&said).into_iter().rev() {
            let mut below = words.clone();
            below.push(name.to_owned());
            waiting.push(below);
        }
    }
    Ok(page)
}

/// A built native program; it must have been built.
fn native(paths: &Paths, name: &str) -> Result<Command> {
    let path = paths.target.join("release").join(name);
    if !path.exists() {
        return Err(Error::Refused(format!(
            "{} is missing; run `cargo xtask build native`",
            path.display()
        )));
    }
    Ok(Command::new(path))
}

/// What a command prints for `--help`, the same in every environment.
fn help(command: &mut Command) -> Result<String> {
    let inherited: Vec<_> = std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.to_string_lossy().starts_with("SAM_"))
        .collect();
    for name in inherited {
        command.env_remove(name);
    }
    process::output(command.arg("--help").env("NO_COLOR", "1"))
}

fn fenced(text: &str) -> String {
    let mut lines = String::from("```text\n");
    for line in text.trim_end().lines() {
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines.push_str("```\n");
    lines
}

/// The commands that a help text lists, without `help` itself.
fn commands(help: &str) -> Vec<&str> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_a_help_text() {
        let help = "Does things\n\nUsage: x\n\nCommands:\n  one  First\n       and more\n  two  Second\n  help  Print\n\nOptions:\n  -h\n";
        assert_eq!(commands(help), ["one", "two"]);
    }
}
