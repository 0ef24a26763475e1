//! A trap in the Worker's instance, with requests in flight: everybody gets an answer within a
//! second, and the next request works. Forced in a build that exists for this alone.

use std::time::{Duration, Instant};

use reqwest::Method;
use sam_e2e::{Client, Result, Stack, StackOptions, ensure, wait_until};
use serde_json::json;

/// Everybody in flight is answered this soon after the trap.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// How long something may take that is under way.
const PATIENCE: Duration = Duration::from_secs(60);

async fn stack() -> Result<Stack> {
    Stack::start_with(StackOptions {
        fault_injection: true,
        ..StackOptions::default()
    })
    .await
}

/// What a second is on a machine that is as busy as this one: twenty requests more than that.
async fn soon(client: &Client) -> Result<Duration> {
    let begun = Instant::now();
    for _ in 0..20 {
        client.get("/healthz").await?;
    }
    Ok(ANSWERED_WITHIN + begun.elapsed())
}

/// Sends ten requests that stay in flight, then the one that traps, and returns how long each took
/// from then on, with its status.
async fn trap_beside_ten(client: &Client, suffix: &str) -> Result<Vec<(u16, Duration)>> {
    let hold = format!("/__fault/hold{suffix}");
    let held: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            let hold = hold.clone();
            tokio::spawn(async move {
                let reply = client.send(client.request(Method::POST, &hold)).await;
                (reply, Instant::now())
            })
        })
        .collect();
    wait_until("ten are in flight", PATIENCE, || async {
        let held: u32 = client.get("/__fault/held").await?.json()?;
        Ok((held == 10).then_some(()))
    })
    .await?;
    ensure(held.iter().all(|request| !request.is_finished()), || {
        "a request that was to be held has been answered".to_owned()
    })?;
    let trapped = Instant::now();
    let trap = client.request(Method::POST, &format!("/__fault/trap{suffix}"));
    let reply = client.send(trap).await?;
    let mut answers = vec![(reply.status, trapped.elapsed())];
    for request in held {
        let (reply, at) = request.await?;
        answers.push((reply?.status, at.saturating_duration_since(trapped)));
    }
    Ok(answers)
}

fn check(answers: &[(u16, Duration)], within: Duration) -> Result {
    for (status, after) in answers {
        ensure((500..600).contains(status) && *after < within, || {
            format!("{status} after {after:?} among {answers:?}")
        })?;
    }
    ensure(answers.len() == 11, || format!("{answers:?}"))
}

#[tokio::test]
async fn a_trap_in_the_worker_hangs_nobody() -> Result {
    let stack = stack().await?;
    let admin = stack.admin()?;
    for round in 0..3 {
        let within = soon(admin).await?;
        check(&trap_beside_ten(admin, "").await?, within)?;
        let begun = Instant::now();
        let reply = admin
            .post(
                "/api/projects",
                &json!({"repository": format!("/round/{round}")}),
            )
            .await?;
        ensure(reply.status == 201 && begun.elapsed() < within, || {
            format!("after the trap: {} {}", reply.status, reply.text())
        })?;
    }
    Ok(())
}

#[tokio::test]
async fn a_trap_in_an_object_hangs_nobody() -> Result {
    let stack = stack().await?;
    let admin = stack.admin()?;
    let project = stack.create_project("/nowhere").await?;
    let task = json!({"prompt": "kept over the trap"});
    let submitted = stack.submit(&project.id, "before", &task).await?;
    let suffix = format!("/ProjectData/{}", project.id);
    for round in 0..3 {
        let within = soon(admin).await?;
        check(&trap_beside_ten(admin, &suffix).await?, within)?;
        // What was acknowledged before is there, and new work is taken.
        let tasks = admin
            .get(&format!("/api/projects/{}/tasks", project.id))
            .await?;
        ensure(
            tasks.status == 200 && tasks.text().contains(&submitted.task.to_string()),
            || format!("after the trap: {} {}", tasks.status, tasks.text()),
        )?;
        stack
            .submit(&project.id, &format!("after-{round}"), &task)
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_product_has_no_faults_on_demand() -> Result {
    let stack = Stack::start().await?;
    let client = stack.admin()?;
    let reply = client
        .send(client.request(Method::POST, "/__fault/trap"))
        .await?;
    ensure(reply.status == 404, || {
        format!("{} {}", reply.status, reply.text())
    })
}
