//! From the client's dialect to the upstream's, and back.
//!
//! A request is read into a [`Request`] and written in the other dialect; the
//! reply's events are read, brought into order and written in the client's.
//! What is said means the same afterwards. What has no counterpart is refused
//! in words where leaving it out would change what is asked, and else left out
//! and named ([`Translated::dropped`]):
//!
//! | what | to chat completions | to Responses | to Messages |
//! |---|---|---|---|
//! | text, pictures, PDF | kept | kept | kept |
//! | a picture's `detail` | kept | kept | dropped |
//! | pictures in tool results | follow as the person's | kept | kept |
//! | parallel calls, their results | kept | kept | kept; ids get its alphabet |
//! | a failed result | the text has to say so | the text has to say so | kept |
//! | `tool_choice`, one call at a time | kept | kept | kept; a forced call ends thinking |
//! | tools that take free text | functions with `input` | kept | functions with `input` |
//! | tools in a namespace | `namespace__name`, and back | (only there) | `namespace__name`, and back |
//! | the API's own tools | dropped | dropped | dropped |
//! | instructions first | one system message | `instructions` | `system` |
//! | instructions later | system message | kept | the person's text |
//! | thinking, of this upstream | carried by the client, returned verbatim | same | same |
//! | thinking, of another one | dropped | dropped | dropped |
//! | how much to think | `reasoning_effort` | `reasoning.effort` | `thinking` |
//! | cache markers | dropped, it caches by itself | dropped, it caches by itself | kept; set if there are none |
//! | bound of the reply | kept | kept | kept; has to have one |
//! | temperature | kept | kept | cut at 1; dropped with thinking |
//! | stop sequences | kept | dropped | kept |
//! | a JSON schema for the answer | kept | kept | kept |
//! | any JSON for the answer | kept | kept | dropped |
//! | `strict` tools | kept | kept | dropped |
//! | other fields | dropped, or refused: see below | same | same |
//!
//! Refused: several replies (`n`), the older `functions`, sound, log
//! probabilities; what the server should remember (`previous_response_id`,
//! `conversation`, `prompt`, `background`); `mcp_servers`, `container`; parts
//! of messages that only their dialect knows.
//!
//! Of replies: text, refusals, thinking, calls, usage, stop reasons and errors
//! are kept, also errors within a stream. A stop sequence's text is known to
//! Messages alone; a refusal becomes text there; blocks of an API's own tools,
//! annotations and log probabilities are dropped.

use serde_json::Value;

use crate::conversation::{ReplyEvent, Request, Sequencer, StreamError, ToolKind};
use crate::dialect::{
    Dialect, ReplyParser, ReplyWriter, RequestError, Target, WriterOptions, read_reply,
    read_request, write_reply, write_request,
};
use crate::error::ApiError;
use crate::usage::Usage;

/// Longest reply that is translated, in bytes.
const REPLY_LIMIT: usize = 16 * 1024 * 1024;

/// Fields that ask for something no other dialect has. Those with a value
/// that asks for nothing are left out.
const REFUSED: &[&str] = &[
    "functions",
    "function_call",
    "audio",
    "logprobs",
    "top_logprobs",
    "web_search_options",
    "previous_response_id",
    "conversation",
    "prompt",
    "background",
    "mcp_servers",
    "container",
];

/// What belongs to one exchange, chosen by whoever makes it.
#[derive(Debug, Clone)]
pub struct Exchange<'a> {
    /// How the client speaks.
    pub client: Dialect,
    /// Whom it is passed on to.
    pub target: &'a Target,
    /// The model's id upstream.
    pub model: &'a str,
    /// A unique id: of the reply if the upstream gives none, and of calls.
    pub id: &'a str,
    /// Unix seconds.
    pub now: u64,
}

/// A request in the upstream's dialect.
#[derive(Debug)]
pub struct Translated {
    /// What to send.
    pub body: Vec<u8>,
    /// What was left out, by the client's names.
    pub dropped: Vec<String>,
    /// Whether the client wants a stream; the upstream is asked for the same.
    pub stream: bool,
    /// Translates the reply.
    pub reply: ReplyTranslator,
}

/// Translates a request and prepares for its reply.
pub fn translate(exchange: &Exchange<'_>, body: &[u8]) -> Result<Translated, RequestError> {
    let (client, target) = (exchange.client, exchange.target);
    let mut request = read_request(client, body)?;
    let named = std::mem::replace(&mut request.model, exchange.model.to_owned());
    let mut dropped = Vec::new();
    if client != target.dialect {
        dropped = take_extra(&mut request, target.dialect)?;
        if target.dialect == Dialect::Messages && !request.has_cache_markers() {
            request.mark_cache();
        }
    }
    let written = write_request(&request, target)?;
    dropped.extend(written.dropped.iter().map(|what| (*what).to_owned()));
    let custom = request
        .tools
        .iter()
        .filter(|tool| matches!(tool.kind, ToolKind::Custom { .. }) && !target.custom_tools);
    let custom = custom.map(|tool| tool.name.clone()).collect();
    let namespaces = request.tools.iter().filter_map(|tool| {
        let (namespace, name) = tool.namespace.clone()?;
        Some((tool.name.clone(), namespace, name))
    });
    let options = WriterOptions {
        id: exchange.id.to_owned(),
        model: if named.is_empty() {
            exchange.model.to_owned()
        } else {
            named
        },
        created: exchange.now,
        report_usage: request.report_usage,
        namespaces: namespaces.collect(),
    };
    let id_prefix = format!("call_{}_", exchange.id);
    Ok(Translated {
        body: written.to_bytes(),
        dropped,
        stream: request.stream,
        reply: ReplyTranslator {
            client,
            upstream: target.dialect,
            custom,
            parser: ReplyParser::new(target.dialect, &id_prefix, REPLY_LIMIT),
            sequencer: Sequencer::default(),
            writer: ReplyWriter::new(client, options.clone()),
            options,
            id_prefix,
            unwrapping: None,
            usage: None,
            over: None,
        },
    })
}

