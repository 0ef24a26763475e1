//! What can go wrong between a request and its reply.
//!
//! One table: each kind has a word for programs, words for people, a hint, and
//! whether the same request may succeed later. Whatever the transport, the
//! model API or a proxy before it reports becomes one of these, so that a
//! retry, a notice and a failed prompt never disagree on what happened.

use std::time::Duration;

use sam_dialects::{ApiError, ErrorKind};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Too many requests or tokens; a limit resets.
    RateLimited,
    /// What was paid for is used up; waiting does not help.
    QuotaExhausted,
    /// Too many others are being served.
    Overloaded,
    /// The model API failed.
    ServerError,
    /// Nobody answers there.
    Unreachable,
    /// A part of the reply came, its end did not.
    BrokeOff,
    /// Nothing came for too long.
    Silent,
    /// A whole reply without text and calls.
    EmptyReply,
    /// The key is not accepted.
    KeyRefused,
    /// There is no such address or model.
    NotFound,
    /// The request is not accepted.
    RequestRefused,
    /// The conversation is longer than the model's context.
    ContextFull,
    /// What answers is not a model API.
    NotAReply,
    /// The reply is longer than can be held.
    TooLong,
    /// Call after call that cannot be read.
    UnreadableCalls,
}

/// What holds for every fault of a kind.
struct Facts {
    code: &'static str,
    cause: &'static str,
    hint: &'static str,
    transient: bool,
}

const fn facts(
    code: &'static str,
    cause: &'static str,
    transient: bool,
    hint: &'static str,
) -> Facts {
    Facts {
        code,
        cause,
        hint,
        transient,
    }
}

const LATER: &str = "Try again later, or choose another model.";

impl FaultKind {
    const fn facts(self) -> Facts {
        match self {
            Self::RateLimited => facts(
                "model_rate_limited",
                "Model rate limited",
                true,
                "Wait until the limit resets, or raise it with the model's provider.",
            ),
            Self::QuotaExhausted => facts(
                "model_quota_exhausted",
                "Model quota exhausted",
                false,
                "Raise the quota with the model's provider, or choose another model.",
            ),
            Self::Overloaded => facts("model_overloaded", "Model overloaded", true, LATER),
            Self::ServerError => facts("model_failed", "Model API failed", true, LATER),
            Self::Unreachable => facts(
                "model_unreachable",
                "Model API unreachable",
                true,
                "Check that the model API runs and that SAM_MODEL_URL names it.",
            ),
            Self::BrokeOff => facts(
                "model_broke_off",
                "Reply broke off",
                true,
                "Try again; if it stays so, look at what lies between here and the model API.",
            ),
            Self::Silent => facts("model_silent", "Model silent", true, LATER),
            Self::EmptyReply => facts(
                "model_empty_reply",
                "Empty reply",
                true,
                "Say more exactly what to do, or choose another model.",
            ),
            Self::KeyRefused => facts(
                "model_key_refused",
                "Model key refused",
                false,
                "Check SAM_MODEL_KEY.",
            ),
            Self::NotFound => facts(
                "model_not_found",
                "Model not found",
                false,
                "Check SAM_MODEL_URL and SAM_MODEL.",
            ),
            Self::RequestRefused => facts(
                "model_request_refused",
                "Request refused",
                false,
                "What the model API says tells why; another model may accept it.",
            ),
            Self::ContextFull => facts(
                "model_context_full",
                "Conversation too long",
                false,
                "Name the model's context with --context-window, so that the conversation is compacted in time.",
            ),
            Self::NotAReply => facts(
                "model_not_a_reply",
                "Not a model's reply",
                false,
                "Check SAM_MODEL_URL: something else answers there.",
            ),
            Self::TooLong => facts(
                "model_reply_too_long",
                "Reply too long",
                false,
                "Ask for a smaller piece of work.",
            ),
            Self::UnreadableCalls => facts(
                "model_calls_unreadable",
                "Tool calls unreadable",
                false,
                "Choose a model that can call tools.",
            ),
        }
    }

