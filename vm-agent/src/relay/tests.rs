//! The relay between a client and a control plane that do as the test says.

use super::Relay;
use crate::api::{Api, NodeIdentity, WorkspaceApi};
use crate::secret::Secret;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::{StreamExt, stream};
use sam_domain::access::wire::WorkspaceTokens;
use sam_domain::id::{Id, NodeId, WorkspaceId};
use sam_domain::time::{Millis, Timestamp};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::time::timeout;

type Seen = (String, Vec<(String, String)>, String);

#[derive(Default)]
struct Plane {
    tokens: AtomicUsize,
    /// Model tokens up to this number are refused.
    refuse_through: AtomicUsize,
    /// The rest of the answer waits for this.
    release: Notify,
    /// The answer's stream was dropped before its end.
    left: AtomicBool,
    /// Path, headers and body of each request.
    seen: Mutex<Vec<Seen>>,
}

struct SetOnDrop(Arc<Plane>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.left.store(true, Ordering::Relaxed);
    }
}

async fn tokens(State(plane): State<Arc<Plane>>) -> impl IntoResponse {
    let n = plane.tokens.fetch_add(1, Ordering::Relaxed) + 1;
    axum::Json(WorkspaceTokens {
        workspace_token: format!("sam_wsp_rows-token-number-{n}"),
        model_token: format!("sam_mdl_model-token-number-{n}"),
        expires_at: Timestamp(1),
        expires_in: Millis::hours(1),
    })
}

async fn model(State(plane): State<Arc<Plane>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                value.to_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let text = String::from_utf8_lossy(&body).into_owned();
    let token = headers
        .iter()
        .find(|(name, _)| name == "authorization")
        .expect("authorised")
        .1
        .clone();
    plane
        .seen
        .lock()
        .expect("seen")
        .push((parts.uri.to_string(), headers, text.clone()));
    let number: usize = token
        .rsplit('-')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    if number <= plane.refuse_through.load(Ordering::Relaxed) {
        return (axum::http::StatusCode::UNAUTHORIZED, "expired").into_response();
    }
    if text == "limited" {
        let headers = [("retry-after", "7"), ("set-cookie", "a=b")];
        return (
            axum::http::StatusCode::TOO_MANY_REQUESTS,
            headers,
            "slow down",
        )
            .into_response();
    }
    let guard = SetOnDrop(Arc::clone(&plane));
    let rest = stream::once(async move {
        guard.0.release.notified().await;
        Ok("second")
    });
    let chunks = stream::once(async { Ok::<_, std::io::Error>("first ") }).chain(rest);
    let headers = [("content-type", "text/event-stream")];
    (headers, Body::from_stream(chunks)).into_response()
}

async fn serve(listener: TcpListener, plane: Arc<Plane>) {
    let router = Router::new()
        .route("/api/nodes/{node}/tokens", post(tokens))
        .route("/ai/v1/chat/completions", post(model))
        .with_state(plane);
    axum::serve(listener, router).await.expect("served");
}

struct Bench {
    plane: Arc<Plane>,
    relay: Relay,
    http: reqwest::Client,
}

async fn relay_to(address: SocketAddr, hold: Duration) -> Relay {
    let api = Api::new(&format!("http://{address}")).expect("an API");
    let node = Arc::new(RwLock::new(NodeIdentity {
        node: NodeId::mint(Timestamp(1), 1),
        token: Secret::new("sam_nod_of-this-test-alone"),
    }));
    let api = WorkspaceApi::new(&api, &node, &WorkspaceId::mint(Timestamp(1), 2));
    Relay::start_with(&api, hold).await.expect("a relay")
}

impl Bench {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let plane = Arc::new(Plane::default());
        tokio::spawn(serve(listener, Arc::clone(&plane)));
        let relay = relay_to(address, Duration::from_secs(5)).await;
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        Self { plane, relay, http }
    }

    fn request(&self, body: &'static str) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}/v1/chat/completions?x=1", self.relay.origin()))
            .body(body)
    }

    fn allowed(&self, body: &'static str) -> reqwest::RequestBuilder {
        self.request(body).bearer_auth(self.relay.secret().expose())
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), waited)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[tokio::test]
async fn only_the_sessions_secret_opens_it() {
    let bench = Bench::new().await;
    for request in [
        bench.request("x"),
        bench.request("x").bearer_auth("sam_rel_wrong"),
        bench.request("x").bearer_auth(""),
        bench.request("x").header("x-api-key", "wrong"),
    ] {
        assert_eq!(request.send().await.expect("answered").status(), 401);
    }
    let elsewhere = format!("{}/admin", bench.relay.origin());
    let request = bench
        .http
        .get(elsewhere)
        .bearer_auth(bench.relay.secret().expose());
    assert_eq!(request.send().await.expect("answered").status(), 404);
    // Written to the wire as it is: a client would resolve the path itself.
    let origin = bench.relay.origin();
    let address = origin.strip_prefix("http://").expect("an address");
    let mut raw = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    let head = format!(
        "GET /v1/%2e%2e/../api/nodes HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\nconnection: close\r\n\r\n",
        bench.relay.secret().expose()
    );
    raw.write_all(head.as_bytes()).await.expect("written");
    let mut answer = String::new();
    raw.read_to_string(&mut answer).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(
        bench.plane.seen.lock().expect("seen").is_empty(),
        "nothing was forwarded"
    );
    bench.plane.release.notify_one();
    let by_key = bench
        .request("x")
        .header("x-api-key", bench.relay.secret().expose());
    assert_eq!(by_key.send().await.expect("answered").status(), 200);
}

