//! The comparison with AI Gateway's log, on a schedule and on request.
//!
//! A run reads the log since the cursor, a bounded number of pages of it, and hands each person's
//! and each project's budget the records of its calls. What a record changes it changes once
//! ([`sam_domain::budget::reconcile`]), so a run may be cut short, repeated, or overlap another: the
//! cursor only says where to go on. While the log cannot be read, limits hold on the ledger, and
//! the state says since when and why.

use std::time::Duration;

use sam_domain::budget::call::{BudgetCall, Compared, INSTALLATION};
use sam_domain::budget::period;
use sam_domain::budget::reconcile::{Drift, LogPage, Logged, Reconciliation, SETTLING, read_page};
use sam_domain::collect::Map;
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, ProjectId, UserId};
use sam_domain::time::{Millis, Timestamp};
use sam_platform::crypto::Secret;
use sam_platform::fetch::{self, Outgoing};
use sam_platform::kv::Cache;
use sam_platform::{bindings, clock, http, objects};
use serde_json::{Value, json};
use url::Url;
use worker::Env;

use crate::call::Call;
use crate::errors::{Answer, log};
use crate::principal::Admin;

/// Records on a page; the API gives no more.
const PAGE: usize = 50;
/// Pages of one run: what is left is the next run's.
const PAGES: u32 = 20;
/// Longest page, in bytes.
const PAGE_LIMIT: usize = 4 * 1024 * 1024;
/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where the last comparison by person is cached, for show.
const DRIFT: &str = "reconciliation-drift";
/// For how long, in seconds.
const DRIFT_KEPT: u64 = 30 * 24 * 3600;

pub(crate) async fn get(call: &Call, _: Admin) -> Answer {
    let mut state = state(&call.env).await?;
    if let Ok(cache) = Cache::of(&call.env) {
        state.drift = cache.get(DRIFT).await.ok().flatten().unwrap_or_default();
    }
    Ok(http::json(200, &aged(state, call.now)))
}

pub(crate) async fn run_now(call: &Call, _: Admin) -> Answer {
    let settled_for = call.query("settled_for")?.map_or(SETTLING, Millis::seconds);
    let Some(gateway) = Gateway::of(&call.env)? else {
        return Err(ApiError::conflict(
            "no_gateway",
            "No AI Gateway is configured, so there is no log to compare with.",
        )
        .hint("Set SAM_CLOUDFLARE_ACCOUNT and SAM_CLOUDFLARE_TOKEN.")
        .into());
    };
    let state = run(&call.env, &gateway, settled_for).await?;
    if let Some(problem) = &state.problem {
        return Err(ApiError::new(502, "log_unreadable", problem.clone())
            .hint("Limits hold on the ledger meanwhile.")
            .into());
    }
    Ok(http::json(200, &aged(state, call.now)))
}