/// Takes out what only the client's dialect knows.
fn take_extra(request: &mut Request, dialect: Dialect) -> Result<Vec<String>, RequestError> {
    let mut dropped = Vec::new();
    for (name, value) in std::mem::take(&mut request.extra) {
        let asks = match &value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(items) => !items.is_empty(),
            _ => true,
        };
        let several = name == "n" && value.as_u64() != Some(1);
        let speaks = name == "modalities" && value.to_string().contains("audio");
        if several || speaks || asks && REFUSED.contains(&name.as_str()) {
            return Err(RequestError::Untranslatable {
                what: name,
                dialect,
            });
        }
        dropped.push(name);
    }
    Ok(dropped)
}

/// Translates one reply.
#[derive(Debug)]
pub struct ReplyTranslator {
    client: Dialect,
    upstream: Dialect,
    options: WriterOptions,
    id_prefix: String,
    /// Tools that take free text, but were offered as functions.
    custom: Vec<String>,
    /// The arguments of the open call of such a tool.
    unwrapping: Option<String>,
    parser: ReplyParser,
    sequencer: Sequencer,
    writer: ReplyWriter,
    usage: Option<Usage>,
    /// How the stream ended, once it has.
    over: Option<Result<(), StreamError>>,
}

impl ReplyTranslator {
    /// Translates the next bytes of a stream.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let mut out = String::new();
        if self.over.is_none() {
            let mut events = Vec::new();
            let read = self.parser.push(bytes, &mut events);
            self.write(events, &mut out);
            if let Err(error) = read {
                self.fail(error, &mut out);
            }
        }
        out
    }

    /// The end of the stream. One that broke off says so to the client.
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        if self.over.is_none() {
            let mut events = Vec::new();
            let read = self.parser.finish(&mut events);
            self.write(events, &mut out);
            match read {
                Ok(()) => self.over = Some(Ok(())),
                Err(error) => self.fail(error, &mut out),
            }
        }
        out
    }

    /// The upstream broke off, and the stream with it.
    pub fn break_off(&mut self) -> String {
        let mut out = String::new();
        if self.over.is_none() {
            self.fail(StreamError::Cut, &mut out);
        }
        out
    }

    /// Whether the stream came to the end that it should.
    pub fn is_complete(&self) -> bool {
        matches!(self.over, Some(Ok(())))
    }

    /// What the upstream reported so far.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Translates a reply that came as one document: status and body.
    pub fn document(&mut self, body: &[u8]) -> (u16, Value) {
        match read_reply(self.upstream, body, &self.id_prefix) {
            Ok(mut reply) => {
                self.usage = reply.usage;
                for part in &mut reply.parts {
                    if let crate::conversation::Body::Call(call) = &mut part.body
                        && self.custom.contains(&call.name)
                    {
                        call.custom = true;
                        call.arguments = free_text(&call.arguments);
                    }
                }
                (200, write_reply(self.client, &reply, &self.options))
            }
            Err(error) => self.error(&error.to_api_error()),
        }
    }

    /// Translates an error answer: status and body.
    pub fn error(&self, error: &ApiError) -> (u16, Value) {
        (error.status_in(self.client), error.body_in(self.client))
    }

    fn fail(&mut self, error: StreamError, out: &mut String) {
        self.writer.fail(&error.to_api_error(), out);
        self.over = Some(Err(error));
    }

    fn write(&mut self, events: Vec<ReplyEvent>, out: &mut String) {
        let mut ordered = Vec::new();
        for event in events {
            if let ReplyEvent::Usage(usage) = &event {
                self.usage = Some(*usage);
            }
            self.sequencer.take(event, &mut ordered);
        }
        for event in ordered {
            self.write_one(event, out);
        }
    }

    /// Writes an event; the call of a tool that takes free text is unwrapped
    /// when it is whole.
    fn write_one(&mut self, event: ReplyEvent, out: &mut String) {
        match event {
            ReplyEvent::Call { call, id, name, .. } if self.custom.contains(&name) => {
                self.unwrapping = Some(String::new());
                let custom = true;
                let event = ReplyEvent::Call {
                    call,
                    id,
                    name,
                    custom,
                };
                self.writer.push(&event, out);
            }
            ReplyEvent::Arguments { call, piece } => match &mut self.unwrapping {
                Some(whole) => whole.push_str(&piece),
                None => self
                    .writer
                    .push(&ReplyEvent::Arguments { call, piece }, out),
            },
            ReplyEvent::CallEnd { call } => {
                if let Some(whole) = self.unwrapping.take() {
                    let piece = free_text(&whole);
                    self.writer
                        .push(&ReplyEvent::Arguments { call, piece }, out);
                }
                self.writer.push(&ReplyEvent::CallEnd { call }, out);
            }
            other => self.writer.push(&other, out),
        }
    }
}

/// The text within `{"input": …}`; what is something else is taken as it is.
fn free_text(arguments: &str) -> String {
    let value: Option<Value> = serde_json::from_str(arguments).ok();
    let text = value.and_then(|value| value.get("input")?.as_str().map(str::to_owned));
    text.unwrap_or_else(|| arguments.to_owned())
}
