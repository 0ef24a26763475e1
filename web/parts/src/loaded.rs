//! What is read over HTTP, as it is drawn.

use crate::api::{Answer, Trouble};
use crate::dynamic::{Views, part};
use crate::part::{skeleton, trouble_note};
use leptos::prelude::*;
use leptos::task::spawn_local;

/// Something that is read over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded<T> {
    /// Not yet.
    Loading,
    /// Read.
    Here(T),
    /// Not to be had.
    Failed(Trouble),
}

impl<T> From<Answer<T>> for Loaded<T> {
    fn from(answer: Answer<T>) -> Self {
        match answer {
            Ok(here) => Self::Here(here),
            Err(trouble) => Self::Failed(trouble),
        }
    }
}

/// Something that can be done again and again, of one type whatever it does.
#[derive(Clone, Copy)]
pub struct Again(Callback<()>);

impl Again {
    /// Does this.
    pub fn new(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Callback::new(move |()| act()))
    }

    /// Does it, unless the view that it belongs to is gone.
    pub fn run(self) {
        let _ = self.0.try_run(());
    }
}

/// A place for what is read, and how it is read into it: at once, and whenever it is done again.
pub fn reading<T, F>(
    read: impl Fn() -> F + Copy + Send + Sync + 'static,
) -> (RwSignal<Loaded<T>>, Again)
where
    T: Send + Sync + 'static,
    F: Future<Output = Answer<T>> + 'static,
{
    let loaded = RwSignal::new(Loaded::Loading);
    let again = Again::new(move || {
        spawn_local(async move {
            let answer = read().await;
            // The view may have been left meanwhile.
            let _ = loaded.try_set(answer.into());
        });
    });
    again.run();
    (loaded, again)
}

/// What stands in the place of something: bones, the thing, or why it is not there.
pub fn shown<T: Send + Sync + 'static>(
    loaded: RwSignal<Loaded<T>>,
    lines: usize,
    mut draw: impl FnMut(&T) -> AnyView + Send + 'static,
) -> impl IntoView {
    part(move || {
        loaded.with(|loaded| match loaded {
            Loaded::Loading => skeleton(lines).into_any(),
            Loaded::Failed(trouble) => trouble_note(trouble).into_any(),
            Loaded::Here(here) => draw(here),
        })
    })
}

/// A list as cards, or words where it is empty.
pub fn cards<T>(list: &[T], none: &'static str, draw: impl FnMut(&T) -> AnyView) -> AnyView {
    if list.is_empty() {
        return view! { <p class="muted">{none}</p> }.into_any();
    }
    let rows = list.iter().map(draw).views();
    view! { <ul class="cards">{rows}</ul> }.into_any()
}
