//! AI Gateway's log of the requests that passed it, and the API that lists it.
//!
//! | route | what it does |
//! |---|---|
//! | `GET /client/v4/accounts/{account}/ai-gateway/gateways/{gateway}/logs` | a page of records, as Cloudflare publishes it |
//! | `POST /control/prices` | what the gateway thinks that tokens cost: dollars for a million, `{"input", "output"}` |
//! | `POST /control/log` | adds a record that no request made, as it stands |
//! | `POST /control/close-log` | has the listing refuse everybody from now on |
//!
//! Records carry what a request said of itself in `cf-aig-metadata`, as a text with JSON. The listing knows `page`,
//! `per_page` of at most 50, `order_by=created_at`, `order_by_direction`, and `filters` with `created_at`; anything
//! else is refused, as is a token that is not the gateway's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Gateway;
use crate::conversation::Usage;

/// Most records of a page.
const PAGE: usize = 50;

/// Dollars for a million tokens.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Prices {
    input: f64,
    output: f64,
}

/// The log of all gateways.
#[derive(Debug, Clone)]
pub(super) struct Logs {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    prices: Prices,
    /// Whether the listing is refused, whoever asks.
    closed: bool,
    made: u64,
    /// Records with the account and gateway they belong to, oldest first.
    records: Vec<(String, String, Value)>,
}

impl Default for Logs {
    fn default() -> Self {
        let prices = Prices {
            input: 1.0,
            output: 4.0,
        };
        let inner = Inner {
            prices,
            closed: false,
            made: 0,
            records: Vec::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }
}

/// What is logged of a request.
pub(super) struct Passed<'a> {
    pub(super) path: &'a str,
    pub(super) model: &'a str,
    pub(super) metadata: Option<&'a str>,
    pub(super) status: u16,
    pub(super) usage: Option<Usage>,
}

impl Logs {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a request, if it passed a gateway, and answers the record's id.
    pub(super) fn record(&self, passed: &Passed<'_>) -> Option<String> {
        let mut segments = passed.path.strip_prefix("/v1/")?.splitn(4, '/');
        let (account, gateway) = (segments.next()?, segments.next()?);
        let (provider, path) = (segments.next()?, segments.next()?);
        let mut inner = self.lock();
        inner.made += 1;
        let id = format!("01LOG{:021}", inner.made);
        let (input, output) = passed.usage.map_or((0, 0), |usage| {
            (usage.prompt_tokens, usage.completion_tokens)
        });
        let Prices {
            input: price_in,
            output: price_out,
        } = inner.prices;
        #[expect(clippy::cast_precision_loss, reason = "tokens of one request")]
        let cost = (input as f64).mul_add(price_in, output as f64 * price_out) / 1e6;
        let mut record = json!({
            "id": id, "created_at": rfc3339(SystemTime::now()), "provider": provider,
            "model": passed.model, "model_type": "", "path": path, "cached": false,
            "success": passed.status < 400, "status_code": passed.status, "duration": 1, "step": 0,
            "request_type": "", "request_content_type": "application/json",
            "response_content_type": "application/json", "custom_cost": false,
            "tokens_in": input, "tokens_out": output, "cost": cost,
        });
        if let (Some(fields), Some(metadata)) = (record.as_object_mut(), passed.metadata) {
            fields.insert("metadata".to_owned(), json!(metadata));
        }
        let (account, gateway) = (account.to_owned(), gateway.to_owned());
        inner.records.push((account, gateway, record));
        Some(id)
    }
}

/// A moment as RFC 3339 has it, with milliseconds.
fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let (days, within) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days of a calendar whose year begins in March.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let day = day - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (within / 3_600, within / 60 % 60, within % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route(
            "/client/v4/accounts/{account}/ai-gateway/gateways/{gateway}/logs",
            get(list),
        )
        .route("/control/prices", post(set_prices))
        .route("/control/log", post(add))
        .route("/control/close-log", post(close))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default = "first")]
    page: usize,
    #[serde(default = "some")]
    per_page: usize,
    #[serde(default)]
    order_by: Option<String>,
    #[serde(default)]
    order_by_direction: Option<String>,
    #[serde(default)]
    filters: Option<String>,
}

const fn first() -> usize {
    1
}

const fn some() -> usize {
    20
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    key: String,
    operator: String,
    value: Vec<String>,
}

impl Filter {
    /// Whether a record passes; none when the filter is not known here.
    fn passes(&self, record: &Value) -> Option<bool> {
        let created = created_at(record);
        let value = self.value.first()?.as_str();
        // Moments of one form sort as their texts do.
        match (self.key.as_str(), self.operator.as_str()) {
            ("created_at", "gt") => Some(created > value),
            ("created_at", "lt") => Some(created < value),
            _ => None,
        }
    }
}

fn created_at(record: &Value) -> &str {
    let created = record.get("created_at").and_then(Value::as_str);
    created.unwrap_or_default()
}

