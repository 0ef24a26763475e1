//! The device flow through real processes: what the pure machine promises holds where requests race.

use futures::future::join_all;
use sam_domain::access::wire::{ProjectList, UserView};
use sam_domain::device::wire::{
    AccessToken, AuthorizationServer, DeviceCodes, DeviceState, DeviceView, GRANT_TYPE, OAuthError,
};
use sam_e2e::{Client, Person, Reply, Result, Stack, ensure};
use serde_json::json;

use crate::{answered, at, refused};

const CODE: &str = "/api/auth/device/code";
const TOKEN: &str = "/api/auth/device/token";

async fn form(client: &Client, path: &str, fields: &[(&str, &str)]) -> Result<Reply> {
    let request = client.request(reqwest::Method::POST, path);
    let body = url_encoded(fields);
    let media = "application/x-www-form-urlencoded";
    client
        .send(request.header("content-type", media).body(body))
        .await
}

fn url_encoded(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", value.replace(':', "%3A")))
        .collect();
    pairs.join("&")
}

async fn begin(anyone: &Client, client_id: &str) -> Result<DeviceCodes> {
    form(anyone, CODE, &[("client_id", client_id)])
        .await?
        .json()
}

async fn poll(anyone: &Client, device_code: &str, client_id: &str) -> Result<Reply> {
    let fields = [
        ("grant_type", GRANT_TYPE),
        ("device_code", device_code),
        ("client_id", client_id),
    ];
    form(anyone, TOKEN, &fields).await
}

async fn decide(person: &Client, how: &str, codes: &DeviceCodes) -> Result<Reply> {
    let path = format!("/api/auth/device/{how}");
    let body = json!({"user_code": codes.user_code});
    person.post(&path, &body).await
}

/// The word of an error in the shape of RFC 6749.
fn word(reply: &Reply) -> String {
    serde_json::from_slice::<OAuthError>(&reply.body)
        .map(|error| error.error)
        .unwrap_or_default()
}

fn says(reply: &Reply, expected: &str) -> Result {
    ensure(
        (reply.status, word(reply).as_str()) == (400, expected),
        || format!("{} instead of {expected}: {}", reply.status, reply.text()),
    )
}

#[tokio::test]
async fn a_program_is_signed_in_once_by_who_compared_its_code() -> Result {
    let stack = Stack::start().await?;
    let anyone = stack.anyone()?;
    let person = Person::invited(&stack, "Olga").await?;

    let server: AuthorizationServer = anyone
        .get("/.well-known/oauth-authorization-server")
        .await?
        .json()?;
    ensure(
        server.issuer == stack.url()
            && server.token_endpoint == format!("{}{TOKEN}", stack.url())
            && server.grant_types_supported == [GRANT_TYPE],
        || format!("{server:?}"),
    )?;

    // Nobody has decided: pending; asked again at once: slow down.
    let codes = begin(&anyone, "program").await?;
    says(
        &poll(&anyone, &codes.device_code, "program").await?,
        "authorization_pending",
    )?;
    says(
        &poll(&anyone, &codes.device_code, "program").await?,
        "slow_down",
    )?;

    // Approved before its first poll: of fifty at once, one gets the session.
    let codes = begin(&anyone, "program").await?;
    let path = format!("/api/auth/device/{}", codes.user_code);
    let view: DeviceView = person.client.get(&path).await?.json()?;
    ensure(
        view.state == DeviceState::Pending
            && view.asked.client_id == "program"
            && view.asked.address.as_deref() == Some("127.0.0.1")
            && view.asked.place.is_none(),
        || format!("{view:?}"),
    )?;
    answered(&decide(&person.client, "approve", &codes).await?, 200)?;
    refused(
        &decide(&person.client, "deny", &codes).await?,
        409,
        "decided_before",
    )?;
    let polls = (0..50).map(|_| poll(&anyone, &codes.device_code, "program"));
    let mut won = Vec::new();
    for reply in join_all(polls).await {
        let reply = reply?;
        match reply.status {
            200 => won.push(reply.json::<AccessToken>()?),
            _ => says(&reply, "invalid_grant")?,
        }
    }
    ensure(won.len() == 1, || format!("{} polls won", won.len()))?;
    for token in won {
        let program = anyone.with_token(&token.access_token);
        let me: UserView = program.get("/api/auth/me").await?.json()?;
        ensure(me.id == person.id, || format!("{me:?}"))?;
        let _: ProjectList = program.get("/api/projects").await?.json()?;
    }

    // Denied.
    let codes = begin(&anyone, "program").await?;
    answered(&decide(&person.client, "deny", &codes).await?, 200)?;
    says(
        &poll(&anyone, &codes.device_code, "program").await?,
        "access_denied",
    )?;

    // Not with another's name, nor with the code that is shown on screens.
    let codes = begin(&anyone, "program").await?;
    answered(&decide(&person.client, "approve", &codes).await?, 200)?;
    says(
        &poll(&anyone, &codes.device_code, "another").await?,
        "invalid_grant",
    )?;
    let letters = codes.user_code.letters();
    for guess in [
        codes.user_code.to_string(),
        format!("sam_dev_{letters}.guess"),
        format!("sam_dev_{letters}."),
        "sam_dev_BCDFGHJK.guess".to_owned(),
    ] {
        says(&poll(&anyone, &guess, "program").await?, "invalid_grant")?;
    }
    answered(&poll(&anyone, &codes.device_code, "program").await?, 200)
}

