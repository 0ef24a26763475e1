//! One request and its reply.
//!
//! Three clocks run: until the first byte, between two bytes, and over the
//! whole. Comments within a stream are bytes: a proxy that writes them says
//! that it is there and watches the upstream itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use sam_dialects::conversation::{Body, Collector, Reply, ReplyEvent, StopReason, StreamError};
use sam_dialects::{ApiError, Dialect, ReplyParser, read_reply, retry_after};

use crate::model::fault::{Fault, FaultKind};
use crate::model::{ModelClient, ReplySink};

const MAX_REPLY: usize = 16 * 1024 * 1024;
const MAX_ERROR_BODY: usize = 64 * 1024;

impl ModelClient {
    pub(super) async fn attempt(
        &self,
        body: Vec<u8>,
        id_prefix: &str,
        sink: &mut dyn ReplySink,
    ) -> Result<Reply, Fault> {
        let limit = self.clocks.reply;
        let exchange = self.exchange(body, id_prefix, sink);
        let reply = tokio::time::timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Err(silent("no whole reply in", limit).after(true)))?;
        let explained = matches!(
            reply.stop,
            Some(StopReason::MaxTokens | StopReason::ContextExceeded | StopReason::Refusal)
        );
        let silent = reply.text().trim().is_empty() && reply.calls().next().is_none();
        if silent && !explained {
            return Err(Fault::new(FaultKind::EmptyReply, "").after(true));
        }
        Ok(reply)
    }

    async fn exchange(
        &self,
        body: Vec<u8>,
        id_prefix: &str,
        sink: &mut dyn ReplySink,
    ) -> Result<Reply, Fault> {
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
        let reader = Reader::new(self.target.dialect, id_prefix, streamed);
        self.read(&mut response, reader, sink).await
    }

    async fn read(
        &self,
        response: &mut reqwest::Response,
        mut reader: Reader,
        sink: &mut dyn ReplySink,
    ) -> Result<Reply, Fault> {
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

fn stream_fault(error: StreamError) -> Fault {
    match error {
        StreamError::Api(error) => Fault::from_api(&error),
        StreamError::TooLong(bytes) => {
            Fault::new(FaultKind::TooLong, format!("more than {bytes} bytes"))
        }
        StreamError::NotJson(detail) => Fault::new(
            FaultKind::BrokeOff,
            format!("an event that is not JSON: {detail}"),
        ),
        StreamError::Cut => Fault::new(
            FaultKind::BrokeOff,
            "the stream ended before the model was done",
        ),
    }
}

/// Reads a reply's body: a stream of events, or one JSON document from a
/// server that does not stream.
struct Reader {
    dialect: Dialect,
    id_prefix: String,
    collector: Collector,
    held: usize,
    parser: Option<ReplyParser>,
    document: Vec<u8>,
}

impl Reader {
    fn new(dialect: Dialect, id_prefix: &str, streamed: bool) -> Self {
        Self {
            dialect,
            id_prefix: id_prefix.to_owned(),
            collector: Collector::new(),
            held: 0,
            parser: streamed.then(|| ReplyParser::new(dialect, id_prefix, MAX_REPLY)),
            document: Vec::new(),
        }
    }

    fn push(&mut self, bytes: &[u8], sink: &mut dyn ReplySink) -> Result<(), Fault> {
        let Some(parser) = &mut self.parser else {
            self.document.extend_from_slice(bytes);
            if self.document.len() > MAX_REPLY {
                return Err(stream_fault(StreamError::TooLong(MAX_REPLY)));
            }
            return Ok(());
        };
        let mut events = Vec::new();
        let read = parser.push(bytes, &mut events);
        self.take(events, sink);
        if self.held > MAX_REPLY {
            return Err(stream_fault(StreamError::TooLong(MAX_REPLY)));
        }
        read.map_err(stream_fault)
    }

    fn take(&mut self, events: Vec<ReplyEvent>, sink: &mut dyn ReplySink) {
        for event in events {
            if let ReplyEvent::Text(piece)
            | ReplyEvent::Thinking(piece)
            | ReplyEvent::Arguments { piece, .. } = &event
            {
                self.held = self.held.saturating_add(piece.len());
            }
            sink.delta(&event);
            self.collector.take(event);
        }
    }

    /// The reply, if the model had said that it was done.
    fn whole(mut self) -> Option<Reply> {
        let mut events = Vec::new();
        let ended = self.parser.as_mut()?.finish(&mut events);
        events
            .into_iter()
            .for_each(|event| self.collector.take(event));
        Some(self.collector.finish()).filter(|reply| ended.is_ok() && reply.complete)
    }

    /// The reply at the end of the body.
    fn finish(mut self, sink: &mut dyn ReplySink) -> Result<Reply, Fault> {
        let Some(mut parser) = self.parser.take() else {
            return self.read_document(sink);
        };
        let mut events = Vec::new();
        let ended = parser.finish(&mut events);
        self.take(events, sink);
        ended.map_err(stream_fault)?;
        Ok(self.collector.finish())
    }

    fn read_document(self, sink: &mut dyn ReplySink) -> Result<Reply, Fault> {
        let text = String::from_utf8_lossy(&self.document);
        let excerpt: String = text.chars().take(200).collect();
        let reply = read_reply(self.dialect, &self.document, &self.id_prefix);
        let reply = reply.map_err(|error| match error {
            StreamError::NotJson(_) | StreamError::Cut => Fault::new(FaultKind::NotAReply, excerpt),
            error => stream_fault(error),
        })?;
        for part in &reply.parts {
            match &part.body {
                Body::Text(text) => sink.delta(&ReplyEvent::Text(text.clone())),
                Body::Thinking(thinking) => {
                    sink.delta(&ReplyEvent::Thinking(thinking.text.clone()));
                }
                _ => {}
            }
        }
        Ok(reply)
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
