//! A metering proxy in front of the model API.
//!
//! Model: every attempt gets an address on loopback and a secret that is
//! worthless elsewhere, whatever agent it is of. What the agent asks goes on to
//! the model API with the real key, and what comes back is counted while it
//! passes, so that all agents are measured by the same rule and none sees the
//! key. Whichever dialect is spoken passes as it is, but for two fields: a
//! request for another model asks for the one that is evaluated, and a stream
//! of chat completions reports its usage.
//!
//! Invariant: without the attempt's secret nothing is forwarded, and nothing of
//! what is said is kept.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sam_dialects::scan::RequestScan;
use sam_dialects::{Dialect, Usage, UsageScan};
use sam_domain::catalogue::price::Prices;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::model::{further_headers, key_header};
use crate::price;

/// Largest request that is forwarded.
const REQUEST_LIMIT: usize = 64 * 1024 * 1024;
/// How long the end of a reply may take once nobody reads it.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
/// What the scripted model puts on every reply.
const SCRIPTED: &str = "x-sam-sims";
/// Headers that belong to one connection, or that are set anew.
const NOT_FORWARDED: [&str; 12] = [
    "authorization",
    "x-api-key",
    "api-key",
    "host",
    "content-length",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    // What is compressed cannot be counted.
    "accept-encoding",
];

type Body = UnsyncBoxBody<Bytes, reqwest::Error>;

/// The model API that is evaluated, with what it takes to speak to it.
#[derive(Debug)]
pub(super) struct Upstream {
    http: reqwest::Client,
    base: String,
    headers: HeaderMap,
    key: Option<String>,
    auth_header: Option<String>,
}

impl Upstream {
    /// Nothing is sent yet.
    pub(super) fn new(args: &super::args::ModelArgs) -> Result<Self, String> {
        let base = args.base_url.as_deref().unwrap_or_default();
        let base = base.trim_end_matches('/');
        let url = reqwest::Url::parse(base)
            .map_err(|error| format!("the base URL {base:?} is not a URL: {error}"))?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .tcp_nodelay(true);
        match url.scheme() {
            "http" => builder = builder.tls_certs_only([]),
            "https" => {}
            _ => return Err(format!("the base URL {base} is neither http nor https")),
        }
        // A second installation in one process is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        for dialect in Dialect::ALL {
            key_header(
                args.auth_header.as_deref(),
                args.api_key.as_deref(),
                dialect,
            )?;
        }
        Ok(Self {
            http: builder
                .build()
                .map_err(|error| format!("cannot set up HTTP: {error}"))?,
            base: base.to_owned(),
            headers: further_headers(&args.headers)?,
            key: args.api_key.clone(),
            auth_header: args.auth_header.clone(),
        })
    }

    /// The address without what may be secret in it.
    pub(super) fn address(&self) -> String {
        reqwest::Url::parse(&self.base).map_or_else(
            |_| String::new(),
            |mut url| {
                let _ = url.set_username("");
                let _ = url.set_password(None);
                url.set_query(None);
                url.to_string()
            },
        )
    }
}

/// What passed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Count {
    /// Requests that got a reply.
    pub(super) turns: u64,
    /// Requests that were refused, or got no answer.
    pub(super) refused: u64,
    /// Replies that did not say what they cost.
    pub(super) unmetered: u64,
    /// Requests that named another model.
    pub(super) renamed: u64,
    /// Over all replies.
    pub(super) usage: Usage,
    /// In micro-dollars, where the model has a price.
    pub(super) cost: u64,
    /// The dialect of the first request.
    pub(super) dialect: Option<Dialect>,
    /// Whether a scripted model answered.
    pub(super) scripted: bool,
    /// Replies that are on their way.
    open: u64,
}

struct Shared {
    upstream: Arc<Upstream>,
    model: String,
    /// What was said of its prices.
    prices: Option<Prices>,
    secret: String,
    count: Mutex<Count>,
    /// A reply has ended.
    ended: Notify,
}

