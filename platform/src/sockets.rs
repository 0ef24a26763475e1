//! Hibernating WebSockets of an object.
//!
//! The originals unwrap inside the crate; these are catching externs. Facts to build on:
//! - at most 10 tags of 256 characters; an attachment of at most 16 KiB, kept over hibernation;
//! - an auto-response to one exact text costs nothing and does not wake the object; its timestamp is
//!   the sign of life;
//! - close codes are 1000 and 3000–4999, reasons at most 123 bytes;
//! - on a client's close the object must itself close the socket ([`Socket::answer_close`]) or the
//!   client waits; a socket closed in this turn is still listed in it;
//! - messages sent in a turn that is rolled back are not delivered.

use sam_domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

use crate::js::JsFailure;
use crate::text::Text;

#[wasm_bindgen]
extern "C" {
    type RawState;

    #[wasm_bindgen(structural, method, catch, js_name = acceptWebSocket)]
    fn accept_web_socket(
        this: &RawState,
        socket: &web_sys::WebSocket,
        tags: js_sys::Array,
    ) -> Result<(), JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = getWebSockets)]
    fn get_web_sockets(this: &RawState) -> Result<js_sys::Array, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = getWebSockets)]
    fn get_web_sockets_with_tag(this: &RawState, tag: &str) -> Result<js_sys::Array, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = getTags)]
    fn get_tags(this: &RawState, socket: &web_sys::WebSocket) -> Result<js_sys::Array, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = setWebSocketAutoResponse)]
    fn set_auto_response(
        this: &RawState,
        pair: &worker::worker_sys::WebSocketRequestResponsePair,
    ) -> Result<(), JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = getWebSocketAutoResponseTimestamp)]
    fn get_auto_response_timestamp(
        this: &RawState,
        socket: &web_sys::WebSocket,
    ) -> Result<Option<js_sys::Date>, JsValue>;
}

#[wasm_bindgen]
extern "C" {
    type RawSocket;

    #[wasm_bindgen(structural, method, catch, js_name = serializeAttachment)]
    fn serialize_attachment(this: &RawSocket, value: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = deserializeAttachment)]
    fn deserialize_attachment(this: &RawSocket) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(structural, method, catch, js_name = send)]
    fn send_string(this: &RawSocket, text: &js_sys::JsString) -> Result<(), JsValue>;
}

/// The largest attachment, in bytes of its JSON. A little under the runtime's 16,384, which count
/// its own framing.
pub const MAX_ATTACHMENT_BYTES: usize = 16_000;
/// The longest close reason, in bytes.
pub const MAX_REASON_BYTES: usize = 123;

/// What a socket operation can fail with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// The runtime refused; a socket that is already gone does.
    #[error("socket: {0}")]
    Runtime(#[from] JsFailure),
    /// The attachment is too large or has no JSON form.
    #[error("socket attachment: {0}")]
    Attachment(String),
    /// The message has no JSON form.
    #[error("socket message: {0}")]
    Message(String),
}

impl From<JsValue> for SocketError {
    fn from(value: JsValue) -> Self {
        Self::Runtime(value.into())
    }
}

/// Why the server closes a socket: the codes the protocol leaves to applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// 1000: done as intended.
    Normal,
    /// 3000 to 4999; anything else is sent as 4000.
    Application(u16),
}

impl CloseCode {
    /// The number on the wire.
    pub fn number(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Application(code) if (3000..=4999).contains(&code) => code,
            Self::Application(_) => 4000,
        }
    }
}

/// A reason cut at a character boundary to what a close frame holds.
pub fn close_reason(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or("")
}

/// The sockets of one object.
#[derive(Debug, Clone)]
pub struct Sockets {
    state: JsValue,
}

impl Sockets {
    /// The sockets of the object with this state.
    pub fn of(state: &worker::State) -> Self {
        Self {
            state: AsRef::<JsValue>::as_ref(state.as_raw()).clone(),
        }
    }

    fn raw(&self) -> &RawState {
        self.state.unchecked_ref()
    }

    /// Accepts a new socket under `tags` with `attachment`, and returns the server's end and the
    /// 101 response that hands the other end to the client.
    pub fn accept<A: Serialize>(
        &self,
        tags: &[&str],
        attachment: &A,
    ) -> Result<(Socket, worker::Response), SocketError> {
        let pair = worker::WebSocketPair::new().map_err(JsFailure::from)?;
        let server = Socket {
            socket: AsRef::<web_sys::WebSocket>::as_ref(&pair.server).clone(),
        };
        let list = js_sys::Array::new();
        for tag in tags {
            list.push(&JsValue::from_str(tag));
        }
        self.raw().accept_web_socket(&server.socket, list)?;
        server.attach(attachment)?;
        let response = worker::Response::from_websocket(pair.client).map_err(JsFailure::from)?;
        Ok((server, response))
    }

