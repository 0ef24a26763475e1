//! Before one is in: claiming the installation, coming with an invite, and signing in by link.

use crate::api::Trouble;
use crate::nav;
use crate::route::Route;
use crate::state::app;
use crate::view::dynamic::{Show, on, part, value};
use crate::view::icon::{self, icon};
use crate::view::part::{Scripted, trouble_note};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::wire::{ClaimSetup, InviteLogin};

/// The start of a sign-in link's secret.
const LINK_PREFIX: &str = "sam_lnk_";

/// The page that redeems a sign-in link.
#[component]
pub(crate) fn SignIn() -> impl IntoView {
    let app = app();
    let link = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let trouble = RwSignal::new(None::<Trouble>);
    let redeem = move |secret: String| {
        busy.set(true);
        trouble.set(None);
        spawn_local(async move {
            let answer = app.redeem(secret).await;
            busy.set(false);
            if let Err(refused) = answer {
                trouble.set(Some(refused));
            }
        });
    };
    // The secret leaves the address bar before it is used.
    if let Some(secret) =
        nav::take_fragment().filter(|_| app.route.with_untracked(|r| *r == Route::SignIn))
    {
        redeem(secret);
    }
    let ended = app
        .ended
        .get_untracked()
        .then(|| "session_ended".to_owned());
    let refused = nav::query("refused").or(ended);
    let github = move || {
        let back = match app.route.get() {
            Route::SignIn => "/".to_owned(),
            _ => nav::address(),
        };
        let back = String::from(js_sys::encode_uri_component(&back));
        format!("/api/auth/github/start?back={back}")
    };
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let given = link.get_untracked();
        // The whole link or its secret alone.
        let secret = given
            .rsplit('#')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        if secret.starts_with(LINK_PREFIX) {
            redeem(secret);
        } else {
            trouble.set(Some(Trouble::Refused(
                sam_domain::error::ApiError::bad_request("This is not a sign-in link.")
                    .hint("A link looks like \u{2026}/sign-in#sam_lnk_\u{2026}"),
            )));
        }
    };
    view! {
        <main class="alone">
            <div class="card">
                <Brand />
                <h1>"Sign in"</h1>
                {refused.map(|word| trouble_note(&refusal(&word)))}
                <Show when=move || app.has_github()>
                    <a class="button primary" target="_self" href=github>
                        "Sign in with GitHub"
                    </a>
                </Show>
                <p>
                    "Open a sign-in link. The program that started this control plane prints one; whoever is signed in can make another. A link works once, for 15 minutes."
                </p>
                <form class="stack" on:submit=submit>
                    <label for="link">"Sign-in link"</label>
                    <input
                        id="link"
                        type="text"
                        autocomplete="off"
                        spellcheck="false"
                        placeholder="\u{2026}/sign-in#sam_lnk_\u{2026}"
                        required
                        prop:value=value(move || link.get())
                        on:input=on(move |event| link.set(event_target_value(&event)))
                    />
                    <button type="submit" class="primary" disabled=value(move || busy.get())>
                        {part(move || if busy.get() { "Signing in\u{2026}" } else { "Sign in" })}
                    </button>
                </form>
                {part(move || trouble.get().map(|t| trouble_note(&t)))}
            </div>
        </main>
    }
}

/// Why one has to sign in, or could not with GitHub, by its word.
fn refusal(word: &str) -> Trouble {
    let (message, hint) = match word {
        "session_ended" => (
            "Your session is over.",
            "It expired, or was ended elsewhere. Sign in again.",
        ),
        "not_invited" => (
            "Nobody here knows this GitHub account.",
            "Ask for an invite. Once you are in, signing in with GitHub links the account.",
        ),
        "waits_for_approval" => (
            "An administrator has to let you in first.",
            "Tell them; then sign in with GitHub again.",
        ),
        "account_shut_out" => (
            "This account may not come in.",
            "It waits for an administrator, was suspended, or was removed.",
        ),
        "github_said_no" => (
            "GitHub did not confirm who you are.",
            "Try again, and say yes there.",
        ),
        "sign_in_not_begun_here" => (
            "This sign-in was not begun in this browser, or took too long.",
            "Begin again here.",
        ),
        _ => ("Signing in with GitHub failed.", "Try again in a moment."),
    };
    Trouble::Refused(sam_domain::error::ApiError::new(403, word, message).hint(hint))
}

