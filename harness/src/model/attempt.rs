//! One request and its reply.
//!
//! Three clocks run: until the first byte, between two bytes, and over the
//! whole. Comments within a stream are bytes: a proxy that writes them says
//! that it is there and watches the upstream itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use sam_dialects::chat::{ChatAccumulator, ChatReply, ChatStreamError, FinishReason};
use sam_dialects::{ApiError, SseDecoder, SseEvent, retry_after};

use crate::model::fault::{Fault, FaultKind};
use crate::model::{ModelClient, ReplySink};

const MAX_REPLY: usize = 16 * 1024 * 1024;
const MAX_EVENT: usize = 8 * 1024 * 1024;
const MAX_ERROR_BODY: usize = 64 * 1024;

impl ModelClient {
    pub(super) async fn attempt(
        &self,
        body: Vec<u8>,
        id_prefix: &str,
        sink: &mut dyn ReplySink,
    ) -> Result<ChatReply, Fault> {
        let limit = self.clocks.reply;
        let exchange = self.exchange(body, id_prefix, sink);
        let reply = tokio::time::timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Err(silent("no whole reply in", limit).after(true)))?;
        let explained = matches!(
            reply.finish_reason,
            Some(FinishReason::Length | FinishReason::ContentFilter)
        );
        if reply.text.trim().is_empty() && reply.tool_uses.is_empty() && !explained {
            return Err(Fault::new(FaultKind::EmptyReply, "").after(true));
        }
        Ok(reply)
    }

    async fn exchange(
        &self,
        body: Vec<u8>,
        id_prefix: &str,
        sink: &mut dyn ReplySink,
    ) -> Result<ChatReply, Fault> {
        let request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream")
            .body(body)
            .send();
        let first_byte = self.clocks.first_byte;
        let mut response = in_time(first_byte, "no answer for", request)
            .await?
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if !status.is_success() {
            let wait = wait_asked(response.headers());
            let body = self.error_body(&mut response).await;
            let error = ApiError::from_response(status.as_u16(), &body, wait);
            return Err(Fault::from_api(&error));
        }
        let streamed = is_event_stream(response.headers());
        self.read(&mut response, Reader::new(id_prefix, streamed), sink)
            .await
    }

    async fn read(
        &self,
        response: &mut reqwest::Response,
        mut reader: Reader,
        sink: &mut dyn ReplySink,
    ) -> Result<ChatReply, Fault> {
        let mut came = false;
        loop {
            let limit = if came {
                self.clocks.idle
            } else {
                self.clocks.first_byte
            };
            let chunk = in_time(limit, "nothing came for", response.chunk())
                .await
                .and_then(|read| {
                    read.map_err(|error| Fault::new(FaultKind::BrokeOff, innermost(&error)))
                });
            let fault = match chunk {
                Ok(None) => return reader.finish(sink).map_err(|fault| fault.after(came)),
                Ok(Some(chunk)) => {
                    came = true;
                    match reader.push(&chunk, sink) {
                        Ok(()) => continue,
                        Err(fault) => fault,
                    }
                }
                Err(fault) => fault,
            };
            // What went wrong after the model had said that it was done cost
            // nothing but the usage.
            return reader.whole().ok_or_else(|| fault.after(came));
        }
    }

    async fn error_body(&self, response: &mut reqwest::Response) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < MAX_ERROR_BODY {
            match in_time(self.clocks.idle, "", response.chunk()).await {
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            }
        }
        body.truncate(MAX_ERROR_BODY);
        body
    }

    fn unreachable(&self, error: &reqwest::Error) -> Fault {
        let place = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let kind = if error.is_builder() {
            FaultKind::RequestRefused
        } else if error.is_connect() {
            FaultKind::Unreachable
        } else {
            FaultKind::BrokeOff
        };
        Fault::new(kind, format!("{place}:{port}: {}", innermost(error)))
    }
}

