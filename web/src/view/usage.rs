//! What model calls used and cost, and the limits that hold.

use crate::api::{self, Trouble};
use crate::browser;
use crate::state::{Loaded, Who, app};
use crate::text::words::number;
use crate::view::dynamic::{Show, on, part, value};
use crate::view::part::{skeleton, trouble_note};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::access::wire::Role;
use sam_domain::budget::ledger::Warning;
use sam_domain::budget::wire::{BudgetView, Spent, UsageBy, UsageLine, UsageReport};
use sam_domain::budget::{Limits, dollars};

/// The page at `/usage`.
#[component]
pub(crate) fn Usage() -> impl IntoView {
    view! {
        <div class="page">
            <header class="page-head">
                <h1 tabindex="-1">"Usage and budget"</h1>
            </header>
            <Budget />
            <Report />
        </div>
    }
}

/// Limits, what is spent of them, and the form that changes one's own.
#[component]
fn Budget() -> impl IntoView {
    let budget = RwSignal::new(Loaded::<BudgetView>::Loading);
    spawn_local(async move {
        let answer = api::get::<BudgetView>("/api/budgets").await;
        budget.set(answer.map_or_else(Loaded::Failed, Loaded::Here));
    });
    view! {
        <section class="panel" aria-labelledby="budget">
            <h2 id="budget">"Your budget"</h2>
            {part(move || {
                budget
                    .with(|budget| match budget {
                        Loaded::Loading => skeleton(3).into_any(),
                        Loaded::Failed(trouble) => trouble_note(trouble).into_any(),
                        Loaded::Here(view) => standing(view).into_any(),
                    })
            })}
            <OwnLimits budget />
        </section>
    }
}

fn standing(view: &BudgetView) -> impl IntoView + use<> {
    let limits = &view.limits;
    let cost = |amount: u64| dollars(amount);
    let bars = [
        bar(
            "Tokens today",
            &view.daily_tokens,
            limits.daily_tokens,
            number,
        ),
        bar(
            "Cost this month",
            &view.monthly_cost,
            limits.monthly_cost,
            cost,
        ),
    ];
    let minute = limits
        .requests_per_minute
        .map(|limit| format!("At most {} calls a minute. ", number(limit)));
    view! {
        {warnings(&view.warnings)}
        <ul class="meters">{bars}</ul>
        <p class="muted">
            {minute} "At this pace the month comes to " {dollars(view.monthly_forecast)} "."
        </p>
    }
}

fn bar(name: &'static str, spent: &Spent, limit: Option<u64>, shown: fn(u64) -> String) -> AnyView {
    let of = match limit {
        Some(limit) => format!("{} of {}", shown(spent.spent), shown(limit)),
        None => format!("{}, without limit", shown(spent.spent)),
    };
    let reserved = (spent.reserved > 0).then(|| format!(", {} reserved", shown(spent.reserved)));
    let meter = limit.map(|limit| {
        view! {
            <meter
                min="0"
                max=limit.max(1).to_string()
                high=(limit / 5 * 4).to_string()
                value=spent.spent.min(limit).to_string()
                aria-label=name
            ></meter>
        }
    });
    view! {
        <li>
            <span>{name}</span>
            <span class="muted" title=format!("starts anew {}", browser::exact(spent.resets_at))>
                {of}
                {reserved}
            </span>
            {meter}
        </li>
    }
    .into_any()
}

fn warnings(warnings: &[Warning]) -> Vec<AnyView> {
    let told = |warning: &Warning| {
        let (spent, allowed) = (
            warning.limit.amount(warning.spent),
            warning.limit.amount(warning.allowed),
        );
        view! {
            <div class="note warn" role="status">
                <p>"Nearly used up: " {spent} " of " {allowed} "."</p>
            </div>
        }
        .into_any()
    };
    warnings.iter().map(told).collect()
}

/// Micro-dollars of a text like `7.50`; nothing of an empty one.
fn micro(text: &str) -> Result<Option<u64>, ()> {
    if text.is_empty() {
        return Ok(None);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 6 {
        return Err(());
    }
    let digits = format!("{whole}{fraction:0<6}");
    digits.parse().map(Some).map_err(drop)
}

fn whole(text: &str) -> Result<Option<u64>, ()> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(drop)
}

