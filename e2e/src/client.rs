//! An HTTP client that keeps what came back.

use std::sync::Once;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use sam_domain::error::ErrorBody;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::socket::Socket;
use crate::{Result, failure, wait_until};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Someone who calls the API: an address and the headers they send with everything.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Response headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// TLS is not used on loopback, but the client wants a provider before it is made.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

impl Client {
    /// Someone without a credential.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(base: &str) -> Result<Self> {
        install_provider();
        let http = reqwest::Client::builder()
            .no_proxy()
            // The server closes a connection on which nothing is asked for five seconds, and on a
            // busy machine that is known late: none is taken up again.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            headers: Vec::new(),
        })
    }

    /// The same someone with another header in everything they send.
    #[must_use]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.retain(|(held, _)| held != name);
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// The same someone with this bearer token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        self.with_header("authorization", &format!("Bearer {token}"))
    }

    /// Their bearer token; empty where they have none.
    #[must_use]
    pub fn token(&self) -> &str {
        self.headers
            .iter()
            .filter(|(name, _)| name == "authorization")
            .find_map(|(_, value)| value.strip_prefix("Bearer "))
            .unwrap_or_default()
    }

    /// The address they call.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request, to be added to.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: RequestBuilder) -> Result<Reply> {
        let response = request.timeout(PATIENCE).send().await?;
        Ok(Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }

    /// `GET`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` of a JSON value.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Reply> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `POST` of a JSON value with an idempotency key of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn intend(&self, path: &str, key: &str, body: &impl Serialize) -> Result<Reply> {
        let request = self
            .request(Method::POST, path)
            .header("idempotency-key", key)
            .json(body);
        self.send(request).await
    }

    /// The same as our programs do it: where no answer comes, because a busy server closed the
    /// connection, the request is sent again under its key.
    ///
    /// # Errors
    /// When there is no answer within the time.
    pub async fn insist(&self, path: &str, key: &str, body: &impl Serialize) -> Result<Reply> {
        wait_until("an answer", PATIENCE, || async {
            self.intend(path, key, body).await.map(Some)
        })
        .await
    }

    /// Opens a WebSocket.
    ///
    /// # Errors
    /// When it is refused; the message has the status.
    pub async fn socket(&self, path: &str) -> Result<Socket> {
        let url = format!("{}{path}", self.base.replacen("http", "ws", 1));
        Socket::open(&url, &self.headers).await
    }
}

impl Reply {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, of an answer that succeeded.
    ///
    /// # Errors
    /// When it did not succeed or is something else; with the answer.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        if !(200..300).contains(&self.status) {
            return Err(failure(format!("{}: {}", self.status, self.text())));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| failure(format!("{error} in {}", self.text())))
    }

    /// The code of an error in the contract's shape; empty for anything else.
    #[must_use]
    pub fn code(&self) -> String {
        serde_json::from_slice::<ErrorBody>(&self.body)
            .map(|body| body.error.code)
            .unwrap_or_default()
    }

    /// A response header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
