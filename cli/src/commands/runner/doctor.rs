//! `sam runner doctor`: what this machine has for the work. It looks and changes nothing.

use super::place::Scope;
use super::programs::{ask, find, vm_agent};
use super::systemd;
use crate::args::runner::Programs;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use serde::Serialize;

/// What a look gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// It is there.
    Ok,
    /// It is not there, and work goes on without it.
    Absent,
    /// It is not there, and nothing works without it.
    Missing,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

/// What `runner doctor` prints as JSON.
#[derive(Debug, Serialize)]
struct Report {
    ready: bool,
    checks: Vec<Check>,
    /// What keeps a command from the rest of the machine, the strongest first.
    isolation: Vec<&'static str>,
}

pub(super) async fn run(context: &Context, programs: &Programs) -> Result<Exit, Failure> {
    let docker = docker().await;
    let isolation = isolation(docker.verdict == Verdict::Ok).await;
    let checks = vec![
        os(),
        architecture(),
        git().await,
        agent(programs).await,
        docker,
        service().await,
        isolated(&isolation),
    ];
    let report = Report {
        ready: checks.iter().all(|check| check.verdict != Verdict::Missing),
        checks,
        isolation,
    };
    let out = &context.out;
    if out.json {
        out.value(&report)?;
    } else {
        show(context, &report)?;
    }
    Ok(if report.ready { Exit::Ok } else { Exit::Failed })
}

fn show(context: &Context, report: &Report) -> Result<(), Failure> {
    let out = &context.out;
    let rows: Vec<Vec<Cell>> = report
        .checks
        .iter()
        .map(|check| {
            let (shape, paint) = match check.verdict {
                Verdict::Ok => ("✓", Paint::Ok),
                Verdict::Absent => ("○", Paint::Muted),
                Verdict::Missing => ("✗", Paint::Danger),
            };
            vec![
                Cell::new(shape).paint(paint),
                Cell::new(check.name),
                Cell::new(&check.detail).whole(),
            ]
        })
        .collect();
    out.table(&["", "WHAT", "HERE"], &rows)?;
    for check in &report.checks {
        if let Some(hint) = check.hint {
            out.hint(&format!("{}: {hint}", check.name));
        }
    }
    out.line(if report.ready {
        "This machine is ready: sam runner register"
    } else {
        "This machine is not ready."
    })
}

const fn found(name: &'static str, detail: String) -> Check {
    Check {
        name,
        verdict: Verdict::Ok,
        detail,
        hint: None,
    }
}

fn without(name: &'static str, verdict: Verdict, detail: &str, hint: &'static str) -> Check {
    Check {
        name,
        verdict,
        detail: detail.to_owned(),
        hint: Some(hint),
    }
}

fn os() -> Check {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let named = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"').to_owned());
    let name = named.unwrap_or_else(|| std::env::consts::OS.to_owned());
    if cfg!(target_os = "linux") {
        found("system", name)
    } else {
        without("system", Verdict::Missing, &name, "The work needs Linux.")
    }
}

fn architecture() -> Check {
    let name = std::env::consts::ARCH;
    if matches!(name, "x86_64" | "aarch64") {
        found("architecture", name.to_owned())
    } else {
        without(
            "architecture",
            Verdict::Missing,
            name,
            "The vm-agent is built for x86_64 and aarch64.",
        )
    }
}

async fn git() -> Check {
    match version("git", &["--version"]).await {
        Some(version) => found("git", version),
        None => without(
            "git",
            Verdict::Missing,
            "not found",
            "Install git: work begins with a checkout.",
        ),
    }
}

/// The first line of what a program says of itself.
async fn version(name: &str, arguments: &[&str]) -> Option<String> {
    let said = ask(find(name)?, arguments).await?;
    (said.ok && !said.line().is_empty()).then(|| said.line().to_owned())
}

async fn agent(programs: &Programs) -> Check {
    const HINT: &str =
        "Install `sam-vm-agent` beside `sam` or in PATH, or name it with --vm-agent.";
    let Ok(program) = vm_agent(programs) else {
        return without("vm-agent", Verdict::Missing, "not found", HINT);
    };
    let said = ask(&program, &["--version"]).await;
    match said.filter(|said| said.ok) {
        Some(said) => found(
            "vm-agent",
            format!("{}, {}", said.line(), program.display()),
        ),
        None => without(
            "vm-agent",
            Verdict::Missing,
            "it does not run on this machine",
            HINT,
        ),
    }
}

async fn docker() -> Check {
    let asked = ["version", "--format", "{{.Server.Version}}"];
    match version("docker", &asked).await {
        Some(version) => found("docker", version),
        None => without(
            "docker",
            Verdict::Absent,
            "no engine answers",
            "Agents work without it; projects that need containers do not.",
        ),
    }
}

async fn service() -> Check {
    let mut managers = Vec::new();
    for (scope, word) in [(Scope::User, "user"), (Scope::System, "system")] {
        if let Some(state) = systemd::running(scope).await {
            managers.push(format!("{word}: {state}"));
        }
    }
    if managers.is_empty() {
        without(
            "systemd",
            Verdict::Absent,
            "does not run",
            "Without it there is no service: sam runner register --foreground",
        )
    } else {
        found("systemd", managers.join(", "))
    }
}

/// The levels that this machine gives, each tried.
async fn isolation(docker: bool) -> Vec<&'static str> {
    let mut levels = Vec::new();
    if docker {
        levels.push("container");
    }
    // The harness has tried it in earnest when it says so.
    if let Some(harness) = find("sam-harness")
        && let Some(said) = ask(harness, &["--version", "--verbose"]).await
        && said.out.contains("sandbox: landlock")
    {
        levels.push("landlock");
    }
    if let Some(bwrap) = find("bwrap") {
        let nothing = ["--ro-bind", "/", "/", "--unshare-all", "true"];
        if ask(bwrap, &nothing).await.is_some_and(|said| said.ok) {
            levels.push("bubblewrap");
        }
    }
    levels.push("process");
    levels
}

fn isolated(levels: &[&'static str]) -> Check {
    let detail = levels.join(", ");
    if levels.len() > 1 {
        found("isolation", detail)
    } else {
        without(
            "isolation",
            Verdict::Absent,
            &detail,
            "Nothing keeps an agent's commands from the rest of this machine; install bubblewrap.",
        )
    }
}
