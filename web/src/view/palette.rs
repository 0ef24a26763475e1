//! The palette: every action by name, and every place one can go.

use crate::action::Action;
use crate::groups::matches;
use crate::nav;
use crate::route::Route;
use crate::state::{App, Loaded, app};
use crate::view::dialogs::{Modal, close};
use crate::view::dynamic::{Show, Views, on, part, value};
use leptos::ev::KeyboardEvent;
use leptos::html;
use leptos::prelude::*;

/// Most entries listed at once.
const LISTED: usize = 50;

/// Something the palette can do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    Do(Action),
    Go(Route, String, &'static str),
}

impl Choice {
    fn name(&self) -> String {
        match self {
            Self::Do(action) => action.name().to_owned(),
            Self::Go(_, name, _) => name.clone(),
        }
    }

    fn aside(&self) -> Option<&'static str> {
        match self {
            Self::Do(action) => action.key(),
            Self::Go(_, _, kind) => Some(kind),
        }
    }
}

fn choices(app: App, typed: &str) -> Vec<Choice> {
    let actions = Action::ALL
        .iter()
        .filter(|action| **action != Action::Palette && action.available(app))
        .map(|action| Choice::Do(*action));
    let mut places = Vec::new();
    if let Some(project) = app.route.with_untracked(|route| route.project().cloned()) {
        app.live.sessions.with_untracked(|sessions| {
            places.extend(sessions.iter().map(|session| {
                let route = Route::Session(project.clone(), session.id.clone());
                Choice::Go(route, session.title.clone(), "conversation")
            }));
        });
    }
    app.projects.with_untracked(|projects| {
        if let Loaded::Here(projects) = projects {
            places.extend(projects.iter().map(|project| {
                Choice::Go(
                    Route::Project(project.id.clone()),
                    project.name.clone(),
                    "project",
                )
            }));
        }
    });
    actions
        .chain(places)
        .filter(|choice| matches(&choice.name(), typed))
        .take(LISTED)
        .collect()
}

/// The palette.
#[component]
pub(crate) fn Palette() -> impl IntoView {
    let app = app();
    let element = NodeRef::<html::Dialog>::new();
    let typed = RwSignal::new(String::new());
    let at = RwSignal::new(0_usize);
    let found = Memo::new(move |_| typed.with(|typed| choices(app, typed)));
    let choose = move |choice: Choice| {
        close(element);
        // The dialog's own state is settled by its close event first.
        request_animation_frame(move || match choice {
            Choice::Do(action) => action.run(app),
            Choice::Go(route, ..) => nav::go(app, route),
        });
    };
    let key = move |event: KeyboardEvent| {
        let count = found.with_untracked(Vec::len);
        match event.key().as_str() {
            "ArrowDown" => at.update(|at| *at = (*at + 1) % count.max(1)),
            "ArrowUp" => at.update(|at| *at = (*at + count.max(1) - 1) % count.max(1)),
            "Enter" => {
                if let Some(choice) =
                    found.with_untracked(|found| found.get(at.get_untracked()).cloned())
                {
                    choose(choice);
                }
            }
            _ => return,
        }
        event.prevent_default();
        request_animation_frame(|| {
            let option = document()
                .query_selector(".palette [aria-selected='true']")
                .ok()
                .flatten();
            if let Some(option) = option {
                let how = web_sys::ScrollIntoViewOptions::new();
                how.set_block(web_sys::ScrollLogicalPosition::Nearest);
                option.scroll_into_view_with_scroll_into_view_options(&how);
            }
        });
    };
    view! {
        <Modal label="Palette" class="modal palette" element>
            <input
                type="text"
                role="combobox"
                aria-label="What to do or where to go"
                aria-expanded="true"
                aria-controls="palette-list"
                aria-activedescendant=value(move || format!("palette-{}", at.get()))
                autocomplete="off"
                spellcheck="false"
                placeholder="What to do or where to go"
                autofocus
                prop:value=value(move || typed.get())
                on:input=on(move |event| {
                    typed.set(event_target_value(&event));
                    at.set(0);
                })
                on:keydown=key
            />
            <ul id="palette-list" role="listbox" aria-label="Actions and places">
                {part(move || {
                    found
                        .get()
                        .into_iter()
                        .enumerate()
                        .map(|(index, choice)| {
                            let name = choice.name();
                            let aside = choice.aside();
                            let chosen = choice.clone();
                            view! {
                                <li
                                    id=format!("palette-{index}")
                                    role="option"
                                    aria-selected=value(move || (at.get() == index).to_string())
                                    on:click=on(move |_| choose(chosen.clone()))
                                    on:mousemove=on(move |_| {
                                        if at.get_untracked() != index {
                                            at.set(index);
                                        }
                                    })
                                >
                                    <span class="label">{name}</span>
                                    {aside.map(|aside| view! { <span class="aside">{aside}</span> })}
                                </li>
                            }
                        })
                        .views()
                })}
            </ul>
            <Show when=move || found.with(Vec::is_empty)>
                <p class="hint">"Nothing by that name."</p>
            </Show>
        </Modal>
    }
}
