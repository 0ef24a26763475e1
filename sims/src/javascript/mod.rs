//! As much of JavaScript as a repair needs: tokens with their places, and an outline of what a file defines.
//!
//! This is no parser. It knows where code is and where strings, comments and regular expressions are, which
//! functions and constants a file defines and which names their code mentions. Names are resolved by spelling alone.

mod lexer;
mod outline;

pub(crate) use lexer::{Kind, Token, line_of, tokens};
pub(crate) use outline::{Unit, UnitKind, matching, outline};
