//! The protocols in front of the scripted model.
//!
//! A protocol reads a request's body into a [`Request`], and writes a [`Reply`] as a whole document or as the chunks
//! of a stream. Each is written from its public description, not shared with the product's clients, so that a
//! misreading on one side shows up as a failure between the two. What a stream's chunks are is named by [`Part`], so
//! that a fault can happen at the same place in every protocol.

mod chat;
mod messages;
mod responses;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use chat::Chat;
pub(crate) use messages::Messages;
pub(crate) use responses::Responses;

use crate::conversation::{Reply, Request, Usage};

/// A protocol.
pub(crate) trait Dialect: Send + Sync {
    /// Reads a request, and refuses what the real service refuses.
    fn read(&self, body: Value) -> Result<Asked, Refusal>;
    /// An answer in one piece.
    fn whole(&self, id: u64, reply: &Reply, usage: Usage) -> Value;
    /// The chunks of a streamed answer, the end included; `usage` when it is to be reported.
    fn chunks(&self, id: u64, reply: &Reply, usage: Option<Usage>) -> Vec<Chunk>;
    /// The chunk by which a stream reports that it failed.
    fn failure(&self, code: &str, message: &str) -> Chunk;
    /// The body of an error answer.
    fn error(&self, status: u16, code: &str, message: &str) -> Value;
    /// The header by which it says when a limit resets, where it has one of its own.
    fn reset_header(&self, seconds: u64) -> (&'static str, String) {
        ("x-ratelimit-reset-tokens", format!("{seconds}s"))
    }
}

/// A request as it was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What the model reads.
    pub(crate) request: Request,
    /// Whether the answer is to be streamed.
    pub(crate) stream: bool,
    /// Whether a stream reports its usage.
    pub(crate) usage: bool,
    /// Whether reasoning may be shown apart from the answer.
    pub(crate) thinks: bool,
}

/// What a chunk of a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// That an answer begins.
    Opening,
    /// Some reasoning.
    Reasoning,
    /// Some text.
    Text,
    /// That a call begins.
    Call,
    /// Some of a call's arguments.
    Arguments,
    /// Why the answer ends.
    Finish,
    /// The usage.
    Usage,
    /// That nothing more comes.
    Done,
    /// That the stream failed.
    Failure,
}

/// A piece of a stream, as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) part: Part,
    pub(crate) text: String,
}

/// A request that a service refuses.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The body is not what the protocol describes.
    #[error("{0}")]
    Unreadable(String),
    /// The model is not served here.
    #[error("The model `{0}` does not exist; this gateway serves `scripted` alone.")]
    UnknownModel(String),
    /// There is nothing to answer.
    #[error("[] is too short - 'messages'")]
    NoMessages,
    /// A tool result that answers no call.
    #[error(
        "messages with role 'tool' must be a response to a preceding message with 'tool_calls': {0}"
    )]
    ResultWithoutCall(String),
    /// A call that was never answered.
    #[error(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id': {0}"
    )]
    CallWithoutResult(String),
    /// A call whose arguments are not a JSON object.
    #[error("tool call {0} has arguments that are not a JSON object")]
    BadArguments(String),
}

/// Characters of a piece of call arguments, unless that makes too many pieces.
const ARGUMENT_PIECE: usize = 24;
/// Pieces of one call's arguments.
const MOST_PIECES: usize = 60;
/// A piece of text ends at the first space after this many characters.
const TEXT_PIECE: usize = 10;

/// Text in the small pieces in which a real model's arrives.
pub(crate) fn text_pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for character in text.chars() {
        piece.push(character);
        if character.is_whitespace() && piece.chars().count() > TEXT_PIECE {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

/// Arguments torn apart in the middle of words: a client must put them together.
pub(crate) fn argument_pieces(arguments: &str) -> Vec<String> {
    let characters: Vec<char> = arguments.chars().collect();
    let size = ARGUMENT_PIECE.max(characters.len().div_ceil(MOST_PIECES));
    characters
        .chunks(size)
        .map(|piece| piece.iter().collect())
        .collect()
}

/// A moment in so many seconds, as `2026-01-31T12:00:00Z`.
fn rfc3339_in(seconds: u64) -> String {
    let now = SystemTime::now() + Duration::from_secs(seconds);
    let now = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs());
    let (days, second) = (now / 86_400, now % 86_400);
    // Eras of 400 years that begin in March.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Null where nothing is meant.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
