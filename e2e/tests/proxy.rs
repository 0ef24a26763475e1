//! The model proxy against the scripted gateway, with tokens as a node fetches them.

use std::time::{Duration, Instant};

use reqwest::Method;
use sam_domain::access::principal::PrincipalKind;
use sam_domain::access::route::ROUTES;
use sam_e2e::caller::Caller;
use sam_e2e::{Result, StackOptions, ensure, failure, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(20);
const CHAT: &str = Caller::CHAT;

fn question(stream: bool) -> Value {
    Caller::question(stream)
}

#[tokio::test]
async fn the_first_delta_comes_while_the_upstream_holds_the_rest() -> Result {
    let working = Caller::start(StackOptions::default()).await?;
    let gateway = working.stack.gateway();
    gateway
        .fault(&json!({"kind": "hold", "after_chunks": 2}))
        .await?;
    let request = working
        .agent
        .request(Method::POST, CHAT)
        .json(&question(true));
    let mut response = within("the response begins", PATIENCE, request.send()).await??;
    ensure(response.status() == 200, || {
        format!("{}", response.status())
    })?;
    let first = within("the first delta", PATIENCE, response.chunk()).await??;
    let first = first.ok_or_else(|| failure("the stream ended before its first delta"))?;
    ensure(first.starts_with(b"data:"), || {
        String::from_utf8_lossy(&first).into_owned()
    })?;
    let held = gateway
        .until("the upstream holds the rest", PATIENCE, |request| {
            request.get("held") == Some(&json!(true))
        })
        .await?;
    ensure(held.get("outcome") == Some(&json!("running")), || {
        held.to_string()
    })?;

    gateway.release().await?;
    let mut text = String::from_utf8_lossy(&first).into_owned();
    while let Some(chunk) = within("the rest", PATIENCE, response.chunk()).await?? {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    ensure(text.trim_end().ends_with("data: [DONE]"), || text.clone())?;
    // The client did not ask for the usage chunk that the proxy asked the upstream for.
    ensure(!text.contains("\"choices\":[]"), || text.clone())?;

    let seen = gateway
        .until("the upstream is done", PATIENCE, |request| {
            request.get("outcome") == Some(&json!("complete"))
        })
        .await?;
    let body = seen.get("body").cloned().unwrap_or_default();
    ensure(body.get("model") == Some(&json!("scripted")), || {
        body.to_string()
    })?;
    ensure(
        body.pointer("/stream_options/include_usage") == Some(&json!(true)),
        || body.to_string(),
    )?;
    let recorded = working.until_calls(1).await?;
    let reported = seen.get("usage").cloned().unwrap_or_default();
    ensure(
        reported.get("prompt_tokens") == Some(&json!(recorded.input_tokens))
            && reported.get("completion_tokens") == Some(&json!(recorded.output_tokens))
            && recorded.input_tokens > 0
            && recorded.unreported == 0,
        || format!("recorded {recorded:?}, reported {reported}"),
    )
}

#[tokio::test]
async fn a_plain_reply_passes_and_is_counted() -> Result {
    let working = Caller::start(StackOptions::default()).await?;
    let reply = working.agent.post(CHAT, &question(false)).await?;
    let said: Value = reply.json()?;
    let recorded = working.until_calls(1).await?;
    ensure(
        said.pointer("/usage/prompt_tokens") == Some(&json!(recorded.input_tokens))
            && said.pointer("/usage/completion_tokens") == Some(&json!(recorded.output_tokens)),
        || format!("recorded {recorded:?} of {said}"),
    )?;
    let label = reply.header("x-sam-sims");
    ensure(label == Some("scripted-model"), || {
        format!("{:?}", reply.headers)
    })?;

    let with_usage = json!({
        "model": "scripted", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "What does this repository do?"}],
    });
    let text = working.agent.post(CHAT, &with_usage).await?.text();
    ensure(text.contains("\"choices\":[]"), || {
        format!("the usage chunk that was asked for is missing: {text}")
    })?;
    let models: Value = working.agent.get("/ai/v1/models").await?.json()?;
    ensure(
        models.pointer("/data/0/id") == Some(&json!("scripted")),
        || models.to_string(),
    )
}

