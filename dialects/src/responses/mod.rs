//! OpenAI Responses.

pub(crate) mod emit;
mod output;
pub(crate) mod parse;
pub(crate) mod read;
pub(crate) mod write;
