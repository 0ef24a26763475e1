//! The keyboard.

use crate::action::Action;
use crate::browser;
use crate::state::App;
use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

/// Keys that are no action of their own, for the help.
pub(crate) const MOVES: [(&str, &str); 4] = [
    ("j", "Next conversation in the list"),
    ("k", "Previous conversation in the list"),
    ("\u{21b5}", "Open it"),
    ("\u{2318}\u{21b5}", "Send what is written"),
];

/// Listens to keys that mean the same everywhere.
pub(crate) fn listen(app: App) {
    let handle = window_event_listener(ev::keydown, move |event| {
        if event.default_prevented() {
            return;
        }
        let key = event.key();
        let command = event.meta_key() || event.ctrl_key();
        if command && key.eq_ignore_ascii_case("k") {
            event.prevent_default();
            if app.dialog.with_untracked(Option::is_none) {
                Action::Palette.run(app);
            }
            return;
        }
        // A dialog has its own keys; the browser closes it with Esc.
        if command || event.alt_key() || app.dialog.with_untracked(Option::is_some) {
            return;
        }
        let writing = browser::focused().is_some_and(|element| is_field(&element));
        if writing {
            if key == "Escape"
                && let Some(field) = browser::focused()
            {
                let _ = field.blur();
            }
            return;
        }
        let done = match key.as_str() {
            "c" => act(app, Action::Compose),
            "x" => act(app, Action::Cancel),
            "/" => act(app, Action::Filter),
            "?" => act(app, Action::Help),
            "Escape" => act(app, Action::Back),
            "j" => move_in_list(1),
            "k" => move_in_list(-1),
            _ => false,
        };
        if done {
            event.prevent_default();
        }
    });
    on_cleanup(move || handle.remove());
}

fn act(app: App, action: Action) -> bool {
    let available = action.available(app);
    action.run(app);
    available
}

fn is_field(element: &web_sys::HtmlElement) -> bool {
    matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
        || element.is_content_editable()
}

/// Moves the focus among the entries of the list.
fn move_in_list(by: i32) -> bool {
    let Ok(entries) = document().query_selector_all(".entry") else {
        return false;
    };
    let entries: Vec<web_sys::HtmlElement> = (0..entries.length())
        .filter_map(|index| entries.get(index)?.dyn_into().ok())
        .collect();
    let focused = browser::focused();
    let place = entries
        .iter()
        .position(|entry| focused.as_ref() == Some(entry));
    let current = || {
        entries
            .iter()
            .position(|entry| entry.has_attribute("aria-current"))
    };
    let next = match (place, by) {
        (Some(at), 1) => at + 1,
        (Some(at), _) => at.saturating_sub(1),
        (None, _) => current().unwrap_or(0),
    };
    entries
        .get(next.min(entries.len().saturating_sub(1)))
        .is_some_and(|entry| entry.focus().is_ok())
}
