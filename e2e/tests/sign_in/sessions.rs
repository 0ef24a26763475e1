//! Sessions are listed to their person, and end when that person says so, at once.

use sam_domain::access::tokens::AuthSessionList;
use sam_domain::access::wire::{SignInLink, SignedIn};
use sam_e2e::{Client, Person, Result, Stack, ensure};
use serde_json::json;

use crate::{answered, delete, follow, refused, until_closed};

async fn sessions(client: &Client) -> Result<AuthSessionList> {
    client.get("/api/auth/sessions").await?.json()
}

/// Another session of the same person.
async fn another(stack: &Stack, person: &Client) -> Result<Client> {
    let anyone = stack.anyone()?.with_header("user-agent", "other browser");
    let link: SignInLink = person
        .post("/api/auth/sign-in-links", &json!({}))
        .await?
        .json()?;
    let secret = link.url.split('#').nth(1).unwrap_or_default();
    let login = json!({"link": secret});
    let signed_in: SignedIn = anyone.post("/api/auth/link-login", &login).await?.json()?;
    Ok(anyone.with_token(&signed_in.token))
}

#[tokio::test]
async fn a_session_that_is_ended_elsewhere_is_over_at_once() -> Result {
    let stack = Stack::start().await?;
    let person = Person::invited(&stack, "Olga").await?;
    let project = stack.create_project("/nowhere").await?;
    let other = another(&stack, stack.admin()?).await?;
    let third = another(&stack, stack.admin()?).await?;

    let listed = sessions(stack.admin()?).await?;
    let current: Vec<bool> = listed.sessions.iter().map(|one| one.current).collect();
    ensure(
        listed.sessions.len() == 3 && current.iter().filter(|one| **one).count() == 1,
        || format!("{listed:?}"),
    )?;
    let mine = sessions(&other).await?;
    let mine = mine.sessions.iter().find(|one| one.current);
    let (handle, agent) = mine
        .map(|one| (one.handle.clone(), one.user_agent.clone()))
        .unwrap_or_default();
    ensure(agent.as_deref() == Some("other browser"), || {
        format!("{agent:?}")
    })?;

    // Another person neither sees nor ends it.
    ensure(sessions(&person.client).await?.sessions.len() == 1, || {
        "sessions of others are listed".to_owned()
    })?;
    let path = format!("/api/auth/sessions/{handle}");
    refused(&delete(&person.client, &path).await?, 404, "not_found")?;

    let mut open = follow(&other, &project.id).await?;
    answered(&delete(stack.admin()?, &path).await?, 200)?;
    until_closed(&mut open).await?;
    refused(
        &other.post("/api/projects", &json!({})).await?,
        401,
        "invalid_token",
    )?;
    refused(&delete(stack.admin()?, &path).await?, 404, "not_found")?;

    let mut open = follow(&third, &project.id).await?;
    answered(&delete(stack.admin()?, "/api/auth/sessions").await?, 200)?;
    until_closed(&mut open).await?;
    refused(
        &third.post("/api/projects", &json!({})).await?,
        401,
        "invalid_token",
    )?;
    let left = sessions(stack.admin()?).await?;
    ensure(
        left.sessions.len() == 1 && left.sessions.iter().all(|one| one.current),
        || format!("{left:?}"),
    )
}
