//! The model proxy.
//!
//! A model token may call models and nothing else; which upstream a model is at, and whose key pays,
//! is [`access`]'s to say. Where client and upstream speak the same dialect, bytes pass unchanged both ways but for the declared edits: a
//! streaming chat request is made to ask for its usage (and the extra chunk is taken out again when
//! the client did not ask); a request that names no model, or `sam`, is given the configured one,
//! and any model its name upstream; and a stream gets comments while it is silent, and an error as its last event when it breaks off
//! or is silent for too long ([`passing`] says why). Where they speak differently, the request and
//! the reply are translated ([`sam_dialects::translate`]), and `x-sam-translated` says so. Limits
//! and their resets are the client's to keep: a 429 passes with all its headers.
//!
//! Invariants:
//! - the client's token never leaves; an upstream's key never comes back;
//! - a call that nobody chose a payer for, or whose payer has no key, goes nowhere;
//! - what a call may use is reserved before it is made ([`budget`]);
//! - no stream is buffered: the first byte leaves when it comes;
//! - a client that leaves closes the upstream ([`departure`]);
//! - each call is recorded once, however it ended, with what the upstream reported and nothing else
//!   ([`passing`], [`record`]);
//! - a redirect is never followed.
//!
//! What it refuses to know: what is said. Requests are read for a few fields, replies for their
//! usage; a translation keeps nothing.

pub(crate) mod access;
pub(crate) mod budget;
mod departure;
pub(crate) mod error;
pub(crate) mod installation;
pub(crate) mod models;
mod passing;
mod record;
mod request;
mod settlement;
mod telling;
pub(crate) mod title;
pub(crate) mod upstream;

use futures::future::{Either, select};
use sam_dialects::scan::InputScan;
use sam_dialects::translate::ReplyTranslator;
use sam_dialects::{ApiError as UpstreamError, Dialect};
use sam_domain::access::claims::Claims;
use sam_domain::budget::call::CallEnd;
use sam_domain::catalogue::model::Model;
use sam_domain::error::ApiError;
use sam_domain::provider::key::Scope;
use sam_platform::fetch::{self, FetchError, Incoming, Outgoing};
use sam_platform::http;
use serde_json::{Value, json};
use worker::Headers;

use crate::call::Call;
use crate::errors::{Answer, log};
use crate::principal::ModelToken;
use access::Access;
use departure::Departure;
use passing::Kind;
use record::Record;
use request::{Asked, Prepared};
use upstream::Upstream;

/// Longest request that is passed on, in bytes.
const REQUEST_LIMIT: usize = 16 * 1024 * 1024;
/// Longest reply that is translated as a whole, in bytes.
const REPLY_LIMIT: usize = 16 * 1024 * 1024;
/// The version of Messages that is spoken when the client names none.
const MESSAGES_VERSION: &str = "2023-06-01";

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

/// Encodings of a reply that the runtime undoes by itself.
const UNDONE: &[&str] = &["gzip", "br"];

pub(crate) async fn chat_completions(call: &Call, token: ModelToken) -> Answer {
    exchange(call, &token, Dialect::Chat).await
}

pub(crate) async fn responses(call: &Call, token: ModelToken) -> Answer {
    exchange(call, &token, Dialect::Responses).await
}

pub(crate) async fn messages(call: &Call, token: ModelToken) -> Answer {
    exchange(call, &token, Dialect::Messages).await
}

