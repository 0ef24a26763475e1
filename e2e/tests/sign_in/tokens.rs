//! API tokens: shown once, kept as an HMAC, exchanged for a session, over when revoked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sam_domain::access::tokens::{ApiTokenList, ApiTokenView, CreatedApiToken};
use sam_domain::access::wire::{SignedIn, UserView};
use sam_domain::time::Timestamp;
use sam_e2e::{Client, Person, Result, Stack, disk, ensure, failure, wait_until};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{PATIENCE, answered, at, delete, follow, refused, until_closed};

const LOGIN: &str = "/api/auth/token-login";

async fn make(client: &Client, fields: &Value) -> Result<CreatedApiToken> {
    client.post("/api/auth/tokens", fields).await?.json()
}

async fn listed(client: &Client) -> Result<Vec<ApiTokenView>> {
    let list: ApiTokenList = client.get("/api/auth/tokens").await?.json()?;
    Ok(list.tokens)
}

#[tokio::test]
async fn a_token_opens_what_its_person_may_until_it_is_revoked() -> Result {
    let stack = Stack::start().await?;
    let anyone = stack.anyone()?;
    let person = Person::invited(&stack, "Olga").await?;
    let stranger = Person::invited(&stack, "Eve").await?;
    let project: sam_domain::access::wire::ProjectView = person
        .client
        .post("/api/projects", &json!({"repository": "/nowhere"}))
        .await?
        .json()?;

    for (fields, why) in [
        (json!({"name": " "}), "a name of nothing"),
        (json!({"name": "x".repeat(101)}), "a long name"),
        (json!({"name": "n", "scopes": []}), "no scope"),
        (
            json!({"name": "n", "scopes": ["root"]}),
            "a scope that is none",
        ),
        (json!({"name": "n", "expires_in_days": 0}), "no day"),
        (
            json!({"name": "n", "expires_in_days": 3651}),
            "too many days",
        ),
    ] {
        let reply = person.client.post("/api/auth/tokens", &fields).await?;
        ensure(reply.status == 400, || format!("{why}: {}", reply.text()))?;
    }

    let made = make(&person.client, &json!({"name": "ci"})).await?;
    ensure(
        made.token.starts_with("sam_pat_")
            && made.token.len() == "sam_pat_".len() + 43
            && made.view.scopes.to_string() == "read write",
        || format!("{:?}", made.view),
    )?;
    let script = anyone.with_token(&made.token);
    let me: UserView = script.get("/api/auth/me").await?.json()?;
    ensure(me.id == person.id, || format!("{me:?}"))?;
    refused(
        &script.post("/api/auth/logout", &json!({})).await?,
        403,
        "not_a_session",
    )?;

    // A session opened with it is no cookie, and may no more than it.
    let reply = anyone.post(LOGIN, &json!({"token": made.token})).await?;
    ensure(reply.header("set-cookie").is_none(), || {
        "a cookie was set".to_owned()
    })?;
    let opened: SignedIn = reply.json()?;
    let session = anyone.with_token(&opened.token);
    let body = json!({"name": "another"});
    refused(
        &session.post("/api/auth/tokens", &body).await?,
        403,
        "scope_too_narrow",
    )?;
    refused(
        &script.post("/api/auth/tokens", &body).await?,
        403,
        "scope_too_narrow",
    )?;

    // Its person sees it without its secret; nobody else sees or revokes it.
    let text = person.client.get("/api/auth/tokens").await?.text();
    ensure(
        text.contains("\"ci\"") && !text.contains("sam_pat_"),
        || text.clone(),
    )?;
    ensure(listed(&stranger.client).await?.is_empty(), || {
        "tokens of others are listed".to_owned()
    })?;
    let path = format!("/api/auth/tokens/{}", made.view.id);
    refused(&delete(&stranger.client, &path).await?, 404, "not_found")?;

    // What it opened ends with it, open sockets included.
    let mut by_token = follow(&script, &project.id).await?;
    let mut by_session = follow(&session, &project.id).await?;
    answered(&delete(&person.client, &path).await?, 200)?;
    until_closed(&mut by_session).await?;
    until_closed(&mut by_token).await?;
    for client in [&script, &session] {
        refused(
            &client.post("/api/projects", &json!({})).await?,
            401,
            "invalid_token",
        )?;
    }
    refused(
        &anyone.post(LOGIN, &json!({"token": made.token})).await?,
        401,
        "api_token_refused",
    )?;
    refused(
        &anyone.post(LOGIN, &json!({"token": opened.token})).await?,
        400,
        "not_an_api_token",
    )?;
    refused(&delete(&person.client, &path).await?, 404, "not_found")?;

    // Nothing that the server stored has the secret in it.
    let secret = made.token.trim_start_matches("sam_pat_").as_bytes();
    for file in disk::files(&stack.state_directory()) {
        let bytes = std::fs::read(&file)?;
        let found = bytes.windows(secret.len()).any(|window| window == secret);
        ensure(!found, || format!("the secret is in {}", file.display()))?;
    }
    Ok(())
}

