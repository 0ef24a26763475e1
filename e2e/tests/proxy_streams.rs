//! The model proxy under streams that are long, many, or not read, and bodies that are large or
//! compressed; and that nothing of what is said is logged.

use std::cell::Cell;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::future::try_join_all;
use reqwest::{Method, Response};
use sam_e2e::caller::Caller;
use sam_e2e::machine::resident;
use sam_e2e::stack::MODEL_KEY;
use sam_e2e::{Result, StackOptions, ensure, failure, wait_until, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(90);
const EVENTS: usize = 100_000;
const STREAMS: usize = 100;

/// Reads a stream to its end: its events, and whether it came to its end.
async fn read(mut response: Response) -> Result<(usize, bool)> {
    let (mut events, mut last) = (0, Vec::new());
    while let Some(chunk) = within("the rest", PATIENCE, response.chunk()).await?? {
        // An event ends in a blank line, which may be cut in two.
        let cut = last.ends_with(b"\n") && chunk.starts_with(b"\n");
        events += chunk.windows(2).filter(|pair| pair == b"\n\n").count() + usize::from(cut);
        last.extend_from_slice(&chunk);
        let excess = last.len().saturating_sub(20);
        last.drain(..excess);
    }
    Ok((events, last.ends_with(b"data: [DONE]\n\n")))
}

#[tokio::test]
async fn a_hundred_thousand_events_and_a_hundred_streams_pass_whole_and_are_counted() -> Result {
    let caller = Caller::start(StackOptions::default()).await?;
    let gateway = caller.stack.gateway();
    let long = json!({"kind": "long", "pieces": EVENTS, "bytes": 20});
    gateway.fault(&long).await?;
    let (events, whole) = read(caller.stream().await?).await?;
    // The role, the text, the reason of its end, and the end; without the usage.
    ensure((events, whole) == (EVENTS + 3, true), || {
        format!("{events} events, whole: {whole}")
    })?;
    let recorded = caller.until_calls(1).await?;
    ensure(
        recorded.unreported == 0 && recorded.output_tokens > 0,
        || format!("{recorded:?}"),
    )?;

    gateway.reset().await?;
    let hold = json!({"kind": "hold", "after_chunks": 2, "times": STREAMS});
    gateway.fault(&hold).await?;
    let begun = try_join_all((0..STREAMS).map(|_| caller.stream())).await?;
    wait_until("every stream is held", PATIENCE, || async {
        let requests = gateway.requests().await?;
        let held = requests.iter().filter(|request| request["held"] == true);
        Ok((held.count() == STREAMS).then_some(()))
    })
    .await?;
    gateway.release().await?;
    let read = try_join_all(begun.into_iter().map(read)).await?;
    ensure(read.iter().all(|(_, whole)| *whole), || format!("{read:?}"))?;
    let recorded = caller.until_calls(1 + STREAMS as u64).await?;
    ensure(
        recorded.unreported == 0 && recorded.ends.keys().eq(["complete"]),
        || format!("{recorded:?}"),
    )
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_the_upstream_and_fills_no_memory() -> Result {
    let caller = Caller::start(StackOptions::default()).await?;
    let gateway = caller.stack.gateway();
    // About 100 MB, of which the sockets on the way hold a fifth at most.
    let (pieces, most) = (200_000, 60 * 1024);
    let long = json!({"kind": "long", "pieces": pieces, "bytes": 300});
    let workerd = caller.stack.workerd_id()?;
    let before = resident(workerd)?;
    gateway.fault(&long).await?;
    let mut response = caller.stream().await?;
    within("the first chunk", PATIENCE, response.chunk()).await??;
    let (sent, looks) = (Cell::new(0), Cell::new(0));
    wait_until("the upstream is held up", PATIENCE, || async {
        let requests = gateway.requests().await?;
        let now = requests[0]["chunks_sent"].as_u64().unwrap_or_default();
        // The same for many looks: it is not only slow.
        let same = now > 0 && sent.replace(now) == now;
        looks.set(if same { looks.get() + 1 } else { 0 });
        Ok((looks.get() >= 40).then_some(()))
    })
    .await?;
    let sent = sent.get();
    ensure(sent < pieces, || format!("{sent} chunks were taken"))?;
    let grown = resident(workerd)?.saturating_sub(before);
    ensure(grown < most, || format!("workerd grew by {grown} KB"))?;
    drop(response);
    gateway
        .until("the upstream sees its client leave", PATIENCE, |request| {
            request["outcome"] == "disconnected"
        })
        .await?;
    let recorded = caller.until_calls(1).await?;
    ensure(recorded.ends.keys().eq(["client_left"]), || {
        format!("{recorded:?}")
    })
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut program = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = program.stdin.take().ok_or("no stdin")?;
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let output = program.wait_with_output()?;
    writing.join().map_err(|_| failure("gzip was not fed"))??;
    Ok(output.stdout)
}

/// Answers one call with a stream that is compressed, whatever was asked for; there is no list of
/// models. Returns the call's body.
async fn answer_compressed(listener: TcpListener) -> Result<String> {
    let (mut socket, body) = loop {
        let (mut socket, _) = listener.accept().await?;
        let request = read_request(&mut socket).await?;
        if let Some((head, body)) = request.split_once("\r\n\r\n")
            && head.starts_with("POST")
        {
            break (socket, body.to_owned());
        }
        let none = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        socket.write_all(none).await?;
    };
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18});
    let reply = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        json!({"choices": [{"index": 0, "delta": {"content": "Hello"}}]}),
        json!({"choices": [], "usage": usage}),
    );
    let reply = gzip(reply.as_bytes())?;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        reply.len()
    );
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(&reply).await?;
    socket.shutdown().await?;
    Ok(body)
}