/// One's own limits: they only ever lower what an administrator allows.
#[component]
fn OwnLimits(budget: RwSignal<Loaded<BudgetView>>) -> impl IntoView {
    let app = app();
    let typed = [(); 3].map(|()| RwSignal::new(String::new()));
    let [tokens, cost, requests] = typed;
    let trouble = RwSignal::new(None::<Trouble>);
    Effect::new(move |_| {
        budget.with(|budget| {
            if let Loaded::Here(view) = budget {
                let text = |limit: Option<u64>| limit.map_or(String::new(), |it| it.to_string());
                tokens.set(text(view.own.daily_tokens));
                let dollars = view.own.monthly_cost.map(dollars).unwrap_or_default();
                cost.set(dollars.replace(['$', ','], ""));
                requests.set(text(view.own.requests_per_minute));
            }
        });
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let [Ok(daily_tokens), Ok(monthly_cost), Ok(requests_per_minute)] = [
            tokens.with_untracked(|text| whole(text.trim())),
            cost.with_untracked(|text| micro(text.trim())),
            requests.with_untracked(|text| whole(text.trim())),
        ] else {
            trouble.set(Some(api::refused_here(
                "A limit is a number, or empty for none.",
            )));
            return;
        };
        let limits = Limits {
            daily_tokens,
            monthly_cost,
            requests_per_minute,
        };
        spawn_local(async move {
            match api::send_json::<_, BudgetView>(Method::Put, "/api/budgets", &limits).await {
                Ok(view) => {
                    trouble.set(None);
                    budget.set(Loaded::Here(view));
                    app.said.set("The limits are set".to_owned());
                }
                Err(refused) => trouble.set(Some(refused)),
            }
        });
    };
    let field = |id: &'static str, label: &'static str, held: RwSignal<String>| {
        view! {
            <div>
                <label for=id>{label}</label>
                <input
                    id=id
                    type="text"
                    inputmode="decimal"
                    autocomplete="off"
                    placeholder="none"
                    prop:value=value(move || held.get())
                    on:input=on(move |event| held.set(event_target_value(&event)))
                />
            </div>
        }
    };
    view! {
        <form class="stack" on:submit=on(submit)>
            <p class="muted">
                "Your own limits, below what an administrator allows. Empty means none."
            </p>
            <div class="fields">
                {field("limit-tokens", "Tokens a day", tokens)}
                {field("limit-cost", "Dollars a month", cost)}
                {field("limit-requests", "Calls a minute", requests)}
            </div>
            <div>
                <button type="submit" class="primary">
                    "Set limits"
                </button>
            </div>
            {part(move || trouble.get().map(|it| trouble_note(&it)))}
        </form>
    }
}

/// What was used this month, grouped; everybody's for who runs the installation.
#[component]
fn Report() -> impl IntoView {
    let app = app();
    let by = RwSignal::new(UsageBy::Day);
    let everybody = RwSignal::new(false);
    let report = RwSignal::new(Loaded::<UsageReport>::Loading);
    let place = move || {
        let place = if everybody.get() {
            "/api/admin/usage"
        } else {
            "/api/usage"
        };
        format!("{place}?by={}", by.get().word())
    };
    Effect::new(move |_| {
        let place = place();
        spawn_local(async move {
            let answer = whole_report(&place).await;
            report.set(answer.map_or_else(Loaded::Failed, Loaded::Here));
        });
    });
    let is_admin = move || {
        app.who
            .with(|who| matches!(who, Who::Person(user) if user.role == Role::Admin))
    };
    let groups = UsageBy::ALL.map(|group| {
        view! {
            <button
                type="button"
                aria-pressed=value(move || (by.get() == group).to_string())
                on:click=on(move |_| by.set(group))
            >
                {group.word()}
            </button>
        }
    });
    view! {
        <section class="panel" aria-labelledby="used">
            <h2 id="used">"Used this month"</h2>
            <div class="buttons" role="group" aria-label="By">
                {groups}
            </div>
            <Show when=is_admin>
                <label class="check">
                    <input
                        type="checkbox"
                        prop:checked=value(move || everybody.get())
                        on:change=on(move |event| everybody.set(event_target_checked(&event)))
                    />
                    <span>"Everybody's"</span>
                </label>
            </Show>
            {part(move || {
                report
                    .with(|report| match report {
                        Loaded::Loading => skeleton(4).into_any(),
                        Loaded::Failed(trouble) => trouble_note(trouble).into_any(),
                        Loaded::Here(report) if report.lines.is_empty() => {
                            view! { <p class="muted">"No model was called this month."</p> }
                                .into_any()
                        }
                        Loaded::Here(report) => lines(report).into_any(),
                    })
            })}
            <p>
                <a href=value(move || format!("{}&format=csv", place())) target="_self" download="">
                    "Download as CSV"
                </a>
            </p>
        </section>
    }
}

/// All pages of a report: everybody's comes by pages of people.
async fn whole_report(place: &str) -> api::Answer<UsageReport> {
    let mut report = api::get::<UsageReport>(place).await?;
    while let Some(next) = report.next.take() {
        report.append(api::get::<UsageReport>(&format!("{place}&after={next}")).await?);
    }
    Ok(report)
}

fn lines(report: &UsageReport) -> impl IntoView + use<> {
    let weight = |line: &UsageLine| (line.cost, line.input_tokens + line.output_tokens);
    let most = report.lines.iter().map(weight).max().unwrap_or_default();
    let row = |line: &UsageLine| {
        // Where nothing has a price, tokens say how much.
        let (value, max) = match most.0 {
            0 => (weight(line).1, most.1),
            cost => (line.cost, cost),
        };
        let name = line.name.clone().unwrap_or_else(|| line.key.clone());
        view! {
            <li>
                <span title=line.key.clone()>{name.clone()}</span>
                <span class="muted">
                    {dollars(line.cost)} " \u{b7} " {number(line.input_tokens + line.output_tokens)}
                    " tokens \u{b7} " {number(line.calls)} " calls"
                </span>
                <meter min="0" max=max.max(1).to_string() value=value.to_string() aria-label=name>
                </meter>
            </li>
        }
    };
    let total = &report.total;
    let unreported = (total.unreported > 0).then(|| {
        format!(
            " Of {} the provider did not report the usage; they count as what they had reserved.",
            number(total.unreported)
        )
    });
    view! {
        <ul class="meters">{report.lines.iter().map(row).collect_view()}</ul>
        <p>
            <strong>{dollars(total.cost)}</strong> " in " {number(total.calls)} " calls, "
            {number(total.input_tokens)} " tokens in and " {number(total.output_tokens)} " out."
            {unreported} " At this pace the month comes to " {dollars(report.monthly_forecast)} "."
        </p>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_as_they_are_written() {
        assert_eq!(micro(""), Ok(None));
        assert_eq!(micro("7.5"), Ok(Some(7_500_000)));
        assert_eq!(micro("20"), Ok(Some(20_000_000)));
        assert_eq!(micro("0.000001"), Ok(Some(1)));
        for bad in ["x", "-1", "1.0000001", "1,5"] {
            assert_eq!(micro(bad), Err(()), "{bad}");
        }
    }
}
