//! Reading a request's body within a bound.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{Either, select};
use sam_domain::error::ApiError;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::Request;

use crate::js::JsFailure;
use crate::streams::{Chunks, CollectError};

/// Most bytes of an unwanted body that are read for the connection's sake: twice what any route takes.
const DRAIN_LIMIT: u64 = 40 * 1024 * 1024;
/// How long it may take to begin: whoever announced a body and waits for the answer before it sends
/// it, sends none.
const DRAIN_BEGINS: Duration = Duration::from_secs(2);
/// How long the next piece of it may take, and all of it.
const DRAIN_GOES_ON: Duration = Duration::from_secs(10);
const DRAIN_ENDS: Duration = Duration::from_secs(60);

/// Why a body was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than the route takes.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The bound in bytes.
        limit: usize,
    },
    /// The connection broke off, or fewer bytes came than were announced.
    #[error("the body broke off: {0}")]
    Broken(JsFailure),
    /// It is said to be something else than JSON.
    #[error("the body is said to be {0:?}")]
    NotJson(String),
    /// It is not the JSON that the route takes.
    #[error("{0}")]
    Malformed(String),
    /// It is compressed in a way that cannot be undone here.
    #[error("the body is encoded as {0:?}")]
    Encoded(String),
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit } => Self::new(
                413,
                "body_too_large",
                format!("The request body is longer than {limit} bytes."),
            ),
            BodyError::NotJson(_) => Self::new(
                415,
                "unsupported_media_type",
                "The request body is said to be something else than JSON.",
            )
            .hint("Send it with the header `Content-Type: application/json`."),
            BodyError::Broken(_) => Self::bad_request("The request body broke off."),
            BodyError::Encoded(_) => Self::new(
                415,
                "unsupported_content_encoding",
                "The request body is compressed in a way that is not undone here.",
            )
            .hint(format!("Send it as it is, or as one of: {}.", ENCODINGS)),
            BodyError::Malformed(detail) => Self::new(
                400,
                "malformed_body",
                format!("The request body is not what this route takes: {detail}"),
            ),
        }
    }
}

/// The encodings of a body that [`read_encoded_body`] undoes.
pub const ENCODINGS: &str = "gzip, deflate";

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = js_sys::Object)]
    type DecompressionStream;

    #[wasm_bindgen(constructor, catch)]
    fn of_format(format: &str) -> Result<DecompressionStream, JsValue>;
}

/// How many bytes the request says its body has.
pub fn announced(request: &Request) -> Option<u64> {
    super::header(request, "content-length").and_then(|text| text.trim().parse().ok())
}

/// Reads at most `limit` bytes. A longer body is refused by its announced length where it has one,
/// else as soon as it passes the bound.
pub async fn read_body(request: &Request, limit: usize) -> Result<Vec<u8>, BodyError> {
    let announced = announced(request);
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(BodyError::TooLarge { limit });
    }
    let bytes = if announced.is_some() {
        whole(request).await?
    } else {
        chunks(request, limit).await?
    };
    if let Some(length) = announced
        && (bytes.len() as u64) < length
    {
        return Err(BodyError::Broken(JsFailure::new(format!(
            "{} of {length} announced bytes came",
            bytes.len()
        ))));
    }
    Ok(bytes)
}

/// Reads a body of at most `limit` bytes that may be compressed: as many as that before and after.
pub async fn read_encoded_body(request: &Request, limit: usize) -> Result<Vec<u8>, BodyError> {
    let stated = super::header(request, "content-encoding").unwrap_or_default();
    let Some(format) = format_of(&stated)? else {
        return read_body(request, limit).await;
    };
    if announced(request).is_some_and(|length| length > limit as u64) {
        return Err(BodyError::TooLarge { limit });
    }
    let Some(stream) = request.inner().body() else {
        return Ok(Vec::new());
    };
    let broken = |thrown: JsValue| BodyError::Broken(thrown.into());
    let undone = DecompressionStream::of_format(format).map_err(broken)?;
    let pair: web_sys::ReadableWritablePair = undone.unchecked_into();
    let mut chunks = Chunks::of(&stream.pipe_through(&pair)).map_err(BodyError::Broken)?;
    chunks
        .collect_within(limit)
        .await
        .map_err(|error| match error {
            CollectError::TooLarge { limit } => BodyError::TooLarge { limit },
            CollectError::Broken(_) => {
                BodyError::Malformed(format!("it cannot be read as {format}"))
            }
        })
}

/// The runtime's name of an encoding; none for no encoding.
fn format_of(stated: &str) -> Result<Option<&'static str>, BodyError> {
    match stated.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some("gzip")),
        "deflate" => Ok(Some("deflate")),
        other => Err(BodyError::Encoded(other.to_owned())),
    }
}

/// Reads a body whose length is known beforehand: the runtime hands it over in one piece, where
/// reading it as a stream would take a turn for every few kilobytes.
async fn whole(request: &Request) -> Result<Vec<u8>, BodyError> {
    let broken = |thrown: JsValue| BodyError::Broken(thrown.into());
    let read = request.inner().array_buffer().map_err(broken)?;
    let buffer = JsFuture::from(read).await.map_err(broken)?;
    Ok(js_sys::Uint8Array::new(&buffer).to_vec())
}

