//! One request and its reply.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use sam_dialects::chat::{ChatAccumulator, ChatReply, ChatStreamError};
use sam_dialects::{ApiError, SseDecoder, SseEvent, retry_after};

use crate::model::{ModelClient, ReplySink};

const MAX_REPLY: usize = 16 * 1024 * 1024;
const MAX_EVENT: usize = 8 * 1024 * 1024;
const MAX_ERROR_BODY: usize = 64 * 1024;

/// Why an attempt gave no reply.
#[derive(Debug)]
pub(crate) enum AttemptError {
    /// Trying again would not help.
    Refused(String),
    /// It may.
    Transient {
        reason: String,
        /// Whether a part of the reply had come.
        began: bool,
        retry_after: Option<Duration>,
    },
}

fn transient(reason: String) -> AttemptError {
    AttemptError::Transient {
        reason,
        began: false,
        retry_after: None,
    }
}

impl ModelClient {
    pub(super) async fn attempt(
        &self,
        body: Vec<u8>,
        id_prefix: &str,
        sink: &mut dyn ReplySink,
    ) -> Result<ChatReply, AttemptError> {
        let request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream")
            .body(body)
            .send();
        let mut response = self
            .in_time(request)
            .await?
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if !status.is_success() {
            let wait = wait_asked(response.headers());
            let body = self.error_body(&mut response).await;
            let error = ApiError::from_response(status.as_u16(), &body, wait);
            return Err(self.api_error(&error));
        }
        let streamed = is_event_stream(response.headers());
        let reader = Reader::new(id_prefix, streamed);
        let mut came = false;
        self.read(&mut response, reader, &mut came, sink)
            .await
            .map_err(|error| match error {
                AttemptError::Transient {
                    reason,
                    retry_after,
                    ..
                } => AttemptError::Transient {
                    reason,
                    began: came,
                    retry_after,
                },
                refused @ AttemptError::Refused(_) => refused,
            })
    }

    async fn read(
        &self,
        response: &mut reqwest::Response,
        mut reader: Reader,
        came: &mut bool,
        sink: &mut dyn ReplySink,
    ) -> Result<ChatReply, AttemptError> {
        loop {
            let chunk = self.in_time(response.chunk()).await?.map_err(|error| {
                transient(format!("the reply broke off: {}", innermost(&error)))
            })?;
            let Some(chunk) = chunk else { break };
            *came = true;
            reader
                .push(&chunk, sink)
                .map_err(|e| self.stream_error(e))?;
        }
        reader.finish(sink).map_err(|e| self.stream_error(e))
    }

    /// Bounds the time without any sign of life.
    async fn in_time<T>(&self, future: impl Future<Output = T>) -> Result<T, AttemptError> {
        tokio::time::timeout(self.idle_timeout, future)
            .await
            .map_err(|_| {
                transient(format!(
                    "the model API was silent for {} s",
                    self.idle_timeout.as_secs()
                ))
            })
    }

    async fn error_body(&self, response: &mut reqwest::Response) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < MAX_ERROR_BODY {
            match self.in_time(response.chunk()).await {
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            }
        }
        body.truncate(MAX_ERROR_BODY);
        body
    }

    fn unreachable(&self, error: &reqwest::Error) -> AttemptError {
        let place = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let reason = format!(
            "the model API at {place}:{port} cannot be reached: {}",
            innermost(error)
        );
        if error.is_builder() {
            AttemptError::Refused(reason)
        } else {
            transient(reason)
        }
    }

    fn api_error(&self, error: &ApiError) -> AttemptError {
        let hint = match error.status {
            Some(401 | 403) => "; check SAM_MODEL_KEY",
            Some(404) => "; check SAM_MODEL_URL and SAM_MODEL",
            _ => "",
        };
        let reason = format!("the model API refused: {error}{hint}");
        if error.is_transient() {
            AttemptError::Transient {
                reason,
                began: false,
                retry_after: error.retry_after,
            }
        } else {
            AttemptError::Refused(reason)
        }
    }

    fn stream_error(&self, error: StreamError) -> AttemptError {
        match error {
            StreamError::Chat(ChatStreamError::Api(error)) => self.api_error(&error),
            StreamError::Chat(ChatStreamError::TooLong(bytes)) => {
                AttemptError::Refused(format!("the reply is longer than {bytes} bytes"))
            }
            StreamError::Chat(error @ ChatStreamError::NotJson(_)) => transient(error.to_string()),
            StreamError::Cut => {
                transient("the reply broke off before the model was done".to_owned())
            }
            StreamError::NoReply(excerpt) => AttemptError::Refused(format!(
                "the answer is not a chat completion; check SAM_MODEL_URL: {excerpt}"
            )),
        }
    }
}

enum StreamError {
    Chat(ChatStreamError),
    Cut,
    NoReply(String),
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

    fn push(&mut self, bytes: &[u8], sink: &mut dyn ReplySink) -> Result<(), StreamError> {
        let Some(sse) = &mut self.sse else {
            self.document.extend_from_slice(bytes);
            if self.document.len() > MAX_REPLY {
                return Err(StreamError::Chat(ChatStreamError::TooLong(MAX_REPLY)));
            }
            return Ok(());
        };
        let events = sse.push(bytes);
        for event in events {
            let event = event.map_err(|_| too_long())?;
            self.event(&event, sink)?;
        }
        Ok(())
    }

    fn event(&mut self, event: &SseEvent, sink: &mut dyn ReplySink) -> Result<(), StreamError> {
        let deltas = self
            .accumulator
            .push(&event.data)
            .map_err(StreamError::Chat)?;
        for delta in deltas {
            sink.delta(delta);
        }
        Ok(())
    }

    fn finish(mut self, sink: &mut dyn ReplySink) -> Result<ChatReply, StreamError> {
        match self.sse.take() {
            Some(sse) => {
                if let Some(event) = sse.finish() {
                    let event = event.map_err(|_| too_long())?;
                    // Half an event is a cut, not an error of the upstream's.
                    let read = self.event(&event, sink);
                    if let Err(StreamError::Chat(ChatStreamError::NotJson(_))) = read {
                        return Err(StreamError::Cut);
                    }
                    read?;
                }
                let reply = self.accumulator.finish();
                if reply.complete {
                    Ok(reply)
                } else {
                    Err(StreamError::Cut)
                }
            }
            None => {
                let text = String::from_utf8_lossy(&self.document).into_owned();
                let excerpt: String = text.chars().take(200).collect();
                let event = SseEvent {
                    event: None,
                    data: text,
                };
                match self.event(&event, sink) {
                    Err(StreamError::Chat(ChatStreamError::NotJson(_))) => {
                        return Err(StreamError::NoReply(excerpt));
                    }
                    other => other?,
                }
                let reply = self.accumulator.finish();
                if reply.complete {
                    Ok(reply)
                } else {
                    Err(StreamError::NoReply(excerpt))
                }
            }
        }
    }
}

fn too_long() -> StreamError {
    StreamError::Chat(ChatStreamError::TooLong(MAX_EVENT))
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
