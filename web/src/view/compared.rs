//! A conversation beside those that do the same work under other agents, and the choice among them.

use crate::api;
use crate::route::Route;
use crate::state::{App, app};
use crate::text::words;
use crate::view::dynamic::{on, part};
use crate::view::part::state_chip;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::conversation::wire::SessionView;
use sam_domain::id::SessionId;

/// What is compared with this conversation, itself included; nothing where nothing is.
pub(crate) fn compared(own: SessionId) -> impl IntoView {
    let app = app();
    part(move || {
        let comparison = app.live.session(&own)?.comparison.clone()?;
        let candidates = app.live.sessions.with(|sessions| {
            sessions
                .iter()
                .filter(|session| session.comparison.as_ref() == Some(&comparison))
                .map(|session| candidate(app, session))
                .collect::<Vec<_>>()
        });
        Some(view! { <dl class="facts">{candidates}</dl> }.into_any())
    })
}

fn candidate(app: App, session: &SessionView) -> AnyView {
    let task = app
        .live
        .tasks
        .with(|tasks| tasks.get(&session.task).cloned());
    let Some(task) = task else {
        return ().into_any();
    };
    let (word, shape) = words::task_state(task.state);
    let changes = task
        .result
        .as_ref()
        .map(|result| format!("+{} \u{2212}{}", result.added, result.removed));
    let time = words::took(task.since.since(task.created_at));
    let path = Route::Session(session.project.clone(), session.id.clone()).path();
    let known = session.clone();
    let choice = if session.chosen {
        view! { <strong>"chosen"</strong> }.into_any()
    } else {
        view! {
            <button type="button" on:click=on(move |_| choose(app, &known))>
                "Choose"
                <span class="sr-only">" " {task.agent.clone()}</span>
            </button>
        }
        .into_any()
    };
    view! {
        <div>
            <dt>
                <a href=path>{task.agent.clone()}</a>
            </dt>
            <dd>{state_chip(word, shape)} " " {changes} " " {time} " " {choice}</dd>
        </div>
    }
    .into_any()
}

/// Chooses; the conversations say which one it is.
fn choose(app: App, session: &SessionView) {
    let path = format!(
        "/api/projects/{}/sessions/{}/choose",
        session.project, session.id
    );
    spawn_local(async move {
        if let Err(refused) = api::act(Method::Post, &path).await {
            app.failed(refused);
        }
    });
}
