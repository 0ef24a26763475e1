//! Where model calls go and who pays, behind an AI Gateway with one Cloudflare token and no key of
//! any provider.

use std::path::Path;
use std::process::Command;

use reqwest::Method;
use sam_domain::access::doctor::{Diagnosis, Health};
use sam_domain::access::wire::{ProjectRole, UserView};
use sam_domain::budget::call::UsageSummary;
use sam_domain::budget::wire::BudgetView;
use sam_domain::id::{ProjectId, TaskId};
use sam_domain::provider::wire::{
    AgentProvider, CredentialList, CredentialView, KeyCheck, ModelList, Refreshed, Rotated,
};
use sam_domain::provider::{ChosenBy, Mode};
use sam_e2e::conversation::PATIENCE;
use sam_e2e::follower::{Follower, Held};
use sam_e2e::gateway::PROVIDER_KEY;
use sam_e2e::node::ScriptedNode;
use sam_e2e::stack::MODEL_KEY;
use sam_e2e::{
    Client, Person, Reply, Result, Stack, StackOptions, ensure, failure, programs, wait_until,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const CHAT: &str = "/ai/v1/chat/completions";
const RESPONSES: &str = "/ai/v1/responses";
const MESSAGES: &str = "/ai/anthropic/v1/messages";
const GEMMA: &str = "@cf/google/gemma-4-26b-a4b-it";

/// A stack behind a gateway, with a task whose agent could call models now.
struct Scene {
    stack: Stack,
    admin: Client,
    agent: Client,
    project: ProjectId,
    node: ScriptedNode,
}

impl Scene {
    async fn set() -> Result<Self> {
        let stack = Stack::start_with(StackOptions::with_one_cloudflare_token()).await?;
        let mut node = ScriptedNode::join(&stack, "providers").await?;
        let project = stack.create_project("/nowhere").await?;
        stack
            .submit(&project.id, "providers", &json!({"prompt": "hello"}))
            .await?;
        let prompt = node.play_to_prompt().await?;
        let tokens = node.tokens(&prompt.workspace).await?;
        Ok(Self {
            agent: stack.anyone()?.with_token(&tokens.model_token),
            admin: stack.admin()?.clone(),
            project: project.id,
            stack,
            node,
        })
    }

    /// The newest request that the gateway saw, and how many it saw.
    async fn seen(&self) -> Result<(Value, usize)> {
        let requests = self.stack.gateway().requests().await?;
        Ok((requests.last().cloned().unwrap_or_default(), requests.len()))
    }

    async fn ask(&self, model: &str) -> Result<Reply> {
        self.agent.post(CHAT, &question(model)).await
    }

    /// Asks, and returns what the gateway saw of it.
    async fn answered(&self, path: &str, body: &Value) -> Result<(Reply, Value)> {
        let reply = self.agent.post(path, body).await?;
        ensure(reply.status == 200, || {
            format!("{path} {body}: {} {}", reply.status, reply.text())
        })?;
        Ok((reply, self.seen().await?.0))
    }

    /// Asks, and makes sure that it is refused before anything is sent.
    async fn refused(&self, model: &str, status: u16, code: &str) -> Result<String> {
        let (_, before) = self.seen().await?;
        let reply = self.ask(model).await?;
        let (_, after) = self.seen().await?;
        let said = reply.text();
        ensure(
            reply.status == status && said.contains(code) && before == after,
            || {
                format!(
                    "{model}: {} {said} after {} requests",
                    reply.status,
                    after - before
                )
            },
        )?;
        Ok(said)
    }

    async fn choose(&self, mode: &str) -> Result<AgentProvider> {
        let path = "/api/agents/sam-harness/provider";
        put(&self.admin, path, &json!({"mode": mode})).await?.json()
    }

    async fn diagnose(&self) -> Result<(bool, Vec<String>)> {
        let diagnosis: Diagnosis = self
            .admin
            .post("/api/setup/doctor", &json!({}))
            .await?
            .json()?;
        let healthy = diagnosis.is_healthy();
        let wrong = diagnosis
            .checks
            .into_iter()
            .filter(|check| check.health == Health::Failed);
        Ok((healthy, wrong.map(|check| check.name).collect()))
    }
}

fn question(model: &str) -> Value {
    let messages = json!([{"role": "user", "content": "What does this repository do?"}]);
    json!({"model": model, "messages": messages})
}

async fn put(client: &Client, path: &str, body: &Value) -> Result<Reply> {
    client
        .send(client.request(Method::PUT, path).json(body))
        .await
}

async fn patch(client: &Client, path: &str, body: &Value) -> Result<Reply> {
    client
        .send(client.request(Method::PATCH, path).json(body))
        .await
}

fn is(reply: &Reply, status: u16, code: &str) -> Result {
    ensure(
        (reply.status, reply.code().as_str()) == (status, code),
        || format!("{}: {} instead of {code}", reply.status, reply.text()),
    )
}

fn went(seen: &Value, path: &str, model: &str, paid: &str) -> Result {
    let found = [
        seen.get("path"),
        seen.pointer("/body/model"),
        seen.get("authorised_by"),
    ];
    let expected = [json!(path), json!(model), json!(paid)];
    ensure(found == expected.each_ref().map(Some), || {
        format!("{found:?} instead of {expected:?}")
    })
}

#[tokio::test]
async fn one_cloudflare_token_reaches_every_provider_once_somebody_chose_it() -> Result {
    let scene = Scene::set().await?;
    let said = scene.refused("gpt-4.1", 403, "provider_not_chosen").await?;
    ensure(said.contains("`sam`") && said.contains("`own-key`"), || {
        said
    })?;
    let chosen = scene.choose("sam").await?;
    ensure(
        (chosen.mode, chosen.chosen_by) == (Some(Mode::Sam), ChosenBy::Person),
        || format!("{chosen:?}"),
    )?;

    let gateway = "cf-aig-authorization";
    let at = |path: &str| format!("/v1/acc/sam/{path}");
    let (_, seen) = scene.answered(CHAT, &question(GEMMA)).await?;
    let workers = at("workers-ai/v1/chat/completions");
    went(&seen, &workers, GEMMA, "authorization")?;
    let (_, seen) = scene.answered(CHAT, &question("gpt-4.1")).await?;
    went(&seen, &at("openai/chat/completions"), "gpt-4.1", gateway)?;
    // What asks for whatever is configured gets the catalogue's default.
    let (_, seen) = scene.answered(CHAT, &question("sam")).await?;
    went(&seen, &workers, GEMMA, "authorization")?;
    let gemini = "google-ai-studio/gemini-3.5-flash";
    let (_, seen) = scene.answered(CHAT, &question(gemini)).await?;
    went(&seen, &at("compat/chat/completions"), gemini, gateway)?;
    let responses = json!({"model": "gpt-4.1-mini", "input": "Hello"});
    let (_, seen) = scene.answered(RESPONSES, &responses).await?;
    went(&seen, &at("openai/responses"), "gpt-4.1-mini", gateway)?;
    let mut messages = question("claude-haiku-4-5");
    messages["max_tokens"] = json!(100);
    let (reply, seen) = scene.answered(MESSAGES, &messages).await?;
    went(
        &seen,
        &at("anthropic/v1/messages"),
        "claude-haiku-4-5",
        gateway,
    )?;
    ensure(reply.header("x-sam-translated").is_none(), || reply.text())?;
    // A client that speaks otherwise is translated on the way.
    let (reply, seen) = scene.answered(CHAT, &question("claude-haiku-4-5")).await?;
    went(
        &seen,
        &at("anthropic/v1/messages"),
        "claude-haiku-4-5",
        gateway,
    )?;
    ensure(reply.header("x-sam-translated").is_some(), || reply.text())?;

    // The gateway keeps five ids of ours beside each request.
    let logs = "/client/v4/accounts/acc/ai-gateway/gateways/sam/logs?per_page=50";
    let base = scene.stack.gateway().model_url();
    let cloudflare = Client::new(base.trim_end_matches("/v1"))?.with_token(MODEL_KEY);
    let logged: Value = cloudflare.get(logs).await?.json()?;
    let metadata = logged.pointer("/result/0/metadata").and_then(Value::as_str);
    let metadata: serde_json::Map<String, Value> =
        serde_json::from_str(metadata.ok_or_else(|| failure(logged.to_string()))?)?;
    let names: Vec<&str> = metadata.keys().map(String::as_str).collect();
    let mut expected = ["project", "session", "task", "user", "workspace"];
    expected.sort_unstable();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    ensure(sorted == expected, || format!("{names:?}"))?;

    let listed: Value = scene.agent.get("/ai/v1/models").await?.json()?;
    let text = listed.to_string();
    ensure(listed.pointer("/data/0/id") == Some(&json!(GEMMA)), || {
        text.clone()
    })?;
    ensure(
        text.contains("gpt-4.1") && text.contains("claude-opus-5"),
        || text,
    )?;
    the_catalogue_is_administered(&scene).await?;
    the_doctor_names_what_is_wrong(&scene).await?;
    let mut scene = scene;
    scene.stack.stop_server()?;
    scene.stack.set("SAM_CLOUDFLARE_TOKEN", "another");
    scene.stack.start_server().await?;
    let found = scene.diagnose().await?;
    ensure(
        found == (false, vec!["cloudflare_token_refused".to_owned()]),
        || format!("{found:?}"),
    )
}

/// What administrators say of models holds at once.
async fn the_catalogue_is_administered(scene: &Scene) -> Result {
    let admin = &scene.admin;
    let change = |body: Value| async move { patch(admin, "/api/models", &body).await };
    scene
        .refused("gpt-6-preview", 404, "model_not_found")
        .await?;
    let refreshed: Refreshed = admin
        .post("/api/models/refresh", &json!({}))
        .await?
        .json()?;
    ensure(
        refreshed.added == ["gpt-6-preview"] && refreshed.unasked.is_empty(),
        || format!("{refreshed:?}"),
    )?;
    scene
        .refused("gpt-6-preview", 403, "model_not_enabled")
        .await?;
    let enable = json!({"id": "gpt-6-preview", "enabled": true});
    is(&change(enable.clone()).await?, 422, "model_not_priced")?;
    let priced = json!({
        "id": "gpt-6-preview", "enabled": true,
        "limits": {"context": 100_000, "output": 8_000, "image": 1_000},
        "prices": {"input": 1, "cached_input": 1, "cache_write": 1, "output": 2},
    });
    ensure(change(priced).await?.status == 200, || {
        "not priced".to_owned()
    })?;
    scene.answered(CHAT, &question("gpt-6-preview")).await?;

    let defaults = |id: &str| json!({"defaults": {"agent": id}});
    let path = "/api/models/defaults";
    ensure(
        put(admin, path, &defaults("gpt-6-preview")).await?.status == 200,
        || "no default".to_owned(),
    )?;
    let (_, seen) = scene.answered(CHAT, &question("sam")).await?;
    ensure(
        seen.pointer("/body/model") == Some(&json!("gpt-6-preview")),
        || seen.to_string(),
    )?;
    let ending = json!({"id": "gpt-6-preview", "deprecated_on": "2027-01-31"});
    ensure(change(ending).await?.status == 200, || {
        "not deprecated".to_owned()
    })?;
    // It can be named, and is nobody's default any more.
    scene.answered(CHAT, &question("gpt-6-preview")).await?;
    let (_, seen) = scene.answered(CHAT, &question("sam")).await?;
    ensure(seen.pointer("/body/model") == Some(&json!(GEMMA)), || {
        seen.to_string()
    })?;
    is(
        &put(admin, path, &defaults("gpt-6-preview")).await?,
        422,
        "model_not_a_default",
    )?;

    let list: ModelList = admin.get("/api/models").await?.json()?;
    let callable = |id: &str| {
        let view = list.models.iter().find(|view| view.model.id == id);
        view.map(|view| view.available.clone())
    };
    ensure(callable("gpt-4.1") == Some(vec![Mode::Sam]), || {
        format!("{list:?}")
    })
}

/// The doctor, and the script that mends what it finds.
async fn the_doctor_names_what_is_wrong(scene: &Scene) -> Result {
    let found = scene.diagnose().await?;
    ensure(found == (false, vec!["gateway_missing".to_owned()]), || {
        format!("{found:?}")
    })?;
    let base = scene.stack.gateway().model_url();
    let base = base.trim_end_matches("/v1");
    let configure = || -> Result<String> {
        let output = Command::new(programs::node())
            .arg(programs::root().join("scripts/deploy/configure-ai-gateway.mjs"))
            .args(["--account", "acc", "--api", &format!("{base}/client/v4")])
            .env("CLOUDFLARE_API_TOKEN", MODEL_KEY)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure(output.status.success() && !said.contains(MODEL_KEY), || {
            said.clone()
        })?;
        Ok(said)
    };
    let said = configure()?;
    ensure(said.contains("created"), || said)?;
    let found = scene.diagnose().await?;
    ensure(found == (true, vec![]), || format!("{found:?}"))?;

    let cloudflare = Client::new(base)?.with_token(MODEL_KEY);
    let one = "/client/v4/accounts/acc/ai-gateway/gateways/sam";
    let open = json!({
        "cache_invalidate_on_update": true, "cache_ttl": 0, "collect_logs": true,
        "rate_limiting_interval": 0, "rate_limiting_limit": 0, "authentication": false,
    });
    ensure(put(&cloudflare, one, &open).await?.status == 200, || {
        "not opened".to_owned()
    })?;
    let found = scene.diagnose().await?;
    ensure(
        found == (false, vec!["gateway_unauthenticated".to_owned()]),
        || format!("{found:?}"),
    )?;
    let said = configure()?;
    ensure(said.contains("updated"), || said)?;
    cloudflare
        .post("/control/unpaid", &json!({"provider": "openai"}))
        .await?;
    let found = scene.diagnose().await?;
    ensure(
        found == (false, vec!["provider_missing".to_owned()]),
        || format!("{found:?}"),
    )
}

#[tokio::test]
async fn an_own_key_pays_alone_and_is_never_told() -> Result {
    let mut scene = Scene::set().await?;
    let chosen = scene.choose("own-key").await?;
    ensure(chosen.mode == Some(Mode::OwnKey), || format!("{chosen:?}"))?;
    is(
        &put(
            &scene.admin,
            "/api/agents/sam-harness/provider",
            &json!({"mode": "own-login"}),
        )
        .await?,
        422,
        "provider_not_offered",
    )?;
    // Without a key nothing is sent, although the installation could pay.
    scene.refused("gpt-4.1", 403, "own_key_missing").await?;

    let path = "/api/credentials/openai";
    let store = |body: Value| {
        let admin = scene.admin.clone();
        async move { put(&admin, path, &body).await }
    };
    let wrong: CredentialView = store(json!({"key": "sk-wrong"})).await?.json()?;
    ensure(
        wrong.check == KeyCheck::Refused && wrong.warning.is_some(),
        || format!("{wrong:?}"),
    )?;
    let reply = scene.ask("gpt-4.1").await?;
    ensure(
        reply.status == 502 && reply.text().contains("upstream_refused_key"),
        || reply.text(),
    )?;
    let reply = store(json!({"key": PROVIDER_KEY})).await?;
    ensure(!reply.text().contains(PROVIDER_KEY), || {
        "the key came back".to_owned()
    })?;
    let stored: CredentialView = reply.json()?;
    ensure(
        stored.check == KeyCheck::Accepted && stored.id == wrong.id && stored.key_id == "secret",
        || format!("{stored:?}"),
    )?;
    let (_, seen) = scene.answered(CHAT, &question("gpt-4.1")).await?;
    let openai = "/v1/acc/sam/openai/chat/completions";
    went(&seen, openai, "gpt-4.1", "authorization")?;
    scene.refused(GEMMA, 403, "own_key_missing").await?;
    let reply = scene.admin.get("/api/credentials").await?;
    let list: CredentialList = reply.json()?;
    ensure(
        list.credentials.len() == 1 && !reply.text().contains(PROVIDER_KEY),
        || reply.text(),
    )?;

    // One that is switched off blocks; a project's comes first.
    store(json!({"active": false})).await?;
    scene.refused("gpt-4.1", 403, "key_switched_off").await?;
    store(json!({"active": true})).await?;
    scene.answered(CHAT, &question("gpt-4.1")).await?;
    let of_project = format!("/api/projects/{}/credentials/openai", scene.project);
    let off = json!({"key": PROVIDER_KEY, "active": false});
    ensure(
        put(&scene.admin, &of_project, &off).await?.status == 200,
        || "refused".to_owned(),
    )?;
    scene.refused("gpt-4.1", 403, "key_switched_off").await?;
    let request = scene.admin.request(Method::DELETE, &of_project);
    ensure(scene.admin.send(request).await?.status == 200, || {
        "not removed".to_owned()
    })?;
    scene.answered(CHAT, &question("gpt-4.1")).await?;

    it_is_under_ones_own_limits_alone(&scene).await?;
    addresses_are_public(&scene).await?;
    the_key_is_moved_to_a_new_one(&mut scene).await
}

/// What one's own key pays is counted, takes nothing of the money that an administrator allows, and is
/// held by the limits that one set oneself.
async fn it_is_under_ones_own_limits_alone(scene: &Scene) -> Result {
    let me: UserView = scene.admin.get("/api/auth/me").await?.json()?;
    let allowance = format!("/api/admin/budgets/{}", me.id);
    let of = async |path: &str, limits: Value| -> Result<BudgetView> {
        put(&scene.admin, path, &limits).await?.json()
    };
    // A millionth of a dollar, which is less than any call may cost.
    of(&allowance, json!({"monthly_cost": 1})).await?;
    let (_, seen) = scene.answered(CHAT, &question("gpt-4.1")).await?;
    ensure(seen.pointer("/body/max_tokens").is_none(), || {
        "nothing bounds it, and yet it was bounded".to_owned()
    })?;
    let counted = wait_until("the call is counted", PATIENCE, || async {
        let budget: BudgetView = scene.admin.get("/api/budgets").await?.json()?;
        Ok(Some(budget).filter(|budget| budget.monthly_cost.spent > 0))
    })
    .await?;
    ensure(counted.daily_tokens.spent > 0, || format!("{counted:?}"))?;
    // The installation's money is what is limited.
    scene.choose("sam").await?;
    let said = scene.refused("gpt-4.1", 429, "monthly_cost").await?;
    ensure(said.contains("limit of $0.000001"), || said)?;
    // And one's own limits hold for both.
    scene.choose("own-key").await?;
    for limits in [json!({"monthly_cost": 1}), json!({"daily_tokens": 10})] {
        of("/api/budgets", limits.clone()).await?;
        let said = scene.refused("gpt-4.1", 429, "insufficient_quota").await?;
        ensure(said.contains("\"holder\":\"person\""), || said)?;
    }
    of("/api/budgets", json!({})).await?;
    let project = format!("/api/projects/{}/budget", scene.project);
    of(&project, json!({"daily_tokens": 10})).await?;
    let said = scene.refused("gpt-4.1", 429, "insufficient_quota").await?;
    ensure(said.contains("\"holder\":\"project\""), || said)?;
    of(&project, json!({})).await?;
    of(&allowance, json!({})).await?;
    scene.answered(CHAT, &question("gpt-4.1")).await?;
    Ok(())
}

/// Somebody's own endpoint is public, or an administrator's on this machine.
async fn addresses_are_public(scene: &Scene) -> Result {
    let ben = Person::invited(&scene.stack, "Ben").await?;
    ben.becomes(&scene.admin, &scene.project, ProjectRole::Maintainer)
        .await?;
    let path = "/api/credentials/custom";
    let of_project = format!("/api/projects/{}/credentials/custom", scene.project);
    let at = |url: &str| json!({"key": "k", "endpoint": {"url": url}});
    for url in [
        "https://169.254.169.254/v1",
        "https://2852039166/v1",
        "https://[::ffff:10.0.0.1]/v1",
        "https://0xa000001/v1",
        // 10.1 in wide digits.
        "https://\u{ff11}\u{ff10}.1/v1",
        "https://metadata.google.internal/v1",
        "http://example.com/v1",
        "http://127.0.0.1:1/v1",
        "http://localhost:1/v1",
    ] {
        for place in [path, &of_project] {
            is(
                &put(&ben.client, place, &at(url)).await?,
                422,
                "address_refused",
            )?;
        }
        let admins = put(&scene.admin, path, &at(url)).await?;
        let loopback = url.contains("127.0.0.1") || url.contains("localhost");
        ensure(loopback == (admins.status == 200), || {
            format!("{url}: {}", admins.text())
        })?;
    }
    let own = scene.stack.gateway().model_url();
    let endpoint = json!({"key": MODEL_KEY, "endpoint": {"url": own, "dialects": ["messages"]}});
    let stored: CredentialView = put(&scene.admin, path, &endpoint).await?.json()?;
    ensure(stored.check == KeyCheck::Accepted, || format!("{stored:?}"))?;
    let (_, seen) = scene.answered(CHAT, &question("scripted")).await?;
    went(&seen, "/v1/messages", "scripted", "authorization")?;
    redirects_are_not_followed(scene, &own).await?;
    // A key that was given for one address is not sent to another.
    let moved = json!({"endpoint": {"url": "https://example.com/v1"}});
    is(&put(&scene.admin, path, &moved).await?, 422, "key_required")
}

/// An endpoint that answers with a redirect gets its key and nobody else does.
async fn redirects_are_not_followed(scene: &Scene, target: &str) -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {target}/chat/completions\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    );
    let redirecting = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 8192];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let path = "/api/credentials/custom";
    let body = json!({"key": MODEL_KEY, "endpoint": {"url": url}});
    let stored: CredentialView = put(&scene.admin, path, &body).await?.json()?;
    ensure(stored.check == KeyCheck::Unknown, || format!("{stored:?}"))?;
    let refused = scene.refused("scripted", 502, "upstream_unreachable").await;
    redirecting.abort();
    refused.map(|_| ())
}

