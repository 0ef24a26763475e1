//! The model APIs, without I/O.
//!
//! Two programs read them: the harness, which builds requests and takes
//! replies apart, and the Worker's proxy, which passes bytes through and wants
//! to know only what they cost. Bytes and time are arguments; nothing here
//! opens a socket, reads a clock or draws a random number, so the crate builds
//! natively and for wasm32.
//!
//! Invariant: whatever the chunking of the bytes, the result is the same; and
//! no input makes memory grow past the bounds given.

pub mod chat;
mod error;
mod sse;
mod usage;

pub use error::{ApiError, retry_after};
pub use sse::{SseDecoder, SseError, SseEvent};
pub use usage::{Usage, UsageScan};
