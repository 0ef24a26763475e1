//! `sam agent list`, `sam agent login` and `sam agent logout`

use super::stdin;
use crate::api::Call;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::text;
use sam_domain::access::route::RouteId;
use sam_domain::agents::{AgentView, DEFAULT_AGENT, PermissionMode};
use sam_domain::catalogue::Catalog;
use sam_domain::conversation::call::Done;
use sam_domain::login::wire::{LoginView, PutLogin};
use std::path::Path;

pub(super) async fn list(context: &Context) -> Result<Exit, Failure> {
    let api = context.api()?;
    let catalog: Catalog = api.json(Call::new(RouteId::Catalog, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&catalog.agents)?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<Cell>> = catalog.agents.iter().map(cells).collect();
    let headings = [
        "ID",
        "NAME",
        "VERSION",
        "STATUS",
        "MODEL API",
        "PERMISSION MODES",
    ];
    out.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

/// Stores a login. It comes from a file or stdin, never from an argument that others can read.
pub(super) async fn login(
    context: &Context,
    agent: &str,
    file: Option<&Path>,
) -> Result<Exit, Failure> {
    let login = match file {
        None => stdin()?,
        Some(file) => std::fs::read_to_string(file).map_err(|error| {
            Failure::usage(
                format!("{} cannot be read: {error}.", file.display()),
                "Name the agent's own login file, or pipe it in.",
            )
        })?,
    };
    let api = context.api()?;
    let segments = [agent];
    let call = Call::new(RouteId::PutAgentLogin, &segments).body(&PutLogin { login })?;
    let held: LoginView = api.json(call).await?;
    let out = &context.out;
    if out.json {
        out.value(&held)?;
        return Ok(Exit::Ok);
    }
    out.line(&format!(
        "The login of {} is stored.",
        text::clean_line(&held.agent)
    ))?;
    said_of_login(context, &held)?;
    out.hint(&format!(
        "`sam agent provider {} own-login` has it used.",
        text::clean_line(&held.agent)
    ));
    Ok(Exit::Ok)
}

/// What is to be known of a login.
pub(super) fn said_of_login(context: &Context, held: &LoginView) -> Result<(), Failure> {
    let out = &context.out;
    if let Some(warning) = &held.warning {
        let mark = out.style.paint(Paint::Warn, "warning");
        out.line(&format!("{mark}  {}", text::clean_line(warning)))?;
    }
    if held.needs_sign_in.is_some() {
        let agent = text::clean_line(&held.agent);
        let mark = out.style.paint(Paint::Danger, "needs sign-in");
        out.line(&format!("{mark}  {agent} has to be signed in again."))?;
    }
    Ok(())
}

pub(super) async fn logout(context: &Context, agent: &str) -> Result<Exit, Failure> {
    let api = context.api()?;
    let segments = [agent];
    let _: Done = api
        .json(Call::new(RouteId::RemoveAgentLogin, &segments))
        .await?;
    let out = &context.out;
    if out.json {
        out.value(&serde_json::json!({ "agent": agent, "removed": true }))?;
    } else {
        let agent = text::clean_line(agent);
        out.line(&format!("The login of {agent} is forgotten."))?;
    }
    Ok(Exit::Ok)
}

fn cells(agent: &AgentView) -> Vec<Cell> {
    let (status, paint) = match &agent.verified_on {
        Some(on) => (format!("✓ {} {on}", agent.status), Paint::Ok),
        None => (agent.status.clone(), Paint::Warn),
    };
    let modes: Vec<String> = agent
        .permission_modes
        .iter()
        .map(|mode| name(*mode))
        .collect();
    vec![
        Cell::new(&agent.id).paint(Paint::Strong).whole(),
        Cell::new(&agent.name),
        Cell::new(match agent.version.as_deref() {
            Some(version) => version,
            None if agent.id == DEFAULT_AGENT => "SAM's own",
            None => "as it is there",
        }),
        Cell::new(status).paint(paint),
        Cell::new(agent.dialect.replace('_', " ")),
        Cell::new(modes.join(", ")),
    ]
}

/// A mode as it is written on the command line.
fn name(mode: PermissionMode) -> String {
    mode.word().replace('_', "-")
}
