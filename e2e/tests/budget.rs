//! Budgets and usage, with a model behind an AI Gateway that counts as it is told to.

use std::process::Command;
use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use sam_domain::access::wire::{ProjectView, UserView};
use sam_domain::budget::reconcile::Reconciliation;
use sam_domain::budget::wire::{BudgetView, UsageReport};
use sam_domain::conversation::row::{NoticeBody, Row};
use sam_domain::conversation::wire::MessagePage;
use sam_domain::id::{SessionId, TaskId};
use sam_e2e::conversation::notices;
use sam_e2e::node::ScriptedNode;
use sam_e2e::{
    Client, Person, Reply, Result, Stack, StackOptions, ensure, failure, programs, wait_until,
    within,
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);
const CHAT: &str = "/ai/v1/chat/completions";
const RESPONSES: &str = "/ai/v1/responses";
const MESSAGES: &str = "/ai/anthropic/v1/messages";
/// What the catalogue says of the scripted model, in micro-dollars for a million tokens.
const INPUT_PRICE: u64 = 1_000_000;
const OUTPUT_PRICE: u64 = 4_000_000;

/// A stack whose model lies behind a gateway and has prices, with a task whose agent could call it.
struct Scene {
    stack: Stack,
    admin: Client,
    me: UserView,
    project: ProjectView,
    task: TaskId,
    session: SessionId,
    agent: Client,
    _node: ScriptedNode,
}

impl Scene {
    async fn set() -> Result<Self> {
        let stack = Stack::start_with(StackOptions::with_settings([
            ("SAM_MODEL_URL", "{gateway}/v1/account/sam/compat"),
            ("SAM_MODEL_AUTH", "cf-aig-authorization"),
            ("SAM_CLOUDFLARE_ACCOUNT", "account"),
            ("SAM_CLOUDFLARE_TOKEN", sam_e2e::stack::MODEL_KEY),
            ("SAM_CLOUDFLARE_URL", "{gateway}/client/v4"),
        ]))
        .await?;
        let admin = stack.admin()?.clone();
        let priced = json!({
            "id": "scripted", "provider": "custom", "enabled": true,
            "limits": {"context": 100_000, "output": 2_000, "image": 1_000},
            "prices": {"input": INPUT_PRICE, "cached_input": INPUT_PRICE,
                "cache_write": INPUT_PRICE, "output": OUTPUT_PRICE},
        });
        let said = admin
            .send(admin.request(Method::PATCH, "/api/models").json(&priced))
            .await?;
        ensure(said.status == 200, || said.text())?;
        // A model that its endpoint does not list: nobody names tasks here, and so each call is the test's.
        let nobody = json!({"defaults": {"task_title": "scripted"}});
        let said = admin
            .send(
                admin
                    .request(Method::PUT, "/api/models/defaults")
                    .json(&nobody),
            )
            .await?;
        ensure(said.status == 200, || said.text())?;
        let mut node = ScriptedNode::join(&stack, "budget").await?;
        let project = stack.create_project("/nowhere").await?;
        let submitted = stack
            .submit(&project.id, "budget", &json!({"prompt": "hello"}))
            .await?;
        let prompt = node.play_to_prompt().await?;
        let tokens = node.tokens(&prompt.workspace).await?;
        Ok(Self {
            agent: stack.anyone()?.with_token(&tokens.model_token),
            me: admin.get("/api/auth/me").await?.json()?,
            admin,
            stack,
            project,
            task: submitted.task,
            session: submitted.session,
            _node: node,
        })
    }

    async fn put(&self, path: &str, limits: &Value) -> Result<BudgetView> {
        let request = self.admin.request(Method::PUT, path).json(limits);
        self.admin.send(request).await?.json()
    }

    async fn limit(&self, limits: &Value) -> Result<BudgetView> {
        self.put("/api/budgets", limits).await
    }

    async fn budget(&self) -> Result<BudgetView> {
        self.admin.get("/api/budgets").await?.json()
    }

    /// The budget once nothing is reserved any more.
    async fn settled(&self) -> Result<BudgetView> {
        wait_until("every call is settled", PATIENCE, || async {
            Ok(Some(self.budget().await?).filter(|budget| budget.open_calls == 0))
        })
        .await
    }

