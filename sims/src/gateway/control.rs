//! Routes by which a test looks into the gateway and makes it misbehave. They ask for no key: the gateway listens on
//! loopback alone.
//!
//! | route | what it does |
//! |---|---|
//! | `GET /control/requests?bodies=false` | every recorded request, with or without bodies |
//! | `POST /control/fault` | queues a [`Fault`], or a list of them |
//! | `GET /control/faults` | the faults that still wait |
//! | `POST /control/release?id=N` | lets held streams go on: the one of request `N`, or all |
//! | `POST /control/reset` | forgets records and faults, releases what is held |

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Fault;
use super::{Gateway, error};

pub(super) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/control/requests", get(requests))
        .route("/control/fault", post(queue))
        .route("/control/faults", get(faults))
        .route("/control/release", post(release))
        .route("/control/reset", post(reset))
}

#[derive(Deserialize)]
struct RequestsQuery {
    #[serde(default = "yes")]
    bodies: bool,
}

fn yes() -> bool {
    true
}

async fn requests(State(gateway): State<Gateway>, Query(query): Query<RequestsQuery>) -> Response {
    let mut records = gateway.records.all();
    if !query.bodies {
        for record in &mut records {
            record.body = Value::Null;
        }
    }
    Json(json!({ "requests": records })).into_response()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Fault>),
    One(Fault),
}

async fn queue(State(gateway): State<Gateway>, Json(body): Json<Value>) -> Response {
    let faults = match serde_json::from_value(body) {
        Ok(OneOrMany::Many(faults)) => faults,
        Ok(OneOrMany::One(fault)) => vec![fault],
        Err(_) => {
            return error(
                &crate::dialect::Chat,
                StatusCode::BAD_REQUEST,
                "bad_fault",
                "the body is not a fault, nor a list of them",
            );
        }
    };
    gateway.faults(|queue| queue.extend(faults));
    faults_waiting(&gateway)
}

async fn faults(State(gateway): State<Gateway>) -> Response {
    faults_waiting(&gateway)
}

fn faults_waiting(gateway: &Gateway) -> Response {
    Json(json!({ "waiting": gateway.faults(|queue| queue.waiting().to_vec()) })).into_response()
}

#[derive(Deserialize)]
struct ReleaseQuery {
    id: Option<u64>,
}

async fn release(State(gateway): State<Gateway>, Query(query): Query<ReleaseQuery>) -> Response {
    Json(json!({ "released": gateway.records.release(query.id) })).into_response()
}

async fn reset(State(gateway): State<Gateway>) -> Response {
    gateway.faults(super::faults::FaultQueue::clear);
    let released = gateway.records.release(None);
    gateway.records.clear();
    Json(json!({ "released": released })).into_response()
}
