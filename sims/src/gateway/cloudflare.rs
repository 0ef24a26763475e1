//! The part of Cloudflare's API that makes and changes AI Gateways.
//!
//! | route below `/client/v4/accounts/{account}/ai-gateway` | |
//! |---|---|
//! | `POST /gateways` | makes one |
//! | `GET /gateways/{id}` | its settings |
//! | `PUT /gateways/{id}` | replaces its settings; the fields that the API's description requires have to be there |
//! | `PATCH /gateways/{id}` | refused with 405, as by the real one |
//!
//! `POST /control/unpaid {"provider": "openai"}` ends unified billing for a provider.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Gateway;

/// What a gateway's settings have to say.
const REQUIRED: [&str; 5] = [
    "cache_invalidate_on_update",
    "cache_ttl",
    "collect_logs",
    "rate_limiting_interval",
    "rate_limiting_limit",
];

/// Every gateway that was made, and who pays.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    gateways: BTreeMap<String, Value>,
    unpaid: BTreeSet<String>,
}

impl Settings {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a gateway asks for the key; one that nobody made does.
    pub(super) fn asks_for_key(&self, id: &str) -> bool {
        let inner = self.lock();
        inner
            .gateways
            .get(id)
            .is_none_or(|held| held.get("authentication") == Some(&Value::Bool(true)))
    }

    /// Whether unified billing does not pay for a provider.
    pub(super) fn is_unpaid(&self, provider: &str) -> bool {
        self.lock().unpaid.contains(provider)
    }
}

pub(super) fn routes() -> Router<Gateway> {
    let base = "/client/v4/accounts/{account}/ai-gateway/gateways";
    Router::new()
        .route(base, post(create))
        .route(&format!("{base}/{{id}}"), get(read).put(replace))
        .route("/control/unpaid", post(unpaid))
}

async fn create(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refused) = authorise(&gateway, &headers) {
        return refused;
    }
    let Some(id) = body.get("id").and_then(Value::as_str).map(str::to_owned) else {
        return failed(StatusCode::BAD_REQUEST, 7001, "Required: id");
    };
    if gateway.settings.lock().gateways.contains_key(&id) {
        return failed(
            StatusCode::CONFLICT,
            7003,
            "A gateway with this id already exists",
        );
    }
    store(&gateway, &id, body)
}

async fn replace(
    State(gateway): State<Gateway>,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refused) = authorise(&gateway, &headers) {
        return refused;
    }
    if !gateway.settings.lock().gateways.contains_key(&id) {
        return missing();
    }
    store(&gateway, &id, body)
}

async fn read(
    State(gateway): State<Gateway>,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = authorise(&gateway, &headers) {
        return refused;
    }
    match gateway.settings.lock().gateways.get(&id) {
        Some(held) => succeeded(held),
        None => missing(),
    }
}

/// Keeps a gateway's settings; what they do not say is off.
fn store(gateway: &Gateway, id: &str, mut body: Value) -> Response {
    if let Some(absent) = REQUIRED.iter().find(|name| body.get(**name).is_none()) {
        let words = format!("Required: {absent}");
        return failed(StatusCode::BAD_REQUEST, 7001, &words);
    }
    if let Some(fields) = body.as_object_mut() {
        fields.insert("id".to_owned(), json!(id));
        fields.entry("authentication").or_insert(json!(false));
    }
    let reply = succeeded(&body);
    gateway.settings.lock().gateways.insert(id.to_owned(), body);
    reply
}

async fn unpaid(State(gateway): State<Gateway>, Json(body): Json<Value>) -> Response {
    let provider = body.get("provider").and_then(Value::as_str);
    let mut inner = gateway.settings.lock();
    inner.unpaid.extend(provider.map(str::to_owned));
    Json(json!({ "unpaid": inner.unpaid })).into_response()
}

/// The refusal of a request without the key.
pub(super) fn authorise(gateway: &Gateway, headers: &HeaderMap) -> Option<Response> {
    let key = gateway.options.key.as_ref()?;
    let value = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let good = value.and_then(|value| value.strip_prefix("Bearer ")) == Some(key);
    (!good).then(|| failed(StatusCode::UNAUTHORIZED, 10_000, "Authentication error"))
}

fn succeeded(result: &Value) -> Response {
    let body = json!({"success": true, "errors": [], "messages": [], "result": result});
    Json(body).into_response()
}

fn missing() -> Response {
    failed(StatusCode::NOT_FOUND, 7002, "Gateway not found")
}

fn failed(status: StatusCode, code: u32, message: &str) -> Response {
    let errors = json!([{"code": code, "message": message}]);
    let body = json!({"success": false, "errors": errors, "messages": [], "result": null});
    (status, Json(body)).into_response()
}
