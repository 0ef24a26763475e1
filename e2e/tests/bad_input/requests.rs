//! Requests that are not as they should be, and a machine whose clock is off.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Method;
use sam_domain::conversation::row::RowBody;
use sam_domain::conversation::wire::{MessagePage, PromptAccepted};
use sam_domain::error::ErrorBody;
use sam_domain::id::{Id as _, RowId};
use sam_domain::link::frame::Event;
use sam_domain::time::Timestamp;
use sam_e2e::node::ScriptedNode;
use sam_e2e::{Client, Reply, Result, Stack, ensure, failure, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(60);
/// The longest body, in bytes.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

fn expect(what: &str, reply: &Reply, status: u16, code: &str) -> Result {
    ensure(
        (reply.status, reply.code().as_str()) == (status, code),
        || {
            format!(
                "{what}: expected {status} {code}: {} {}",
                reply.status,
                reply.text()
            )
        },
    )
}

#[tokio::test]
async fn requests_out_of_shape_are_refused_in_words() -> Result {
    let stack = Stack::start().await?;
    let admin = stack.admin()?;
    let post = |body: Vec<u8>| admin.request(Method::POST, "/api/projects").body(body);
    let json = br#"{"repository":"/nowhere"}"#;
    let deep = |open: &str| format!("{{\"repository\":{}", open.repeat(200_000)).into_bytes();
    let typed = |kind: &str| post(json.to_vec()).header("content-type", kind);
    for (what, request, status, code) in [
        (
            "cut off",
            post(b"{\"repository\":\"/x".to_vec()),
            400,
            "malformed_body",
        ),
        ("empty", post(Vec::new()), 400, "malformed_body"),
        (
            "not UTF-8",
            post(b"{\"repository\":\"/\xff\"}".to_vec()),
            400,
            "malformed_body",
        ),
        ("deep arrays", post(deep("[")), 400, "malformed_body"),
        ("deep objects", post(deep("{\"a\":")), 400, "malformed_body"),
        (
            "twice",
            post(br#"{"repository":"/x","repository":"/y"}"#.to_vec()),
            400,
            "malformed_body",
        ),
        (
            "wrong type",
            post(br#"{"repository":7}"#.to_vec()),
            400,
            "malformed_body",
        ),
        (
            "unknown field",
            post(br#"{"repository":"/x","x":1}"#.to_vec()),
            400,
            "malformed_body",
        ),
        (
            "a name that cannot be seen",
            post(br#"{"repository":"/x","name":"a\u001b[2J"}"#.to_vec()),
            400,
            "bad_request",
        ),
        (
            "a form",
            typed("application/x-www-form-urlencoded"),
            415,
            "unsupported_media_type",
        ),
        (
            "plain text",
            typed("text/plain;charset=UTF-8"),
            415,
            "unsupported_media_type",
        ),
        (
            "a long query",
            admin.request(Method::GET, &format!("/api/nodes/{}", "x".repeat(8000))),
            404,
            "not_found",
        ),
    ] {
        let reply = admin.send(request).await?;
        expect(what, &reply, status, code)?;
        ensure(reply.body.len() < 2000, || {
            format!("{what}: {}", reply.body.len())
        })?;
    }
    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        let reply = admin.send(typed(kind)).await?;
        ensure(reply.status == 201, || format!("{kind}: {}", reply.text()))?;
    }
    // The runtime has a bound of its own for what comes before the body.
    let giant = admin
        .request(Method::GET, "/api/auth/me")
        .header("x-giant", "x".repeat(1024 * 1024));
    if let Ok(reply) = admin.send(giant).await {
        ensure((400..500).contains(&reply.status), || reply.text())?;
    }
    ensure(admin.get("/api/auth/me").await?.status == 200, || {
        "after a giant header nothing is answered".to_owned()
    })
}

/// Sends a request to its end before it listens, and returns what comes back.
async fn sent_first(client: &Client, head: &str, body: &[u8]) -> Result<String> {
    let address = client.base().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await?;
    let head = format!("{head}\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    within("an answer", PATIENCE, async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut chunk = [0; 4096];
        while !String::from_utf8_lossy(&answer).contains("}}") {
            match stream.read(&mut chunk).await? {
                0 => break,
                n => answer.extend_from_slice(chunk.get(..n).unwrap_or_default()),
            }
        }
        Result::Ok(())
    })
    .await??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn bodies_have_their_name_and_their_limit() -> Result {
    let stack = Stack::start().await?;
    let mut node = ScriptedNode::join(&stack, "bodies").await?;
    let project = stack.create_project("/nowhere").await?;
    stack
        .submit(&project.id, "bodies", &json!({"prompt": "hello"}))
        .await?;
    let prompt = node.play_to_prompt().await?;
    let tokens = node.tokens(&prompt.workspace).await?;
    let workspace = stack.anyone()?.with_token(&tokens.workspace_token);
    let path = |name: &str| format!("/api/workspaces/{}/bodies/{name}", prompt.workspace);
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let put = |name: &str, body: Vec<u8>| workspace.request(Method::PUT, &path(name)).body(body);
    for (what, request, status, code) in [
        (
            "other bytes",
            put(abc, b"abd".to_vec()),
            400,
            "body_mismatch",
        ),
        ("no bytes", put(abc, Vec::new()), 400, "body_mismatch"),
        (
            "a short name",
            put("ba78", b"abc".to_vec()),
            400,
            "bad_body_name",
        ),
        (
            "capitals",
            put(&abc.to_uppercase(), b"abc".to_vec()),
            400,
            "bad_body_name",
        ),
        (
            "a path",
            put("..%2f..%2fetc", b"abc".to_vec()),
            400,
            "bad_body_name",
        ),
        (
            "too long",
            put(abc, vec![0; BODY_LIMIT + 1]),
            413,
            "body_too_large",
        ),
        (
            "not there",
            workspace.request(Method::GET, &path(abc)),
            404,
            "not_found",
        ),
    ] {
        expect(what, &workspace.send(request).await?, status, code)?;
    }
    let reply = workspace.send(put(abc, b"abc".to_vec())).await?;
    ensure(reply.status == 200, || reply.text())?;
    let reply = workspace.get(&path(abc)).await?;
    ensure(reply.text() == "abc", || reply.text())?;

    // What is announced as too long is refused before it comes.
    for length in [(BODY_LIMIT + 1).to_string(), "9".repeat(17)] {
        let head = format!(
            "PUT {} HTTP/1.1\r\nauthorization: Bearer {}\r\ncontent-length: {length}",
            path(abc),
            tokens.workspace_token
        );
        let answer = sent_first(&workspace, &head, b"").await?;
        ensure(
            answer.contains(" 413 ") && answer.contains("body_too_large"),
            || format!("{length}: {answer}"),
        )?;
    }
    // Whoever sends all of it first finds the refusal and no broken connection.
    let long = vec![0; 3 * BODY_LIMIT];
    let in_pieces = [
        format!("{:x}\r\n", long.len()).as_bytes(),
        &long,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let length = format!("content-length: {}", long.len());
    let pieces = "transfer-encoding: chunked".to_owned();
    for (token, length, body, code) in [
        (
            tokens.workspace_token.as_str(),
            &length,
            &long,
            "body_too_large",
        ),
        (
            tokens.workspace_token.as_str(),
            &pieces,
            &in_pieces,
            "body_too_large",
        ),
        ("nobody's", &length, &long, "invalid_token"),
        ("nobody's", &pieces, &in_pieces, "invalid_token"),
    ] {
        let head = format!(
            "PUT {} HTTP/1.1\r\nauthorization: Bearer {token}\r\n{length}",
            path(abc)
        );
        let answer = sent_first(&workspace, &head, body).await?;
        ensure(answer.contains(code), || format!("{length}: {answer}"))?;
    }

    let messages = format!("/api/workspaces/{}/messages", prompt.workspace);
    let row = |n: u64, author: &str, text: &str| {
        json!({"n": n, "id": RowId::mint(Timestamp(n), 1), "rev": 1, "author": author, "created_at": 5,
               "kind": "text", "body": {"text": text}})
    };
    let many: Vec<Value> = (1..=101).map(|n| row(n, "agent", "x")).collect();
    for (what, rows, status, code) in [
        ("many rows", json!({"rows": many}), 413, "batch_too_large"),
        (
            "a long batch",
            json!({"rows": [row(1, "agent", &"x".repeat(300 * 1024))]}),
            413,
            "body_too_large",
        ),
        (
            "an unknown kind",
            json!({"rows": [{"n": 1, "kind": "song"}]}),
            400,
            "malformed_body",
        ),
        (
            "a foreign id",
            json!({"rows": [{"n": 1, "id": "tsk_01jd8x00000000000000000000"}]}),
            400,
            "malformed_body",
        ),
    ] {
        expect(what, &workspace.post(&messages, &rows).await?, status, code)?;
    }
    // A number that the store cannot hold costs its row alone.
    let endless = json!({"rows": [row(u64::MAX, "agent", "far away"), row(1, "agent", "here")]});
    let reply = workspace.post(&messages, &endless).await?;
    ensure(
        reply.text() == r#"{"outcomes":["refused","accepted"]}"#,
        || reply.text(),
    )?;
    let mixed =
        json!({"rows": [row(1, "person", "I did not say this"), row(2, "agent", "but this")]});
    let reply = workspace.post(&messages, &mixed).await?;
    ensure(
        reply.text() == r#"{"outcomes":["refused","accepted"]}"#,
        || reply.text(),
    )
}

#[tokio::test]
async fn a_key_is_one_intent_of_one_person_on_one_route() -> Result {
    let stack = Stack::start().await?;
    let project = stack.create_project("/nowhere").await?;
    let other = stack.create_project("/elsewhere").await?;
    let submitted = stack
        .submit(&project.id, "key", &json!({"prompt": "one"}))
        .await?;
    let admin = stack.admin()?;
    let prompts = |session| format!("/api/projects/{}/sessions/{session}/prompts", project.id);
    let path = prompts(submitted.session.clone());
    // The same key on another route is another intent.
    let first: PromptAccepted = admin
        .intend(&path, "key", &json!({"text": "two"}))
        .await?
        .json()?;
    let again: PromptAccepted = admin
        .intend(&path, "key", &json!({"text": "two"}))
        .await?
        .json()?;
    ensure(first == again, || format!("{first:?} {again:?}"))?;
    let reply = admin
        .intend(&path, "key", &json!({"text": "three"}))
        .await?;
    ensure(reply.status == 409, || reply.text())?;
    // Even where the words are the same and only the conversation is another.
    let second = stack
        .submit(&project.id, "key-2", &json!({"prompt": "one"}))
        .await?;
    let elsewhere = admin
        .intend(&prompts(second.session), "key", &json!({"text": "three"}))
        .await?;
    ensure(elsewhere.status == 409, || elsewhere.text())?;
    // In another project it is free.
    let free = stack
        .submit(&other.id, "key", &json!({"prompt": "something else"}))
        .await?;
    ensure(free.task != submitted.task, || format!("{free:?}"))?;
    for key in ["", "a key", "\u{e4}", &"k".repeat(201)] {
        let request = admin
            .request(Method::POST, &path)
            .header("idempotency-key", key.as_bytes())
            .json(&json!({"text": "x"}));
        let reply = admin.send(request).await?;
        let refused: ErrorBody = serde_json::from_slice(&reply.body)?;
        ensure(
            reply.status == 400 && refused.error.code.contains("idempotency_key"),
            || format!("{key:?}: {}", reply.text()),
        )?;
    }
    Ok(())
}

fn now() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_millis())?)
}

#[tokio::test]
async fn a_machine_whose_clock_is_a_day_off_works_and_dates_nothing() -> Result {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let stack = Stack::start().await?;
    for (name, ahead) in [("ahead", true), ("behind", false)] {
        let theirs = |moment: u64| if ahead { moment + DAY } else { moment - DAY };
        let mut node = ScriptedNode::join(&stack, name).await?;
        let project = stack.create_project("/nowhere").await?;
        let submitted = stack
            .submit(&project.id, name, &json!({"prompt": "hello"}))
            .await?;
        let prompt = node.play_to_prompt().await?;
        let tokens = node.tokens(&prompt.workspace).await?;
        ensure(tokens.expires_in.0 > 0, || format!("{tokens:?}"))?;
        let workspace = stack.anyone()?.with_token(&tokens.workspace_token);
        let before = now()?;
        let sent = theirs(now()?);
        let path = format!(
            "/api/workspaces/{}/messages?sent_at={sent}",
            prompt.workspace
        );
        let row = json!({"rows": [{
            "n": 1, "id": RowId::mint(Timestamp(sent), 1), "rev": 1, "author": "agent",
            "created_at": sent - 4000, "kind": "text",
            "body": {"text": "said four seconds ago", "ended_at": sent - 1000},
        }]});
        let reply = workspace.post(&path, &row).await?;
        ensure(reply.text() == r#"{"outcomes":["accepted"]}"#, || {
            reply.text()
        })?;
        let through = node
            .report(
                &prompt.workspace,
                prompt.attempt,
                Event::WorkspacePhase {
                    phase: "late".to_owned(),
                },
            )
            .await?;
        node.stored(through).await?;
        let path = format!(
            "/api/projects/{}/sessions/{}/messages",
            project.id, submitted.session
        );
        let page: MessagePage = stack.admin()?.get(&path).await?.json()?;
        let after = now()?;
        let dated = page.rows.iter().find_map(|row| match &row.body {
            RowBody::Text(text) if text.text.starts_with("said") => {
                Some((row.created_at.0, text.ended_at?.0))
            }
            _ => None,
        });
        let (created, ended) = dated.ok_or_else(|| failure("the row is not there"))?;
        ensure(
            (before - 4000..=after).contains(&created) && ended == created + 3000,
            || format!("{name}: {created} and {ended} between {before} and {after}"),
        )?;
        let view = stack.task(&submitted.task).await?;
        let times = view.steps.iter().map(|step| step.started_at.0);
        ensure(
            times.clone().all(|at| at <= after && at + DAY / 2 > after),
            || format!("{view:?}"),
        )?;
    }
    Ok(())
}