async fn list(
    State(gateway): State<Gateway>,
    Path((account, id)): Path<(String, String)>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let token = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let key = gateway.options.key.as_deref();
    if gateway.logs.lock().closed || key.is_some_and(|key| token != Some(key)) {
        return refuse(
            StatusCode::FORBIDDEN,
            9109,
            "Unauthorized to access requested resource",
        );
    }
    let Ok(Query(asked)) = asked else {
        return refuse(
            StatusCode::BAD_REQUEST,
            7001,
            "unknown or malformed parameter",
        );
    };
    let filters: Result<Vec<Filter>, _> =
        serde_json::from_str(asked.filters.as_deref().unwrap_or("[]"));
    let Ok(filters) = filters else {
        return refuse(StatusCode::BAD_REQUEST, 7001, "malformed filters");
    };
    let descending = asked.order_by_direction.as_deref() != Some("asc");
    let ordered = asked
        .order_by
        .as_deref()
        .is_none_or(|by| by == "created_at");
    if asked.page == 0 || !(1..=PAGE).contains(&asked.per_page) || !ordered {
        return refuse(StatusCode::BAD_REQUEST, 7001, "a parameter is out of range");
    }
    let inner = gateway.logs.lock();
    let mut found = Vec::new();
    for (of_account, of_gateway, record) in &inner.records {
        if (of_account, of_gateway) != (&account, &id) {
            continue;
        }
        match filters
            .iter()
            .map(|filter| filter.passes(record))
            .collect::<Option<Vec<_>>>()
        {
            Some(passes) if passes.iter().all(|passes| *passes) => found.push(record.clone()),
            Some(_) => {}
            None => return refuse(StatusCode::BAD_REQUEST, 7001, "unknown filter"),
        }
    }
    found.sort_by_key(|record| created_at(record).to_owned());
    if descending {
        found.reverse();
    }
    let total = found.len();
    let page: Vec<Value> = found
        .into_iter()
        .skip((asked.page - 1) * asked.per_page)
        .take(asked.per_page)
        .collect();
    let info = json!({
        "page": asked.page, "per_page": asked.per_page, "count": page.len(), "total_count": total,
    });
    Json(json!({ "success": true, "result": page, "result_info": info })).into_response()
}

fn refuse(status: StatusCode, code: u32, message: &str) -> Response {
    let errors = json!([{ "code": code, "message": message }]);
    let body = json!({ "success": false, "errors": errors, "messages": [], "result": null });
    (status, Json(body)).into_response()
}

async fn set_prices(State(gateway): State<Gateway>, Json(prices): Json<Prices>) -> Response {
    gateway.logs.lock().prices = prices;
    Json(json!({})).into_response()
}

async fn close(State(gateway): State<Gateway>) -> Response {
    gateway.logs.lock().closed = true;
    Json(json!({})).into_response()
}

#[derive(Debug, Deserialize)]
struct Added {
    account: String,
    gateway: String,
    record: Value,
}

async fn add(State(gateway): State<Gateway>, Json(added): Json<Added>) -> Response {
    let mut inner = gateway.logs.lock();
    inner
        .records
        .push((added.account, added.gateway, added.record));
    Json(json!({})).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_are_those_of_the_calendar() {
        let at = |seconds| rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400_007), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_795_132_799_000), "2026-11-19T23:59:59.000Z");
    }

    /// What Cloudflare publishes of the listing.
    const PUBLISHED: &str = include_str!("../../tests/data/ai-gateway-logs.json");

    fn published(place: &str) -> Value {
        let published: Value = serde_json::from_str(PUBLISHED).unwrap();
        published.pointer(place).unwrap().clone()
    }

    #[test]
    fn a_record_is_what_is_published() {
        let logs = Logs::default();
        for metadata in [None, Some("{}")] {
            logs.record(&Passed {
                path: "/v1/account/gateway/compat/chat/completions",
                model: "scripted",
                metadata,
                status: 200,
                usage: None,
            });
        }
        let (required, optional) = (published("/record/required"), published("/record/optional"));
        for (_, _, record) in &logs.lock().records {
            let record = record.as_object().unwrap();
            for name in required.as_object().unwrap().keys() {
                assert!(record.contains_key(name), "{name} is missing");
            }
            for (name, value) in record {
                let kind = required.get(name).or_else(|| optional.get(name));
                let kind = kind.and_then(Value::as_str).expect(name);
                let fits = match kind {
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64(),
                    "integer or null" => value.is_u64() || value.is_null(),
                    "number" => value.is_number(),
                    other => panic!("{other}"),
                };
                assert!(fits, "{name}: {value} is no {kind}");
            }
        }
    }

    #[test]
    fn only_published_parameters_are_taken() {
        let names = [
            "page",
            "per_page",
            "order_by",
            "order_by_direction",
            "filters",
        ];
        let query = published("/query");
        for name in names {
            assert!(query.get(name).is_some(), "{name} is not published");
        }
        let asked: Result<Asked, _> = serde_json::from_value(json!({"since": 1}));
        assert!(asked.is_err());
        let one_of = |place: &str, text: &str| {
            let known = published(place);
            let known = known.as_array().unwrap();
            known.iter().any(|known| known == text)
        };
        assert!(one_of("/query/order_by", "created_at"));
        assert!(one_of("/query/order_by_direction", "asc"));
        for operator in ["gt", "lt"] {
            assert!(one_of("/query/filters/operator", operator));
            let filter = json!({"key": "created_at", "operator": operator, "value": ["2026"]});
            let filter: Filter = serde_json::from_value(filter).unwrap();
            assert!(one_of("/query/filters/key", &filter.key));
            assert!(filter.passes(&json!({})).is_some());
        }
    }

    #[test]
    fn only_what_passes_a_gateway_is_logged() {
        let logs = Logs::default();
        let passed = |path| {
            logs.record(&Passed {
                path,
                model: "scripted",
                metadata: Some("{}"),
                status: 200,
                usage: None,
            })
        };
        assert_eq!(passed("/v1/chat/completions"), None);
        assert!(passed("/v1/account/gateway/compat/chat/completions").is_some());
    }
}
