//! The models that can be used, and those that upstreams list. For display: it may be stale, and it
//! never fails.

use std::time::Duration;

use sam_dialects::Dialect;
use sam_domain::catalogue::model as catalogue;
use sam_domain::provider::Mode;
use sam_domain::provider::route::{KeySource, Route};
use sam_platform::fetch::{self, FetchError, Outgoing};
use sam_platform::http;
use sam_platform::kv::Cache;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Access, endpoint_upstream};
use super::installation::Installation;
use super::upstream::Upstream;
use crate::call::Call;
use crate::errors::Answer;
use crate::principal::ModelToken;

/// How long a list is shown without asking again, in seconds.
const FRESH_SECONDS: u64 = 60;
/// How long the upstream may take; whoever waits is looking at a page.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest list that is read, in bytes.
const LIST_LIMIT: usize = 1024 * 1024;
/// Most models that are shown.
const MODELS_LIMIT: usize = 500;
/// How Messages says that it is not known when a model came out.
const UNKNOWN: &str = "1970-01-01T00:00:00Z";

#[derive(Deserialize)]
struct Listing {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

/// The models that this token may use, in the form that the client reads.
pub(crate) async fn list(call: &Call, token: ModelToken) -> Answer {
    let anthropic = call.header("anthropic-version").is_some();
    listing(call, &token, anthropic).await
}

/// The same, in the form of Messages.
pub(crate) async fn list_for_messages(call: &Call, token: ModelToken) -> Answer {
    listing(call, &token, true).await
}

/// The models that a token may use, the one that is used by default first.
async fn listing(call: &Call, token: &ModelToken, anthropic: bool) -> Answer {
    let access = Access::of(call, &token.claims).await?;
    let mut ids: Vec<String> = access.default_model().into_iter().collect();
    for id in usable(call, &access).await {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if !anthropic {
        let model = |id| json!({"id": id, "object": "model", "created": 0, "owned_by": "upstream"});
        let data: Vec<Value> = ids.iter().map(model).collect();
        return Ok(http::json(200, &json!({"object": "list", "data": data})));
    }
    let model = |id: &String| {
        let known = access.held.models.get(id);
        let name = known.map_or_else(|| id.clone(), |model| model.name.into_owned());
        json!({"type": "model", "id": id, "display_name": name, "created_at": UNKNOWN})
    };
    let data: Vec<Value> = ids.iter().map(model).collect();
    let (first, last) = (ids.first(), ids.last());
    let page = json!({"data": data, "has_more": false, "first_id": first, "last_id": last});
    Ok(http::json(200, &page))
}

/// Ids of the models that a workspace can use.
pub(crate) async fn usable(call: &Call, access: &Access) -> Vec<String> {
    let own = listed(call).await;
    let routed = |model: &catalogue::Model| access.route(model, Dialect::Chat).ok();
    let catalogued = access.held.models.list();
    let known = catalogued.iter().filter(|model| model.is_selectable());
    let mut ids: Vec<String> = known
        .filter(|model| routed(model).is_some_and(|route| is_there(&route, &model.id, &own)))
        .map(|model| model.id.to_string())
        .collect();
    if access.mode == Mode::Sam {
        // What the one endpoint has beside them.
        let is_new = |id: &String| access.held.models.get(id).is_none();
        ids.extend(own.into_iter().filter(is_new));
    }
    ids
}

/// Whether a model is where its route leads: the one endpoint has what it lists, a provider what the
/// catalogue says.
pub(crate) fn is_there(route: &Route, id: &str, own: &[String]) -> bool {
    let endpoint = route
        .keys
        .iter()
        .any(|(_, source)| *source == KeySource::Endpoint);
    !endpoint || own.iter().any(|listed| listed == id)
}

/// Ids of the models of the installation's one endpoint; empty when there is none or it does not say.
pub(crate) async fn listed(call: &Call) -> Vec<String> {
    let installation = Installation::of(&call.env).ok();
    let Some(upstream) = installation.as_deref().and_then(endpoint_upstream) else {
        return Vec::new();
    };
    let key = format!("models:{}", upstream.cache_name());
    let cache = Cache::of(&call.env).ok();
    if let Some(cache) = &cache
        && let Ok(Some(models)) = cache.get::<Vec<String>>(&key).await
    {
        return models;
    }
    // An upstream that does not answer is remembered as well, so that it is not waited for on
    // every page.
    let models = match ask(&upstream, PATIENCE).await {
        Ok(Listed::Models(models)) => models,
        Ok(Listed::Status(_)) | Err(_) => Vec::new(),
    };
    if let Some(cache) = &cache {
        let _ = cache.put(&key, &models, FRESH_SECONDS).await;
    }
    models
}

/// What an upstream says of its models.
pub(crate) enum Listed {
    /// These it has.
    Models(Vec<String>),
    /// It answered with this status.
    Status(u16),
}

/// Asks an upstream for its models.
pub(crate) async fn ask(upstream: &Upstream, patience: Duration) -> Result<Listed, FetchError> {
    let url = upstream.endpoint("models", None);
    let mut headers = vec![("accept", "application/json".to_owned())];
    headers.extend(upstream.authorisation());
    if upstream.dialect == Dialect::Messages {
        headers.push(("anthropic-version", super::MESSAGES_VERSION.to_owned()));
    }
    let incoming = fetch::send(&Outgoing {
        method: "GET",
        url: &url,
        headers,
        body: None,
        first_byte_within: patience,
    })
    .await?;
    let status = incoming.status;
    if status != 200 {
        return Ok(Listed::Status(status));
    }
    let body = std::pin::pin!(incoming.into_bytes(LIST_LIMIT));
    let bytes = match fetch::within(patience, body).await {
        Some(Ok(bytes)) => bytes,
        Some(Err(_)) | None => return Err(FetchError::TimedOut(patience)),
    };
    let Ok(listing) = sam_platform::http::parse_json::<Listing>(&bytes) else {
        return Ok(Listed::Status(status));
    };
    let ids = listing.data.into_iter().map(|model| model.id);
    Ok(Listed::Models(ids.take(MODELS_LIMIT).collect()))
}
