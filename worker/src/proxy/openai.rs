//! Errors under `/ai`, in the shape that clients of these APIs read.

use sam_domain::error::ApiError;
use sam_domain::id::RequestId;
use sam_platform::http;
use serde_json::json;
use worker::Response;

/// The prefix of the routes that answer in this shape.
pub(crate) const PREFIX: &str = "/ai/";

/// An error as `{"error": {"message", "type", "code", "param"}}`, with our hint and request id
/// beside what that shape prescribes.
pub(crate) fn error(error: &ApiError, request: &RequestId) -> Response {
    let status = error.status.clamp(400, 599);
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    let message = match &error.hint {
        // Clients show the message and nothing else.
        Some(hint) => format!("{} {hint}", error.message),
        None => error.message.clone(),
    };
    http::json(
        status,
        &json!({"error": {
            "message": message,
            "type": kind,
            "code": error.code,
            "param": null,
            "hint": error.hint,
            "request_id": request,
        }}),
    )
}
