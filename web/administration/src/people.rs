//! Everybody of the installation: what they may do, whether they may come in, what they may spend;
//! and the invites that are open.

use crate::budget::{LimitsForm, standing};
use crate::field::{change, choose, field};
use crate::settings::since;
use crate::waiting::Waiting;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::access::wire::{
    ChangePerson, CreateInvite, CreatedInvite, InviteList, InviteView, PersonList, PersonView, Role,
};
use sam_domain::budget::wire::BudgetView;
use sam_domain::id::UserId;
use sam_web_parts::api::{self, Trouble};
use sam_web_parts::dynamic::{on, part, value};
use sam_web_parts::loaded::{Again, cards, reading, shown};
use sam_web_parts::part::{Copyable, trouble_note};
use sam_web_parts::surroundings::surroundings;
use sam_web_parts::{browser, words};

/// The page at `/people`.
#[component]
pub(crate) fn People() -> impl IntoView {
    let (people, read) = reading(|| api::get::<PersonList>("/api/people"));
    let open = RwSignal::new(None::<(UserId, Part)>);
    view! {
        <Waiting />
        <section class="panel" aria-labelledby="people">
            <h2 id="people">"People"</h2>
            {shown(people, 3, move |list| {
                let settled: Vec<_> = list
                    .people
                    .iter()
                    .filter(|person| person.waits_since.is_none())
                    .cloned()
                    .collect();
                cards(&settled, "Nobody.", |person| card(person, open, read))
            })}
        </section>
        <Invites />
    }
}

/// What of a person is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Budget,
    Removal,
}

const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

fn role_of(word: &str) -> Role {
    match word {
        "admin" => Role::Admin,
        _ => Role::Member,
    }
}

/// The choice between the roles.
fn roles(held: Role) -> impl IntoView {
    [
        (Role::Member, "uses the installation"),
        (Role::Admin, "runs the installation"),
    ]
    .map(|(role, words)| {
        view! {
            <option value=role_word(role) selected=role == held>
                {words}
            </option>
        }
    })
}

fn card(person: &PersonView, open: RwSignal<Option<(UserId, Part)>>, read: Again) -> AnyView {
    let now = surroundings().now;
    let (id, name, role) = (person.id.clone(), person.name.clone(), person.role);
    let path = format!("/api/people/{id}");
    let came = person.created_at;
    let suspended = person.suspended_at.is_some();
    let out = person
        .suspended_at
        .map(|at| format!("shut out since {} \u{b7} ", browser::exact(at)));
    let list = format!("role-{id}");
    let place = path.clone();
    let chosen = move |event| {
        let body = ChangePerson {
            role: Some(role_of(&event_target_value(&event))),
            ..ChangePerson::default()
        };
        choose(
            &event,
            role_word(role).to_owned(),
            Method::Patch,
            place.clone(),
            &body,
            read,
        );
    };
    let place = path.clone();
    let suspend = move |_| {
        let body = ChangePerson {
            suspended: Some(!suspended),
            ..ChangePerson::default()
        };
        let said = if suspended { "Let back in" } else { "Shut out" };
        change(said, Method::Patch, place.clone(), Some(&body), read);
    };
    let toggle = |part: Part, word: &'static str, class: &'static str| {
        let whole = (id.clone(), part);
        let own = whole.clone();
        let is_open = move || open.with(|open| open.as_ref() == Some(&own)).to_string();
        let toggle = move |_| {
            open.update(|open| {
                *open = (open.as_ref() != Some(&whole)).then(|| whole.clone());
            });
        };
        view! {
            <button type="button" class=class aria-expanded=value(is_open) on:click=on(toggle)>
                {word}
                <span class="sr-only">" " {name.clone()}</span>
            </button>
        }
    };
    let own = id.clone();
    let opened = Memo::new(move |_| {
        open.with(|open| {
            let open = open.as_ref().filter(|(id, _)| *id == own);
            open.map(|(_, part)| *part)
        })
    });
    let below = {
        let (id, name) = (id.clone(), name.clone());
        part(move || match opened.get() {
            None => ().into_any(),
            Some(Part::Budget) => allowance(&id),
            Some(Part::Removal) => removal(name.clone(), path.clone(), read),
        })
    };
    view! {
        <li class="setting">
            <div>
                <label class="name" for=list.clone()>
                    {name.clone()}
                </label>
                <p class="muted small">
                    {out} "came " {part(move || since(now.get().since(came)))}
                </p>
            </div>
            <select id=list on:change=on(chosen)>
                {roles(role)}
            </select>
            <span class="buttons">
                {toggle(Part::Budget, "Budget", "")}
                <button type="button" on:click=on(suspend)>
                    {if suspended { "Let back in" } else { "Shut out" }}
                    <span class="sr-only">" " {name.clone()}</span>
                </button>
                {toggle(Part::Removal, "Remove", "danger")}
            </span>
            {below}
        </li>
    }
    .into_any()
}

