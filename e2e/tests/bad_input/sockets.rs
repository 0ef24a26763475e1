//! Frames that are none. Whoever sends them is told or closed; the object, and everybody else on it,
//! goes on.

use std::time::Duration;

use sam_domain::conversation::wire::LiveDelta;
use sam_domain::feed::{ClientFrame, Scope, ServerFrame};
use sam_domain::id::{Id as _, RowId};
use sam_domain::link::frame::{FRAME_LIMIT, ObjectFrame};
use sam_domain::time::Timestamp;
use sam_e2e::node::ScriptedNode;
use sam_e2e::{Client, Result, Socket, Stack, ensure, failure};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// A frame that is none.
enum Bad {
    Text(String),
    Bytes(Vec<u8>),
}

/// Frames that no socket takes, with a word for each.
fn bad_frames() -> Vec<(&'static str, Bad)> {
    let text = |text: &str| Bad::Text(text.to_owned());
    vec![
        ("binary", Bad::Bytes(b"{\"t\":\"ping\"}".to_vec())),
        ("empty", text("")),
        ("not JSON", text("hello")),
        ("cut off", text(r#"{"t":"hel"#)),
        ("no object", text("[1,2,3]")),
        ("unknown", text(r#"{"t":"nothing_we_know"}"#)),
        ("without a word", text(r#"{"after":1}"#)),
        (
            "wrong types",
            text(r#"{"t":7,"scope":[],"row":{},"append":9}"#),
        ),
        ("half a pair", text(r#"{"t":"\ud800"}"#)),
        (
            "deep",
            Bad::Text(format!("{{\"t\":{}", "[".repeat(100_000))),
        ),
        (
            "a great number",
            Bad::Text(format!(
                "{{\"t\":\"follow\",\"after\":1{}}}",
                "0".repeat(400)
            )),
        ),
        (
            "long",
            Bad::Text(format!("{{\"t\":\"{}\"}}", "x".repeat(FRAME_LIMIT))),
        ),
        (
            "very long",
            Bad::Text(format!("{{\"t\":\"{}\"}}", "x".repeat(5 * 1024 * 1024))),
        ),
    ]
}

async fn send(socket: &mut Socket, bad: Bad) -> Result {
    match bad {
        Bad::Text(text) => socket.send_text(&text).await,
        Bad::Bytes(bytes) => socket.send_bytes(bytes).await,
    }
}

/// Waits until the other side has closed the socket, or broken it off.
async fn until_closed(socket: &mut Socket) -> Vec<String> {
    let mut heard = Vec::new();
    while let Ok(Some(text)) = socket.next_text(PATIENCE).await {
        heard.push(text);
    }
    heard
}

#[tokio::test]
async fn a_link_with_a_bad_frame_is_closed_and_no_other() -> Result {
    let stack = Stack::start().await?;
    let mut node = ScriptedNode::join(&stack, "link").await?;
    let path = format!("/api/nodes/{}/link", node.node);
    for (word, bad) in bad_frames() {
        // The runtime itself breaks off what is beyond its own bound.
        let very_long = word == "very long";
        let mut socket = node.client().socket(&path).await?;
        send(&mut socket, bad).await?;
        let heard = until_closed(&mut socket).await;
        let bye = heard.iter().any(|text| {
            matches!(serde_json::from_str(text), Ok(ObjectFrame::Bye { reason }) if reason == "malformed")
        });
        ensure(bye || very_long, || format!("{word}: {heard:?}"))?;
    }
    // Words that are right at a moment that is not.
    for early in [
        json!({"t": "ack", "command": "cmd_01jd8x00000000000000000000"}),
        json!({"t": "event", "n": u64::MAX, "attempt": 1, "at": u64::MAX, "event": {"event": "workspace_phase", "phase": "x"}}),
    ] {
        let mut socket = node.client().socket(&path).await?;
        socket.send(&early).await?;
        socket.close().await?;
    }
    // Many at once are answered one by one.
    let mut socket = node.client().socket(&path).await?;
    for _ in 0..1000 {
        socket.send_text(r#"{"t": "ping"}"#).await?;
    }
    for _ in 0..1000 {
        let ObjectFrame::Pong = socket.next(PATIENCE).await? else {
            return Err(failure("something else than an answer"));
        };
    }
    // The link that was there all the time does its work.
    let project = stack.create_project("/nowhere").await?;
    stack
        .submit(&project.id, "after", &json!({"prompt": "hello"}))
        .await?;
    node.play_to_prompt().await?;
    Ok(())
}

/// Follows a project to the present.
async fn follow(client: &Client, project: &sam_domain::id::ProjectId) -> Result<Socket> {
    let mut socket = client
        .socket(&format!("/api/projects/{project}/feed"))
        .await?;
    socket
        .send(&ClientFrame::Follow {
            scope: Scope::Project(project.clone()),
            after: 0,
            epoch: None,
        })
        .await?;
    let reached = |frame| matches!(frame, ServerFrame::Changes { more: false, .. }).then_some(());
    socket.until("the present", PATIENCE, reached).await?;
    Ok(socket)
}

#[tokio::test]
async fn a_follower_with_bad_frames_is_told_and_still_follows() -> Result {
    let stack = Stack::start().await?;
    let project = stack.create_project("/nowhere").await?;
    let mut other = follow(stack.admin()?, &project.id).await?;
    for (word, bad) in bad_frames() {
        let mut socket = follow(stack.admin()?, &project.id).await?;
        let very_long = word == "very long";
        let too_long = matches!(&bad, Bad::Text(text) if text.len() > 4096);
        send(&mut socket, bad).await?;
        let expect = if too_long {
            "frame_too_large"
        } else {
            "malformed"
        };
        let told = socket
            .until("a refusal", PATIENCE, |frame| match frame {
                ServerFrame::Refused { code, .. } => Some(code),
                _ => None,
            })
            .await;
        match told {
            Ok(code) => ensure(code == expect, || format!("{word}: {code}"))?,
            Err(error) => ensure(very_long, || format!("{word}: {error}"))?,
        }
    }
    // One that asks for what is not there, and far too much, is told each time.
    let mut busy = follow(stack.admin()?, &project.id).await?;
    for _ in 0..500 {
        busy.send_text("{}").await?;
        busy.send(&json!({"t": "next", "scope": {"session": "ses_01jd8x00000000000000000000"}, "to": u64::MAX}))
            .await?;
    }
    let mut told = 0;
    while told < 1000 {
        let ServerFrame::Refused { .. } = busy.next(PATIENCE).await? else {
            continue;
        };
        told += 1;
    }
    let submitted = stack
        .submit(&project.id, "after", &json!({"prompt": "hello"}))
        .await?;
    let task = submitted.task.to_string();
    for socket in [&mut other, &mut busy] {
        socket
            .until("the task", PATIENCE, |frame: serde_json::Value| {
                frame.to_string().contains(&task).then_some(())
            })
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_live_socket_with_a_bad_frame_is_closed_and_rows_still_come() -> Result {
    let stack = Stack::start().await?;
    let mut node = ScriptedNode::join(&stack, "live").await?;
    let project = stack.create_project("/nowhere").await?;
    stack
        .submit(&project.id, "live", &json!({"prompt": "hello"}))
        .await?;
    let prompt = node.play_to_prompt().await?;
    let tokens = node.tokens(&prompt.workspace).await?;
    let workspace = stack.anyone()?.with_token(&tokens.workspace_token);
    let path = format!("/api/workspaces/{}/live", prompt.workspace);
    let delta = |append: String| LiveDelta {
        row: RowId::mint(Timestamp(1), 1),
        rev: 1,
        at: 0,
        append,
    };
    let too_long = serde_json::to_string(&delta("x".repeat(20 * 1024)))?;
    let bad = bad_frames()
        .into_iter()
        .chain([("too much text", Bad::Text(too_long))]);
    for (word, bad) in bad {
        let mut socket = workspace.socket(&path).await?;
        // One that says nothing is harmless.
        socket.send(&delta(String::new())).await?;
        send(&mut socket, bad).await?;
        let heard = until_closed(&mut socket).await;
        ensure(heard.is_empty(), || format!("{word}: {heard:?}"))?;
    }
    let row = json!({"rows": [{
        "n": 1, "id": RowId::mint(Timestamp(2), 2), "rev": 1, "author": "agent", "created_at": 5,
        "kind": "text", "body": {"text": "still here"},
    }]});
    let path = format!("/api/workspaces/{}/messages", prompt.workspace);
    let reply = workspace.post(&path, &row).await?;
    ensure(reply.text() == r#"{"outcomes":["accepted"]}"#, || {
        reply.text()
    })
}
