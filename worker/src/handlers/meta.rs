//! What the installation is.

use sam_domain::access::wire::VersionInfo;
use sam_domain::agents::{AgentView, LISTED};
use sam_domain::catalogue::Catalog;
use sam_domain::conversation::call::Done;
use sam_platform::{assets, http};

use crate::call::Call;
use crate::errors::{Answer, hidden};
use crate::principal::Public;
use crate::proxy::{installation, models};

/// This API as an OpenAPI document: `docs/openapi.json`, which is deployed beside the Worker.
const OPENAPI: &str = "/openapi.json";

pub(crate) async fn healthz(_: &Call, _: Public) -> Answer {
    Ok(http::json(200, &Done {}))
}

pub(crate) async fn version(_: &Call, _: Public) -> Answer {
    Ok(http::json(
        200,
        &VersionInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    ))
}

pub(crate) async fn openapi(call: &Call, _: Public) -> Answer {
    let document = assets::file(&call.env, OPENAPI).await?;
    document.ok_or_else(|| hidden(&"openapi.json was not deployed"))
}

pub(crate) async fn catalog(call: &Call, _: Public) -> Answer {
    let agents = LISTED.iter().map(AgentView::from).collect();
    Ok(http::json(
        200,
        &Catalog {
            agents,
            model: installation::status(&call.env),
            models: models::listed(call).await,
        },
    ))
}
