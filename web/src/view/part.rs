//! Small parts that many views use: those of every module, and the app's own.

use crate::markdown::markdown;
use crate::state::app;
use crate::view::dynamic::{Show, value};
use leptos::prelude::*;

pub(crate) use sam_web_parts::part::{
    Copyable, blank, command, moment, skeleton, state_chip, trouble_note,
};

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
