//! The three dialects behind one door.

use serde_json::Value;

use crate::conversation::{Reply, ReplyEvent, Request, StreamError};
use crate::error::ApiError;
use crate::sse::{SseDecoder, SseError};
use crate::{chat, json, messages, responses};

/// How a model API speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    /// Its name, as settings have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// The path of its endpoint below the API's base, which ends in `/v1`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }
}

/// Why a request cannot be read, or not be said in another dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body is not a JSON object.
    #[error("the request is not a JSON object: {0}")]
    NotAnObject(String),
    /// A field has a form that its dialect does not have.
    #[error("{field} is not {expected}")]
    Malformed {
        /// Where.
        field: String,
        /// What it should be.
        expected: &'static str,
    },
    /// What is asked has no counterpart, and leaving it out would change what
    /// the request means.
    #[error("{what} cannot be asked of this model, whose API speaks {}", .dialect.name())]
    Untranslatable {
        /// What.
        what: String,
        /// The dialect that cannot say it.
        dialect: Dialect,
    },
}

impl RequestError {
    pub(crate) fn malformed(field: impl Into<String>, expected: &'static str) -> Self {
        Self::Malformed {
            field: field.into(),
            expected,
        }
    }

    pub(crate) fn untranslatable(what: impl Into<String>, dialect: Dialect) -> Self {
        Self::Untranslatable {
            what: what.into(),
            dialect,
        }
    }

    /// The error as a client is told it.
    pub fn to_api_error(&self) -> ApiError {
        ApiError {
            status: Some(400),
            code: Some("invalid_request_error".to_owned()),
            message: format!("Refused: {self}."),
            retry_after: None,
        }
    }
}

/// Whom a request is written for.
#[derive(Debug, Clone)]
pub struct Target {
    /// How it speaks.
    pub dialect: Dialect,
    /// Whether it may be told how much to think. Models that do not reason
    /// refuse to be told.
    pub reasons: bool,
    /// Whether it decides by itself how much to think and knows no budget in
    /// tokens (newer models of Messages).
    pub adaptive: bool,
    /// Whether chat completions wants `max_completion_tokens`, which is the
    /// only name that OpenAI's reasoning models know.
    pub completion_tokens: bool,
    /// Whether tools that take free text can be offered.
    pub custom_tools: bool,
    /// The bound of a reply for whose the client named none; Messages demands
    /// one.
    pub default_output: u64,
}

impl Target {
    /// A target of which nothing is known but its dialect.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            reasons: true,
            adaptive: false,
            completion_tokens: false,
            custom_tools: dialect == Dialect::Responses,
            default_output: 8192,
        }
    }
}

/// A request in a dialect.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    fields: Vec<(String, Value)>,
    /// What was left out, by the name of the client's field.
    pub dropped: Vec<&'static str>,
}

impl Written {
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.fields.push((key.to_owned(), value.into()));
    }

    pub(crate) fn set_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    pub(crate) fn drop(&mut self, what: &'static str) {
        if !self.dropped.contains(&what) {
            self.dropped.push(what);
        }
    }

    /// The body. Its fields stand in a fixed order, the conversation after
    /// tools and instructions, so that a conversation that only grows has a
    /// byte-stable prefix.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = String::from("{");
        for (key, value) in &self.fields {
            if body.len() > 1 {
                body.push(',');
            }
            body.push_str(&Value::from(key.as_str()).to_string());
            body.push(':');
            body.push_str(&value.to_string());
        }
        body.push('}');
        body.into_bytes()
    }

    /// The body as a value.
    pub fn to_value(&self) -> Value {
        Value::Object(self.fields.iter().cloned().collect())
    }
}

/// Reads a request.
pub fn read_request(dialect: Dialect, body: &[u8]) -> Result<Request, RequestError> {
    let body: Value = json::read(body).map_err(RequestError::NotAnObject)?;
    if !body.is_object() {
        return Err(RequestError::NotAnObject("it is something else".to_owned()));
    }
    match dialect {
        Dialect::Chat => chat::read::request(&body),
        Dialect::Responses => responses::read::request(&body),
        Dialect::Messages => messages::read::request(&body),
    }
}

/// Writes a request. Whatever is not modelled ([`Request::extra`]) is written
/// as it is; who comes from another dialect takes it out before.
pub fn write_request(request: &Request, target: &Target) -> Result<Written, RequestError> {
    match target.dialect {
        Dialect::Chat => chat::write::request(request, target),
        Dialect::Responses => responses::write::request(request, target),
        Dialect::Messages => messages::write::request(request, target),
    }
}

/// What a writer of replies has to know beside the events.
#[derive(Debug, Clone, Default)]
pub struct WriterOptions {
    /// The reply's id, if the upstream gives none.
    pub id: String,
    /// The model, by the name the client used.
    pub model: String,
    /// Unix seconds.
    pub created: u64,
    /// Whether a stream of chat completions ends with its usage.
    pub report_usage: bool,
    /// The tools that Responses knows by a namespace: the name they were
    /// offered by upstream, the namespace and the name in it.
    pub namespaces: Vec<(String, String, String)>,
}

/// Writes a whole reply as one JSON document.
pub fn write_reply(dialect: Dialect, reply: &Reply, options: &WriterOptions) -> Value {
    match dialect {
        Dialect::Chat => chat::emit::document(reply, options),
        Dialect::Responses => responses::emit::document(reply, options),
        Dialect::Messages => messages::emit::document(reply, options),
    }
}

