//! Fields of forms, and doing what a form or a button asks for.

use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_web_parts::api;
use sam_web_parts::dynamic::{on, value};
use sam_web_parts::loaded::Again;
use sam_web_parts::surroundings::surroundings;
use serde::Serialize;

/// A labelled line of text. A secret is not shown while it is typed.
pub(crate) fn field(
    id: &'static str,
    label: &'static str,
    kind: &'static str,
    held: RwSignal<String>,
) -> AnyView {
    view! {
        <div class="labelled">
            <label for=id>{label}</label>
            <input
                id=id
                type=kind
                autocomplete="off"
                spellcheck="false"
                prop:value=value(move || held.get())
                on:input=on(move |event| held.set(event_target_value(&event)))
            />
        </div>
    }
    .into_any()
}

/// Asks for what was chosen in a list, which goes back to what it held where that is refused.
pub(crate) fn choose<B: Serialize>(
    event: &web_sys::Event,
    held: String,
    method: Method,
    path: String,
    body: &B,
    then: Again,
) {
    let around = surroundings();
    let list = event_target::<web_sys::HtmlSelectElement>(event);
    let body = serde_json::to_string(body).unwrap_or_default();
    around.trouble.set(None);
    spawn_local(async move {
        match api::send_text(method, &path, Some(body)).await {
            Ok(_) => around.said.set("Chosen".to_owned()),
            Err(trouble) => {
                list.set_value(&held);
                around.failed(trouble);
            }
        }
        then.run();
    });
}

/// Asks for a change, says that it is done or why it is refused, and goes on either way.
pub(crate) fn change<B: Serialize>(
    said: &'static str,
    method: Method,
    path: String,
    body: Option<&B>,
    then: Again,
) {
    let around = surroundings();
    let body = body.map(|body| serde_json::to_string(body).unwrap_or_default());
    around.trouble.set(None);
    spawn_local(async move {
        match api::send_text(method, &path, body).await {
            Ok(_) => around.said.set(said.to_owned()),
            Err(trouble) => around.failed(trouble),
        }
        then.run();
    });
}
