//! Requests to the control plane.
//!
//! A network can forget a connection without closing it: what is sent then goes
//! nowhere, for ever. Whoever notices says so ([`Api::renew`]), and every request
//! that is still unanswered is given up with its connection.

use super::Backoff;
use crate::secret::{Secret, redact};
use reqwest::{Method, RequestBuilder, StatusCode};
use sam_domain::access::wire::{JoinNode, Joined, WorkspaceTokens, WorkspaceTokensRequest};
use sam_domain::error::ErrorBody;
use sam_domain::id::{NodeId, WorkspaceId};
use sam_domain::login::wire::{WorkspaceLogin, WorkspaceLoginRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use url::{Host, Url};

/// Time for a whole answer of a small request.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection is kept on which nothing is asked.
const KEEPS_IDLE: Duration = Duration::from_secs(20);
/// The same for a control plane on this machine, where a connection costs nothing: workerd closes
/// its own after five seconds, and one that is about to be closed must not be taken up again.
const KEEPS_IDLE_HERE: Duration = Duration::from_secs(3);

/// Why a request failed, by what one does about it.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ApiFailure {
    /// No answer: try again.
    #[error("the control plane cannot be reached: {0}")]
    Unreachable(String),
    /// It answered that it cannot answer now: try again, less and less often.
    #[error("the control plane cannot answer now: {0}")]
    Unavailable(String),
    /// The token is not, or no longer, good.
    #[error("the control plane does not accept the token: {0}")]
    Unauthorised(String),
    /// It will not take this request, however often it is repeated.
    #[error("the control plane refused: {message} ({code}, status {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error's code.
        code: String,
        /// What it said, with its hint, redacted.
        message: String,
    },
}

/// The control plane's API.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    base: Url,
    shared: Arc<Shared>,
}

/// What all copies of an [`Api`] share.
#[derive(Debug)]
struct Shared {
    http: RwLock<reqwest::Client>,
    /// Changes when every open connection was given up.
    renewed: watch::Sender<()>,
    /// Changes when the control plane was reached again.
    reached: watch::Sender<()>,
    /// Connections were given up, and the control plane was not reached since.
    suspect: AtomicBool,
}

impl Api {
    /// The API at `base`, an http(s) origin. `None` when it is not one.
    pub(crate) fn new(base: &str) -> Option<Self> {
        let mut base = Url::parse(base).ok()?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return None;
        }
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        // One provider for every TLS connection; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = Arc::new(Shared {
            http: RwLock::new(connections(&base).ok()?),
            renewed: watch::Sender::new(()),
            reached: watch::Sender::new(()),
            suspect: AtomicBool::new(false),
        });
        Some(Self { base, shared })
    }

    /// Gives up every connection and every request that waits for an answer; once
    /// more when the control plane is reached again, for what was begun meanwhile
    /// went the same way.
    pub(crate) fn renew(&self) {
        self.shared.suspect.store(true, Ordering::Relaxed);
        self.give_up();
    }

    fn give_up(&self) {
        match connections(&self.base) {
            Ok(fresh) => {
                let mut held = self
                    .shared
                    .http
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                *held = fresh;
            }
            Err(error) => crate::log::warning!("connections cannot be renewed: {error}"),
        }
        self.shared.renewed.send_replace(());
    }

    /// Changes when every open connection was given up.
    pub(crate) fn renewals(&self) -> watch::Receiver<()> {
        self.shared.renewed.subscribe()
    }

    /// The control plane was reached: whoever waits to try again may do so now.
    pub(crate) fn reached(&self) {
        if self.shared.suspect.swap(false, Ordering::Relaxed) {
            self.give_up();
        }
        self.shared.reached.send_replace(());
    }

    /// Waits before another try: this long, or until the control plane is
    /// reached again.
    pub(crate) async fn pause(&self, wait: Duration) {
        let mut reached = self.shared.reached.subscribe();
        // The sender lives as long as this: only the time or the news ends it.
        let _ = tokio::time::timeout(wait, reached.changed()).await;
    }

    /// Sends a request; gives it up with all connections.
    pub(crate) async fn send_raw(
        &self,
        request: RequestBuilder,
    ) -> Result<reqwest::Response, Unanswered> {
        let mut renewed = self.renewals();
        tokio::select! {
            answer = request.send() => answer.map_err(Unanswered::Failed),
            _ = renewed.changed() => Err(Unanswered::GivenUp),
        }
    }

    /// Sends a request; an answer that is not a success becomes a failure.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<reqwest::Response, ApiFailure> {
        let answer = self.send_raw(request).await.map_err(|error| match error {
            Unanswered::Failed(error) => unreachable(&error),
            Unanswered::GivenUp => {
                ApiFailure::Unreachable("the connection was given up".to_owned())
            }
        })?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        let body = answer.bytes().await.unwrap_or_default();
        Err(failure(status, &body))
    }

    /// The URL of `path` (no leading slash). Paths are made of ids and fixed
    /// words, so they always parse; the base stands in for one that does not.
    pub(crate) fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap_or_else(|_| self.base.clone())
    }

    /// A request, authorised.
    pub(crate) fn request(&self, method: Method, path: &str, token: &Secret) -> RequestBuilder {
        self.request_to(method, self.url(path), token)
    }

    /// The same for a URL of [`model_url`].
    pub(crate) fn request_to(&self, method: Method, url: Url, token: &Secret) -> RequestBuilder {
        self.shared
            .http
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .request(method, url)
            .bearer_auth(token.expose())
    }

    /// `POST /api/nodes/join`.
    pub(crate) async fn join(&self, token: &Secret, join: &JoinNode) -> Result<Joined, ApiFailure> {
        self.post("api/nodes/join", token, join).await
    }

    /// `POST /api/nodes/{node}/tokens`.
    pub(crate) async fn workspace_tokens(
        &self,
        node: &NodeId,
        token: &Secret,
        workspace: &WorkspaceId,
    ) -> Result<WorkspaceTokens, ApiFailure> {
        let request = WorkspaceTokensRequest {
            workspace: workspace.clone(),
        };
        self.post(&format!("api/nodes/{node}/tokens"), token, &request)
            .await
    }

    /// `POST /api/nodes/{node}/logins`.
    pub(crate) async fn workspace_login(
        &self,
        node: &NodeId,
        token: &Secret,
        workspace: &WorkspaceId,
    ) -> Result<WorkspaceLogin, ApiFailure> {
        let request = WorkspaceLoginRequest {
            workspace: workspace.clone(),
        };
        self.post(&format!("api/nodes/{node}/logins"), token, &request)
            .await
    }

    /// `POST`s JSON and reads JSON.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &Secret,
        body: &impl Serialize,
    ) -> Result<T, ApiFailure> {
        let request = self
            .request(Method::POST, path, token)
            .timeout(REQUEST_LIMIT)
            .json(body);
        let answer = self.send(request).await?;
        answer.json().await.map_err(|error| unreachable(&error))
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// It failed.
    Failed(reqwest::Error),
    /// Its connection was given up.
    GivenUp,
}

