//! Moving between addresses without loading the page again.

use crate::route::Route;
use crate::state::App;
use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

/// Where the address bar says one is.
pub(crate) fn here() -> Route {
    Route::parse(&window().location().pathname().unwrap_or_default())
}

/// The secret in the fragment, taken out of the address bar and the history.
pub(crate) fn take_fragment() -> Option<String> {
    let fragment = window().location().hash().ok()?;
    let secret = fragment.strip_prefix('#')?.to_owned();
    let path = window().location().pathname().ok()?;
    replace(&path);
    (!secret.is_empty()).then_some(secret)
}

/// Whether one has just come back signed in; the mark leaves the address bar.
pub(crate) fn take_signed_in() -> bool {
    let location = window().location();
    let marked = location.hash().is_ok_and(|hash| hash == "#signed-in");
    if marked {
        let path = location.pathname().unwrap_or_default();
        replace(&format!("{path}{}", location.search().unwrap_or_default()));
    }
    marked
}

/// Where one is, with the query.
pub(crate) fn address() -> String {
    let location = window().location();
    let path = location.pathname().unwrap_or_default();
    format!("{path}{}", location.search().unwrap_or_default())
}

/// A parameter of the address's query.
pub(crate) fn query(name: &str) -> Option<String> {
    let query = window().location().search().ok()?;
    web_sys::UrlSearchParams::new_with_str(&query)
        .ok()?
        .get(name)
}

/// Goes to a route.
pub(crate) fn go(app: App, route: Route) {
    if app.route.with_untracked(|now| *now == route) {
        return;
    }
    if let Ok(history) = window().history() {
        let _ = history.push_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&route.path()));
    }
    app.trouble.set(None);
    app.route.set(route);
}

/// Goes to a route in place of the present one.
pub(crate) fn go_instead(app: App, route: Route) {
    replace(&route.path());
    app.route.set(route);
}

fn replace(path: &str) {
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(path));
    }
}

/// Listens to the back button and to clicks on links within the app.
pub(crate) fn listen(app: App) {
    let back = window_event_listener(ev::popstate, move |_| app.route.set(here()));
    let clicks = window_event_listener(ev::click, move |event| {
        if event.default_prevented()
            || event.button() != 0
            || event.meta_key()
            || event.ctrl_key()
            || event.shift_key()
            || event.alt_key()
        {
            return;
        }
        let link = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .and_then(|element| element.closest("a[href^='/']").ok().flatten());
        let elsewhere = |link: &web_sys::Element| {
            link.has_attribute("target") || link.has_attribute("download")
        };
        let Some(link) = link.filter(|link| !elsewhere(link)) else {
            return;
        };
        let path = link.get_attribute("href").unwrap_or_default();
        event.prevent_default();
        go(app, Route::parse(&path));
    });
    on_cleanup(move || {
        back.remove();
        clicks.remove();
    });
}
