//! Signing in with GitHub: the OAuth web flow against a stand-in that speaks it over a real socket.

use std::process::Command;

use reqwest::Method;
use sam_domain::access::wire::{AuditList, PersonList, SetupStatus, UserView};
use sam_e2e::process::Process;
use sam_e2e::{Client, Reply, Result, Stack, StackOptions, ensure, failure, programs};
use serde_json::{Value, json};

use crate::{PATIENCE, answered};

pub(crate) const SECRET: &str = "github-secret-canary";

/// The stand-in, and a control plane beside it.
pub(crate) struct GithubApp {
    pub(crate) stack: Stack,
    github: Client,
    _process: Process,
    _logs: tempfile::TempDir,
}

/// A control plane that knows its app.
async fn known(sign_up: &str) -> Result<GithubApp> {
    app(&[
        ("SAM_GITHUB_CLIENT_ID", "sam-app"),
        ("SAM_GITHUB_CLIENT_SECRET", SECRET),
        ("SAM_SIGN_UP", sign_up),
    ])
    .await
}

/// A control plane with these settings that finds the stand-in where GitHub is.
pub(crate) async fn app(settings: &[(&str, &str)]) -> Result<GithubApp> {
    let logs = tempfile::tempdir()?;
    let mut command = Command::new(programs::native("sam-sims")?);
    command
        .args(["github", "--client-id", "sam-app"])
        .env("SAM_SIMS_GITHUB_SECRET", SECRET);
    let mut process = Process::start("github", command, logs.path())?;
    let said = process.listening(PATIENCE)?;
    let url = said
        .get("listening")
        .and_then(|url| url.as_str())
        .ok_or_else(|| failure("the stand-in does not say where it listens"))?
        .to_owned();
    let places = [
        ("SAM_GITHUB_URL", url.as_str()),
        ("SAM_GITHUB_API_URL", &url),
    ];
    let options = StackOptions {
        settings: settings
            .iter()
            .chain(&places)
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..StackOptions::default()
    };
    Ok(GithubApp {
        stack: Stack::start_with(options).await?,
        github: Client::new(&url)?,
        _process: process,
        _logs: logs,
    })
}

impl GithubApp {
    async fn is(&self, person: &Value) -> Result {
        answered(&self.github.post("/control/person", person).await?, 200)
    }

    /// Goes the whole way with a browser and returns the last answer.
    async fn sign_in(&self, browser: &mut Browser) -> Result<Reply> {
        let out = browser
            .get("/api/auth/github/start?back=/nodes?x=1")
            .await?;
        let there = self.github.get(&path_of(location(&out)?)?).await?;
        browser.get(&path_of(location(&there)?)?).await
    }
}

/// A client that keeps cookies, as browsers do.
struct Browser {
    client: Client,
    cookies: Vec<(String, String)>,
}

impl Browser {
    fn new(client: Client) -> Self {
        Self {
            client,
            cookies: Vec::new(),
        }
    }

