//! The rows of a conversation.

use crate::api;
use crate::state::{App, app};
use crate::text::words;
use crate::view::dynamic::{Show, Views, on, part, value};
use crate::view::icon::{self, icon};
use crate::view::part::{Markdown, moment, trouble_note};
use crate::view::permission::{Choices, as_notice};
use crate::view::tool::ToolCard;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::conversation::reducer::{duration, is_open};
use sam_domain::conversation::row::{
    Author, BodyRef, NoticeLevel, PlanStatus, Row, RowBody, TextBody,
};
use sam_domain::conversation::wire::PromptState;
use sam_domain::id::{PromptId, RowId};
use std::sync::Arc;

/// A row, by its kind.
#[component]
pub(crate) fn RowView(id: RowId) -> impl IntoView {
    let app = app();
    let Some(row) = app.live.row(&id) else {
        return ().into_any();
    };
    let row: RwSignal<Arc<Row>> = row.into();
    enum Kind {
        Prompt,
        Words,
        Thought,
        Tool,
        Plan,
        Notice,
        Usage,
        Permission,
    }
    let kind = row.with_untracked(|row| match &row.body {
        RowBody::Text(_) if row.author == Author::Person => Kind::Prompt,
        RowBody::Text(_) => Kind::Words,
        RowBody::Thought(_) => Kind::Thought,
        RowBody::Tool(_) => Kind::Tool,
        RowBody::Plan(_) => Kind::Plan,
        RowBody::Notice(_) => Kind::Notice,
        RowBody::Usage(_) | RowBody::Answer(_) => Kind::Usage,
        RowBody::Permission(_) => Kind::Permission,
    });
    match kind {
        Kind::Prompt => view! { <Prompt id row /> }.into_any(),
        Kind::Words => view! { <Words id row /> }.into_any(),
        Kind::Thought => view! { <Thought id row /> }.into_any(),
        Kind::Tool => view! { <ToolCard id row /> }.into_any(),
        Kind::Plan => view! { <Plan id row /> }.into_any(),
        Kind::Notice => view! { <Notice id row /> }.into_any(),
        Kind::Usage => view! { <Usage id row /> }.into_any(),
        Kind::Permission => view! {
            <Notice id=id.clone() row />
            <p class="buttons">
                <Choices id row />
            </p>
        }
        .into_any(),
    }
}

/// Shorter spans are not worth reading, in milliseconds.
const SHORTEST: u64 = 100;

/// How long a row took, or has taken: static once it is over.
pub(crate) fn row_time(app: App, row: &Row) -> Option<String> {
    if is_open(row) && app.task().is_some_and(|task| !task.state.is_terminal()) {
        duration(row, app.now.get()).map(words::elapsed)
    } else {
        duration(row, row.created_at)
            .filter(|took| took.0 >= SHORTEST)
            .map(words::took)
    }
}

fn text_of(row: &Row) -> Option<&TextBody> {
    match &row.body {
        RowBody::Text(body) | RowBody::Thought(body) => Some(body),
        RowBody::Tool(_)
        | RowBody::Plan(_)
        | RowBody::Notice(_)
        | RowBody::Usage(_)
        | RowBody::Permission(_)
        | RowBody::Answer(_) => None,
    }
}

fn text_signal(row: RwSignal<Arc<Row>>) -> Signal<String> {
    Signal::derive(move || {
        row.with(|row| {
            text_of(row)
                .map(|body| body.text.clone())
                .unwrap_or_default()
        })
    })
}

#[component]
fn Prompt(id: RowId, row: RwSignal<Arc<Row>>) -> impl IntoView {
    let app = app();
    let at = row.with_untracked(|row| row.created_at);
    let known = id.clone();
    let standing = Memo::new(move |_| {
        let session = row.with(|row| row.session.clone());
        app.live.session(&session).and_then(|session| {
            session
                .prompts
                .iter()
                .find(|prompt| prompt.row == known)
                .map(|prompt| (prompt.id.clone(), prompt.state))
        })
    });
    view! {
        <section class="row prompt" id=id.to_string()>
            <h2 class="who">"Prompt " {moment(at)}</h2>
            <Markdown text=text_signal(row) />
            <Rest row />
            {part(move || standing.get().and_then(|(prompt, state)| prompt_note(app, row, prompt, state)))}
        </section>
    }
}

