//! The catalogue of models: what each takes, gives and costs, and what it is used for. Who runs the
//! installation switches them, prices them and asks the providers for new ones.

use crate::budget::{micro, typed, whole};
use crate::field::{change, choose, field};
use crate::frame::administrator;
use crate::keys::keys;
use crate::payers::Payers;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::budget::dollars;
use sam_domain::catalogue::changes::{Models as Catalogue, Role};
use sam_domain::catalogue::model::{Model, ToolSupport};
use sam_domain::catalogue::price::{Limits, Prices};
use sam_domain::provider::Mode;
use sam_domain::provider::wire::{ModelList, ModelView, PutModelDefaults, Refreshed};
use sam_web_parts::api::{self, Trouble};
use sam_web_parts::dynamic::{Views, on, part, value};
use sam_web_parts::loaded::{Again, Loaded, cards, reading, shown};
use sam_web_parts::part::{state_chip, trouble_note};
use sam_web_parts::surroundings::surroundings;
use sam_web_parts::words::{Shape, number};
use serde_json::json;

/// The page at `/models`.
#[component]
pub(crate) fn Models() -> impl IntoView {
    let (models, read) = reading(|| api::get::<ModelList>("/api/models"));
    view! {
        <Payers />
        <section class="panel" aria-labelledby="keys">
            <h2 id="keys">"Your keys to model providers"</h2>
            <p class="muted">"A key is kept encrypted, used, and never shown again."</p>
            {keys("/api/credentials", read)}
        </section>
        <section class="panel" aria-labelledby="roles">
            <h2 id="roles">"Used where nobody names a model"</h2>
            {shown(models, 3, move |list| roles(list, read).into_any())}
        </section>
        <Listed models read />
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Agent => "Agents",
        Role::TaskTitle => "Titles of tasks",
        Role::ContextSummary => "Summaries of long conversations",
        Role::SpeechCleanup => "Spoken words made readable",
        Role::Utility => "Everything else",
    }
}

/// The model of each role, and for administrators the choice of another.
fn roles(list: &ModelList, read: Again) -> impl IntoView + use<> {
    let able: Vec<&Model> = list
        .models
        .iter()
        .map(|view| &view.model)
        .filter(|model| Catalogue::may_be_default(model))
        .collect();
    let row = |role: Role| {
        let held = list
            .models
            .iter()
            .find(|view| view.default_for.contains(&role));
        let held = held.map(|view| view.model.id.to_string());
        let id = format!("role-{}", role.name());
        let choice = if administrator() {
            let options = able.iter().map(|model| {
                let chosen = held.as_deref() == Some(&model.id);
                view! {
                    <option value=model.id.to_string() selected=chosen>
                        {model.id.to_string()}
                    </option>
                }
            });
            let options = options.views();
            let none = held.is_none();
            let before = held.clone().unwrap_or_default();
            let chosen = move |event| {
                let body = PutModelDefaults {
                    defaults: [(role, event_target_value(&event))].into_iter().collect(),
                };
                let path = "/api/models/defaults".to_owned();
                choose(&event, before.clone(), Method::Put, path, &body, read);
            };
            view! {
                <select id=id.clone() on:change=on(chosen)>
                    <option value="" selected=none>
                        {if none { "none" } else { "as the product has it" }}
                    </option>
                    {options}
                </select>
            }
            .into_any()
        } else {
            let held = held.unwrap_or_else(|| "none".to_owned());
            view! { <code>{held}</code> }.into_any()
        };
        view! {
            <li class="setting">
                <div>
                    <label class="name" for=id>
                        {role_name(role)}
                    </label>
                </div>
                {choice}
            </li>
        }
    };
    let rows = Role::ALL.into_iter().map(row).views();
    view! { <ul class="cards">{rows}</ul> }
}

