//! SAM's own tools for one agent session: an MCP server on a loopback address.
//!
//! Model: an agent is told of the server when its session opens, with a secret that is worthless
//! anywhere else. Of the protocol there is what a server without notifications needs: each request is
//! one POST, and its answer one JSON message. What a tool is asked goes to the session, which decides;
//! nothing is answered as done before it is.
//!
//! `request_human_input` does not wait for the person: agents give up calls that take long, and an
//! answer may come after the machine was restarted. The agent is told to end its turn, and the answer
//! is its next prompt.

use crate::relay::authorised;
use crate::secret::{Secret, redact};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use sam_domain::conversation::row::truncate;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// The versions of the protocol that are spoken, the newest first.
const VERSIONS: [&str; 3] = ["2025-06-18", "2025-03-26", "2024-11-05"];
/// Where it is served.
const PATH: &str = "/mcp";
/// Longest request.
const REQUEST_LIMIT: usize = 256 * 1024;
/// Longest question, in bytes.
const QUESTION_LIMIT: usize = 4000;
/// Most options of a question, and their longest, in bytes.
const OPTIONS: usize = 10;
const OPTION_LIMIT: usize = 300;
/// The tool that asks a person.
const ASK: &str = "request_human_input";

/// A question for the agent's person.
#[derive(Debug)]
pub(super) struct Question {
    /// Its words, with its options.
    pub(super) text: String,
    /// Told whether it was written down, or why not.
    pub(super) taken: oneshot::Sender<Result<(), &'static str>>,
}

/// A running server; dropping it closes the port.
#[derive(Debug)]
pub(super) struct Tools {
    address: SocketAddr,
    secret: Secret,
    server: JoinHandle<()>,
    questions: mpsc::Receiver<Question>,
}

struct Shared {
    secret: Secret,
    ask: mpsc::Sender<Question>,
}

impl Tools {
    /// Starts a server for one agent session on a free port.
    pub(super) async fn start() -> std::io::Result<Self> {
        let secret = Secret::random("sam_rel_")
            .ok_or_else(|| std::io::Error::other("this machine has no source of randomness"))?;
        let (ask, questions) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            secret: secret.clone(),
            ask,
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route(PATH, post(serve))
            .layer(DefaultBodyLimit::max(REQUEST_LIMIT))
            .with_state(shared);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                crate::log::warning!("SAM's tools are no longer served: {error}");
            }
        });
        Ok(Self {
            address,
            secret,
            server,
            questions,
        })
    }

    /// The server as a session of the Agent Client Protocol is told of it.
    pub(super) fn offer(&self) -> Value {
        json!({
            "type": "http",
            "name": "sam",
            "url": format!("http://{}{PATH}", self.address),
            "headers": [{
                "name": "Authorization",
                "value": format!("Bearer {}", self.secret.expose()),
            }],
        })
    }

    /// The next question for the agent's person.
    pub(super) async fn asked(&mut self) -> Question {
        match self.questions.recv().await {
            Some(question) => question,
            // The server is gone, and with it whoever could ask.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if !authorised(&headers, &shared.secret) {
        return answer(StatusCode::UNAUTHORIZED, None);
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        let error = json!({ "code": -32700, "message": "This is no JSON." });
        return answer(
            StatusCode::BAD_REQUEST,
            Some(reply(&Value::Null, Err(error))),
        );
    };
    // What has no id is a notification, and needs no answer.
    let Some(id) = message.get("id").filter(|id| !id.is_null()) else {
        return answer(StatusCode::ACCEPTED, None);
    };
    let method = message.get("method").and_then(Value::as_str).unwrap_or("");
    let params = message.get("params").unwrap_or(&Value::Null);
    let result = match method {
        "initialize" => Ok(initialized(params)),
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({ "tools": [described()] })),
        "tools/call" => called(&shared, params).await,
        _ => Err(json!({ "code": -32601, "message": "There is no such method here." })),
    };
    answer(StatusCode::OK, Some(reply(id, result)))
}

fn answer(status: StatusCode, body: Option<Value>) -> Response {
    let text = body.map(|body| body.to_string()).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn reply(id: &Value, result: Result<Value, Value>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    }
}

fn initialized(params: &Value) -> Value {
    let wanted = params.get("protocolVersion").and_then(Value::as_str);
    let version = VERSIONS.iter().find(|version| Some(**version) == wanted);
    json!({
        "protocolVersion": version.unwrap_or(&VERSIONS[0]),
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "sam", "version": env!("CARGO_PKG_VERSION") },
    })
}

