//! The frame around every view: who may see what, the panes, the banner, the
//! dialogs and what a screen reader is told.

use crate::live::Link;
use crate::route::Route;
use crate::state::{App, Who, app};
use crate::text::words;
use crate::view::administration::Administration;
use crate::view::compose::Compose;
use crate::view::conversation::ConversationPane;
use crate::view::device::Device;
use crate::view::dialogs::Dialogs;
use crate::view::dynamic::{Show, on, part};
use crate::view::home::Home;
use crate::view::list::ListPane;
use crate::view::nodes::Nodes;
use crate::view::part::{blank, skeleton, trouble_note};
use crate::view::rail::Rail;
use crate::view::sign_in::{Enter, Entrance, SignIn};
use crate::view::tools::{CommandLine, Tools};
use crate::{action, browser, keys, nav};
use leptos::ev;
use leptos::prelude::*;
use sam_domain::task::TaskState;
use sam_web_parts::page::Page;
use sam_web_parts::surroundings::Surroundings;

/// What may be shown at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Waiting,
    Unreachable,
    Claim,
    Invite,
    SignIn,
    In,
}

/// The app.
#[component]
pub(crate) fn Shell() -> impl IntoView {
    let around = Surroundings::new();
    let app = App::new(nav::here(), around);
    provide_context(app);
    around.provide();
    crate::api::when_signed_out(move || app.session_ended());
    crate::markdown::provide();
    nav::listen(app);
    keys::listen(app);
    follow_sight(app);
    follow_route(app);
    app.ask();

    let gate = Memo::new(move |_| {
        let claimed = app
            .status
            .with(|status| status.as_ref().is_none_or(|status| status.claimed));
        let on = app.route.with(|route| match route {
            Route::SignIn => Some(Gate::SignIn),
            Route::Claim => Some(Gate::Claim),
            Route::Invite => Some(Gate::Invite),
            _ => None,
        });
        app.who.with(|who| match who {
            Who::Unknown => Gate::Waiting,
            Who::Unreachable => Gate::Unreachable,
            Who::Person(_) => Gate::In,
            Who::Nobody if !claimed => on.unwrap_or(Gate::Claim),
            Who::Nobody => on.unwrap_or(Gate::SignIn),
        })
    });
    view! {
        {part(move || match gate.get() {
            Gate::Waiting => view! { <main class="alone">{skeleton(3)}</main> }.into_any(),
            Gate::Unreachable => view! { <Unreachable /> }.into_any(),
            Gate::Claim => view! { <Enter by=Entrance::Claim /> }.into_any(),
            Gate::Invite => view! { <Enter by=Entrance::Invite /> }.into_any(),
            Gate::SignIn => view! { <SignIn /> }.into_any(),
            Gate::In => view! { <Frame /> }.into_any(),
        })}
        <Dialogs />
        <p class="sr-only" role="status" aria-live="polite">
            {part(move || app.said.get())}
        </p>
    }
}

#[component]
fn Unreachable() -> impl IntoView {
    let app = app();
    view! {
        <main class="alone">
            {blank(
                "The control plane does not answer",
                "This page is here, but what it speaks to is not. It may be starting, or stopped.",
                view! {
                    <button type="button" class="primary" on:click=on(move |_| app.ask())>
                        "Try again"
                    </button>
                },
            )}
        </main>
    }
}

/// Which main pane is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pane {
    Home,
    Nodes,
    Tools,
    CommandLine,
    Administration(Page),
    Device,
    Compose,
    Conversation(sam_domain::id::SessionId),
    Unknown,
}

#[component]
fn Frame() -> impl IntoView {
    let app = app();
    // A fresh sign-in has no business on the sign-in pages.
    Effect::new(move |_| {
        if app
            .route
            .with(|route| matches!(route, Route::SignIn | Route::Claim | Route::Invite))
        {
            nav::go_instead(app, Route::Home);
        }
    });
    let pane = Memo::new(move |_| {
        app.route.with(|route| match route {
            Route::Home | Route::SignIn | Route::Claim | Route::Invite => Pane::Home,
            Route::Nodes => Pane::Nodes,
            Route::Tools => Pane::Tools,
            Route::CommandLine => Pane::CommandLine,
            Route::Administration(page) => Pane::Administration(*page),
            Route::Device => Pane::Device,
            Route::Project(_) | Route::Compose(_) => Pane::Compose,
            Route::Session(_, session) => Pane::Conversation(session.clone()),
            Route::Unknown => Pane::Unknown,
        })
    });
    // A project that is not here has no list to stand beside.
    let gone = Memo::new(move |_| app.live.link.with(|link| matches!(link, Link::Gone(_))));
    let shown = move || {
        app.route.with(|route| match route {
            _ if gone.get() => "page",
            Route::Project(_) => "list",
            Route::Compose(_) => "compose",
            Route::Session(..) => "conversation",
            _ => "page",
        })
    };
    let in_project =
        Memo::new(move |_| !gone.get() && app.route.with(|route| route.project().is_some()));
    view! {
        <div class="frame" data-shown=shown>
            <a class="skip" href="#main">
                "Skip to the main part"
            </a>
            <Banner />
            <Rail />
            <main>
                <Show when=move || in_project.get()>
                    <ListPane />
                </Show>
                <div class="pane" id="main" tabindex="-1">
                {part(move || match pane.get() {
                    Pane::Home => view! { <Home /> }.into_any(),
                    Pane::Nodes => view! { <Nodes /> }.into_any(),
                    Pane::Tools => view! { <Tools /> }.into_any(),
                    Pane::CommandLine => view! { <CommandLine /> }.into_any(),
                    Pane::Administration(page) => view! { <Administration page /> }.into_any(),
                    Pane::Device => view! { <Device /> }.into_any(),
                    Pane::Compose => view! { <Compose /> }.into_any(),
                    Pane::Conversation(session) => {
                        view! { <ConversationPane session /> }.into_any()
                    }
                    Pane::Unknown => {
                        blank(
                                "There is nothing at this address",
                                "It may have been mistyped, or what was here is gone.",
                                view! {
                                    <a class="button" href="/">
                                        "Go to projects"
                                    </a>
                                },
                            )
                            .into_any()
                    }
                })}
                </div>
            </main>
        </div>
    }
}

