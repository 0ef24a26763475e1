//! What administrators set in the app: write-only, sealed, and behind what the environment sets.

use futures::future::join_all;
use reqwest::Method;
use sam_domain::access::doctor::{Diagnosis, Health};
use sam_domain::access::setup::{ConfigView, SettingView, Source};
use sam_domain::access::wire::{AuditList, SetupStatus};
use sam_e2e::{Client, Person, Reply, Result, disk, ensure, failure};
use serde_json::{Value, json};

use crate::github::{SECRET, app};
use crate::{answered, refused};

const CONFIG: &str = "/api/setup/config";

async fn put(client: &Client, settings: &Value) -> Result<Reply> {
    let request = client.request(Method::PUT, CONFIG);
    client
        .send(request.json(&json!({"settings": settings})))
        .await
}

fn of<'a>(view: &'a ConfigView, name: &str) -> Result<&'a SettingView> {
    let mut settings = view.settings.iter();
    settings
        .find(|one| one.name == name)
        .ok_or_else(|| failure(format!("nothing is said of {name}")))
}

async fn github_health(admin: &Client) -> Result<Health> {
    let reply = admin.post("/api/setup/doctor", &json!({})).await?;
    let diagnosis: Diagnosis = reply.json()?;
    let mut checks = diagnosis.checks.into_iter();
    let check = checks.find(|check| check.name == "github");
    Ok(check.ok_or_else(|| failure("no check"))?.health)
}

#[tokio::test]
async fn a_secret_that_is_set_in_the_app_works_and_is_never_read_out() -> Result {
    let mut scene = app(&[("SAM_SIGN_UP", "approval")]).await?;
    let stack = &mut scene.stack;
    let admin = stack.admin()?.clone();
    let member = Person::invited(stack, "Olga").await?.client;
    ensure(github_health(&admin).await? == Health::Off, || {
        "GitHub is set up already".to_owned()
    })?;

    // Half of it does nothing yet; what is no setting, or set elsewhere, changes nothing at all.
    for (settings, status, code) in [
        (json!({"SAM_SECRET": "x"}), 400, "unknown_setting"),
        (
            json!({"SAM_GITHUB_CLIENT_ID": "x", "SAM_SIGN_UP": "open"}),
            409,
            "set_by_environment",
        ),
        (json!({"SAM_GITHUB_CLIENT_ID": ""}), 400, "bad_request"),
        (json!({"SAM_GITHUB_CLIENT_ID": "a b"}), 400, "bad_request"),
    ] {
        refused(&put(&admin, &settings).await?, status, code)?;
    }
    let settings = json!({"SAM_GITHUB_CLIENT_ID": "sam-app", "SAM_GITHUB_CLIENT_SECRET": SECRET});
    refused(&put(&member, &settings).await?, 403, "admin_only")?;
    refused(&member.get(CONFIG).await?, 403, "admin_only")?;
    let view: ConfigView = admin.get(CONFIG).await?.json()?;
    ensure(
        of(&view, "SAM_GITHUB_CLIENT_ID")?.source == Source::Unset
            && of(&view, "SAM_SIGN_UP")?.source == Source::Environment,
        || format!("{view:?}"),
    )?;

    let reply = put(&admin, &settings).await?;
    ensure(!reply.text().contains(SECRET), || reply.text())?;
    let view: ConfigView = reply.json()?;
    let secret = of(&view, "SAM_GITHUB_CLIENT_SECRET")?;
    ensure(
        secret.source == Source::Stored
            && secret.updated_by.is_some()
            && secret.updated_at.is_some(),
        || format!("{secret:?}"),
    )?;
    let status: SetupStatus = member.get("/api/setup/status").await?.json()?;
    ensure(status.github, || format!("{status:?}"))?;
    ensure(github_health(&admin).await? == Health::Ok, || {
        "GitHub does not take the app".to_owned()
    })?;
    let reply = admin.get("/api/audit").await?;
    ensure(!reply.text().contains(SECRET), || reply.text())?;
    let audit: AuditList = reply.json()?;
    let written = audit
        .entries
        .iter()
        .filter(|one| one.action == "setting_put");
    ensure(written.count() == 2, || format!("{audit:?}"))?;

    // Of many changes at once one holds whole: the id that is sent to GitHub and the secret are of one.
    let other = json!({"SAM_GITHUB_CLIENT_ID": "other", "SAM_GITHUB_CLIENT_SECRET": "another"});
    let puts = (0..20).map(|n| put(&admin, if n % 2 == 0 { &settings } else { &other }));
    for reply in join_all(puts).await {
        answered(&reply?, 200)?;
    }
    let out = admin.get("/api/auth/github/start").await?;
    let ours = out
        .header("location")
        .is_some_and(|to| to.contains("client_id=sam-app"));
    ensure((github_health(&admin).await? == Health::Ok) == ours, || {
        format!("the id is ours: {ours}, and the secret is not of the same change")
    })?;
    answered(&put(&admin, &settings).await?, 200)?;

    // Under another encryption key it is still there; in the files it stands nowhere.
    stack.stop_server()?;
    for file in disk::files(&stack.state_directory()) {
        let bytes = std::fs::read(&file)?;
        let found = bytes
            .windows(SECRET.len())
            .any(|one| one == SECRET.as_bytes());
        ensure(!found, || format!("the secret is in {}", file.display()))?;
    }
    stack.set(
        "SAM_CREDENTIAL_KEYS",
        "second:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    );
    stack.start_server().await?;
    answered(&admin.post("/api/admin/rotate-key", &json!({})).await?, 200)?;
    ensure(github_health(&admin).await? == Health::Ok, || {
        "the secret did not move".to_owned()
    })?;

    // The environment wins, and what is forgotten is gone.
    stack.stop_server()?;
    stack.set("SAM_GITHUB_CLIENT_SECRET", "another");
    stack.start_server().await?;
    ensure(github_health(&admin).await? == Health::Failed, || {
        "the environment does not win".to_owned()
    })?;
    let forget = json!({"SAM_GITHUB_CLIENT_ID": null});
    let view: ConfigView = put(&admin, &forget).await?.json()?;
    ensure(
        of(&view, "SAM_GITHUB_CLIENT_ID")?.source == Source::Unset
            && of(&view, "SAM_GITHUB_CLIENT_SECRET")?.source == Source::Environment,
        || format!("{view:?}"),
    )
}
