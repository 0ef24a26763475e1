//! The model proxy.
//!
//! A model token may call one upstream, the configured one, and nothing else. Bytes pass unchanged
//! both ways but for the declared edits: a streaming request is made to ask for its usage (and the
//! extra chunk is taken out again when the client did not ask); a request that names no model, or
//! `sam`, is given the configured one; and a stream gets comments while it is silent, and an error
//! as its last event when it breaks off or is silent for too long ([`passing`] says why). Limits and
//! their resets are the client's to keep: a 429 passes with all its headers.
//!
//! Invariants:
//! - the client's token never leaves; the upstream's key never comes back;
//! - nothing is buffered: the first byte leaves when it comes;
//! - a client that leaves closes the upstream ([`departure`]);
//! - each call is recorded once, however it ended, with what the upstream reported and nothing else
//!   ([`passing`], [`record`]);
//! - a redirect is never followed.
//!
//! What it refuses to know: what is said. Requests are read for three fields, replies for their
//! usage.

mod departure;
pub(crate) mod models;
pub(crate) mod openai;
mod passing;
mod record;
pub(crate) mod upstream;

use futures::future::{Either, select};
use sam_dialects::chat::{PrepareError, PreparedRequest, prepare_request, set_model};
use sam_domain::access::claims::Claims;
use sam_domain::conversation::call::CallEnd;
use sam_domain::error::ApiError;
use sam_platform::fetch::{self, FetchError, Incoming, Outgoing};
use sam_platform::http;
use serde_json::json;

use crate::call::Call;
use crate::errors::{Answer, log};
use crate::principal::ModelToken;
use departure::Departure;
use passing::{Kind, Passing};
use record::Record;
use upstream::{Auth, Upstream};

/// Longest request that is passed on, in bytes.
const REQUEST_LIMIT: usize = 16 * 1024 * 1024;
/// The name by which a client asks for whatever is configured.
const ALIAS: &str = "sam";

/// Headers that end here: those of one connection, those that the runtime decides anew, and those
/// that would speak for our origin.
const DROPPED_HEADERS: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-encoding",
    "set-cookie",
    "alt-svc",
    "clear-site-data",
    "strict-transport-security",
];

pub(crate) async fn chat_completions(call: &Call, token: ModelToken) -> Answer {
    let upstream = Upstream::required(&call.env)?;
    let bytes = http::read_body(&call.request, REQUEST_LIMIT).await?;
    let (prepared, model) = prepare(&bytes, upstream.model.as_deref())?;
    let mut record = Record::begin(call, &token.claims, &model);
    let url = upstream.endpoint("chat/completions");
    let outgoing = Outgoing {
        method: "POST",
        url: &url,
        headers: headers(call, &upstream, &token.claims),
        body: Some(prepared.body),
        first_byte_within: upstream.silence,
    };
    let departure = Departure::of(call.request.inner());
    let sending = std::pin::pin!(fetch::send(&outgoing));
    // Whatever ends it here drops the record, which keeps it with status 0.
    let incoming = match select(sending, departure.gone()).await {
        Either::Left((Ok(incoming), _)) => incoming,
        Either::Left((Err(error), _)) => {
            if let FetchError::TimedOut(_) = error {
                record.ended(None, CallEnd::Silent);
            }
            return Err(unreachable(&error).into());
        }
        Either::Right(_) => {
            record.ended(None, CallEnd::ClientLeft);
            return Err(ApiError::new(499, "client_left", "You left.").into());
        }
    };
    record.answered(incoming.status);
    if matches!(incoming.status, 401 | 403) {
        record.ended(None, CallEnd::Refused);
        // The client's own token was good: this is about the installation's key.
        return Err(ApiError::new(
            502,
            "upstream_refused_key",
            format!("The model endpoint refused its key ({}).", incoming.status),
        )
        .hint("Check SAM_MODEL_KEY and SAM_MODEL_AUTH.")
        .into());
    }
    let events = incoming
        .header("content-type")
        .is_some_and(|value| value.starts_with("text/event-stream"));
    let kind = Kind {
        events,
        hide_usage: events && prepared.stream && !prepared.asked_for_usage,
        silence: upstream.silence,
    };
    let (status, headers) = (incoming.status, passed_headers(&incoming));
    if !(200..=599).contains(&status) || matches!(status, 204 | 205 | 304) {
        return Err(ApiError::new(
            502,
            "upstream_malformed",
            format!("The model endpoint answered with status {status}."),
        )
        .into());
    }
    let pairs: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let body = Passing::new(
        incoming.into_stream()?,
        kind,
        record,
        departure,
        &call.background,
    );
    Ok(worker::ResponseBuilder::new()
        .with_status(status)
        .with_headers(http::reply::safe_headers(&pairs))
        .from_stream(body)?)
}

