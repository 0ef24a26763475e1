//! A model server on a real socket that does what a test says.
//!
//! Each connection gets one request and the next reply of the script. It
//! shares no code with the client side under test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// For what happens at once, on a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What happens on a connection after the request was read.
pub(crate) enum Reply {
    /// A stream of events.
    Stream(Vec<Step>),
    /// A whole answer: status, extra header lines, body.
    Answer(u16, &'static str, String),
    /// Nothing; the connection is closed.
    Hangup,
}

/// One thing in a stream.
pub(crate) enum Step {
    /// An event with this data.
    Event(Value),
    /// The end marker.
    Done,
    /// A comment.
    Comment,
    /// Wait until the test calls [`Server::release`] or the client leaves.
    Hold,
    /// Close the connection without ending the body.
    Cut,
    /// Half an event, then a proper end of the body.
    HalfEvent,
}

/// What is answered to a request; none for a request nobody expects.
type Model = Box<dyn FnMut(&Value) -> Option<Reply> + Send>;

struct State {
    requests: Vec<Value>,
    model: Model,
    released: u32,
    holding: u32,
    client_left: u32,
}

/// The server; it ends with the test's process.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Server {
    pub(crate) fn start(script: Vec<Reply>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    pub(crate) fn on(listener: TcpListener, script: Vec<Reply>) -> Self {
        let mut script = script.into_iter();
        Self::with(listener, Box::new(move |_| script.next()))
    }

    /// A server that answers what it is asked.
    pub(crate) fn thinking(mut model: impl FnMut(&Value) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::with(listener, Box::new(move |request| Some(model(request))))
    }

    fn with(listener: TcpListener, model: Model) -> Self {
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let state = State {
            requests: Vec::new(),
            model,
            released: 0,
            holding: 0,
            client_left: 0,
        };
        let server = Self {
            url,
            state: Arc::new((Mutex::new(state), Condvar::new())),
        };
        let accepting = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = accepting.clone();
                // A client that leaves early is what some tests are about.
                std::thread::spawn(move || drop(server.serve(stream.unwrap())));
            }
        });
        server
    }

    /// The bodies received so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.state.0.lock().unwrap().requests.clone()
    }

    /// Lets one held stream go on.
    pub(crate) fn release(&self) {
        self.state.0.lock().unwrap().released += 1;
        self.state.1.notify_all();
    }

    /// Waits until a stream is held.
    pub(crate) fn wait_for_hold(&self) {
        self.wait("a held stream", |state| state.holding > 0);
    }

    /// Waits until a client has left a held stream.
    pub(crate) fn wait_for_departure(&self) {
        self.wait("the client to leave", |state| state.client_left > 0);
    }

    fn wait(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.0.lock().unwrap();
        while !condition(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited too long for {what}");
            state = self.state.1.wait_timeout(state, left).unwrap().0;
        }
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut length = 0;
        let mut head = String::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut request: Value = serde_json::from_slice(&body).unwrap();
        request["_head"] = json!(head);
        request["_body"] = json!(String::from_utf8(body).unwrap());
        let reply = {
            let mut state = self.state.0.lock().unwrap();
            let reply = (state.model)(&request);
            state.requests.push(request);
            self.state.1.notify_all();
            reply
        };
        match reply {
            None => panic!("an unexpected request: {head}"),
            Some(Reply::Hangup) => Ok(()),
            Some(Reply::Answer(status, headers, body)) => write!(
                &stream,
                "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            ),
            Some(Reply::Stream(steps)) => self.stream(&stream, steps),
        }
    }

    fn stream(&self, mut stream: &TcpStream, steps: Vec<Step>) -> std::io::Result<()> {
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        )?;
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        for step in steps {
            match step {
                Step::Event(data) => {
                    // Where events have types, they are named by them.
                    let named = data["type"].as_str();
                    let name = named.map_or_else(String::new, |name| format!("event: {name}\n"));
                    stream.write_all(chunk(&format!("{name}data: {data}\n\n")).as_bytes())?;
                }
                Step::Done => stream.write_all(chunk("data: [DONE]\n\n").as_bytes())?,
                Step::Comment => stream.write_all(chunk(": waiting\n\n").as_bytes())?,
                Step::HalfEvent => {
                    stream.write_all(chunk("data: {\"choices\":[{\"del").as_bytes())?
                }
                Step::Cut => return stream.shutdown(std::net::Shutdown::Both),
                Step::Hold => {
                    if !self.hold(stream) {
                        return Ok(());
                    }
                }
            }
        }
        stream.write_all(b"0\r\n\r\n")
    }

    /// Whether the stream goes on.
    fn hold(&self, stream: &TcpStream) -> bool {
        let mut state = self.state.0.lock().unwrap();
        state.holding += 1;
        self.state.1.notify_all();
        let gone = |stream: &TcpStream| {
            stream.set_nonblocking(true).unwrap();
            let peeked = stream.peek(&mut [0]);
            stream.set_nonblocking(false).unwrap();
            !matches!(peeked, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
        };
        loop {
            if state.released > 0 {
                state.released -= 1;
                state.holding -= 1;
                return true;
            }
            if gone(stream) {
                state.client_left += 1;
                self.state.1.notify_all();
                return false;
            }
            let poll = Duration::from_millis(10);
            state = self.state.1.wait_timeout(state, poll).unwrap().0;
        }
    }
}

