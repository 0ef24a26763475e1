//! The doctor asks the real things, and says what to do.

use sam_domain::access::doctor::{Diagnosis, Health};
use sam_e2e::stack::MODEL_KEY;
use sam_e2e::{Person, Result, Stack, StackOptions, ensure, failure};
use serde_json::json;

use crate::refused;

async fn health(stack: &Stack, name: &str) -> Result<(Health, String)> {
    let reply = stack.admin()?.post("/api/setup/doctor", &json!({})).await?;
    ensure(!reply.text().contains(MODEL_KEY), || {
        "a secret is told".to_owned()
    })?;
    let diagnosis: Diagnosis = reply.json()?;
    let check = diagnosis
        .checks
        .into_iter()
        .find(|check| check.name == name);
    let check = check.ok_or_else(|| failure(format!("nothing is said of {name}")))?;
    // What is not as it should be says what to do.
    ensure((check.health == Health::Ok) == check.hint.is_none(), || {
        format!("{check:?}")
    })?;
    Ok((check.health, check.message))
}

#[tokio::test]
async fn the_doctor_says_what_works_and_what_does_not() -> Result {
    let stack = Stack::start().await?;
    for name in [
        "database", "cache", "bodies", "objects", "address", "limits", "model",
    ] {
        let (health, message) = health(&stack, name).await?;
        ensure(health == Health::Ok, || format!("{name}: {message}"))?;
    }
    let (_, default) = health(&stack, "default_model").await?;
    ensure(default.contains("scripted"), || default)?;
    ensure(health(&stack, "github").await?.0 == Health::Off, || {
        "GitHub is not set up".to_owned()
    })?;
    let member = Person::invited(&stack, "Olga").await?.client;
    refused(
        &member.post("/api/setup/doctor", &json!({})).await?,
        403,
        "admin_only",
    )?;
    stack.end().await?;

    let settings = [
        ("SAM_MODEL_KEY", "wrong"),
        ("SAM_PUBLIC_URL", "https://sam.example"),
        ("SAM_GITHUB_CLIENT_ID", "half"),
    ];
    let stack = Stack::start_with(StackOptions {
        settings: settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..StackOptions::default()
    })
    .await?;
    for (name, expected, word) in [
        ("model", Health::Failed, "refuses the key (401)"),
        ("address", Health::Warning, "https://sam.example"),
        ("github", Health::Failed, "Nobody can sign in"),
    ] {
        let (health, message) = health(&stack, name).await?;
        ensure(health == expected && message.contains(word), || {
            format!("{name}: {health:?} {message}")
        })?;
    }
    stack.end().await
}