/// Where a request goes, its fields, and the word it is refused with.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[tokio::test]
async fn requests_that_are_not_of_the_flow_are_refused_in_its_words() -> Result {
    let stack = Stack::start().await?;
    let anyone = stack.anyone()?;
    let long = "x".repeat(9000);
    let cases: [Case<'_>; 9] = [
        (CODE, &[], "invalid_request"),
        (CODE, &[("client_id", "")], "invalid_request"),
        (
            CODE,
            &[("client_id", "a"), ("client_id", "b")],
            "invalid_request",
        ),
        (CODE, &[("client_id", "%07bell")], "invalid_request"),
        (CODE, &[("client_id", long.as_str())], "invalid_request"),
        (
            CODE,
            &[("client_id", "a"), ("scope", "root")],
            "invalid_scope",
        ),
        (TOKEN, &[("client_id", "a")], "invalid_request"),
        (
            TOKEN,
            &[("grant_type", "password"), ("client_id", "a")],
            "unsupported_grant_type",
        ),
        (
            TOKEN,
            &[("grant_type", GRANT_TYPE), ("client_id", "a")],
            "invalid_request",
        ),
    ];
    for (path, fields, expected) in cases {
        says(&form(&anyone, path, fields).await?, expected)?;
    }
    // JSON is as good as a form.
    let codes: DeviceCodes = anyone
        .post(CODE, &json!({"client_id": "json", "scope": "read"}))
        .await?
        .json()?;
    let body = json!({
        "grant_type": GRANT_TYPE, "device_code": codes.device_code, "client_id": "json",
    });
    says(&anyone.post(TOKEN, &body).await?, "authorization_pending")?;
    answered(&decide(stack.admin()?, "approve", &codes).await?, 200)?;
    says(&anyone.post(TOKEN, &body).await?, "slow_down")?;
    says(&anyone.post(CODE, &json!([1])).await?, "invalid_request")
}

#[tokio::test]
async fn guessing_is_limited_and_a_person_who_is_shut_out_opens_nothing() -> Result {
    let stack = Stack::start().await?;
    let anyone = stack.anyone()?;
    let guesser = Person::invited(&stack, "Eve").await?;
    let other = Person::invited(&stack, "Olga").await?;

    // Codes that are none cost nothing; those that could be one are counted.
    for _ in 0..30 {
        refused(
            &guesser.client.get("/api/auth/device/AAAA-AAAA").await?,
            404,
            "not_found",
        )?;
    }
    for at in 0..20 {
        let path = match at % 2 {
            0 => "/api/auth/device/BCDF-GHJK",
            _ => "/api/auth/device/ZXWV-TSRQ",
        };
        refused(&guesser.client.get(path).await?, 404, "not_found")?;
    }
    let reply = guesser.client.get("/api/auth/device/BCDF-GHJK").await?;
    refused(&reply, 429, "too_many_tries")?;
    ensure(reply.header("retry-after").is_some(), || reply.text())?;
    let codes = begin(&anyone, "program").await?;
    refused(
        &decide(&guesser.client, "approve", &codes).await?,
        429,
        "too_many_tries",
    )?;

    // Others are not held up by it. Who approved and was shut out since signs nobody in.
    answered(&decide(&other.client, "approve", &codes).await?, 200)?;
    let path = format!("/api/people/{}", other.id);
    let admin = stack.admin()?;
    let suspend = admin.request(reqwest::Method::PATCH, &path);
    answered(
        &admin
            .send(suspend.json(&json!({"suspended": true})))
            .await?,
        200,
    )?;
    says(
        &poll(&anyone, &codes.device_code, "program").await?,
        "access_denied",
    )?;

    // Beginning flows is limited by address.
    let near = at(&anyone, "192.0.2.1");
    for _ in 0..30 {
        begin(&near, "program").await?;
    }
    let reply = form(&near, CODE, &[("client_id", "program")]).await?;
    ensure(
        reply.status == 429
            && word(&reply) == "temporarily_unavailable"
            && reply.header("retry-after").is_some(),
        || reply.text(),
    )?;
    begin(&at(&anyone, "192.0.2.2"), "program").await?;
    Ok(())
}
