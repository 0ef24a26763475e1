//! Models and who pays for them: one's agents, one's keys, and the models that can be used.

use crate::api::{self, Trouble};
use crate::state::{Loaded, Who, app};
use crate::view::dynamic::{on, part, value};
use crate::view::part::{skeleton, trouble_note};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::access::wire::Role;
use sam_domain::catalogue::changes::Role as Use;
use sam_domain::catalogue::model::Provider;
use sam_domain::provider::Mode;
use sam_domain::provider::key::Endpoint;
use sam_domain::provider::wire::{
    AgentProvider, AgentProviders, CredentialList, CredentialView, KeyCheck, ModelList, ModelView,
    PutAgentProvider, PutCredential,
};
use serde_json::{Value, json};

/// The sections on the page of settings.
#[component]
pub(crate) fn Providers() -> impl IntoView {
    view! {
        <Agents />
        <Keys />
        <Models />
    }
}

/// What a list shows while it is read, when it cannot be, and when it is here.
fn listed<T: Clone + Send + Sync + 'static>(
    loaded: RwSignal<Loaded<Vec<T>>>,
    draw: impl Fn(&T) -> AnyView + Copy + Send + Sync + 'static,
) -> impl IntoView {
    part(move || {
        loaded.with(|loaded| match loaded {
            Loaded::Loading => skeleton(2).into_any(),
            Loaded::Failed(trouble) => trouble_note(trouble).into_any(),
            Loaded::Here(list) => {
                let rows: Vec<AnyView> = list.iter().map(draw).collect();
                view! { <ul class="cards">{rows}</ul> }.into_any()
            }
        })
    })
}

/// Does something that answers with nothing to keep, says it, and reads again.
fn act(
    said: &'static str,
    method: Method,
    path: String,
    body: Value,
    then: impl Fn() + Copy + 'static,
) {
    let app = app();
    spawn_local(async move {
        app.trouble.set(None);
        let answer = match method {
            Method::Delete => api::act(method, &path).await,
            _ => api::send_json::<_, Value>(method, &path, &body)
                .await
                .map(drop),
        };
        match answer {
            Ok(()) => app.said.set(said.to_owned()),
            Err(trouble) => app.failed(trouble),
        }
        then();
    });
}

const fn means(mode: Mode) -> &'static str {
    match mode {
        Mode::Sam => "this installation",
        Mode::OwnKey => "a key of yours, or the project's",
        Mode::OwnLogin => "your subscription",
    }
}

#[component]
fn Agents() -> impl IntoView {
    let agents = RwSignal::new(Loaded::<Vec<AgentProvider>>::Loading);
    let read = move || {
        spawn_local(async move {
            let answer = api::get::<AgentProviders>("/api/agents").await;
            agents.set(answer.map_or_else(Loaded::Failed, |list| Loaded::Here(list.agents)));
        });
    };
    read();
    view! {
        <section class="panel" aria-labelledby="agents">
            <h2 id="agents">"Who pays for each agent"</h2>
            {listed(agents, move |agent| agent_card(agent, read))}
        </section>
    }
}

fn agent_card(held: &AgentProvider, read: impl Fn() + Copy + Send + Sync + 'static) -> AnyView {
    let (agent, mode) = (held.agent.clone(), held.mode);
    let label = format!("pays-{agent}");
    let options = held.choices.iter().map(|choice| {
        view! {
            <option value=choice.name() selected=mode == Some(*choice)>
                {means(*choice)}
            </option>
        }
    });
    let login = match (&held.login, mode) {
        (Some(login), _) if login.needs_sign_in.is_some() => {
            Some("Your login needs a new sign-in: sam agent login")
        }
        (None, Some(Mode::OwnLogin)) => Some("No login is stored yet: sam agent login"),
        (Some(_), _) => Some("Your login is stored."),
        (None, _) => None,
    };
    let choose = move |event| {
        let body = PutAgentProvider {
            mode: Mode::parse(&event_target_value(&event)),
            model: None,
        };
        let path = format!("/api/agents/{agent}/provider");
        act("Chosen", Method::Put, path, json!(body), read);
    };
    view! {
        <li class="setting">
            <div>
                <label class="name" for=label.clone()>
                    {held.agent.clone()}
                </label>
                {login.map(|words| view! { <p class="muted small">{words}</p> })}
            </div>
            <select id=label on:change=on(choose)>
                <option value="" selected=mode.is_none()>
                    "nobody chose"
                </option>
                {options.collect_view()}
            </select>
        </li>
    }
    .into_any()
}

#[component]
fn Keys() -> impl IntoView {
    let keys = RwSignal::new(Loaded::<Vec<CredentialView>>::Loading);
    let read = move || {
        spawn_local(async move {
            let answer = api::get::<CredentialList>("/api/credentials").await;
            keys.set(answer.map_or_else(Loaded::Failed, |list| Loaded::Here(list.credentials)));
        });
    };
    read();
    view! {
        <section class="panel" aria-labelledby="keys">
            <h2 id="keys">"Your keys to model providers"</h2>
            <p class="muted">"A key is kept encrypted, used, and never shown again."</p>
            {listed(keys, move |key| key_card(key, read))}
            <NewKey stored=read />
        </section>
    }
}