#[tokio::test]
async fn the_first_piece_arrives_while_the_rest_is_held() {
    let bench = Bench::new().await;
    let answer = bench
        .allowed("hello")
        .header("x-mine", "1")
        .send()
        .await
        .expect("answered");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut pieces = answer.bytes_stream();
    let first = timeout(Duration::from_secs(60), pieces.next())
        .await
        .expect("in time");
    assert_eq!(first.expect("a piece").expect("bytes"), "first ");
    bench.plane.release.notify_one();
    assert_eq!(
        pieces.next().await.expect("a piece").expect("bytes"),
        "second"
    );
    let seen = bench.plane.seen.lock().expect("seen");
    let (uri, headers, body) = &seen[0];
    assert_eq!(
        (uri.as_str(), body.as_str()),
        ("/ai/v1/chat/completions?x=1", "hello")
    );
    let value = |wanted: &str| {
        headers
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(
        value("authorization"),
        Some("Bearer sam_mdl_model-token-number-1")
    );
    assert_eq!(value("x-mine"), Some("1"));
    let secret = bench.relay.secret().expose();
    assert!(headers.iter().all(|(_, value)| !value.contains(secret)));
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_upstream() {
    let bench = Bench::new().await;
    let answer = bench.allowed("hello").send().await.expect("answered");
    let mut pieces = answer.bytes_stream();
    pieces.next().await.expect("a piece").expect("bytes");
    assert!(!bench.plane.left.load(Ordering::Relaxed));
    drop(pieces);
    let plane = Arc::clone(&bench.plane);
    until("the upstream is closed", || {
        plane.left.load(Ordering::Relaxed)
    })
    .await;
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let bench = Bench::new().await;
    bench.plane.refuse_through.store(1, Ordering::Relaxed);
    bench.plane.release.notify_one();
    let answer = bench.allowed("hello").send().await.expect("answered");
    assert_eq!(answer.status(), 200);
    assert_eq!(bench.plane.seen.lock().expect("seen").len(), 2);
    bench.plane.refuse_through.store(100, Ordering::Relaxed);
    let answer = bench.allowed("hello").send().await.expect("answered");
    assert_eq!(answer.status(), 401);
    assert_eq!(bench.plane.tokens.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_the_upstream_answers_is_passed_on() {
    let bench = Bench::new().await;
    let answer = bench.allowed("limited").send().await.expect("answered");
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "7");
    assert!(!answer.headers().contains_key("set-cookie"));
    assert_eq!(answer.text().await.expect("text"), "slow down");
}

#[tokio::test]
async fn a_request_is_held_until_the_control_plane_is_back() {
    // A port that is held meanwhile, and that nobody listens on.
    let silent = TcpSocket::new_v4().expect("a socket");
    silent.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = silent.local_addr().expect("an address");
    let relay = relay_to(address, Duration::from_secs(120)).await;
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let request = http
        .post(format!("{}/v1/chat/completions", relay.origin()))
        .bearer_auth(relay.secret().expose())
        .body("limited");
    let asked = tokio::spawn(request.send());
    let impatient = relay_to(address, Duration::from_millis(300)).await;
    let given_up = http
        .post(format!("{}/v1/chat/completions", impatient.origin()))
        .bearer_auth(impatient.secret().expose())
        .send()
        .await
        .expect("answered");
    assert_eq!(given_up.status(), 503);
    let error: serde_json::Value = given_up.json().await.expect("JSON");
    assert_eq!(error["error"]["code"], "control_plane_unreachable");
    assert!(!asked.is_finished());
    let listener = silent.listen(16).expect("it listens");
    tokio::spawn(serve(listener, Arc::default()));
    assert_eq!(
        asked.await.expect("joined").expect("answered").status(),
        429
    );
}
