//! A gateway as its own process, a small HTTP client that sees each chunk as it comes, and a small agent.
#![expect(dead_code, reason = "every test program uses another part of this")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails here"
)]

pub(crate) mod agent;
pub(crate) mod repository;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing here takes longer unless it is broken.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running gateway; it is stopped when dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: String,
}

impl Gateway {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// A gateway that does not wait between chunks.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::paced(0, arguments)
    }

    pub(crate) fn paced(milliseconds: u64, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sam-sims"))
            .args(["gateway", "--chunk-delay-ms", &milliseconds.to_string()])
            .args(arguments)
            .arg("--end-with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the gateway starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the gateway says where it listens");
        let said: Value = serde_json::from_str(&line).expect("the first line is JSON");
        let url = said["listening"]
            .as_str()
            .expect("it names a URL")
            .to_owned();
        Self {
            child,
            address: url.trim_start_matches("http://").to_owned(),
        }
    }

    pub(crate) fn ends_when_its_stdin_closes(&mut self) -> bool {
        drop(self.child.stdin.take());
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if self
                .child
                .try_wait()
                .expect("the process can be asked")
                .is_some()
            {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut stream = TcpStream::connect(&self.address).expect("the gateway accepts");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(DEADLINE)).expect("timeout");
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            self.address
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!(
            "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
        stream
            .write_all(head.as_bytes())
            .expect("the request is sent");
        Response::read_head(stream)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.request("GET", path, &[], "").json()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Response {
        self.request("POST", path, &[], &body.to_string())
    }

    pub(crate) fn chat(&self, body: &Value) -> Response {
        self.post("/v1/chat/completions", body)
    }

    /// The records, once `ready` says that they show what is waited for.
    pub(crate) fn records(&self, ready: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let records = self.get("/control/requests")["requests"]
                .as_array()
                .expect("a list")
                .clone();
            if ready(&records) {
                return records;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "the records never showed it: {records:#?}"
            );
            std::thread::yield_now();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A response whose body is read as it comes.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    reader: BufReader<TcpStream>,
}

impl Response {
    fn read_head(stream: TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("a status line");
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status");
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a header");
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
                None => break,
            }
        }
        Self {
            status,
            headers,
            reader,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The next HTTP chunk; none at the proper end, an error when the connection breaks.
    pub(crate) fn chunk(&mut self) -> std::io::Result<Option<String>> {
        let mut size = String::new();
        if self.reader.read_line(&mut size)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let size = usize::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
        let mut data = vec![0; size + 2];
        self.reader.read_exact(&mut data)?;
        data.truncate(size);
        Ok((size > 0).then(|| String::from_utf8_lossy(&data).into_owned()))
    }

    /// The whole body.
    pub(crate) fn text(mut self) -> std::io::Result<String> {
        let mut text = String::new();
        if self.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk()? {
                text.push_str(&chunk);
            }
        } else {
            self.reader.read_to_string(&mut text)?;
        }
        Ok(text)
    }

    pub(crate) fn json(self) -> Value {
        let text = self.text().expect("the body ends properly");
        serde_json::from_str(&text).unwrap_or_else(|problem| panic!("{problem}: {text}"))
    }
}

/// A streamed answer put together.
#[derive(Debug, Default)]
pub(crate) struct Assembled {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    /// Id, name and arguments.
    pub(crate) calls: Vec<(String, String, String)>,
    pub(crate) finish: String,
    pub(crate) usage: Value,
}

/// Puts the events of a stream together, by index, as a client does.
pub(crate) fn assemble(body: &str) -> Assembled {
    let mut answer = Assembled::default();
    let mut ended = false;
    for event in body.split("\n\n").filter(|event| !event.is_empty()) {
        let data = event.strip_prefix("data: ").expect("an event is data");
        assert!(!ended, "nothing follows [DONE]");
        if data == "[DONE]" {
            ended = true;
            continue;
        }
        let data: Value = serde_json::from_str(data).expect("an event is JSON");
        if !data["usage"].is_null() {
            answer.usage = data["usage"].clone();
        }
        let choice = &data["choices"][0];
        let delta = &choice["delta"];
        answer.text += delta["content"].as_str().unwrap_or_default();
        answer.reasoning += delta["reasoning_content"].as_str().unwrap_or_default();
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(piece["index"].as_u64().expect("an index")).expect("small");
            if answer.calls.len() <= index {
                answer.calls.resize(index + 1, Default::default());
            }
            let call = &mut answer.calls[index];
            call.0 += piece["id"].as_str().unwrap_or_default();
            call.1 += piece["function"]["name"].as_str().unwrap_or_default();
            call.2 += piece["function"]["arguments"].as_str().unwrap_or_default();
        }
        answer.finish += choice["finish_reason"].as_str().unwrap_or_default();
    }
    assert!(ended, "a stream ends with [DONE]");
    answer
}