#[tokio::test]
async fn trying_tokens_is_limited_by_address_and_by_account() -> Result {
    let stack = Stack::start().await?;
    let anyone = stack.anyone()?;
    let wrong = json!({"token": "sam_pat_unknown"});
    let near = at(&anyone, "192.0.2.1");
    for _ in 0..20 {
        refused(&near.post(LOGIN, &wrong).await?, 401, "api_token_refused")?;
    }
    let reply = near.post(LOGIN, &wrong).await?;
    refused(&reply, 429, "too_many_tries")?;
    ensure(reply.header("retry-after").is_some(), || reply.text())?;

    // A right one is refused there as well, and taken elsewhere.
    let made = make(stack.admin()?, &json!({"name": "ci", "scopes": ["read"]})).await?;
    let right = json!({"token": made.token});
    refused(&near.post(LOGIN, &right).await?, 429, "too_many_tries")?;
    for n in 0..30 {
        let elsewhere = at(&anyone, &format!("198.51.100.{n}"));
        answered(&elsewhere.post(LOGIN, &right).await?, 200)?;
    }
    let elsewhere = at(&anyone, "198.51.100.200");
    refused(&elsewhere.post(LOGIN, &right).await?, 429, "too_many_tries")
}

/// When the token that is named `used` was last used.
async fn last_used(client: &Client) -> Result<Option<Timestamp>> {
    let tokens = listed(client).await?;
    let found = tokens.iter().find(|token| token.name == "used");
    Ok(found.and_then(|token| token.last_used_at))
}

/// The HMAC under which the server keeps a token.
fn stored(secret: &str, prefix: &str, token: &str) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(&(prefix.len() as u64).to_be_bytes());
    mac.update(prefix.as_bytes());
    mac.update(token.as_bytes());
    Ok(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn older_tokens_still_open_a_session_and_ends_and_uses_are_kept() -> Result {
    let mut stack = Stack::start().await?;
    let ends = make(
        stack.admin()?,
        &json!({"name": "ends", "expires_in_days": 1}),
    )
    .await?;
    let old = make(stack.admin()?, &json!({"name": "old", "scopes": ["read"]})).await?;
    let used = make(stack.admin()?, &json!({"name": "used", "scopes": ["read"]})).await?;
    stack.stop_server()?;
    let secrets = std::fs::read(stack.state_directory().join("secrets.json"))?;
    let secrets: Value = serde_json::from_slice(&secrets)?;
    let secret = secrets["SAM_SECRET"].as_str().unwrap_or_default();
    let older = "sam_test_0123456789abcdefghijklmnop";
    let hash = stored(secret, "sam_test_", older)?;
    for statement in [
        "UPDATE api_tokens SET expires_at = 1 WHERE name = 'ends'".to_owned(),
        format!("UPDATE api_tokens SET token_hash = '{hash}' WHERE name = 'old'"),
        "UPDATE api_tokens SET last_used_at = 1 WHERE name = 'used'".to_owned(),
    ] {
        let changed = stack.in_database(&statement)?;
        ensure(changed == 1, || format!("{statement}: {changed}"))?;
    }
    stack.start_server().await?;
    let (anyone, admin) = (stack.anyone()?, stack.admin()?.clone());

    let over = anyone.with_token(&ends.token);
    refused(&over.get("/api/auth/me").await?, 401, "invalid_token")?;

    let reply = anyone.post(LOGIN, &json!({"token": older})).await?;
    let opened: SignedIn = reply.json()?;
    answered(
        &anyone
            .with_token(&opened.token)
            .get("/api/projects")
            .await?,
        200,
    )?;
    refused(
        &anyone.post(LOGIN, &json!({"token": old.token})).await?,
        401,
        "api_token_refused",
    )?;
    // It opens a session and nothing else.
    refused(
        &anyone.with_token(older).get("/api/auth/me").await?,
        403,
        "wrong_principal",
    )?;

    // A use is written down, and the next within the hour is not.
    let script = anyone.with_token(&used.token);
    answered(&script.get("/api/auth/me").await?, 200)?;
    let first = wait_until("the use to be written down", PATIENCE, || async {
        Ok(last_used(&admin).await?.filter(|at| at.0 > 1))
    })
    .await?;
    for _ in 0..3 {
        answered(&script.post("/api/projects", &json!({})).await?, 403)?;
        answered(&script.get("/api/projects").await?, 200)?;
    }
    let last = last_used(&admin).await?.ok_or_else(|| failure("no use"))?;
    ensure(last == first, || format!("{first:?} and {last:?}"))
}
