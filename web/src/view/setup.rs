//! Setting an installation up: who may come in, whose models answer, which machines work, and what
//! the doctor says of each. What is typed here is stored and never shown again.

use crate::api;
use crate::browser;
use crate::state::{Loaded, app};
use crate::text::words::Shape;
use crate::view::dynamic::{on, part, value};
use crate::view::part::{Copyable, skeleton, state_chip, trouble_note};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::doctor::{Check, Diagnosis, Health};
use sam_domain::access::route::Method;
use sam_domain::access::setup::{ConfigView, Source};
use sam_domain::access::wire::{PersonList, PersonView};
use serde_json::json;

/// What stands under which heading; the rest stands under the last.
const GITHUB: &[&str] = &["github"];
const ELSEWHERE: &[&str] = &[
    "database", "cache", "bodies", "objects", "address", "limits",
];

/// What the page knows.
#[derive(Clone, Copy)]
struct Known {
    checks: RwSignal<Loaded<Vec<Check>>>,
    config: RwSignal<Loaded<ConfigView>>,
    people: RwSignal<Vec<PersonView>>,
}

impl Known {
    /// Reads everything anew.
    fn read(self) {
        self.checks.set(Loaded::Loading);
        spawn_local(async move {
            let config = api::get::<ConfigView>("/api/setup/config").await;
            self.config.set(config.into());
            if let Ok(list) = api::get::<PersonList>("/api/people").await {
                let waits = |person: &PersonView| person.waits_since.is_some();
                self.people
                    .set(list.people.into_iter().filter(waits).collect());
            }
            let answer = api::post::<_, Diagnosis>("/api/setup/doctor", &json!({})).await;
            self.checks.set(answer.map(|found| found.checks).into());
        });
    }
}

/// The page at `/setup`.
#[component]
pub(crate) fn Setup() -> impl IntoView {
    let known = Known {
        checks: RwSignal::new(Loaded::Loading),
        config: RwSignal::new(Loaded::Loading),
        people: RwSignal::new(Vec::new()),
    };
    known.read();
    view! {
        <div class="page">
            <header class="page-head">
                <h1 tabindex="-1">"Setup"</h1>
                <button type="button" on:click=on(move |_| known.read())>
                    "Check again"
                </button>
            </header>
            {part(move || {
                let waiting = known.people.get();
                (!waiting.is_empty()).then(|| people(known, &waiting))
            })}
            <section class="panel" aria-labelledby="setup-github">
                <h2 id="setup-github">"1. People sign in with GitHub"</h2>
                <p class="muted">
                    "Optional: without it, invites and sign-in links let people in. Make an OAuth app on GitHub with this callback:"
                </p>
                <p>
                    <Copyable
                        text=callback()
                        shown=callback()
                        what="callback URL"
                    />
                </p>
                {findings(known, |name| GITHUB.contains(&name))}
                {part(move || match known.config.get() {
                    Loaded::Loading => skeleton(2).into_any(),
                    Loaded::Failed(trouble) => trouble_note(&trouble).into_any(),
                    Loaded::Here(config) => github(known, &config).into_any(),
                })}
            </section>
            <section class="panel" aria-labelledby="setup-models">
                <h2 id="setup-models">"2. Models answer"</h2>
                {findings(known, |name| !GITHUB.contains(&name) && !ELSEWHERE.contains(&name))}
                {key(known)}
            </section>
            <section class="panel" aria-labelledby="setup-machines">
                <h2 id="setup-machines">"3. Machines work"</h2>
                <p class="muted">"Work is done on machines of yours; they dial out, so nothing has to be opened."</p>
                <a class="button" href="/nodes">
                    "Join a machine"
                </a>
            </section>
            <section class="panel" aria-labelledby="setup-rest">
                <h2 id="setup-rest">"What it runs on"</h2>
                {findings(known, |name| ELSEWHERE.contains(&name))}
            </section>
            <a class="button primary" href="/">
                "Go to projects"
            </a>
        </div>
    }
}

fn callback() -> String {
    format!("{}/api/auth/github/callback", browser::origin())
}

/// What the doctor found under these names.
fn findings(known: Known, wanted: fn(&str) -> bool) -> impl IntoView {
    part(move || {
        known.checks.with(|checks| match checks {
            Loaded::Loading => skeleton(1).into_any(),
            Loaded::Failed(trouble) => trouble_note(trouble).into_any(),
            Loaded::Here(checks) => {
                let rows = checks
                    .iter()
                    .filter(|check| wanted(&check.name))
                    .map(finding);
                view! { <ul class="cards">{rows.collect_view()}</ul> }.into_any()
            }
        })
    })
}

fn finding(check: &Check) -> AnyView {
    let (word, shape) = match check.health {
        Health::Ok => ("ok", Shape::Done),
        Health::Warning => ("warning", Shape::Asking),
        Health::Failed => ("failed", Shape::Failed),
        Health::Off => ("off", Shape::Stopped),
    };
    view! {
        <li class="setting">
            <div>
                <p>{check.message.clone()}</p>
                <p class="muted small">{check.hint.clone()}</p>
            </div>
            {state_chip(word, shape)}
        </li>
    }
    .into_any()
}

