//! GitHub's sign-in over a real socket, for tests: the OAuth web flow with PKCE, and `GET /user`.
//!
//! Model: one OAuth app, and one person who says yes at once. Who that is, a test sets with
//! `POST /control/person`. Every answer carries `x-sam-sims: github`, so that nobody takes it for
//! the real one. It is as strict as the real one where that matters: codes work once and for their
//! own redirect and verifier, tokens are checked, and a request to the API says who sends it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

const LABEL: &str = "x-sam-sims";

/// The one OAuth app.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// What a code was given for.
#[derive(Debug)]
struct Grant {
    redirect_uri: String,
    challenge: String,
    person: Value,
}

#[derive(Debug, Default)]
struct Memory {
    person: Value,
    codes: BTreeMap<String, Grant>,
    tokens: BTreeMap<String, Value>,
    issued: u64,
}

#[derive(Clone)]
struct Github {
    options: Arc<Options>,
    memory: Arc<Mutex<Memory>>,
}

impl Github {
    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until the listener fails.
///
/// # Errors
/// When it does.
pub async fn serve(listener: TcpListener, options: Options) -> io::Result<()> {
    let memory = Memory {
        person: json!({"id": 1, "login": "octocat", "name": "Octo Cat"}),
        ..Memory::default()
    };
    let github = Github {
        options: Arc::new(options),
        memory: Arc::new(Mutex::new(memory)),
    };
    let router = Router::new()
        .route("/login/oauth/authorize", get(authorize))
        .route("/login/oauth/access_token", post(access_token))
        .route("/user", get(user))
        .route("/control/person", post(set_person))
        .layer(middleware::map_response(label))
        .with_state(github);
    axum::serve(listener, router).await
}

async fn label(mut response: Response) -> Response {
    let value = HeaderValue::from_static("github");
    response.headers_mut().insert(LABEL, value);
    response
}

/// Who says yes from now on: `{id, login, name?}`; `null` says no.
async fn set_person(State(github): State<Github>, Json(person): Json<Value>) -> Json<Value> {
    github.memory().person = person;
    Json(json!({}))
}

#[derive(Deserialize)]
struct Authorize {
    client_id: String,
    redirect_uri: String,
    state: String,
    code_challenge: String,
    code_challenge_method: String,
}

async fn authorize(State(github): State<Github>, Query(asked): Query<Authorize>) -> Response {
    let known = asked.client_id == github.options.client_id
        && asked.code_challenge_method == "S256"
        && !asked.state.is_empty();
    if !known {
        return (StatusCode::NOT_FOUND, "no such app").into_response();
    }
    let mut memory = github.memory();
    memory.issued += 1;
    let code = format!("code{}", memory.issued);
    let (state, redirect_uri) = (asked.state, asked.redirect_uri);
    let back = if memory.person.is_null() {
        format!("{redirect_uri}?error=access_denied&state={state}")
    } else {
        format!("{redirect_uri}?code={code}&state={state}")
    };
    let grant = Grant {
        redirect_uri,
        challenge: asked.code_challenge,
        person: memory.person.clone(),
    };
    memory.codes.insert(code, grant);
    Redirect::to(&back).into_response()
}

#[derive(Deserialize)]
struct Exchange {
    client_id: String,
    client_secret: String,
    code: String,
    redirect_uri: String,
    code_verifier: String,
}

async fn access_token(State(github): State<Github>, Form(asked): Form<Exchange>) -> Json<Value> {
    let refused = |error: &str| Json(json!({"error": error, "error_description": "Refused."}));
    let options = &github.options;
    if asked.client_id != options.client_id || asked.client_secret != options.client_secret {
        return refused("incorrect_client_credentials");
    }
    let mut memory = github.memory();
    let Some(grant) = memory.codes.remove(&asked.code) else {
        return refused("bad_verification_code");
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(asked.code_verifier));
    if grant.challenge != challenge {
        return refused("bad_verification_code");
    }
    if grant.redirect_uri != asked.redirect_uri {
        return refused("redirect_uri_mismatch");
    }
    memory.issued += 1;
    let token = format!("gho_{:036}", memory.issued);
    memory.tokens.insert(token.clone(), grant.person);
    Json(json!({"access_token": token, "token_type": "bearer", "scope": "read:user"}))
}

async fn user(State(github): State<Github>, headers: HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::USER_AGENT).is_none_or(str::is_empty) {
        return (StatusCode::FORBIDDEN, "a request says who sends it").into_response();
    }
    let token = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let memory = github.memory();
    match token.and_then(|token| memory.tokens.get(token)) {
        Some(person) => Json(person.clone()).into_response(),
        None => {
            let body = json!({"message": "Bad credentials"});
            (StatusCode::UNAUTHORIZED, Json(body)).into_response()
        }
    }
}