    async fn get(&mut self, path: &str) -> Result<Reply> {
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let client = self.client.with_header("cookie", &pairs.join("; "));
        let reply = client.send(client.request(Method::GET, path)).await?;
        for set in reply.headers.get_all("set-cookie") {
            let text = set.to_str()?;
            ensure(
                text.contains("HttpOnly") && text.contains("SameSite=Lax"),
                || text.to_owned(),
            )?;
            let pair = text.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap_or_default();
            self.cookies.retain(|(held, _)| held != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(reply)
    }

    async fn me(&mut self) -> Result<UserView> {
        self.get("/api/auth/me").await?.json()
    }
}

fn location(reply: &Reply) -> Result<&str> {
    reply
        .header("location")
        .ok_or_else(|| failure(format!("no redirect: {} {}", reply.status, reply.text())))
}

/// The path and query of an address.
fn path_of(address: &str) -> Result<String> {
    let rest = address.split_once("://").map(|(_, rest)| rest);
    let path = rest.and_then(|rest| rest.find('/').and_then(|at| rest.get(at..)));
    path.map(str::to_owned)
        .ok_or_else(|| failure(format!("no path in {address}")))
}

fn came_back(reply: &Reply, to: &str) -> Result {
    ensure(reply.status == 302 && location(reply)? == to, || {
        format!(
            "{} to {:?} instead of {to}",
            reply.status,
            reply.header("location")
        )
    })
}

#[tokio::test]
async fn a_person_signs_in_with_github_once_the_account_is_theirs() -> Result {
    let scene = known("invite").await?;
    let anyone = scene.stack.anyone()?;
    let status: SetupStatus = anyone.get("/api/setup/status").await?.json()?;
    ensure(status.github, || format!("{status:?}"))?;

    // A stranger is not let in.
    let mut browser = Browser::new(anyone.clone());
    came_back(
        &scene.sign_in(&mut browser).await?,
        "/sign-in?refused=not_invited",
    )?;
    ensure(browser.cookies.is_empty(), || {
        format!("{:?}", browser.cookies)
    })?;

    // Who is signed in links the account, and then comes in with it.
    let link: Value = scene
        .stack
        .admin()?
        .post("/api/auth/sign-in-links", &json!({}))
        .await?
        .json()?;
    let secret = link["url"].as_str().and_then(|url| url.split('#').nth(1));
    let reply = anyone
        .post("/api/auth/link-login", &json!({"link": secret}))
        .await?;
    let cookie = reply.header("set-cookie").unwrap_or_default().to_owned();
    let session = cookie
        .split(';')
        .next()
        .and_then(|pair| pair.split_once('='));
    let (name, value) = session.ok_or_else(|| failure("no cookie"))?;
    browser.cookies.push((name.to_owned(), value.to_owned()));
    came_back(&scene.sign_in(&mut browser).await?, "/nodes?x=1#signed-in")?;
    let mut other = Browser::new(anyone.clone());
    came_back(&scene.sign_in(&mut other).await?, "/nodes?x=1#signed-in")?;
    ensure(other.me().await? == browser.me().await?, || {
        "another person".to_owned()
    })?;

    // The way back is good for the browser that set out, once, with its own state.
    let mut victim = Browser::new(anyone.clone());
    let mut attacker = Browser::new(anyone.clone());
    let out = attacker.get("/api/auth/github/start").await?;
    let there = scene.github.get(&path_of(location(&out)?)?).await?;
    let back = path_of(location(&there)?)?;
    let not_here = "/sign-in?refused=sign_in_not_begun_here";
    came_back(&victim.get(&back).await?, not_here)?;
    victim.get("/api/auth/github/start").await?;
    came_back(&victim.get(&back).await?, not_here)?;
    came_back(&attacker.get(&back).await?, "/#signed-in")?;
    came_back(&attacker.get(&back).await?, not_here)?;

    // It leads nowhere but to pages of ours.
    for elsewhere in [
        "//evil.example/x",
        "https://evil.example/x",
        "/%5Cevil.example",
        "nodes",
    ] {
        let mut browser = Browser::new(anyone.clone());
        let out = browser
            .get(&format!("/api/auth/github/start?back={elsewhere}"))
            .await?;
        let there = scene.github.get(&path_of(location(&out)?)?).await?;
        let reply = browser.get(&path_of(location(&there)?)?).await?;
        came_back(&reply, "/#signed-in")?;
    }

    // Who says no there is not signed in here.
    scene.is(&Value::Null).await?;
    let mut browser = Browser::new(anyone);
    came_back(
        &scene.sign_in(&mut browser).await?,
        "/sign-in?refused=github_said_no",
    )
}

#[tokio::test]
async fn new_people_wait_until_an_administrator_lets_them_in() -> Result {
    let scene = known("approval").await?;
    let anyone = scene.stack.anyone()?;
    scene
        .is(&json!({"id": 7, "login": "olga", "name": "Olga"}))
        .await?;
    let mut browser = Browser::new(anyone.clone());
    let waits = "/sign-in?refused=waits_for_approval";
    let shut_out = "/sign-in?refused=account_shut_out";
    // Coming again makes nobody else of them.
    came_back(&scene.sign_in(&mut browser).await?, waits)?;
    came_back(&scene.sign_in(&mut browser).await?, waits)?;

    let admin = scene.stack.admin()?;
    let people: PersonList = admin.get("/api/people").await?.json()?;
    let olga = people.people.iter().find(|one| one.name == "Olga");
    let olga = olga.ok_or_else(|| failure(format!("{people:?}")))?;
    ensure(
        olga.suspended_at.is_some() && olga.waits_since.is_some() && people.people.len() == 2,
        || format!("{people:?}"),
    )?;
    let path = format!("/api/people/{}", olga.id);
    let change = admin.request(Method::PATCH, &path);
    answered(
        &admin
            .send(change.json(&json!({"suspended": false})))
            .await?,
        200,
    )?;

    // The account's id counts, not its name.
    scene.is(&json!({"id": 7, "login": "olga-renamed"})).await?;
    came_back(&scene.sign_in(&mut browser).await?, "/nodes?x=1#signed-in")?;
    ensure(browser.me().await?.id == olga.id, || {
        "another person".to_owned()
    })?;

    // Who was removed does not come back as somebody new.
    answered(&crate::delete(admin, &path).await?, 200)?;
    came_back(&scene.sign_in(&mut browser).await?, shut_out)?;

    // Who is declined never was in, and does not wait again.
    scene.is(&json!({"id": 8, "login": "eve"})).await?;
    let mut browser = Browser::new(anyone);
    came_back(&scene.sign_in(&mut browser).await?, waits)?;
    let people: PersonList = admin.get("/api/people").await?.json()?;
    let eve = people.people.iter().find(|one| one.waits_since.is_some());
    let eve = eve.ok_or_else(|| failure(format!("{people:?}")))?;
    let path = format!("/api/people/{}", eve.id);
    answered(&crate::delete(admin, &path).await?, 200)?;
    came_back(&scene.sign_in(&mut browser).await?, shut_out)?;
    let audit: AuditList = admin.get("/api/audit").await?.json()?;
    let told: Vec<&str> = audit
        .entries
        .iter()
        .rev()
        .map(|one| one.action.as_str())
        .collect();
    ensure(
        told == [
            "person_waits",
            "person_approved",
            "person_removed",
            "person_waits",
            "person_declined",
        ],
        || format!("{told:?}"),
    )
}
