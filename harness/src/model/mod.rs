//! One model behind one endpoint, in any of the dialects.
//!
//! [`ModelClient::complete`] gives back a reply that arrived whole, or the
//! [`Fault`] that asking again would not mend. What may mend itself (nobody
//! listening, a limit, an overload, a stream cut off or silent, an empty
//! reply) is asked for again after pauses ([`retry`]), and whoever listens is
//! told for how long and why. A reply has no effect before it is whole, so
//! asking again is always safe.

mod attempt;
mod fault;
mod recorded;
mod retry;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sam_dialects::conversation::{
    Effort, Message, Reasoning, Reply, ReplyEvent, Request, Tool, ToolChoice,
};
use sam_dialects::{Dialect, Target, Usage, write_request};
use sam_domain::catalogue::price::{MicroDollars, Prices};
use tokio_util::sync::CancellationToken;

pub(crate) use fault::{Fault, FaultKind};
pub(crate) use recorded::{Came, Recorded, RecordedReply};

use crate::cli::ModelArgs;
use crate::model::retry::{Patience, Retry};
use crate::price;

/// The bound of a reply where one has to be named and none was given.
const STANDARD_OUTPUT: u64 = 16_384;
/// The version of Messages that is spoken here.
const MESSAGES_VERSION: &str = "2023-06-01";
/// From here on a pause is told by its end.
const LONG: Duration = Duration::from_secs(60);

/// What a session has chosen, by name.
pub(crate) type Settings = BTreeMap<String, String>;
/// The setting that names the model.
pub(crate) const MODEL: &str = "model";
/// The setting that says how hard it thinks.
pub(crate) const EFFORT: &str = "effort";

/// What a caller hears while a reply arrives.
pub(crate) trait ReplySink: Send {
    /// The next piece.
    fn delta(&mut self, event: &ReplyEvent);
    /// The reply broke off, or did not begin, and what is done about it.
    fn trouble(&mut self, trouble: &Trouble<'_>);
}

/// A reply that did not come at the first attempt.
#[derive(Debug)]
pub(crate) struct Trouble<'a> {
    /// What the last attempt met.
    pub(crate) fault: &'a Fault,
    /// Attempts that failed.
    pub(crate) attempts: u32,
    /// What is done about it.
    pub(crate) step: Step,
}

/// What is done about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Asking again after this pause.
    Wait(Duration),
    /// The reply came, this long after the first attempt began.
    WentOn(Duration),
    /// No reply will be asked for any more, this long after the first attempt began.
    GaveUp(Duration),
}

impl std::fmt::Display for Trouble<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (fault, tried, next) = (self.fault, self.attempts, self.attempts.saturating_add(1));
        match self.step {
            Step::Wait(wait) if wait < LONG => {
                let seconds = wait.as_secs_f64();
                write!(f, "{fault}. Retrying in {seconds:.1} s (attempt {next}).")
            }
            Step::Wait(wait) => {
                let until = httpdate::fmt_http_date(SystemTime::now() + wait);
                let minutes = wait.as_secs().div_ceil(60);
                write!(
                    f,
                    "{fault}. Waiting until {until} ({minutes} min), then retrying (attempt {next})."
                )
            }
            Step::WentOn(after) => {
                let seconds = after.as_secs();
                write!(f, "{fault}. Attempt {next} succeeded after {seconds} s.")
            }
            Step::GaveUp(after) => {
                let (seconds, times) = (after.as_secs(), if tried == 1 { "time" } else { "times" });
                write!(f, "{fault}. Tried {tried} {times} in {seconds} s.")
            }
        }
    }
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    /// The turn was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// Asking again will not help, or was done for long enough.
    #[error("{message}")]
    Failed {
        /// What went wrong.
        kind: FaultKind,
        /// The same for people.
        message: String,
    },
}

impl ModelError {
    /// A failure without a history.
    pub(crate) fn failed(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self::Failed {
            kind,
            message: format!("{}.", Fault::new(kind, detail)),
        }
    }
}

