//! An OpenAI-compatible model gateway over a real socket, for tests and for a demo without a key.
//!
//! It serves one model, `scripted`, and says so in every response (`x-sam-sims: scripted-model`). A request is
//! answered from its own body alone; what the server keeps between requests (records, faults) serves the tests and
//! never the answer.
//!
//! Routes: `POST /v1/chat/completions` and `GET /v1/models`; the AI Gateway form
//! `POST /v1/{account}/{gateway}/{provider}/chat/completions`, which may carry its key in `cf-aig-authorization`;
//! and [`control`] for tests.

mod control;
mod faults;
mod records;
mod stream;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router, body, middleware};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub use faults::{Fault, FaultKind};
pub use records::{Outcome, Record};

use self::faults::{FaultQueue, Features};
use self::records::{RecordGuard, Records};
use crate::script;
use crate::wire::{ChatRequest, MODEL, Refusal, Usage};

/// A conversation with long tool results stays well below this.
const BODY_LIMIT: usize = 64 * 1024 * 1024;
const LABEL: &str = "x-sam-sims";

/// How the gateway behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The key that requests must carry; none asks for none.
    pub key: Option<String>,
    /// Pause between two chunks of a stream.
    pub chunk_delay: Duration,
    /// Faults that wait from the start.
    pub faults: Vec<Fault>,
}

#[derive(Clone)]
struct Gateway {
    options: Arc<Options>,
    faults: Arc<Mutex<FaultQueue>>,
    records: Records,
}

