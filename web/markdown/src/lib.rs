//! Text that people read, as HTML that can do nothing.
//!
//! Two programs come from here. The app links [`syntax`] and [`escape`]; the
//! parser, whose tables are large, is a wasm module of its own (feature
//! `module`), fetched when the first message is shown.

mod html;
pub mod syntax;

pub use html::{blocks, escape};

/// The top-level blocks of `source`, each as HTML, for JavaScript.
#[cfg(feature = "module")]
#[wasm_bindgen::prelude::wasm_bindgen(js_name = blocks)]
#[must_use]
pub fn exported_blocks(source: &str) -> Vec<String> {
    blocks(source)
}
