//! Who came and waits to be let in: for administrators, where new people need their approval.

use crate::settings::since;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::access::wire::{ChangePerson, PersonList, PersonView};
use sam_web_parts::api;
use sam_web_parts::dynamic::{on, part};
use sam_web_parts::loaded::{cards, reading, shown};
use sam_web_parts::surroundings::surroundings;

/// The people who wait, each with both answers.
#[component]
pub(crate) fn Waiting() -> impl IntoView {
    let around = surroundings();
    let (people, read) = reading(async || {
        let mut list = api::get::<PersonList>("/api/people").await?;
        list.people.retain(|person| person.waits_since.is_some());
        Ok(list)
    });
    let decide = move |person: PersonView, lets_in: bool| {
        spawn_local(async move {
            around.trouble.set(None);
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
                Ok(()) => around.said.set(match lets_in {
                    true => format!("{} may come in", person.name),
                    false => format!("{} was refused", person.name),
                }),
                Err(trouble) => around.failed(trouble),
            }
            read.run();
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
                        "came " {part(move || since(around.now.get().since(came)))}
                    </p>
                </div>
                {button("Let in", "primary", true)}
                {button("Refuse", "danger", false)}
            </li>
        }
        .into_any()
    };
    view! {
        <section class="panel" aria-labelledby="waiting">
            <h2 id="waiting">"Who waits to be let in"</h2>
            {shown(people, 2, move |list| cards(&list.people, "Nobody.", card))}
        </section>
    }
}
