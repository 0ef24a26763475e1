//! The pages for settings, usage, models and setup: a module of its own, fetched
//! with the first of them. Here is only the place that it draws into.
//!
//! The address, the rail, the keys, the title and who is signed in stay with this
//! module; links that the other one draws are followed here. When an answer to it
//! is that nobody is signed in, it says so by an event.

use crate::browser;
use crate::state::app;
use crate::view::dynamic::{on, part};
use crate::view::part::{blank, skeleton};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_web_parts::page::{Page, SIGNED_OUT};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// What the start script defines: fetches the module.
    #[wasm_bindgen(js_name = samAdministration, catch)]
    async fn fetch_module() -> Result<JsValue, JsValue>;

    /// What the module exports.
    type Exports;
    /// Draws a page into a place.
    #[wasm_bindgen(method, catch)]
    fn mount(
        this: &Exports,
        place: &web_sys::HtmlElement,
        page: &str,
        administrator: bool,
    ) -> Result<Mounted, JsValue>;

    /// A page that is drawn.
    type Mounted;
    /// Takes it away.
    #[wasm_bindgen(method)]
    fn free(this: &Mounted);
}

/// A page of the module, until it is here a sketch of one.
#[component]
pub(crate) fn Administration(
    /// Which one.
    page: Page,
) -> impl IntoView {
    let app = app();
    let place = NodeRef::<html::Div>::new();
    let failed = RwSignal::new(false);
    let here = RwSignal::new(false);
    let mounted = StoredValue::new_local(None::<Mounted>);
    Effect::new(move |_| {
        spawn_local(async move {
            let module = fetch_module().await;
            // The page may have been left meanwhile.
            let Some(Some(element)) = place.try_get_untracked() else {
                return;
            };
            let drawn = module.and_then(|module| {
                let administrator = untrack(|| app.is_admin());
                module
                    .unchecked_into::<Exports>()
                    .mount(&element, page.word(), administrator)
            });
            match drawn {
                Ok(drawn) => {
                    mounted.set_value(Some(drawn));
                    here.set(true);
                    if app.heading_due.get_untracked() {
                        app.heading_due.set(!browser::focus(".pane h1"));
                    }
                }
                Err(_) => failed.set(true),
            }
        });
    });
    let ended = window_event_listener(
        leptos::ev::Custom::<web_sys::Event>::new(SIGNED_OUT),
        move |_| app.session_ended(),
    );
    on_cleanup(move || {
        ended.remove();
        mounted.update_value(|mounted| {
            if let Some(mounted) = mounted.take() {
                mounted.free();
            }
        });
    });
    view! {
        {part(move || {
            if failed.get() {
                blank(
                        "This page could not be fetched",
                        "The connection may be down, or a newer version is here.",
                        view! {
                            <button
                                type="button"
                                class="primary"
                                on:click=on(move |_| {
                                    let _ = window().location().reload();
                                })
                            >
                                "Load again"
                            </button>
                        },
                    )
                    .into_any()
            } else if here.get() {
                ().into_any()
            } else {
                view! { <div class="page">{skeleton(4)}</div> }.into_any()
            }
        })}
        <div node_ref=place></div>
    }
}
