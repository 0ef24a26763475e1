//! A control plane that closes connections, has no setting, or refuses a token.

use super::{NodeIdentity, WorkspaceApi};
use crate::api::{Api, ApiFailure};
use crate::secret::Secret;
use sam_domain::id::{Id, NodeId, WorkspaceId};
use sam_domain::time::Timestamp;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, RwLock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the list of models is answered with.
#[derive(Clone, Copy)]
enum Answer {
    /// The connection is closed instead.
    Nothing,
    Status(u16, &'static str),
}

/// Serves one request a connection: tokens always, the models as it is told, one answer each.
async fn control_plane(answers: &'static [Answer]) -> (WorkspaceApi, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut tokens = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read(&mut stream).await;
            if request.starts_with("POST") {
                tokens += 1;
                let body = json!({
                    "workspace_token": format!("w{tokens}"), "model_token": format!("m{tokens}"),
                    "expires_at": 1, "expires_in": 3_600_000
                });
                reply(&mut stream, 200, &body.to_string()).await;
                continue;
            }
            let number = {
                let mut heard = heard.lock().expect("heard");
                let token = request
                    .lines()
                    .find_map(|line| line.strip_prefix("authorization: Bearer "));
                heard.push(token.unwrap_or_default().to_owned());
                heard.len() - 1
            };
            if let Some(Answer::Status(status, body)) = answers.get(number) {
                reply(&mut stream, *status, body).await;
            }
        }
    });
    let api = Api::new(&format!("http://{address}")).expect("an API");
    let node = Arc::new(RwLock::new(NodeIdentity {
        node: NodeId::mint(Timestamp(1), 1),
        token: Secret::new("sam_nod_of-this-test-alone"),
    }));
    let workspace = WorkspaceId::mint(Timestamp(1), 2);
    (WorkspaceApi::new(&api, &node, &workspace), asked)
}

/// A request whose head and body came in full.
async fn read(stream: &mut TcpStream) -> String {
    let mut held = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&held).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().expect("a length"));
            if body.len() >= length {
                return text;
            }
        }
        if stream.read_buf(&mut held).await.expect("read") == 0 {
            return text;
        }
    }
}

async fn reply(stream: &mut TcpStream, status: u16, body: &str) {
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .expect("written");
}

async fn models(answers: &'static [Answer]) -> (Result<Value, ApiFailure>, Vec<String>) {
    let (api, asked) = control_plane(answers).await;
    let list = api.until_answered("models", WorkspaceApi::models).await;
    let asked = asked.lock().expect("asked").clone();
    (list, asked)
}

#[tokio::test]
async fn the_list_of_models_is_asked_for_again_when_no_answer_came() {
    let (list, asked) = models(&[
        Answer::Nothing,
        Answer::Status(500, "no"),
        Answer::Status(200, r#"{"data": []}"#),
    ])
    .await;
    assert_eq!(list.expect("a list"), json!({ "data": [] }));
    assert_eq!(asked, ["m1", "m1", "m1"]);
}

#[tokio::test]
async fn a_model_token_that_is_not_accepted_is_replaced() {
    let (list, asked) = models(&[
        Answer::Status(401, "{}"),
        Answer::Status(200, r#"{"data": []}"#),
    ])
    .await;
    assert!(list.is_ok(), "{list:?}");
    assert_eq!(asked, ["m1", "m2"]);
}

#[tokio::test]
async fn what_only_a_person_can_mend_is_said_at_once() {
    const BODY: &str =
        r#"{"error": {"code": "model_not_configured", "message": "No model.", "type": "x"}}"#;
    let (list, asked) = models(&[Answer::Status(503, BODY)]).await;
    let refused =
        matches!(list, Err(ApiFailure::Refused { ref code, .. }) if code == "model_not_configured");
    assert!(refused && asked.len() == 1, "{list:?} {asked:?}");
}
