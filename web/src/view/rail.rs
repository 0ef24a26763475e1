//! The rail: where one can go, and a few switches.

use crate::action::Action;
use crate::groups::{Group, group};
use crate::route::Route;
use crate::state::app;
use crate::view::dynamic::{on, part};
use crate::view::icon::{self, icon};
use leptos::prelude::*;
use sam_domain::conversation::row::ToolKind;

/// The rail; under 900 px a bar at the bottom.
#[component]
pub(crate) fn Rail() -> impl IntoView {
    let app = app();
    let current =
        move |wanted: fn(&Route) -> bool| move || app.route.with(wanted).then_some("page");
    let waiting = Memo::new(move |_| {
        app.live.tasks.with(|tasks| {
            app.live.sessions.with(|sessions| {
                sessions
                    .iter()
                    .filter(|s| group(s, tasks.get(&s.task).map(|t| &**t)) == Group::NeedsYou)
                    .count()
            })
        })
    });
    let project = Memo::new(move |_| app.route.with(|route| route.project().cloned()));
    view! {
        <nav class="rail" aria-label="Main">
            <span class="mark">{icon(icon::MARK)}</span>
            <a class="tab" href="/" aria-current=current(|r| matches!(r, Route::Home))>
                {icon(icon::PROJECTS)}
                <span>"Projects"</span>
            </a>
            {part(move || {
                project
                    .get()
                    .map(|project| {
                        view! {
                            <a
                                class="tab"
                                href=Route::Project(project).path()
                                aria-current=current(|r| r.project().is_some())
                            >
                                {icon(icon::TALK)}
                                <span>"Tasks"</span>
                                {part(move || {
                                    (waiting.get() > 0)
                                        .then(|| {
                                            view! {
                                                <span class="badge">
                                                    {waiting.get()}
                                                    <span class="sr-only">" need you"</span>
                                                </span>
                                            }
                                        })
                                })}
                            </a>
                        }
                    })
            })}
            <a class="tab" href="/nodes" aria-current=current(|r| matches!(r, Route::Nodes))>
                {icon(icon::NODES)}
                <span>"Nodes"</span>
            </a>
            <a
                class="tab"
                href="/tools"
                aria-current=current(|r| matches!(r, Route::Tools | Route::CommandLine))
            >
                {icon(icon::tool(ToolKind::Execute))}
                <span>"Tools"</span>
            </a>
            <a class="tab" href="/settings" aria-current=current(|r| matches!(r, Route::Administration(_)))>
                {icon(icon::SETTINGS)}
                <span>"Settings"</span>
            </a>
            <span class="gap"></span>
            <button
                type="button"
                class="tab"
                title="Switch between dark and light"
                on:click=on(move |_| Action::SwitchTheme.run(app))
            >
                {icon(icon::THEME)}
                <span>"Theme"</span>
            </button>
            <button
                type="button"
                class="tab hotkeys"
                title="Show the keys (?)"
                on:click=on(move |_| Action::Help.run(app))
            >
                {icon(icon::HELP)}
                <span>"Keys"</span>
            </button>
            <button type="button" class="tab" on:click=on(move |_| Action::SignOut.run(app))>
                {icon(icon::LEAVE)}
                <span>"Sign out"</span>
            </button>
        </nav>
    }
}
