//! What the harness keeps of a conversation and takes from others, as a
//! library.
//!
//! The program `sam-harness` is built on it; tests that vary its input read it
//! from outside.

pub mod context;
pub mod edits;
pub mod head_tail;
pub mod mcp_client;
pub mod patch;
pub mod text_file;
pub mod transcript;
