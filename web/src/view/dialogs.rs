//! Dialogs: the browser's own modal dialogs, which keep the focus and give it back.

use crate::action::Action;
use crate::keys::MOVES;
use crate::state::{Dialog, app};
use crate::view::dynamic::{Views, on, part};
use crate::view::palette::Palette;
use leptos::ev::MouseEvent;
use leptos::html;
use leptos::prelude::*;
use sam_domain::id::TaskId;

/// The dialog that is open, if any.
#[component]
pub(crate) fn Dialogs() -> impl IntoView {
    let app = app();
    view! {
        {part(move || {
            app.dialog
                .get()
                .map(|dialog| match dialog {
                    Dialog::Help => view! { <Help /> }.into_any(),
                    Dialog::Palette => view! { <Palette /> }.into_any(),
                    Dialog::Cancel(task) => view! { <Cancel task /> }.into_any(),
                })
        })}
    }
}

/// A modal dialog; opened when drawn, closed with Esc, its buttons or a click
/// beside it.
#[component]
pub(crate) fn Modal(
    /// Its name, for those who cannot see it.
    label: &'static str,
    /// Its look.
    class: &'static str,
    /// The element, so that its content can close it.
    element: NodeRef<html::Dialog>,
    children: Children,
) -> impl IntoView {
    let app = app();
    Effect::new(move |_| {
        if let Some(dialog) = element.get()
            && !dialog.open()
        {
            let _ = dialog.show_modal();
        }
    });
    view! {
        <dialog
            class=class
            aria-label=label
            node_ref=element
            on:close=on(move |_| app.dialog.set(None))
            on:click=on(move |event: MouseEvent| {
                // Only the backdrop is the dialog itself; its content lies within.
                let beside = event.target().as_ref() == event.current_target().as_ref();
                if beside && let Some(dialog) = element.get_untracked() {
                    dialog.close();
                }
            })
        >
            <div class="inside">{children()}</div>
        </dialog>
    }
}

/// Closes a dialog, which gives the focus back to where it was.
pub(crate) fn close(element: NodeRef<html::Dialog>) {
    if let Some(dialog) = element.get_untracked() {
        dialog.close();
    }
}

#[component]
fn Help() -> impl IntoView {
    let element = NodeRef::new();
    let actions = Action::ALL
        .iter()
        .filter_map(|action| action.key().map(|key| (key, action.name())));
    let rows = actions
        .chain(MOVES)
        .map(|(key, name)| {
            view! {
                <div>
                    <dt>
                        <kbd>{key}</kbd>
                    </dt>
                    <dd>{name}</dd>
                </div>
            }
        })
        .views();
    view! {
        <Modal label="Keys" class="modal" element>
            <h2>"Keys"</h2>
            <dl class="keys">{rows}</dl>
            <p class="muted small">
                "On other keyboards Ctrl takes the place of \u{2318}. Every action is also in the palette."
            </p>
            <p class="buttons">
                <button type="button" on:click=on(move |_| close(element))>
                    "Close"
                </button>
            </p>
        </Modal>
    }
}

#[component]
fn Cancel(task: TaskId) -> impl IntoView {
    let app = app();
    let element = NodeRef::new();
    view! {
        <Modal label="Cancel task" class="modal" element>
            <h2>"Cancel this task?"</h2>
            <p>
                "The agent is stopped and the task ends. What it has written stays in this conversation; work that was not pushed stays on the machine."
            </p>
            <p class="buttons">
                <button
                    type="button"
                    class="danger solid"
                    on:click=on(move |_| {
                        app.cancel(&task);
                        close(element);
                    })
                >
                    "Cancel task"
                </button>
                <button type="button" autofocus on:click=on(move |_| close(element))>
                    "Keep working"
                </button>
            </p>
        </Modal>
    }
}
