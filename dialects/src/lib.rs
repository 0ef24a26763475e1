//! The model APIs, without I/O.
//!
//! Two programs read them: the harness, which builds requests and takes
//! replies apart, and the Worker's proxy, which passes bytes through, wants to
//! know what they cost, and translates where client and upstream speak
//! differently. Bytes and time are arguments; nothing here opens a socket,
//! reads a clock or draws a random number, so the crate builds natively and
//! for wasm32.
//!
//! - [`conversation`]: a request and a reply in no dialect;
//! - [`read_request`], [`write_request`], [`ReplyParser`], [`ReplyWriter`],
//!   [`read_reply`], [`write_reply`]: the three dialects;
//! - [`translate`]: from one to another, with the table of what is lost;
//! - [`scan`]: what a proxy has to know of bytes that pass.
//!
//! Invariant: whatever the chunking of the bytes, the result is the same; and
//! no input makes memory grow past the bounds given.

mod chat;
pub mod conversation;
mod depth;
mod dialect;
mod error;
pub mod json;
mod messages;
mod responses;
mod retry;
pub mod scan;
mod sse;
pub mod translate;
mod usage;

pub use dialect::{
    Dialect, ReplyParser, ReplyWriter, RequestError, Target, WriterOptions, Written, read_reply,
    read_request, write_reply, write_request,
};
pub use error::{ApiError, ErrorKind};
pub use retry::{retry_after, retry_at};
pub use scan::{Metered, UsageScan};
pub use sse::{SseDecoder, SseError, SseEvent};
pub use usage::Usage;
