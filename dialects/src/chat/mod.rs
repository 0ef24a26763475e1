//! Chat completions.
//!
//! [`UsageChunkFilter`] is for whoever passes a stream through that was made to
//! report its usage.

pub(crate) mod emit;
mod filter;
pub(crate) mod parse;
pub(crate) mod read;
pub(crate) mod write;

pub use filter::UsageChunkFilter;