    /// A stable word for programs.
    pub(crate) const fn code(self) -> &'static str {
        self.facts().code
    }

    /// What a person can do.
    pub(crate) const fn hint(self) -> &'static str {
        self.facts().hint
    }

    /// Whether the same request may succeed later.
    pub(crate) const fn is_transient(self) -> bool {
        self.facts().transient
    }

    /// What an error answer means: by its code where that is known, else by
    /// its status. An error within a stream has no status.
    fn of(error: &ApiError) -> Self {
        if is_too_long(error) {
            return Self::ContextFull;
        }
        match error.code.as_deref().unwrap_or_default() {
            "billing_hard_limit_reached" => return Self::QuotaExhausted,
            "engine_overloaded" => return Self::Overloaded,
            "upstream_refused_key" => return Self::KeyRefused,
            "model_not_configured" | "model_misconfigured" => return Self::RequestRefused,
            "upstream_unreachable" | "control_plane_unreachable" => return Self::Unreachable,
            "upstream_broke_off" | "upstream_failed" => return Self::BrokeOff,
            "upstream_silent" | "upstream_timeout" => return Self::Silent,
            "upstream_malformed" => return Self::NotAReply,
            // A type that says less than the status.
            "invalid_request_error" if error.status.is_some() => {
                let bare = ApiError {
                    code: None,
                    ..error.clone()
                };
                return Self::of(&bare);
            }
            _ => {}
        }
        match (error.kind(), error.status) {
            (_, Some(409 | 425)) => Self::ServerError,
            (ErrorKind::Server, Some(..=499)) => Self::RequestRefused,
            (ErrorKind::Server | ErrorKind::Timeout, _) => Self::ServerError,
            (ErrorKind::ContextExceeded, _) => Self::ContextFull,
            (ErrorKind::Authentication | ErrorKind::Permission, _) => Self::KeyRefused,
            (ErrorKind::Quota, _) => Self::QuotaExhausted,
            (ErrorKind::NotFound, _) => Self::NotFound,
            (ErrorKind::RateLimit, _) => Self::RateLimited,
            (ErrorKind::Overloaded, _) => Self::Overloaded,
            (ErrorKind::InvalidRequest | ErrorKind::TooLarge, _) => Self::RequestRefused,
        }
    }
}

/// Whether a request was refused because the conversation is too long, in the
/// words of APIs that have no code for it.
fn is_too_long(error: &ApiError) -> bool {
    let message = error.message.to_ascii_lowercase();
    let words = [
        "prompt is too long",
        "maximum context length",
        "exceeds the context",
        "context window",
    ];
    matches!(error.status, Some(400 | 413)) && words.iter().any(|words| message.contains(words))
}

/// One failed attempt to get a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// What was seen, in a few words; may be empty.
    detail: String,
    /// Whether a part of the reply had come.
    pub(crate) began: bool,
    /// For how long the server asked to be left alone.
    pub(crate) reset: Option<Duration>,
}

impl Fault {
    /// A fault before anything came.
    pub(crate) fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            began: false,
            reset: None,
        }
    }

    /// What an error answer, or an error within a stream, says.
    pub(crate) fn from_api(error: &ApiError) -> Self {
        Self {
            reset: error.retry_after,
            ..Self::new(FaultKind::of(error), error.to_string())
        }
    }

    /// The same, after a part of the reply had come.
    pub(crate) fn after(mut self, began: bool) -> Self {
        self.began |= began;
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (cause, detail) = (self.kind.facts().cause, self.detail.trim_end_matches('.'));
        if detail.is_empty() {
            f.write_str(cause)
        } else {
            write!(f, "{cause}: {detail}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_means() {
        let check = |status: Option<u16>, code: &str, expected: FaultKind| {
            let body = format!(r#"{{"error":{{"message":"words","code":"{code}"}}}}"#);
            let error = match status {
                Some(status) => ApiError::from_response(status, body.as_bytes(), None),
                None => ApiError::from_json(&serde_json::from_str(&body).unwrap()).unwrap(),
            };
            assert_eq!(FaultKind::of(&error), expected, "{status:?} {code}");
        };
        check(Some(429), "", FaultKind::RateLimited);
        check(Some(429), "insufficient_quota", FaultKind::QuotaExhausted);
        check(Some(529), "overloaded_error", FaultKind::Overloaded);
        check(Some(529), "", FaultKind::Overloaded);
        check(Some(500), "", FaultKind::ServerError);
        check(Some(401), "", FaultKind::KeyRefused);
        check(Some(502), "upstream_refused_key", FaultKind::KeyRefused);
        check(Some(504), "upstream_timeout", FaultKind::Silent);
        check(Some(503), "model_not_configured", FaultKind::RequestRefused);
        check(
            Some(400),
            "invalid_request_error",
            FaultKind::RequestRefused,
        );
        check(Some(301), "", FaultKind::RequestRefused);
        check(None, "overloaded_error", FaultKind::Overloaded);
        check(None, "upstream_broke_off", FaultKind::BrokeOff);
        check(None, "busy", FaultKind::ServerError);
        // Responses reports within a stream what others answer with a status.
        check(None, "server_is_overloaded", FaultKind::Overloaded);
        check(None, "slow_down", FaultKind::RateLimited);
        check(None, "billing_error", FaultKind::QuotaExhausted);
        check(None, "context_length_exceeded", FaultKind::ContextFull);
        check(None, "invalid_request_error", FaultKind::RequestRefused);
        check(Some(404), "invalid_request_error", FaultKind::NotFound);
        check(Some(409), "", FaultKind::ServerError);
    }

    #[test]
    fn words_end_without_a_full_stop() {
        let fault = |detail: &str| Fault::new(FaultKind::Overloaded, detail).to_string();
        assert_eq!(fault("Too many."), "Model overloaded: Too many");
        assert_eq!(fault(""), "Model overloaded");
    }
}
