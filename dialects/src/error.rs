//! Errors of model APIs: read from any of their shapes, told in each.
//!
//! | kind | status, OpenAI dialects | type and code there | status, Messages | type there |
//! |---|---|---|---|---|
//! | invalid request | 400 | `invalid_request_error` | 400 | `invalid_request_error` |
//! | context exceeded | 400 | …, `context_length_exceeded` | 400 | `invalid_request_error` |
//! | authentication | 401 | …, `invalid_api_key` | 401 | `authentication_error` |
//! | quota | 429 | `insufficient_quota` twice | 402 | `billing_error` |
//! | permission | 403 | …, `permission_denied` | 403 | `permission_error` |
//! | not found | 404 | …, `model_not_found` | 404 | `not_found_error` |
//! | too large | 413 | …, `request_too_large` | 413 | `request_too_large` |
//! | rate limit | 429 | `requests`, `rate_limit_exceeded` | 429 | `rate_limit_error` |
//! | overloaded | 503 | `server_error`, `server_is_overloaded` | 529 | `overloaded_error` |
//! | timeout | 504 | `server_error`, `timeout` | 504 | `timeout_error` |
//! | server | 500 | `server_error` twice | 500 | `api_error` |

use std::time::Duration;

use serde_json::{Value, json};

use crate::Dialect;
use crate::retry::wait_in_body;
use crate::sse::SseEvent;

const EXCERPT: usize = 500;