/// Passes a request on and its reply back.
async fn exchange(call: &Call, token: &ModelToken, client: Dialect) -> Answer {
    let bytes = http::read_encoded_body(&call.request, REQUEST_LIMIT).await?;
    let asked = Asked::read(&bytes, client)?;
    let access = Access::of(call, &token.claims).await?;
    let upstream = access.upstream(call, client, asked.model())?;
    let mut prepared = prepare(&asked, &upstream, call)?;
    let wanted = budget::Wanted {
        claims: &token.claims,
        client,
        dialect: upstream.dialect,
        model: &upstream.catalogued,
        own_key: upstream.payer != Scope::Platform,
    };
    let admission = match budget::admit(call, &wanted, &mut prepared.body).await? {
        Ok(admission) => admission,
        Err(refusal) => return Ok(refusal),
    };
    let mut record = Record::begin(call, &admission, &upstream.catalogued);
    let departure = Departure::of(call.request.inner());
    let translation = prepared.translation.take();
    let translated = translation.is_some();
    let query = call.url.query().filter(|_| !translated);
    let outgoing = Outgoing {
        method: "POST",
        url: &upstream.endpoint(upstream.dialect.path(), query),
        headers: headers(call, &upstream, translated, || named(&token.claims)),
        body: Some(std::mem::take(&mut prepared.body)),
        first_byte_within: upstream.silence,
    };
    let sending = std::pin::pin!(fetch::send(&outgoing));
    // Whatever ends it here drops the record, which keeps it with status 0.
    let incoming = match select(sending, departure.gone()).await {
        Either::Left((Ok(incoming), _)) => incoming,
        Either::Left((Err(error), _)) => {
            if let FetchError::TimedOut(_) = error {
                record.ended(None, CallEnd::Silent);
            }
            return Err(unreachable(&error, &upstream).into());
        }
        Either::Right(_) => {
            record.ended(None, CallEnd::ClientLeft);
            return Err(ApiError::new(499, "client_left", "You left.").into());
        }
    };
    record.answered(incoming.status, incoming.header("cf-aig-log-id"));
    telling::of_refusal(call, &token.claims, &incoming);
    if let Err(refused) = check(incoming.status, &upstream) {
        record.ended(None, CallEnd::Refused);
        return Err(refused.into());
    }
    let events = incoming
        .header("content-type")
        .is_some_and(|value| value.starts_with("text/event-stream"));
    let headers = passed_headers(&incoming);
    if let Some(near) = admission.header() {
        // Names are constant, values numbers and words.
        let _ = headers.set("x-sam-budget-warning", &near);
    }
    let mut status = incoming.status;
    let mut translator = None;
    if let Some(mut translation) = translation {
        let _ = headers.set("x-sam-translated", &prepared.note);
        if status >= 400 || !events {
            return document(incoming, &mut translation, headers, record, call).await;
        }
        let _ = headers.set("content-type", "text/event-stream");
        status = 200;
        translator = Some(translation);
    }
    let kind = Kind {
        events,
        client,
        hide_usage: events && prepared.hide_usage,
        silence: upstream.silence,
    };
    let signal = call.request.inner().signal();
    let body = passing::reply(incoming, &signal, kind, translator, record)?;
    Ok(worker::ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .stream(body))
}

/// What is sent to an upstream.
fn prepare(asked: &Asked<'_>, upstream: &Upstream, call: &Call) -> Result<Prepared, ApiError> {
    let (id, now) = (call.id.to_string(), call.now.0 / 1000);
    asked.prepare(&upstream.target(), &upstream.model, &id, now)
}

/// Refuses answers that must not be passed on.
fn check(status: u16, upstream: &Upstream) -> Result<(), ApiError> {
    if matches!(status, 401 | 403) {
        // The client's own token was good: this is about the key that pays.
        return Err(ApiError::new(
            502,
            "upstream_refused_key",
            format!("The model endpoint refused its key ({status})."),
        )
        .hint(upstream.key_hint()));
    }
    if !(200..=599).contains(&status) || matches!(status, 204 | 205 | 304) {
        return Err(ApiError::new(
            502,
            "upstream_malformed",
            format!("The model endpoint answered with status {status}."),
        ));
    }
    Ok(())
}