fn connections(base: &Url) -> reqwest::Result<reqwest::Client> {
    let here = match base.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    reqwest::Client::builder()
        .user_agent(concat!("sam-vm-agent/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_LIMIT)
        .pool_idle_timeout(if here { KEEPS_IDLE_HERE } else { KEEPS_IDLE })
        .pool_max_idle_per_host(4)
        .tcp_nodelay(true)
        .build()
}

/// A request that got no answer.
pub(crate) fn unreachable(error: &reqwest::Error) -> ApiFailure {
    // The source says more than the error itself; the URL is known anyway.
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    ApiFailure::Unreachable(redact(&text))
}

fn failure(status: StatusCode, body: &[u8]) -> ApiFailure {
    let (code, message) = match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error }) => {
            let hint = error
                .hint
                .map(|hint| format!(" {hint}"))
                .unwrap_or_default();
            (error.code, redact(&format!("{}{hint}", error.message)))
        }
        Err(_) => ("no_reason_given".to_owned(), "it gave no reason".to_owned()),
    };
    match status {
        StatusCode::UNAUTHORIZED => ApiFailure::Unauthorised(message),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            ApiFailure::Unavailable(format!("{message} (status {status})"))
        }
        // What only a person can mend is not tried again, whatever its status.
        _ if status.is_server_error() && !is_setting(&code) => {
            ApiFailure::Unavailable(format!("{message} (status {status})"))
        }
        _ => ApiFailure::Refused {
            status: status.as_u16(),
            code,
            message,
        },
    }
}

/// Whether the code says that a setting of the installation is missing or wrong.
fn is_setting(code: &str) -> bool {
    matches!(code, "model_not_configured" | "model_misconfigured")
}

/// Where model calls go: `/ai` and what comes after it.
pub(crate) fn model_url(api: &Api, rest: &str) -> Url {
    api.url(&format!("ai{rest}"))
}

impl Api {
    /// Joins, however long it takes to reach the control plane.
    pub(crate) async fn join_until_answered(
        &self,
        token: &Secret,
        join: &JoinNode,
    ) -> Result<Joined, ApiFailure> {
        let mut backoff = Backoff::standard();
        loop {
            match self.join(token, join).await {
                Err(failure @ (ApiFailure::Unreachable(_) | ApiFailure::Unavailable(_))) => {
                    crate::log::warning!("{failure}; trying again");
                    self.pause(backoff.step()).await;
                }
                other => return other,
            }
        }
    }
}
