//! Reading a request's body within a bound.

use sam_domain::error::ApiError;
use serde::de::DeserializeOwned;
use worker::Request;

use crate::js::JsFailure;
use crate::streams::{Chunks, CollectError};

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
    /// It is not the JSON that the route takes.
    #[error("{0}")]
    Malformed(String),
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit } => Self::new(
                413,
                "body_too_large",
                format!("The request body is longer than {limit} bytes."),
            ),
            BodyError::Broken(_) => Self::bad_request("The request body broke off."),
            BodyError::Malformed(detail) => Self::new(
                400,
                "malformed_body",
                format!("The request body is not what this route takes: {detail}"),
            ),
        }
    }
}

/// Reads at most `limit` bytes. A longer body is refused by its announced length where it has one,
/// else as soon as it passes the bound.
pub async fn read_body(request: &Request, limit: usize) -> Result<Vec<u8>, BodyError> {
    let announced =
        super::header(request, "content-length").and_then(|text| text.trim().parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge { limit });
    }
    let Some(stream) = request.inner().body() else {
        return Ok(Vec::new());
    };
    let bytes = Chunks::of(&stream)
        .map_err(BodyError::Broken)?
        .collect_within(limit)
        .await
        .map_err(|error| match error {
            CollectError::TooLarge { limit } => BodyError::TooLarge { limit },
            CollectError::Broken(failure) => BodyError::Broken(failure),
        })?;
    if let Some(length) = announced
        && bytes.len() < length
    {
        return Err(BodyError::Broken(JsFailure::new(format!(
            "{} of {length} announced bytes came",
            bytes.len()
        ))));
    }
    Ok(bytes)
}

/// Reads a JSON body within a bound.
pub async fn read_json<T: DeserializeOwned>(
    request: &Request,
    limit: usize,
) -> Result<T, BodyError> {
    let bytes = read_body(request, limit).await?;
    parse_json(&bytes)
}

/// Parses JSON, with a message that names the place but repeats nothing of the body.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    serde_json::from_slice(bytes).map_err(|error| BodyError::Malformed(error.to_string()))
}
