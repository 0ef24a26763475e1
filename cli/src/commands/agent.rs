//! `sam agent list`

use crate::api::Call;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::{self, Cell};
use sam_domain::access::route::RouteId;
use sam_domain::agents::{AgentView, PermissionMode};
use sam_domain::catalogue::Catalog;

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
    for line in table::lines(out.style, &headings, &rows) {
        out.line(&line)?;
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
        Cell::new(&agent.id).paint(Paint::Strong),
        Cell::new(&agent.name),
        Cell::new(agent.version.as_deref().unwrap_or("SAM's own")),
        Cell::new(status).paint(paint),
        Cell::new(agent.dialect.replace('_', " ")),
        Cell::new(modes.join(", ")),
    ]
}

/// A mode as it is written on the command line.
fn name(mode: PermissionMode) -> String {
    mode.word().replace('_', "-")
}