/// What is to be said of a prompt that is not simply done.
fn prompt_note(
    app: App,
    row: RwSignal<Arc<Row>>,
    prompt: PromptId,
    state: PromptState,
) -> Option<AnyView> {
    match state {
        PromptState::Queued => {
            let remove = move |_| {
                let session = row.with_untracked(|row| row.session.clone());
                let project = app.route.with_untracked(|route| route.project().cloned());
                if let Some(project) = project {
                    let path =
                        format!("/api/projects/{project}/sessions/{session}/prompts/{prompt}");
                    app.act(Method::Delete, path);
                }
            };
            Some(
                view! {
                    <p class="standing">
                        {icon(icon::shape(words::Shape::Waiting))}
                        "queued"
                        <button type="button" class="quiet" on:click=remove>
                            "Remove"
                        </button>
                    </p>
                }
                .into_any(),
            )
        }
        PromptState::Cancelled => Some(
            view! {
                <p class="standing">
                    {icon(icon::shape(words::Shape::Stopped))}
                    "stopped"
                </p>
            }
            .into_any(),
        ),
        PromptState::Unknown => Some(
            view! {
                <p class="standing warn">
                    {icon(icon::WARNING)}
                    "outcome unknown: contact was lost while the agent worked on it"
                </p>
            }
            .into_any(),
        ),
        PromptState::Sent | PromptState::Running | PromptState::Finished => None,
    }
}

#[component]
fn Words(id: RowId, row: RwSignal<Arc<Row>>) -> impl IntoView {
    view! {
        <section class="row words" id=id.to_string()>
            <Markdown text=text_signal(row) />
            <Rest row />
        </section>
    }
}

/// What of a long text is not shown yet, and what is nowhere.
#[component]
fn Rest(row: RwSignal<Arc<Row>>) -> impl IntoView {
    let rest = Memo::new(move |_| {
        row.with(|row| {
            let body = text_of(row)?;
            (body.body_ref.is_some() || body.truncated_bytes > 0)
                .then(|| (body.body_ref.clone(), body.truncated_bytes))
        })
    });
    view! {
        {part(move || {
            rest.get()
                .map(|(body_ref, lost)| {
                    view! {
                        {(lost > 0)
                            .then(|| {
                                view! {
                                    <p class="muted small">
                                        {format!("{} were left out.", words::bytes(lost))}
                                    </p>
                                }
                            })}
                        {body_ref.map(|body| view! { <WholeBody row body /> })}
                    }
                })
        })}
    }
}

/// A body kept apart, fetched when asked for and shown as plain text.
#[component]
pub(crate) fn WholeBody(row: RwSignal<Arc<Row>>, body: BodyRef) -> impl IntoView {
    let app = app();
    let text = RwSignal::new(None::<Result<String, api::Trouble>>);
    let busy = RwSignal::new(false);
    let size = words::bytes(body.bytes);
    let fetch = move |_| {
        let session = row.with_untracked(|row| row.session.clone());
        let Some(project) = app.route.with_untracked(|route| route.project().cloned()) else {
            return;
        };
        let path = format!(
            "/api/projects/{project}/sessions/{session}/bodies/{}",
            body.sha256
        );
        busy.set(true);
        spawn_local(async move {
            let answer = api::get_text(&path).await;
            busy.set(false);
            text.set(Some(answer.map(|text| crate::text::terminal::plain(&text))));
        });
    };
    view! {
        {part(move || match text.get() {
            None => {
                view! {
                    <button
                        type="button"
                        class="quiet"
                        disabled=value(move || busy.get())
                        on:click=fetch.clone()
                    >
                        {format!("Show all ({size})")}
                    </button>
                }
                    .into_any()
            }
            Some(Ok(text)) => {
                view! {
                    <pre class="output" tabindex="0">
                        {text}
                    </pre>
                }
                    .into_any()
            }
            Some(Err(trouble)) => trouble_note(&trouble).into_any(),
        })}
    }
}

