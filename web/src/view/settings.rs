//! One's own settings: API tokens, and where one is signed in. Administrators see who waits for them.

use crate::api::{self, Trouble};
use crate::browser;
use crate::state::{Loaded, app};
use crate::text::words;
use crate::view::device::meaning;
use crate::view::dynamic::{Show, Views, on, part, value};
use crate::view::part::{Copyable, skeleton, trouble_note};
use crate::view::waiting::Waiting;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::access::tokens::{
    ApiTokenList, ApiTokenView, AuthSessionList, AuthSessionView, CreateApiToken, CreatedApiToken,
    Scope,
};
use sam_domain::id::Id;
use sam_domain::time::{Millis, Timestamp};

/// The page at `/settings`.
#[component]
pub(crate) fn Settings() -> impl IntoView {
    let app = app();
    view! {
        <div class="page">
            <header class="page-head">
                <h1 tabindex="-1">"Settings"</h1>
            </header>
            <Show when=move || app.is_admin()>
                <Waiting />
            </Show>
            <ApiTokens />
            <Sessions />
        </div>
    }
}

/// A list of things that can be ended one by one.
pub(crate) fn items<T: Clone + Send + Sync + 'static, V: IntoView + 'static>(
    loaded: RwSignal<Loaded<Vec<T>>>,
    none: &'static str,
    draw: impl Fn(&T) -> V + Copy + Send + Sync + 'static,
) -> impl IntoView {
    part(move || {
        loaded.with(|loaded| match loaded {
            Loaded::Loading => skeleton(2).into_any(),
            Loaded::Failed(trouble) => trouble_note(trouble).into_any(),
            Loaded::Here(list) if list.is_empty() => {
                view! { <p class="muted">{none}</p> }.into_any()
            }
            Loaded::Here(list) => {
                let rows = list.iter().map(draw).views();
                view! { <ul class="cards">{rows}</ul> }.into_any()
            }
        })
    })
}

#[component]
fn ApiTokens() -> impl IntoView {
    let app = app();
    let tokens = RwSignal::new(Loaded::<Vec<ApiTokenView>>::Loading);
    let read = move || {
        spawn_local(async move {
            let answer = api::get::<ApiTokenList>("/api/auth/tokens").await;
            tokens.set(match answer {
                Ok(list) => Loaded::Here(list.tokens),
                Err(trouble) => Loaded::Failed(trouble),
            });
        });
    };
    read();
    let revoke = move |token: ApiTokenView| {
        spawn_local(async move {
            app.trouble.set(None);
            match api::act(Method::Delete, &format!("/api/auth/tokens/{}", token.id)).await {
                Ok(()) => app.said.set(format!("{} is revoked", token.name)),
                Err(trouble) => app.failed(trouble),
            }
            read();
        });
    };
    view! {
        <section class="panel" aria-labelledby="api-tokens">
            <h2 id="api-tokens">"API tokens"</h2>
            <p class="muted">
                "For scripts and machines that cannot sign in as you do. Use one as "
                <code>"SAM_API_TOKEN"</code> ", or as a bearer token."
            </p>
            {items(
                tokens,
                "You have none.",
                move |token: &ApiTokenView| token_card(token, app.now, revoke),
            )}
            <NewToken made=read />
        </section>
    }
}

fn token_card<Revoke: Fn(ApiTokenView) + Copy + Send + 'static>(
    token: &ApiTokenView,
    now: RwSignal<Timestamp>,
    revoke: Revoke,
) -> impl IntoView + use<Revoke> {
    let whole = token.clone();
    let used = token.last_used_at;
    let used = move || match used {
        Some(at) => format!("used {}", since(now.get().since(at))),
        None => "never used".to_owned(),
    };
    let ends = match token.expires_at {
        Some(at) => format!("ends {}", browser::exact(at)),
        None => "never ends".to_owned(),
    };
    view! {
        <li class="setting">
            <div>
                <p class="name">{token.name.clone()}</p>
                <p class="muted small">
                    <code>{token.scopes.to_string()}</code> " \u{b7} " {used} " \u{b7} " {ends}
                    " \u{b7} \u{2026}" <code title=token.id.to_string()>{token.id.short().to_owned()}</code>
                </p>
            </div>
            <button type="button" class="danger" on:click=on(move |_| revoke(whole.clone()))>
                "Revoke"
                <span class="sr-only">" " {token.name.clone()}</span>
            </button>
        </li>
    }
}

/// For how many days a new token may last.
const LIFETIMES: [(&str, Option<u32>); 4] = [
    ("30 days", Some(30)),
    ("90 days", Some(90)),
    ("a year", Some(365)),
    ("no end", None),
];

