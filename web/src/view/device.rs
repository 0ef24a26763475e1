//! Signing a program in: a person compares what it shows with what is shown here, and decides.
//!
//! Whoever sends somebody this page's address wants them to approve without looking. So the page
//! decides nothing by itself, says who asks from where, and leaves denying as near as approving.

use crate::api::{self, Trouble};
use crate::nav;
use crate::state::app;
use crate::text::words;
use crate::view::dynamic::{on, part, value};
use crate::view::icon::{self, icon};
use crate::view::part::trouble_note;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::device::code::UserCode;
use sam_domain::device::wire::{DecideDevice, DeviceState, DeviceView};
use sam_domain::error::ApiError;

/// Which part of the page is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The code is to be typed.
    Enter,
    /// It is being looked up.
    Looking,
    /// Someone asks to be signed in.
    Compare(DeviceView),
    /// It was decided here.
    Decided(DeviceView),
}

/// The page at `/device`.
#[component]
pub(crate) fn Device() -> impl IntoView {
    let step = RwSignal::new(Step::Enter);
    let typed = RwSignal::new(String::new());
    let trouble = RwSignal::new(None::<Trouble>);
    let look = move |text: String| {
        trouble.set(None);
        let Ok(code) = text.parse::<UserCode>() else {
            typed.set(text);
            step.set(Step::Enter);
            trouble.set(Some(Trouble::Refused(
                ApiError::bad_request("This is not a code.")
                    .hint("A code has eight letters, like BCDF-GHJK."),
            )));
            return;
        };
        typed.set(code.to_string());
        step.set(Step::Looking);
        spawn_local(async move {
            match api::get::<DeviceView>(&format!("/api/auth/device/{code}")).await {
                Ok(view) => step.set(Step::Compare(view)),
                Err(refused) => {
                    step.set(Step::Enter);
                    trouble.set(Some(refused));
                }
            }
        });
    };
    if let Some(code) = nav::query("code") {
        look(code);
    }
    view! {
        <div class="page device">
            <header class="page-head">
                <h1 tabindex="-1">"Sign a program in"</h1>
            </header>
            {part(move || match step.get() {
                Step::Enter => view! { <Enter typed look /> }.into_any(),
                Step::Looking => view! { <p class="lead">"Looking the code up\u{2026}"</p> }.into_any(),
                Step::Compare(view) if view.state == DeviceState::Pending => {
                    view! { <Compare view step trouble /> }.into_any()
                }
                Step::Compare(view) | Step::Decided(view) => outcome(&view).into_any(),
            })}
            {part(move || trouble.get().map(|t| trouble_note(&t)))}
        </div>
    }
}

#[component]
fn Enter(
    /// What is typed.
    typed: RwSignal<String>,
    /// Looks a code up.
    look: impl Fn(String) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        look(typed.get_untracked());
    };
    view! {
        <p class="lead">
            "A program on a terminal or another machine showed you a code. Type it here to see who asks; you decide afterwards."
        </p>
        <form class="panel stack" on:submit=submit>
            <label for="user-code">"Code"</label>
            <input
                id="user-code"
                class="user-code"
                type="text"
                required
                autocomplete="off"
                autocapitalize="characters"
                spellcheck="false"
                placeholder="XXXX-XXXX"
                prop:value=value(move || typed.get())
                on:input=on(move |event| typed.set(event_target_value(&event)))
            />
            <div>
                <button type="submit" class="primary">
                    "Continue"
                </button>
            </div>
        </form>
    }
}

#[component]
fn Compare(
    /// Who asks.
    view: DeviceView,
    /// Where the page stands.
    step: RwSignal<Step>,
    /// What failed.
    trouble: RwSignal<Option<Trouble>>,
) -> impl IntoView {
    let app = app();
    let busy = RwSignal::new(false);
    let code = view.user_code;
    let decide = move |path: &'static str| {
        busy.set(true);
        trouble.set(None);
        spawn_local(async move {
            let request = DecideDevice { user_code: code };
            let answer = api::post::<_, DeviceView>(path, &request).await;
            busy.set(false);
            match answer {
                Ok(view) => {
                    app.said.set(said(view.state).0.to_owned());
                    step.set(Step::Decided(view));
                }
                Err(refused) => trouble.set(Some(refused)),
            }
        });
    };
    let begun = view.created_at;
    view! {
        <section class="panel" aria-labelledby="asks">
            <h2 id="asks">
                <q>{view.asked.client_id.clone()}</q>
                " asks to be signed in as you"
            </h2>
            <p>"Does it show this code?"</p>
            <p class="user-code">
                <code>{code.to_string()}</code>
            </p>
            <dl class="facts">
                <div>
                    <dt>"Asks from"</dt>
                    <dd>{place(&view)}</dd>
                </div>
                <div>
                    <dt>"Describes itself as"</dt>
                    <dd>{view.asked.user_agent.clone().unwrap_or_else(|| "nothing".to_owned())}</dd>
                </div>
                <div>
                    <dt>"May"</dt>
                    <dd>{may(&view)}</dd>
                </div>
                <div>
                    <dt>"Began"</dt>
                    <dd>{part(move || words::ago(app.now.get().since(begun)))}</dd>
                </div>
            </dl>
            <div class="note warn">
                {icon(icon::WARNING)}
                <div>
                    <p>
                        "Approve only what you have just begun yourself, with the same code in front of you. If somebody sent you here, deny it."
                    </p>
                </div>
            </div>
            <div class="buttons">
                <button
                    type="button"
                    class="primary"
                    disabled=value(move || busy.get())
                    on:click=on(move |_| decide("/api/auth/device/approve"))
                >
                    "The code is the same: approve"
                </button>
                <button
                    type="button"
                    class="danger"
                    disabled=value(move || busy.get())
                    on:click=on(move |_| decide("/api/auth/device/deny"))
                >
                    "Deny"
                </button>
            </div>
        </section>
    }
}

fn place(view: &DeviceView) -> String {
    let parts = [view.asked.address.clone(), view.asked.place.clone()];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return "an address that is not known".to_owned();
    }
    parts.join(" \u{b7} ")
}

fn may(view: &DeviceView) -> String {
    match &view.asked.scopes {
        None => "do everything that you may".to_owned(),
        Some(scopes) => scopes
            .iter()
            .map(words::scope)
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// What became of it: a heading and what to do.
const fn said(state: DeviceState) -> (&'static str, &'static str) {
    match state {
        DeviceState::Pending => ("It waits", "Nobody has decided yet."),
        DeviceState::Approved => (
            "Approved",
            "The program is signed in with its next question, in a few seconds. You can close this page.",
        ),
        DeviceState::Redeemed => (
            "Signed in",
            "The program has its session. You can end it in Settings.",
        ),
        DeviceState::Denied => ("Denied", "The program is told so. Nothing was opened."),
        DeviceState::Expired => (
            "This code has expired",
            "Start again where you began: the program shows a new one.",
        ),
    }
}

fn outcome(view: &DeviceView) -> impl IntoView + use<> {
    let (heading, words) = said(view.state);
    view! {
        <section class="panel" aria-labelledby="outcome">
            <h2 id="outcome">{heading}</h2>
            <p>{words}</p>
            <p class="muted small">
                "Code " <code>{view.user_code.to_string()}</code> ", "
                <q>{view.asked.client_id.clone()}</q>
            </p>
            <p class="buttons">
                <a class="button" href="/settings">
                    "Your sessions"
                </a>
            </p>
        </section>
    }
}
