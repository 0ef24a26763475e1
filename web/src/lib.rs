//! The window: projects, conversations and machines in a browser.
//!
//! Client-side rendered with Leptos and served as static files from the origin
//! of the control plane, to which it speaks HTTP and one WebSocket.
//!
//! | module | what lives there |
//! |---|---|
//! | [`state`] | what every view shares; what a person can do |
//! | [`live`] | the followed project: socket, reducers, signals |
//! | [`frame`] | what the feed sends, as the wire types |
//! | [`route`], [`nav`] | addresses, and moving between them |
//! | [`action`], [`keys`] | every action by name, and its key |
//! | [`outline`], [`groups`] | the order of a conversation and of the list |
//! | [`markdown`] | the Markdown parser, fetched when it is first needed |
//! | [`text`] | diffs, terminal output |
//! | [`view`] | what is drawn |
//!
//! What people wait for first is this module alone. Two others are fetched when they are needed:
//! `sam-web-markdown` with the first message, `sam-web-administration` with the first of its pages.
//!
//! Invariants:
//! - what a conversation shows is a function of the stored rows and tasks: it is
//!   the same whether one watched it or loads it later;
//! - text from agents, tools and repositories never becomes markup of its own;
//! - this crate decides nothing about tasks, prompts or machines: it shows what
//!   the control plane says and asks it to act.

mod action;
mod backoff;
mod frame;
mod groups;
mod keys;
mod live;
mod markdown;
mod nav;
mod outline;
mod route;
mod state;
mod text;
#[expect(
    unreachable_pub,
    reason = "the component macro makes the properties of each component public"
)]
mod view;

use sam_web_parts::{api, browser, json};

/// Runs when the module is loaded.
#[cfg_attr(not(test), wasm_bindgen::prelude::wasm_bindgen(start))]
pub fn start() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(view::shell::Shell);
}