/// A new encryption key takes over what is stored, and the old one is needed no more.
async fn the_key_is_moved_to_a_new_one(scene: &mut Scene) -> Result {
    let login = "/api/agents/codex/login";
    let file =
        json!({"tokens": {"access_token": "access-canary", "refresh_token": "refresh-canary"}});
    let stored = put(&scene.admin, login, &json!({"login": file.to_string()})).await?;
    ensure(stored.status == 200, || stored.text())?;
    scene.stack.stop_server()?;
    for secret in [PROVIDER_KEY, "access-canary", "refresh-canary"] {
        let held = files_with(&scene.stack.state_directory(), secret.as_bytes())?;
        ensure(held.is_empty(), || format!("{secret} lies in {held:?}"))?;
    }
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    scene.stack.set("SAM_CREDENTIAL_KEYS", &format!("k1:{key}"));
    scene.stack.start_server().await?;
    scene.node.relink().await?;
    let rotate = || async {
        let reply = scene
            .admin
            .post("/api/admin/rotate-key", &json!({}))
            .await?;
        reply.json::<Rotated>()
    };
    let rotated = rotate().await?;
    ensure(
        (rotated.key_id.as_str(), rotated.moved, rotated.already) == ("k1", 3, 0),
        || format!("{rotated:?}"),
    )?;
    let again = rotate().await?;
    ensure((again.moved, again.already) == (0, 3), || {
        format!("{again:?}")
    })?;
    let (_, seen) = scene.answered(CHAT, &question("gpt-4.1")).await?;
    ensure(
        seen.get("authorised_by") == Some(&json!("authorization")),
        || seen.to_string(),
    )
}

