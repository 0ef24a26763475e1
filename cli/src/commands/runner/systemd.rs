//! The service manager, by `systemctl`.

use super::place::{Here, Scope};
use super::programs::{Said, ask, find};
use crate::error::Failure;

/// Asks `systemctl`; none where there is no such program.
pub(super) async fn systemctl(scope: Scope, arguments: &[&str]) -> Option<Said> {
    let program = find("systemctl")?;
    let arguments: Vec<&str> = match scope {
        Scope::User => std::iter::once("--user")
            .chain(arguments.iter().copied())
            .collect(),
        Scope::System => arguments.to_vec(),
    };
    ask(program, &arguments).await
}

/// How the manager of `scope` stands, in its own word; none where it does not run.
pub(super) async fn running(scope: Scope) -> Option<String> {
    let said = systemctl(scope, &["is-system-running"]).await?;
    // A manager that is degraded works, and its word comes with an exit code.
    let word = said.line().to_owned();
    (!matches!(word.as_str(), "" | "offline" | "unknown")).then_some(word)
}

/// Refuses where no manager of `scope` runs.
pub(super) async fn needed(scope: Scope) -> Result<(), Failure> {
    if running(scope).await.is_some() {
        return Ok(());
    }
    Err(Failure::not_ready(
        match scope {
            Scope::User => "There is no systemd for your services here.",
            Scope::System => "systemd does not run here.",
        },
        "Work without a service: sam runner register --foreground",
    ))
}

/// Tells the manager something, which it must do.
pub(super) async fn tell(here: &Here, arguments: &[&str]) -> Result<(), Failure> {
    let said = systemctl(here.scope, arguments).await;
    if said.as_ref().is_some_and(|said| said.ok) {
        return Ok(());
    }
    let why = said.map_or_else(|| "it cannot be run".to_owned(), |said| said.complaint());
    Err(Failure::not_ready(
        format!("systemctl {} failed: {why}.", arguments.join(" ")),
        match here.scope {
            Scope::User => "Look at `journalctl --user`, or work without a service: --foreground.",
            Scope::System => "Is this done as root? Look at `journalctl`.",
        },
    ))
}

/// The service's state in systemd's word, like `active` or `failed`.
pub(super) async fn state(here: &Here) -> String {
    let said = systemctl(here.scope, &["is-active", &here.service()]).await;
    let word = said.map(|said| said.line().to_owned()).unwrap_or_default();
    if word.is_empty() {
        "unknown".to_owned()
    } else {
        word
    }
}
