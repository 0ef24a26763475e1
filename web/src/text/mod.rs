//! Text into shapes, without a browser: what can be tested natively.
//!
//! - [`markdown`]: the agents' words as HTML that can do nothing.
//! - [`arguments`]: what a tool was asked to do.
//! - [`diff`]: unified diffs as files and numbered lines.
//! - [`syntax`]: a little colour for code.
//! - [`terminal`]: what a terminal would have left on its screen.
//! - [`words`]: durations, moments, sizes and states as people say them.

pub(crate) mod arguments;
pub(crate) mod diff;
pub(crate) mod markdown;
pub(crate) mod syntax;
pub(crate) mod terminal;
pub(crate) mod words;