/// How long what may take.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    first_byte: Duration,
    idle: Duration,
    reply: Duration,
}

/// Talks to the model.
#[derive(Debug)]
pub(crate) struct ModelClient {
    http: reqwest::Client,
    url: reqwest::Url,
    target: Target,
    model: String,
    reasoning: Reasoning,
    max_output: Option<u64>,
    /// What tokens cost, when it was said.
    price: Option<Prices>,
    clocks: Clocks,
    patience: Patience,
    /// Replies that are repeated instead of asked for.
    recorded: Option<Recorded>,
}

impl ModelClient {
    /// A client for the settings given; nothing is sent yet.
    pub(crate) fn new(args: &ModelArgs) -> Result<Self, String> {
        let dialect = args.provider.dialect();
        let base = args.base_url.trim_end_matches('/');
        let url = reqwest::Url::parse(&format!("{base}/{}", dialect.path()))
            .map_err(|error| format!("the base URL {base} is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("the base URL {base} is neither http nor https"));
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .tcp_nodelay(true)
            .user_agent(concat!("sam-harness/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(args)?);
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
            target: Target {
                default_output: STANDARD_OUTPUT,
                ..Target::new(dialect)
            },
            model: args.model.clone(),
            reasoning: Reasoning {
                effort: args.effort.map(Into::into),
                ..Reasoning::default()
            },
            max_output: args.max_output,
            price: args.price,
            clocks: Clocks {
                first_byte: Duration::from_secs(args.first_byte_timeout),
                idle: Duration::from_secs(args.idle_timeout),
                reply: Duration::from_secs(args.reply_timeout),
            },
            patience: Patience {
                idle: Duration::from_secs(args.retry_for),
                resets: Duration::from_secs(args.wait_for_reset),
            },
            recorded: None,
        })
    }

    /// The same without a network: it gives these replies, one after the other.
    pub(crate) fn recorded(mut self, replies: Recorded) -> Self {
        self.recorded = Some(replies);
        self
    }

    /// What a reply cost, where the price of the session's model is known.
    pub(crate) fn cost(&self, settings: &Settings, usage: Usage) -> Option<MicroDollars> {
        let model = settings.get(MODEL).unwrap_or(&self.model);
        price::cost(model, self.price.as_ref(), usage)
    }

    /// How the recorded replies went, if it gives some.
    pub(crate) fn differences(&self) -> Vec<String> {
        self.recorded
            .as_ref()
            .map_or_else(Vec::new, Recorded::differences)
    }

    /// The model asked when a session has not chosen another.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// How hard it is told to think when a session has not chosen otherwise.
    pub(crate) fn effort(&self) -> Option<Effort> {
        self.reasoning.effort
    }

    /// The bytes that ask for the next reply. Settings of the session go
    /// before what the client was made with.
    pub(crate) fn request(
        &self,
        settings: &Settings,
        tools: &[Tool],
        messages: &[Message],
    ) -> Result<Vec<u8>, ModelError> {
        self.body(settings, tools, messages).map_err(|error| {
            let detail = format!("it cannot be written: {error}");
            ModelError::failed(FaultKind::RequestRefused, detail)
        })
    }

    /// Asks with a [`Self::request`] until the reply arrives whole.
    /// `id_prefix` names calls the upstream left without an id.
    pub(crate) async fn complete(
        &self,
        body: Vec<u8>,
        id_prefix: &str,
        sink: &mut dyn ReplySink,
        cancel: &CancellationToken,
    ) -> Result<Reply, ModelError> {
        if let Some(recorded) = &self.recorded {
            return recorded.reply(&body, sink);
        }
        let mut retry = Retry::new(self.patience);
        let mut before: Option<Fault> = None;
        loop {
            let attempt = self.attempt(body.clone(), id_prefix, sink);
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(ModelError::Cancelled),
                outcome = attempt => outcome,
            };
            let fault = match (outcome, &before) {
                (Ok(reply), None) => return Ok(reply),
                (Ok(reply), Some(fault)) => {
                    let (attempts, step) = (retry.attempts(), Step::WentOn(retry.elapsed()));
                    sink.trouble(&Trouble {
                        fault,
                        attempts,
                        step,
                    });
                    return Ok(reply);
                }
                (Err(fault), _) => fault,
            };
            let wait = retry.next(&fault);
            let trouble = Trouble {
                fault: &fault,
                attempts: retry.attempts(),
                step: wait.map_or_else(|| Step::GaveUp(retry.elapsed()), Step::Wait),
            };
            // What fails at once is told by the error alone.
            if wait.is_some() || before.is_some() {
                sink.trouble(&trouble);
            }
            let Some(wait) = wait else {
                let message = trouble.to_string();
                let kind = fault.kind;
                return Err(ModelError::Failed { kind, message });
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(ModelError::Cancelled),
                () = tokio::time::sleep(wait) => {}
            }
            before = Some(fault);
        }
    }
}

impl ModelClient {
    fn body(
        &self,
        settings: &Settings,
        tools: &[Tool],
        messages: &[Message],
    ) -> Result<Vec<u8>, sam_dialects::RequestError> {
        let model = settings.get(MODEL).unwrap_or(&self.model);
        let mut reasoning = self.reasoning.clone();
        if let Some(effort) = settings.get(EFFORT) {
            reasoning.effort = Effort::parse(effort);
        }
        let mut request = Request {
            model: model.clone(),
            stream: true,
            messages: messages.to_vec(),
            tools: tools.to_vec(),
            // Some servers offer tools only when the choice is said aloud.
            tool_choice: (!tools.is_empty()).then_some(ToolChoice::Auto),
            max_output: self.max_output,
            reasoning,
            ..Request::default()
        };
        if self.target.dialect == Dialect::Messages {
            // The others cache without being told.
            request.mark_cache();
        }
        Ok(write_request(&request, &self.target)?.to_bytes())
    }
}

/// The key and what else every request carries.
fn headers(args: &ModelArgs) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let dialect = args.provider.dialect();
    if dialect == Dialect::Messages {
        let version = HeaderValue::from_static(MESSAGES_VERSION);
        headers.insert("anthropic-version", version);
    }
    headers.extend(further_headers(&args.headers)?);
    let key = args.api_key.as_deref();
    headers.extend(key_header(args.auth_header.as_deref(), key, dialect)?);
    Ok(headers)
}