impl Shared {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running proxy; dropping it closes the port and every connection.
pub(super) struct Meter {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Meter {
    /// Starts one on a free port.
    pub(super) async fn start(
        upstream: &Arc<Upstream>,
        model: &str,
        prices: Option<Prices>,
    ) -> std::io::Result<Self> {
        let mut entropy = [0_u8; 16];
        getrandom::fill(&mut entropy).map_err(|error| std::io::Error::other(error.to_string()))?;
        let shared = Arc::new(Shared {
            upstream: Arc::clone(upstream),
            model: model.to_owned(),
            prices,
            secret: format!("sam-eval-{:032x}", u128::from_le_bytes(entropy)),
            count: Mutex::default(),
            ended: Notify::new(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// `http://127.0.0.1:PORT`, without a path.
    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What an agent shows as its API key.
    pub(super) fn secret(&self) -> &str {
        &self.shared.secret
    }

    /// What has passed, once the agent is gone: the last reply may still be
    /// on its way.
    pub(super) async fn finish(self) -> Count {
        let settled = async {
            loop {
                let ended = self.shared.ended.notified();
                if self.shared.count().open == 0 {
                    return;
                }
                ended.await;
            }
        };
        let _ = tokio::time::timeout(SETTLES_WITHIN, settled).await;
        self.shared.count().clone()
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    // A client that leaves in the middle is no failure of ours.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if !authorised(&parts.headers, &shared.secret) {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "this address serves one attempt and its secret only",
        );
    }
    let path = parts.uri.path();
    let below = path.strip_prefix("/anthropic").unwrap_or(path);
    let Some(below) = below.strip_prefix("/v1/").filter(|rest| is_plain(rest)) else {
        return refusal(StatusCode::NOT_FOUND, "only /v1/ is served here");
    };
    let Ok(body) = Limited::new(body, REQUEST_LIMIT).collect().await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long");
    };
    let mut body = body.to_bytes();
    let dialect = Dialect::ALL
        .into_iter()
        .find(|dialect| dialect.path() == below);
    if let Some(dialect) = dialect {
        shared.count().dialect.get_or_insert(dialect);
        if let Some((changed, renamed)) = measured(&body, dialect, &shared.model) {
            body = changed.into();
            shared.count().renamed += u64::from(renamed);
        }
    }
    let upstream = &shared.upstream;
    let query = parts
        .uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let mut headers = forwarded(&parts.headers);
    headers.extend(upstream.headers.clone());
    // A header that is not one was refused at the start.
    let spoken = dialect.unwrap_or(match parts.headers.contains_key("anthropic-version") {
        true => Dialect::Messages,
        false => Dialect::Chat,
    });
    let key = key_header(
        upstream.auth_header.as_deref(),
        upstream.key.as_deref(),
        spoken,
    );
    headers.extend(key.ok().flatten());
    let sent = upstream
        .http
        .request(parts.method, format!("{}/{below}{query}", upstream.base))
        .headers(headers)
        .body(body)
        .send()
        .await;
    match sent {
        Ok(reply) => passed(shared, reply, dialect.is_some()),
        Err(error) => {
            shared.count().refused += u64::from(dialect.is_some());
            let why = error.without_url();
            refusal(
                StatusCode::BAD_GATEWAY,
                &format!("the model API did not answer: {why}"),
            )
        }
    }
}

/// Whether a path goes nowhere but down.
fn is_plain(path: &str) -> bool {
    !path.contains('%') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// A request that asks for the model and reports its usage, and whether it
/// named another model; none for one that is right already, or that cannot be
/// read and is the model API's to refuse.
fn measured(body: &[u8], dialect: Dialect, model: &str) -> Option<(Vec<u8>, bool)> {
    let scan = RequestScan::read(body).ok()?;
    let facts = scan.facts(dialect).ok()?;
    let renamed = facts.model.as_deref() != Some(model);
    let mut edits = Vec::new();
    if renamed {
        edits.push(("model", Value::from(model)));
    }
    if facts.stream && !facts.reports_usage {
        edits.push(scan.include_usage().ok()?);
    }
    match edits.is_empty() {
        true => None,
        false => Some((scan.with(&edits).ok()?, renamed)),
    }
}

/// A reply on its way back, counted while it passes.
fn passed(shared: &Arc<Shared>, reply: reqwest::Response, counted: bool) -> Response<Body> {
    let status = reply.status();
    let headers = forwarded(reply.headers());
    let mut passing = None;
    if counted {
        let mut count = shared.count();
        count.scripted |= headers.contains_key(SCRIPTED);
        if status.is_success() {
            count.turns += 1;
            count.open += 1;
            passing = Some(Passing {
                shared: Arc::clone(shared),
                scan: UsageScan::new(),
            });
        } else {
            count.refused += 1;
        }
    }
    let stream = reply.bytes_stream().map(move |chunk| {
        if let (Some(passing), Ok(chunk)) = (&mut passing, &chunk) {
            passing.scan.push(chunk);
        }
        chunk.map(Frame::data)
    });
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(stream)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A reply of which not everything may have passed yet; it is counted when it
/// ends, or where the agent leaves it.
struct Passing {
    shared: Arc<Shared>,
    scan: UsageScan,
}

impl Drop for Passing {
    fn drop(&mut self) {
        let mut count = self.shared.count();
        match self.scan.usage() {
            Some(usage) => {
                count.usage = count.usage.plus(usage);
                let shared = &self.shared;
                let cost = price::cost(&shared.model, shared.prices.as_ref(), usage);
                count.cost = count.cost.saturating_add(cost.unwrap_or(0));
            }
            None => count.unmetered += 1,
        }
        count.open = count.open.saturating_sub(1);
        drop(count);
        self.shared.ended.notify_waiters();
    }
}

fn authorised(headers: &HeaderMap, secret: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(AUTHORIZATION.as_str()).and_then(|value| value.split_once(' '));
    bearer.is_some_and(|(_, token)| token == secret)
        || ["x-api-key", "api-key"]
            .iter()
            .any(|name| text(name) == Some(secret))
}

fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if !NOT_FORWARDED.contains(&name.as_str()) {
            kept.append(HeaderName::clone(name), HeaderValue::clone(value));
        }
    }
    kept
}

fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    let said = json!({"error": {"message": why, "type": "sam_eval", "code": status.as_u16()}});
    let body = Full::new(Bytes::from(said.to_string())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_asks_for_the_model_and_for_its_usage() {
        let asked = |body: &str, dialect| {
            let changed = measured(body.as_bytes(), dialect, "m");
            changed.map(|(body, renamed)| (String::from_utf8(body).unwrap(), renamed))
        };
        assert_eq!(asked(r#"{"model":"m"}"#, Dialect::Chat), None);
        assert_eq!(
            asked(r#"{"model":"small","x":1}"#, Dialect::Messages),
            Some((r#"{"model":"m","x":1}"#.to_owned(), true))
        );
        let (body, renamed) = asked(r#"{"model":"m","stream":true}"#, Dialect::Chat).unwrap();
        assert!(body.contains("include_usage") && !renamed);
        assert_eq!(
            asked(r#"{"model":"m","stream":true}"#, Dialect::Responses),
            None
        );
        assert_eq!(asked("no JSON", Dialect::Chat), None);
    }

    #[test]
    fn paths_lead_only_down() {
        assert!(is_plain("chat/completions") && is_plain("models/a@b"));
        assert!(
            !is_plain("../admin") && !is_plain("a//b") && !is_plain("%2e%2e/x") && !is_plain("")
        );
    }
}