/// All models, narrowed to what is looked for.
#[component]
fn Listed(
    /// All of them.
    models: RwSignal<Loaded<ModelList>>,
    /// Reads them anew.
    read: Again,
) -> impl IntoView {
    let looked_for = RwSignal::new(String::new());
    let edited = RwSignal::new(None::<String>);
    let draw = move |list: &ModelList| {
        let found: Vec<ModelView> = looked_for.with(|text| {
            let text = text.trim().to_lowercase();
            let about = |model: &Model| {
                format!("{} {} {}", model.id, model.name, model.provider.name()).to_lowercase()
            };
            let found = list
                .models
                .iter()
                .filter(|view| about(&view.model).contains(&text));
            found.cloned().collect()
        });
        cards(&found, "No model by that name.", |view| {
            card(view, edited, read)
        })
    };
    let refresh = administrator().then(|| refresh(read));
    view! {
        <section class="panel" aria-labelledby="models">
            <h2 id="models">"Models"</h2>
            {refresh}
            {field("find-model", "Find", "search", looked_for)}
            {shown(models, 6, draw)}
        </section>
    }
}

/// Asks the providers which models they have, and says what came of it.
fn refresh(read: Again) -> impl IntoView {
    let around = surroundings();
    let busy = RwSignal::new(false);
    let done = RwSignal::new(None::<Refreshed>);
    let ask = move |_| {
        busy.set(true);
        spawn_local(async move {
            match api::act_for::<Refreshed>(Method::Post, "/api/models/refresh").await {
                Ok(refreshed) => done.set(Some(refreshed)),
                Err(trouble) => around.failed(trouble),
            }
            busy.set(false);
            read.run();
        });
    };
    let said = move || {
        done.get().map(|done| {
            let list = |what: &'static str, of: &[String]| {
                let text = match of {
                    [] => "none".to_owned(),
                    of => of.join(", "),
                };
                view! { <p>{what} ": " {text}</p> }
            };
            view! {
                <div class="note" role="status">
                    <div>
                        {list("New, switched off until they are priced", &done.added)}
                        {list("Not listed any more", &done.unlisted)}
                        {list("Could not be asked", &done.unasked)}
                    </div>
                </div>
            }
        })
    };
    view! {
        <button type="button" disabled=value(move || busy.get()) on:click=on(ask)>
            {part(move || if busy.get() { "Asking\u{2026}" } else { "Ask the providers for new models" })}
        </button>
        {part(said)}
    }
}

const fn tools(support: ToolSupport) -> &'static str {
    match support {
        ToolSupport::None => "no tools",
        ToolSupport::Weak => "weak with tools",
        ToolSupport::Good => "good with tools",
        ToolSupport::Strong => "strong with tools",
    }
}

fn card(view: &ModelView, edited: RwSignal<Option<String>>, read: Again) -> AnyView {
    let model = &view.model;
    let (word, shape) = match (&*view.available, model.enabled, model.is_priced()) {
        (_, _, false) => ("not priced", Shape::Asking),
        (_, false, _) => ("switched off", Shape::Stopped),
        ([], ..) => ("no access", Shape::Waiting),
        (..) => ("can be used", Shape::Done),
    };
    let dialects: Vec<_> = model.dialects.iter().map(|it| it.name()).collect();
    let size = match model.limits {
        Some(limits) => format!(
            "{} tokens of context, {} of output",
            number(limits.context),
            number(limits.output)
        ),
        None => "context not known".to_owned(),
    };
    let price = match model.prices {
        Some(prices) => format!(
            "{} in, {} cached, {} out for a million tokens",
            dollars(prices.input),
            dollars(prices.cached_input),
            dollars(prices.output)
        ),
        None => "price not known".to_owned(),
    };
    let ends = model
        .deprecated_on
        .as_ref()
        .map(|day| view! { <p class="small">"Withdrawn on " {day.to_string()}</p> });
    let paid: Vec<_> = view.available.iter().map(|mode| payer(*mode)).collect();
    let paid = (!paid.is_empty()).then(|| format!(" \u{b7} paid by {}", paid.join(" or ")));
    let buttons = administrator().then(|| buttons(model, edited, read));
    let form = {
        let (id, model) = (model.id.to_string(), model.clone());
        let open = Memo::new(move |_| edited.with(|edited| edited.as_deref() == Some(&*id)));
        part(move || open.get().then(|| pricing(&model, edited, read)))
    };
    view! {
        <li class="setting">
            <div>
                <p class="name">{model.id.to_string()}</p>
                <p class="muted small">
                    {model.provider.name()} " \u{b7} " {dialects.join(", ")} " \u{b7} "
                    {tools(model.tools)} {paid}
                </p>
                <p class="muted small">{size}</p>
                <p class="muted small">{price}</p>
                {ends}
            </div>
            {state_chip(word, shape)}
            {buttons}
            {form}
        </li>
    }
    .into_any()
}