    async fn usage(&self, query: &str) -> Result<UsageReport> {
        self.admin.get(&format!("/api/usage?{query}")).await?.json()
    }

    /// Waits until so many calls are recorded.
    async fn until_calls(&self, calls: u64) -> Result<UsageReport> {
        wait_until("the calls are recorded", PATIENCE, || async {
            let report = self.usage("by=model").await?;
            Ok(Some(report).filter(|report| report.total.calls == calls))
        })
        .await
    }

    /// Has the model's next answers counted as this share of the most that their requests allow.
    async fn uses(&self, share: u64, times: u64) -> Result {
        let fault = json!({"kind": "uses", "share": share, "times": times});
        self.stack.gateway().fault(&fault).await
    }

    /// What the model counted, over all its answers.
    async fn counted(&self) -> Result<u64> {
        let requests = self.stack.gateway().requests().await?;
        let counted = requests
            .iter()
            .filter_map(|request| request.pointer("/usage/total_tokens")?.as_u64());
        Ok(counted.sum())
    }

    /// The newest rows of the conversation.
    async fn rows(&self) -> Result<Vec<Row>> {
        let (project, session) = (&self.project.id, &self.session);
        let path = format!("/api/projects/{project}/sessions/{session}/messages?limit=500");
        let page: MessagePage = self.admin.get(&path).await?.json()?;
        Ok(page.rows)
    }

    async fn reconcile(&self) -> Result<Reply> {
        self.admin
            .post("/api/admin/reconciliation?settled_for=0", &json!({}))
            .await
    }
}

fn question() -> Value {
    json!({
        "model": "sam", "stream": true, "max_tokens": 100,
        "messages": [{"role": "user", "content": "What does this repository do?"}],
    })
}

/// The same in each dialect.
fn asked(path: &str) -> Value {
    let words = "What does this repository do?";
    match path {
        RESPONSES => json!({"model": "sam", "max_output_tokens": 100, "input": words}),
        MESSAGES => json!({"model": "sam", "max_tokens": 100,
            "messages": [{"role": "user", "content": words}]}),
        _ => question(),
    }
}

#[tokio::test]
async fn fifty_streams_at_once_never_pass_a_limit() -> Result {
    let scene = Scene::set().await?;
    // What one call can use at most: it is counted as just that.
    scene.limit(&json!({"daily_tokens": 1_000_000})).await?;
    scene.uses(100, 1).await?;
    ensure(
        scene.agent.post(CHAT, &question()).await?.status == 200,
        || "the first call".to_owned(),
    )?;
    let most = scene.settled().await?.daily_tokens.spent;
    ensure(most == scene.counted().await? && most > 100, || {
        format!("{most} settled")
    })?;

    // Twenty more fit, and half a call.
    let limit = most * 21 + most / 2;
    scene.limit(&json!({"daily_tokens": limit})).await?;
    scene.uses(100, 50).await?;
    let question = question();
    let calls = (0..50).map(|_| scene.agent.post(CHAT, &question));
    let mut statuses = Vec::new();
    for reply in within("fifty answers", PATIENCE, join_all(calls)).await? {
        statuses.push(reply?.status);
    }
    let of = |status| statuses.iter().filter(|it| **it == status).count();
    ensure((of(200), of(429)) == (20, 30), || format!("{statuses:?}"))?;
    let budget = scene.settled().await?;
    let counted = scene.counted().await?;
    ensure(
        budget.daily_tokens.spent == counted && counted == most * 21 && counted <= limit,
        || format!("{counted} counted, {budget:?}"),
    )?;
    let asked = scene.stack.gateway().requests().await?.len();
    ensure(asked == 21, || format!("{asked} requests left"))?;
    ensure(!budget.warnings.is_empty(), || format!("{budget:?}"))?;

    // Answers that use less make room for more, and still none passes the limit.
    let limit = most * 31;
    scene.limit(&json!({"daily_tokens": limit})).await?;
    scene.stack.gateway().reset().await?;
    scene.uses(50, 50).await?;
    let calls = (0..50).map(|_| scene.agent.post(CHAT, &question));
    let replies = within("fifty answers", PATIENCE, join_all(calls)).await?;
    let granted = replies.iter().flatten().filter(|it| it.status == 200);
    let granted = u64::try_from(granted.count())?;
    let budget = scene.settled().await?;
    let counted = counted + scene.counted().await?;
    ensure((10..=20).contains(&granted), || {
        format!("{granted} granted")
    })?;
    ensure(
        budget.daily_tokens.spent == counted && counted <= limit,
        || format!("{counted} counted, {budget:?}"),
    )?;
    a_limit_that_comes_near_is_told_once(&scene, most).await
}

