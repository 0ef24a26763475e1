//! Small parts that many views use.

use crate::api::Trouble;
use crate::browser;
use crate::markdown::markdown;
use crate::state::app;
use crate::text::words::Shape;
use crate::view::dynamic::{Show, on, value};
use crate::view::icon::{self, icon};
use leptos::prelude::*;
use sam_domain::time::Timestamp;

/// A state: shape, word and colour.
pub(crate) fn state_chip(word: &'static str, shape: Shape) -> impl IntoView {
    view! {
        <span class=shape.class()>
            {icon(icon::shape(shape))}
            <span class="word">{word}</span>
        </span>
    }
}

/// A moment as hours and minutes, exact on hover.
pub(crate) fn moment(at: Timestamp) -> impl IntoView {
    view! {
        <time datetime=browser::iso(at) title=browser::exact(at)>
            {browser::clock(at)}
        </time>
    }
}

/// Says that answers are scripted, wherever that is so.
#[component]
pub(crate) fn Scripted() -> impl IntoView {
    let app = app();
    view! {
        <Show when=move || app.scripted()>
            <span
                class="scripted"
                title="No real model is configured: answers come from a stand-in that follows a script. Set SAM_MODEL_URL, SAM_MODEL_KEY and SAM_MODEL for a real one."
            >
                "scripted model"
            </span>
        </Show>
    }
}

/// Text as Markdown; a block that did not change is not drawn again.
#[component]
pub(crate) fn Markdown(
    /// The text.
    #[prop(into)]
    text: Signal<String>,
) -> impl IntoView {
    let markdown = markdown();
    let blocks = Memo::new(move |_| text.with(|text| markdown.blocks(text)));
    view! {
        <div class="prose">
            <For
                each=move || 0..blocks.with(Vec::len)
                key=|index| *index
                children=move |index| {
                    let html = Memo::new(move |_| {
                        blocks.with(|blocks| blocks.get(index).cloned().unwrap_or_default())
                    });
                    view! { <div class="block" inner_html=value(move || html.get())></div> }
                }
            />
        </div>
    }
}

/// Text that can be copied, short here and whole on hover.
#[component]
pub(crate) fn Copyable(
    /// What is copied.
    text: String,
    /// What is shown.
    shown: String,
    /// What it is, e.g. `branch`.
    what: &'static str,
) -> impl IntoView {
    let app = app();
    let copied = text.clone();
    view! {
        <button
            type="button"
            class="copy"
            title=format!("Copy {what}: {text}")
            on:click=on(move |_| {
                browser::copy(&copied);
                app.said.set(format!("Copied {what}"));
            })
        >
            <span class="sr-only">{format!("Copy {what} ")}</span>
            <code>{shown}</code>
        </button>
    }
}

/// A line to run in a terminal, and a button that copies it with something beside it.
pub(crate) fn command(line: String, beside: impl IntoView) -> impl IntoView {
    let app = app();
    let copied = line.clone();
    view! {
        <pre class="command" tabindex="0">
            {line}
        </pre>
        <div class="buttons">
            <button
                type="button"
                on:click=on(move |_| {
                    browser::copy(&copied);
                    app.said.set("Copied the command".to_owned());
                })
            >
                "Copy command"
            </button>
            {beside}
        </div>
    }
}

/// Why something failed: what, and what next.
pub(crate) fn trouble_note(trouble: &Trouble) -> impl IntoView + use<> {
    let message = trouble.message();
    let hint = trouble.hint();
    let request = match trouble {
        Trouble::Refused(error) => error.request_id.clone(),
        Trouble::Unreachable => None,
    };
    view! {
        <div class="note danger" role="alert">
            {icon(icon::WARNING)}
            <div>
                <p>{message}</p>
                {hint.map(|hint| view! { <p class="muted">{hint}</p> })}
                {request.map(|id| view! { <p class="muted small">"Request " <code>{id}</code></p> })}
            </div>
        </div>
    }
}

/// A whole pane that has nothing else to show.
pub(crate) fn blank(
    title: impl Into<String>,
    words: impl Into<String>,
    rest: impl IntoView,
) -> impl IntoView {
    view! {
        <div class="blank">
            <h1 tabindex="-1">{title.into()}</h1>
            <p>{words.into()}</p>
            {rest}
        </div>
    }
}

/// Grey lines where text will be.
pub(crate) fn skeleton(lines: usize) -> impl IntoView {
    let lines = (0..lines)
        .map(|_| view! { <span class="bone"></span> })
        .collect_view();
    view! {
        <div class="skeleton" aria-hidden="true">
            {lines}
        </div>
        <p class="sr-only">"Loading"</p>
    }
}
