//! A small HTTP/1.1 and WebSocket server.

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What the feed does on one connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Waits until the client sent this many frames in all on this connection.
    Await(usize),
    /// Sends a frame.
    Send(Value),
    /// Waits until the test lets it go on.
    Gate(Arc<Notify>),
    /// Drops the connection without a word.
    Cut,
}

#[derive(Clone, Debug)]
enum Answer {
    Text(u16, String, Vec<(String, String)>),
    /// Reads the request, then drops the connection.
    Silence,
}

#[derive(Default)]
struct State {
    requests: Mutex<Vec<Request>>,
    answers: Mutex<HashMap<(String, String), VecDeque<Answer>>>,
    feeds: Mutex<VecDeque<Vec<Step>>>,
    frames: Mutex<Vec<Vec<Value>>>,
}

/// The server. It ends with the test's runtime.
pub struct Server {
    pub url: String,
    state: Arc<State>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    serve(stream, &state).await;
                });
            }
        });
        Self { url, state }
    }

    fn put(&self, method: &str, path: &str, answer: Answer) {
        let mut answers = self.state.answers.lock().unwrap();
        answers
            .entry((method.to_owned(), path.to_owned()))
            .or_default()
            .push_back(answer);
    }

    /// Answers `method path` with JSON. Several answers are given in turn; the
    /// last one stays.
    pub fn on(&self, method: &str, path: &str, status: u16, body: &Value) {
        self.put(method, path, Answer::Text(status, body.to_string(), vec![]));
    }

    /// Answers with text and headers as they are.
    pub fn on_text(
        &self,
        method: &str,
        path: &str,
        status: u16,
        text: &str,
        headers: &[(&str, &str)],
    ) {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        self.put(method, path, Answer::Text(status, text.to_owned(), headers));
    }

    /// Takes one request and drops its connection.
    pub fn on_silence(&self, method: &str, path: &str) {
        self.put(method, path, Answer::Silence);
    }

    /// What the next feed connection does.
    pub fn on_feed(&self, steps: Vec<Step>) {
        self.state.feeds.lock().unwrap().push_back(steps);
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// The requests to `method path` (query included).
    pub fn asked(&self, method: &str, path: &str) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(|r| r.method == method && r.path == path)
            .collect()
    }

    /// The frames the client sent, connection by connection.
    pub fn frames(&self) -> Vec<Vec<Value>> {
        self.state.frames.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, state: &State) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        let path = request
            .path
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned();
        state.requests.lock().unwrap().push(request.clone());
        let answer = {
            let mut answers = state.answers.lock().unwrap();
            answers
                .get_mut(&(request.method.clone(), path))
                .and_then(|queue| {
                    if queue.len() > 1 {
                        queue.pop_front()
                    } else {
                        queue.front().cloned()
                    }
                })
        };
        if answer.is_none() && request.header("upgrade") == Some("websocket") {
            feed(stream, &request, state).await;
            return;
        }
        let (status, body, headers) = match answer {
            Some(Answer::Text(status, body, headers)) => (status, body, headers),
            Some(Answer::Silence) => return,
            None => (
                404,
                r#"{"error":{"code":"not_found","message":"No such route in this test."}}"#
                    .to_owned(),
                vec![],
            ),
        };
        let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let text = format!("{head}\r\n{body}");
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).ok()?;
            let mut lines = head.split("\r\n");
            let mut first = lines.next()?.split(' ');
            let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
            let headers: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length: usize = headers
                .get("content-length")
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Some(Request {
                    method,
                    path,
                    headers,
                    body: String::from_utf8(body).ok()?,
                });
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => buffer.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}

async fn feed(mut stream: TcpStream, request: &Request, state: &State) {
    let Some(steps) = state.feeds.lock().unwrap().pop_front() else {
        let refusal = "HTTP/1.1 503 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(refusal.as_bytes()).await;
        return;
    };
    let connection = {
        let mut frames = state.frames.lock().unwrap();
        frames.push(Vec::new());
        frames.len() - 1
    };
    let accept = derive_accept_key(request.headers["sec-websocket-key"].as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    );
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let mut received = 0;
    for step in steps {
        match step {
            Step::Await(wanted) => {
                while received < wanted {
                    match socket.next().await {
                        Some(Ok(Message::Text(text))) => {
                            received += 1;
                            let frame = serde_json::from_str(&text).expect("JSON frames");
                            state.frames.lock().unwrap()[connection].push(frame);
                        }
                        Some(Ok(_)) => {}
                        _ => return,
                    }
                }
            }
            Step::Send(frame) => {
                let text = Message::text(frame.to_string());
                if socket.send(text).await.is_err() {
                    return;
                }
            }
            Step::Gate(gate) => gate.notified().await,
            Step::Cut => return,
        }
    }
    // Until the client leaves.
    while let Some(Ok(_)) = socket.next().await {}
}
