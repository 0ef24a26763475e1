//! What every kind of answer says of itself to a browser.

use reqwest::Method;
use sam_domain::access::wire::{SignInLink, SignedIn};
use sam_e2e::{Reply, Result, Stack, StackOptions, ensure, failure};
use serde_json::json;

fn says(what: &str, reply: &Reply, status: u16, headers: &[(&str, &str)]) -> Result {
    ensure(reply.status == status, || {
        format!("{what}: {} {}", reply.status, reply.text())
    })?;
    for (name, expected) in headers {
        let held = reply.header(name).unwrap_or_default();
        ensure(held.contains(expected), || {
            format!("{what}: {name} is {held:?}, without {expected:?}")
        })?;
    }
    Ok(())
}

/// Of what is data.
const DATA: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
];

#[tokio::test]
async fn every_kind_of_answer_is_guarded() -> Result {
    let stack = Stack::start_with(StackOptions {
        web: true,
        settings: vec![(
            "SAM_PUBLIC_URL".to_owned(),
            "https://sam.example".to_owned(),
        )],
        ..StackOptions::default()
    })
    .await?;
    let (anyone, admin) = (stack.anyone()?, stack.admin()?);
    let of = |method: Method, path: &str| anyone.request(method, path);
    let kinds = [
        ("JSON", anyone.get("/api/version").await?, 200),
        (
            "a stored document",
            anyone.get("/api/openapi.json").await?,
            200,
        ),
        ("a list", admin.get("/api/projects").await?, 200),
        ("CSV", admin.get("/api/usage?format=csv").await?, 200),
        ("a refusal", anyone.get("/api/projects").await?, 401),
        ("nothing there", anyone.get("/api/nowhere").await?, 404),
        (
            "a wrong method",
            anyone.send(of(Method::DELETE, "/api/version")).await?,
            405,
        ),
        ("no socket", anyone.get("/api/nodes/x/link").await?, 401),
        (
            "a redirect",
            anyone.get("/api/auth/github/callback").await?,
            302,
        ),
        (
            "a model's refusal",
            anyone.post("/ai/v1/chat/completions", &json!({})).await?,
            401,
        ),
        (
            "OAuth's refusal",
            anyone.post("/api/auth/device/token", &json!({})).await?,
            400,
        ),
    ];
    for (what, reply, status) in &kinds {
        says(what, reply, *status, &DATA)?;
        // Where people come over TLS, browsers are to come over nothing else.
        says(
            what,
            reply,
            *status,
            &[("strict-transport-security", "max-age=")],
        )?;
    }

    let link: SignInLink = admin
        .post("/api/auth/sign-in-links", &json!({}))
        .await?
        .json()?;
    let secret = link.url.split('#').nth(1).unwrap_or_default();
    let reply = anyone
        .post("/api/auth/link-login", &json!({"link": secret}))
        .await?;
    let cookie = ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"];
    says("a session", &reply, 200, &DATA)?;
    says(
        "a session",
        &reply,
        200,
        &cookie.map(|word| ("set-cookie", word)),
    )?;
    says("a session", &reply, 200, &[("cache-control", "no-store")])?;
    let _: SignedIn = reply.json()?;

    // Pages may run what was built with them and nothing else, and nobody frames them.
    let page = anyone.get("/settings").await?;
    let guards = [
        ("content-security-policy", "frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ];
    says("a page", &page, 200, &guards)?;
    let policy = page
        .header("content-security-policy")
        .ok_or_else(|| failure("the page has no policy"))?
        .to_owned();
    for part in [
        "default-src 'none'",
        "script-src",
        "base-uri 'none'",
        "form-action",
    ] {
        ensure(policy.contains(part), || {
            format!("{part} is not in {policy}")
        })?;
    }
    for part in ["'unsafe-inline'", "'unsafe-eval'", "*", "http:", "data:"] {
        ensure(!policy.contains(part), || format!("{part} is in {policy}"))?;
    }
    Ok(())
}
