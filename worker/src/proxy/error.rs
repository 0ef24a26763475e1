//! Errors under `/ai`, in the shape that clients of these APIs read.

use sam_dialects::Dialect;
use sam_domain::error::ApiError;
use sam_domain::id::RequestId;
use sam_platform::http;
use serde_json::json;
use worker::Response;

/// How the client of a path speaks; none outside of `/ai/`.
pub(crate) fn dialect_of(path: &str) -> Option<Dialect> {
    match path.strip_prefix("/ai/")? {
        path if path.starts_with("anthropic/") => Some(Dialect::Messages),
        "v1/responses" => Some(Dialect::Responses),
        _ => Some(Dialect::Chat),
    }
}

/// An error as `{"error": {"message", "type", …}}`, with our hint and request id beside what the
/// dialect's shape prescribes.
pub(crate) fn render(dialect: Dialect, error: &ApiError, request: &RequestId) -> Response {
    let status = error.status.clamp(400, 599);
    let messages = dialect == Dialect::Messages;
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 if messages => "not_found_error",
        413 if messages => "request_too_large",
        429 if messages => "rate_limit_error",
        400..=499 => "invalid_request_error",
        504 if messages => "timeout_error",
        _ => "api_error",
    };
    let message = match &error.hint {
        // Clients show the message and nothing else.
        Some(hint) => format!("{} {hint}", error.message),
        None => error.message.clone(),
    };
    let body = if messages {
        json!({
            "type": "error",
            "error": {"type": kind, "message": message, "code": error.code, "hint": error.hint},
            "request_id": request,
        })
    } else {
        json!({"error": {
            "message": message,
            "type": kind,
            "code": error.code,
            "param": null,
            "hint": error.hint,
            "request_id": request,
        }})
    };
    http::json(status, &body)
}
