//! A WebSocket to the control plane.
//!
//! The upgrade goes through the one HTTP client, so TLS, trust and timeouts are
//! those of every other request. The connection proves itself alive: whoever
//! holds it sends pings and gives up when nothing came back for too long.

use super::client::{Api, ApiFailure};
use crate::secret::Secret;
use base64::Engine;
use futures::{SinkExt, StreamExt};
use reqwest::Method;
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Time for the handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Time for one frame to leave; a peer that does not read is as good as gone.
const SEND_LIMIT: Duration = Duration::from_secs(30);

/// What came in.
#[derive(Debug)]
pub(crate) enum SocketMessage {
    /// A text.
    Text(String),
    /// Something that only shows that the peer is there.
    Alive,
}

/// The connection is gone.
#[derive(Debug, thiserror::Error)]
#[error("the connection ended: {0}")]
pub(crate) struct SocketEnd(pub(crate) String);

/// An open WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<reqwest::Upgraded>,
}

impl Socket {
    /// Opens one at `path`; messages over `limit` bytes end it.
    pub(crate) async fn open(
        api: &Api,
        path: &str,
        token: &Secret,
        limit: usize,
    ) -> Result<Self, ApiFailure> {
        let nonce =
            (u128::from(crate::clock::entropy()) << 64) | u128::from(crate::clock::entropy());
        let key = base64::engine::general_purpose::STANDARD.encode(nonce.to_be_bytes());
        let request = api
            .request(Method::GET, path, token)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", &key);
        let handshake = async {
            let answer = api.send(request).await?;
            let accepted = answer
                .headers()
                .get("sec-websocket-accept")
                .is_some_and(|accept| {
                    accept.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes()
                });
            if !accepted {
                return Err(ApiFailure::Unreachable(
                    "it did not answer with a WebSocket".to_owned(),
                ));
            }
            answer
                .upgrade()
                .await
                .map_err(|error| super::client::unreachable(&error))
        };
        let upgraded = tokio::time::timeout(HANDSHAKE_LIMIT, handshake)
            .await
            .map_err(|_| ApiFailure::Unreachable("it did not answer in time".to_owned()))??;
        let config = WebSocketConfig::default()
            .read_buffer_size(8 * 1024)
            .write_buffer_size(8 * 1024)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit));
        let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
        Ok(Self { stream })
    }

    /// Sends a text.
    pub(crate) async fn send(&mut self, text: String) -> Result<(), SocketEnd> {
        self.put(Message::text(text)).await
    }

    /// Sends a ping of the WebSocket's own.
    pub(crate) async fn ping(&mut self) -> Result<(), SocketEnd> {
        self.put(Message::Ping(Vec::new().into())).await
    }

    async fn put(&mut self, message: Message) -> Result<(), SocketEnd> {
        match tokio::time::timeout(SEND_LIMIT, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SocketEnd(error.to_string())),
            Err(_) => Err(SocketEnd("the peer does not read".to_owned())),
        }
    }

    /// The next message. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<SocketMessage, SocketEnd> {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Ok(SocketMessage::Text(text.as_str().to_owned())),
            Some(Ok(Message::Close(frame))) => Err(SocketEnd(frame.map_or_else(
                || "closed".to_owned(),
                |frame| format!("closed with {}: {}", frame.code, frame.reason),
            ))),
            Some(Ok(_)) => Ok(SocketMessage::Alive),
            Some(Err(error)) => Err(SocketEnd(error.to_string())),
            None => Err(SocketEnd("closed".to_owned())),
        }
    }

    /// Says goodbye, briefly.
    pub(crate) async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.close(None)).await;
    }
}