const fn payer(mode: Mode) -> &'static str {
    match mode {
        Mode::Sam => "this installation",
        Mode::OwnKey => "your key",
        Mode::OwnLogin => "your subscription",
    }
}

fn buttons(model: &Model, edited: RwSignal<Option<String>>, read: Again) -> impl IntoView + use<> {
    let id = model.id.to_string();
    let enabled = model.enabled;
    let switch = model.is_priced().then(|| {
        let (id, name) = (id.clone(), id.clone());
        let switch = move |_| {
            let body = json!({ "id": id, "enabled": !enabled });
            let path = "/api/models".to_owned();
            change("Changed", Method::Patch, path, Some(&body), read);
        };
        view! {
            <button type="button" on:click=on(switch)>
                {if enabled { "Switch off" } else { "Switch on" }}
                <span class="sr-only">" " {name}</span>
            </button>
        }
    });
    let (own, name) = (id.clone(), id.clone());
    let is_open = move || edited.with(|edited| edited.as_deref() == Some(&*own));
    let toggle = move |_| {
        edited.update(|edited| {
            *edited = match edited {
                Some(open) if *open == id => None,
                _ => Some(id.clone()),
            };
        });
    };
    view! {
        <span class="buttons">
            {switch}
            <button
                type="button"
                aria-expanded=value(move || is_open().to_string())
                on:click=on(toggle)
            >
                "Price"
                <span class="sr-only">" " {name}</span>
            </button>
        </span>
    }
}

/// The form for what a model takes and costs; it switches the model on as well.
fn pricing(model: &Model, edited: RwSignal<Option<String>>, read: Again) -> impl IntoView + use<> {
    let text = |number: Option<u64>| RwSignal::new(number.map_or(String::new(), |n| n.to_string()));
    let money = |amount: Option<u64>| RwSignal::new(typed(amount));
    let (limits, prices) = (model.limits, model.prices);
    let context = text(limits.map(|it| it.context));
    let output = text(limits.map(|it| it.output));
    let image = text(limits.map(|it| it.image));
    let input_price = money(prices.map(|it| it.input));
    let cached_price = money(prices.map(|it| it.cached_input));
    let write_price = money(prices.map(|it| it.cache_write));
    let output_price = money(prices.map(|it| it.output));
    let trouble = RwSignal::new(None::<Trouble>);
    let id = model.id.to_string();
    let read_form = move || {
        let whole = |held: RwSignal<String>| held.with_untracked(|it| whole(it)).ok().flatten();
        let micro = |held: RwSignal<String>| held.with_untracked(|it| micro(it)).ok().flatten();
        let limits = Limits {
            context: whole(context)?,
            output: whole(output)?,
            image: whole(image)?,
        };
        let prices = Prices {
            input: micro(input_price)?,
            cached_input: micro(cached_price)?,
            cache_write: micro(write_price)?,
            output: micro(output_price)?,
        };
        Some((limits, prices))
    };
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let Some((limits, prices)) = read_form() else {
            trouble.set(Some(Trouble::here(
                "Every field takes a number; 0 where it is free.",
            )));
            return;
        };
        let body = json!({ "id": id, "limits": limits, "prices": prices, "enabled": true });
        spawn_local(async move {
            match api::change("/api/models", &body).await {
                Ok(()) => {
                    edited.set(None);
                    read.run();
                }
                Err(refused) => trouble.set(Some(refused)),
            }
        });
    };
    view! {
        <form class="stack wide" on:submit=submit>
            <div class="fields">
                {field("model-context", "Tokens of context", "text", context)}
                {field("model-output", "Tokens of output", "text", output)}
                {field("model-image", "Tokens an image", "text", image)}
            </div>
            <p class="muted small">"In dollars for a million tokens:"</p>
            <div class="fields">
                {field("price-input", "Input", "text", input_price)}
                {field("price-cached", "Cached input", "text", cached_price)}
                {field("price-write", "Written to the cache", "text", write_price)}
                {field("price-output", "Output", "text", output_price)}
            </div>
            <div>
                <button type="submit" class="primary">
                    "Save and switch on"
                </button>
            </div>
            {part(move || trouble.get().map(|it| trouble_note(&it)))}
        </form>
    }
}
