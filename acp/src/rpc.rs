//! JSON-RPC 2.0 over lines, knowing nothing of ACP.
//!
//! A line that is too long, not UTF-8 or not a message is skipped and
//! reported; the connection goes on. Requests of the two sides have separate
//! id spaces: a message with a method is the peer's, one without is an answer
//! to ours. Batches (arrays) are taken as their messages in order.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};

use crate::error::{CloseReason, RpcError};

/// A message from the peer.
#[derive(Debug, PartialEq)]
pub(crate) enum Message {
    Request {
        id: Value,
        method: String,
        params: Value,
    },
    Notification {
        method: String,
        params: Value,
    },
    Response {
        id: Value,
        result: Result<Value, RpcError>,
    },
}

/// A line that is not a message.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed {
    /// The line's length in bytes.
    pub(crate) bytes: usize,
    /// Its first characters.
    pub(crate) excerpt: String,
    /// What is wrong with it.
    pub(crate) detail: String,
}

/// The result of reading one line.
#[derive(Debug)]
pub(crate) enum Line {
    /// Its messages, as a rule one, and its length in bytes.
    Messages(Vec<Result<Message, Malformed>>, usize),
    /// The peer closed its output, or reading failed.
    End(CloseReason),
}

/// Reads messages from a byte stream.
pub(crate) struct LineReader<R> {
    reader: BufReader<R>,
    max_bytes: usize,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(crate) fn new(reader: R, max_bytes: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, reader),
            max_bytes,
        }
    }

    /// The next line that is not blank.
    pub(crate) async fn next(&mut self) -> Line {
        let mut line = Vec::new();
        let mut bytes = 0_usize;
        loop {
            let (taken, ended) = match self.reader.fill_buf().await {
                Ok([]) if bytes == 0 => return Line::End(CloseReason::EndOfStream),
                Ok([]) => (0, true),
                Ok(buffer) => {
                    let newline = buffer.iter().position(|byte| *byte == b'\n');
                    let piece = buffer.get(..newline.unwrap_or(buffer.len()));
                    let piece = piece.unwrap_or_default();
                    let room = self.max_bytes.saturating_sub(line.len());
                    line.extend_from_slice(piece.get(..room).unwrap_or(piece));
                    bytes = bytes.saturating_add(piece.len());
                    (
                        piece.len() + usize::from(newline.is_some()),
                        newline.is_some(),
                    )
                }
                Err(error) => {
                    return Line::End(CloseReason::Io {
                        detail: error.to_string(),
                    });
                }
            };
            self.reader.consume(taken);
            if !ended {
                continue;
            }
            if bytes > self.max_bytes {
                let malformed = Malformed {
                    bytes,
                    excerpt: excerpt(&line),
                    detail: format!("longer than {} bytes", self.max_bytes),
                };
                return Line::Messages(vec![Err(malformed)], 0);
            }
            if !line.trim_ascii().is_empty() {
                return Line::Messages(parse(&line), bytes);
            }
            line.clear();
            bytes = 0;
        }
    }
}

fn parse(line: &[u8]) -> Vec<Result<Message, Malformed>> {
    let malformed = |detail: String| Malformed {
        bytes: line.len(),
        excerpt: excerpt(line),
        detail,
    };
    // Only a line that cannot be read as it is is looked at more closely.
    let read = serde_json::from_slice::<Value>(line)
        .or_else(|error| serde_json::from_str(&crate::repair::repaired(line)).map_err(|_| error));
    match read {
        Err(error) => vec![Err(malformed(error.to_string()))],
        Ok(Value::Array(batch)) if !batch.is_empty() => batch
            .into_iter()
            .map(|value| classify(value).map_err(malformed))
            .collect(),
        Ok(value) => vec![classify(value).map_err(malformed)],
    }
}

