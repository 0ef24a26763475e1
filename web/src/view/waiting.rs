//! Who came and waits to be let in: for administrators, where new people need their approval.

use crate::api;
use crate::state::{Loaded, app};
use crate::view::dynamic::{on, part};
use crate::view::settings::{items, since};
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::access::wire::{ChangePerson, PersonList, PersonView};

/// The people who wait, each with both answers.
#[component]
pub(crate) fn Waiting() -> impl IntoView {
    let app = app();
    let people = RwSignal::new(Loaded::<Vec<PersonView>>::Loading);
    let read = move || {
        spawn_local(async move {
            let answer = api::get::<PersonList>("/api/people").await;
            people.set(match answer {
                Ok(mut list) => {
                    list.people.retain(|person| person.waits_since.is_some());
                    Loaded::Here(list.people)
                }
                Err(trouble) => Loaded::Failed(trouble),
            });
        });
    };
    read();
    let decide = move |person: PersonView, lets_in: bool| {
        spawn_local(async move {
            app.trouble.set(None);
            let path = format!("/api/people/{}", person.id);
            let answer = if lets_in {
                let change = ChangePerson {
                    suspended: Some(false),
                    ..ChangePerson::default()
                };
                api::change(&path, &change).await
            } else {
                api::act(Method::Delete, &path).await
            };
            match answer {
                Ok(()) => app.said.set(match lets_in {
                    true => format!("{} may come in", person.name),
                    false => format!("{} was refused", person.name),
                }),
                Err(trouble) => app.failed(trouble),
            }
            read();
        });
    };
    let card = move |person: &PersonView| {
        let came = person.waits_since.unwrap_or(person.created_at);
        let name = person.name.clone();
        let button = |word: &'static str, class: &'static str, lets_in: bool| {
            let whole = person.clone();
            view! {
                <button type="button" class=class on:click=on(move |_| decide(whole.clone(), lets_in))>
                    {word}
                    <span class="sr-only">" " {person.name.clone()}</span>
                </button>
            }
        };
        view! {
            <li class="setting">
                <div>
                    <p class="name">{name}</p>
                    <p class="muted small">
                        "came " {part(move || since(app.now.get().since(came)))}
                    </p>
                </div>
                {button("Let in", "primary", true)}
                {button("Refuse", "danger", false)}
            </li>
        }
    };
    view! {
        <section class="panel" aria-labelledby="waiting">
            <h2 id="waiting">"Who waits to be let in"</h2>
            {items(people, "Nobody.", card)}
        </section>
    }
}
