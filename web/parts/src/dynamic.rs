//! What a view computes anew whenever something it read has changed.
//!
//! The framework compiles its machinery once for each type, and every closure is
//! a type of its own: kilobytes each, in what people wait for first. So views
//! put their closures into a box of one of these few types. A helper is generic
//! only as far as the box.

use leptos::prelude::*;

/// A part of a view, drawn again as a whole.
pub fn part<V: IntoAny>(
    mut draw: impl FnMut() -> V + Send + 'static,
) -> Box<dyn FnMut() -> AnyView + Send> {
    Box::new(move || draw().into_any())
}

/// Many views of one kind, of the one type that their list is compiled for.
pub trait Views: Iterator + Sized {
    /// The views.
    fn views(self) -> Vec<AnyView>
    where
        Self::Item: IntoAny,
    {
        self.map(IntoAny::into_any).collect()
    }
}

impl<I: Iterator> Views for I {}

/// The value of an attribute or a property.
pub fn value<T>(compute: impl FnMut() -> T + Send + 'static) -> Box<dyn FnMut() -> T + Send> {
    Box::new(compute)
}

/// What happens at an event.
pub fn on<E>(act: impl FnMut(E) + 'static) -> Box<dyn FnMut(E)> {
    Box::new(act)
}

/// Its children while `when` holds, else `fallback`; drawn again only when that changes.
#[component]
pub fn Show<W>(
    /// Whether it holds.
    when: W,
    /// What is drawn while it holds.
    children: ChildrenFn,
    /// What is drawn while it does not.
    #[prop(optional, into)]
    fallback: ViewFn,
) -> impl IntoView
where
    W: Fn() -> bool + Send + Sync + 'static,
{
    either(Box::new(when), children, fallback)
}

fn either(
    when: Box<dyn Fn() -> bool + Send + Sync>,
    children: ChildrenFn,
    fallback: ViewFn,
) -> AnyView {
    let when = Memo::new(move |_| when());
    part(move || {
        if when.get() {
            children()
        } else {
            fallback.run()
        }
    })
    .into_any()
}