/// A request, with its body where it has one of JSON.
async fn read_request(socket: &mut TcpStream) -> Result<String> {
    let mut request = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let read = socket.read(&mut buffer).await?;
        request.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let text = String::from_utf8_lossy(&request).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            head.starts_with("GET") || serde_json::from_str::<Value>(body).is_ok()
        });
        if read == 0 || whole {
            return Ok(text);
        }
    }
}

#[tokio::test]
async fn bodies_are_undone_within_a_bound_or_refused_before_they_are_read() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let upstream = tokio::spawn(answer_compressed(listener));
    let caller = Caller::start(StackOptions {
        settings: vec![("SAM_MODEL_URL".to_owned(), url)],
        ..StackOptions::default()
    })
    .await?;
    let send = async |encoding: &str, body: Vec<u8>| {
        let request = caller.agent.request(Method::POST, Caller::CHAT);
        let request = request.header("content-encoding", encoding);
        let request = request.header("content-type", "application/json");
        caller.agent.send(request.body(body)).await
    };
    let question = Caller::question(true).to_string();
    for encoding in ["zstd", "br", "compress"] {
        let reply = send(encoding, question.clone().into()).await?;
        ensure(
            reply.status == 415 && reply.text().contains("gzip, deflate"),
            || format!("{encoding}: {} {}", reply.status, reply.text()),
        )?;
    }
    let reply = send("gzip", question.clone().into()).await?;
    ensure(reply.status == 400, || reply.text())?;
    let bomb = gzip(&vec![b' '; 20 << 20])?;
    let reply = send("gzip", bomb).await?;
    ensure(reply.status == 413, || reply.text())?;
    let endless =
        futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20])));
    let request = caller.agent.request(Method::POST, Caller::CHAT);
    let reply = caller
        .agent
        .send(request.body(reqwest::Body::wrap_stream(endless)))
        .await?;
    ensure(reply.status == 413, || reply.text())?;
    // One that is announced is refused before it comes.
    let address = caller.stack.url().trim_start_matches("http://");
    let mut client = TcpStream::connect(address).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-length: 1000000000\r\n\r\n{{",
        Caller::CHAT,
        caller.token
    );
    client.write_all(head.as_bytes()).await?;
    let mut said = vec![0; 12];
    within("the refusal", PATIENCE, client.read_exact(&mut said)).await??;
    ensure(said == b"HTTP/1.1 413", || {
        String::from_utf8_lossy(&said).into_owned()
    })?;

    // What can be undone is undone both ways, and counted.
    let reply = send("gzip", gzip(question.as_bytes())?).await?;
    let text = reply.text();
    ensure(
        reply.status == 200 && text.contains("Hello") && text.ends_with("data: [DONE]\n\n"),
        || format!("{} {text}", reply.status),
    )?;
    ensure(reply.header("content-encoding").is_none(), || {
        format!("{:?}", reply.headers)
    })?;
    let body: Value = serde_json::from_str(&upstream.await??)?;
    ensure(
        body["messages"] == Caller::question(true)["messages"],
        || body.to_string(),
    )?;
    let recorded = caller.until_calls(1).await?;
    ensure(
        (recorded.input_tokens, recorded.output_tokens) == (11, 7),
        || format!("{recorded:?}"),
    )
}

#[tokio::test]
async fn nothing_that_is_said_and_no_secret_is_logged() -> Result {
    const SAID: &str = "canary-of-what-was-asked";
    let mut caller = Caller::start(StackOptions {
        settings: vec![("SAM_MODEL_SILENCE".to_owned(), "2".to_owned())],
        ..StackOptions::default()
    })
    .await?;
    let gateway = caller.stack.gateway();
    let mut asked = Caller::question(true);
    asked["messages"][0]["content"] = json!(SAID);
    // What the scripted model answers repeats none of it, but says this.
    let answer = caller.agent.post(Caller::CHAT, &asked).await?.text();
    ensure(answer.contains("data: [DONE]"), || answer.clone())?;
    for fault in [
        json!({"kind": "status", "status": 500}),
        json!({"kind": "rate_limit", "retry_after": 3}),
        json!({"kind": "html"}),
        json!({"kind": "cut", "after_chunks": 2}),
        json!({"kind": "hold", "after_chunks": 2}),
        json!({"kind": "slow_answer", "ms": 600_000}),
        json!({"kind": "unreported"}),
    ] {
        gateway.fault(&fault).await?;
        caller.agent.post(Caller::CHAT, &asked).await?;
    }
    for body in [format!("{{\"{SAID}\":"), format!("[\"{SAID}\"]")] {
        let request = caller.agent.request(Method::POST, Caller::CHAT);
        let reply = caller.agent.send(request.body(body)).await?;
        ensure(reply.status == 400, || reply.text())?;
    }
    let translated =
        json!({"model": SAID, "max_tokens": 5, "messages": [{"role": "user", "content": SAID}]});
    caller
        .agent
        .post("/ai/anthropic/v1/messages", &translated)
        .await?;
    caller.stack.stop_server()?;
    let log = std::fs::read_to_string(caller.stack.directory().join("server.log"))?;
    ensure(log.contains("model upstream"), || {
        format!("the log says nothing of the faults:\n{log}")
    })?;
    for canary in [SAID, "scripted model", &caller.token, MODEL_KEY] {
        ensure(!log.contains(canary), || format!("{canary} in\n{log}"))?;
    }
    Ok(())
}
