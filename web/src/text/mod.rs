//! Text into shapes, without a browser: what can be tested natively.
//!
//! - [`arguments`]: what a tool was asked to do.
//! - [`diff`]: unified diffs as files and numbered lines.
//! - [`terminal`]: what a terminal would have left on its screen.

pub(crate) mod arguments;
pub(crate) mod diff;
pub(crate) mod terminal;

pub(crate) use sam_web_parts::{honest, words};
