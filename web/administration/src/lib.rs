//! The pages for settings, usage, models and setup: a wasm module of its own,
//! fetched when the first of them is opened.
//!
//! The app (`sam-web`) keeps the address, the rail, the keys, the title and the
//! session; it gives a place to [`mount`] and takes away what that answers. Links
//! drawn here are followed by the app.
//!
//! | module | what lives there |
//! |---|---|
//! | [`frame`] | what is around every page |
//! | [`field`] | fields of forms, and doing what they ask for |
//! | [`settings`] | API tokens, where one is signed in |
//! | [`usage`], [`budget`] | what model calls used and cost, and the limits |
//! | [`models`], [`payers`], [`keys`] | the catalogue, who pays for which agent, keys |
//! | [`people`], [`waiting`] | everybody: roles, being shut out, budgets, invites; who waits |
//! | [`setup`] | what the installation needs, with what the doctor says |
//!
//! Invariant: this crate decides nothing about who may do what: it shows what the
//! control plane says and asks it to act. Who is no administrator is only not
//! offered what would be refused.

#![expect(
    unreachable_pub,
    reason = "the component macro makes the properties of each component public"
)]

mod budget;
mod field;
mod frame;
mod keys;
mod models;
mod payers;
mod people;
mod settings;
mod setup;
mod usage;
mod waiting;

use leptos::prelude::*;
use sam_web_parts::api;
use sam_web_parts::page::{Page, SIGNED_OUT};
use wasm_bindgen::prelude::wasm_bindgen;

/// Runs when the module is loaded.
#[cfg_attr(not(test), wasm_bindgen(start))]
pub fn start() {
    console_error_panic_hook::set_once();
    api::when_signed_out(|| {
        if let Ok(event) = web_sys::Event::new(SIGNED_OUT) {
            // Only an event that is being dispatched already is refused.
            let _ = window().dispatch_event(&event);
        }
    });
}

/// A page that is drawn; taken away when it is freed.
#[wasm_bindgen]
pub struct Mounted {
    _drawn: Box<dyn std::any::Any>,
}

/// Draws a page into a place, for an administrator or for somebody else.
#[wasm_bindgen]
#[must_use]
pub fn mount(place: web_sys::HtmlElement, page: &str, administrator: bool) -> Mounted {
    let page = Page::named(page).unwrap_or(Page::Settings);
    let drawn = leptos::mount::mount_to(place, move || frame::page(page, administrator).into_any());
    Mounted {
        _drawn: Box::new(drawn),
    }
}
