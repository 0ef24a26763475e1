//! The window: projects, conversations and machines in a browser.
//!
//! Client-side rendered with Leptos and served as static files from the origin
//! of the control plane, to which it speaks HTTP and one WebSocket.
//!
//! | module | what lives there |
//! |---|---|
//! | [`state`] | what every view shares; what a person can do |
//! | [`live`] | the followed project: socket, reducers, signals |
//! | [`api`] | HTTP calls |
//! | [`json`], [`frame`] | what is read, as the wire types |
//! | [`route`], [`nav`] | addresses, and moving between them |
//! | [`action`], [`keys`] | every action by name, and its key |
//! | [`outline`], [`groups`] | the order of a conversation and of the list |
//! | [`markdown`] | the Markdown parser, fetched when it is first needed |
//! | [`text`] | diffs, terminal output, words |
//! | [`view`] | what is drawn |
//!
//! Invariants:
//! - what a conversation shows is a function of the stored rows and tasks: it is
//!   the same whether one watched it or loads it later;
//! - text from agents, tools and repositories never becomes markup of its own;
//! - this crate decides nothing about tasks, prompts or machines: it shows what
//!   the control plane says and asks it to act.

mod action;
mod api;
mod backoff;
mod browser;
mod frame;
mod groups;
mod json;
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

/// Runs when the module is loaded.
#[cfg_attr(not(test), wasm_bindgen::prelude::wasm_bindgen(start))]
pub fn start() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(view::shell::Shell);
}