/// Headers given as `NAME: VALUE`.
pub(crate) fn further_headers(given: &[String]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for header in given.iter().filter(|header| !header.trim().is_empty()) {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| "--header wants NAME: VALUE".to_owned())?;
        let (name, value) = (name.trim(), value.trim());
        headers.insert(header_name(name)?, secret_value(value, name)?);
    }
    Ok(headers)
}

/// The header that carries the key in a dialect, if one does.
pub(crate) fn key_header(
    name: Option<&str>,
    key: Option<&str>,
    dialect: Dialect,
) -> Result<Option<(HeaderName, HeaderValue)>, String> {
    let standard = match dialect {
        Dialect::Messages => "x-api-key",
        Dialect::Chat | Dialect::Responses => "authorization",
    };
    let name = name.unwrap_or(standard).to_ascii_lowercase();
    let Some(key) = key.filter(|_| name != "none") else {
        return Ok(None);
    };
    let value = if name.ends_with("authorization") {
        format!("Bearer {key}")
    } else {
        key.to_owned()
    };
    let value = secret_value(&value, "the API key")?;
    Ok(Some((header_name(&name)?, value)))
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name} is not a header name"))
}

fn secret_value(value: &str, whose: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| format!("{whose} has characters that a header cannot carry"))?;
    value.set_sensitive(true);
    Ok(value)
}
