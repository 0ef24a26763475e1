//! The models that the upstream lists. For display: it may be stale, and it never fails.

use std::time::Duration;

use sam_platform::fetch::{self, Outgoing};
use sam_platform::kv::Cache;
use serde::Deserialize;

use super::upstream::Upstream;
use crate::call::Call;

/// How long a list is shown without asking again, in seconds.
const FRESH_SECONDS: u64 = 60;
/// How long the upstream may take; whoever waits is looking at a page.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest list that is read, in bytes.
const LIST_LIMIT: usize = 1024 * 1024;
/// Most models that are shown.
const MODELS_LIMIT: usize = 500;

#[derive(Deserialize)]
struct Listing {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

/// Ids of the upstream's models; empty when there is none or it does not say.
pub(crate) async fn listed(call: &Call) -> Vec<String> {
    let Ok(upstream) = Upstream::required(&call.env) else {
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
    let models = ask(&upstream).await.unwrap_or_default();
    if let Some(cache) = &cache {
        let _ = cache.put(&key, &models, FRESH_SECONDS).await;
    }
    models
}

async fn ask(upstream: &Upstream) -> Option<Vec<String>> {
    let url = upstream.endpoint("models", None);
    let mut headers = vec![("accept", "application/json".to_owned())];
    headers.extend(upstream.authorisation());
    let incoming = fetch::send(&Outgoing {
        method: "GET",
        url: &url,
        headers,
        body: None,
        first_byte_within: PATIENCE,
    })
    .await
    .ok()
    .filter(|incoming| incoming.status == 200)?;
    let body = std::pin::pin!(incoming.into_bytes(LIST_LIMIT));
    let bytes = fetch::within(PATIENCE, body).await?.ok()?;
    let listing: Listing = serde_json::from_slice(&bytes).ok()?;
    Some(
        listing
            .data
            .into_iter()
            .map(|model| model.id)
            .take(MODELS_LIMIT)
            .collect(),
    )
}