#[component]
fn NewToken(
    /// Called once there is another one.
    made: impl Fn() + Copy + Send + 'static,
) -> impl IntoView {
    let name = RwSignal::new(String::new());
    let scopes = RwSignal::new(vec![Scope::Read, Scope::Write]);
    let lifetime = RwSignal::new(0_usize);
    let busy = RwSignal::new(false);
    let trouble = RwSignal::new(None::<Trouble>);
    let fresh = RwSignal::new(None::<CreatedApiToken>);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let request = CreateApiToken {
            name: name.get_untracked().trim().to_owned(),
            scopes: Some(scopes.get_untracked().into_iter().collect()),
            expires_in_days: LIFETIMES
                .get(lifetime.get_untracked())
                .and_then(|(_, days)| *days),
        };
        busy.set(true);
        trouble.set(None);
        spawn_local(async move {
            let answer = api::post::<_, CreatedApiToken>("/api/auth/tokens", &request).await;
            busy.set(false);
            match answer {
                Ok(created) => {
                    name.set(String::new());
                    fresh.set(Some(created));
                    made();
                }
                Err(refused) => trouble.set(Some(refused)),
            }
        });
    };
    let boxes = Scope::ALL.map(|scope| {
        view! {
            <label class="check">
                <input
                    type="checkbox"
                    prop:checked=value(move || scopes.with(|held| held.contains(&scope)))
                    on:change=on(move |event| {
                        let wanted = event_target_checked(&event);
                        scopes
                            .update(|held| {
                                held.retain(|one| *one != scope);
                                if wanted {
                                    held.push(scope);
                                }
                            });
                    })
                />
                <span>
                    <code>{scope.word()}</code>
                    <span class="muted">" " {meaning(scope)}</span>
                </span>
            </label>
        }
    });
    let lifetimes = LIFETIMES
        .iter()
        .enumerate()
        .map(|(at, (words, _))| view! { <option value=at.to_string()>{*words}</option> })
        .views();
    view! {
        {part(move || fresh.get().map(|created| shown_once(&created)))}
        <form class="stack" on:submit=submit>
            <label for="token-name">"What is the new token for?"</label>
            <input
                id="token-name"
                type="text"
                required
                autocomplete="off"
                maxlength="100"
                prop:value=value(move || name.get())
                on:input=on(move |event| name.set(event_target_value(&event)))
            />
            <fieldset class="stack">
                <legend>"It may"</legend>
                {boxes}
            </fieldset>
            <label for="token-lifetime">"It lasts"</label>
            <select
                id="token-lifetime"
                on:change=on(move |event| {
                    lifetime.set(event_target_value(&event).parse().unwrap_or_default());
                })
            >
                {lifetimes}
            </select>
            <div>
                <button type="submit" class="primary" disabled=value(move || busy.get())>
                    {part(move || if busy.get() { "Making it\u{2026}" } else { "Make a token" })}
                </button>
            </div>
        </form>
        {part(move || trouble.get().map(|t| trouble_note(&t)))}
    }
}

fn shown_once(created: &CreatedApiToken) -> impl IntoView + use<> {
    view! {
        <div class="note question" role="status">
            <div>
                <p>
                    "The token for " <strong>{created.view.name.clone()}</strong>
                    ". Copy it now: it is not shown again."
                </p>
                <p>
                    <Copyable
                        text=created.token.clone()
                        shown=created.token.clone()
                        what="API token"
                    />
                </p>
            </div>
        </div>
    }
}

#[component]
fn Sessions() -> impl IntoView {
    let app = app();
    let sessions = RwSignal::new(Loaded::<Vec<AuthSessionView>>::Loading);
    let read = move || {
        spawn_local(async move {
            let answer = api::get::<AuthSessionList>("/api/auth/sessions").await;
            sessions.set(match answer {
                Ok(list) => Loaded::Here(list.sessions),
                Err(trouble) => Loaded::Failed(trouble),
            });
        });
    };
    read();
    let end = move |path: String| {
        spawn_local(async move {
            app.trouble.set(None);
            match api::act(Method::Delete, &path).await {
                Ok(()) => app.said.set("Ended".to_owned()),
                Err(trouble) => app.failed(trouble),
            }
            read();
        });
    };
    let has_others = move || {
        sessions.with(
            |loaded| matches!(loaded, Loaded::Here(list) if list.iter().any(|one| !one.current)),
        )
    };
    view! {
        <section class="panel" aria-labelledby="sessions">
            <h2 id="sessions">"Where you are signed in"</h2>
            {items(
                sessions,
                "Nowhere.",
                move |session: &AuthSessionView| session_card(session, app.now, end),
            )}
            <Show when=has_others>
                <button
                    type="button"
                    class="danger"
                    on:click=on(move |_| end("/api/auth/sessions".to_owned()))
                >
                    "End all but this one"
                </button>
            </Show>
        </section>
    }
}

fn session_card<End: Fn(String) + Copy + Send + 'static>(
    session: &AuthSessionView,
    now: RwSignal<Timestamp>,
    end: End,
) -> impl IntoView + use<End> {
    let path = format!("/api/auth/sessions/{}", session.handle);
    let opened = session.created_at;
    let may = session
        .scopes
        .as_ref()
        .map(|scopes| format!("may {scopes} \u{b7} "));
    let action = if session.current {
        view! { <p class="muted">"this one"</p> }.into_any()
    } else {
        let client = session.client.clone();
        view! {
            <button type="button" class="danger" on:click=on(move |_| end(path.clone()))>
                "End"
                <span class="sr-only">" " {client}</span>
            </button>
        }
        .into_any()
    };
    view! {
        <li class="setting">
            <div>
                <p class="name">{session.client.clone()}</p>
                <p class="muted small">{session.user_agent.clone()}</p>
                <p class="muted small">
                    {may} "opened " {part(move || since(now.get().since(opened)))} " \u{b7} ends "
                    {browser::exact(session.expires_at)}
                </p>
            </div>
            {action}
        </li>
    }
}

/// How long ago something was, as a phrase.
pub(crate) fn since(time: Millis) -> String {
    match words::ago(time) {
        ago if ago == "now" => "just now".to_owned(),
        ago => format!("{ago} ago"),
    }
}
