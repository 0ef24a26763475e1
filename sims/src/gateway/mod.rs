//! A model gateway over a real socket, for tests and for a demo without a key.
//!
//! It serves one model, `scripted`, and says so in every response (`x-sam-sims: scripted-model`). A request is
//! answered from its own body alone; what the server keeps between requests (records, faults) serves the tests and
//! never the answer. Which protocol a route speaks is its [`Dialect`]'s affair.
//!
//! | route | protocol |
//! |---|---|
//! | `POST /v1/chat/completions` | chat completions |
//! | `POST /v1/responses` | Responses |
//! | `POST /v1/messages`, `POST /v1/messages/count_tokens` | Messages; `anthropic-version` has to be said |
//! | `GET /v1/models` | in the form of OpenAI, or of Anthropic when `anthropic-version` is said |
//!
//! The same below `/v1/{account}/{gateway}/{provider}`, as AI Gateway has it: `…/openai/chat/completions`,
//! `…/openai/responses`, `…/anthropic/v1/messages`, `…/workers-ai/v1/chat/completions`, `…/compat/chat/completions`
//! and their `models`, where every model of the provider is played by the scripted one. Who may call what is
//! [`access`]'s affair. What passes a gateway is logged ([`logs`]). [`cloudflare`] is Cloudflare's own API for
//! gateways, and [`control`] is for tests.

mod access;
mod cloudflare;
mod control;
mod faults;
mod logs;
mod records;
mod stream;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router, body, middleware};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub use crate::conversation::Usage;
pub use crate::dialect::Part;
pub use crate::script::exam::Exam;
pub use faults::{Fault, FaultKind, Malformation, Reset};
pub use records::{Outcome, Record};

use self::access::{Door, authorise};
use self::cloudflare::Settings;
use self::faults::{FaultQueue, Features};
use self::logs::{Logs, Passed};
use self::records::{RecordGuard, Records};
use crate::conversation::{MODEL, Reply};
use crate::dialect::{Asked, Chat, Chunk, Dialect, Messages, Refusal, Responses};
use crate::script;

/// A conversation with long tool results stays well below this.
const BODY_LIMIT: usize = 64 * 1024 * 1024;
const LABEL: &str = "x-sam-sims";
const ANTHROPIC_VERSION: &str = "anthropic-version";
const API_KEY: &str = "x-api-key";

/// How the gateway behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The key that requests must carry; none asks for none.
    pub key: Option<String>,
    /// The key that providers behind the gateway take.
    pub provider_key: Option<String>,
    /// Pause between two chunks of a stream.
    pub chunk_delay: Duration,
    /// Faults that wait from the start.
    pub faults: Vec<Fault>,
    /// Tasks of an evaluation that it can take part in.
    pub exam: Exam,
}

