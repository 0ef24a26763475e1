//! What is around every page: the way to the others, what failed, and what a screen reader is told.

use crate::models::Models;
use crate::people::People;
use crate::settings::Settings;
use crate::setup::Setup;
use crate::usage::Usage;
use leptos::prelude::*;
use sam_web_parts::dynamic::{Views, on, part};
use sam_web_parts::page::Page;
use sam_web_parts::part::trouble_note;
use sam_web_parts::surroundings::Surroundings;

/// Whether who looks runs the installation.
#[derive(Clone, Copy)]
struct Administrator(bool);

/// Whether who looks runs the installation.
pub(crate) fn administrator() -> bool {
    expect_context::<Administrator>().0
}

/// A page with all that is around it.
pub(crate) fn page(page: Page, administrator: bool) -> impl IntoView {
    let around = Surroundings::new();
    around.provide();
    provide_context(Administrator(administrator));
    let tabs = Page::ALL
        .into_iter()
        .filter(|page| administrator || !page.is_for_administrators())
        .map(|one| {
            view! {
                <a href=format!("/{}", one.word()) aria-current=(one == page).then_some("page")>
                    {one.title()}
                </a>
            }
        })
        .views();
    let content = match page {
        Page::Usage => view! { <Usage /> }.into_any(),
        Page::Settings => view! { <Settings /> }.into_any(),
        Page::Models => view! { <Models /> }.into_any(),
        Page::People => view! { <People /> }.into_any(),
        Page::Setup => view! { <Setup /> }.into_any(),
    };
    view! {
        <div class="page">
            <header class="page-head">
                <h1 tabindex="-1">{page.title()}</h1>
            </header>
            <nav class="tabs" aria-label="Settings">
                {tabs}
            </nav>
            {part(move || {
                around
                    .trouble
                    .get()
                    .map(|trouble| {
                        view! {
                            <div class="banner">
                                {trouble_note(&trouble)}
                                <button
                                    type="button"
                                    on:click=on(move |_| around.trouble.set(None))
                                >
                                    "Dismiss"
                                </button>
                            </div>
                        }
                    })
            })}
            {content}
            <p class="sr-only" role="status" aria-live="polite">
                {part(move || around.said.get())}
            </p>
        </div>
    }
}