/// Reads a reply that came as one JSON document. `id_prefix` names calls that
/// have no id.
pub fn read_reply(dialect: Dialect, body: &[u8], id_prefix: &str) -> Result<Reply, StreamError> {
    let body: Value = json::read(body).map_err(StreamError::NotJson)?;
    let failed = body.get("error").is_some_and(|error| !error.is_null());
    if failed || body.get("type").and_then(Value::as_str) == Some("error") {
        let error = ApiError::from_json(&body).unwrap_or_else(ApiError::unnamed);
        return Err(StreamError::Api(error));
    }
    let mut out = Vec::new();
    match dialect {
        Dialect::Chat => chat::parse::document(&body, id_prefix, &mut out)?,
        Dialect::Responses => responses::parse::document(&body, id_prefix, &mut out)?,
        Dialect::Messages => messages::parse::document(&body, id_prefix, &mut out)?,
    }
    let mut collector = crate::conversation::Collector::new();
    out.into_iter().for_each(|event| collector.take(event));
    Ok(collector.finish())
}

/// Reads a streamed reply.
///
/// After an error nothing more is to be pushed.
#[derive(Debug)]
pub struct ReplyParser {
    sse: Option<SseDecoder>,
    limit: usize,
    taken: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Chat(chat::parse::Parser),
    Responses(responses::parse::Parser),
    Messages(messages::parse::Parser),
}

impl ReplyParser {
    /// A parser that refuses replies of more than `limit` bytes. Calls without
    /// an id are called `{id_prefix}{n}`; the prefix must differ between the
    /// replies of a conversation.
    pub fn new(dialect: Dialect, id_prefix: &str, limit: usize) -> Self {
        let state = match dialect {
            Dialect::Chat => State::Chat(chat::parse::Parser::new(id_prefix)),
            Dialect::Responses => State::Responses(responses::parse::Parser::new(id_prefix)),
            Dialect::Messages => State::Messages(messages::parse::Parser::new(id_prefix)),
        };
        Self {
            sse: Some(SseDecoder::new(limit)),
            limit,
            taken: 0,
            state,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<ReplyEvent>) -> Result<(), StreamError> {
        let events = self.sse.as_mut().map(|sse| sse.push(bytes));
        for event in events.into_iter().flatten() {
            self.event(event, out)?;
        }
        Ok(())
    }

    /// The end of the stream. Without the upstream's word that it is done the
    /// reply is cut.
    pub fn finish(&mut self, out: &mut Vec<ReplyEvent>) -> Result<(), StreamError> {
        if let Some(event) = self.sse.take().and_then(SseDecoder::finish) {
            match self.event(event, out) {
                // Half an event is a cut, not the upstream's error.
                Err(StreamError::NotJson(_)) => return Err(StreamError::Cut),
                other => other?,
            }
        }
        let done = match &mut self.state {
            State::Chat(parser) => parser.finish(out),
            State::Responses(parser) => parser.finish(),
            State::Messages(parser) => parser.finish(out),
        };
        if done { Ok(()) } else { Err(StreamError::Cut) }
    }

    fn event(
        &mut self,
        event: Result<crate::sse::SseEvent, SseError>,
        out: &mut Vec<ReplyEvent>,
    ) -> Result<(), StreamError> {
        let event = event.map_err(|SseError::TooLong { limit }| StreamError::TooLong(limit))?;
        let data = event.data.trim();
        // Envelopes are discarded, but an endless stream is no reply.
        self.taken = self.taken.saturating_add(data.len());
        if self.taken > self.limit.saturating_mul(8) {
            return Err(StreamError::TooLong(self.limit));
        }
        if data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            if let State::Chat(parser) = &mut self.state {
                parser.done(out);
            }
            return Ok(());
        }
        let data: Value =
            serde_json::from_str(data).map_err(|error| StreamError::NotJson(error.to_string()))?;
        let failed = data.get("error").is_some_and(|error| !error.is_null());
        if failed || data.get("type").and_then(Value::as_str) == Some("error") {
            let error = ApiError::from_json(&data).unwrap_or_else(ApiError::unnamed);
            return Err(StreamError::Api(error));
        }
        match &mut self.state {
            State::Chat(parser) => parser.chunk(&data, out),
            State::Responses(parser) => return parser.event(&data, out),
            State::Messages(parser) => parser.event(&data, out),
        }
        Ok(())
    }
}

/// Writes a streamed reply.
#[derive(Debug)]
pub struct ReplyWriter(Emitter);

#[derive(Debug)]
enum Emitter {
    Chat(chat::emit::Emitter),
    Responses(Box<responses::emit::Emitter>),
    Messages(messages::emit::Emitter),
}

impl ReplyWriter {
    /// A writer of a reply that has not begun. It takes the events of calls
    /// one call after the other.
    pub fn new(dialect: Dialect, options: WriterOptions) -> Self {
        Self(match dialect {
            Dialect::Chat => Emitter::Chat(chat::emit::Emitter::new(options)),
            Dialect::Responses => {
                Emitter::Responses(Box::new(responses::emit::Emitter::new(options)))
            }
            Dialect::Messages => Emitter::Messages(messages::emit::Emitter::new(options)),
        })
    }

    /// Writes what an event becomes.
    pub fn push(&mut self, event: &ReplyEvent, out: &mut String) {
        match &mut self.0 {
            Emitter::Chat(emitter) => emitter.push(event, out),
            Emitter::Responses(emitter) => emitter.push(event, out),
            Emitter::Messages(emitter) => emitter.push(event, out),
        }
    }

    /// Writes that the reply failed; nothing follows.
    pub fn fail(&mut self, error: &ApiError, out: &mut String) {
        match &mut self.0 {
            Emitter::Chat(emitter) => emitter.fail(error, out),
            Emitter::Responses(emitter) => emitter.fail(error, out),
            Emitter::Messages(emitter) => emitter.fail(error, out),
        }
    }
}
