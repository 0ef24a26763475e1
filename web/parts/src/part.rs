//! Small parts that many views of every module use.

use crate::api::Trouble;
use crate::browser;
use crate::dynamic::on;
use crate::icon::{self, icon};
use crate::surroundings::surroundings;
use crate::words::Shape;
use leptos::prelude::*;
use sam_domain::time::Timestamp;

/// A state: shape, word and colour.
pub fn state_chip(word: &'static str, shape: Shape) -> impl IntoView {
    view! {
        <span class=shape.class()>
            {icon(icon::shape(shape))}
            <span class="word">{word}</span>
        </span>
    }
}

/// A moment as hours and minutes, exact on hover.
pub fn moment(at: Timestamp) -> impl IntoView {
    view! {
        <time datetime=browser::iso(at) title=browser::exact(at)>
            {browser::clock(at)}
        </time>
    }
}

/// Text that can be copied, short here and whole on hover.
#[component]
pub fn Copyable(
    /// What is copied.
    text: String,
    /// What is shown.
    shown: String,
    /// What it is, e.g. `branch`.
    what: &'static str,
) -> impl IntoView {
    let said = surroundings().said;
    let copied = text.clone();
    view! {
        <button
            type="button"
            class="copy"
            title=format!("Copy {what}: {text}")
            on:click=on(move |_| {
                browser::copy(&copied);
                said.set(format!("Copied {what}"));
            })
        >
            <span class="sr-only">{format!("Copy {what} ")}</span>
            <code>{shown}</code>
        </button>
    }
}

/// A line to run in a terminal, and a button that copies it with something beside it.
pub fn command(line: String, beside: impl IntoView) -> impl IntoView {
    let said = surroundings().said;
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
                    said.set("Copied the command".to_owned());
                })
            >
                "Copy command"
            </button>
            {beside}
        </div>
    }
}

/// Why something failed: what, and what next.
pub fn trouble_note(trouble: &Trouble) -> impl IntoView + use<> {
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
pub fn blank(
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
pub fn skeleton(lines: usize) -> impl IntoView {
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
