//! One's own settings: API tokens, and where one is signed in. Administrators see who waits for them.

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
use sam_web_parts::api::{self, Trouble};
use sam_web_parts::dynamic::{Show, Views, on, part, value};
use sam_web_parts::loaded::{Again, Loaded, cards, reading, shown};
use sam_web_parts::part::{Copyable, trouble_note};
use sam_web_parts::surroundings::surroundings;
use sam_web_parts::{browser, words};

/// The page at `/settings`.
#[component]
pub(crate) fn Settings() -> impl IntoView {
    view! {
        <ApiTokens />
        <Sessions />
    }
}

#[component]
fn ApiTokens() -> impl IntoView {
    let around = surroundings();
    let (tokens, read) = reading(|| api::get::<ApiTokenList>("/api/auth/tokens"));
    let revoke = move |token: ApiTokenView| {
        spawn_local(async move {
            around.trouble.set(None);
            match api::act(Method::Delete, &format!("/api/auth/tokens/{}", token.id)).await {
                Ok(()) => around.said.set(format!("{} is revoked", token.name)),
                Err(trouble) => around.failed(trouble),
            }
            read.run();
        });
    };
    view! {
        <section class="panel" aria-labelledby="api-tokens">
            <h2 id="api-tokens">"API tokens"</h2>
            <p class="muted">
                "For scripts and machines that cannot sign in as you do. Use one as "
                <code>"SAM_API_TOKEN"</code> ", or as a bearer token."
            </p>
            {shown(tokens, 2, move |list| {
                cards(&list.tokens, "You have none.", |token| token_card(token, around.now, revoke))
            })}
            <NewToken made=read />
        </section>
    }
}

fn token_card<Revoke: Fn(ApiTokenView) + Copy + Send + 'static>(
    token: &ApiTokenView,
    now: RwSignal<Timestamp>,
    revoke: Revoke,
) -> AnyView {
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
    .into_any()
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
    made: Again,
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
                    made.run();
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
                    <span class="muted">" " {words::scope(scope)}</span>
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
    let around = surroundings();
    let (sessions, read) = reading(|| api::get::<AuthSessionList>("/api/auth/sessions"));
    let end = move |path: String| {
        spawn_local(async move {
            around.trouble.set(None);
            match api::act(Method::Delete, &path).await {
                Ok(()) => around.said.set("Ended".to_owned()),
                Err(trouble) => around.failed(trouble),
            }
            read.run();
        });
    };
    let has_others = move || {
        sessions.with(
            |loaded| matches!(loaded, Loaded::Here(list) if list.sessions.iter().any(|one| !one.current)),
        )
    };
    view! {
        <section class="panel" aria-labelledby="sessions">
            <h2 id="sessions">"Where you are signed in"</h2>
            {shown(sessions, 2, move |list| {
                cards(&list.sessions, "Nowhere.", |session| session_card(session, around.now, end))
            })}
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
) -> AnyView {
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
    .into_any()
}

/// How long ago something was, as a phrase.
pub(crate) fn since(time: Millis) -> String {
    match words::ago(time) {
        ago if ago == "now" => "just now".to_owned(),
        ago => format!("{ago} ago"),
    }
}