/// What is true of the connection, when it is not plainly up; and what failed.
#[component]
fn Banner() -> impl IntoView {
    let app = app();
    let lost = Memo::new(move |_| {
        app.live.link.with(|link| match link {
            // A connection that is back within a second is nobody's concern.
            Link::Lost { since, .. } if app.now.get().since(*since).0 >= 1_000 => Some(*since),
            _ => None,
        })
    });
    let next = move || {
        app.live.link.with(|link| match link {
            Link::Lost {
                next_try: Some(at), ..
            } => {
                let left = at.since(app.now.get());
                if left.0 < 1_000 {
                    "Reconnecting now.".to_owned()
                } else {
                    format!("Next try in {}.", words::elapsed(left))
                }
            }
            _ => "Reconnecting now.".to_owned(),
        })
    };
    view! {
        <div class="banners">
            <div role="status">
                {part(move || {
                    lost.get()
                        .map(|since| {
                            view! {
                                <div class="banner offline">
                                    <p>
                                        <strong>"Offline. "</strong>
                                        "Reconnecting since "
                                        {browser::clock_seconds(since)}
                                        ". What you see was true then. "
                                        <span aria-live="off">{next}</span>
                                    </p>
                                    <button type="button" on:click=on(move |_| app.live.retry_now())>
                                        "Try now"
                                    </button>
                                </div>
                            }
                        })
                })}
            </div>
            {part(move || {
                app.trouble
                    .get()
                    .map(|trouble| {
                        view! {
                            <div class="banner">
                                {trouble_note(&trouble)}
                                <button type="button" on:click=on(move |_| app.trouble.set(None))>
                                    "Dismiss"
                                </button>
                            </div>
                        }
                    })
            })}
        </div>
    }
}

/// Notices when the page is seen again.
fn follow_sight(app: App) {
    let seen = window_event_listener(
        ev::Custom::<web_sys::Event>::new("visibilitychange"),
        move |_| {
            if browser::visible() {
                app.now.set(browser::now());
                app.live.probe();
            }
        },
    );
    let online = window_event_listener(ev::online, move |_| app.live.probe());
    on_cleanup(move || {
        seen.remove();
        online.remove();
    });
}

/// Follows what the address names, titles the page and moves the focus.
fn follow_route(app: App) {
    let place = Memo::new(move |_| {
        let signed_in = app.signed_in();
        app.route.with(|route| {
            (
                signed_in,
                route.project().cloned(),
                route.session().cloned(),
            )
        })
    });
    Effect::new(move |_| {
        let (signed_in, project, session) = place.get();
        if signed_in {
            app.live.follow(project.as_ref(), session.as_ref());
        } else {
            app.live.follow(None, None);
        }
    });
    Effect::new(move |_| {
        if app.live.signed_out.get() {
            app.session_ended();
        }
    });
    let state = Memo::new(move |_| app.task().map(|task| (task.id.clone(), task.state)));
    Effect::new(move |before: Option<Option<(_, TaskState)>>| {
        let now = state.get();
        if let (Some(Some((old, was))), Some((id, is))) = (&before, &now)
            && old == id
            && was != is
        {
            app.said.set(action::state_sentence(*is));
        }
        now
    });
    Effect::new(move |_| document().set_title(&title(app)));
    Effect::new(move |before: Option<Route>| {
        let now = app.route.get();
        // At the start the focus belongs to the browser.
        if before.is_some_and(|before| before != now) {
            request_animation_frame(move || {
                if browser::focused().is_none_or(|f| f.tag_name() != "TEXTAREA") {
                    let found = browser::focus(".pane h1") || browser::focus(".list-head h1");
                    app.heading_due.set(!found);
                }
            });
        }
        now
    });
}

fn title(app: App) -> String {
    let place = app.route.with(|route| match route {
        Route::Nodes => Some("Nodes".to_owned()),
        Route::Tools => Some("Tools".to_owned()),
        Route::CommandLine => Some("Command line".to_owned()),
        Route::Administration(page) => Some(page.title().to_owned()),
        Route::Device => Some("Sign a program in".to_owned()),
        Route::SignIn => Some("Sign in".to_owned()),
        Route::Claim => Some("Claim".to_owned()),
        Route::Invite => Some("Invite".to_owned()),
        Route::Session(..) => None,
        Route::Project(_) | Route::Compose(_) => app.project().map(|project| project.name),
        Route::Home | Route::Unknown => Some("Projects".to_owned()),
    });
    let place = place.or_else(|| {
        let task = app.task()?;
        let (word, _) = words::task_state(task.state);
        Some(format!("{} ({word})", task.title))
    });
    match place {
        Some(place) => format!("{place} \u{b7} SAM"),
        None => "SAM".to_owned(),
    }
}