/// What a person spent, and what they are allowed.
fn allowance(id: &UserId) -> AnyView {
    let path = format!("/api/admin/budgets/{id}");
    let place = StoredValue::new(path.clone());
    let (budget, _) = reading(move || async move {
        api::get::<BudgetView>(&place.try_get_value().unwrap_or_default()).await
    });
    view! {
        <div class="wide stack">
            {shown(budget, 2, standing)} <LimitsForm budget path allowance=true />
        </div>
    }
    .into_any()
}

fn removal(name: String, path: String, read: Again) -> AnyView {
    let remove = move |_| change("Removed", Method::Delete, path.clone(), None::<&()>, read);
    view! {
        <div class="wide note warn">
            <div class="stack">
                <p>
                    {name.clone()}
                    " loses access for good; what they wrote stays. Their keys, tokens and machines' access go."
                </p>
                <div>
                    <button type="button" class="danger" on:click=on(remove)>
                        "Remove " {name} " for good"
                    </button>
                </div>
            </div>
        </div>
    }
    .into_any()
}

/// The invites that are open, and a form for another one.
#[component]
fn Invites() -> impl IntoView {
    let now = surroundings().now;
    let (invites, read) = reading(|| api::get::<InviteList>("/api/people/invites"));
    let note = RwSignal::new(String::new());
    let role = RwSignal::new(Role::Member);
    let fresh = RwSignal::new(None::<CreatedInvite>);
    let trouble = RwSignal::new(None::<Trouble>);
    let busy = RwSignal::new(false);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let typed = note.get_untracked().trim().to_owned();
        let request = CreateInvite {
            role: Some(role.get_untracked()),
            note: (!typed.is_empty()).then_some(typed),
        };
        busy.set(true);
        spawn_local(async move {
            let answer = api::post::<_, CreatedInvite>("/api/people/invites", &request).await;
            busy.set(false);
            trouble.set(None);
            match answer {
                Ok(made) => {
                    note.set(String::new());
                    fresh.set(Some(made));
                    read.run();
                }
                Err(refused) => trouble.set(Some(refused)),
            }
        });
    };
    let draw = move |invite: &InviteView| {
        let path = format!("/api/people/invites/{}", invite.id);
        let revoke = move |_| {
            change(
                "Taken back",
                Method::Delete,
                path.clone(),
                None::<&()>,
                read,
            )
        };
        let of = invite.note.clone().unwrap_or_else(|| "somebody".to_owned());
        let expires_at = invite.expires_at;
        view! {
            <li class="setting">
                <div>
                    <p class="name">{of.clone()}</p>
                    <p class="muted small">
                        {role_word(invite.role)} " \u{b7} works for another "
                        {part(move || words::until(expires_at.since(now.get())))}
                    </p>
                </div>
                <button type="button" class="danger" on:click=on(revoke)>
                    "Take back"
                    <span class="sr-only">" the invite for " {of}</span>
                </button>
            </li>
        }
        .into_any()
    };
    let once = move || {
        fresh.get().map(|made| {
            view! {
                <div class="note question" role="status">
                    <div>
                        <p>"Send this link to the one you invite. It is shown once and works once."</p>
                        <p>
                            <Copyable text=made.url.clone() shown=made.url.clone() what="invite" />
                        </p>
                    </div>
                </div>
            }
        })
    };
    view! {
        <section class="panel" aria-labelledby="invites">
            <h2 id="invites">"Invites"</h2>
            {shown(invites, 1, move |list| cards(&list.invites, "None is open.", draw))}
            {part(once)}
            <form class="stack" on:submit=submit>
                <div class="fields">
                    {field("invite-note", "For whom", "text", note)}
                    <div class="labelled">
                        <label for="invite-role">"As one who"</label>
                        <select
                            id="invite-role"
                            on:change=on(move |event| {
                                role.set(role_of(&event_target_value(&event)));
                            })
                        >
                            {roles(Role::Member)}
                        </select>
                    </div>
                </div>
                <div>
                    <button type="submit" class="primary" disabled=value(move || busy.get())>
                        "Make an invite"
                    </button>
                </div>
                {part(move || trouble.get().map(|it| trouble_note(&it)))}
            </form>
        </section>
    }
}