fn key_card(held: &CredentialView, read: impl Fn() + Copy + Send + Sync + 'static) -> AnyView {
    let provider = held.provider.name();
    let path = format!("/api/credentials/{provider}");
    let (held_on, switched) = (held.active, path.clone());
    let check = match held.check {
        KeyCheck::Accepted => "the provider takes it",
        KeyCheck::Refused => "the provider refuses it",
        KeyCheck::Unknown => "not known whether the provider takes it",
    };
    let state = if held_on {
        ""
    } else {
        "switched off, nothing is used in its place \u{b7} "
    };
    view! {
        <li class="setting">
            <div>
                <p class="name">{provider}</p>
                <p class="muted small">{state} {check}</p>
            </div>
            <button
                type="button"
                on:click=on(move |_| act(
                    "Switched",
                    Method::Put,
                    switched.clone(),
                    json!({ "active": !held_on }),
                    read,
                ))
            >
                {if held_on { "Switch off" } else { "Switch on" }}
                <span class="sr-only">" " {provider}</span>
            </button>
            <button
                type="button"
                class="danger"
                on:click=on(move |_| act("Removed", Method::Delete, path.clone(), Value::Null, read))
            >
                "Remove"
                <span class="sr-only">" " {provider}</span>
            </button>
        </li>
    }
    .into_any()
}

#[component]
fn NewKey(stored: impl Fn() + Copy + Send + Sync + 'static) -> impl IntoView {
    let provider = RwSignal::new(Provider::Openai);
    let [key, place] = [(); 2].map(|()| RwSignal::new(String::new()));
    let trouble = RwSignal::new(None::<Trouble>);
    let warning = RwSignal::new(None::<String>);
    // What a provider needs beside the key.
    let needs = move || match provider.get() {
        Provider::Custom => Some("Address of the API, with its version path"),
        Provider::WorkersAi => Some("Cloudflare account"),
        _ => None,
    };
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let named = provider.get_untracked();
        let given = place.get_untracked().trim().to_owned();
        let request = PutCredential {
            key: Some(key.get_untracked()),
            active: None,
            endpoint: (named == Provider::Custom).then(|| Endpoint::chat_at(&given)),
            account: (named == Provider::WorkersAi).then_some(given),
        };
        spawn_local(async move {
            let path = format!("/api/credentials/{}", named.name());
            let answer = api::send_json::<_, CredentialView>(Method::Put, &path, &request).await;
            trouble.set(None);
            warning.set(None);
            match answer {
                Ok(held) => {
                    key.set(String::new());
                    warning.set(held.warning);
                    stored();
                }
                Err(refused) => trouble.set(Some(refused)),
            }
        });
    };
    let providers = Provider::ALL.map(|it| {
        let is = provider.get_untracked() == it;
        view! { <option value=it.name() selected=is>{it.name()}</option> }
    });
    let text = |id: &'static str, kind: &'static str, held: RwSignal<String>| {
        view! {
            <input
                id=id
                type=kind
                required
                autocomplete="off"
                prop:value=value(move || held.get())
                on:input=on(move |event| held.set(event_target_value(&event)))
            />
        }
    };
    view! {
        <form class="stack" on:submit=on(submit)>
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
            {part(move || {
                needs()
                    .map(|label| {
                        view! {
                            <label for="key-place">{label}</label>
                            {text("key-place", "text", place)}
                        }
                    })
            })}
            <label for="key-text">"Key"</label>
            {text("key-text", "password", key)}
            <div>
                <button type="submit" class="primary">
                    "Store the key"
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

#[component]
fn Models() -> impl IntoView {
    let app = app();
    let models = RwSignal::new(Loaded::<Vec<ModelView>>::Loading);
    let read = move || {
        spawn_local(async move {
            let answer = api::get::<ModelList>("/api/models").await;
            models.set(answer.map_or_else(Loaded::Failed, |list| Loaded::Here(list.models)));
        });
    };
    read();
    let is_admin = app
        .who
        .with_untracked(|who| matches!(who, Who::Person(user) if user.role == Role::Admin));
    view! {
        <section class="panel" aria-labelledby="models">
            <h2 id="models">"Models"</h2>
            {listed(models, move |model| model_card(model, is_admin, read))}
        </section>
    }
}

fn model_card(
    view: &ModelView,
    is_admin: bool,
    read: impl Fn() + Copy + Send + Sync + 'static,
) -> AnyView {
    let model = &view.model;
    let default = view.default_for.contains(&Use::Agent);
    let reach = match (&*view.available, model.enabled) {
        (_, false) => "switched off",
        ([], true) => "you have no access to its provider",
        (_, true) => "can be used",
    };
    let ends = model
        .deprecated_on
        .as_ref()
        .map(|day| format!(" \u{b7} withdrawn on {day}"));
    let (id, enabled) = (model.id.to_string(), model.enabled);
    let switch = move |_| {
        let body = json!({ "id": id, "enabled": !enabled });
        act(
            "Changed",
            Method::Patch,
            "/api/models".to_owned(),
            body,
            read,
        );
    };
    let name = model.id.to_string();
    let button = is_admin.then(|| {
        view! {
            <button type="button" on:click=on(switch)>
                {if enabled { "Switch off" } else { "Switch on" }}
                <span class="sr-only">" " {name}</span>
            </button>
        }
    });
    view! {
        <li class="setting">
            <div>
                <p class="name">{model.id.to_string()}</p>
                <p class="muted small">
                    {default.then_some("the default \u{b7} ")} {model.provider.name()} " \u{b7} "
                    {reach} {ends}
                </p>
            </div>
            {button}
        </li>
    }
    .into_any()
}
