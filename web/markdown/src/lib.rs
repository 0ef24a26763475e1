//! Text that people read, as HTML that can do nothing.
//!
//! A wasm module of its own, fetched when the first message or diff is shown:
//! the parser's tables are large, and the app starts without them. JavaScript
//! calls `blocks` and `code`; nothing links this crate but its tests.

mod html;
mod syntax;

pub use html::{blocks, escape};

use wasm_bindgen::prelude::wasm_bindgen;

/// The top-level blocks of `source`, each as HTML, for JavaScript.
#[wasm_bindgen(js_name = blocks)]
#[must_use]
pub fn exported_blocks(source: &str) -> Vec<String> {
    blocks(source)
}

/// Lines of code, each as HTML with a little colour, for JavaScript.
#[wasm_bindgen(js_name = code)]
#[must_use]
pub fn exported_code(lines: Vec<String>) -> Vec<String> {
    lines
        .iter()
        .map(|line| {
            let mut html = String::new();
            syntax::html(line, &mut html);
            html
        })
        .collect()
}