/// A reply that is not a stream, or an error, translated as a whole.
async fn document(
    incoming: Incoming,
    translation: &mut ReplyTranslator,
    headers: Headers,
    mut record: Record,
    call: &Call,
) -> Answer {
    let status = incoming.status;
    let now = call.now.0 / 1000;
    let pairs = incoming.headers();
    let header = |name: &str| {
        let found = pairs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    let wait = sam_dialects::retry_after(header, now);
    let bytes = whole(incoming).await?;
    let (status, body) = if status >= 400 {
        let error = UpstreamError::from_response(status, &bytes, wait);
        if let (Some(wait), Ok(false)) = (error.retry_after, headers.has("retry-after")) {
            let _ = headers.set("retry-after", &wait.as_secs_f64().ceil().to_string());
        }
        translation.error(&error)
    } else {
        translation.document(&bytes)
    };
    let end = if status < 400 {
        CallEnd::Complete
    } else {
        CallEnd::Refused
    };
    record.ended(translation.usage(), end);
    let _ = headers.set("content-type", "application/json");
    let mut response = http::json(status, &body);
    for (name, value) in headers.entries() {
        let _ = response.headers_mut().set(&name, &value);
    }
    Ok(response)
}

/// Counts tokens where the upstream can, and else says about how many they are.
pub(crate) async fn count_tokens(call: &Call, token: ModelToken) -> Answer {
    let bytes = http::read_encoded_body(&call.request, REQUEST_LIMIT).await?;
    let asked = Asked::read(&bytes, Dialect::Messages)?;
    let access = Access::of(call, &token.claims).await?;
    let upstream = access.upstream(call, Dialect::Messages, asked.model())?;
    if upstream.dialect != Dialect::Messages {
        return Ok(estimated(&bytes, &upstream.catalogued));
    }
    let prepared = prepare(&asked, &upstream, call)?;
    let url = upstream.endpoint("messages/count_tokens", call.url.query());
    let outgoing = Outgoing {
        method: "POST",
        url: &url,
        headers: headers(call, &upstream, false, || named(&token.claims)),
        body: Some(prepared.body),
        first_byte_within: upstream.silence,
    };
    let incoming = fetch::send(&outgoing)
        .await
        .map_err(|error| unreachable(&error, &upstream))?;
    check(incoming.status, &upstream)?;
    let (status, headers) = (incoming.status, passed_headers(&incoming));
    let body = whole(incoming).await?;
    let mut response = worker::ResponseBuilder::new()
        .with_status(status)
        .from_bytes(body)?;
    // After the body, for which the builder sets a type of its own.
    for (name, value) in headers.entries() {
        let _ = response.headers_mut().set(&name, &value);
    }
    Ok(response)
}

/// About as many tokens as a request has, for clients that decide by it when a conversation is too
/// long: one for four bytes of its text, and the most that an image can be for each.
fn estimated(body: &[u8], model: &Model) -> worker::Response {
    let input = InputScan::read(body);
    let image = model.limits.map_or(0, |limits| limits.image);
    let tokens = input.text_bytes.div_ceil(4) + input.images.saturating_mul(image);
    let mut response = http::json(200, &json!({"input_tokens": tokens}));
    // Both are constant.
    let _ = response.headers_mut().set("x-sam-estimated", "true");
    response
}

async fn whole(incoming: Incoming) -> Result<Vec<u8>, ApiError> {
    incoming.into_bytes(REPLY_LIMIT).await.map_err(|_| {
        ApiError::new(
            502,
            "upstream_malformed",
            "The model endpoint's reply cannot be read.",
        )
    })
}

fn headers(
    call: &Call,
    upstream: &Upstream,
    translated: bool,
    metadata: impl FnOnce() -> Value,
) -> Vec<(&'static str, String)> {
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
    if upstream.dialect == Dialect::Messages {
        let version = call.header("anthropic-version");
        let version = version.unwrap_or_else(|| MESSAGES_VERSION.to_owned());
        headers.push(("anthropic-version", version));
    }
    if !translated {
        // What the dialect defines beside its body.
        for name in ["anthropic-beta", "openai-beta"] {
            headers.extend(call.header(name).map(|value| (name, value)));
        }
    }
    if upstream.gateway {
        headers.push(("cf-aig-metadata", metadata().to_string()));
    }
    headers
}

/// What a gateway notes of a call. It keeps at most five of these beside its own record.
fn named(claims: &Claims) -> Value {
    json!({
        "user": claims.usr,
        "project": claims.prj,
        "session": claims.ses,
        "task": claims.tsk,
        "workspace": claims.wsp,
    })
}

fn unreachable(error: &FetchError, upstream: &Upstream) -> ApiError {
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
    .hint(match upstream.payer {
        Scope::Platform => "Check SAM_MODEL_URL, and that what it names is running.",
        Scope::User | Scope::Project => "Check the address that the key was stored with.",
    })
}

/// The upstream's headers without those that end here.
fn passed_headers(incoming: &Incoming) -> Headers {
    let headers = incoming.copied_headers();
    for name in DROPPED_HEADERS {
        // The names are constant, which the runtime takes.
        let _ = headers.delete(name);
    }
    // What the runtime did not undo is still so encoded.
    if let Some(encoding) = incoming.header("content-encoding")
        && !UNDONE.contains(&encoding.to_ascii_lowercase().as_str())
    {
        let _ = headers.set("content-encoding", &encoding);
    }
    headers
}