/// The settings of signing in with GitHub.
fn github(known: Known, config: &ConfigView) -> impl IntoView + use<> {
    let typed = RwSignal::new(Vec::<(String, String)>::new());
    let rows = config
        .settings
        .iter()
        .map(|setting| {
            let name = setting.name.clone();
            let said = match (setting.source, setting.updated_at) {
                (Source::Environment, _) => "set where the server is started".to_owned(),
                (Source::Stored, Some(at)) => format!("set {}", browser::exact(at)),
                (Source::Stored, None) => "set".to_owned(),
                (Source::Unset, _) => "not set".to_owned(),
            };
            let keep = move |text: String| {
                typed.update(|typed| {
                    typed.retain(|(held, _)| *held != name);
                    if !text.is_empty() {
                        typed.push((name.clone(), text));
                    }
                });
            };
            let id = setting.name.clone();
            let fixed = setting.source == Source::Environment;
            let field = if setting.name == "SAM_SIGN_UP" {
                let options = [
                    ("", "as it is"),
                    ("invite", "nobody who was not invited"),
                    ("approval", "everybody, once you let them in"),
                    ("open", "everybody"),
                ]
                .map(|(value, words)| view! { <option value=value>{words}</option> });
                view! {
                    <select id=id.clone() disabled=fixed on:change=on(move |event| keep(event_target_value(&event)))>
                        {options}
                    </select>
                }
                .into_any()
            } else {
                view! {
                    <input
                        id=id.clone()
                        type=if setting.name.ends_with("SECRET") { "password" } else { "text" }
                        autocomplete="off"
                        disabled=fixed
                        on:input=on(move |event| keep(event_target_value(&event)))
                    />
                }
                .into_any()
            };
            let label = match setting.name.as_str() {
                "SAM_GITHUB_CLIENT_ID" => "Client ID",
                "SAM_GITHUB_CLIENT_SECRET" => "Client secret",
                _ => "Who may come",
            };
            view! {
                <label for=id>{label} " " <span class="muted small">{said}</span></label>
                {field}
            }
            .into_any()
        })
        .collect_view();
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let settings: serde_json::Map<_, _> = typed
            .get_untracked()
            .into_iter()
            .map(|(name, text)| (name, text.into()))
            .collect();
        save(
            known,
            "/api/setup/config".to_owned(),
            json!({"settings": settings}),
        );
    };
    view! {
        <form class="stack" on:submit=submit>
            {rows}
            <div>
                <button type="submit" disabled=value(move || typed.with(Vec::is_empty))>"Save"</button>
            </div>
        </form>
    }
}

/// The installation's key to a provider's models.
fn key(known: Known) -> impl IntoView {
    let provider = RwSignal::new("anthropic".to_owned());
    let secret = RwSignal::new(String::new());
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let path = format!("/api/admin/credentials/{}", provider.get_untracked());
        let body = json!({"key": secret.get_untracked().trim()});
        secret.set(String::new());
        save(known, path, body);
    };
    view! {
        <form class="stack" on:submit=submit>
            <label for="setup-provider">"Provider"</label>
            <select id="setup-provider" on:change=on(move |event| provider.set(event_target_value(&event)))>
                <option value="anthropic">"Anthropic"</option>
                <option value="openai">"OpenAI"</option>
            </select>
            <label for="setup-key">"Key " <span class="muted small">"for everybody here; stored encrypted"</span></label>
            <input
                id="setup-key"
                type="password"
                autocomplete="off"
                required
                prop:value=value(move || secret.get())
                on:input=on(move |event| secret.set(event_target_value(&event)))
            />
            <div>
                <button type="submit">"Save the key"</button>
            </div>
        </form>
    }
}

fn save(known: Known, path: String, body: serde_json::Value) {
    let app = app();
    spawn_local(async move {
        app.trouble.set(None);
        match api::put(&path, &body).await {
            Ok(()) => app.said.set("Saved".to_owned()),
            Err(trouble) => app.failed(trouble),
        }
        known.read();
    });
}

/// Who came by themselves and waits.
fn people(known: Known, waiting: &[PersonView]) -> impl IntoView + use<> {
    let app = app();
    let decide = move |person: &PersonView, letting_in: bool| {
        let path = format!("/api/people/{}", person.id);
        spawn_local(async move {
            app.trouble.set(None);
            let done = if letting_in {
                api::patch(&path, &json!({"suspended": false})).await
            } else {
                api::act(Method::Delete, &path).await
            };
            match done {
                Ok(()) => app.said.set("Done".to_owned()),
                Err(trouble) => app.failed(trouble),
            }
            known.read();
        });
    };
    let rows = waiting
        .iter()
        .map(|person| {
            let (yes, no) = (person.clone(), person.clone());
            view! {
                <li class="setting">
                    <p class="name">{person.name.clone()}</p>
                    <span class="buttons">
                        <button type="button" class="primary" on:click=on(move |_| decide(&yes, true))>
                            "Let in" <span class="sr-only">" " {person.name.clone()}</span>
                        </button>
                        <button type="button" class="danger" on:click=on(move |_| decide(&no, false))>
                            "Decline" <span class="sr-only">" " {person.name.clone()}</span>
                        </button>
                    </span>
                </li>
            }
            .into_any()
        })
        .collect_view();
    view! {
        <section class="panel" aria-labelledby="setup-people">
            <h2 id="setup-people">"Who waits to be let in"</h2>
            <ul class="cards">{rows}</ul>
        </section>
    }
}
