//! The model, served to one agent session on a loopback address.
//!
//! Model: the agent gets a URL on 127.0.0.1 and a secret that is worthless
//! anywhere else. What it sends to `/v1/…` or `/anthropic/v1/…` goes on to the
//! control plane's `/ai/…` with the workspace's model token in place of the
//! secret, and the answer streams back as it comes. When the agent leaves, the upstream
//! connection is dropped with the body.
//!
//! Invariants:
//! - Without the session's secret nothing is forwarded.
//! - The model token is in memory and in the upstream request, nowhere else.
//! - Requests are read whole before they are sent (so that they can be sent
//!   again), answers are never collected.
//! - A request is held, at most [`HOLD`], while the control plane cannot be
//!   reached and nothing of it was sent; what was sent once is not repeated,
//!   except after a 401 that did nothing.
//! - Nothing of what is said is logged.

use crate::api::{ApiFailure, Backoff, Unanswered, WorkspaceApi, model_url};
use crate::secret::Secret;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures::StreamExt as _;
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a request waits for the control plane.
const HOLD: Duration = Duration::from_secs(60);
/// Largest request that is forwarded.
const REQUEST_LIMIT: usize = 64 * 1024 * 1024;
/// What is served: the dialects of OpenAI, and that of Anthropic.
const PREFIXES: [&str; 2] = ["/v1/", "/anthropic/v1/"];

/// A running relay; dropping it closes the port.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    secret: Secret,
    server: JoinHandle<()>,
    /// Also held by every call that is under way.
    underway: Arc<()>,
}

struct Shared {
    underway: Weak<()>,
    api: WorkspaceApi,
    secret: Secret,
    hold: Duration,
}

impl Relay {
    /// Starts a relay for the workspace on a free port.
    pub(crate) async fn start(api: &WorkspaceApi) -> std::io::Result<Self> {
        Self::start_with(api, HOLD).await
    }

    async fn start_with(api: &WorkspaceApi, hold: Duration) -> std::io::Result<Self> {
        let secret = Secret::random("sam_rel_")
            .ok_or_else(|| std::io::Error::other("this machine has no source of randomness"))?;
        let underway = Arc::new(());
        let shared = Arc::new(Shared {
            underway: Arc::downgrade(&underway),
            api: api.clone(),
            secret: secret.clone(),
            hold,
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(serve).with_state(shared);
        let server = tokio::spawn(async move {
            use axum::serve::ListenerExt;
            let listener = listener.tap_io(|stream| {
                let _ = stream.set_nodelay(true);
            });
            if let Err(error) = axum::serve(listener, router).await {
                crate::log::warning!("the model relay ended: {error}");
            }
        });
        Ok(Self {
            address,
            secret,
            server,
            underway,
        })
    }

    /// `http://127.0.0.1:PORT`, without a path.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether a call is under way: from its first byte to the last of its answer.
    pub(crate) fn is_asked(&self) -> bool {
        Arc::strong_count(&self.underway) > 1
    }

    /// What the agent shows as its API key.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let underway = shared.underway.upgrade();
    let (parts, body) = request.into_parts();
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let refusal = |status, code, message| refusal(&path, status, code, message);
    if !authorised(&parts.headers, &shared.secret) {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "This address serves one agent session and its secret only.",
        );
    }
    // Also of a path that climbs out of its prefix once it is resolved.
    let url = model_url(shared.api.api(), &path);
    let inside = PREFIXES.iter().any(|prefix| {
        path.starts_with(prefix)
            && url
                .path()
                .starts_with(model_url(shared.api.api(), prefix).path())
    });
    if !inside {
        return refusal(
            StatusCode::NOT_FOUND,
            "not_found",
            "Only /v1/ and /anthropic/v1/ are served here.",
        );
    }
    let Ok(body) = to_bytes(body, REQUEST_LIMIT).await else {
        return refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request_too_large",
            "The request is longer than the relay forwards.",
        );
    };
    let headers = forwarded(&parts.headers);
    let api = shared.api.api();
    let send = |token: &Secret, body: Bytes| {
        let request = api
            .request_to(parts.method.clone(), url.clone(), token)
            .headers(headers.clone())
            .body(body);
        api.send_raw(request)
    };
    let until = Instant::now() + shared.hold;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    let mut refused: Option<Secret> = None;
    loop {
        let renewals = api.renewals();
        let why = match shared.api.tokens(refused.as_ref()).await {
            Ok(tokens) => match send(&tokens.model, body.clone()).await {
                Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED && refused.is_none() => {
                    refused = Some(tokens.model);
                    continue;
                }
                Ok(answer) => return streamed(answer, renewals, underway),
                Err(Unanswered::Failed(error)) if error.is_connect() => error.to_string(),
                Err(_) => {
                    return refusal(
                        StatusCode::BAD_GATEWAY,
                        "upstream_failed",
                        "The connection to the control plane broke before it answered.",
                    );
                }
            },
            Err(ApiFailure::Unreachable(why) | ApiFailure::Unavailable(why)) => why,
            Err(ApiFailure::Unauthorised(_) | ApiFailure::Refused { .. }) => {
                return refusal(
                    StatusCode::FORBIDDEN,
                    "not_allowed",
                    "The control plane gives this workspace no access to the model any more.",
                );
            }
        };
        let wait = backoff.step();
        if Instant::now() + wait >= until {
            crate::log::warning!("a model call was given up: {why}");
            return refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "control_plane_unreachable",
                "The control plane cannot be reached.",
            );
        }
        api.pause(wait).await;
    }
}

/// Whether a request shows this secret, in whatever header its kind of client does.
pub(crate) fn authorised(headers: &HeaderMap, secret: &Secret) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    [bearer, text("x-api-key")]
        .into_iter()
        .flatten()
        .any(|given| secret.matches(given))
}

/// Headers that belong to one connection, or that name the caller's secret.
fn stays_here(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "transfer-encoding"
            | "te"
            | "trailer"
            | "upgrade"
            | "proxy-authorization"
            | "proxy-connection"
            | "x-api-key"
            | "api-key"
            | "cookie"
            | "expect"
    ) || *name == AUTHORIZATION
        || *name == HOST
        || *name == CONTENT_LENGTH
}

fn forwarded(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| !stays_here(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The answer as it comes. One whose connection is given up breaks off.
fn streamed(
    answer: reqwest::Response,
    renewals: watch::Receiver<()>,
    underway: Option<Arc<()>>,
) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    for (name, value) in answer.headers() {
        if !stays_here(name) && *name != axum::http::header::SET_COOKIE {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    let bytes = Box::pin(answer.bytes_stream());
    let state = (bytes, renewals, underway);
    let stream = futures::stream::unfold(state, async |(mut bytes, mut renewals, underway)| {
        let chunk = tokio::select! {
            chunk = bytes.next() => chunk?.map_err(std::io::Error::other),
            _ = renewals.changed() => Err(std::io::Error::other("the connection was given up")),
        };
        Some((chunk, (bytes, renewals, underway)))
    });
    *response.body_mut() = Body::from_stream(stream);
    response
}

/// An error in the shape that the path's clients read.
fn refusal(path: &str, status: StatusCode, code: &str, message: &str) -> Response {
    let body = if path.starts_with("/anthropic/") {
        json!({ "type": "error", "error": { "type": code, "message": message } })
    } else {
        json!({ "error": { "message": message, "type": "sam_relay", "code": code } })
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        axum::http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

#[cfg(test)]
mod tests;