fn described() -> Value {
    json!({
        "name": ASK,
        "title": "Ask the person",
        "description": "Ask the person you work for something that you cannot go on without: a \
            decision, a fact or a permission that nobody else can give. It does not wait: end your \
            turn after it, and the answer comes as your next prompt. Do not ask what you can find out \
            or decide yourself.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "question": {
                    "type": "string",
                    "description": "What you ask, with all that is needed to answer it.",
                },
                "options": {
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "Answers to choose from, where there are any.",
                },
            },
            "required": ["question"],
            "additionalProperties": false,
        },
        "annotations": { "readOnlyHint": true, "openWorldHint": false },
    })
}

async fn called(shared: &Shared, params: &Value) -> Result<Value, Value> {
    if params.get("name").and_then(Value::as_str) != Some(ASK) {
        return Err(json!({ "code": -32602, "message": "There is no such tool here." }));
    }
    let Some(text) = question(params.get("arguments").unwrap_or(&Value::Null)) else {
        return Ok(said("Nothing was asked: `question` is missing.", true));
    };
    let (taken, told) = oneshot::channel();
    let heard = shared.ask.send(Question { text, taken }).await.is_ok();
    let told = if heard { told.await.ok() } else { None };
    Ok(match told {
        Some(Ok(())) => said(
            "Your person was asked. End your turn now; the answer comes as your next prompt.",
            false,
        ),
        Some(Err(why)) => said(why, true),
        None => said("Nobody can be asked any more: this session is over.", true),
    })
}

fn said(text: &str, is_error: bool) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": is_error })
}

/// A question in its words, with its options below; bounded, and without secrets.
fn question(arguments: &Value) -> Option<String> {
    let asked = arguments.get("question").and_then(Value::as_str)?.trim();
    if asked.is_empty() {
        return None;
    }
    let mut text = truncate(asked, QUESTION_LIMIT).0.to_owned();
    let options = arguments.get("options").and_then(Value::as_array);
    let options = options.into_iter().flatten().filter_map(Value::as_str);
    for (n, option) in (1..).zip(options.take(OPTIONS)) {
        let gap = if n == 1 { "\n" } else { "" };
        let option = truncate(option.trim(), OPTION_LIMIT).0;
        text.push_str(&format!("{gap}\n{n}. {option}"));
    }
    Some(redact(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client")
    }

    /// Posts a message as an agent does that was told of the server.
    async fn post(offer: &Value, message: Value) -> (u16, Value) {
        let shown = offer["headers"][0]["value"].as_str().expect("a secret");
        let answer = client()
            .post(offer["url"].as_str().expect("an address"))
            .header("Authorization", shown)
            .body(message.to_string())
            .send()
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("text");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn call(arguments: Value) -> Value {
        json!({
            "jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": { "name": ASK, "arguments": arguments },
        })
    }

    #[tokio::test]
    async fn a_person_is_asked_through_the_protocol() {
        let mut tools = Tools::start().await.expect("a server");
        let offer = tools.offer();
        let hello = json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": { "protocolVersion": "2025-03-26" },
        });
        let (status, said) = post(&offer, hello).await;
        let version = &said["result"]["protocolVersion"];
        assert_eq!((status, version.as_str()), (200, Some("2025-03-26")));
        let (status, _) = post(
            &offer,
            json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        )
        .await;
        assert_eq!(status, 202);
        let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
        let (_, said) = post(&offer, list).await;
        assert_eq!(said["result"]["tools"][0]["name"], ASK);

        let asking = call(json!({ "question": " Which? ", "options": ["a", "b"] }));
        let answering = async {
            let question = tools.asked().await;
            assert_eq!(question.text, "Which?\n\n1. a\n2. b");
            question.taken.send(Ok(())).expect("it waits");
        };
        let ((_, said), ()) = tokio::join!(post(&offer, asking), answering);
        assert_eq!(
            (&said["id"], &said["result"]["isError"]),
            (&json!(7), &json!(false))
        );
        let (_, said) = post(&offer, call(json!({ "question": "  " }))).await;
        assert_eq!(said["result"]["isError"], true);
        let (_, said) = post(&offer, json!({ "id": 3, "method": "resources/list" })).await;
        assert_eq!(said["error"]["code"], -32601);
    }

    #[tokio::test]
    async fn without_the_sessions_secret_nobody_is_asked() {
        let tools = Tools::start().await.expect("a server");
        let mut offer = tools.offer();
        offer["headers"][0]["value"] = "Bearer sam_rel_other".into();
        let (status, said) = post(&offer, call(json!({ "question": "?" }))).await;
        assert_eq!((status, said), (401, Value::Null));
    }
}