/// Most of the limit is spent: the conversation says so, once a day, however many calls there are.
async fn a_limit_that_comes_near_is_told_once(scene: &Scene, most: u64) -> Result {
    let spent = scene.budget().await?.daily_tokens.spent;
    let limit = json!({"daily_tokens": spent + 3 * most});
    scene.limit(&limit).await?;
    for _ in 0..2 {
        let reply = scene.agent.post(CHAT, &question()).await?;
        ensure(reply.status == 200, || reply.text())?;
        scene.settled().await?;
        let told = wait_until("the conversation says so", PATIENCE, || async {
            let rows = scene.rows().await?;
            let near = |notice: &&NoticeBody| notice.code == "budget_near";
            let near: Vec<String> = notices(&rows)
                .into_iter()
                .filter(near)
                .map(|notice| notice.text.clone())
                .collect();
            Ok((!near.is_empty()).then_some(near))
        })
        .await?;
        let [said] = told.as_slice() else {
            return Err(failure(format!("{told:?}")));
        };
        let whose = said.starts_with("Your daily limit of ");
        ensure(whose && said.contains("nearly used up"), || said.clone())?;
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_told_in_each_dialect_and_leaves_no_trace() -> Result {
    let scene = Scene::set().await?;
    let mut seen = 0;
    for (path, quota, rate) in [
        (CHAT, (429, "insufficient_quota"), (429, "requests")),
        (RESPONSES, (429, "insufficient_quota"), (429, "requests")),
        (MESSAGES, (402, "billing_error"), (429, "rate_limit_error")),
    ] {
        // More than the whole limit: waiting does not help.
        scene.limit(&json!({"daily_tokens": 10})).await?;
        let reply = scene.agent.post(path, &asked(path)).await?;
        refused(&reply, quota, "person", "daily_tokens")?;
        ensure(reply.header("retry-after").is_none(), || reply.text())?;

        // What is spent is in the way: until the day ends.
        scene.limit(&json!({"daily_tokens": 1_000_000})).await?;
        scene.uses(90, 1).await?;
        let reply = scene.agent.post(path, &asked(path)).await?;
        ensure(reply.status == 200, || reply.text())?;
        seen += 1;
        let spent = scene.settled().await?.daily_tokens.spent;
        let limit = spent + 100;
        scene.limit(&json!({"daily_tokens": limit})).await?;
        let reply = scene.agent.post(path, &asked(path)).await?;
        let budget = refused(&reply, rate, "person", "daily_tokens")?;
        ensure(
            budget["spent"] == spent && budget["allowed"] == limit && budget["reserved"] == 0,
            || budget.to_string(),
        )?;
        let wait: u64 = reply.header("retry-after").unwrap_or_default().parse()?;
        ensure((1..=86_400).contains(&wait), || format!("{wait} seconds"))?;
        let text = reply.text();
        ensure(text.contains("00:00 UTC"), || text)?;
        scene.limit(&json!({})).await?;
    }
    // The project's limit: what the person's budget reserved first is given back.
    scene.limit(&json!({"daily_tokens": 1_000_000})).await?;
    let project = format!("/api/projects/{}/budget", scene.project.id);
    scene.put(&project, &json!({"monthly_cost": 1})).await?;
    let reply = scene.agent.post(CHAT, &question()).await?;
    refused(
        &reply,
        (429, "insufficient_quota"),
        "project",
        "monthly_cost",
    )?;
    scene.settled().await?;
    scene.put(&project, &json!({})).await?;
    // What an administrator allows holds beside a person's own, higher limit.
    let allowance = format!("/api/admin/budgets/{}", scene.me.id);
    scene.put(&allowance, &json!({"daily_tokens": 20})).await?;
    let reply = scene.agent.post(CHAT, &question()).await?;
    let budget = refused(
        &reply,
        (429, "insufficient_quota"),
        "person",
        "daily_tokens",
    )?;
    ensure(budget["allowed"] == 20, || budget.to_string())?;
    let asked = scene.stack.gateway().requests().await?.len();
    ensure(asked == seen, || format!("{asked} requests left"))
}

/// The refusal's numbers, of an answer with this status and this type of error.
fn refused(reply: &Reply, told: (u16, &str), holder: &str, limit: &str) -> Result<Value> {
    let said: Value = serde_json::from_slice(&reply.body)?;
    let budget = said.pointer("/error/budget").cloned().unwrap_or_default();
    let text = |path: &str| said.pointer(path).and_then(Value::as_str);
    ensure(
        reply.status == told.0
            && text("/error/type") == Some(told.1)
            && text("/error/budget/holder") == Some(holder)
            && text("/error/budget/limit") == Some(limit)
            && budget.get("resets_at").is_some_and(Value::is_u64),
        || format!("{} {said}", reply.status),
    )?;
    Ok(budget)
}

#[tokio::test]
async fn what_was_used_is_seen_and_corrected_by_the_gateways_log_once() -> Result {
    let scene = Scene::set().await?;
    let gateway = scene.stack.gateway();
    // Without limits nothing is capped: bytes pass.
    let mut uncapped = question();
    if let Some(fields) = uncapped.as_object_mut() {
        fields.remove("max_tokens");
    }
    ensure(
        scene.agent.post(CHAT, &uncapped).await?.status == 200,
        || "a call without limits".to_owned(),
    )?;
    let sent = gateway.requests().await?;
    let body = sent.last().and_then(|request| request.get("body")).cloned();
    let body = body.unwrap_or_default();
    ensure(body.get("max_tokens").is_none(), || body.to_string())?;
    scene.until_calls(1).await?;

    // With one, what names no limit of output is given the one that was reserved.
    let view = scene
        .limit(&json!({"daily_tokens": 1_000_000, "monthly_cost": 50_000_000}))
        .await?;
    ensure(view.daily_tokens.spent > 0, || {
        "what was spent before counts".to_owned()
    })?;
    ensure(
        scene.agent.post(CHAT, &uncapped).await?.status == 200,
        || "a call under a limit".to_owned(),
    )?;
    let sent = gateway.requests().await?;
    let body = sent.last().and_then(|request| request.get("body")).cloned();
    let body = body.unwrap_or_default();
    ensure(body["max_tokens"] == 2_000, || body.to_string())?;

    // A stream that says nothing of its usage, and a client that leaves: both count in full.
    let before = scene.settled().await?.daily_tokens.spent;
    gateway.fault(&json!({"kind": "unreported"})).await?;
    ensure(
        scene.agent.post(CHAT, &question()).await?.status == 200,
        || "an unreported call".to_owned(),
    )?;
    let unreported = scene.settled().await?.daily_tokens.spent - before;
    gateway
        .fault(&json!({"kind": "hold", "after_chunks": 2}))
        .await?;
    let request = scene.agent.request(Method::POST, CHAT).json(&question());
    let response = within("the response begins", PATIENCE, request.send()).await??;
    gateway
        .until("the upstream holds the rest", PATIENCE, |request| {
            request.get("held") == Some(&json!(true))
        })
        .await?;
    let open = scene.budget().await?;
    ensure(
        open.open_calls == 1 && open.daily_tokens.reserved == unreported,
        || format!("{open:?}"),
    )?;
    drop(response);
    gateway
        .until("the upstream sees its client leave", PATIENCE, |request| {
            request.get("outcome") == Some(&json!("disconnected"))
        })
        .await?;
    let left = scene.settled().await?.daily_tokens.spent - before;
    ensure(unreported > 100 && left == 2 * unreported, || {
        format!("{unreported}, then {left}")
    })?;
    seen_everywhere(&scene).await?;
    everybodys_comes_by_pages(&scene).await?;

    // The log knows better, and says it once.
    let first: Reconciliation = scene.reconcile().await?.json()?;
    ensure(
        (first.corrected, first.discovered, first.compared) == (2, 0, 4),
        || format!("{first:?}"),
    )?;
    let drift = first.drift.first().cloned();
    ensure(
        drift.is_some_and(|drift| drift.ledger_cost > drift.gateway_cost),
        || format!("{first:?}"),
    )?;
    let after = scene.settled().await?;
    ensure(after.daily_tokens.spent == scene.counted().await?, || {
        format!("{after:?}")
    })?;
    let again: Reconciliation = scene.reconcile().await?.json()?;
    ensure(
        (again.corrected, again.discovered) == (2, 0)
            && scene.settled().await?.monthly_cost == after.monthly_cost,
        || format!("{again:?}"),
    )?;

    // Without the log, limits hold on the ledger, and the age is to be seen.
    let control = Client::new(gateway.model_url().trim_end_matches("/v1"))?;
    control.post("/control/close-log", &json!({})).await?;
    let reply = scene.reconcile().await?;
    ensure(
        reply.status == 502 && reply.text().contains("AI Gateway Read"),
        || reply.text(),
    )?;
    let state: Reconciliation = scene.admin.get("/api/admin/reconciliation").await?.json()?;
    ensure(
        state.age.is_some() && state.problem.is_some() && !state.drift.is_empty(),
        || format!("{state:?}"),
    )?;
    let spent = after.daily_tokens.spent;
    scene.limit(&json!({"daily_tokens": spent + 1})).await?;
    let reply = scene.agent.post(CHAT, &question()).await?;
    ensure(reply.status == 429, || reply.text())
}

/// Compares what the API, its CSV, the task and the command line say.
async fn seen_everywhere(scene: &Scene) -> Result {
    let by_model = scene.until_calls(4).await?;
    let total = &by_model.total;
    ensure(total.unreported == 2 && total.cost > 0, || {
        format!("{by_model:?}")
    })?;
    for (by, key) in [
        ("day", by_model.to.clone()),
        ("project", scene.project.id.to_string()),
        ("task", scene.task.to_string()),
        ("model", "scripted".to_owned()),
        ("user", scene.me.id.to_string()),
    ] {
        let report = scene.usage(&format!("by={by}")).await?;
        let keys: Vec<_> = report.lines.iter().map(|line| &line.key).collect();
        ensure(keys == [&key] && report.total == *total, || {
            format!("{report:?}")
        })?;
        let of_project = format!("/api/projects/{}/usage?by={by}", scene.project.id);
        for path in [of_project, format!("/api/admin/usage?by={by}")] {
            let other: UsageReport = scene.admin.get(&path).await?.json()?;
            ensure(other.total == *total, || format!("{path}: {other:?}"))?;
        }
    }
    let csv = scene.admin.with_header("accept", "text/csv");
    let csv = csv.get("/api/usage?by=model").await?;
    let kind = csv.header("content-type").unwrap_or_default();
    ensure(kind.starts_with("text/csv"), || kind.to_owned())?;
    let mut command = Command::new(programs::native("sam")?);
    command
        .args(["usage", "--by", "model", "--csv"])
        .env("SAM_API_URL", scene.stack.url())
        .env("SAM_API_TOKEN", scene.admin.token())
        .env("HOME", scene.stack.directory());
    let said = tokio::task::spawn_blocking(move || command.output()).await??;
    ensure(
        said.status.success() && said.stdout == csv.body && csv.text().contains("scripted,,4,2,"),
        || format!("{said:?} {}", csv.text()),
    )
}

/// Of more people than the budgets of which one call may ask.
async fn everybodys_comes_by_pages(scene: &Scene) -> Result {
    let more = (0..20).map(|n| async move {
        let name = format!("Person {n}");
        Person::invited(&scene.stack, &name).await
    });
    join_all(more)
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let path = "/api/admin/usage?by=user";
    let mut report: UsageReport = scene.admin.get(path).await?.json()?;
    let next = report.next.clone().ok_or_else(|| failure("one page"))?;
    let more: UsageReport = scene
        .admin
        .get(&format!("{path}&after={next}"))
        .await?
        .json()?;
    ensure(more.next.is_none() && next != scene.me.id, || {
        format!("{more:?}")
    })?;
    report.append(more);
    let own = scene.usage("by=user").await?;
    ensure(report.total == own.total && report.lines.len() == 1, || {
        format!("{report:?}")
    })
}