    fn list(array: js_sys::Array) -> Vec<Socket> {
        array
            .iter()
            .map(|value| Socket {
                socket: value.unchecked_into(),
            })
            .collect()
    }

    /// Every socket of the object, those closed in this turn included.
    pub fn all(&self) -> Result<Vec<Socket>, SocketError> {
        Ok(Self::list(self.raw().get_web_sockets()?))
    }

    /// The sockets accepted under `tag`.
    pub fn tagged(&self, tag: &str) -> Result<Vec<Socket>, SocketError> {
        Ok(Self::list(self.raw().get_web_sockets_with_tag(tag)?))
    }

    /// The tags a socket was accepted under.
    pub fn tags(&self, socket: &Socket) -> Result<Vec<String>, SocketError> {
        let array = self.raw().get_tags(&socket.socket)?;
        Ok(array.iter().filter_map(|tag| tag.as_string()).collect())
    }

    /// From now on the runtime itself answers the exact text `request` with `response`, on every
    /// socket of the object, without waking it.
    pub fn set_auto_response(&self, request: &str, response: &str) -> Result<(), SocketError> {
        let pair = worker::worker_sys::WebSocketRequestResponsePair::new(request, response)?;
        Ok(self.raw().set_auto_response(&pair)?)
    }

    /// When the runtime last answered on this socket by itself.
    pub fn auto_response_at(&self, socket: &Socket) -> Result<Option<Timestamp>, SocketError> {
        let date = self.raw().get_auto_response_timestamp(&socket.socket)?;
        Ok(date.map(|date| Timestamp(date.get_time() as u64)))
    }
}

/// The server's end of one socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    socket: web_sys::WebSocket,
}

impl From<worker::WebSocket> for Socket {
    fn from(socket: worker::WebSocket) -> Self {
        Self {
            socket: AsRef::<web_sys::WebSocket>::as_ref(&socket).clone(),
        }
    }
}

impl Socket {
    fn raw(&self) -> &RawSocket {
        AsRef::<JsValue>::as_ref(&self.socket).unchecked_ref()
    }

    /// Stores what the object must remember of this socket over hibernation.
    pub fn attach<A: Serialize>(&self, attachment: &A) -> Result<(), SocketError> {
        let text = serde_json::to_string(attachment)
            .map_err(|error| SocketError::Attachment(error.to_string()))?;
        if text.len() > MAX_ATTACHMENT_BYTES {
            return Err(SocketError::Attachment(format!(
                "{} bytes are above the {MAX_ATTACHMENT_BYTES} that a socket keeps",
                text.len()
            )));
        }
        Ok(self.raw().serialize_attachment(&text)?)
    }

    /// What was attached. `None` when nothing was.
    pub fn attachment<A: DeserializeOwned>(&self) -> Result<Option<A>, SocketError> {
        let value = self.raw().deserialize_attachment()?;
        let Some(text) = value.as_string() else {
            return Ok(None);
        };
        sam_domain::json::from_str(&text)
            .map(Some)
            .map_err(|error| SocketError::Attachment(error.to_string()))
    }

    /// Sends a text frame. Fails when the socket is gone; delivery is not known.
    pub fn send_text(&self, text: &str) -> Result<(), SocketError> {
        Ok(self.socket.send_with_str(text)?)
    }

    /// Sends a text that is passed on unread, to one socket or to many.
    pub fn pass_on(&self, text: &Text) -> Result<(), SocketError> {
        Ok(self.raw().send_string(&text.in_runtime())?)
    }

    /// Sends a value as one JSON text frame.
    pub fn send_json<T: Serialize>(&self, message: &T) -> Result<(), SocketError> {
        let text = serde_json::to_string(message)
            .map_err(|error| SocketError::Message(error.to_string()))?;
        self.send_text(&text)
    }

    /// Closes the socket. The reason is cut to what a close frame holds.
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<(), SocketError> {
        Ok(self
            .socket
            .close_with_code_and_reason(code.number(), close_reason(reason))?)
    }

    /// To be called in `websocket_close`: completes the closing handshake that the client began.
    /// A socket that is gone already is no error.
    pub fn answer_close(&self) {
        let _ = self.close(CloseCode::Normal, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_code_is_always_one_that_the_runtime_accepts() {
        for (code, number) in [
            (CloseCode::Normal, 1000),
            (CloseCode::Application(3000), 3000),
            (CloseCode::Application(4999), 4999),
            (CloseCode::Application(1011), 4000),
            (CloseCode::Application(5000), 4000),
        ] {
            assert_eq!(code.number(), number);
        }
    }

    #[test]
    fn a_reason_is_cut_at_a_character() {
        let reason = "ä".repeat(100);
        let cut = close_reason(&reason);
        assert_eq!(cut.len(), 122);
        assert!(cut.chars().all(|letter| letter == 'ä'));
        assert_eq!(close_reason("bye"), "bye");
    }
}
