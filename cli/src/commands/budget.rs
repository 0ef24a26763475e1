//! `sam budget …`

use crate::api::{Api, Call};
use crate::args::money::{Budget, Holder, NewLimits};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::time;
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::access::wire::PersonList;
use sam_domain::budget::reconcile::Reconciliation;
use sam_domain::budget::refusal::LimitName;
use sam_domain::budget::wire::{BudgetView, Spent};
use sam_domain::budget::{Limits, dollars, grouped};
use sam_domain::id::UserId;
use sam_domain::time::Millis;

pub(super) async fn run(context: &Context, command: Budget) -> Result<Exit, Failure> {
    let api = context.api()?;
    match command {
        Budget::Show(holder) => {
            let place = Place::of(context, &api, &holder).await?;
            show(context, &place.read(&api).await?)
        }
        Budget::Set { project, limits } => {
            let holder = Holder {
                person: None,
                project,
            };
            let place = Place::of(context, &api, &holder).await?;
            let held = place.read(&api).await?.own;
            show(context, &place.put(&api, &changed(held, &limits)).await?)
        }
        Budget::Allow { holder, limits } => {
            let place = Place::allowance(context, &api, &holder).await?;
            let held = place.read(&api).await?.allowance;
            show(context, &place.put(&api, &changed(held, &limits)).await?)
        }
        Budget::Reconcile { status } => reconcile(context, &api, status).await,
    }
}

/// Where a budget is read and set.
struct Place {
    read: RouteId,
    put: RouteId,
    holder: Option<String>,
}

impl Place {
    /// One's own, a project's, or somebody else's.
    async fn of(context: &Context, api: &Api, holder: &Holder) -> Result<Self, Failure> {
        if holder.person.is_some() {
            return Self::allowance(context, api, holder).await;
        }
        let Some(project) = &holder.project else {
            return Ok(Self {
                read: RouteId::GetBudget,
                put: RouteId::PutBudget,
                holder: None,
            });
        };
        let project = resolve::project(context, api, Some(project)).await?;
        Ok(Self {
            read: RouteId::GetProjectBudget,
            put: RouteId::PutProjectBudget,
            holder: Some(project.id.to_string()),
        })
    }

    /// The same, as who runs the installation reaches it.
    async fn allowance(context: &Context, api: &Api, holder: &Holder) -> Result<Self, Failure> {
        let named = match (&holder.person, &holder.project) {
            (Some(person), _) => person_id(api, person).await?.to_string(),
            (None, Some(project)) => {
                let project = resolve::project(context, api, Some(project)).await?;
                project.id.to_string()
            }
            (None, None) => {
                return Err(Failure::usage(
                    "Whose allowance?",
                    "Name a person with --person or a project with --project.",
                ));
            }
        };
        Ok(Self {
            read: RouteId::GetAllowance,
            put: RouteId::PutAllowance,
            holder: Some(named),
        })
    }

    fn segments(&self) -> Vec<&str> {
        self.holder.iter().map(String::as_str).collect()
    }

    async fn read(&self, api: &Api) -> Result<BudgetView, Failure> {
        api.json(Call::new(self.read, &self.segments())).await
    }

    async fn put(&self, api: &Api, limits: &Limits) -> Result<BudgetView, Failure> {
        let segments = self.segments();
        api.json(Call::new(self.put, &segments).body(limits)?).await
    }
}

async fn person_id(api: &Api, named: &str) -> Result<UserId, Failure> {
    let list: PersonList = api.json(Call::new(RouteId::ListPeople, &[])).await?;
    let person = resolve::named(named, "person", list.people, |person| {
        (person.name.as_str(), &person.id)
    })?;
    Ok(person.id)
}

fn changed(mut held: Limits, new: &NewLimits) -> Limits {
    if let Some(tokens) = new.daily_tokens {
        held.daily_tokens = tokens.0;
    }
    if let Some(cost) = new.monthly_cost {
        held.monthly_cost = cost.0;
    }
    if let Some(requests) = new.requests_per_minute {
        held.requests_per_minute = requests.0;
    }
    held
}

fn show(context: &Context, budget: &BudgetView) -> Result<Exit, Failure> {
    let out = &context.out;
    if out.json {
        out.value(budget)?;
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let told = |name: LimitName, limit: Option<u64>, spent: &Spent| {
        let of = match limit {
            Some(limit) => format!("of {}", name.amount(limit)),
            None => "without limit".to_owned(),
        };
        let reserved = match spent.reserved {
            0 => String::new(),
            reserved => format!(", {} reserved", name.amount(reserved)),
        };
        let amount = match name {
            LimitName::MonthlyCost => dollars(spent.spent),
            LimitName::DailyTokens | LimitName::RequestsPerMinute => grouped(spent.spent),
        };
        let resets = time::until(spent.resets_at, now);
        format!("{amount} {of}{reserved}; resets {resets}")
    };
    let limits = &budget.limits;
    let mut facts = vec![
        (
            "tokens today",
            told(
                LimitName::DailyTokens,
                limits.daily_tokens,
                &budget.daily_tokens,
            ),
        ),
        (
            "cost this month",
            told(
                LimitName::MonthlyCost,
                limits.monthly_cost,
                &budget.monthly_cost,
            ),
        ),
        ("forecast", dollars(budget.monthly_forecast)),
    ];
    if limits.requests_per_minute.is_some() {
        let spent = &budget.requests_per_minute;
        let calls = told(
            LimitName::RequestsPerMinute,
            limits.requests_per_minute,
            spent,
        );
        facts.push(("calls this minute", calls));
    }
    facts.push(("calls under way", grouped(budget.open_calls)));
    facts.push(("own limits", listed(&budget.own)));
    facts.push(("allowance", listed(&budget.allowance)));
    out.facts(&facts)?;
    for warning in &budget.warnings {
        out.hint(&format!(
            "Nearly used up: {} of {}.",
            warning.limit.amount(warning.spent),
            warning.limit.amount(warning.allowed)
        ));
    }
    Ok(Exit::Ok)
}

fn listed(limits: &Limits) -> String {
    let each = [
        (LimitName::DailyTokens, limits.daily_tokens, "a day"),
        (LimitName::MonthlyCost, limits.monthly_cost, "a month"),
        (
            LimitName::RequestsPerMinute,
            limits.requests_per_minute,
            "a minute",
        ),
    ];
    let told: Vec<String> = each
        .into_iter()
        .filter_map(|(name, limit, period)| Some(format!("{} {period}", name.amount(limit?))))
        .collect();
    if told.is_empty() {
        "none".to_owned()
    } else {
        told.join(", ")
    }
}

async fn reconcile(context: &Context, api: &Api, status: bool) -> Result<Exit, Failure> {
    let route = if status {
        RouteId::GetReconciliation
    } else {
        RouteId::Reconcile
    };
    let state: Reconciliation = api.json(Call::new(route, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&state)?;
        return Ok(Exit::Ok);
    }
    let last = match state.age {
        Some(age) => format!("{} ago", time::span(Millis(age))),
        None => "never".to_owned(),
    };
    let mut facts = vec![
        ("last run", last),
        ("compared", grouped(state.compared)),
        ("corrected", grouped(state.corrected)),
        ("only in the log", grouped(state.discovered)),
    ];
    if let Some(problem) = &state.problem {
        facts.push(("problem", problem.clone()));
    }
    out.facts(&facts)?;
    for drift in &state.drift {
        out.line(&format!(
            "  {}  ledger {}, gateway {}",
            drift.user,
            dollars(drift.ledger_cost),
            dollars(drift.gateway_cost)
        ))?;
    }
    Ok(Exit::Ok)
}
