//! Authenticated reads at 16 connections, against a bare route that answers as many bytes.

use sam_domain::conversation::wire::TaskList;
use sam_e2e::{Reply, Result, Stack, StackOptions, ensure};
use serde_json::json;

use crate::bare::Bare;
use crate::load::compare;
use crate::report::{Aim, Figure};

/// Tasks in the list.
const TASKS: usize = 100;

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let stack = Stack::start_with(StackOptions {
        web: true,
        ..StackOptions::default()
    })
    .await?;
    let bare = Bare::start().await?;
    let project = stack
        .create_project("https://git.example.invalid/sample")
        .await?;
    let mut newest = None;
    for number in 0..TASKS {
        // As long as people's first lines are.
        let prompt =
            format!("Task {number}: find out why the import of large files takes so long.");
        let task = json!({"prompt": prompt});
        let key = format!("task-{number}");
        // Under its key a repetition is harmless, should the connection have broken.
        newest = Some(match stack.submit(&project.id, &key, &task).await {
            Ok(submitted) => submitted,
            Err(_) => stack.submit(&project.id, &key, &task).await?,
        });
    }
    let mut figures = Vec::new();
    let mut add = async |name: &str, path: String, is_whole: fn(&Reply) -> bool, least| {
        let reply = stack.admin()?.get(&path).await?;
        ensure(reply.status == 200 && is_whole(&reply), || {
            format!("{path}: {} {}", reply.status, reply.text())
        })?;
        let route = format!("/api/route?bytes={}", reply.body.len());
        let rates = compare((stack.admin()?, &path), (bare.client(), &route), is_whole).await?;
        let figure = Figure::new(name, "/s", rates.subject).beside("bare route", rates.peer);
        figures.push(match least {
            Some(least) => figure.aim(Aim::AtLeast(least)),
            None => figure,
        });
        Ok::<(), sam_e2e::Failure>(())
    };
    add(
        "authenticated read",
        "/api/auth/me".to_owned(),
        is_object,
        Some(2300.0),
    )
    .await?;
    if let Some(newest) = newest {
        let path = format!("/api/projects/{}/sessions/{}", project.id, newest.session);
        add("a conversation", path, is_object, None).await?;
    }
    let path = format!("/api/projects/{}/tasks", project.id);
    add("list of 100 tasks", path, is_list, Some(800.0)).await?;
    Ok(figures)
}

fn is_object(reply: &Reply) -> bool {
    reply
        .json::<serde_json::Value>()
        .is_ok_and(|value| value.get("id").is_some())
}

fn is_list(reply: &Reply) -> bool {
    reply
        .json::<TaskList>()
        .is_ok_and(|list| list.tasks.len() == TASKS)
}