fn classify(value: Value) -> Result<Message, String> {
    let Value::Object(mut object) = value else {
        return Err("not an object".to_owned());
    };
    let params = object.remove("params").unwrap_or(Value::Null);
    let id = object.remove("id");
    match (object.remove("method"), id) {
        (Some(Value::String(method)), Some(id)) => Ok(Message::Request { id, method, params }),
        (Some(Value::String(method)), None) => Ok(Message::Notification { method, params }),
        (Some(_), _) => Err("the method is not a string".to_owned()),
        (None, Some(id)) => {
            let error = object.remove("error").filter(|error| !error.is_null());
            match (object.remove("result"), error) {
                (_, Some(error)) => Ok(Message::Response {
                    id,
                    result: Err(read_error(error)),
                }),
                (Some(result), None) => Ok(Message::Response {
                    id,
                    result: Ok(result),
                }),
                (None, None) => Err("neither a method nor a result".to_owned()),
            }
        }
        (None, None) => Err("neither a method nor an id".to_owned()),
    }
}

fn read_error(raw: Value) -> RpcError {
    RpcError {
        code: raw
            .get("code")
            .and_then(Value::as_i64)
            .unwrap_or(RpcError::INTERNAL_ERROR),
        message: raw
            .get("message")
            .and_then(Value::as_str)
            .map_or_else(|| raw.to_string(), str::to_owned),
        data: raw.get("data").filter(|data| !data.is_null()).cloned(),
    }
}

fn excerpt(line: &[u8]) -> String {
    let head = line.get(..200).unwrap_or(line);
    String::from_utf8_lossy(head).into_owned()
}

/// What waits for an answer.
pub(crate) enum Pending {
    /// A caller.
    Call(oneshot::Sender<Result<Value, RpcError>>),
    /// The event channel, in the order of the wire.
    InOrder,
}

enum Outgoing {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Flushed(oneshot::Sender<()>),
    Close,
}

/// The sending half: never blocks, never fails; once the connection is gone
/// what is sent goes nowhere and the reading half says so.
pub(crate) struct Peer {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    state: Mutex<PeerState>,
}

#[derive(Default)]
struct PeerState {
    last_id: u64,
    pending: HashMap<u64, Pending>,
    closed: Option<CloseReason>,
}

