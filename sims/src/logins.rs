//! The token endpoints of subscriptions over a real socket, for tests: those that Codex and Claude
//! Code refresh their logins at, and a resource that takes their access tokens.
//!
//! Model: a login is a family of tokens. Each refresh token works once; whoever presents a used one
//! is taken for a thief, and the whole family ends, as at the real ones. What a test issues, it gets
//! as the agent's own login file. Every answer carries `x-sam-sims: logins`, so that nobody takes it
//! for the real ones.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const LABEL: &str = "x-sam-sims";

/// One login and what became of it.
#[derive(Debug, Default)]
struct Family {
    claude: bool,
    lifetime: Duration,
    /// Grows with each refresh; the tokens carry it.
    generation: u64,
    ended: bool,
    refreshed: u64,
    reused: u64,
    /// Of each access token, which it is and when it ends, in seconds since 1970.
    access: BTreeMap<String, (u64, u64)>,
}

#[derive(Debug, Default)]
struct Memory {
    families: Vec<Family>,
    /// The status of the next answers, where a test wants the endpoint to fail.
    failing: Option<u16>,
    /// For how long each refresh takes.
    slow: Duration,
}

type Logins = Arc<Mutex<Memory>>;

fn memory(logins: &Logins) -> std::sync::MutexGuard<'_, Memory> {
    logins.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Serves until the listener fails.
///
/// # Errors
/// When it does.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let router = Router::new()
        .route("/codex/oauth/token", post(token))
        .route("/claude/v1/oauth/token", post(token))
        .route("/whoami", get(whoami))
        .route("/control/issue", post(issue))
        .route("/control/set", post(set))
        .route("/control/family/{family}", get(look))
        .layer(middleware::map_response(label))
        .with_state(Logins::default());
    axum::serve(listener, router).await
}

async fn label(mut response: Response) -> Response {
    let value = HeaderValue::from_static("logins");
    response.headers_mut().insert(LABEL, value);
    response
}

impl Family {
    /// New tokens: `(access, refresh, expires_in)`.
    fn mint(&mut self, id: usize) -> (String, String, u64) {
        let expires = seconds() + self.lifetime.as_secs();
        let name = format!("{id}-{}", self.generation);
        let access = if self.claude {
            format!("sk-ant-oat01-sims-{name}")
        } else {
            let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let claims = json!({"exp": expires, "sub": name});
            format!("{}.{}.c2ltcw", part(json!({"alg": "none"})), part(claims))
        };
        self.access
            .insert(access.clone(), (self.generation, expires));
        (
            access,
            format!("refresh-sims-{name}"),
            self.lifetime.as_secs(),
        )
    }
}

#[derive(Deserialize)]
struct Issue {
    agent: String,
    /// Of the first access token.
    lifetime_s: u64,
    /// Of those that follow; an hour when absent.
    #[serde(default = "hour")]
    then_s: u64,
}

const fn hour() -> u64 {
    3600
}

/// `POST /control/issue {agent, lifetime_s, then_s?}`: a new login, as `{family, login}`.
async fn issue(State(logins): State<Logins>, Json(asked): Json<Issue>) -> Json<Value> {
    let mut memory = memory(&logins);
    let id = memory.families.len();
    let mut family = Family {
        claude: asked.agent == "claude-code",
        lifetime: Duration::from_secs(asked.lifetime_s),
        ..Family::default()
    };
    let (access, refresh, lifetime) = family.mint(id);
    family.lifetime = Duration::from_secs(asked.then_s);
    let login = if family.claude {
        let expires = (seconds() + lifetime) * 1000;
        json!({"claudeAiOauth": {
            "accessToken": access, "refreshToken": refresh, "expiresAt": expires,
            "scopes": ["user:inference"], "subscriptionType": "max",
        }})
    } else {
        json!({
            "OPENAI_API_KEY": null, "last_refresh": "2026-01-01T00:00:00.000Z",
            "tokens": {"id_token": access, "access_token": access, "refresh_token": refresh, "account_id": "account-sims"},
        })
    };
    memory.families.push(family);
    Json(json!({"family": id, "login": login}))
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    failing: Option<u16>,
    #[serde(default)]
    slow_ms: u64,
    /// A family that is signed out.
    #[serde(default)]
    end: Option<usize>,
}

/// `POST /control/set {failing?, slow_ms?, end?}`: how the endpoints are from now on.
async fn set(State(logins): State<Logins>, Json(settings): Json<Settings>) -> Json<Value> {
    let mut memory = memory(&logins);
    memory.failing = settings.failing;
    memory.slow = Duration::from_millis(settings.slow_ms);
    if let Some(family) = settings.end.and_then(|id| memory.families.get_mut(id)) {
        family.ended = true;
    }
    Json(json!({}))
}

/// `GET /control/family/{family}`: what became of a login.
async fn look(State(logins): State<Logins>, Path(id): Path<usize>) -> Response {
    match memory(&logins).families.get(id) {
        Some(family) => Json(json!({
            "refreshed": family.refreshed, "reused": family.reused, "ended": family.ended,
        }))
        .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Deserialize)]
struct Refresh {
    grant_type: String,
    client_id: String,
    refresh_token: String,
}

async fn token(State(logins): State<Logins>, Json(asked): Json<Refresh>) -> Response {
    let (failing, slow) = {
        let memory = memory(&logins);
        (memory.failing, memory.slow)
    };
    if let Some(status) = failing.and_then(|status| StatusCode::from_u16(status).ok()) {
        return (status, "the endpoint fails").into_response();
    }
    let answer = exchange(&logins, &asked);
    // What it decided, it decided; that the answer is slow is the network's.
    tokio::time::sleep(slow).await;
    answer
}

fn exchange(logins: &Logins, asked: &Refresh) -> Response {
    let refused = |code: &str| {
        let body = json!({"error": "invalid_grant", "error_description": code});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    if asked.grant_type != "refresh_token" || asked.client_id.is_empty() {
        return refused("not a refresh");
    }
    let named = asked.refresh_token.strip_prefix("refresh-sims-");
    let Some((id, generation)) = named.and_then(|name| {
        let (id, generation) = name.split_once('-')?;
        Some((id.parse::<usize>().ok()?, generation.parse::<u64>().ok()?))
    }) else {
        return refused("refresh_token_invalidated");
    };
    let mut memory = memory(logins);
    let Some(family) = memory.families.get_mut(id) else {
        return refused("refresh_token_invalidated");
    };
    if generation != family.generation {
        family.reused += 1;
        family.ended = true;
        return refused("refresh_token_reused");
    }
    if family.ended {
        return refused("refresh_token_expired");
    }
    family.generation += 1;
    family.refreshed += 1;
    let (access, refresh, expires_in) = family.mint(id);
    let mut body = json!({
        "access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": expires_in,
    });
    if let (false, Some(fields)) = (family.claude, body.as_object_mut()) {
        fields.insert("id_token".to_owned(), json!(access));
    }
    Json(body).into_response()
}

/// `GET /whoami`: whose access token that is, while it lives, as `{family, generation}`.
async fn whoami(State(logins): State<Logins>, headers: HeaderMap) -> Response {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let memory = memory(&logins);
    let found = memory.families.iter().enumerate().find_map(|(id, family)| {
        let (generation, expires) = family.access.get(given)?;
        Some((id, *generation, *expires))
    });
    match found {
        Some((id, generation, expires)) if expires > seconds() => {
            Json(json!({"family": id, "generation": generation})).into_response()
        }
        _ => (StatusCode::UNAUTHORIZED, "this token is not good").into_response(),
    }
}
