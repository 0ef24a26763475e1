//! A conversation beside those that do the same work under other agents, and the choice among them.
//!
//! What each used and how it checked itself is asked for whenever one of them moves on.

use crate::api;
use crate::route::Route;
use crate::state::{App, Loaded, app};
use crate::text::words;
use crate::view::dynamic::{Views, on, part};
use crate::view::outcome::TaskDiff;
use crate::view::part::{skeleton, state_chip, trouble_note};
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::budget::dollars;
use sam_domain::conversation::comparison::{Candidate, Checks, ComparisonView};
use sam_domain::conversation::wire::SessionView;
use sam_domain::id::SessionId;
use std::time::Duration;

/// When it is asked for again after one of them moved on.
const AGAIN: [Duration; 3] = [
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(30),
];

/// What is compared with this conversation, itself included; nothing where nothing is.
pub(crate) fn compared(own: SessionId) -> impl IntoView {
    let app = app();
    let asked = own.clone();
    // Where it is asked for, and how the candidates stand: whether each is chosen, and its state.
    let stands = Memo::new(move |_| {
        let session = app.live.session(&asked)?;
        let comparison = session.comparison.clone()?;
        let tasks = app.live.tasks;
        let states = app.live.sessions.with(|sessions| {
            sessions
                .iter()
                .filter(|session| session.comparison.as_ref() == Some(&comparison))
                .map(|session| {
                    let state = tasks.with(|tasks| tasks.get(&session.task).map(|it| it.state));
                    (session.chosen, state)
                })
                .collect::<Vec<_>>()
        });
        Some((format!("{}/comparison", place(&session)), states))
    });
    let view = RwSignal::new(Loaded::<ComparisonView>::Loading);
    let ask = move |path: String| {
        spawn_local(async move {
            let answer = api::get::<ComparisonView>(&path).await;
            // The conversation may have been left meanwhile.
            let _ = view.try_set(answer.into());
        });
    };
    Effect::new(move |_| {
        let Some((path, _)) = stands.get() else {
            return;
        };
        // What a call used is recorded after its reply, so the end of the work may come first.
        for wait in AGAIN {
            let path = path.clone();
            set_timeout(move || ask(path), wait);
        }
        ask(path);
    });
    let any = Memo::new(move |_| stands.with(Option::is_some));
    part(move || {
        any.get().then(|| {
            view.with(|view| match view {
                Loaded::Loading => skeleton(3).into_any(),
                Loaded::Failed(trouble) => trouble_note(trouble).into_any(),
                Loaded::Here(view) => {
                    let all = view
                        .candidates
                        .iter()
                        .map(|one| candidate(app, one))
                        .views();
                    view! { <ul class="candidates">{all}</ul> }.into_any()
                }
            })
        })
    })
}

fn place(session: &SessionView) -> String {
    format!("/api/projects/{}/sessions/{}", session.project, session.id)
}

fn candidate(app: App, candidate: &Candidate) -> impl IntoView + use<> {
    let (session, task) = (&candidate.session, &candidate.task);
    let (word, shape) = words::task_state(task.state);
    // An agent with a login of its own calls no model through SAM.
    let used = Some(&candidate.usage).filter(|usage| usage.calls > 0);
    let tokens = used.map(|usage| {
        let (input, output) = (usage.input_tokens, usage.output_tokens);
        format!("{} in, {} out", words::number(input), words::number(output))
    });
    let created = task.created_at;
    let time = match task.state.is_terminal() {
        true => words::took(task.since.since(created)).into_any(),
        false => part(move || words::elapsed(app.now.get().since(created))).into_any(),
    };
    let changes = task.result.as_ref().map(|result| {
        let files = words::count(u64::from(result.files_changed), "file", "files");
        format!("{files} +{} \u{2212}{}", result.added, result.removed)
    });
    let fact = |name: &'static str, value: Option<String>| {
        let value = value.unwrap_or_else(|| "\u{2013}".to_owned());
        view! {
            <div>
                <dt>{name}</dt>
                <dd>{value}</dd>
            </div>
        }
    };
    let diff = task
        .result
        .as_ref()
        .filter(|result| result.diff.is_some())
        .map(|_| view! { <TaskDiff task=task.id.clone() place="compared" /> });
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
        <li>
            <p class="candidate">
                <a href=path>{task.agent.clone()}</a>
                {state_chip(word, shape)}
                {choice}
            </p>
            <dl class="facts">
                {fact("Turns", used.map(|usage| words::number(usage.calls)))}
                {fact("Tokens", tokens)}
                {fact("Cost", used.map(|usage| dollars(usage.cost)))}
                <div>
                    <dt>"Time"</dt>
                    <dd>{time}</dd>
                </div>
                {fact("Checks", checks(candidate.checks))}
                {fact("Changes", changes)}
            </dl>
            {diff}
        </li>
    }
}

/// How the commands after the last change ended; nothing where there were none.
fn checks(checks: Checks) -> Option<String> {
    match (checks.passed, checks.failed) {
        (0, 0) => None,
        (passed, 0) => Some(format!("{passed} passed")),
        (passed, failed) => Some(format!("{failed} of {} failed", passed + failed)),
    }
}

/// Chooses; the conversations say which one it is.
fn choose(app: App, session: &SessionView) {
    let path = format!("{}/choose", place(session));
    spawn_local(async move {
        if let Err(refused) = api::act(Method::Post, &path).await {
            app.failed(refused);
        }
    });
}