/// A way in for who is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// With the claim token, as the first admin.
    Claim,
    /// With an invite.
    Invite,
}

impl Entrance {
    /// The heading, what it is about, what the secret is called, and what the button says.
    const fn words(self) -> [&'static str; 4] {
        match self {
            Self::Claim => [
                "Claim this installation",
                "Nobody runs it yet. Whoever holds the claim token becomes its admin. The token is in the output of the program that started this control plane, and works once.",
                "Claim token",
                "Claim and sign in",
            ],
            Self::Invite => [
                "You are invited",
                "Say what the others shall call you. An invite lets one person in, once, within a week.",
                "Invite",
                "Come in",
            ],
        }
    }
}

/// The page on which somebody becomes known.
#[component]
pub(crate) fn Enter(by: Entrance) -> impl IntoView {
    let app = app();
    let page = match by {
        Entrance::Claim => Route::Claim,
        Entrance::Invite => Route::Invite,
    };
    let fragment = nav::take_fragment().filter(|_| app.route.with_untracked(|r| *r == page));
    let secret = RwSignal::new(fragment.unwrap_or_default());
    let name = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let trouble = RwSignal::new(None::<Trouble>);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let typed = name.get_untracked().trim().to_owned();
        // The whole address or its secret alone.
        let given = secret.get_untracked();
        let given = given
            .rsplit('#')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        busy.set(true);
        trouble.set(None);
        spawn_local(async move {
            let answer = match by {
                Entrance::Claim => {
                    let claim = ClaimSetup {
                        claim_token: given,
                        name: (!typed.is_empty()).then_some(typed),
                    };
                    app.claim(claim).await
                }
                Entrance::Invite => {
                    let invite = InviteLogin {
                        invite: given,
                        name: typed,
                    };
                    app.come(invite).await
                }
            };
            busy.set(false);
            if let Err(refused) = answer {
                trouble.set(Some(refused));
            }
        });
    };
    let [heading, about, what, go] = by.words();
    let is_claim = by == Entrance::Claim;
    view! {
        <main class="alone">
            <div class="card">
                <Brand />
                <h1>{heading}</h1>
                <p>{about}</p>
                <form class="stack" on:submit=submit>
                    <label for="token">{what}</label>
                    <input
                        id="token"
                        type="password"
                        autocomplete="off"
                        required
                        prop:value=value(move || secret.get())
                        on:input=on(move |event| secret.set(event_target_value(&event)))
                    />
                    <label for="name">
                        "Your name " {is_claim.then(|| view! { <span class="muted">"(optional)"</span> })}
                    </label>
                    <input
                        id="name"
                        type="text"
                        autocomplete="name"
                        placeholder=is_claim.then_some("admin")
                        required=!is_claim
                        prop:value=value(move || name.get())
                        on:input=on(move |event| name.set(event_target_value(&event)))
                    />
                    <button type="submit" class="primary" disabled=value(move || busy.get())>
                        {part(move || if busy.get() { "One moment\u{2026}" } else { go })}
                    </button>
                </form>
                {part(move || trouble.get().map(|t| trouble_note(&t)))}
                <p class="muted">
                    "Already known here? " <a href="/sign-in">"Sign in with a link"</a>
                </p>
            </div>
        </main>
    }
}

#[component]
fn Brand() -> impl IntoView {
    view! {
        <p class="brand">
            <span class="mark">{icon(icon::MARK)}</span>
            <span>"SAM"</span>
            <Scripted />
        </p>
    }
}
