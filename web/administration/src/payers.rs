//! Whose access to models each agent uses: one's own choice, and an administrator's for the others.

use crate::field::{change, choose};
use crate::frame::administrator;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use sam_domain::access::route::Method;
use sam_domain::provider::wire::{AgentProvider, AgentProviders, PutAgentProvider};
use sam_domain::provider::{ChosenBy, Mode};
use sam_web_parts::api;
use sam_web_parts::dynamic::{Views, on};
use sam_web_parts::loaded::{Again, cards, reading, shown};

/// Who pays for each of one's agents.
#[component]
pub(crate) fn Payers() -> impl IntoView {
    let (agents, read) = reading(|| api::get::<AgentProviders>("/api/agents"));
    let draw = move |list: &AgentProviders| {
        let all = administrator().then(|| for_everybody(&list.agents, read));
        view! {
            {cards(&list.agents, "There is no agent.", |agent| card(agent, read))}
            {all}
        }
        .into_any()
    };
    view! {
        <section class="panel" aria-labelledby="agents">
            <h2 id="agents">"Who pays for each agent"</h2>
            <p class="muted">
                "Without a choice an agent calls no model. Nothing is ever paid by somebody else because a key is missing."
            </p>
            {shown(agents, 4, draw)}
        </section>
    }
}

const fn means(mode: Mode) -> &'static str {
    match mode {
        Mode::Sam => "this installation",
        Mode::OwnKey => "a key of yours, or the project's",
        Mode::OwnLogin => "your subscription",
    }
}

fn options(modes: &[Mode], chosen: Option<Mode>) -> Vec<AnyView> {
    modes
        .iter()
        .map(|mode| {
            view! {
                <option value=mode.name() selected=chosen == Some(*mode)>
                    {means(*mode)}
                </option>
            }
        })
        .views()
}

fn card(held: &AgentProvider, read: Again) -> AnyView {
    let (agent, model) = (held.agent.clone(), held.model.clone());
    let id = format!("pays-{agent}");
    let own = held.mode.filter(|_| held.chosen_by == ChosenBy::Person);
    let without = match (held.mode, held.chosen_by) {
        (_, ChosenBy::Person) => "no choice of yours".to_owned(),
        (Some(mode), _) => format!("no choice of yours: {}", means(mode)),
        (None, _) => "no choice of yours: nobody".to_owned(),
    };
    let mut notes = Vec::new();
    if held.mode.is_none() {
        notes.push("Nobody chose: it calls no model.");
    }
    match &held.login {
        Some(login) if login.needs_sign_in.is_some() => {
            notes.push("Your login needs a new sign-in: sam agent login");
        }
        Some(_) => notes.push("Your login is stored."),
        None if held.mode == Some(Mode::OwnLogin) => {
            notes.push("No login is stored yet: sam agent login");
        }
        None => {}
    }
    let notes = (!notes.is_empty()).then(|| notes.join(" "));
    let before = own.map(|mode| mode.name().to_owned()).unwrap_or_default();
    let chosen = move |event| {
        let body = PutAgentProvider {
            mode: Mode::parse(&event_target_value(&event)),
            model: model.clone(),
        };
        let path = format!("/api/agents/{agent}/provider");
        choose(&event, before.clone(), Method::Put, path, &body, read);
    };
    view! {
        <li class="setting">
            <div>
                <label class="name" for=id.clone()>
                    {held.agent.clone()}
                </label>
                {notes.map(|words| view! { <p class="muted small">{words}</p> })}
            </div>
            <select id=id on:change=on(chosen)>
                <option value="" selected=own.is_none()>
                    {without}
                </option>
                {options(&held.choices, own)}
            </select>
        </li>
    }
    .into_any()
}

/// What an administrator chooses for everybody who did not.
fn for_everybody(agents: &[AgentProvider], read: Again) -> impl IntoView + use<> {
    let first = agents.first().map(|it| it.agent.clone());
    let agent = RwSignal::new(first.unwrap_or_default());
    let mode = RwSignal::new(Some(Mode::Sam));
    let names = agents
        .iter()
        .map(|it| view! { <option value=it.agent.clone()>{it.agent.clone()}</option> })
        .views();
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let path = format!("/api/admin/agents/{}/provider", agent.get_untracked());
        let body = PutAgentProvider {
            mode: mode.get_untracked(),
            model: None,
        };
        change(
            "Chosen for everybody else",
            Method::Put,
            path,
            Some(&body),
            read,
        );
    };
    view! {
        <form class="stack" on:submit=submit>
            <h3>"For everybody who did not choose"</h3>
            <div class="fields">
                <div class="labelled">
                    <label for="default-agent">"Agent"</label>
                    <select
                        id="default-agent"
                        on:change=on(move |event| agent.set(event_target_value(&event)))
                    >
                        {names}
                    </select>
                </div>
                <div class="labelled">
                    <label for="default-mode">"Paid by"</label>
                    <select
                        id="default-mode"
                        on:change=on(move |event| mode.set(Mode::parse(&event_target_value(&event))))
                    >
                        {options(&Mode::ALL, Some(Mode::Sam))}
                        <option value="">"nobody: each has to choose"</option>
                    </select>
                </div>
            </div>
            <div>
                <button type="submit">"Set for everybody else"</button>
            </div>
        </form>
    }
}
