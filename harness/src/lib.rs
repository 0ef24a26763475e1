//! What the harness keeps of a conversation, as a library.
//!
//! The program `sam-harness` is built on it; tests that vary its input read it
//! from outside.

pub mod context;
pub mod edits;
pub mod patch;
pub mod text_file;
pub mod transcript;
