//! One conversation: its head, its rows, and what can be done.
//!
//! Scrolling: the log sticks to its end only while one is there. Content that
//! arrives while one reads elsewhere moves nothing (the browser anchors what is
//! seen); a chip leads back.

use crate::action::{self, Action};
use crate::browser;
use crate::live::Link;
use crate::outline::{Item, RowShape, TaskEnd, outline, window_start};
use crate::state::app;
use crate::text::words;
use crate::view::composer::Composer;
use crate::view::dynamic::{Show, on, part};
use crate::view::icon::{self, icon};
use crate::view::list::BackLink;
use crate::view::outcome::Outcome;
use crate::view::part::{Copyable, Scripted, blank, skeleton, state_chip};
use crate::view::row::RowView;
use crate::view::steps::Steps;
use crate::view::tool::Reads;
use leptos::html;
use leptos::prelude::*;
use sam_domain::conversation::wire::ActivityState;
use sam_domain::id::{RowId, SessionId};
use sam_domain::task::{TaskMode, TaskState};
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Which cards the person opened or closed: it outlives a card that is drawn
/// anew elsewhere, e.g. in a fold.
#[derive(Clone, Copy)]
pub(crate) struct Opened(pub(crate) RwSignal<HashMap<RowId, bool>>);

/// How near the end counts as being there, in pixels.
const AT_END: i32 = 32;

/// The pane of one conversation.
#[component]
pub(crate) fn ConversationPane(session: SessionId) -> impl IntoView {
    let app = app();
    let absent = Memo::new(move |_| {
        app.live.missing.get() || app.live.link.with(|link| matches!(link, Link::Gone(_)))
    });
    view! {
        {part(move || {
            if absent.get() {
                blank(
                        "This conversation is not here",
                        "It does not exist, or it is not yours to see.",
                        view! {
                            <a class="button" href="/">
                                "Go to projects"
                            </a>
                        },
                    )
                    .into_any()
            } else {
                let session = session.clone();
                view! { <Conversation session /> }.into_any()
            }
        })}
    }
}

#[component]
fn Conversation(session: SessionId) -> impl IntoView {
    let app = app();
    let known = session.clone();
    let items = Memo::new(move |_| {
        let mut ends: Vec<TaskEnd> = app.live.tasks.with(|tasks| {
            tasks
                .values()
                .filter(|task| task.session == known)
                .filter_map(|task| TaskEnd::of(task))
                .collect()
        });
        ends.sort_by_key(TaskEnd::at);
        app.live.shapes.with(|shapes| outline(shapes, &ends))
    });
    // Earlier things are drawn when asked for; the window itself is a function
    // of the length, so that a reload draws the same.
    let earlier = RwSignal::new(false);
    let start = Memo::new(move |_| {
        if earlier.get() {
            0
        } else {
            items.with(|items| window_start(items.len()))
        }
    });
    provide_context(Opened(RwSignal::new(HashMap::new())));
    let scroll = NodeRef::<html::Div>::new();
    let log = NodeRef::<html::Div>::new();
    let at_end = RwSignal::new(true);
    stick(scroll, log, at_end);

    let ready = Memo::new(move |_| app.live.read.get());
    let thinking = Memo::new(move |_| idle_line(app));
    let waiting = Memo::new(move |_| waits_for_machine(app));
    view! {
        <article class="conversation" aria-label="Conversation">
            <div class="transcript" data-part="conversation">
                <Head />
                <div
                    class="scroll"
                    node_ref=scroll
                    tabindex="0"
                    role="region"
                    aria-label="What was said and done"
                    on:scroll=on(move |_| {
                        if let Some(element) = scroll.get_untracked() {
                            at_end.set(is_at_end(&element));
                        }
                    })
                >
                    <div class="log" node_ref=log>
                        <Show when=move || ready.get() fallback=|| skeleton(8)>
                            <Show when=move || { start.get() > 0 }>
                                <button
                                    type="button"
                                    class="earlier"
                                    on:click=on(move |_| earlier.set(true))
                                >
                                    {part(move || format!("Show {} earlier", words::number(start.get() as u64)))}
                                </button>
                            </Show>
                            <For
                                each=move || {
                                    items
                                        .with(|items| {
                                            items.get(start.get()..).unwrap_or_default().to_vec()
                                        })
                                }
                                key=Item::key
                                children=move |item| draw(item, items)
                            />
                            {part(move || thinking.get().map(|line| view! { <p class="pulse">{line}</p> }))}
                            <Show when=move || waiting.get()>
                                <p class="waiting">
                                    "Work starts as soon as a machine is there. "
                                    <a href="/nodes">"Join a machine"</a>
                                </p>
                            </Show>
                        </Show>
                    </div>
                </div>
            </div>
            <div class="dock">
                <Show when=move || !at_end.get()>
                    <button
                        type="button"
                        class="jump"
                        on:click=on(move |_| {
                            if let Some(element) = scroll.get_untracked() {
                                element.set_scroll_top(element.scroll_height());
                            }
                        })
                    >
                        {icon(icon::DOWN)}
                        "Jump to latest"
                    </button>
                </Show>
                <Composer session />
            </div>
        </article>
    }
}

