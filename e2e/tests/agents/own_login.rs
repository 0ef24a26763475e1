//! A person's subscription login: kept, refreshed, and given to its own agent. Against a stand-in for
//! the providers' token endpoints that takes a used refresh token for theft, as they do.

use std::process::Command;

use futures::future::join_all;
use reqwest::Method;
use sam_domain::access::wire::ProjectRole;
use sam_domain::conversation::row::Author;
use sam_domain::id::WorkspaceId;
use sam_domain::login::keeper::Problem;
use sam_domain::login::wire::{LoginView, WorkspaceLogin};
use sam_domain::provider::Mode;
use sam_domain::provider::wire::{AgentProvider, AgentProviders};
use sam_domain::task::TaskState;
use sam_e2e::conversation::{PATIENCE, texts};
use sam_e2e::node::ScriptedNode;
use sam_e2e::process::Process;
use sam_e2e::{
    Client, Person, Reply, Result, Stack, StackOptions, Work, ensure, failure, programs, wait_until,
};
use serde_json::{Value, json};

/// A stack, and the stand-in at which its logins are refreshed.
struct Scene {
    stack: Stack,
    admin: Client,
    provider: Client,
    url: String,
    _process: Process,
    _logs: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Result<Self> {
        let logs = tempfile::tempdir()?;
        let mut command = Command::new(programs::native("sam-sims")?);
        command.arg("logins");
        let mut process = Process::start("logins", command, logs.path())?;
        let said = process.listening(PATIENCE)?;
        let url = said.get("listening").and_then(Value::as_str);
        let url = url.ok_or_else(|| failure("no address"))?.to_owned();
        let settings = [
            ("SAM_CODEX_TOKEN_URL", format!("{url}/codex/oauth/token")),
            (
                "SAM_CLAUDE_TOKEN_URL",
                format!("{url}/claude/v1/oauth/token"),
            ),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        let stack = Stack::start_with(StackOptions {
            settings: settings.into(),
            ..StackOptions::default()
        })
        .await?;
        Ok(Self {
            admin: stack.admin()?.clone(),
            provider: Client::new(&url)?,
            stack,
            url,
            _process: process,
            _logs: logs,
        })
    }

    /// Signs in at the provider: the family of its tokens, of which the first and those that follow
    /// live for so many seconds, and the agent's login file.
    async fn sign_in(&self, agent: &str, lifetimes: (u64, u64)) -> Result<(u64, String)> {
        let (lifetime_s, then_s) = lifetimes;
        let asked = json!({"agent": agent, "lifetime_s": lifetime_s, "then_s": then_s});
        let issued: Value = self.provider.post("/control/issue", &asked).await?.json()?;
        let family = issued.get("family").and_then(Value::as_u64);
        let login = issued.get("login").map(Value::to_string);
        Ok((family.unwrap_or_default(), login.unwrap_or_default()))
    }

    async fn store(&self, agent: &str, login: &str) -> Result<LoginView> {
        let path = format!("/api/agents/{agent}/login");
        let reply = put(&self.admin, &path, &json!({"login": login})).await?;
        ensure(!reply.text().contains("sims"), || reply.text())?;
        reply.json()
    }

    async fn choose_own_login(&self, agent: &str) -> Result {
        let path = format!("/api/agents/{agent}/provider");
        let chosen = put(&self.admin, &path, &json!({"mode": "own-login"})).await?;
        let chosen: AgentProvider = chosen.json()?;
        ensure(chosen.mode == Some(Mode::OwnLogin), || {
            format!("{chosen:?}")
        })
    }

    /// What a person sees of their login.
    async fn seen(&self, agent: &str) -> Result<LoginView> {
        let reply = self.admin.get("/api/agents").await?;
        ensure(!reply.text().contains("-sims-"), || reply.text())?;
        let list: AgentProviders = reply.json()?;
        let found = list.agents.into_iter().find(|it| it.agent == agent);
        found
            .and_then(|it| it.login)
            .ok_or_else(|| failure("no login"))
    }

    /// What the provider saw of a family: how often it was refreshed, and how often with a used token.
    async fn family(&self, family: u64) -> Result<(u64, u64)> {
        let path = format!("/control/family/{family}");
        let seen: Value = self.provider.get(&path).await?.json()?;
        let count = |name: &str| seen.get(name).and_then(Value::as_u64).unwrap_or_default();
        Ok((count("refreshed"), count("reused")))
    }

    async fn set_provider(&self, settings: Value) -> Result {
        let reply = self.provider.post("/control/set", &settings).await?;
        ensure(reply.status == 200, || reply.text())
    }

    /// A workspace whose agent is this one, on a machine of its person's.
    async fn workspace(&self, agent: &str) -> Result<(ScriptedNode, WorkspaceId)> {
        let mut node = ScriptedNode::join(&self.stack, agent).await?;
        let project = self.stack.create_project("/nowhere").await?.id;
        let task = json!({"prompt": "hello", "agent": agent});
        self.stack.submit(&project, agent, &task).await?;
        let prompt = node.play_to_prompt().await?;
        Ok((node, prompt.workspace))
    }

    /// Asks for a workspace's login as its machine does.
    async fn ask(&self, node: &ScriptedNode, workspace: &WorkspaceId) -> Result<Reply> {
        let machine = self.stack.anyone()?.with_token(&node.token);
        let path = format!("/api/nodes/{}/logins", node.node);
        machine.post(&path, &json!({"workspace": workspace})).await
    }
}

async fn put(client: &Client, path: &str, body: &Value) -> Result<Reply> {
    let request = client.request(Method::PUT, path).json(body);
    client.send(request).await
}

fn refused(reply: &Reply, status: u16, code: &str) -> Result {
    ensure(
        (reply.status, reply.code().as_str()) == (status, code),
        || format!("{}: {} instead of {code}", reply.status, reply.text()),
    )
}

/// The access token and the rest of what a machine was given.
fn given(reply: &Reply) -> Result<(String, String)> {
    let login: WorkspaceLogin = reply.json()?;
    let text = login.file.ok_or_else(|| failure("no login was given"))?;
    let file: Value = serde_json::from_str(&text)?;
    let token = file.pointer("/claudeAiOauth/accessToken");
    let token = token.or_else(|| file.pointer("/tokens/access_token"));
    let token = token.and_then(Value::as_str).unwrap_or_default().to_owned();
    ensure(!token.is_empty() && !text.contains("refresh-sims"), || {
        "a refresh token left the control plane".to_owned()
    })?;
    Ok((token, text))
}

#[tokio::test]
async fn many_that_ask_at_once_have_one_refresh_and_the_token_before_lives_on() -> Result {
    let scene = Scene::set().await?;
    let path = "/api/agents/claude-code/provider";
    let nobody = put(
        &scene.admin,
        "/api/agents/goose/provider",
        &json!({"mode": "own-login"}),
    )
    .await?;
    refused(&nobody, 422, "provider_not_offered")?;
    let everybody = "/api/admin/agents/claude-code/provider";
    let everybody = put(&scene.admin, everybody, &json!({"mode": "own-login"})).await?;
    refused(&everybody, 422, "provider_not_offered")?;
    let key = put(
        &scene.admin,
        "/api/agents/codex/login",
        &json!({"login": "{\"OPENAI_API_KEY\":\"sk-1\"}"}),
    )
    .await?;
    refused(&key, 422, "not_a_login")?;

    on_somebody_elses_machine(&scene).await?;
    let (node, workspace) = scene.workspace("claude-code").await?;
    // Nobody has chosen it: nothing is given, although one is stored.
    let (family, login) = scene.sign_in("claude-code", (6, 3600)).await?;
    let stored = scene.store("claude-code", &login).await?;
    ensure(stored.renewable && stored.needs_sign_in.is_none(), || {
        format!("{stored:?}")
    })?;
    let reply = scene.ask(&node, &workspace).await?;
    let none: WorkspaceLogin = reply.json()?;
    ensure(none.file.is_none(), || "given unasked".to_owned())?;
    scene.choose_own_login("claude-code").await?;
    // Model calls of such an agent do not come here, and cost the installation nothing.
    let tokens = node.tokens(&workspace).await?;
    let model = scene.stack.anyone()?.with_token(&tokens.model_token);
    let call = json!({"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    let reply = model.post("/ai/anthropic/v1/messages", &call).await?;
    ensure(
        reply.status == 403 && reply.text().contains("of its own"),
        || reply.text(),
    )?;

    // Once half of its time is over it is refreshed, by one of those who ask.
    scene.set_provider(json!({"slow_ms": 300})).await?;
    wait_until("a refresh", PATIENCE, || async {
        let both = join_all([scene.ask(&node, &workspace), scene.ask(&node, &workspace)]).await;
        let mut new = false;
        for reply in both {
            let (token, _) = given(&reply?)?;
            ensure(token.ends_with("-0") || token.ends_with("-1"), || {
                token.clone()
            })?;
            new |= token.ends_with("-1");
        }
        Ok(new.then_some(()))
    })
    .await?;
    ensure(scene.family(family).await? == (1, 0), || {
        "not refreshed once".to_owned()
    })?;

    // One whose token is over: all wait for one refresh. A provider that fails refuses nothing.
    let (family, login) = scene.sign_in("claude-code", (0, 3600)).await?;
    scene.store("claude-code", &login).await?;
    let asked = (0..20).map(|_| scene.ask(&node, &workspace));
    for reply in join_all(asked).await {
        let (token, _) = given(&reply?)?;
        ensure(token.ends_with("-1"), || token)?;
    }
    ensure(scene.family(family).await? == (1, 0), || {
        "not refreshed once".to_owned()
    })?;
    scene.set_provider(json!({"failing": 503})).await?;
    let (family, login) = scene.sign_in("claude-code", (0, 3600)).await?;
    scene.store("claude-code", &login).await?;
    for _ in 0..2 {
        let reply = scene.ask(&node, &workspace).await?;
        refused(&reply, 503, "login_not_refreshed")?;
    }
    ensure(scene.family(family).await? == (0, 0), || {
        "it was refreshed".to_owned()
    })?;

    // Signed out: the token in hand is given until it ends, and then nothing.
    scene.set_provider(json!({})).await?;
    let (family, login) = scene.sign_in("claude-code", (4, 4)).await?;
    scene.store("claude-code", &login).await?;
    scene.set_provider(json!({"end": family})).await?;
    let over = wait_until("the token to end", PATIENCE, || async {
        let reply = scene.ask(&node, &workspace).await?;
        if reply.status != 200 {
            return Ok(Some(reply));
        }
        let (token, _) = given(&reply)?;
        ensure(token.ends_with("-0"), || token)?;
        Ok(None)
    });
    refused(&over.await?, 403, "login_needs_sign_in")?;
    let seen = scene.seen("claude-code").await?;
    ensure(seen.needs_sign_in == Some(Problem::Refused), || {
        format!("{seen:?}")
    })?;
    let removed = scene
        .admin
        .request(Method::DELETE, "/api/agents/claude-code/login");
    ensure(scene.admin.send(removed).await?.status == 200, || {
        "not removed".to_owned()
    })?;
    refused(&scene.ask(&node, &workspace).await?, 403, "login_missing")?;
    let back = put(&scene.admin, path, &json!({"mode": null})).await?;
    ensure(back.status == 200, || back.text())
}

/// A login is given to machines of its person's alone.
async fn on_somebody_elses_machine(scene: &Scene) -> Result {
    let ben = Person::invited(&scene.stack, "Ben").await?;
    let (family, login) = scene.sign_in("codex", (0, 3600)).await?;
    scene.store("codex", &login).await?;
    scene.choose_own_login("codex").await?;
    let mut node = ScriptedNode::join_as(&ben.client, "bens", 4).await?;
    let project = scene.stack.create_project("/nowhere").await?.id;
    ben.becomes(&scene.admin, &project, ProjectRole::Contributor)
        .await?;
    let share = format!("/api/nodes/{}/shares/{project}", node.node);
    let shared = put(&ben.client, &share, &json!({})).await?;
    ensure(shared.status == 200, || shared.text())?;
    let task = json!({"prompt": "hello", "agent": "codex"});
    scene.stack.submit(&project, "bens", &task).await?;
    let prompt = node.play_to_prompt().await?;
    let reply = scene.ask(&node, &prompt.workspace).await?;
    refused(&reply, 403, "login_stays_home")?;
    ensure(scene.family(family).await? == (0, 0), || {
        "it was refreshed".to_owned()
    })
}

/// What the agent said last of what it found.
async fn found(work: &Work) -> Result<Value> {
    let rows = work.rows().await?;
    let said = texts(&rows, Author::Agent);
    let last = said.last().ok_or_else(|| failure("it said nothing"))?;
    Ok(serde_json::from_str(&last.text)?)
}

#[tokio::test]
async fn an_agent_works_with_its_persons_login_until_it_is_no_good_any_more() -> Result {
    let mut scene = Scene::set().await?;
    let folder = scene.stack.directory().join("agents");
    let folder = programs::scripted_agent(&folder, "codex-acp", "e2e/tests/agents/signed_in.mjs")?;
    scene.stack.start_node("machine", &[&folder]).await?;
    scene.choose_own_login("codex").await?;
    let repository = sam_e2e::repository::sample(scene.stack.directory(), "own-login")?;
    let task = |prompt: String| json!({"prompt": prompt, "agent": "codex", "mode": "conversation"});
    let lives = format!("lives {}/whoami", scene.url);
    let repository = repository.to_string_lossy();
    let work = Work::begin(&scene.stack, &repository, &task(lives.clone())).await?;
    let view = work.until(TaskState::Failed).await?;
    let code = |view: &sam_domain::task::TaskView| {
        let failure = view.failure.as_ref();
        failure.map(|it| it.code.clone()).unwrap_or_default()
    };
    ensure(code(&view) == "login_missing", || format!("{view:?}"))?;

    let (family, login) = scene.sign_in("codex", (12, 12)).await?;
    scene.store("codex", &login).await?;
    let mut work = Work::begin(&scene.stack, &repository, &task(lives)).await?;
    work.until(TaskState::AwaitingInput).await?;
    let first = found(&work).await?;
    let expected = json!({
        "status": 200, "generation": first["generation"], "mode": "600", "refresh_token": "",
        "account_id": "account-sims", "members": ["OPENAI_API_KEY", "last_refresh"],
        "variables": [],
        "config": {
            "model_reasoning_effort": "medium", "sandbox_mode": "danger-full-access",
            "approval_policy": "never",
        },
    });
    ensure(first == expected, || {
        format!("{first} instead of {expected}")
    })?;
    // It goes on with a newer token than it was started with, and never starts again.
    let next = first["generation"].as_u64().unwrap_or_default() + 2;
    work.say(&format!("until {next} {}/whoami", scene.url))
        .await?;
    let renewed = wait_until("a newer token", PATIENCE, || async {
        let found = found(&work).await?;
        Ok((found["generation"].as_u64() >= Some(next)).then_some(found))
    });
    ensure(renewed.await?["status"] == 200, || "not good".to_owned())?;
    let (refreshed, reused) = scene.family(family).await?;
    ensure(refreshed >= next && reused == 0, || {
        format!("{refreshed} {reused}")
    })?;

    // Signed out elsewhere: in the middle of a turn the task fails, and says what to do.
    work.until(TaskState::AwaitingInput).await?;
    work.end("cancel").await?;
    let task = json!({"prompt": format!("until 1000 {}/whoami", scene.url), "agent": "codex"});
    let work = Work::begin(&scene.stack, &repository, &task).await?;
    work.until(TaskState::Running).await?;
    scene.set_provider(json!({"end": family})).await?;
    let view = work.until(TaskState::Failed).await?;
    let told = work.told().await;
    ensure(
        code(&view) == "login_needs_sign_in"
            && format!("{view:?}").contains("sam agent login codex"),
        || format!("{view:?}\n{told}"),
    )?;
    let seen = scene.seen("codex").await?;
    ensure(seen.needs_sign_in == Some(Problem::Refused), || {
        format!("{seen:?}")
    })?;
    ensure(!told.contains("sims-"), || told)?;
    scene.stack.until_quiet("machine").await
}
