//! Requests to the outside: streamed both ways where needed, never following a redirect, cancelled
//! when the caller goes.
//!
//! A redirect could send a key to another host, so it is an error. A Worker cannot pin the address
//! that a name resolves to; literal private addresses are the caller's to refuse.

use std::time::Duration;

use futures::future::{Either, select};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::js::{self, JsFailure};
use crate::streams::{Chunks, CollectError};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_name = fetch)]
    fn global_fetch(request: &web_sys::Request) -> Result<js_sys::Promise, JsValue>;
}

/// Why a request did not bring a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL, a header or the body is not acceptable to the runtime.
    #[error("the request cannot be built: {0}")]
    Unbuildable(JsFailure),
    /// The other side could not be reached, or answered with a redirect.
    #[error("the other side cannot be reached: {0}")]
    Unreachable(JsFailure),
    /// No response began within the time given.
    #[error("no response within {0:?}")]
    TimedOut(Duration),
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Absolute URL.
    pub url: &'a str,
    /// Header pairs.
    pub headers: Vec<(&'a str, String)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// How long to wait for the response to begin. Its body has no deadline of its own: a model may
    /// think for minutes between two chunks.
    pub first_byte_within: Duration,
}

/// Cancels the exchange when it is dropped before its end.
#[derive(Debug)]
struct AbortOnDrop {
    controller: web_sys::AbortController,
    armed: bool,
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if self.armed {
            self.controller.abort();
        }
    }
}

/// A response that has begun.
#[derive(Debug)]
pub struct Incoming {
    /// HTTP status.
    pub status: u16,
    headers: web_sys::Headers,
    response: web_sys::Response,
    abort: AbortOnDrop,
}

/// Sends a request and waits for the response to begin.
pub async fn send(outgoing: &Outgoing<'_>) -> Result<Incoming, FetchError> {
    let controller =
        web_sys::AbortController::new().map_err(|thrown| FetchError::Unbuildable(thrown.into()))?;
    let request = build(outgoing, &controller.signal()).map_err(FetchError::Unbuildable)?;
    let abort = AbortOnDrop {
        controller,
        armed: true,
    };
    let promise =
        global_fetch(&request).map_err(|thrown| FetchError::Unreachable(thrown.into()))?;
    let response = within(outgoing.first_byte_within, JsFuture::from(promise))
        .await
        .ok_or(FetchError::TimedOut(outgoing.first_byte_within))?
        .map_err(|thrown| FetchError::Unreachable(thrown.into()))?;
    let response: web_sys::Response = response.unchecked_into();
    if matches!(response.status(), 301 | 302 | 303 | 307 | 308) {
        return Err(FetchError::Unreachable(JsFailure::new(format!(
            "it answered {} and redirects are not followed",
            response.status()
        ))));
    }
    Ok(Incoming {
        status: response.status(),
        headers: response.headers(),
        response,
        abort,
    })
}

fn build(
    outgoing: &Outgoing<'_>,
    signal: &web_sys::AbortSignal,
) -> Result<web_sys::Request, JsFailure> {
    let init = web_sys::RequestInit::new();
    init.set_method(outgoing.method);
    init.set_signal(Some(signal));
    // `manual` rather than `error`, which the runtime does not implement; `send` refuses the status.
    init.set_redirect(web_sys::RequestRedirect::Manual);
    if let Some(body) = &outgoing.body {
        init.set_body(&js_sys::Uint8Array::from(body.as_slice()));
    }
    let headers = js_sys::Object::new();
    for (name, value) in &outgoing.headers {
        js::set(&headers, name, &JsValue::from_str(value))?;
    }
    init.set_headers(&headers);
    Ok(web_sys::Request::new_with_str_and_init(
        outgoing.url,
        &init,
    )?)
}

/// Waits for a future at most as long as given; `None` when the time is up.
pub async fn within<F: Future + Unpin>(time: Duration, future: F) -> Option<F::Output> {
    let timer = worker::Delay::from(time);
    futures::pin_mut!(timer);
    match select(future, timer).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}

impl Incoming {
    /// A response header.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).ok().flatten()
    }

    /// Every response header as a pair, names in lower case.
    pub fn headers(&self) -> Vec<(String, String)> {
        let Ok(Some(pairs)) = js_sys::try_iter(&self.headers) else {
            return Vec::new();
        };
        pairs
            .filter_map(|pair| {
                let pair = js_sys::Array::from(&pair.ok()?);
                Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
            })
            .collect()
    }

    /// A copy of the response headers, to be changed.
    pub fn copied_headers(&self) -> worker::Headers {
        let copy = web_sys::Headers::new_with_headers(&self.headers);
        copy.map(worker::Headers).unwrap_or_default()
    }

    /// The body as it is, for a reader in JavaScript, and what closes the connection to the other side
    /// unless it is told that the body came to its end.
    pub fn into_raw(self) -> (Option<web_sys::ReadableStream>, Connection) {
        (self.response.body(), Connection(self.abort))
    }

    /// The whole body, at most `limit` bytes.
    pub async fn into_bytes(mut self, limit: usize) -> Result<Vec<u8>, CollectError> {
        let Some(stream) = self.response.body() else {
            return Ok(Vec::new());
        };
        let bytes = Chunks::of(&stream)?.collect_within(limit).await?;
        self.abort.armed = false;
        Ok(bytes)
    }
}

/// The connection to the other side. Dropping it closes it.
#[derive(Debug)]
pub struct Connection(AbortOnDrop);

impl Connection {
    /// The response has come to its end.
    pub fn ended(mut self) {
        self.0.armed = false;
    }
}