/// An error answer of a model API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct ApiError {
    /// The HTTP status; none when it came within a stream.
    pub status: Option<u16>,
    /// The machine-readable code or type, if it gave one.
    pub code: Option<String>,
    /// What it said, at most 500 bytes.
    pub message: String,
    /// How long it asked to wait.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// Reads an error answer. `body` may be anything, also HTML or nothing.
    pub fn from_response(status: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let parsed: Option<Value> = crate::json::read(body).ok();
        let mut error = parsed
            .as_ref()
            .and_then(Self::from_json)
            .unwrap_or_else(|| Self {
                status: None,
                code: None,
                message: excerpt(String::from_utf8_lossy(body).trim()),
                retry_after: None,
            });
        error.status = Some(status);
        error.retry_after = retry_after.or(error.retry_after);
        error
    }

    /// Reads the error objects in use: `{"error": {"message", "code", "type"}}`,
    /// `{"error": "…"}`, `{"message": "…"}`, `{"detail": "…"}`, or a list of
    /// one of these. None when it is none of them.
    pub fn from_json(body: &Value) -> Option<Self> {
        let body = match body {
            Value::Array(items) => items.first()?,
            other => other,
        };
        let text = |value: &Value, key: &str| {
            let value = value.get(key)?;
            let number = || value.as_i64().map(|number| number.to_string());
            value.as_str().map(str::to_owned).or_else(number)
        };
        let inner = body.get("error").filter(|error| !error.is_null());
        let source = match inner {
            Some(inner @ Value::Object(_)) => inner,
            Some(Value::String(message)) => {
                return Some(Self {
                    status: None,
                    code: text(body, "code"),
                    message: excerpt(message),
                    retry_after: None,
                });
            }
            Some(_) | None => body,
        };
        let message = text(source, "message").or_else(|| text(source, "detail"))?;
        // `type` says what kind of object it is where the error is not nested.
        let kind = || inner.is_some().then(|| text(source, "type")).flatten();
        Some(Self {
            status: None,
            code: text(source, "code").or_else(kind),
            message: excerpt(&message),
            retry_after: wait_in_body(source, None).or_else(|| wait_in_body(body, None)),
        })
    }

    /// The error an API reports without a word.
    pub(crate) fn unnamed() -> Self {
        Self {
            status: None,
            code: None,
            message: "an error without a message".to_owned(),
            retry_after: None,
        }
    }

    /// What kind of error it is, by its code where that says more than the
    /// status.
    pub fn kind(&self) -> ErrorKind {
        let code = self.code.as_deref().unwrap_or_default();
        let named = KINDS.iter().find(|(names, _)| names.contains(&code));
        if let Some((_, kind)) = named {
            return *kind;
        }
        match self.status {
            Some(401) => ErrorKind::Authentication,
            Some(402) => ErrorKind::Quota,
            Some(403) => ErrorKind::Permission,
            Some(404) => ErrorKind::NotFound,
            Some(408 | 504) => ErrorKind::Timeout,
            Some(413) => ErrorKind::TooLarge,
            Some(429) => ErrorKind::RateLimit,
            Some(503 | 529) => ErrorKind::Overloaded,
            Some(400..=499) => ErrorKind::InvalidRequest,
            Some(_) | None => ErrorKind::Server,
        }
    }

    /// Whether the same request may succeed later. An exhausted quota is also
    /// a 429, and does not come back by waiting.
    pub fn is_transient(&self) -> bool {
        let kind = self.kind();
        match self.status {
            _ if kind == ErrorKind::Quota => false,
            Some(status) => matches!(status, 408 | 409 | 425 | 429 | 500..=599),
            None => matches!(
                kind,
                ErrorKind::RateLimit
                    | ErrorKind::Overloaded
                    | ErrorKind::Timeout
                    | ErrorKind::Server
            ),
        }
    }

    /// The status with which a dialect tells it.
    pub fn status_in(&self, dialect: Dialect) -> u16 {
        self.kind().told_in(dialect).0
    }

    /// The body with which a dialect tells it.
    pub fn body_in(&self, dialect: Dialect) -> Value {
        let (_, r#type, code) = self.kind().told_in(dialect);
        match dialect {
            Dialect::Messages => {
                json!({ "type": "error", "error": { "type": r#type, "message": self.message } })
            }
            Dialect::Chat | Dialect::Responses => {
                // A code that nobody here knows says more than ours would.
                let known = |code: &&String| {
                    KINDS
                        .iter()
                        .any(|(names, _)| names.contains(&code.as_str()))
                };
                let own = self.code.as_ref().filter(|code| !known(code));
                let code = own.map(String::as_str).or(code);
                json!({ "error": {
                    "message": self.message, "type": r#type, "param": null, "code": code } })
            }
        }
    }

    /// The event that reports it within a stream that somebody else began.
    pub fn event_in(&self, dialect: Dialect) -> String {
        let mut out = String::new();
        let body = self.body_in(dialect);
        match dialect {
            Dialect::Chat => SseEvent::write(None, &body, &mut out),
            Dialect::Messages => SseEvent::write(Some("error"), &body, &mut out),
            Dialect::Responses => {
                let code = body.pointer("/error/code").cloned().unwrap_or_default();
                let error = json!({ "code": code, "message": self.message });
                let failed = json!({ "type": "response.failed", "response": {
                    "object": "response", "status": "failed", "error": error, "output": [] } });
                SseEvent::write(Some("response.failed"), &failed, &mut out);
            }
        }
        out
    }

    /// Its code in a dialect.
    pub(crate) fn code_in(&self, dialect: Dialect) -> &'static str {
        let (_, r#type, code) = self.kind().told_in(dialect);
        code.unwrap_or(r#type)
    }

    fn describe(&self) -> String {
        let status = self.status.map(|status| format!("status {status}"));
        let parts = [status, self.code.clone()];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let parts = parts.join(", ");
        match (self.message.as_str(), parts.as_str()) {
            ("", "") => "the model API reported an error".to_owned(),
            ("", parts) => format!("the model API answered with {parts}"),
            (message, "") => message.to_owned(),
            (message, parts) => format!("{message} ({parts})"),
        }
    }
}

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong.
    InvalidRequest,
    /// The conversation is longer than the model's context.
    ContextExceeded,
    /// The key is missing or wrong.
    Authentication,
    /// What was paid for is used up.
    Quota,
    /// The key may not do this.
    Permission,
    /// There is no such model or route.
    NotFound,
    /// The request has too many bytes.
    TooLarge,
    /// Too much was asked in too short a time.
    RateLimit,
    /// The server has too much to do.
    Overloaded,
    /// It took too long.
    Timeout,
    /// The server failed.
    Server,
}

const KINDS: &[(&[&str], ErrorKind)] = &[
    (
        &["context_length_exceeded", "model_context_window_exceeded"],
        ErrorKind::ContextExceeded,
    ),
    (
        &[
            "insufficient_quota",
            "billing_error",
            "billing_hard_limit_reached",
        ],
        ErrorKind::Quota,
    ),
    (
        &[
            "rate_limit_exceeded",
            "rate_limit_error",
            "usage_limit_reached",
            "slow_down",
        ],
        ErrorKind::RateLimit,
    ),
    (
        &["overloaded_error", "server_is_overloaded", "overloaded"],
        ErrorKind::Overloaded,
    ),
    (&["timeout_error", "timeout"], ErrorKind::Timeout),
    (
        &["invalid_api_key", "authentication_error"],
        ErrorKind::Authentication,
    ),
    (
        &["permission_error", "permission_denied"],
        ErrorKind::Permission,
    ),
    (&["not_found_error", "model_not_found"], ErrorKind::NotFound),
    (&["request_too_large"], ErrorKind::TooLarge),
    (
        &["invalid_request_error", "invalid_prompt"],
        ErrorKind::InvalidRequest,
    ),
    (
        &["api_error", "server_error", "internal_error"],
        ErrorKind::Server,
    ),
];

impl ErrorKind {
    /// Status, type and code in a dialect.
    fn told_in(self, dialect: Dialect) -> (u16, &'static str, Option<&'static str>) {
        const INVALID: &str = "invalid_request_error";
        if dialect == Dialect::Messages {
            let (status, r#type) = match self {
                Self::InvalidRequest | Self::ContextExceeded => (400, INVALID),
                Self::Authentication => (401, "authentication_error"),
                Self::Quota => (402, "billing_error"),
                Self::Permission => (403, "permission_error"),
                Self::NotFound => (404, "not_found_error"),
                Self::TooLarge => (413, "request_too_large"),
                Self::RateLimit => (429, "rate_limit_error"),
                Self::Overloaded => (529, "overloaded_error"),
                Self::Timeout => (504, "timeout_error"),
                Self::Server => (500, "api_error"),
            };
            return (status, r#type, None);
        }
        let (status, r#type, code) = match self {
            Self::InvalidRequest => return (400, INVALID, None),
            Self::ContextExceeded => (400, INVALID, "context_length_exceeded"),
            Self::Authentication => (401, INVALID, "invalid_api_key"),
            Self::Quota => (429, "insufficient_quota", "insufficient_quota"),
            Self::Permission => (403, INVALID, "permission_denied"),
            Self::NotFound => (404, INVALID, "model_not_found"),
            Self::TooLarge => (413, INVALID, "request_too_large"),
            Self::RateLimit => (429, "requests", "rate_limit_exceeded"),
            Self::Overloaded => (503, "server_error", "server_is_overloaded"),
            Self::Timeout => (504, "server_error", "timeout"),
            Self::Server => (500, "server_error", "server_error"),
        };
        (status, r#type, Some(code))
    }
}

fn excerpt(text: &str) -> String {
    let mut end = text.len().min(EXCERPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, code: Option<&str>, message: &str, transient: bool) {
        let error = ApiError::from_response(status, body.as_bytes(), None);
        let got = (
            error.code.as_deref(),
            error.message.as_str(),
            error.is_transient(),
        );
        assert_eq!(got, (code, message, transient), "{body}");
        assert!(!error.to_string().is_empty());
    }

    #[test]
    fn error_bodies() {
        check(
            429,
            r#"{"error":{"message":"slow","type":"rate_limit"}}"#,
            Some("rate_limit"),
            "slow",
            true,
        );
        check(
            429,
            r#"{"error":{"message":"pay","code":"insufficient_quota"}}"#,
            Some("insufficient_quota"),
            "pay",
            false,
        );
        check(400, r#"{"error":"bad"}"#, None, "bad", false);
        check(
            500,
            r#"[{"error":{"message":"x","code":503}}]"#,
            Some("503"),
            "x",
            true,
        );
        check(
            422,
            r#"{"detail":"no such model"}"#,
            None,
            "no such model",
            false,
        );
        check(
            401,
            r#"{"error":{"code":"not_signed_in","message":"sign in","hint":"…"}}"#,
            Some("not_signed_in"),
            "sign in",
            false,
        );
        check(
            502,
            "<html>Bad gateway</html>",
            None,
            "<html>Bad gateway</html>",
            true,
        );
        check(503, "", None, "", true);
    }

    #[test]
    fn long_bodies_are_cut_at_a_character() {
        let error = ApiError::from_response(500, "ü".repeat(1000).as_bytes(), None);
        assert_eq!(error.message.len(), 500);
    }

    #[test]
    fn a_kind_survives_every_dialect() {
        for (status, code) in [
            (400, "context_length_exceeded"),
            (401, "authentication_error"),
            (402, "billing_error"),
            (404, "not_found_error"),
            (413, "request_too_large"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ] {
            let error = ApiError {
                status: Some(status),
                code: Some(code.to_owned()),
                message: "words".to_owned(),
                retry_after: None,
            };
            for dialect in Dialect::ALL {
                let body = error.body_in(dialect).to_string();
                let read = ApiError::from_response(error.status_in(dialect), body.as_bytes(), None);
                assert_eq!(read.message, "words");
                let lost =
                    (error.kind(), dialect) == (ErrorKind::ContextExceeded, Dialect::Messages);
                let expected = if lost {
                    ErrorKind::InvalidRequest
                } else {
                    error.kind()
                };
                assert_eq!(read.kind(), expected, "{dialect:?} {body}");
                assert_eq!(
                    read.is_transient(),
                    error.is_transient(),
                    "{dialect:?} {body}"
                );
            }
        }
    }

    #[test]
    fn an_error_within_a_stream_is_transient_by_its_kind() {
        let within = |code: &str| {
            let body = json!({"error": {"type": code, "message": "x"}});
            ApiError::from_json(&body).unwrap().is_transient()
        };
        assert!(within("overloaded_error") && within("api_error") && within("busy"));
        assert!(!within("invalid_request_error") && !within("authentication_error"));
    }

    #[test]
    fn a_body_may_say_how_long_to_wait() {
        let body =
            br#"{"error":{"type":"usage_limit_reached","message":"m","resets_in_seconds":90}}"#;
        let error = ApiError::from_response(429, body, None);
        assert_eq!(error.retry_after, Some(Duration::from_secs(90)));
    }
}
