//! A WebSocket that speaks JSON frames.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::{Result, failure, within};

/// How long opening may take.
const OPENS_WITHIN: Duration = Duration::from_secs(20);

/// The client's end of a WebSocket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Opens one.
    ///
    /// # Errors
    /// When it is refused; the message has the status and the body.
    pub async fn open(url: &str, headers: &[(String, String)]) -> Result<Self> {
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(
                HeaderName::from_bytes(name.as_bytes())?,
                HeaderValue::from_str(value)?,
            );
        }
        // Without Nagle's algorithm: a frame is sent when it is written.
        let opening = connect_async_with_config(request, None, true);
        match within("the socket opens", OPENS_WITHIN, opening).await? {
            Ok((stream, _)) => Ok(Self { stream }),
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err(failure(format!(
                    "the socket was refused with {}: {}",
                    response.status().as_u16(),
                    String::from_utf8_lossy(&body)
                )))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends text as one frame.
    ///
    /// # Errors
    /// When the socket is gone.
    pub async fn send_text(&mut self, text: &str) -> Result {
        self.stream.send(Message::text(text)).await?;
        Ok(())
    }

    /// Sends bytes as one binary frame.
    ///
    /// # Errors
    /// When the socket is gone.
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) -> Result {
        self.stream.send(Message::binary(bytes)).await?;
        Ok(())
    }

    /// Sends a value as one frame.
    ///
    /// # Errors
    /// When the socket is gone.
    pub async fn send(&mut self, frame: &impl Serialize) -> Result {
        let text = serde_json::to_string(frame)?;
        self.send_text(&text).await
    }

    /// The next frame's text; `None` once the other side has closed.
    ///
    /// # Errors
    /// When none comes within the time, or the connection broke.
    pub async fn next_text(&mut self, deadline: Duration) -> Result<Option<String>> {
        loop {
            let message = within("a frame", deadline, self.stream.next()).await?;
            match message {
                None | Some(Ok(Message::Close(_))) => return Ok(None),
                Some(Ok(Message::Text(text))) => return Ok(Some(text.to_string())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// The next frame as a value.
    ///
    /// # Errors
    /// When none comes within the time, the other side has closed, or it is something else.
    pub async fn next<T: DeserializeOwned>(&mut self, deadline: Duration) -> Result<T> {
        let text = self
            .next_text(deadline)
            .await?
            .ok_or_else(|| failure("the other side closed the socket"))?;
        serde_json::from_str(&text).map_err(|error| failure(format!("{error} in {text}")))
    }

    /// Skips frames until one gives a value.
    ///
    /// # Errors
    /// Names `what` when it has not come within the time.
    pub async fn until<T: DeserializeOwned, V>(
        &mut self,
        what: &str,
        deadline: Duration,
        mut pick: impl FnMut(T) -> Option<V>,
    ) -> Result<V> {
        within(what, deadline, async {
            loop {
                if let Some(value) = pick(self.next(deadline).await?) {
                    return Ok(value);
                }
            }
        })
        .await?
    }

    /// Closes it.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn close(mut self) -> Result {
        self.stream.close(None).await?;
        Ok(())
    }
}