async fn in_time<T>(
    limit: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> Result<T, Fault> {
    tokio::time::timeout(limit, future)
        .await
        .map_err(|_| silent(what, limit))
}

fn silent(what: &str, limit: Duration) -> Fault {
    Fault::new(FaultKind::Silent, format!("{what} {} s", limit.as_secs()))
}

fn stream_fault(error: ChatStreamError) -> Fault {
    match error {
        ChatStreamError::Api(error) => Fault::from_api(&error),
        ChatStreamError::TooLong(bytes) => {
            Fault::new(FaultKind::TooLong, format!("more than {bytes} bytes"))
        }
        ChatStreamError::NotJson(detail) => Fault::new(
            FaultKind::BrokeOff,
            format!("an event that is not JSON: {detail}"),
        ),
    }
}

/// Reads a reply's body: a stream of events, or one JSON document from a
/// server that does not stream.
struct Reader {
    accumulator: ChatAccumulator,
    sse: Option<SseDecoder>,
    document: Vec<u8>,
}

impl Reader {
    fn new(id_prefix: &str, streamed: bool) -> Self {
        Self {
            accumulator: ChatAccumulator::new(id_prefix, MAX_REPLY),
            sse: streamed.then(|| SseDecoder::new(MAX_EVENT)),
            document: Vec::new(),
        }
    }

    fn push(&mut self, bytes: &[u8], sink: &mut dyn ReplySink) -> Result<(), Fault> {
        let Some(sse) = &mut self.sse else {
            self.document.extend_from_slice(bytes);
            if self.document.len() > MAX_REPLY {
                return Err(stream_fault(ChatStreamError::TooLong(MAX_REPLY)));
            }
            return Ok(());
        };
        let events = sse.push(bytes);
        for event in events {
            let event = event.map_err(|_| stream_fault(ChatStreamError::TooLong(MAX_EVENT)))?;
            self.event(&event, sink).map_err(stream_fault)?;
        }
        Ok(())
    }

    fn event(&mut self, event: &SseEvent, sink: &mut dyn ReplySink) -> Result<(), ChatStreamError> {
        for delta in self.accumulator.push(&event.data)? {
            sink.delta(delta);
        }
        Ok(())
    }

    /// The reply, if the model had said that it was done.
    fn whole(self) -> Option<ChatReply> {
        let streamed = self.sse.is_some();
        Some(self.accumulator.finish()).filter(|reply| streamed && reply.complete)
    }

    /// The reply at the end of the body.
    fn finish(mut self, sink: &mut dyn ReplySink) -> Result<ChatReply, Fault> {
        let Some(sse) = self.sse.take() else {
            return self.read_document(sink);
        };
        if let Some(event) = sse.finish() {
            let event = event.map_err(|_| stream_fault(ChatStreamError::TooLong(MAX_EVENT)))?;
            match self.event(&event, sink) {
                // Half an event is a cut, not an error of the upstream's.
                Ok(()) | Err(ChatStreamError::NotJson(_)) => {}
                Err(error) => return Err(stream_fault(error)),
            }
        }
        let reply = self.accumulator.finish();
        if reply.complete {
            Ok(reply)
        } else {
            let detail = "the stream ended before the model was done";
            Err(Fault::new(FaultKind::BrokeOff, detail))
        }
    }

    fn read_document(mut self, sink: &mut dyn ReplySink) -> Result<ChatReply, Fault> {
        let text = String::from_utf8_lossy(&self.document).into_owned();
        let excerpt: String = text.chars().take(200).collect();
        let no_reply = || Fault::new(FaultKind::NotAReply, excerpt);
        let event = SseEvent {
            event: None,
            data: text,
        };
        match self.event(&event, sink) {
            Ok(()) => {}
            Err(ChatStreamError::NotJson(_)) => return Err(no_reply()),
            Err(error) => return Err(stream_fault(error)),
        }
        let reply = self.accumulator.finish();
        if reply.complete {
            Ok(reply)
        } else {
            Err(no_reply())
        }
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    !content_type.is_some_and(|value| {
        value.starts_with("application/json") || value.starts_with("text/html")
    })
}

fn wait_asked(headers: &HeaderMap) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    retry_after(|name| headers.get(name)?.to_str().ok(), now)
}

/// The cause at the bottom: "Connection refused" says more than "error
/// sending request".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
