//! The record of a conversation: what was said and done, as it happened.
//!
//! A transcript is a directory of segments, each a file of lines, each line
//! one JSON object. The first line of a segment is its [`Header`], the second
//! a checkpoint of the whole [`State`], and every further line one [`Event`]
//! with its time. Lines are only ever added, each with one write, so that a
//! process that dies at any moment leaves at most one torn line at the end.
//!
//! What a model is sent is a function of the events alone ([`State::apply`]):
//! the live conversation and a resumed one are the same value. The newest
//! segment is enough to resume; all of them, in order, are what happened.
//!
//! It refuses to know models, tools and protocols: it stores what it is given.
//! The form on disk is its own and described in `docs/transcript.md`.

mod event;
mod message;
mod read;
mod redact;
mod state;
mod store;

pub use event::{Digest, Event, FileSeen, Header, Line};
pub use read::{Entry, Reader};
pub use redact::Redactor;
pub use state::{FileKnown, State, title};
pub use store::{Found, Summary, Transcript, TranscriptError, default_root, events, is_id, list};

/// What a header names as its format.
pub const FORMAT: &str = "sam-transcript";
/// The version written here, and the newest that is read.
pub const VERSION: u32 = 1;
