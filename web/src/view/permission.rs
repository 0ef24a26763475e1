//! What an agent asks, as a card with the answers it offers.

use crate::api;
use crate::state::{App, app};
use crate::view::icon::{self, icon};
use crate::view::part::trouble_note;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::conversation::row::{
    PermissionBody, PermissionChoice, PermissionState, Row, RowBody,
};
use sam_domain::conversation::wire::{AnswerAccepted, AnswerPermission};
use sam_domain::id::RowId;
use std::sync::Arc;

/// A question of the agent's.
#[component]
pub(crate) fn Permission(id: RowId, row: RwSignal<Arc<Row>>) -> impl IntoView {
    let app = app();
    let asked = Memo::new(move |_| {
        row.with(|row| match &row.body {
            RowBody::Permission(body) => Some((**body).clone()),
            _ => None,
        })
    });
    let trouble = RwSignal::new(None::<api::Trouble>);
    let sent = RwSignal::new(false);
    let row_id = id.clone();
    let answer = Callback::new(move |option: String| {
        let Some(path) = path(app, &row_id) else {
            return;
        };
        trouble.set(None);
        sent.set(true);
        spawn_local(async move {
            let body = AnswerPermission { option };
            let answered: Result<AnswerAccepted, _> = api::post(&path, &body).await;
            if let Err(refused) = answered {
                sent.set(false);
                trouble.set(Some(refused));
            }
        });
    });
    view! {
        <section class="row notice" id=id.to_string()>
            {move || asked.get().map(|asked| card(asked, sent, answer))}
            {move || trouble.get().map(|trouble| trouble_note(&trouble))}
        </section>
    }
}

fn path(app: App, row: &RowId) -> Option<String> {
    let project = app.route.with_untracked(|route| route.project().cloned())?;
    let session = app
        .live
        .row(row)
        .map(|held| RwSignal::from(held).with_untracked(|row: &Arc<Row>| row.session.clone()))?;
    Some(format!(
        "/api/projects/{project}/sessions/{session}/permissions/{row}"
    ))
}

fn card(asked: PermissionBody, sent: RwSignal<bool>, answer: Callback<String>) -> impl IntoView {
    let open = asked.state == PermissionState::Open;
    let class = if open { "note question" } else { "note" };
    let outcome = (!open).then(|| {
        let label = asked
            .choices
            .iter()
            .find(|choice| asked.chosen.as_deref() == Some(&choice.id));
        match label {
            Some(choice) => format!("{}: {}", asked.state.word(), choice.label),
            None => asked.state.word().to_owned(),
        }
    });
    let choices = open.then(|| {
        asked
            .choices
            .iter()
            .map(|choice| button(choice, sent, answer))
            .collect_view()
    });
    view! {
        <div class=class>
            {icon(icon::HELP)}
            <div>
                <p>
                    <span class="sr-only">"The agent asks: "</span>
                    {asked.title.clone()}
                </p>
                {(!asked.arguments.is_empty())
                    .then(|| {
                        view! {
                            <pre class="muted">
                                <code>{asked.arguments.clone()}</code>
                            </pre>
                        }
                    })}
                {choices.map(|choices| view! { <p class="buttons">{choices}</p> })}
                {outcome.map(|outcome| view! { <p class="muted">{outcome}</p> })}
            </div>
        </div>
    }
}

fn button(
    choice: &PermissionChoice,
    sent: RwSignal<bool>,
    answer: Callback<String>,
) -> impl IntoView + use<> {
    let (id, label) = (choice.id.clone(), choice.label.clone());
    let class = if choice.means.allows() { "primary" } else { "" };
    view! {
        <button
            type="button"
            class=class
            disabled=move || sent.get()
            on:click=move |_| answer.run(id.clone())
        >
            {label}
        </button>
    }
}
