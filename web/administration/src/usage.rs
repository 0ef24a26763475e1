//! What model calls used and cost: one's own, everybody's, and how far that is compared.

use crate::budget::Budget;
use crate::frame::administrator;
use crate::settings::since;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::budget::dollars;
use sam_domain::budget::reconcile::{Drift, Reconciliation};
use sam_domain::budget::wire::{UsageBy, UsageLine, UsageReport};
use sam_web_parts::api;
use sam_web_parts::dynamic::{Show, Views, on, part, value};
use sam_web_parts::loaded::{Loaded, reading, shown};
use sam_web_parts::surroundings::surroundings;
use sam_web_parts::words::{self, number};
use sam_web_parts::{browser, words::count};

/// The page at `/usage`.
#[component]
pub(crate) fn Usage() -> impl IntoView {
    let compared = administrator().then(|| view! { <Compared /> });
    view! {
        <Budget />
        <Report />
        {compared}
    }
}

/// What was used this month, grouped; everybody's for who runs the installation.
#[component]
fn Report() -> impl IntoView {
    let around = surroundings();
    let by = RwSignal::new(UsageBy::Day);
    let everybody = RwSignal::new(false);
    let report = RwSignal::new(Loaded::<UsageReport>::Loading);
    let place = Memo::new(move |_| {
        let place = match everybody.get() {
            true => "/api/admin/usage",
            false => "/api/usage",
        };
        format!("{place}?by={}", by.get().word())
    });
    Effect::new(move |_| {
        let asked = place.get();
        report.set(Loaded::Loading);
        spawn_local(async move {
            let answer = api::get::<UsageReport>(&asked).await;
            // What was chosen meanwhile is asked for by itself.
            if place.try_get_untracked() == Some(asked) {
                report.set(answer.into());
            }
        });
    });
    let further = move || {
        let next = report.with_untracked(|report| match report {
            Loaded::Here(report) => report.next.clone(),
            _ => None,
        });
        let Some(next) = next else { return };
        let asked = place.get_untracked();
        spawn_local(async move {
            match api::get::<UsageReport>(&format!("{asked}&after={next}")).await {
                Ok(page) if place.try_get_untracked() == Some(asked) => report.update(|report| {
                    if let Loaded::Here(held) = report {
                        held.append(page);
                    }
                }),
                Ok(_) => {}
                Err(trouble) => around.failed(trouble),
            }
        });
    };
    let has_further =
        move || report.with(|it| matches!(it, Loaded::Here(report) if report.next.is_some()));
    let groups = UsageBy::ALL
        .map(|group| {
            view! {
                <button
                    type="button"
                    aria-pressed=value(move || (by.get() == group).to_string())
                    on:click=on(move |_| by.set(group))
                >
                    {group_name(group)}
                </button>
            }
        })
        .into_iter()
        .views();
    let switch = administrator().then(|| {
        view! {
            <label class="check">
                <input
                    type="checkbox"
                    prop:checked=value(move || everybody.get())
                    on:change=on(move |event| everybody.set(event_target_checked(&event)))
                />
                <span>"Everybody's"</span>
            </label>
        }
    });
    view! {
        <section class="panel" aria-labelledby="used">
            <h2 id="used">"Used this month"</h2>
            <div class="buttons" role="group" aria-label="By">
                {groups}
            </div>
            {switch}
            {shown(report, 4, |report| lines(report).into_any())}
            <Show when=has_further>
                <button type="button" on:click=on(move |_| further())>
                    "Add further people"
                </button>
            </Show>
            <p>
                <a
                    href=value(move || format!("{}&format=csv", place.get()))
                    target="_self"
                    download=""
                >
                    "Download as CSV"
                </a>
            </p>
        </section>
    }
}

const fn group_name(by: UsageBy) -> &'static str {
    match by {
        UsageBy::Day => "Day",
        UsageBy::Project => "Project",
        UsageBy::Task => "Task",
        UsageBy::Model => "Model",
        UsageBy::User => "Person",
    }
}

