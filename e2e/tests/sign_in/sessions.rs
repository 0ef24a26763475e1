//! Sessions are listed to their person, and end when that person says so, at once.

use reqwest::Method;
use sam_domain::access::tokens::AuthSessionList;
use sam_domain::access::wire::{Role, SignInLink, SignedIn, UserView};
use sam_e2e::{Client, Person, Reply, Result, Stack, ensure, failure};
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

/// The browser that an answer's cookie makes.
fn browser(anyone: &Client, reply: &Reply) -> Result<Client> {
    let cookie = reply.header("set-cookie");
    let pair = cookie.and_then(|cookie| cookie.split(';').next());
    let pair = pair.ok_or_else(|| failure("no cookie"))?;
    Ok(anyone.with_header("cookie", pair))
}

/// Signs in with a link of the person's, in a browser that may have a cookie already.
async fn sign_in(of: &Client, browser: &Client) -> Result<Reply> {
    let link: SignInLink = of
        .post("/api/auth/sign-in-links", &json!({}))
        .await?
        .json()?;
    let secret = link.url.split('#').nth(1).unwrap_or_default();
    let login = json!({"link": secret});
    let reply = browser.post("/api/auth/link-login", &login).await?;
    answered(&reply, 200)?;
    Ok(reply)
}

#[tokio::test]
async fn a_session_is_exchanged_when_its_persons_role_changes_and_when_they_sign_in() -> Result {
    let stack = Stack::start().await?;
    let (anyone, admin) = (stack.anyone()?, stack.admin()?);
    let ben = Person::invited(&stack, "Ben").await?;
    let first = browser(&anyone, &sign_in(&ben.client, &anyone).await?)?;

    // A browser that signs in anew has one session, not two.
    let second = browser(&anyone, &sign_in(&ben.client, &first).await?)?;
    refused(&first.get("/api/auth/me").await?, 401, "invalid_token")?;
    answered(&second.get("/api/auth/me").await?, 200)?;

    let path = format!("/api/people/{}", ben.id);
    let request = admin.request(Method::PATCH, &path);
    answered(
        &admin.send(request.json(&json!({"role": "admin"}))).await?,
        200,
    )?;
    // What was opened by a member is no administrator's.
    for client in [&second, &ben.client] {
        refused(&client.get("/api/people").await?, 403, "session_outdated")?;
        answered(&client.get("/api/projects").await?, 200)?;
    }
    let reply = second.get("/api/auth/me").await?;
    let third = browser(&anyone, &reply)?;
    let me: UserView = reply.json()?;
    ensure(me.role == Role::Admin, || format!("{me:?}"))?;
    answered(&third.get("/api/people").await?, 200)?;
    // It is exchanged once, and the former one stays what it was for the moment that it has left.
    for client in [&third, &second, &ben.client] {
        let reply = client.get("/api/auth/me").await?;
        ensure(reply.header("set-cookie").is_none(), || {
            format!("{}: {:?}", reply.status, reply.headers)
        })?;
    }
    let reply = second.get("/api/people").await?;
    ensure(matches!(reply.status, 401 | 403), || reply.text())?;
    // A program signs in again.
    let again: SignedIn = sign_in(&ben.client, &anyone).await?.json()?;
    let again = anyone.with_token(&again.token);
    answered(&again.get("/api/people").await?, 200)
}
