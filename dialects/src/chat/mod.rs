//! Chat completions.

pub(crate) mod emit;
pub(crate) mod parse;
pub(crate) mod read;
pub(crate) mod write;
