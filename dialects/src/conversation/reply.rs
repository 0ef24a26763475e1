//! What is answered: events as they arrive, and the reply they add up to.

use super::call_in_text::looks_like_call;
use super::request::{Body, Message, Part, Role, Thinking, ToolCall};
use crate::Dialect;
use crate::error::ApiError;
use crate::usage::Usage;
use serde_json::Value;

/// Something new in a reply.
///
/// Text and thinking are pieces of the block that is open; a piece of another
/// kind opens another block. Calls are numbered from 0 in the order in which
/// they began, and their pieces may interleave.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplyEvent {
    /// The reply began.
    Begin {
        /// Its id.
        id: Option<String>,
        /// The model that answers, as it calls itself.
        model: Option<String>,
    },
    /// More text.
    Text(String),
    /// The text block is over; the next piece begins another.
    TextEnd,
    /// More words by which the model declines.
    Refusal(String),
    /// More of the reasoning that may be shown.
    Thinking(String),
    /// The reasoning item is over.
    ThinkingEnd {
        /// The item, to be returned verbatim.
        raw: Option<(Dialect, Value)>,
    },
    /// A call began; its arguments are still to come.
    Call {
        /// Its number.
        call: usize,
        /// Its id.
        id: String,
        /// The tool's name.
        name: String,
        /// Whether its arguments are free text.
        custom: bool,
    },
    /// More of a call's arguments.
    Arguments {
        /// The call's number.
        call: usize,
        /// The next piece of text.
        piece: String,
    },
    /// A call's arguments are whole.
    CallEnd {
        /// The call's number.
        call: usize,
    },
    /// A block that only one dialect knows.
    Foreign {
        /// That dialect.
        dialect: Dialect,
        /// The block.
        raw: Value,
    },
    /// What the reply costs; a later one replaces an earlier one.
    Usage(Usage),
    /// Why the model stopped; nothing but [`ReplyEvent::End`] follows.
    Stop(StopReason),
    /// The upstream said that this was all.
    End,
}

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// It was done.
    EndTurn,
    /// It wants its calls answered.
    ToolUse,
    /// It ran out of output.
    MaxTokens,
    /// It came to one of the texts that end a reply.
    StopSequence(Option<String>),
    /// Its output was withheld, or it declined.
    Refusal,
    /// A long turn of the API's own tools was interrupted and can be continued.
    Pause,
    /// The conversation is longer than the model's context.
    ContextExceeded,
    /// Anything else, in the upstream's word.
    Other(String),
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The upstream reported an error in the stream.
    #[error("the model API broke off: {0}")]
    Api(ApiError),
    /// An event is not JSON.
    #[error("an event of the stream is not JSON: {0}")]
    NotJson(String),
    /// An event or the reply is larger than the bound.
    #[error("the reply is longer than {0} bytes")]
    TooLong(usize),
    /// The stream ended before the model was done.
    #[error("the reply broke off before the model was done")]
    Cut,
}

impl StreamError {
    /// The error as a client is told it.
    pub fn to_api_error(&self) -> ApiError {
        match self {
            Self::Api(error) => error.clone(),
            other => ApiError {
                status: None,
                code: Some("upstream_broke_off".to_owned()),
                message: other.to_string(),
                retry_after: None,
            },
        }
    }
}

/// A whole reply.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// Its id.
    pub id: Option<String>,
    /// The model that answered, as it calls itself.
    pub model: Option<String>,
    /// Texts, reasoning and calls, in order.
    pub parts: Vec<Part>,
    /// Why the model stopped.
    pub stop: Option<StopReason>,
    /// What it cost, if the upstream said so.
    pub usage: Option<Usage>,
    /// Whether the upstream said that this was all. Calls of a reply that is
    /// not complete must not be made.
    pub complete: bool,
}

impl Reply {
    /// All text.
    pub fn text(&self) -> String {
        self.parts.iter().filter_map(Part::as_text).collect()
    }

    /// All reasoning that may be shown.
    pub fn thinking(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match &part.body {
            Body::Thinking(thinking) => Some(thinking.text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The calls, in order.
    pub fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match &part.body {
            Body::Call(call) => Some(call),
            _ => None,
        })
    }

    /// Whether the reply makes no call, but its text looks as if the model
    /// meant to. Such a call is never made.
    pub fn call_in_text(&self) -> bool {
        self.calls().next().is_none() && looks_like_call(&self.text())
    }

    /// The reply as it stands in the next request.
    pub fn into_message(self) -> Message {
        Message {
            role: Role::Assistant,
            parts: self.parts,
        }
    }
}

/// Puts a reply together from its events.
#[derive(Debug, Default)]
pub struct Collector {
    reply: Reply,
    /// Where the calls stand among the parts, by their numbers.
    calls: Vec<usize>,
    /// Whether the last part may still grow.
    open: bool,
}

impl Collector {
    /// A collector that has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event.
    pub fn take(&mut self, event: ReplyEvent) {
        match event {
            ReplyEvent::Begin { id, model } => {
                self.reply.id = self.reply.id.take().or(id);
                self.reply.model = self.reply.model.take().or(model);
            }
            ReplyEvent::Text(text) => match self.last() {
                Some(Body::Text(whole)) => whole.push_str(&text),
                _ => self.begin(Body::Text(text)),
            },
            ReplyEvent::Refusal(text) => match self.last() {
                Some(Body::Refusal(whole)) => whole.push_str(&text),
                _ => self.begin(Body::Refusal(text)),
            },
            ReplyEvent::TextEnd => self.open = false,
            ReplyEvent::Thinking(text) => match self.last() {
                Some(Body::Thinking(whole)) => whole.text.push_str(&text),
                _ => self.begin(Body::Thinking(Thinking { text, raw: None })),
            },
            ReplyEvent::ThinkingEnd { raw } => {
                match self.last() {
                    Some(Body::Thinking(whole)) => whole.raw = raw,
                    _ => self.begin(Body::Thinking(Thinking {
                        text: String::new(),
                        raw,
                    })),
                }
                self.open = false;
            }
            ReplyEvent::Call {
                call,
                id,
                name,
                custom,
            } => {
                // A number once given stays with its call.
                if call == self.calls.len() {
                    self.calls.push(self.reply.parts.len());
                    self.begin(Body::Call(ToolCall {
                        id,
                        name,
                        arguments: String::new(),
                        custom,
                    }));
                    self.open = false;
                }
            }
            ReplyEvent::Arguments { call, piece } => {
                let at = self.calls.get(call).copied();
                let part = at.and_then(|at| self.reply.parts.get_mut(at));
                if let Some(Body::Call(call)) = part.map(|part| &mut part.body) {
                    call.arguments.push_str(&piece);
                }
            }
            ReplyEvent::CallEnd { .. } => {}
            ReplyEvent::Foreign { dialect, raw } => {
                self.begin(Body::Foreign { dialect, raw });
                self.open = false;
            }
            ReplyEvent::Usage(usage) => self.reply.usage = Some(usage),
            ReplyEvent::Stop(reason) => self.reply.stop = Some(reason),
            ReplyEvent::End => self.reply.complete = true,
        }
    }

    /// The reply as far as it came.
    pub fn finish(self) -> Reply {
        self.reply
    }

    /// The reply so far.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    fn last(&mut self) -> Option<&mut Body> {
        let open = self.open;
        let part = self.reply.parts.last_mut().filter(|_| open);
        part.map(|part| &mut part.body)
    }

    fn begin(&mut self, body: Body) {
        self.reply.parts.push(body.into());
        self.open = true;
    }
}