/// Begins a stream that the upstream holds after its second chunk, and leaves it: with chunks unread,
/// which resets the connection, or after reading all there is, which only closes it.
async fn leave(read_all: bool) -> Result {
    let working = Caller::start(StackOptions::default()).await?;
    let gateway = working.stack.gateway();
    gateway
        .fault(&json!({"kind": "hold", "after_chunks": 2}))
        .await?;
    let request = working
        .agent
        .request(Method::POST, CHAT)
        .json(&question(true));
    let mut response = within("the response begins", PATIENCE, request.send()).await??;
    let held = || {
        gateway.until("the upstream holds the rest", PATIENCE, |request| {
            request.get("held") == Some(&json!(true))
        })
    };
    if read_all {
        let mut events = 0;
        while events < 2 {
            let chunk = within("a delta", PATIENCE, response.chunk()).await??;
            let chunk = chunk.ok_or_else(|| failure("the stream ended"))?;
            events += chunk.windows(5).filter(|word| *word == b"data:").count();
        }
    }
    held().await?;
    drop(response);
    gateway
        .until("the upstream sees its client leave", PATIENCE, |request| {
            request.get("outcome") == Some(&json!("disconnected"))
        })
        .await?;
    let recorded = working.until_calls(1).await?;
    ensure(recorded.unreported == 1, || format!("{recorded:?}"))
}

#[tokio::test]
async fn a_client_that_breaks_off_closes_the_upstream() -> Result {
    leave(false).await
}

#[tokio::test]
async fn a_client_that_leaves_quietly_closes_the_upstream() -> Result {
    leave(true).await
}