/// Reads a body of unknown length, at most `limit` bytes.
async fn chunks(request: &Request, limit: usize) -> Result<Vec<u8>, BodyError> {
    let Some(stream) = request.inner().body() else {
        return Ok(Vec::new());
    };
    let mut chunks = Chunks::of(&stream).map_err(BodyError::Broken)?;
    match chunks.collect_within(limit).await {
        Ok(bytes) => Ok(bytes),
        Err(CollectError::TooLarge { limit }) => {
            drain_chunks(chunks).await;
            Err(BodyError::TooLarge { limit })
        }
        Err(CollectError::Broken(failure)) => Err(BodyError::Broken(failure)),
    }
}

/// Reads what is left of a body that nobody had a use for. The runtime closes a connection whose
/// request was not read to its end, and a client that keeps connections would meet that as a reset in
/// its next request; one that still sends when the answer comes would meet it at once, and never see
/// the answer.
///
/// A body that is announced as longer than [`DRAIN_LIMIT`] is left where it is.
pub async fn drain(request: &Request) {
    let inner = request.inner();
    if inner.body_used() || announced(request).is_some_and(|length| length > DRAIN_LIMIT) {
        return;
    }
    if let Some(chunks) = inner.body().and_then(|body| Chunks::of(&body).ok()) {
        drain_chunks(chunks).await;
    }
}

async fn drain_chunks(mut chunks: Chunks) {
    let reading = pin!(async {
        let (mut drained, mut patience) = (0, DRAIN_BEGINS);
        while drained <= DRAIN_LIMIT {
            let timer = pin!(worker::Delay::from(patience));
            let Either::Left((Some(Ok(chunk)), _)) = select(chunks.next(), timer).await else {
                return;
            };
            drained += chunk.len() as u64;
            patience = DRAIN_GOES_ON;
        }
    });
    select(reading, pin!(worker::Delay::from(DRAIN_ENDS))).await;
}

/// Reads the JSON that another part of this Worker sent, which has weighed it: within a bound, but
/// not before it is there.
pub async fn read_own_json<T: DeserializeOwned>(
    request: &Request,
    limit: usize,
) -> Result<T, BodyError> {
    let bytes = whole(request).await?;
    if bytes.len() > limit {
        return Err(BodyError::TooLarge { limit });
    }
    parse_json(&bytes)
}

/// Reads the body of a request from outside that takes JSON and may not say that it is something
/// else. It is not parsed.
pub async fn read_stated_body(request: &Request, limit: usize) -> Result<Vec<u8>, BodyError> {
    if let Some(stated) = super::header(request, "content-type").filter(|stated| !is_json(stated)) {
        return Err(BodyError::NotJson(stated));
    }
    read_body(request, limit).await
}

/// The same, parsed. Returns the body's bytes as well.
pub async fn read_stated_json<T: DeserializeOwned>(
    request: &Request,
    limit: usize,
) -> Result<(T, Vec<u8>), BodyError> {
    let bytes = read_stated_body(request, limit).await?;
    Ok((parse_json(&bytes)?, bytes))
}

/// Whether a `Content-Type` names JSON.
fn is_json(stated: &str) -> bool {
    let essence = stated.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Parses JSON, with a message that names the place but repeats nothing of the body.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    // Read as text, as everything else is: a type that is read in two ways has two readers.
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| BodyError::Malformed(error.to_string()))?;
    sam_domain::json::from_str(text).map_err(|error| malformed(&error))
}

fn malformed(error: &serde_json::Error) -> BodyError {
    BodyError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_by_its_media_type() {
        for (stated, is) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/plain", false),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            assert_eq!(is_json(stated), is, "{stated:?}");
        }
    }

    #[test]
    fn an_encoding_is_undone_or_refused_with_those_that_are() {
        assert_eq!(format_of(""), Ok(None));
        assert_eq!(format_of(" Identity"), Ok(None));
        assert_eq!(format_of("GZIP"), Ok(Some("gzip")));
        assert_eq!(format_of("deflate"), Ok(Some("deflate")));
        for stated in ["zstd", "br", "gzip, gzip", "x"] {
            let error = ApiError::from(format_of(stated).unwrap_err());
            assert_eq!(error.status, 415, "{stated}");
            assert!(error.hint.unwrap().contains(ENCODINGS));
        }
    }

    #[test]
    fn what_is_not_json_is_refused_without_being_repeated() {
        let deep = "[".repeat(100_000);
        for bad in [
            &b"{"[..],
            b"\xff\xfe{}",
            br#"{"a":"\ud800"}"#,
            b"\0",
            deep.as_bytes(),
        ] {
            let error = parse_json::<serde_json::Value>(bad).unwrap_err();
            let text = ApiError::from(error).message;
            assert!(text.len() < 200 && !text.contains("[["), "{text}");
        }
    }
}
