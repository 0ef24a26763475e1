//! Setting an installation up: who may come in, whose models answer, which machines work, and what
//! the doctor says of each. What is typed here is stored and never shown again.

use crate::keys::keys;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::doctor::{Check, Diagnosis, Health};
use sam_domain::access::route::Method;
use sam_domain::access::setup::{ConfigView, PutConfig, SettingView, Source};
use sam_domain::node::wire::NodeList;
use sam_web_parts::api::{self, Trouble};
use sam_web_parts::browser;
use sam_web_parts::dynamic::{Views, on, part, value};
use sam_web_parts::loaded::{Again, Loaded, reading, shown};
use sam_web_parts::part::{Copyable, state_chip, trouble_note};
use sam_web_parts::surroundings::surroundings;
use sam_web_parts::words::{Shape, count};

/// Which of the doctor's checks are about signing in, and which about what it runs on; the others
/// are about models.
const GITHUB: &[&str] = &["github"];
const GROUND: &[&str] = &[
    "database", "cache", "bodies", "objects", "address", "limits",
];

/// The page at `/setup`.
#[component]
pub(crate) fn Setup() -> impl IntoView {
    let (found, look) = reading(|| api::act_for::<Diagnosis>(Method::Post, "/api/setup/doctor"));
    let (config, _) = reading(|| api::get::<ConfigView>("/api/setup/config"));
    let (nodes, read_nodes) = reading(|| api::get::<NodeList>("/api/nodes"));
    let about = move |wanted: fn(&str) -> bool| {
        shown(found, 1, move |found| {
            let rows = found
                .checks
                .iter()
                .filter(|check| wanted(&check.name))
                .map(finding)
                .views();
            view! { <ul class="cards">{rows}</ul> }.into_any()
        })
    };
    let again = move |_| {
        found.set(Loaded::Loading);
        look.run();
        read_nodes.run();
    };
    view! {
        <p class="muted">
            "Three steps to the first piece of work; each says how it stands."
        </p>
        <div class="buttons">
            <button type="button" on:click=on(again)>
                "Check again"
            </button>
            <a class="button" href="/">
                "Go to projects"
            </a>
        </div>
        <section class="panel" aria-labelledby="setup-github">
            <h2 id="setup-github">"1. People sign in with GitHub"</h2>
            <p class="muted">
                "Optional: without it, invites and sign-in links let people in. Make an OAuth app on GitHub with this callback:"
            </p>
            <p>
                <Copyable text=callback() shown=callback() what="callback URL" />
            </p>
            {about(|name| GITHUB.contains(&name))}
            {shown(config, 3, move |held| settings(held, config, look).into_any())}
        </section>
        <section class="panel" aria-labelledby="setup-models">
            <h2 id="setup-models">"2. Models answer"</h2>
            {about(|name| !GITHUB.contains(&name) && !GROUND.contains(&name))}
            <h3>"Keys of this installation, for everybody here"</h3>
            {keys("/api/admin/credentials", look)}
        </section>
        <section class="panel" aria-labelledby="setup-machines">
            <h2 id="setup-machines">"3. Machines work"</h2>
            {shown(nodes, 1, |list| machines(list).into_any())}
            <p>
                <a class="button" href="/nodes">
                    "Join a machine"
                </a>
            </p>
        </section>
        <section class="panel" aria-labelledby="setup-ground">
            <h2 id="setup-ground">"What it runs on"</h2>
            {about(|name| GROUND.contains(&name))}
        </section>
    }
}

fn callback() -> String {
    format!("{}/api/auth/github/callback", browser::origin())
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

fn machines(list: &NodeList) -> AnyView {
    let joined = list.nodes.len();
    let (words, shape, word) = match joined {
        0 => (
            "No machine of yours has joined. Work is done on machines; they dial out, so nothing has to be opened.".to_owned(),
            Shape::Asking,
            "missing",
        ),
        n => (
            format!("{} joined.", count(n as u64, "machine of yours has", "machines of yours have")),
            Shape::Done,
            "ok",
        ),
    };
    view! {
        <div class="setting">
            <div>
                <p>{words}</p>
            </div>
            {state_chip(word, shape)}
        </div>
    }
    .into_any()
}

/// The settings that can be kept in the app.
fn settings(held: &ConfigView, config: RwSignal<Loaded<ConfigView>>, look: Again) -> AnyView {
    let said = surroundings().said;
    let typed = RwSignal::new(Vec::<(String, String)>::new());
    let trouble = RwSignal::new(None::<Trouble>);
    let rows = held
        .settings
        .iter()
        .map(|setting| row(setting, typed))
        .views();
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let request = PutConfig {
            settings: typed
                .get_untracked()
                .into_iter()
                .map(|(name, text)| (name, Some(text)))
                .collect(),
        };
        spawn_local(async move {
            let path = "/api/setup/config";
            match api::send_json::<_, ConfigView>(Method::Put, path, &request).await {
                Ok(held) => {
                    said.set("Saved".to_owned());
                    trouble.set(None);
                    typed.set(Vec::new());
                    config.set(Loaded::Here(held));
                    look.run();
                }
                Err(refused) => trouble.set(Some(refused)),
            }
        });
    };
    view! {
        <form class="stack" on:submit=submit>
            {rows}
            <div>
                <button type="submit" disabled=value(move || typed.with(Vec::is_empty))>
                    "Save"
                </button>
            </div>
            {part(move || trouble.get().map(|it| trouble_note(&it)))}
        </form>
    }
    .into_any()
}

fn row(setting: &SettingView, typed: RwSignal<Vec<(String, String)>>) -> AnyView {
    let name = setting.name.clone();
    let stands = match (setting.source, setting.updated_at) {
        (Source::Environment, _) => "set where the server is started".to_owned(),
        (Source::Stored, Some(at)) => format!("set {}", browser::exact(at)),
        (Source::Stored, None) => "set".to_owned(),
        (Source::Unset, _) => "not set".to_owned(),
    };
    let own = name.clone();
    let held = value(move || {
        typed.with(|typed| {
            let own = typed.iter().find(|(held, _)| *held == own);
            own.map(|(_, text)| text.clone()).unwrap_or_default()
        })
    });
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
    let change = on(move |event| keep(event_target_value(&event)));
    let field = if setting.name == "SAM_SIGN_UP" {
        let options = [
            ("", "as it is"),
            ("invite", "nobody who was not invited"),
            ("approval", "everybody, once an administrator lets them in"),
            ("open", "everybody"),
        ]
        .map(|(value, words)| view! { <option value=value>{words}</option> });
        view! {
            <select id=id.clone() disabled=fixed prop:value=held on:change=change>
                {options}
            </select>
        }
        .into_any()
    } else {
        let secret = setting.name.ends_with("SECRET");
        view! {
            <input
                id=id.clone()
                type=if secret { "password" } else { "text" }
                autocomplete="off"
                spellcheck="false"
                disabled=fixed
                prop:value=held
                on:input=change
            />
        }
        .into_any()
    };
    let label = match setting.name.as_str() {
        "SAM_GITHUB_CLIENT_ID" => "Client ID",
        "SAM_GITHUB_CLIENT_SECRET" => "Client secret",
        "SAM_SIGN_UP" => "Who may come",
        other => other,
    };
    view! {
        <label for=id>
            {label.to_owned()} " " <span class="muted small">{stands}</span>
        </label>
        {field}
    }
    .into_any()
}
