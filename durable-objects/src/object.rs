//! What is the same in every object: which requests there are, and how they are answered.

use sam_domain::access::internal::{FEED_URL, HEADER, LINK_URL, LIVE_URL, ROWS_URL};
use sam_domain::error::ApiError;
use sam_platform::http;
use sam_platform::objects::{CALL_URL, INBOX_URL};
use sam_platform::probe::{Event, Outside, Probe};
use sam_platform::text::Text;
use serde::Serialize;
use serde::de::DeserializeOwned;
use worker::{Method, Request, Response};

use crate::shell::ShellError;

/// The longest call, message or batch of rows: a batch has 256 KiB, the rest is room for what prompts
/// become when they are escaped.
const MAX_CALL_BYTES: usize = 2 * 1024 * 1024;

/// What an object is asked.
pub(crate) enum Asked {
    /// A call of the Worker's.
    Call,
    /// A message of another machine.
    Inbox,
    /// A feed socket.
    Feed,
    /// A workspace's batch of rows.
    Rows,
    /// A workspace's live socket.
    Live,
    /// A node's link.
    Link,
    /// What tests ask of any object.
    #[cfg(feature = "fault-injection")]
    Fault(crate::faults::Fault),
}

/// What a request asks; `Err` is the answer to anything else.
pub(crate) fn asked(request: &Request) -> Result<Asked, ApiError> {
    let path = request.path();
    let is = |url: &str| url.strip_prefix("http://object") == Some(path.as_str());
    match request.method() {
        Method::Post if is(CALL_URL) => Ok(Asked::Call),
        Method::Post if is(INBOX_URL) => Ok(Asked::Inbox),
        Method::Post if is(ROWS_URL) => Ok(Asked::Rows),
        Method::Get if is(FEED_URL) => Ok(Asked::Feed),
        Method::Get if is(LIVE_URL) => Ok(Asked::Live),
        Method::Get if is(LINK_URL) => Ok(Asked::Link),
        #[cfg(feature = "fault-injection")]
        Method::Post if crate::faults::is_one(request) => {
            crate::faults::asked(&path).map(Asked::Fault)
        }
        _ => Err(ApiError::not_found("call")),
    }
}

/// Serves a request as one event of the object.
pub(crate) async fn request(
    probe: &Probe,
    request: &Request,
    served: impl Future<Output = Response>,
) -> Response {
    #[cfg(feature = "fault-injection")]
    let (nobody, is_fault) = (Probe::default(), crate::faults::is_one(request));
    #[cfg(feature = "fault-injection")]
    let probe = if is_fault { &nobody } else { probe };
    #[cfg(not(feature = "fault-injection"))]
    let _ = request;
    probe.event(Event::Request, served).await
}

/// Reads a call or an envelope.
pub(crate) async fn read_call<T: DeserializeOwned>(
    probe: &Probe,
    request: &Request,
) -> Result<T, ApiError> {
    let read = http::read_own_json(request, MAX_CALL_BYTES);
    Ok(probe.outside(Outside::Body, read).await?)
}

/// What the Worker found out about who opens a socket.
pub(crate) fn access<T: DeserializeOwned>(request: &Request) -> Result<T, ApiError> {
    let upgrade = http::header(request, "upgrade");
    if !upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Err(
            ApiError::new(426, "upgrade_required", "This is a WebSocket.")
                .hint("Connect with a WebSocket client."),
        );
    }
    sender(request)
}

/// What the Worker found out about who sends this.
pub(crate) fn sender<T: DeserializeOwned>(request: &Request) -> Result<T, ApiError> {
    http::header(request, HEADER)
        .and_then(|text| sam_domain::json::from_str(&text).ok())
        .ok_or_else(|| ApiError::new(401, "unauthorised", "Nothing says who sends this."))
}

/// A reply as JSON text.
pub(crate) fn text(value: &impl Serialize) -> Result<String, ShellError> {
    serde_json::to_string(value).map_err(|error| ShellError::Stored {
        key: "reply".to_owned(),
        cause: error.to_string(),
    })
}

/// A response with a reply that is JSON text already, or with the error it failed with.
pub(crate) fn answer(result: Result<impl Into<Text>, ShellError>) -> Response {
    match result {
        Ok(text) => http::json_text(200, &text.into()),
        Err(error) => http::error_from(&error.into(), None),
    }
}

/// The same for something that builds its own response.
pub(crate) fn response(result: Result<Response, ShellError>) -> Response {
    result.unwrap_or_else(|error| http::error_from(&error.into(), None))
}

/// The answer of an object whose storage could not be opened.
pub(crate) fn broken(cause: &str) -> Response {
    worker::console_error!("object cannot start: {cause}");
    http::error_from(&ApiError::internal(), None)
}

/// The answer to what is refused before a turn.
pub(crate) fn refused(error: &ApiError) -> Response {
    http::error_from(error, None)
}

/// What an alarm answers.
pub(crate) fn done() -> Response {
    http::empty(204)
}

/// What a raw connection is told.
pub(crate) fn no_connections() -> worker::Error {
    worker::Error::RustError("objects take no raw connections".to_owned())
}
