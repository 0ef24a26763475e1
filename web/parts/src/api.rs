//! HTTP calls to the control plane.
//!
//! Same origin, authorised by the session cookie. A request that changes
//! something carries `x-sam-csrf`, which a foreign page cannot send; one that
//! must not happen twice carries an `Idempotency-Key`, so that repeating it
//! after a lost answer is harmless.

use crate::{browser, json};
use leptos::prelude::window;
use sam_domain::access::route::Method;
use sam_domain::error::{ApiError, ErrorBody};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::OnceCell;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

/// Why a call has no answer to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody answered.
    Unreachable,
    /// The control plane refused or failed, and said why.
    Refused(ApiError),
}

impl Trouble {
    /// What is refused before it is sent.
    #[must_use]
    pub fn here(message: &str) -> Self {
        Self::Refused(ApiError::new(422, "not_sent", message))
    }

    /// The HTTP status; 0 when nobody answered.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unreachable => 0,
            Self::Refused(error) => error.status,
        }
    }

    /// What failed.
    pub fn message(&self) -> String {
        match self {
            Self::Unreachable => "The control plane does not answer.".to_owned(),
            Self::Refused(error) => error.message.clone(),
        }
    }

    /// What one can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable => Some("Check that it runs, then try again.".to_owned()),
            Self::Refused(error) => error.hint.clone(),
        }
    }
}

thread_local! {
    static SIGNED_OUT: OnceCell<Box<dyn Fn()>> = const { OnceCell::new() };
}

/// Says what happens when an answer is that nobody is signed in; once.
pub fn when_signed_out(act: impl Fn() + 'static) {
    SIGNED_OUT.with(|held| drop(held.set(Box::new(act))));
}

/// An answer, or why there is none.
pub type Answer<T> = Result<T, Trouble>;

/// Reads JSON.
pub async fn get<T: DeserializeOwned>(path: &str) -> Answer<T> {
    decode(&send(Method::Get, path, None, None).await?)
}

/// Reads text.
pub async fn get_text(path: &str) -> Answer<String> {
    send(Method::Get, path, None, None).await
}

/// Acts, without a body and without an answer to keep.
pub async fn act(method: Method, path: &str) -> Answer<()> {
    send(method, path, None, None).await.map(drop)
}

/// Acts, without a body, and reads JSON.
pub async fn act_for<T: DeserializeOwned>(method: Method, path: &str) -> Answer<T> {
    decode(&send(method, path, None, None).await?)
}

/// Changes some of what there is, without an answer to keep.
pub async fn change<B: Serialize>(path: &str, body: &B) -> Answer<()> {
    let body = serde_json::to_string(body).unwrap_or_default();
    send(Method::Patch, path, Some(body), None).await.map(drop)
}

/// Sends JSON, reads JSON.
pub async fn post<B: Serialize, T: DeserializeOwned>(path: &str, body: &B) -> Answer<T> {
    send_json(Method::Post, path, body).await
}

/// Sends JSON by any method, reads JSON.
pub async fn send_json<B: Serialize, T: DeserializeOwned>(
    method: Method,
    path: &str,
    body: &B,
) -> Answer<T> {
    let body = serde_json::to_string(body).unwrap_or_default();
    decode(&send(method, path, Some(body), None).await?)
}

/// Sends a text that is JSON, if any, and answers what comes back.
pub async fn send_text(method: Method, path: &str, body: Option<String>) -> Answer<String> {
    send(method, path, body, None).await
}

/// Sends JSON under an idempotency key, once more if the first answer was lost.
pub async fn submit<B: Serialize, T: DeserializeOwned>(path: &str, body: &B) -> Answer<T> {
    let body = serde_json::to_string(body).unwrap_or_default();
    decode(&submit_text(path, body).await?)
}

async fn submit_text(path: &str, body: String) -> Answer<String> {
    let key = browser::random_key();
    match send(Method::Post, path, Some(body.clone()), Some(&key)).await {
        Err(Trouble::Unreachable) => send(Method::Post, path, Some(body), Some(&key)).await,
        first => first,
    }
}

async fn send(
    method: Method,
    path: &str,
    body: Option<String>,
    key: Option<&str>,
) -> Answer<String> {
    let init = web_sys::RequestInit::new();
    init.set_method(method.word());
    let headers = web_sys::Headers::new().map_err(|_| Trouble::Unreachable)?;
    let set = |name: &str, value: &str| headers.set(name, value).map_err(|_| Trouble::Unreachable);
    set("accept", "application/json")?;
    if method != Method::Get {
        set("x-sam-csrf", "1")?;
    }
    if let Some(body) = &body {
        set("content-type", "application/json")?;
        init.set_body(&body.into());
    }
    if let Some(key) = key {
        set("idempotency-key", key)?;
    }
    init.set_headers(&headers);
    let response = JsFuture::from(window().fetch_with_str_and_init(path, &init))
        .await
        .map_err(|_| Trouble::Unreachable)?;
    let response: web_sys::Response = response.dyn_into().map_err(|_| Trouble::Unreachable)?;
    let text = response.text().map_err(|_| Trouble::Unreachable)?;
    let text = JsFuture::from(text)
        .await
        .map_err(|_| Trouble::Unreachable)?
        .as_string()
        .unwrap_or_default();
    if response.ok() {
        return Ok(text);
    }
    if response.status() == 401 {
        SIGNED_OUT.with(|held| {
            if let Some(act) = held.get() {
                act();
            }
        });
    }
    Err(Trouble::Refused(refusal(response.status(), &text)))
}

/// The error a response carries; a plain one where it has no body of ours.
fn refusal(status: u16, text: &str) -> ApiError {
    match json::parse::<ErrorBody>(text) {
        Ok(body) => ApiError {
            status,
            ..body.error
        },
        Err(_) => ApiError::new(
            status,
            "unexpected",
            format!("The control plane answered {status}."),
        ),
    }
}

fn decode<T: DeserializeOwned>(text: &str) -> Answer<T> {
    json::parse(text).map_err(|_| {
        Trouble::Refused(
            ApiError::new(
                200,
                "unreadable",
                "The control plane's answer could not be read.",
            )
            .hint("This page may be older than the control plane: reload it."),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_keep_their_words_and_status() {
        let text = r#"{"error":{"code":"already_sent","message":"Too late.","hint":"Stop the turn.","request_id":"req_1"}}"#;
        let error = refusal(409, text);
        assert_eq!((error.status, error.code.as_str()), (409, "already_sent"));
        assert_eq!(Trouble::Refused(error).hint().unwrap(), "Stop the turn.");
        assert_eq!(refusal(502, "<html>").status, 502);
    }
}
