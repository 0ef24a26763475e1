//! The control plane over HTTP.
//!
//! Paths come from the shared route table ([`path`]), so a renamed route shows
//! in the tests. Every acting request carries an idempotency key and is
//! repeated with the same key when no answer came, which is why repeating is
//! safe. Redirects are never followed: a token goes to the address one named.

mod path;
mod socket;

pub(crate) use socket::{FeedError, FeedSocket};

use crate::config::is_private;
use crate::error::Failure;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use sam_domain::access::route::{Method, RouteId};
use sam_domain::device::wire::OAuthError;
use sam_domain::error::{ApiError, ErrorBody};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::Url;

/// How long an address may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take, from the first byte sent to the last received.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take where an answer can be long: a program, whatever a person asks for by path.
const LONG_ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// Pauses before a request that got no answer is sent again.
const RETRY_AFTER: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(600)];

/// A server, with our token for it.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret>,
}

/// One request: a route, the values of its segments, and what it carries.
/// Its body can hold a secret, so it has no `Debug`.
pub(crate) struct Call<'a> {
    route: RouteId,
    segments: &'a [&'a str],
    query: Vec<(&'static str, String)>,
    body: Option<(&'static str, Vec<u8>)>,
}

impl<'a> Call<'a> {
    /// A request without a body.
    pub(crate) const fn new(route: RouteId, segments: &'a [&'a str]) -> Self {
        Self {
            route,
            segments,
            query: Vec::new(),
            body: None,
        }
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a JSON body.
    pub(crate) fn body<T: Serialize>(mut self, body: &T) -> Result<Self, Failure> {
        let text = serde_json::to_string(body).map_err(|error| {
            Failure::local("Could not write the request", &std::io::Error::other(error))
        })?;
        self.body = Some(("application/json", text.into_bytes()));
        Ok(self)
    }

    /// Adds bytes as its body.
    pub(crate) fn bytes(mut self, bytes: Vec<u8>) -> Self {
        self.body = Some(("application/octet-stream", bytes));
        self
    }

    /// Adds a form as its body.
    pub(crate) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let text = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.body = Some(("application/x-www-form-urlencoded", text.into_bytes()));
        self
    }
}

/// A request that is ready to be sent, and sent again. What it carries can be a secret, so it has no
/// `Debug`.
struct Outgoing {
    method: reqwest::Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    timeout: Duration,
}

const IDEMPOTENCY_KEY: &str = "idempotency-key";

