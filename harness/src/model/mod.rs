//! One model behind one chat-completions endpoint.
//!
//! [`ModelClient::complete`] gives back a reply that arrived whole, or an
//! error that trying again would not mend. What may mend itself (nobody
//! listening, 408, 429, 5xx, a stream cut off or silent) is tried again with
//! growing pauses, or after the pause the server asked for, as long as the
//! budget lasts. A reply has no effect before it is whole, so trying again is
//! always safe.

mod attempt;
mod retry;

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sam_dialects::chat::{ChatDelta, ChatReply, ChatRequest};
use tokio_util::sync::CancellationToken;

use crate::cli::{ModelArgs, Provider};
use crate::model::attempt::AttemptError;
use crate::model::retry::Retry;

/// What a caller hears while a reply arrives.
pub(crate) trait ReplySink: Send {
    /// The next piece.
    fn delta(&mut self, delta: ChatDelta);
    /// The reply broke off, or did not begin; it is asked for again.
    fn retrying(&mut self, reason: &str, wait: Duration);
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    /// The turn was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The server's answer will not change by asking again.
    #[error("{0}")]
    Refused(String),
    /// The budget for trying again is used up.
    #[error("{reason}; tried {attempts} times in {seconds} s")]
    Exhausted {
        /// What the last attempt met.
        reason: String,
        /// How many attempts there were.
        attempts: u32,
        /// Since the first.
        seconds: u64,
    },
}

/// Talks to the model.
#[derive(Debug)]
pub(crate) struct ModelClient {
    http: reqwest::Client,
    url: reqwest::Url,
    model: String,
    idle_timeout: Duration,
    retry_for: Duration,
}

impl ModelClient {
    /// A client for the settings given; nothing is sent yet.
    pub(crate) fn new(args: &ModelArgs) -> Result<Self, String> {
        let Provider::Chat = args.provider;
        let base = args.base_url.trim_end_matches('/');
        let url = reqwest::Url::parse(&format!("{base}/chat/completions"))
            .map_err(|error| format!("the base URL {base} is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("the base URL {base} is neither http nor https"));
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .tcp_nodelay(true)
            .user_agent(concat!("sam-harness/", env!("CARGO_PKG_VERSION")))
            .default_headers(auth_header(args)?);
        if url.scheme() == "http" {
            // Loading the system's certificates takes longer than the rest of
            // the start.
            builder = builder.tls_certs_only([]);
        }
        // A second installation in one process is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = builder
            .build()
            .map_err(|error| format!("cannot set up HTTP: {error}"))?;
        Ok(Self {
            http,
            url,
            model: args.model.clone(),
            idle_timeout: Duration::from_secs(args.idle_timeout),
            retry_for: Duration::from_secs(args.retry_for),
        })
    }

    /// The model's id.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// Asks for a reply until it arrives whole. `id_prefix` names calls the
    /// upstream left without an id.
    pub(crate) async fn complete(
        &self,
        request: &ChatRequest<'_>,
        id_prefix: &str,
        sink: &mut dyn ReplySink,
        cancel: &CancellationToken,
    ) -> Result<ChatReply, ModelError> {
        let body = serde_json::to_vec(request)
            .map_err(|error| ModelError::Refused(format!("cannot write the request: {error}")))?;
        let mut retry = Retry::new(self.retry_for);
        loop {
            let attempt = self.attempt(body.clone(), id_prefix, sink);
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(ModelError::Cancelled),
                outcome = attempt => outcome,
            };
            let error = match outcome {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let (reason, began, asked) = match error {
                AttemptError::Refused(reason) => return Err(ModelError::Refused(reason)),
                AttemptError::Transient {
                    reason,
                    began,
                    retry_after,
                } => (reason, began, retry_after),
            };
            let Some(wait) = retry.next(began, asked) else {
                return Err(ModelError::Exhausted {
                    reason,
                    attempts: retry.attempts(),
                    seconds: retry.elapsed().as_secs(),
                });
            };
            sink.retrying(&reason, wait);
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(ModelError::Cancelled),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

fn auth_header(args: &ModelArgs) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let name = args.auth_header.to_ascii_lowercase();
    let Some(key) = args.api_key.as_deref().filter(|_| name != "none") else {
        return Ok(headers);
    };
    let value = if name.ends_with("authorization") {
        format!("Bearer {key}")
    } else {
        key.to_owned()
    };
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("{} is not a header name", args.auth_header))?;
    let mut value = HeaderValue::from_str(&value)
        .map_err(|_| "the API key has characters that a header cannot carry".to_owned())?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}
