//! Keys to model providers: one's own, or the installation's. They are typed, stored and never shown.

use crate::field::{change, field};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::catalogue::model::Provider;
use sam_domain::provider::key::Endpoint;
use sam_domain::provider::wire::{CredentialList, CredentialView, KeyCheck, PutCredential};
use sam_web_parts::api::{self, Trouble};
use sam_web_parts::browser;
use sam_web_parts::dynamic::{Views, on, part, value};
use sam_web_parts::loaded::{Again, cards, reading, shown};
use sam_web_parts::part::trouble_note;

/// The keys at a place of the API (`/api/credentials`, `/api/admin/credentials`), and a form for
/// another one. `changed` is called after every change.
pub(crate) fn keys(place: &'static str, changed: Again) -> impl IntoView {
    let (held, read) = reading(move || api::get::<CredentialList>(place));
    let again = Again::new(move || {
        read.run();
        changed.run();
    });
    view! {
        {shown(held, 1, move |list| {
            cards(&list.credentials, "None is stored.", |key| card(place, key, again))
        })}
        {new_key(place, again)}
    }
}

fn card(place: &'static str, held: &CredentialView, again: Again) -> AnyView {
    let provider = held.provider.name();
    let path = format!("{place}/{provider}");
    let (active, switched) = (held.active, path.clone());
    let check = match held.check {
        KeyCheck::Accepted => "the provider takes it",
        KeyCheck::Refused => "the provider refuses it",
        KeyCheck::Unknown => "not known whether the provider takes it",
    };
    let off = (!active).then_some("switched off, nothing is used in its place \u{b7} ");
    let at = held.endpoint.as_ref().map(|it| it.url.clone());
    let at = at.or_else(|| held.account.clone());
    let switch = move |_| {
        let body = PutCredential {
            active: Some(!active),
            ..PutCredential::default()
        };
        change(
            "Switched",
            Method::Put,
            switched.clone(),
            Some(&body),
            again,
        );
    };
    let remove = move |_| {
        change("Removed", Method::Delete, path.clone(), None::<&()>, again);
    };
    view! {
        <li class="setting">
            <div>
                <p class="name">{provider}</p>
                <p class="muted small">
                    {off} {check} " \u{b7} stored " {browser::exact(held.updated_at)}
                </p>
                {at.map(|at| view! { <p class="muted small">{at}</p> })}
            </div>
            <span class="buttons">
                <button type="button" on:click=on(switch)>
                    {if active { "Switch off" } else { "Switch on" }}
                    <span class="sr-only">" " {provider}</span>
                </button>
                <button type="button" class="danger" on:click=on(remove)>
                    "Remove"
                    <span class="sr-only">" " {provider}</span>
                </button>
            </span>
        </li>
    }
    .into_any()
}

fn new_key(place: &'static str, again: Again) -> impl IntoView {
    let provider = RwSignal::new(Provider::Openai);
    let [key, beside] = [(); 2].map(|()| RwSignal::new(String::new()));
    let trouble = RwSignal::new(None::<Trouble>);
    let warning = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    // What a provider needs beside the key.
    let needs = Memo::new(move |_| match provider.get() {
        Provider::Custom => Some("Address of the API, with its version path"),
        Provider::WorkersAi => Some("Cloudflare account"),
        _ => None,
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let named = provider.get_untracked();
        let given = beside.get_untracked().trim().to_owned();
        let typed = key.get_untracked().trim().to_owned();
        if typed.is_empty() {
            trouble.set(Some(Trouble::here("A key is missing.")));
            return;
        }
        let request = PutCredential {
            key: Some(typed),
            active: None,
            endpoint: (named == Provider::Custom).then(|| Endpoint::chat_at(&given)),
            account: (named == Provider::WorkersAi).then_some(given),
        };
        busy.set(true);
        spawn_local(async move {
            let path = format!("{place}/{}", named.name());
            let answer = api::send_json::<_, CredentialView>(Method::Put, &path, &request).await;
            busy.set(false);
            trouble.set(None);
            warning.set(None);
            match answer {
                Ok(held) => {
                    key.set(String::new());
                    warning.set(held.warning);
                    again.run();
                }
                Err(refused) => trouble.set(Some(refused)),
            }
        });
    };
    let providers = Provider::ALL
        .into_iter()
        .map(|it| {
            let chosen = it == Provider::Openai;
            view! { <option value=it.name() selected=chosen>{it.name()}</option> }
        })
        .views();
    view! {
        <form class="stack" on:submit=submit>
            <label for="key-provider">"Provider"</label>
            <select
                id="key-provider"
                on:change=on(move |event| {
                    if let Some(named) = Provider::parse(&event_target_value(&event)) {
                        provider.set(named);
                    }
                })
            >
                {providers}
            </select>
            {part(move || needs.get().map(|label| field("key-place", label, "text", beside)))}
            {field("key-text", "Key", "password", key)}
            <div>
                <button type="submit" disabled=value(move || busy.get())>
                    {part(move || if busy.get() { "Storing\u{2026}" } else { "Store the key" })}
                </button>
            </div>
        </form>
        {part(move || {
            warning
                .get()
                .map(|words| {
                    view! {
                        <div class="note warn" role="status">
                            <p>{words}</p>
                        </div>
                    }
                })
        })}
        {part(move || trouble.get().map(|it| trouble_note(&it)))}
    }
}