fn delta(delta: Value, finish: Option<&str>) -> Step {
    Step::Event(json!({"id": "c", "model": "m", "choices": [
        {"index": 0, "delta": delta, "finish_reason": finish}]}))
}

/// A piece of text.
pub(crate) fn text(text: &str) -> Step {
    delta(json!({"content": text}), None)
}

/// A piece of reasoning.
pub(crate) fn thought(text: &str) -> Step {
    delta(json!({"reasoning_content": text}), None)
}

/// A call's beginning.
pub(crate) fn call(index: u32, id: &str, name: &str) -> Step {
    let function = json!({"name": name, "arguments": ""});
    delta(
        json!({"tool_calls": [{"index": index, "id": id, "function": function}]}),
        None,
    )
}

/// A piece of a call's arguments.
pub(crate) fn arguments(index: u32, piece: &str) -> Step {
    delta(
        json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}),
        None,
    )
}

/// The finish reason.
pub(crate) fn finish(reason: &str) -> Step {
    delta(json!({}), Some(reason))
}

/// The usage chunk.
pub(crate) fn usage(input: u64, output: u64) -> Step {
    Step::Event(json!({"choices": [], "usage": {
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}}))
}

/// A whole reply of text.
pub(crate) fn answer(words: &str) -> Reply {
    Reply::Stream(vec![text(words), finish("stop"), usage(10, 2), Step::Done])
}

/// A whole reply of one call.
pub(crate) fn calls(id: &str, name: &str, args: &Value) -> Reply {
    Reply::Stream(vec![
        call(0, id, name),
        arguments(0, &args.to_string()),
        finish("tool_calls"),
        usage(10, 2),
        Step::Done,
    ])
}

/// The result the model was given for a call.
pub(crate) fn result_of(request: &Value, id: &str) -> String {
    let messages = request["messages"].as_array().unwrap();
    let result = messages
        .iter()
        .find(|message| message["tool_call_id"] == id);
    result.unwrap()["content"].as_str().unwrap().to_owned()
}

/// Waits for a condition.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs what blocks without holding up the test's own tasks.
pub(crate) async fn blocking(wait: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(wait).await.unwrap();
}

/// Whether a process is gone, or a zombie nobody has waited for.
pub(crate) fn has_ended(pid: &str) -> bool {
    match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Err(_) => true,
        Ok(stat) => stat
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z')),
    }
}