/// Reads the request and makes it name a model.
fn prepare(bytes: &[u8], default: Option<&str>) -> Result<(PreparedRequest, String), ApiError> {
    let refuse =
        |error: PrepareError| ApiError::new(400, "malformed_body", format!("Refused: {error}."));
    let mut prepared = prepare_request(bytes).map_err(refuse)?;
    let named = prepared.model.take().filter(|model| model != ALIAS);
    let model = match (named, default) {
        (Some(named), _) => named,
        (None, Some(default)) => {
            prepared.body = set_model(&prepared.body, default).map_err(refuse)?;
            default.to_owned()
        }
        (None, None) => {
            return Err(ApiError::new(
                400,
                "model_required",
                "The request names no model and no default is configured.",
            )
            .hint("Name one of GET /ai/v1/models, or set SAM_MODEL."));
        }
    };
    Ok((prepared, model))
}

fn headers(call: &Call, upstream: &Upstream, claims: &Claims) -> Vec<(&'static str, String)> {
    let accept = call.header("accept").unwrap_or_else(|| "*/*".to_owned());
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("accept", accept),
        // Compressed streams arrive in blocks.
        ("accept-encoding", "identity".to_owned()),
        (
            "user-agent",
            concat!("sam/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
    ];
    headers.extend(upstream.authorisation());
    if upstream.auth == Auth::Gateway {
        // The gateway keeps at most five of these beside its own record.
        let metadata = json!({
            "user": claims.usr,
            "project": claims.prj,
            "session": claims.ses,
            "task": claims.tsk,
            "workspace": claims.wsp,
        });
        headers.push(("cf-aig-metadata", metadata.to_string()));
    }
    headers
}

fn unreachable(error: &FetchError) -> ApiError {
    // What the runtime says may name the address, which is nobody's business but the operator's.
    log(&format!("model upstream: {error}"));
    match error {
        FetchError::TimedOut(_) => ApiError::new(
            504,
            "upstream_timeout",
            "The model endpoint did not answer in time.",
        ),
        FetchError::Unbuildable(_) | FetchError::Unreachable(_) => ApiError::new(
            502,
            "upstream_unreachable",
            "The model endpoint cannot be reached.",
        ),
    }
    .hint("Check SAM_MODEL_URL, and that what it names is running.")
}

/// The upstream's headers without those that end here.
fn passed_headers(incoming: &Incoming) -> Vec<(String, String)> {
    incoming
        .headers()
        .into_iter()
        .filter(|(name, _)| !DROPPED_HEADERS.contains(&name.as_str()))
        .collect()
}

pub(crate) async fn list_models(call: &Call, _: ModelToken) -> Answer {
    let upstream = Upstream::required(&call.env)?;
    let mut ids: Vec<String> = upstream.model.iter().cloned().collect();
    for id in models::listed(call).await {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let data: Vec<_> = ids
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": 0, "owned_by": "upstream"}))
        .collect();
    Ok(http::json(200, &json!({"object": "list", "data": data})))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, default: Option<&str>, sent: &str, model: &str) {
        let (prepared, named) = prepare(body.as_bytes(), default).unwrap();
        assert_eq!(String::from_utf8(prepared.body).unwrap(), sent);
        assert_eq!(named, model);
    }

    #[test]
    fn a_request_leaves_with_a_model() {
        check(
            r#"{"model":"x", "n":1.0}"#,
            Some("d"),
            r#"{"model":"x", "n":1.0}"#,
            "x",
        );
        check(
            r#"{"model":"sam", "n":1.0}"#,
            Some("d"),
            r#"{"model":"d", "n":1.0}"#,
            "d",
        );
        check("{}", Some("d"), r#"{"model":"d"}"#, "d");
        check(
            r#"{"stream":true,"model":null}"#,
            Some("d"),
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"d"}"#,
            "d",
        );
    }

    #[test]
    fn a_request_that_cannot_be_passed_on_is_refused() {
        for (body, default, code) in [
            ("{}", None, "model_required"),
            (r#"{"model":"sam"}"#, None, "model_required"),
            ("[]", Some("d"), "malformed_body"),
            (r#"{"model":"a","model":"b"}"#, Some("d"), "malformed_body"),
        ] {
            let error = prepare(body.as_bytes(), default).unwrap_err();
            assert_eq!((error.status, error.code.as_str()), (400, code), "{body}");
        }
    }
}