#[derive(Clone)]
struct Gateway {
    options: Arc<Options>,
    faults: Arc<Mutex<FaultQueue>>,
    records: Records,
    logs: Logs,
    settings: Settings,
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
        logs: Logs::default(),
        settings: Settings::default(),
    };
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat))
        .route(
            "/v1/{account}/{gateway}/{provider}/chat/completions",
            post(chat),
        )
        .route(
            "/v1/{account}/{gateway}/workers-ai/v1/chat/completions",
            post(chat),
        )
        .route(
            "/v1/{account}/{gateway}/{provider}/models",
            get(provider_models),
        )
        .route(
            "/v1/{account}/{gateway}/{provider}/v1/models",
            get(provider_models),
        )
        .route("/v1/responses", post(responses))
        .route("/v1/{account}/{gateway}/openai/responses", post(responses))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route(
            "/v1/{account}/{gateway}/anthropic/v1/messages",
            post(messages),
        )
        .merge(cloudflare::routes())
        .merge(control::routes())
        .merge(logs::routes())
        .fallback(|| async {
            error(
                &Chat,
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
    let anthropic = headers.contains_key(ANTHROPIC_VERSION);
    let dialect: &dyn Dialect = if anthropic { &Messages } else { &Chat };
    if let Err(refused) = authorise(&gateway, dialect, "/v1/models", &headers) {
        return *refused;
    }
    if anthropic {
        return Json(json!({ "data": [{ "type": "model", "id": MODEL, "display_name": "Scripted model",
            "created_at": "2026-01-01T00:00:00Z" }], "has_more": false, "first_id": MODEL, "last_id": MODEL }))
        .into_response();
    }
    let description = "A scripted model: it follows fixed rules on the conversation it is sent. It repairs failing \
        JavaScript tests and answers questions about code; it is not a language model.";
    let further = gateway.options.exam.models();
    let model = |id: &str| {
        json!({
            "id": id, "object": "model", "created": 0, "owned_by": "sam-sims",
            "name": "Scripted model", "description": description, "context_length": 128_000,
        })
    };
    let ids = std::iter::once(&MODEL).chain(further);
    let data: Vec<Value> = ids.map(|id| model(id)).collect();
    Json(json!({ "object": "list", "data": data })).into_response()
}

async fn provider_models(State(gateway): State<Gateway>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(door) = Door::of(uri.path()) else {
        return error(
            &Chat,
            StatusCode::NOT_FOUND,
            "unknown_url",
            "there is no such route",
        );
    };
    let anthropic = door.provider == "anthropic";
    let dialect: &dyn Dialect = if anthropic { &Messages } else { &Chat };
    if let Err(refused) = authorise(&gateway, dialect, uri.path(), &headers) {
        return *refused;
    }
    let kind = if anthropic { "type" } else { "object" };
    let model = |id: &&str| json!({ "id": id, kind: "model" });
    let data: Vec<Value> = door.models().iter().map(model).collect();
    Json(json!({ "object": "list", "data": data })).into_response()
}

async fn chat(State(gateway): State<Gateway>, request: Request) -> Response {
    serve_model(&gateway, &Chat, request).await
}

async fn responses(State(gateway): State<Gateway>, request: Request) -> Response {
    serve_model(&gateway, &Responses, request).await
}

async fn messages(State(gateway): State<Gateway>, request: Request) -> Response {
    match needs_version(request.headers()) {
        Some(refused) => refused,
        None => serve_model(&gateway, &Messages, request).await,
    }
}

fn needs_version(headers: &HeaderMap) -> Option<Response> {
    let words = "anthropic-version: header is required";
    let missing = !headers.contains_key(ANTHROPIC_VERSION);
    missing.then(|| error(&Messages, StatusCode::BAD_REQUEST, "bad_request", words))
}

async fn count_tokens(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    Json(mut body): Json<Value>,
) -> Response {
    if let Some(refused) = needs_version(&headers) {
        return refused;
    }
    if let Err(refused) = authorise(&gateway, &Messages, "/v1/messages", &headers) {
        return *refused;
    }
    // It bounds nothing, so it names no bound.
    if let Some(fields) = body.as_object_mut() {
        fields.insert("max_tokens".into(), json!(u32::MAX));
    }
    match Messages.read(body) {
        Ok(asked) => {
            let usage = Usage::of(&asked.request, &Reply::default());
            Json(json!({ "input_tokens": usage.prompt_tokens })).into_response()
        }
        Err(refusal) => {
            let (status, code) = refused(&refusal);
            error(&Messages, status, code, &refusal.to_string())
        }
    }
}

/// Answers one request in the protocol of its route.
async fn serve_model(gateway: &Gateway, dialect: &dyn Dialect, request: Request) -> Response {
    let (parts, incoming) = request.into_parts();
    let Ok(bytes) = body::to_bytes(incoming, BODY_LIMIT).await else {
        let words = "the body could not be read";
        return error(dialect, StatusCode::BAD_REQUEST, "bad_request", words);
    };
    let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let mut names: Vec<String> = parts.headers.keys().map(ToString::to_string).collect();
    names.sort();
    let record = gateway.records.open(parts.uri.path(), names, value.clone());
    let most = most(&bytes, &value);
    let model = value.get("model").and_then(Value::as_str);
    let model = model.unwrap_or_default().to_owned();
    let log = |status: u16, usage: Option<Usage>| {
        let metadata = parts.headers.get("cf-aig-metadata");
        gateway.logs.record(&Passed {
            path: parts.uri.path(),
            model: &model,
            metadata: metadata.and_then(|value| value.to_str().ok()),
            status,
            usage,
        })
    };
    match accept(gateway, dialect, &parts, value, &record) {
        Ok(mut accepted) => {
            if let Some(FaultKind::Uses { share }) = accepted.fault {
                accepted.usage = most.share(share);
                record.update(|kept| kept.usage = Some(accepted.usage));
            }
            let logged = log(200, Some(accepted.usage));
            if let Some(FaultKind::SlowAnswer { ms }) = accepted.fault {
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            let mut response = answer(gateway, dialect, accepted, record);
            if let Some(Ok(id)) = logged.map(|id| HeaderValue::from_str(&id)) {
                response.headers_mut().insert("cf-aig-log-id", id);
            }
            response
        }
        Err(refused) => {
            log(refused.status().as_u16(), None);
            record.update(|kept| {
                kept.status = refused.status().as_u16();
                kept.outcome = Outcome::Refused;
            });
            *refused
        }
    }
}

/// The most that a request can be counted as.
fn most(bytes: &[u8], body: &Value) -> Usage {
    let limits = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
    let output = limits
        .iter()
        .filter_map(|name| body.get(name)?.as_u64())
        .max();
    Usage::new(bytes.len() as u64, output.unwrap_or_default())
}

/// A request that is answered.
struct Accepted {
    asked: Asked,
    reply: Reply,
    usage: Usage,
    fault: Option<FaultKind>,
}

/// The request, what the model answers and the fault that will happen to it; or the refusal.
fn accept(
    gateway: &Gateway,
    dialect: &dyn Dialect,
    parts: &Parts,
    body: Value,
    record: &RecordGuard,
) -> Result<Accepted, Box<Response>> {
    let path = parts.uri.path();
    let authorised_by = authorise(gateway, dialect, path, &parts.headers)?;
    record.update(|kept| kept.authorised_by = authorised_by);
    let body = match Door::of(path) {
        Some(door) => door.scripted(body),
        None => body,
    };
    let model = body.get("model").and_then(Value::as_str);
    let model = model.unwrap_or_default().to_owned();
    let asked = dialect.read(body).map_err(|refusal| {
        let (status, code) = refused(&refusal);
        error(dialect, status, code, &refusal.to_string())
    })?;
    let exam = &gateway.options.exam;
    let mut reply = exam
        .answer(&model, &asked.request)
        .unwrap_or_else(|| script::answer(&asked.request));
    if !asked.thinks {
        reply.reasoning.clear();
    }
    let features = Features {
        tools: !asked.request.tools.is_empty(),
        calls: !reply.calls.is_empty(),
        text: &asked.request.text(),
    };
    let fault = gateway.faults(|queue| queue.take(features));
    record.update(|kept| kept.fault.clone_from(&fault));
    match &fault {
        Some(FaultKind::RateLimit { retry_after, says }) => {
            Err(rate_limit(dialect, *retry_after, *says).into())
        }
        Some(FaultKind::Status { status }) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let (code, words) = match status.as_u16() {
                529 => ("overloaded_error", "Overloaded"),
                _ => ("server_error", "an error that was asked for"),
            };
            Err(error(dialect, status, code, words).into())
        }
        Some(FaultKind::Html) => {
            let page = "<!doctype html><title>Welcome</title><h1>It works</h1>";
            let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            Err((headers, page).into_response().into())
        }
        _ => {
            let reply = match &fault {
                Some(fault) => fault.spoil(&asked.request, reply),
                None => reply,
            };
            let usage = Usage::of(&asked.request, &reply);
            record.update(|kept| kept.usage = Some(usage));
            Ok(Accepted {
                asked,
                reply,
                usage,
                fault,
            })
        }
    }
}

/// Status and code of a refusal.
fn refused(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::UnknownModel(_) => (StatusCode::NOT_FOUND, "model_not_found"),
        Refusal::Unreadable(_) => (StatusCode::BAD_REQUEST, "bad_request"),
        _ => (StatusCode::BAD_REQUEST, "invalid_messages"),
    }
}

fn rate_limit(dialect: &dyn Dialect, seconds: u64, says: Reset) -> Response {
    let words = format!("Rate limit reached for {MODEL}.");
    let status = StatusCode::TOO_MANY_REQUESTS;
    let mut response = error(dialect, status, "rate_limit_exceeded", &words);
    let headers = match says {
        Reset::Header => vec![dialect.reset_header(seconds)],
        other => other.headers(seconds),
    };
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn answer(
    gateway: &Gateway,
    dialect: &dyn Dialect,
    accepted: Accepted,
    record: RecordGuard,
) -> Response {
    let Accepted {
        asked,
        reply,
        usage,
        fault,
    } = accepted;
    let mut delay = gateway.options.chunk_delay;
    let (kind, mut chunks) = if asked.stream {
        let told = asked.usage && !matches!(fault, Some(FaultKind::Unreported));
        let reported = told.then_some(usage);
        let chunks = dialect.chunks(record.id(), &reply, reported);
        ("text/event-stream", chunks)
    } else {
        // An answer in one piece counts as one chunk.
        delay = Duration::ZERO;
        let whole = Chunk {
            part: Part::Done,
            text: dialect.whole(record.id(), &reply, usage).to_string(),
        };
        ("application/json", vec![whole])
    };
    if let Some(FaultKind::Failure { code, .. }) = &fault {
        chunks.push(dialect.failure(code, "an error that was asked for"));
    }
    let body = Body::from_stream(stream::play(chunks, delay, fault, record));
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body).into_response()
}

/// An error in the protocol's shape.
fn error(dialect: &dyn Dialect, status: StatusCode, code: &str, message: &str) -> Response {
    let body = dialect.error(status.as_u16(), code, message);
    (status, Json(body)).into_response()
}
