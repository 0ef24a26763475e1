//! One stream for a long time, under a limit: its reservation is renewed, and nothing grows.
//!
//! `SAM_SOAK_SECONDS` says for how long; `scripts/soak proxy` says an hour.

use std::time::Duration;

use reqwest::Method;
use sam_domain::budget::wire::BudgetView;
use sam_e2e::caller::Caller;
use sam_e2e::{Result, StackOptions, ensure, within};
use serde_json::json;

/// Between two events.
const PAUSE_MS: u64 = 20;
/// How long an event may be overdue.
const PATIENCE: Duration = Duration::from_secs(60);
/// What workerd may grow by meanwhile, in kilobytes.
const GROWTH: u64 = 64 * 1024;

fn seconds() -> u64 {
    let set = std::env::var("SAM_SOAK_SECONDS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(60)
}

#[tokio::test]
async fn a_long_stream_comes_whole_and_is_settled_to_what_it_used() -> Result {
    let caller = Caller::start(StackOptions::default()).await?;
    let admin = caller.stack.admin()?;
    let price = json!({"input": 1_000_000, "cached_input": 1_000_000, "cache_write": 1_000_000,
        "output": 1_000_000});
    let priced = json!({"id": "scripted", "provider": "custom", "enabled": true, "prices": price,
        "limits": {"context": 100_000, "output": 2_000, "image": 1_000}});
    let priced = admin.request(Method::PATCH, "/api/models").json(&priced);
    ensure(admin.send(priced).await?.status == 200, || {
        "the model got no price".to_owned()
    })?;
    let limits = json!({"daily_tokens": 1_000_000});
    let limited = admin.request(Method::PUT, "/api/budgets").json(&limits);
    admin.send(limited).await?.json::<BudgetView>()?;

    let pieces = seconds() * 1000 / PAUSE_MS;
    let long = json!({"kind": "long", "pieces": pieces, "bytes": 40, "pause_ms": PAUSE_MS});
    caller.stack.gateway().fault(&long).await?;
    let workerd = caller.stack.workerd_id()?;
    let mut response = caller.stream().await?;
    let (mut before, mut events, mut last) = (None, 0, Vec::new());
    while let Some(chunk) = within("an event", PATIENCE, response.chunk()).await?? {
        events += chunk.windows(6).filter(|at| at == b"data: ").count() as u64;
        last.extend_from_slice(&chunk);
        let excess = last.len().saturating_sub(20);
        last.drain(..excess);
        if before.is_none() && events > pieces / 10 {
            before = Some(sam_e2e::machine::resident(workerd)?);
            let budget: BudgetView = admin.get("/api/budgets").await?.json()?;
            ensure(budget.open_calls == 1, || format!("{budget:?}"))?;
        }
    }
    let grown = sam_e2e::machine::resident(workerd)?.saturating_sub(before.unwrap_or_default());
    ensure(
        last.ends_with(b"data: [DONE]\n\n") && events * 10 > pieces * 9,
        || format!("{events} of {pieces} events"),
    )?;
    ensure(grown < GROWTH, || format!("workerd grew by {grown} KB"))?;
    let recorded = caller.until_calls(1).await?;
    ensure(recorded.unreported == 0, || format!("{recorded:?}"))
}
