//! Text into shapes, without a browser: what can be tested natively.
//!
//! - [`arguments`]: what a tool was asked to do.
//! - [`diff`]: unified diffs as files and numbered lines.
//! - [`honest`]: text that cannot lie about itself.
//! - [`terminal`]: what a terminal would have left on its screen.
//! - [`words`]: durations, moments, sizes and states as people say them.

pub(crate) mod arguments;
pub(crate) mod diff;
pub(crate) mod honest;
pub(crate) mod terminal;
pub(crate) mod words;