/// The connection on which the model is called; SAM may ask which models there are before.
async fn called(listener: &TcpListener) -> Result<TcpStream> {
    loop {
        let (mut connection, _) = listener.accept().await?;
        let mut head = [0; 64];
        let read = connection.read(&mut head).await?;
        if head
            .get(..read)
            .is_some_and(|head| head.starts_with(b"POST "))
        {
            return Ok(connection);
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_closes_the_upstream() -> Result {
    // An upstream that takes the request and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let options = StackOptions {
        settings: vec![(
            "SAM_MODEL_URL".to_owned(),
            format!("http://{}/v1", listener.local_addr()?),
        )],
        ..StackOptions::default()
    };
    let working = Caller::start(options).await?;
    let address = working.stack.url().trim_start_matches("http://");
    let mut client = TcpStream::connect(address).await?;
    let body = question(true).to_string();
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\n\r\n{body}",
        working.token,
        body.len()
    );
    client.write_all(request.as_bytes()).await?;
    let mut upstream = within("the upstream is called", PATIENCE, called(&listener)).await??;
    // A reset: before there is anything to write, the runtime notices nothing less.
    client.set_zero_linger()?;
    drop(client);
    // The upstream's end of the connection is closed: reading comes to its end.
    within("the upstream sees its client leave", PATIENCE, async {
        let mut buffer = [0; 4096];
        while upstream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    })
    .await?;
    working.until_calls(1).await.map(|_| ())
}

#[tokio::test]
async fn what_fails_upstream_is_told_and_counted() -> Result {
    let working = Caller::start(StackOptions::default()).await?;
    let gateway = working.stack.gateway();
    gateway
        .fault(&json!({"kind": "rate_limit", "retry_after": 7}))
        .await?;
    let reply = working.agent.post(CHAT, &question(true)).await?;
    let resets = ["retry-after", "x-ratelimit-reset-requests"];
    let resets = resets.map(|name| reply.header(name).unwrap_or_default());
    ensure(reply.status == 429 && resets == ["7", "7s"], || {
        format!("{} {:?}", reply.status, reply.headers)
    })?;
    gateway
        .fault(&json!({"kind": "cut", "after_chunks": 2}))
        .await?;
    let request = working
        .agent
        .request(Method::POST, CHAT)
        .json(&question(true));
    let mut response = within("the response begins", PATIENCE, request.send()).await??;
    let mut text = String::new();
    while let Ok(Some(chunk)) = within("the stream breaks off", PATIENCE, response.chunk()).await? {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    ensure(
        text.contains("upstream_broke_off") && !text.contains("[DONE]"),
        || format!("a cut stream looked like a whole one: {text}"),
    )?;
    let recorded = working.until_calls(2).await?;
    let ends = [("broke_off".to_owned(), 1), ("refused".to_owned(), 1)];
    ensure(
        recorded.unreported == 2 && recorded.ends == ends.into(),
        || format!("{recorded:?}"),
    )
}

#[tokio::test]
async fn an_upstream_that_falls_silent_is_ended_and_recorded_as_such() -> Result {
    let working = Caller::start(StackOptions {
        settings: vec![("SAM_MODEL_SILENCE".to_owned(), "2".to_owned())],
        ..StackOptions::default()
    })
    .await?;
    let gateway = working.stack.gateway();
    // In mid-stream: the client hears of it in the stream's own words.
    gateway
        .fault(&json!({"kind": "hold", "after_chunks": 2}))
        .await?;
    let text = working.agent.post(CHAT, &question(true)).await?.text();
    ensure(
        text.contains("upstream_silent") && !text.contains("[DONE]"),
        || text.clone(),
    )?;
    gateway
        .until("the upstream is closed", PATIENCE, |request| {
            request["outcome"] == "disconnected"
        })
        .await?;
    // Before the answer: a status of its own.
    gateway
        .fault(&json!({"kind": "slow_answer", "ms": 600_000}))
        .await?;
    let reply = working.agent.post(CHAT, &question(true)).await?;
    ensure(
        reply.status == 504 && reply.text().contains("upstream_timeout"),
        || format!("{} {}", reply.status, reply.text()),
    )?;
    let recorded = working.until_calls(2).await?;
    ensure(recorded.ends == [("silent".to_owned(), 2)].into(), || {
        format!("{recorded:?}")
    })
}

#[tokio::test]
async fn a_model_token_can_do_nothing_else() -> Result {
    let working = Caller::start(StackOptions::default()).await?;
    let anyone = working.stack.anyone()?;
    let mut wrong = Vec::new();
    for route in ROUTES {
        if matches!(
            route.principal,
            PrincipalKind::Public | PrincipalKind::ModelToken
        ) {
            continue;
        }
        let method = Method::from_bytes(route.method.word().as_bytes())?;
        let path = route
            .path
            .replace("{node}", &working.node.node.to_string())
            .replace(['{', '}'], "");
        // As a bearer token, and bare, as some clients of model APIs send their key.
        let bearer = working.agent.request(method.clone(), &path);
        let bare = anyone
            .request(method, &path)
            .header("x-api-key", &working.token);
        for request in [bearer, bare] {
            let reply = anyone.send(request).await?;
            if !matches!(reply.status, 401 | 403) {
                wrong.push(format!("{:?}: {}", route.id, reply.status));
            }
        }
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))?;
    // A changed byte anywhere makes it nobody's.
    let mut forged = working.token.clone();
    let last = if forged.ends_with('A') { 'B' } else { 'A' };
    forged.pop();
    forged.push(last);
    let as_workspace = working.token.replacen("sam_mdl_", "sam_wsp_", 1);
    for token in [
        forged.as_str(),
        as_workspace.as_str(),
        "sam_mdl_x.y",
        "sam_mdl_",
    ] {
        let reply = anyone
            .with_token(token)
            .post(CHAT, &question(false))
            .await?;
        ensure(matches!(reply.status, 401 | 403), || {
            format!("{} {}", reply.status, reply.text())
        })?;
        let said: Value = serde_json::from_slice(&reply.body)?;
        ensure(said.pointer("/error/type").is_some(), || said.to_string())?;
    }
    Ok(())
}

#[tokio::test]
async fn without_a_model_the_proxy_says_so() -> Result {
    let options = StackOptions {
        settings: vec![("SAM_MODEL_URL".to_owned(), String::new())],
        ..StackOptions::default()
    };
    let working = Caller::start(options).await?;
    let reply = working.agent.post(CHAT, &question(true)).await?;
    let said: Value = serde_json::from_slice(&reply.body)?;
    ensure(
        reply.status == 503 && said.pointer("/error/code") == Some(&json!("model_not_configured")),
        || format!("{} {said}", reply.status),
    )
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_bad_gateway() -> Result {
    // A port that is held, so that nobody else gets it, and that nobody listens on.
    let silent = tokio::net::TcpSocket::new_v4()?;
    silent.bind(([127, 0, 0, 1], 0).into())?;
    let address = silent.local_addr()?;
    let options = StackOptions {
        settings: vec![("SAM_MODEL_URL".to_owned(), format!("http://{address}/v1"))],
        ..StackOptions::default()
    };
    let working = Caller::start(options).await?;
    let begun = Instant::now();
    let reply = working.agent.post(CHAT, &question(true)).await?;
    let said: Value = serde_json::from_slice(&reply.body)?;
    ensure(
        reply.status == 502
            && said.pointer("/error/code") == Some(&json!("upstream_unreachable"))
            && begun.elapsed() < PATIENCE,
        || format!("{} {said}", reply.status),
    )?;
    ensure(!said.to_string().contains(&address.to_string()), || {
        said.to_string()
    })?;
    working.until_calls(1).await.map(|_| ())
}

#[tokio::test]
async fn an_ai_gateway_gets_its_own_header_and_names() -> Result {
    let options = StackOptions {
        settings: vec![(
            "SAM_MODEL_AUTH".to_owned(),
            "cf-aig-authorization".to_owned(),
        )],
        ..StackOptions::default()
    };
    let working = Caller::start(options).await?;
    let reply = working.agent.post(CHAT, &question(false)).await?;
    ensure(reply.status == 200, || {
        format!("{} {}", reply.status, reply.text())
    })?;
    let requests = working.stack.gateway().requests().await?;
    let seen = requests.last().cloned().unwrap_or_default();
    let names: Vec<String> =
        serde_json::from_value(seen.get("header_names").cloned().unwrap_or_default())?;
    ensure(
        names.iter().any(|name| name == "cf-aig-metadata")
            && names.iter().any(|name| name == "cf-aig-authorization")
            && !names.iter().any(|name| name == "authorization"),
        || format!("{names:?}"),
    )
}
