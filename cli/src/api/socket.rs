//! The feed's WebSocket.
//!
//! The handshake is an ordinary request of the same HTTP client (its TLS, its
//! token, its errors as JSON), upgraded; the framing is tungstenite's. One
//! TLS stack, one place that says what a refused token means.

use super::{Api, Call};
use crate::error::Failure;
use futures::{SinkExt, StreamExt};
use reqwest::{StatusCode, Upgraded, header};
use sam_domain::access::route::RouteId;
use sam_domain::error::ErrorBody;
use sam_domain::feed::{ClientFrame, ServerFrame};
use sam_domain::id::{Id, ProjectId};
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// How long the handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FeedError {
    /// It is worth trying again.
    #[error("{0}")]
    Lost(String),
    /// The server refused; trying again would be refused again.
    #[error("{0}")]
    Refused(Failure),
}

/// An open feed.
#[derive(Debug)]
pub(crate) struct FeedSocket {
    stream: WebSocketStream<Upgraded>,
}

impl FeedSocket {
    /// Opens the feed of `project`.
    pub(crate) async fn open(api: &Api, project: &ProjectId) -> Result<Self, FeedError> {
        let segments = [project.as_str()];
        let (_, url) = api
            .address(&Call::new(RouteId::Feed, &segments))
            .map_err(FeedError::Refused)?;
        let key = generate_key();
        let request = api
            .authorised(api.http.get(url))
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key);
        let response = tokio::time::timeout(HANDSHAKE_TIMEOUT, request.send())
            .await
            .map_err(|_| FeedError::Lost("the server did not answer in time".to_owned()))?
            .map_err(|error| FeedError::Lost(super::cause(&error)))?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let body = response.text().await.unwrap_or_default();
            // What the control plane itself refuses stays refused. Anything else
            // comes from something in between, such as a server that is starting.
            let said = serde_json::from_str::<ErrorBody>(&body).is_ok();
            let final_word = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
            return Err(
                if said && final_word || status == StatusCode::UNAUTHORIZED {
                    FeedError::Refused(api.refusal(status, &body))
                } else {
                    FeedError::Lost(format!("the server answered {status}"))
                },
            );
        }
        let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|value| value != derive_accept_key(key.as_bytes()).as_str()) {
            return Err(FeedError::Refused(Failure::unusable(
                "The server's answer to the WebSocket handshake is wrong.",
            )));
        }
        let upgraded = response
            .upgrade()
            .await
            .map_err(|error| FeedError::Lost(super::cause(&error)))?;
        let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
        Ok(Self { stream })
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: &ClientFrame) -> Result<(), FeedError> {
        let text = serde_json::to_string(frame).map_err(|error| {
            FeedError::Refused(Failure::unusable(format!(
                "A frame could not be written: {error}."
            )))
        })?;
        self.write(Message::text(text)).await
    }

    /// Asks whether the other side is there.
    pub(crate) async fn ping(&mut self) -> Result<(), FeedError> {
        self.write(Message::Ping(Vec::new().into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), FeedError> {
        self.stream
            .send(message)
            .await
            .map_err(|error| FeedError::Lost(error.to_string()))
    }

    /// The next frame; `None` stands for a sign of life without one.
    pub(crate) async fn next(&mut self) -> Result<Option<ServerFrame>, FeedError> {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => parse(&text),
            Some(Ok(Message::Close(reason))) => {
                let why = reason
                    .map(|frame| frame.reason.to_string())
                    .unwrap_or_default();
                Err(FeedError::Lost(if why.is_empty() {
                    "the server closed the connection".to_owned()
                } else {
                    format!("the server closed the connection ({why})")
                }))
            }
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(FeedError::Lost(error.to_string())),
            None => Err(FeedError::Lost("the connection ended".to_owned())),
        }
    }

    /// Says goodbye; whether it is heard does not matter.
    pub(crate) async fn close(mut self) {
        let farewell = self.stream.close(None);
        let _ = tokio::time::timeout(Duration::from_millis(500), farewell).await;
    }
}

/// Reads a frame. A kind of frame that this version does not know is passed
/// over; a known kind that cannot be read is an end, because its changes would
/// be missing from what is shown.
fn parse(text: &str) -> Result<Option<ServerFrame>, FeedError> {
    let error = match serde_json::from_str(text) {
        Ok(frame) => return Ok(Some(frame)),
        Err(error) => error,
    };
    let kind = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|value| value.get("t")?.as_str().map(str::to_owned));
    match kind.as_deref() {
        Some("hello" | "changes" | "reset" | "refused") | None => {
            Err(FeedError::Refused(Failure::unusable(format!(
                "The server sent something this version of `sam` cannot read: {error}."
            ))))
        }
        Some(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_frames_are_passed_over_and_broken_ones_are_not() {
        assert!(matches!(parse(r#"{"t":"weather","sun":1}"#), Ok(None)));
        for broken in [r#"{"t":"changes"}"#, "[]", "not json"] {
            assert!(
                matches!(parse(broken), Err(FeedError::Refused(_))),
                "{broken}"
            );
        }
    }
}