/// What the schedule does: nothing where there is no gateway.
pub(crate) async fn scheduled(env: &Env) {
    let ran = match Gateway::of(env) {
        Ok(Some(gateway)) => run(env, &gateway, SETTLING).await.map(|_| ()),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = ran {
        log(&format!("reconciliation: {error}"));
    }
}

fn aged(mut state: Reconciliation, now: Timestamp) -> Reconciliation {
    state.age = state.succeeded_at.map(|at| now.since(at).0);
    state
}

async fn state(env: &Env) -> Result<Reconciliation, ApiError> {
    let object = objects::budget(env, INSTALLATION)?;
    Ok(object.call(&BudgetCall::GetReconciliation).await?)
}

/// One run. What goes wrong with the log is in the state that is kept and returned.
async fn run(
    env: &Env,
    gateway: &Gateway,
    settled_for: Millis,
) -> Result<Reconciliation, ApiError> {
    let mut state = state(env).await?;
    let began = clock::now();
    state.tried_at = Some(began);
    let mut drift = Map::new();
    let until = Timestamp(began.0.saturating_sub(settled_for.0));
    match compare_since(env, gateway, &mut state, until, &mut drift).await {
        Ok(()) => {
            state.problem = None;
            state.succeeded_at = Some(clock::now());
        }
        Err(problem) => {
            log(&format!("reconciliation: {problem}"));
            state.problem = Some(problem);
        }
    }
    state.drift = Vec::new();
    let object = objects::budget(env, INSTALLATION)?;
    let kept = BudgetCall::PutReconciliation { state };
    let mut state: Reconciliation = object.call(&kept).await?;
    state.drift = drift.into_values().collect();
    if let (Ok(cache), false) = (Cache::of(env), state.drift.is_empty()) {
        // For show alone: what it says is also in each budget.
        let _ = cache.put(DRIFT, &state.drift, DRIFT_KEPT).await;
    }
    Ok(state)
}

/// Reads pages from the cursor on and compares them; the cursor moves with each page that was.
async fn compare_since(
    env: &Env,
    gateway: &Gateway,
    state: &mut Reconciliation,
    until: Timestamp,
    drift: &mut Map<UserId, Drift>,
) -> Result<(), String> {
    let since = state.since();
    for page in 1..=PAGES {
        let read = gateway.page(since, page).await?;
        let mut settled = read.logged;
        settled.retain(|record| record.at <= until);
        state.compared = state
            .compared
            .saturating_add(u64::try_from(settled.len()).unwrap_or(u64::MAX));
        compare(env, settled, state, drift)
            .await
            .map_err(|error| format!("The comparison failed: {error}"))?;
        let reached = read.newest.map(|newest| newest.min(until));
        state.cursor = state.cursor.max(reached);
        if read.records < PAGE || read.newest.is_some_and(|newest| newest > until) {
            break;
        }
    }
    Ok(())
}

async fn compare(
    env: &Env,
    records: Vec<Logged>,
    state: &mut Reconciliation,
    drift: &mut Map<UserId, Drift>,
) -> Result<(), ApiError> {
    let mut people: Map<UserId, Vec<Logged>> = Map::new();
    let mut projects: Map<ProjectId, Vec<Logged>> = Map::new();
    for record in records {
        let of_project = projects.entry(record.project.clone()).or_default();
        of_project.push(record.clone());
        people.entry(record.user.clone()).or_default().push(record);
    }
    // Projects first: a run that ends between the two is told by the people's counts.
    for (project, logged) in projects {
        let object = objects::budget(env, project.as_str())?;
        let _: Compared = object.call(&BudgetCall::Reconcile { logged }).await?;
    }
    for (user, logged) in people {
        let object = objects::budget(env, user.as_str())?;
        let compared: Compared = object.call(&BudgetCall::Reconcile { logged }).await?;
        state.corrected = state.corrected.saturating_add(compared.corrected);
        state.discovered = state.discovered.saturating_add(compared.discovered);
        let sum = drift.entry(user.clone()).or_insert_with(|| Drift {
            user,
            ledger_cost: 0,
            gateway_cost: 0,
            corrected: 0,
            discovered: 0,
        });
        sum.ledger_cost = sum.ledger_cost.saturating_add(compared.ledger_cost);
        sum.gateway_cost = sum.gateway_cost.saturating_add(compared.provider_cost);
        sum.corrected = sum.corrected.saturating_add(compared.corrected);
        sum.discovered = sum.discovered.saturating_add(compared.discovered);
    }
    Ok(())
}

/// The gateway whose log is read.
struct Gateway {
    logs: Url,
    token: Secret,
}

impl Gateway {
    /// The configured one, if there is one.
    fn of(env: &Env) -> Result<Option<Self>, ApiError> {
        let setting = |name| bindings::setting(env, name);
        let Some((account, token)) = setting(bindings::SAM_CLOUDFLARE_ACCOUNT)
            .zip(bindings::secret(env, bindings::SAM_CLOUDFLARE_TOKEN))
        else {
            return Ok(None);
        };
        let gateway = setting(bindings::SAM_AI_GATEWAY);
        let gateway = gateway
            .as_deref()
            .unwrap_or(sam_domain::provider::route::GATEWAY_ID);
        let base = bindings::url_setting(env, bindings::SAM_CLOUDFLARE_URL);
        let base = base
            .as_deref()
            .unwrap_or(sam_domain::provider::route::CLOUDFLARE);
        let misconfigured = || {
            ApiError::new(
                503,
                "gateway_misconfigured",
                "SAM_CLOUDFLARE_URL is not a URL.",
            )
            .hint("Change the setting and start the server again.")
        };
        let mut logs = Url::parse(base).map_err(|_| misconfigured())?;
        logs.path_segments_mut()
            .map_err(|()| misconfigured())?
            .pop_if_empty()
            .extend([
                "accounts",
                &account,
                "ai-gateway",
                "gateways",
                gateway,
                "logs",
            ]);
        Ok(Some(Self { logs, token }))
    }

    /// A page of what was logged after a moment, oldest first; counted from 1.
    async fn page(&self, since: Timestamp, page: u32) -> Result<LogPage, String> {
        let filters = json!([
            {"key": "created_at", "operator": "gt", "value": [period::rfc3339(since)]},
        ]);
        let mut url = self.logs.clone();
        url.query_pairs_mut()
            .append_pair("page", &page.to_string())
            .append_pair("per_page", &PAGE.to_string())
            .append_pair("order_by", "created_at")
            .append_pair("order_by_direction", "asc")
            .append_pair("filters", &filters.to_string());
        let outgoing = Outgoing {
            method: "GET",
            url: url.as_str(),
            headers: vec![
                ("authorization", format!("Bearer {}", self.token.expose())),
                ("accept", "application/json".to_owned()),
            ],
            body: None,
            first_byte_within: PATIENCE,
        };
        let incoming = fetch::send(&outgoing).await.map_err(|error| {
            log(&format!("AI Gateway's log: {error}"));
            "AI Gateway's log cannot be reached.".to_owned()
        })?;
        let status = incoming.status;
        let bytes = incoming
            .into_bytes(PAGE_LIMIT)
            .await
            .map_err(|_| "AI Gateway's log broke off.".to_owned())?;
        let said: Value = sam_dialects::json::read(&bytes).unwrap_or_default();
        if status != 200 {
            let hint = match status {
                401 | 403 => " SAM_CLOUDFLARE_TOKEN needs the permission AI Gateway Read.",
                404 => " There is no such gateway; check SAM_AI_GATEWAY.",
                _ => "",
            };
            let code = said.pointer("/errors/0/code").and_then(Value::as_u64);
            let code = code.map_or_else(String::new, |code| format!(", code {code}"));
            return Err(format!(
                "AI Gateway's log answered with status {status}{code}.{hint}"
            ));
        }
        read_page(&said).map_err(|error| format!("AI Gateway's log cannot be read: {error}."))
    }
}