fn draw(item: Item, items: Memo<Vec<Item>>) -> AnyView {
    match item {
        Item::Row(id) => view! { <RowView id /> }.into_any(),
        Item::Reads(first, _) => {
            let rows = Memo::new(move |_| {
                items.with(|items| {
                    items
                        .iter()
                        .find_map(|item| match item {
                            Item::Reads(head, rows) if *head == first => Some(rows.clone()),
                            _ => None,
                        })
                        .unwrap_or_default()
                })
            });
            view! { <Reads rows /> }.into_any()
        }
        Item::Outcome(task) => view! { <Outcome task /> }.into_any(),
    }
}

/// Whether no machine could be found at once.
fn waits_for_machine(app: crate::state::App) -> bool {
    app.task().is_some_and(|task| {
        task.state == TaskState::Placing
            && task.steps.last().is_some_and(|step| step.detail.is_some())
    })
}

/// What is happening while no row says so.
fn idle_line(app: crate::state::App) -> Option<&'static str> {
    let task = app.task()?;
    if task.machine_away_since.is_some() {
        return None;
    }
    if task.waits_until.is_some_and(|until| until > app.now.get()) {
        return Some("Waiting for a limit of the model to reset");
    }
    match task.state {
        TaskState::Queued => Some("Queued"),
        TaskState::Placing => Some("Looking for a machine"),
        TaskState::Preparing => Some("Making the workspace"),
        TaskState::Starting => Some("Starting the agent"),
        // A row that grows says so itself.
        TaskState::Running
            if app
                .live
                .shapes
                .with(|rows| rows.last().is_some_and(RowShape::is_open)) =>
        {
            None
        }
        TaskState::Running => {
            let held = app
                .live
                .session(&task.session)
                .and_then(|session| session.activity.clone());
            let activity = app.live.activity.get().or(held);
            match activity.map(|activity| activity.state) {
                Some(ActivityState::Starting) => Some("Starting the agent"),
                Some(ActivityState::Prompting) => Some("The agent works"),
                Some(ActivityState::WaitingForPerson) => Some("The agent waits for you"),
                Some(ActivityState::Recovering) => Some("The agent recovers"),
                // The head says that the machine is away.
                Some(ActivityState::Unknown | ActivityState::Idle | ActivityState::Ended)
                | None => None,
            }
        }
        TaskState::Finishing => Some("Commit and push"),
        TaskState::AwaitingInput
        | TaskState::Completed
        | TaskState::Failed
        | TaskState::Cancelled => None,
    }
}

