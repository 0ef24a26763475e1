//! Building replies that the runtime cannot refuse.

use sam_domain::error::{ApiError, ErrorBody};
use sam_domain::id::RequestId;
use serde::Serialize;
use wasm_bindgen::prelude::*;
use worker::{Headers, Response, ResponseBuilder};

use crate::text::Text;

#[wasm_bindgen]
extern "C" {
    type RawResponse;

    #[wasm_bindgen(constructor, catch, js_class = "Response")]
    fn of_text(
        body: &js_sys::JsString,
        init: &web_sys::ResponseInit,
    ) -> Result<RawResponse, JsValue>;
}

/// A status under which a reply may carry a body; anything else becomes 500.
fn with_body(status: u16) -> u16 {
    match status {
        200..=599 if !matches!(status, 204 | 205 | 304) => status,
        _ => 500,
    }
}

/// A status for a reply without a body; what the runtime would refuse becomes 500.
fn without_body(status: u16) -> u16 {
    if (200..=599).contains(&status) {
        status
    } else {
        500
    }
}

fn fixed(status: u16, content_type: &str, body: Vec<u8>) -> Response {
    let headers = Headers::new();
    // Both names are constant and both values printable, so neither call can fail.
    let _ = headers.set("content-type", content_type);
    let _ = headers.set("cache-control", "no-store");
    ResponseBuilder::new()
        .with_status(with_body(status))
        .with_headers(headers)
        .fixed(body)
}

/// A JSON reply.
pub fn json<T: Serialize>(status: u16, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => fixed(status, "application/json", body),
        Err(_) => error_from(&ApiError::internal(), None),
    }
}

/// A reply without a body.
pub fn empty(status: u16) -> Response {
    ResponseBuilder::new()
        .with_status(without_body(status))
        .empty()
}

/// A reply of some bytes.
pub fn bytes(status: u16, content_type: &str, body: Vec<u8>) -> Response {
    fixed(status, content_type, body)
}

/// A reply of JSON text.
pub fn json_text(status: u16, text: &Text) -> Response {
    let init = web_sys::ResponseInit::new();
    init.set_status(with_body(status));
    let replied = web_sys::Headers::new().and_then(|headers| {
        headers.set("content-type", "application/json")?;
        headers.set("cache-control", "no-store")?;
        init.set_headers(&headers);
        RawResponse::of_text(&text.in_runtime(), &init)
    });
    match replied {
        Ok(raw) => raw.unchecked_into::<web_sys::Response>().into(),
        Err(_) => error_from(&ApiError::internal(), None),
    }
}

/// An error in the contract's shape, under its own status.
pub fn error_from(error: &ApiError, request: Option<&RequestId>) -> Response {
    let status = with_body(error.status.max(400));
    let mut error = error.clone();
    if error.request_id.is_none() {
        error.request_id = request.map(ToString::to_string);
    }
    // The status travels in the status line, so it is left out of the body.
    error.status = 500;
    let body = serde_json::to_vec(&ErrorBody { error }).unwrap_or_default();
    fixed(status, "application/json", body)
}

/// An error from its parts.
pub fn error(status: u16, code: &str, message: &str, request: Option<&RequestId>) -> Response {
    error_from(&ApiError::new(status, code, message), request)
}

/// The reply to a route or thing that does not exist, or is another tenant's.
pub fn not_found(what: &str, request: Option<&RequestId>) -> Response {
    error_from(&ApiError::not_found(what), request)
}

/// A reply whose body is passed through as the runtime's own stream, without touching its bytes.
/// Fails into a 500 when the status cannot carry a body.
pub fn streamed(status: u16, headers: &[(&str, &str)], body: web_sys::ReadableStream) -> Response {
    ResponseBuilder::new()
        .with_status(with_body(status))
        .with_headers(safe_headers(headers))
        .stream(body)
}

/// Headers from pairs; a pair that the runtime refuses is left out.
pub fn safe_headers(pairs: &[(&str, &str)]) -> Headers {
    let headers = Headers::new();
    for (name, value) in pairs {
        let _ = headers.append(name, value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_the_runtime_would_refuse_becomes_500() {
        for (status, expected) in [
            (200, 200),
            (599, 599),
            (204, 500),
            (304, 500),
            (101, 500),
            (0, 500),
            (999, 500),
        ] {
            assert_eq!(with_body(status), expected);
        }
        for (status, expected) in [(204, 204), (304, 304), (101, 500), (600, 500)] {
            assert_eq!(without_body(status), expected);
        }
    }
}
