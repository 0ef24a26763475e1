//! What is spent and reserved of one's limits, and the form that lowers them.

use crate::field::field;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::access::route::Method;
use sam_domain::budget::ledger::Warning;
use sam_domain::budget::wire::{BudgetView, Spent};
use sam_domain::budget::{Limits, dollars};
use sam_web_parts::api::{self, Trouble};
use sam_web_parts::browser;
use sam_web_parts::dynamic::{Views, part, value};
use sam_web_parts::loaded::{Loaded, reading, shown};
use sam_web_parts::part::trouble_note;
use sam_web_parts::surroundings::surroundings;
use sam_web_parts::words::{self, number};

/// One's limits, what is spent of them, and the form that changes one's own.
#[component]
pub(crate) fn Budget() -> impl IntoView {
    let (budget, _) = reading(|| api::get::<BudgetView>("/api/budgets"));
    view! {
        <section class="panel" aria-labelledby="budget">
            <h2 id="budget">"Your budget"</h2>
            {shown(budget, 3, standing)}
            <LimitsForm budget path="/api/budgets".to_owned() allowance=false />
        </section>
    }
}

/// What is spent and reserved of the limits, and when they start anew.
pub(crate) fn standing(view: &BudgetView) -> AnyView {
    let limits = &view.limits;
    let mut bars = vec![
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
            dollars,
        ),
    ];
    if limits.requests_per_minute.is_some() {
        let minute = &view.requests_per_minute;
        bars.push(bar(
            "Calls this minute",
            minute,
            limits.requests_per_minute,
            number,
        ));
    }
    let open = (view.open_calls > 0).then(|| {
        format!(
            "{} under way. ",
            words::count(view.open_calls, "call is", "calls are")
        )
    });
    view! {
        {view.warnings.iter().map(warning).views()}
        <ul class="meters">{bars}</ul>
        <p class="muted">
            {open} "At this pace the month comes to " {dollars(view.monthly_forecast)} "."
        </p>
    }
    .into_any()
}

/// A limit that is nearly used up, in words.
pub(crate) fn warning(warning: &Warning) -> AnyView {
    let spent = warning.limit.amount(warning.spent);
    let allowed = warning.limit.amount(warning.allowed);
    view! {
        <div class="note warn" role="status">
            <p>"Nearly used up: " {spent} " of " {allowed} "."</p>
        </div>
    }
    .into_any()
}

fn bar(name: &'static str, spent: &Spent, limit: Option<u64>, said: fn(u64) -> String) -> AnyView {
    let of = match limit {
        Some(limit) => format!("{} of {}", said(spent.spent), said(limit)),
        None => format!("{}, without limit", said(spent.spent)),
    };
    let reserved = (spent.reserved > 0).then(|| format!(", {} reserved", said(spent.reserved)));
    let now = surroundings().now;
    let resets_at = spent.resets_at;
    let resets = move || {
        let left = resets_at.since(now.get());
        format!("starts anew in {}", words::until(left))
    };
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
            <span class="muted">
                {of} {reserved} " \u{b7} "
                <span title=browser::exact(resets_at)>{part(resets)}</span>
            </span>
            {meter}
        </li>
    }
    .into_any()
}

/// Micro-dollars of a text like `7.50`; nothing of an empty one; an error where it is no amount.
pub(crate) fn micro(text: &str) -> Result<Option<u64>, ()> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 6 {
        return Err(());
    }
    format!("{whole}{fraction:0<6}")
        .parse()
        .map(Some)
        .map_err(drop)
}

/// A whole number; nothing of an empty text; an error where it is none.
pub(crate) fn whole(text: &str) -> Result<Option<u64>, ()> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(drop),
    }
}

/// Micro-dollars as they are typed.
pub(crate) fn typed(amount: Option<u64>) -> String {
    amount
        .map(dollars)
        .unwrap_or_default()
        .replace(['$', ','], "")
}

/// Limits in one layer: one's own, which only ever lower what an administrator allows; or those.
#[component]
pub(crate) fn LimitsForm(
    /// What holds; replaced by what the change answers.
    budget: RwSignal<Loaded<BudgetView>>,
    /// Where they are set.
    path: String,
    /// Whether it is what an administrator allows.
    allowance: bool,
) -> impl IntoView {
    let words = match allowance {
        true => {
            "What they may use at most. Their own limits hold below it. Empty means without limit."
        }
        false => "Your own limits, below what an administrator allows. Empty means none.",
    };
    let said = surroundings().said;
    let [tokens, cost, requests] = [(); 3].map(|()| RwSignal::new(String::new()));
    let trouble = RwSignal::new(None::<Trouble>);
    let busy = RwSignal::new(false);
    Effect::new(move |_| {
        budget.with(|budget| {
            if let Loaded::Here(view) = budget {
                let text = |limit: Option<u64>| limit.map_or(String::new(), |it| it.to_string());
                let held = if allowance {
                    &view.allowance
                } else {
                    &view.own
                };
                tokens.set(text(held.daily_tokens));
                cost.set(typed(held.monthly_cost));
                requests.set(text(held.requests_per_minute));
            }
        });
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let [Ok(daily_tokens), Ok(monthly_cost), Ok(requests_per_minute)] = [
            tokens.with_untracked(|text| whole(text)),
            cost.with_untracked(|text| micro(text)),
            requests.with_untracked(|text| whole(text)),
        ] else {
            let words = "A limit is a number, or empty for none.";
            trouble.set(Some(Trouble::here(words)));
            return;
        };
        let limits = Limits {
            daily_tokens,
            monthly_cost,
            requests_per_minute,
        };
        busy.set(true);
        let path = path.clone();
        spawn_local(async move {
            let answer = api::send_json::<_, BudgetView>(Method::Put, &path, &limits).await;
            busy.set(false);
            trouble.set(None);
            match answer {
                Ok(view) => {
                    budget.set(Loaded::Here(view));
                    said.set("The limits are set".to_owned());
                }
                Err(refused) => trouble.set(Some(refused)),
            }
        });
    };
    // What holds would replace what somebody typed before it was here.
    let here = Memo::new(move |_| budget.with(|budget| matches!(budget, Loaded::Here(_))));
    let form = move || {
        let submit = submit.clone();
        view! {
            <form class="stack" on:submit=submit>
                <p class="muted">{words}</p>
                <div class="fields">
                    {field("limit-tokens", "Tokens a day", "text", tokens)}
                    {field("limit-cost", "Dollars a month", "text", cost)}
                    {field("limit-requests", "Calls a minute", "text", requests)}
                </div>
                <div>
                    <button type="submit" class="primary" disabled=value(move || busy.get())>
                        "Set limits"
                    </button>
                </div>
                {part(move || trouble.get().map(|it| trouble_note(&it)))}
            </form>
        }
    };
    view! { {part(move || here.get().then(&form))} }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_as_they_are_written() {
        assert_eq!(micro(""), Ok(None));
        assert_eq!(micro(" 7.5 "), Ok(Some(7_500_000)));
        assert_eq!(micro("20"), Ok(Some(20_000_000)));
        assert_eq!(micro("0.000001"), Ok(Some(1)));
        for bad in ["x", "-1", "1.0000001", "1,5"] {
            assert_eq!(micro(bad), Err(()), "{bad}");
        }
        assert_eq!(micro(&typed(Some(1_234_500_000))), Ok(Some(1_234_500_000)));
    }
}
