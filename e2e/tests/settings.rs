//! docs/settings.md says what the programs say of themselves: every option and variable in their
//! help stands there, and nothing stands there that no program knows. What `sam` says is a page of
//! its own, printed from its help.

use std::collections::BTreeSet;
use std::process::Command;

use sam_e2e::{Result, ensure, programs};

/// Options of every program.
const COMMON: [&str; 2] = ["--help", "--version"];
/// Variables that only what runs tests reads.
const OF_TESTS: [&str; 3] = ["SAM_CHROMIUM", "SAM_E2E_EVICTIONS", "SAM_E2E_KEEP"];

/// Options and variables named in a text.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .map(|word| word.trim_end_matches(['-', '_']))
        .filter(|word| {
            let option = word.strip_prefix("--").is_some_and(|name| {
                name.len() > 1 && name.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            });
            let variable = word.starts_with("SAM_")
                && word
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit());
            option || variable
        })
        .map(str::to_owned)
        .collect()
}

fn help(mut command: Command) -> Result<String> {
    let output = command.arg("--help").output()?;
    ensure(output.status.success(), || {
        format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn every_setting_is_documented() -> Result {
    let page = std::fs::read_to_string(programs::root().join("docs/settings.md"))?;
    let mut said = String::new();
    for (program, subcommand) in [
        ("sam-vm-agent", "run"),
        ("sam-vm-agent", "conformance"),
        ("sam-harness", "run"),
        ("sam-harness", "list"),
        ("sam-harness", "eval"),
        ("sam-sims", "gateway"),
        ("sam-sims", "github"),
    ] {
        let mut command = Command::new(programs::native(program)?);
        command.arg(subcommand);
        said += &help(command)?;
    }
    let mut server = Command::new(programs::node());
    server.arg(programs::root().join("scripts/server/main.mjs"));
    said += &help(server)?;
    said += &help(Command::new(programs::root().join("scripts/demo")))?;
    // Made by the local server, and set by hand on Cloudflare alone.
    said += &std::fs::read_to_string(programs::root().join("wrangler.toml"))?;

    let mut known = names(&said);
    let mut documented = names(&page);
    for name in COMMON {
        known.remove(name);
        documented.remove(name);
    }
    for name in OF_TESTS {
        ensure(documented.remove(name), || format!("{name} is missing"))?;
    }
    let missing: Vec<_> = known.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&known).collect();
    ensure(missing.is_empty() && unknown.is_empty(), || {
        format!("not documented: {missing:?}; documented and unknown: {unknown:?}")
    })
}