#[component]
fn Thought(id: RowId, row: RwSignal<Arc<Row>>) -> impl IntoView {
    let app = app();
    let open = RwSignal::new(false);
    let line = Memo::new(move |_| {
        row.with(|row| {
            let going = is_open(row) && app.task().is_some_and(|task| !task.state.is_terminal());
            let word = if going { "Thinking" } else { "Thought" };
            match row_time(app, row) {
                Some(time) => format!("{word} for {time}"),
                None => word.to_owned(),
            }
        })
    });
    let body = format!("{id}-body");
    let controls = body.clone();
    view! {
        <section class="row thought" id=id.to_string()>
            <button
                type="button"
                class="fold"
                aria-expanded=value(move || open.get().to_string())
                aria-controls=controls
                on:click=on(move |_| open.update(|open| *open = !*open))
            >
                {icon(icon::THOUGHT)}
                <span class="label">{part(move || line.get())}</span>
                <span class="chevron">{icon(icon::CHEVRON)}</span>
            </button>
            <div class="folded" id=body hidden=value(move || !open.get())>
                <Show when=move || open.get()>
                    <Markdown text=text_signal(row) />
                    <Rest row />
                </Show>
            </div>
        </section>
    }
}

#[component]
fn Plan(id: RowId, row: RwSignal<Arc<Row>>) -> impl IntoView {
    let entries = move || {
        row.with(|row| match &row.body {
            RowBody::Plan(plan) => plan
                .entries
                .iter()
                .map(|entry| {
                    let (shape, word) = match entry.status {
                        PlanStatus::Pending => (words::Shape::Waiting, "to do: "),
                        PlanStatus::InProgress => (words::Shape::Working, "under way: "),
                        PlanStatus::Completed => (words::Shape::Done, "done: "),
                    };
                    view! {
                        <li class=shape.class()>
                            {icon(icon::shape(shape))}
                            <span>
                                <span class="sr-only">{word}</span>
                                {entry.content.clone()}
                            </span>
                        </li>
                    }
                })
                .views(),
            _ => Vec::new(),
        })
    };
    view! {
        <section class="row plan" id=id.to_string()>
            <h3>"Plan"</h3>
            <ul>{entries}</ul>
        </section>
    }
}

#[component]
fn Notice(id: RowId, row: RwSignal<Arc<Row>>) -> impl IntoView {
    let notice = Memo::new(move |_| {
        row.with(|row| match &row.body {
            RowBody::Notice(notice) => Some(notice.clone()),
            RowBody::Permission(asked) => Some(as_notice(asked)),
            _ => None,
        })
    });
    view! {
        <section class="row notice" id=id.to_string()>
            {part(move || {
                notice
                    .get()
                    .map(|notice| {
                        let (class, paths, word) = match notice.level {
                            NoticeLevel::Info => ("note", icon::INFO, "Note: "),
                            NoticeLevel::Warning => ("note warn", icon::WARNING, "Warning: "),
                            NoticeLevel::Error => ("note danger", icon::WARNING, "Error: "),
                            NoticeLevel::Question => ("note question", icon::HELP, "Question: "),
                        };
                        view! {
                            <div class=class title=notice.code>
                                {icon(paths)}
                                <div>
                                    <p>
                                        <span class="sr-only">{word}</span>
                                        {notice.text}
                                    </p>
                                    {notice.hint.map(|hint| view! { <p class="muted">{hint}</p> })}
                                </div>
                            </div>
                        }
                    })
            })}
        </section>
    }
}

#[component]
fn Usage(id: RowId, row: RwSignal<Arc<Row>>) -> impl IntoView {
    let line = move || {
        row.with(|row| match &row.body {
            RowBody::Usage(usage) => {
                let mut parts = vec![
                    format!("{} tokens in", words::number(usage.input_tokens)),
                    format!("{} out", words::number(usage.output_tokens)),
                ];
                parts.extend(usage.took.map(words::took));
                parts.join(" \u{b7} ")
            }
            RowBody::Answer(answer) => format!("Answered: {}", answer.label),
            _ => String::new(),
        })
    };
    view! {
        <p class="row usage" id=id.to_string()>
            {line}
        </p>
    }
}