impl Gateway {
    fn faults<T>(&self, with: impl FnOnce(&mut FaultQueue) -> T) -> T {
        with(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves until the listener fails.
///
/// # Errors
/// What the socket reports.
pub async fn serve(listener: TcpListener, options: Options) -> io::Result<()> {
    // Small writes must leave at once, or a stream's pace would be the socket's.
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    axum::serve(listener, router(options)).await
}

fn router(options: Options) -> Router {
    let mut queue = FaultQueue::default();
    queue.extend(options.faults.iter().cloned());
    let gateway = Gateway {
        options: Arc::new(options),
        faults: Arc::new(Mutex::new(queue)),
        records: Records::default(),
    };
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat))
        .route(
            "/v1/{account}/{gateway}/{provider}/chat/completions",
            post(chat),
        )
        .merge(control::routes())
        .fallback(|| async {
            error(
                StatusCode::NOT_FOUND,
                "unknown_url",
                "there is no such route",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::map_response(
            |mut response: Response| async move {
                response
                    .headers_mut()
                    .insert(LABEL, HeaderValue::from_static("scripted-model"));
                response
            },
        ))
        .with_state(gateway)
}

async fn models(State(gateway): State<Gateway>, headers: HeaderMap) -> Response {
    if let Err(refused) = authorise(&gateway, &headers) {
        return *refused;
    }
    let description = "A scripted model: it follows fixed rules on the conversation it is sent. It repairs failing \
        JavaScript tests and answers questions about code; it is not a language model.";
    Json(json!({ "object": "list", "data": [{
        "id": MODEL, "object": "model", "created": 0, "owned_by": "sam-sims",
        "name": "Scripted model", "description": description, "context_length": 128_000,
    }] }))
    .into_response()
}

async fn chat(State(gateway): State<Gateway>, request: Request) -> Response {
    let (parts, incoming) = request.into_parts();
    let Ok(bytes) = body::to_bytes(incoming, BODY_LIMIT).await else {
        return error(
            StatusCode::BAD_REQUEST,
            "bad_request",
            "the body could not be read",
        );
    };
    let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let mut names: Vec<String> = parts.headers.keys().map(ToString::to_string).collect();
    names.sort();
    let record = gateway.records.open(parts.uri.path(), names, value.clone());
    match accept(&gateway, &parts.headers, value, &record) {
        Ok((request, fault)) => answer(&gateway, &request, fault, record),
        Err(refused) => {
            record.update(|kept| {
                kept.status = refused.status().as_u16();
                kept.outcome = Outcome::Refused;
            });
            *refused
        }
    }
}

/// The request and the fault that will happen to its answer, or the refusal.
fn accept(
    gateway: &Gateway,
    headers: &HeaderMap,
    body: Value,
    record: &RecordGuard,
) -> Result<(ChatRequest, Option<FaultKind>), Box<Response>> {
    let authorised_by = authorise(gateway, headers)?;
    record.update(|kept| kept.authorised_by = authorised_by);
    let request: ChatRequest = serde_json::from_value(body)
        .map_err(|problem| error(StatusCode::BAD_REQUEST, "bad_request", &problem.to_string()))?;
    if let Err(refusal) = request.check() {
        let (status, code) = match refusal {
            Refusal::UnknownModel(_) => (StatusCode::NOT_FOUND, "model_not_found"),
            _ => (StatusCode::BAD_REQUEST, "invalid_messages"),
        };
        return Err(error(status, code, &refusal.to_string()).into());
    }
    let texts: Vec<String> = request
        .messages
        .iter()
        .map(crate::wire::Message::text)
        .collect();
    let features = Features {
        tools: !request.tools.is_empty(),
        text: &texts.join("\n"),
    };
    let fault = gateway.faults(|queue| queue.take(features));
    record.update(|kept| kept.fault.clone_from(&fault));
    match fault {
        Some(FaultKind::RateLimit { retry_after }) => {
            let mut response = error(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit_exceeded",
                &format!("Rate limit reached for {MODEL}. Please try again in {retry_after}s."),
            );
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
            if let Ok(reset) = HeaderValue::from_str(&format!("{retry_after}s")) {
                headers.insert("x-ratelimit-reset-requests", reset);
            }
            Err(response.into())
        }
        Some(FaultKind::Status { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Err(error(status, "server_error", "an error that was asked for").into())
        }
        other => Ok((request, other)),
    }
}

fn answer(
    gateway: &Gateway,
    request: &ChatRequest,
    fault: Option<FaultKind>,
    record: RecordGuard,
) -> Response {
    let reply = script::answer(request);
    let usage = Usage::of(request, &reply);
    record.update(|kept| kept.usage = Some(usage));
    let id = format!("chatcmpl-sim{:06}", record.id());
    if request.stream {
        let include_usage = request
            .stream_options
            .as_ref()
            .is_some_and(|options| options.include_usage);
        let events = stream::events(&id, &reply, include_usage.then_some(usage));
        let body = Body::from_stream(stream::play(
            events,
            gateway.options.chunk_delay,
            fault,
            record,
        ));
        let headers = [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        return (headers, body).into_response();
    }
    // An answer in one piece counts as one chunk.
    let body = json!({
        "id": id, "object": "chat.completion", "created": 0, "model": MODEL,
        "choices": [{ "index": 0, "message": reply.message(), "finish_reason": reply.finish_reason() }],
        "usage": usage,
    });
    let body = Body::from_stream(stream::play(
        vec![body.to_string()],
        Duration::ZERO,
        fault,
        record,
    ));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The header that carried the key, or the refusal.
fn authorise(
    gateway: &Gateway,
    headers: &HeaderMap,
) -> Result<Option<&'static str>, Box<Response>> {
    let Some(key) = &gateway.options.key else {
        return Ok(None);
    };
    for name in ["cf-aig-authorization", "authorization"] {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        if value.and_then(|value| value.strip_prefix("Bearer ")) == Some(key) {
            return Ok(Some(name));
        }
    }
    Err(error(
        StatusCode::UNAUTHORIZED,
        "invalid_api_key",
        "Incorrect API key provided.",
    )
    .into())
}

/// An error in the protocol's shape.
fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let kind = match status {
        StatusCode::TOO_MANY_REQUESTS => "requests",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    };
    let body =
        json!({ "error": { "message": message, "type": kind, "param": null, "code": code } });
    (status, Json(body)).into_response()
}
