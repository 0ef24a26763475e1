//! The few things asked of the browser itself, each of which may be missing.

use leptos::prelude::{document, window};
use sam_domain::time::Timestamp;
use wasm_bindgen::JsCast;

/// The moment by the browser's clock.
pub fn now() -> Timestamp {
    let millis = js_sys::Date::now();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "milliseconds since 1970 fit"
    )]
    Timestamp(millis.max(0.0) as u64)
}

/// A number from 0 to 1.
pub fn chance() -> f64 {
    js_sys::Math::random()
}

/// 128 random bits as hexadecimal: an idempotency key.
pub fn random_key() -> String {
    let mut bytes = [0_u8; 16];
    let drawn = window()
        .crypto()
        .and_then(|crypto| crypto.get_random_values_with_u8_array(&mut bytes));
    if drawn.is_err() {
        for byte in &mut bytes {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and 255"
            )]
            let drawn = (chance() * 256.0) as u8;
            *byte = drawn;
        }
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A remembered word, if storage is allowed.
pub fn recall(name: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(name).ok()?
}

/// Remembers a word, or forgets it; silently nothing where storage is refused.
pub fn remember(name: &str, value: Option<&str>) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = match value {
            Some(value) => storage.set_item(name, value),
            None => storage.remove_item(name),
        };
    }
}

/// What this tab keeps under a name, over a reload; empty where it keeps nothing.
pub fn kept(name: &str) -> String {
    let storage = window().session_storage().ok().flatten();
    storage
        .and_then(|storage| storage.get_item(name).ok().flatten())
        .unwrap_or_default()
}

/// Keeps text in this tab, or forgets it where it is empty.
pub fn keep(name: &str, text: &str) {
    if let Ok(Some(storage)) = window().session_storage() {
        let _ = match text {
            "" => storage.remove_item(name),
            text => storage.set_item(name, text),
        };
    }
}

/// Forgets everything that this tab keeps.
pub fn forget_kept() {
    if let Ok(Some(storage)) = window().session_storage() {
        let _ = storage.clear();
    }
}

/// Puts text on the clipboard.
pub fn copy(text: &str) {
    let clipboard = window().navigator().clipboard();
    // Absent on insecure origins.
    if !clipboard.is_undefined() {
        drop(clipboard.write_text(text));
    }
}

/// The origin the page came from, e.g. `http://127.0.0.1:8787`.
pub fn origin() -> String {
    window().location().origin().unwrap_or_default()
}

/// What the browser says of itself and of what it runs on.
pub fn user_agent() -> String {
    window().navigator().user_agent().unwrap_or_default()
}

/// Whether the page can be seen.
pub fn visible() -> bool {
    document().visibility_state() == web_sys::VisibilityState::Visible
}

/// The element that has the focus.
pub fn focused() -> Option<web_sys::HtmlElement> {
    document().active_element()?.dyn_into().ok()
}

/// Gives the focus to the first element that matches, if it can be seen; says
/// whether it did.
pub fn focus(selector: &str) -> bool {
    document()
        .query_selector(selector)
        .ok()
        .flatten()
        .and_then(|found| found.dyn_into::<web_sys::HtmlElement>().ok())
        .filter(|element| element.offset_parent().is_some())
        .is_some_and(|element| element.focus().is_ok())
}

/// A moment as the person's own clock and calendar say it.
pub fn exact(at: Timestamp) -> String {
    String::from(date(at).to_locale_string("default", &wasm_bindgen::JsValue::UNDEFINED))
}

/// A moment as hours and minutes.
pub fn clock(at: Timestamp) -> String {
    let date = date(at);
    format!("{:02}:{:02}", date.get_hours(), date.get_minutes())
}

/// A moment as hours, minutes and seconds.
pub fn clock_seconds(at: Timestamp) -> String {
    format!("{}:{:02}", clock(at), date(at).get_seconds())
}

/// A moment for `<time datetime>`.
pub fn iso(at: Timestamp) -> String {
    String::from(date(at).to_iso_string())
}

fn date(at: Timestamp) -> js_sys::Date {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 are far below 2^53"
    )]
    let millis = at.0.min(8_640_000_000_000_000) as f64;
    js_sys::Date::new(&millis.into())
}
