//! What an agent asks: the notice that says so, with the answers it offers below it.

use crate::api;
use crate::state::{App, app};
use crate::text::honest;
use crate::view::dynamic::on;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::conversation::call::Done;
use sam_domain::conversation::row::{
    NoticeBody, NoticeLevel, PermissionBody, PermissionState, Row, RowBody,
};
use sam_domain::conversation::wire::AnswerPermission;
use sam_domain::id::RowId;
use std::sync::Arc;

/// A question as a notice: what it is about, or how it ended.
pub(crate) fn as_notice(asked: &PermissionBody) -> NoticeBody {
    let open = asked.state == PermissionState::Open;
    let chosen = asked
        .choices
        .iter()
        .find(|choice| asked.chosen.as_ref() == Some(&choice.id))
        .map_or("", |choice| choice.label.as_str());
    NoticeBody {
        level: if open {
            NoticeLevel::Question
        } else {
            NoticeLevel::Info
        },
        code: asked.name.clone(),
        text: honest::visible(&asked.title),
        hint: Some(if open {
            honest::visible(&asked.arguments)
        } else {
            format!("{} {chosen}", asked.state.word())
        }),
    }
}

/// The answers that an open question offers.
#[component]
pub(crate) fn Choices(id: RowId, row: RwSignal<Arc<Row>>) -> impl IntoView {
    let app = app();
    move || {
        row.with(|row| match &row.body {
            RowBody::Permission(asked) if asked.state == PermissionState::Open => asked
                .choices
                .iter()
                .map(|choice| {
                    let (row, option) = (id.clone(), choice.id.clone());
                    view! {
                        <button type="button" on:click=on(move |_| answer(app, &row, &option))>
                            {choice.label.clone()}
                        </button>
                    }
                    .into_any()
                })
                .collect::<Vec<_>>(),
            _ => Vec::new(),
        })
    }
}

/// Answers; the row says what counted, whoever was first.
fn answer(app: App, row: &RowId, option: &str) {
    use crate::route::Route;
    let Some(path) = app.route.with_untracked(|route| match route {
        Route::Session(project, session) => Some(format!(
            "/api/projects/{project}/sessions/{session}/permissions/{row}"
        )),
        _ => None,
    }) else {
        return;
    };
    let body = AnswerPermission {
        option: option.to_owned(),
    };
    spawn_local(async move {
        if let Err(refused) = api::post::<_, Done>(&path, &body).await {
            app.failed(refused);
        }
    });
}