fn lines(report: &UsageReport) -> AnyView {
    if report.lines.is_empty() {
        return view! { <p class="muted">"No model was called this month."</p> }.into_any();
    }
    let tokens = |line: &UsageLine| line.input_tokens.saturating_add(line.output_tokens);
    // Where nothing has a price, tokens say how much.
    let priced = report.lines.iter().any(|line| line.cost > 0);
    let weight = |line: &UsageLine| match priced {
        true => line.cost,
        false => tokens(line),
    };
    let most = report.lines.iter().map(weight).max().unwrap_or_default();
    let row = |line: &UsageLine| {
        let name = line.name.clone().unwrap_or_else(|| line.key.clone());
        view! {
            <li>
                <span title=line.key.clone()>{name.clone()}</span>
                <span class="muted">
                    {dollars(line.cost)} " \u{b7} " {number(tokens(line))} " tokens \u{b7} "
                    {count(line.calls, "call", "calls")}
                </span>
                <meter
                    min="0"
                    max=most.max(1).to_string()
                    value=weight(line).to_string()
                    aria-label=name
                ></meter>
            </li>
        }
    };
    let total = &report.total;
    let unreported = (total.unreported > 0).then(|| {
        format!(
            " Of {} the provider did not report the usage: what they had reserved counts.",
            number(total.unreported)
        )
    });
    let rows = report.lines.iter().map(row).views();
    view! {
        <ul class="meters">{rows}</ul>
        <p>
            <strong>{dollars(total.cost)}</strong> " in " {count(total.calls, "call", "calls")} ", "
            {number(total.input_tokens)} " tokens in and " {number(total.output_tokens)} " out, from "
            {report.from.clone()} " to " {report.to.clone()} "." {unreported}
            " At this pace the month comes to " {dollars(report.monthly_forecast)} "."
        </p>
    }
    .into_any()
}

/// How far the ledger is compared with AI Gateway's log.
#[component]
fn Compared() -> impl IntoView {
    const PLACE: &str = "/api/admin/reconciliation";
    let around = surroundings();
    let (state, _) = reading(|| api::get::<Reconciliation>(PLACE));
    let busy = RwSignal::new(false);
    let run = move || {
        busy.set(true);
        spawn_local(async move {
            match api::act_for::<Reconciliation>(Method::Post, PLACE).await {
                Ok(now) => state.set(Loaded::Here(now)),
                Err(trouble) => around.failed(trouble),
            }
            busy.set(false);
        });
    };
    view! {
        <section class="panel" aria-labelledby="compared">
            <h2 id="compared">"Compared with the provider's log"</h2>
            {shown(state, 2, move |state| standing(state, around.now.get()).into_any())}
            <button
                type="button"
                disabled=value(move || busy.get())
                on:click=on(move |_| run())
            >
                {part(move || if busy.get() { "Comparing\u{2026}" } else { "Compare now" })}
            </button>
        </section>
    }
}

fn standing(state: &Reconciliation, now: sam_domain::time::Timestamp) -> impl IntoView + use<> {
    let last = match state.succeeded_at {
        Some(at) => view! {
            <p title=browser::exact(at)>{format!("Last compared {}.", since(now.since(at)))}</p>
        }
        .into_any(),
        None => view! {
            <p class="muted">"Never compared: limits hold on this installation's own ledger."</p>
        }
        .into_any(),
    };
    let problem = state.problem.clone().map(|problem| {
        view! {
            <div class="note warn" role="status">
                <p>{problem}</p>
            </div>
        }
    });
    let sums = (state.compared > 0).then(|| {
        format!(
            "{} compared, {} corrected, {} added that the ledger did not know.",
            count(state.compared, "call", "calls"),
            number(state.corrected),
            number(state.discovered),
        )
    });
    let drift = (!state.drift.is_empty()).then(|| {
        let drift = state.drift.iter().map(drift).views();
        view! { <ul class="meters">{drift}</ul> }
    });
    view! {
        {last}
        {problem}
        {sums.map(|sums| view! { <p class="muted">{sums}</p> })}
        {drift}
    }
}

fn drift(drift: &Drift) -> AnyView {
    view! {
        <li>
            <span>{drift.user.to_string()}</span>
            <span class="muted">
                {dollars(drift.ledger_cost)} " here, " {dollars(drift.gateway_cost)} " in its log \u{b7} "
                {words::count(drift.corrected, "correction", "corrections")}
            </span>
        </li>
    }
    .into_any()
}