#[component]
fn Head() -> impl IntoView {
    let app = app();
    let task = Memo::new(move |_| app.task());
    let title = Memo::new(move |_| {
        let session = app.route.with(|route| route.session().cloned())?;
        app.live
            .session(&session)
            .map(|session| session.title.clone())
    });
    let state = Memo::new(move |_| task.with(|task| task.as_ref().map(|task| task.state)));
    let facts = Memo::new(move |_| {
        task.with(|task| {
            task.as_ref().map(|task| {
                (
                    task.agent.clone(),
                    task.mode,
                    task.branch.clone(),
                    task.attempt,
                )
            })
        })
    });
    let away =
        Memo::new(move |_| task.with(|task| task.as_ref().and_then(|t| t.machine_away_since)));
    view! {
        <header class="conversation-head">
            <div class="title-line">
                <BackLink />
                <h1 tabindex="-1">
                    {part(move || title.get().unwrap_or_else(|| "Conversation".to_owned()))}
                </h1>
                <div class="actions">
                    <Show when=move || action::can_stop(app)>
                        <button type="button" on:click=on(move |_| Action::StopTurn.run(app))>
                            "Stop turn"
                        </button>
                    </Show>
                    <Show when=move || action::can_finish(app)>
                        <button
                            type="button"
                            class="primary"
                            title="Commit and push what there is, and end the task"
                            on:click=on(move |_| Action::Finish.run(app))
                        >
                            "Finish"
                        </button>
                    </Show>
                    <Show when=move || action::can_cancel(app)>
                        <button
                            type="button"
                            class="danger"
                            title="Cancel task (x)"
                            on:click=on(move |_| Action::Cancel.run(app))
                        >
                            "Cancel task"
                        </button>
                    </Show>
                </div>
            </div>
            <div class="fact-line">
                {part(move || {
                    state
                        .get()
                        .map(|state| {
                            let (word, shape) = words::task_state(state);
                            state_chip(word, shape)
                        })
                })} <Scripted />
                {part(move || {
                    facts
                        .get()
                        .map(|(agent, mode, branch, attempt)| {
                            view! {
                                <span class="fact">{agent}</span>
                                {(mode == TaskMode::Conversation)
                                    .then(|| view! { <span class="fact">"conversation"</span> })}
                                {(attempt > 1)
                                    .then(|| {
                                        view! {
                                            <span class="fact">{format!("attempt {attempt}")}</span>
                                        }
                                    })}
                                {branch
                                    .map(|branch| {
                                        view! {
                                            <span class="fact branch">
                                                {icon(icon::BRANCH)}
                                                <Copyable
                                                    shown=branch.clone()
                                                    text=branch
                                                    what="branch"
                                                />
                                            </span>
                                        }
                                    })}
                            }
                        })
                })}
            </div>
            <Steps task />
            {part(move || {
                away.get()
                    .map(|since| {
                        view! {
                            <p class="note warn" role="status">
                                {icon(icon::WARNING)}
                                <span>
                                    "The machine has been away since " {browser::clock(since)}
                                    ". Work goes on there if it runs; what it did appears when it is back."
                                </span>
                            </p>
                        }
                    })
            })}
        </header>
    }
}

fn is_at_end(element: &web_sys::HtmlElement) -> bool {
    element.scroll_height() - element.scroll_top() - element.client_height() <= AT_END
}

/// Keeps the log at its end while one is there, whatever changes its size; a
/// fold that one opens oneself is not followed.
fn stick(scroll: NodeRef<html::Div>, log: NodeRef<html::Div>, at_end: RwSignal<bool>) {
    Effect::new(move |_| {
        let (Some(scroll), Some(log)) = (scroll.get(), log.get()) else {
            return;
        };
        let element: web_sys::HtmlElement = (*scroll).clone().unchecked_into();
        let held = element.clone();
        let changed = Closure::<dyn FnMut()>::new(move || {
            if at_end.get_untracked() {
                held.set_scroll_top(held.scroll_height());
            }
        });
        let Ok(observer) = web_sys::ResizeObserver::new(changed.as_ref().unchecked_ref()) else {
            return;
        };
        observer.observe(&log);
        observer.observe(&element);
        let pressed = element.clone();
        let press = Closure::<dyn FnMut()>::new(move || {
            // Judged again once what was pressed has been drawn.
            at_end.set(false);
            let pressed = pressed.clone();
            request_animation_frame(move || {
                request_animation_frame(move || at_end.set(is_at_end(&pressed)));
            });
        });
        let _ = log.add_event_listener_with_callback("click", press.as_ref().unchecked_ref());
        let kept = Rc::new((observer, changed, press));
        let kept = StoredValue::new_local(Some(kept));
        on_cleanup(move || {
            kept.update_value(|kept| {
                if let Some(kept) = kept.take() {
                    kept.0.disconnect();
                }
            });
        });
    });
}
