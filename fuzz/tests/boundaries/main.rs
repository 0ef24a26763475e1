//! What is read from outside, led astray. Everywhere the same holds: nothing panics, what reading
//! costs is in proportion to what was read, what was understood can be written and read again, and
//! what was not is an error.
//!
//! - [`frames`]: the link, the feed, batches of rows, requests, ids; the machines and the reducer
//!   that take what was read.
//! - [`agents`]: the Agent Client Protocol, in recorded conversations.
//! - [`models`]: server-sent events, the dialects' replies and requests.
//! - [`patches`]: patches and edits of the harness, and the files they change.
//! - [`servers`]: replies of MCP servers.
//! - [`tokens`]: signed claims, headers, cookies.
//! - [`transcripts`]: sessions of the harness on disk.
//! - [`markdown`]: agents' text as HTML.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod agents;
mod frames;
mod markdown;
mod models;
mod patches;
mod servers;
mod tokens;
mod transcripts;

/// Most bytes that reading `length` bytes may hold: a value in memory is larger than its text.
fn bound(length: usize) -> usize {
    64 * 1024 + 100 * length
}