/// A task is called by its first line, and better once a model was asked: by whom the choice for
/// its agent has pay, within the budgets, and never in the task's way.
#[tokio::test]
async fn a_model_names_a_task_and_its_first_line_stays_where_none_can() -> Result {
    const LINE: &str = "Please repair the late fee in this library";
    const NAME: &str = "Repair late fee library";
    let scene = &Scene::set().await?;
    let watcher = &Follower::start(&scene.admin, &scene.project);
    let submit = |key: &'static str| async move {
        let prompt = format!("{LINE}\nIt is wrong by a day.");
        let task = json!({"prompt": prompt, "agent": "sam-harness"});
        scene.stack.submit(&scene.project, key, &task).await
    };
    let called = |task: TaskId, title: &'static str| async move {
        let holds = |held: &Held| {
            let shown = held.tasks.get(&task)?;
            let session = held.sessions.get(&shown.session)?;
            (shown.title == title && session.title == title).then_some(())
        };
        watcher.until(title, PATIENCE, holds).await
    };

    // Nobody chose who pays.
    let unpaid = submit("unpaid").await?;
    called(unpaid.task.clone(), LINE).await?;
    scene.choose("sam").await?;
    let named = submit("named").await?;
    called(named.task.clone(), NAME).await?;
    let (asked, count) = scene.seen().await?;
    let path = "/v1/acc/sam/workers-ai/v1/chat/completions";
    went(&asked, path, GEMMA, "authorization")?;
    ensure(
        count == 1 && asked.pointer("/body/max_tokens") == Some(&json!(512)),
        || asked.to_string(),
    )?;
    // The call is the task's, as each of its agent's is.
    let usage = format!("/api/tasks/{}/usage", named.task);
    wait_until("the call is recorded", PATIENCE, || async {
        let usage: UsageSummary = scene.admin.get(&usage).await?.json()?;
        Ok((usage.calls == 1 && usage.output_tokens > 0).then_some(()))
    })
    .await?;

    // The model fails once.
    let failing = json!({"kind": "status", "status": 500, "times": 1});
    scene.stack.gateway().fault(&failing).await?;
    let failed = submit("failed").await?;
    wait_until("the model was asked", PATIENCE, || async {
        Ok((scene.seen().await?.1 > 1).then_some(()))
    })
    .await?;
    let later = submit("later").await?;
    called(later.task, NAME).await?;

    let limits = json!({"daily_tokens": 1});
    let limited = put(&scene.admin, "/api/budgets", &limits).await?;
    ensure(limited.status == 200, || limited.text())?;
    let refused = submit("refused").await?;
    for task in [unpaid, failed, refused] {
        called(task.task, LINE).await?;
    }
    let (_, count) = scene.seen().await?;
    ensure(count == 3, || format!("{count} requests"))
}

/// Files below a directory that contain these bytes.
fn files_with(directory: &Path, bytes: &[u8]) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes)?);
        } else if std::fs::read(&path)
            .is_ok_and(|held| held.windows(bytes.len()).any(|window| window == bytes))
        {
            found.push(path);
        }
    }
    Ok(found)
}
