//! A conversation with a model, in no dialect.
//!
//! [`Request`] and [`ReplyEvent`] carry what at least two of the dialects can
//! say, and verbatim what only one can: reasoning items with their signatures
//! or encrypted content ([`Thinking::raw`]), blocks nobody here knows
//! ([`Body::Foreign`]), fields of a request that are not modelled
//! ([`Request::extra`]). What is verbatim goes back to its own dialect as it
//! came and to no other.
//!
//! Invariant: a call is something the API marked as one. A call that a model
//! wrote into its text is text, and is at most pointed out
//! ([`Reply::call_in_text`]).

mod call_in_text;
mod reply;
mod request;
mod seal;
mod sequence;

pub use call_in_text::looks_like_call;
pub use reply::{Collector, Reply, ReplyEvent, StopReason, StreamError};
pub use request::{
    Body, Effort, Format, Image, Message, Part, Reasoning, Request, Role, Thinking, Tool, ToolCall,
    ToolChoice, ToolKind, ToolResult,
};
pub(crate) use seal::{seal, unseal};
pub(crate) use sequence::Sequencer;