impl Api {
    /// A server at `base`.
    pub(crate) fn new(base: Url, token: Option<Secret>) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("sam/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // The feed's upgrade is an HTTP/1.1 mechanism.
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT);
        if is_private(&base) && base.scheme() == "http" {
            // A proxy for the outside has no way to this machine's loopback.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| Failure::Unreachable {
            message: format!("The HTTP client could not be built: {}.", cause(&error)),
            hint: None,
        })?;
        Ok(Self { http, base, token })
    }

    /// The server's address.
    pub(crate) const fn base(&self) -> &Url {
        &self.base
    }

    /// Performs `call` and reads the JSON answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Failure> {
        let route = call.route;
        let text = self.text(call).await?;
        serde_json::from_str(&text).map_err(|error| {
            Failure::unusable(format!(
                "The server's answer to {route:?} could not be read: {error}."
            ))
        })
    }

    /// Performs `call` and reads the answer as text.
    pub(crate) async fn text(&self, call: Call<'_>) -> Result<String, Failure> {
        let response = self.perform(&call).await?;
        let response = self.check(response).await?;
        response
            .text()
            .await
            .map_err(|error| self.no_answer(&error))
    }

    /// Performs `call` on a route that speaks OAuth: its refusals have a shape of their own.
    pub(crate) async fn oauth<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
    ) -> Result<Result<T, OAuthError>, Failure> {
        let route = call.route;
        let response = self.perform(&call).await?;
        let status = response.status();
        let text = response
            .text()
            .await
            .map_err(|error| self.no_answer(&error))?;
        if !status.is_success() {
            return match serde_json::from_str(&text) {
                Ok(error) => Ok(Err(error)),
                Err(_) => Err(self.refusal(status, &text)),
            };
        }
        serde_json::from_str(&text).map(Ok).map_err(|error| {
            Failure::unusable(format!(
                "The server's answer to {route:?} could not be read: {error}."
            ))
        })
    }

    /// Performs `call` and hands over its answer, not read yet, for what may be long.
    pub(crate) async fn download(&self, call: Call<'_>) -> Result<Response, Failure> {
        let mut request = self.request(&call)?;
        request.timeout = LONG_ANSWER_TIMEOUT;
        let response = self.send(request).await?;
        self.check(response).await
    }

    /// Sends what a person put together: a method, a path with its query, headers and a body. Errors
    /// that the server answers are answers here.
    pub(crate) async fn free(
        &self,
        method: reqwest::Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<Response, Failure> {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let mut url = self.below(path);
        url.set_query(query);
        self.send(Outgoing {
            method,
            url,
            headers,
            body,
            timeout: LONG_ANSWER_TIMEOUT,
        })
        .await
    }

    /// The next bytes of an answer; none at its end.
    pub(crate) async fn chunk(
        &self,
        response: &mut Response,
    ) -> Result<Option<impl AsRef<[u8]>>, Failure> {
        let chunk = response.chunk().await;
        chunk.map_err(|error| self.no_answer(&error))
    }

    /// What an error answer says.
    pub(crate) async fn failure(&self, response: Response) -> Failure {
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        self.refusal(status, &text)
    }

    async fn perform(&self, call: &Call<'_>) -> Result<Response, Failure> {
        self.send(self.request(call)?).await
    }

    fn request(&self, call: &Call<'_>) -> Result<Outgoing, Failure> {
        let (method, url) = self.address(call)?;
        let mut headers = HeaderMap::new();
        if let Some((media_type, _)) = call.body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        Ok(Outgoing {
            method,
            url,
            headers,
            body: call.body.as_ref().map(|(_, bytes)| bytes.clone()),
            timeout: ANSWER_TIMEOUT,
        })
    }

    async fn send(&self, outgoing: Outgoing) -> Result<Response, Failure> {
        let Outgoing {
            method,
            url,
            headers,
            body,
            timeout,
        } = outgoing;
        let key = idempotency_key()?;
        let mut pauses = RETRY_AFTER.iter();
        loop {
            let mut request = self.authorised(self.http.request(method.clone(), url.clone()));
            request = request.timeout(timeout);
            if method != reqwest::Method::GET && !headers.contains_key(IDEMPOTENCY_KEY) {
                request = request.header(IDEMPOTENCY_KEY, &key);
            }
            request = request.headers(headers.clone());
            if let Some(body) = &body {
                request = request.body(body.clone());
            }
            match (request.send().await, pauses.next()) {
                (Ok(response), _) => return Ok(response),
                (Err(error), Some(pause)) if went_nowhere(&error) => {
                    tokio::time::sleep(*pause).await;
                }
                (Err(error), _) => return Err(self.no_answer(&error)),
            }
        }
    }

    fn address(&self, call: &Call<'_>) -> Result<(reqwest::Method, Url), Failure> {
        let (method, path) = path::of(call.route, call.segments)?;
        let mut url = self.below(&path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        Ok((method, url))
    }

    /// A path of the server; whatever it is, the host stays.
    fn below(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    fn no_answer(&self, error: &reqwest::Error) -> Failure {
        Failure::Unreachable {
            message: format!("{} does not answer: {}.", self.base, cause(error)),
            hint: Some(
                "Is the server running, and is the address right? See `sam auth status`."
                    .to_owned(),
            ),
        }
    }

    /// Turns an error answer into a failure.
    async fn check(&self, response: Response) -> Result<Response, Failure> {
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.failure(response).await)
    }

    fn refusal(&self, status: StatusCode, body: &str) -> Failure {
        if let Ok(body) = serde_json::from_str::<ErrorBody>(body) {
            return Failure::Api(ApiError {
                status: status.as_u16(),
                ..body.error
            });
        }
        match status.as_u16() {
            401 => Failure::NotSignedIn {
                message: "The server does not accept your session.".to_owned(),
                hint: "Sign in again with `sam auth login`.".to_owned(),
            },
            300..=399 => Failure::unusable(format!(
                "{} answered with a redirect, which is not followed.",
                self.base
            )),
            code => Failure::unusable(format!("{} answered {code} without saying why.", self.base)),
        }
    }
}

/// Whether to send again what got no answer. Not when time was up: who waited so long is told.
fn went_nowhere(error: &reqwest::Error) -> bool {
    error.is_connect() || (error.is_request() && !error.is_timeout())
}

/// A fresh idempotency key: 128 random bits.
fn idempotency_key() -> Result<String, Failure> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::local(
            "The system gave no random numbers",
            &std::io::Error::other(error.to_string()),
        )
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The innermost reason, which names what happened on the network. The outer
/// ones repeat the whole URL.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string()
}