impl Peer {
    /// Starts the task that writes. Must be called within a tokio runtime.
    pub(crate) fn start<W>(writer: W) -> Self
    where
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (outgoing, queue) = mpsc::unbounded_channel();
        tokio::spawn(write_lines(writer, queue));
        Self {
            outgoing,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, PeerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and registers who waits for its answer.
    pub(crate) fn request(
        &self,
        method: &str,
        params: &Value,
        pending: Pending,
    ) -> Result<u64, CloseReason> {
        let id = {
            let mut state = self.state();
            if let Some(reason) = &state.closed {
                return Err(reason.clone());
            }
            state.last_id += 1;
            let id = state.last_id;
            state.pending.insert(id, pending);
            id
        };
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        Ok(id)
    }

    pub(crate) fn notify(&self, method: &str, params: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    pub(crate) fn respond(&self, id: &Value, result: Result<Value, RpcError>) {
        self.send(&match result {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
        });
    }

    fn send(&self, message: &Value) {
        let mut line = message.to_string().into_bytes();
        line.push(b'\n');
        // The writer is gone only when the connection is; the reader reports it.
        let _ = self.outgoing.send(Outgoing::Line(line));
    }

    /// Takes who waits for the answer with this id.
    pub(crate) fn take_pending(&self, id: &Value) -> Option<(u64, Pending)> {
        // Some peers echo numeric ids as strings.
        let id = id
            .as_u64()
            .or_else(|| id.as_str().and_then(|id| id.parse().ok()))?;
        let pending = self.state().pending.remove(&id)?;
        Some((id, pending))
    }

    /// Forgets a request whose answer nobody waits for any more.
    pub(crate) fn forget(&self, id: u64) {
        self.state().pending.remove(&id);
    }

    /// Marks the connection as gone; callers fail at once. Returns the
    /// requests whose answer was due on the event channel.
    pub(crate) fn closed(&self, reason: &CloseReason) -> Vec<u64> {
        let pending = {
            let mut state = self.state();
            state.closed = Some(reason.clone());
            std::mem::take(&mut state.pending)
        };
        let mut in_order: Vec<u64> = pending
            .into_iter()
            // Dropping a caller's sender is its answer.
            .filter_map(|(id, pending)| matches!(pending, Pending::InOrder).then_some(id))
            .collect();
        in_order.sort_unstable();
        let _ = self.outgoing.send(Outgoing::Close);
        in_order
    }

    /// Marks the peer's output as gone while ours stays open: callers fail at
    /// once, answers can still be sent.
    pub(crate) fn fail_calls(&self, reason: &CloseReason) {
        let mut state = self.state();
        state.closed = Some(reason.clone());
        state.pending.clear();
    }

    /// Why the connection is gone, if it is.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.state().closed.clone()
    }

    /// Waits until what was sent before is written, or cannot be.
    pub(crate) async fn flush(&self) {
        let (sender, written) = oneshot::channel();
        let _ = self.outgoing.send(Outgoing::Flushed(sender));
        let _ = written.await;
    }

    /// Closes our output after what was sent before.
    pub(crate) fn close_output(&self) {
        let _ = self.outgoing.send(Outgoing::Close);
    }
}

async fn write_lines<W>(mut writer: W, mut queue: mpsc::UnboundedReceiver<Outgoing>)
where
    W: AsyncWrite + Unpin,
{
    while let Some(outgoing) = queue.recv().await {
        match outgoing {
            Outgoing::Line(line) => {
                // A failed write means that the peer is gone, which the
                // reader sees.
                if writer.write_all(&line).await.is_err() || writer.flush().await.is_err() {
                    break;
                }
            }
            Outgoing::Flushed(sender) => {
                let _ = sender.send(());
            }
            Outgoing::Close => break,
        }
    }
    let _ = writer.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(input: &[u8], max: usize) -> Vec<Result<Message, String>> {
        let mut reader = LineReader::new(input, max);
        let mut out = Vec::new();
        while let Line::Messages(messages, _) = reader.next().await {
            out.extend(messages.into_iter().map(|m| m.map_err(|m| m.detail)));
        }
        out
    }

    fn note(method: &str) -> Result<Message, String> {
        Ok(Message::Notification {
            method: method.to_owned(),
            params: Value::Null,
        })
    }

    #[tokio::test]
    async fn malformed_lines_are_skipped_and_named() {
        let input =
            b"{\"method\":\"a\"}\nnot json\n\n[1]\n{\"id\":1}\n\xff\xfe\n{\"method\":\"b\"}";
        let got = read(input, 1000).await;
        assert_eq!(got.len(), 6);
        assert_eq!(got[0], note("a"));
        assert!(got[1..5].iter().all(Result::is_err), "{got:?}");
        assert_eq!(got[5], note("b"), "a last line without newline counts");
    }

    #[tokio::test]
    async fn a_line_over_the_bound_does_not_grow_memory_and_the_next_is_read() {
        let mut input = vec![b'x'; 100_000];
        input.extend_from_slice(b"\n{\"method\":\"b\"}\r\n");
        let got = read(&input, 64).await;
        assert_eq!(got.len(), 2);
        assert!(got[0].as_ref().is_err_and(|e| e.contains("64 bytes")));
        assert_eq!(got[1], note("b"));
    }

    #[tokio::test]
    async fn batches_are_taken_in_order() {
        let got = read(b"[{\"method\":\"a\"},7,{\"method\":\"b\"}]\n", 1000).await;
        assert_eq!(got.len(), 3);
        assert_eq!((&got[0], &got[2]), (&note("a"), &note("b")));
    }

    #[test]
    fn an_answer_with_both_result_and_error_is_an_error() {
        let value = json!({"id": 3, "result": null, "error": {"code": -32603, "message": "no"}});
        assert_eq!(
            classify(value),
            Ok(Message::Response {
                id: json!(3),
                result: Err(RpcError::new(-32603, "no")),
            })
        );
        let value = json!({"id": 3, "result": null, "error": null});
        assert!(matches!(
            classify(value),
            Ok(Message::Response {
                result: Ok(Value::Null),
                ..
            })
        ));
    }
}
