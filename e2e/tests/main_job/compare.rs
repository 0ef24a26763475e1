//! The same work under two agents: each on a branch of its own, shown side by side, one chosen.

use std::process::Output;

use sam_domain::conversation::comparison::ComparisonView;
use sam_domain::conversation::wire::Submitted;
use sam_domain::id::{Id, ProjectId, TaskId};
use sam_domain::task::{TaskState, TaskView};
use sam_e2e::conversation::PATIENCE;
use sam_e2e::repository::{sample, tests_of};
use sam_e2e::{Result, Stack, ensure, programs, wait_until};
use serde_json::{Value, json};
use tokio::process::Command;

use super::REPAIR;

/// Runs `sam` as the admin.
async fn sam(stack: &Stack, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(programs::native("sam")?)
        .args(arguments)
        .env("SAM_API_URL", stack.url())
        .env("SAM_API_TOKEN", stack.admin()?.token())
        .env("HOME", stack.directory())
        .output()
        .await?;
    ensure(output.status.success(), || format!("{output:?}"))?;
    Ok(output)
}

/// What `sam … --json` says.
async fn said(stack: &Stack, arguments: &[&str]) -> Result<Value> {
    let arguments = [arguments, &["--json"]].concat();
    Ok(serde_json::from_slice(
        &sam(stack, &arguments).await?.stdout,
    )?)
}

/// What is submitted again under its key is the same comparison, under another body it is refused,
/// and agents that make no comparison are refused, too.
async fn repeated(stack: &Stack, project: &ProjectId) -> Result {
    let path = format!("/api/projects/{project}/tasks");
    let body = json!({"prompt": "What does it do?", "agents": ["sam-harness", "goose"]});
    let admin = stack.admin()?;
    let first: Submitted = admin.intend(&path, "again", &body).await?.json()?;
    let again: Submitted = admin.intend(&path, "again", &body).await?.json()?;
    ensure(first == again && first.others.len() == 1, || {
        format!("{first:?} {again:?}")
    })?;
    let other = json!({"prompt": "Another", "agents": ["sam-harness", "goose"]});
    let refused = admin.intend(&path, "again", &other).await?;
    ensure(refused.status == 409, || refused.text())?;
    for agents in [
        json!(["goose"]),
        json!(["goose", "goose"]),
        json!(["goose", "no-such-agent"]),
    ] {
        let body = json!({"prompt": "Refused", "agents": agents});
        let refused = admin.intend(&path, "refused", &body).await?;
        ensure((400..500).contains(&refused.status), || refused.text())?;
    }
    for submitted in std::iter::once(&first).chain(&first.others) {
        let path = format!("/api/tasks/{}/cancel", submitted.task);
        admin.post(&path, &json!({})).await?.json::<Value>()?;
        stack
            .until_task("cancelled", &submitted.task, PATIENCE, |task| {
                task.state.is_terminal()
            })
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_same_work_is_done_by_two_agents_and_one_is_chosen() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[&programs::goose()?]).await?;
    let project = stack.create_project(&repository.to_string_lossy()).await?;
    repeated(&stack, &project.id).await?;

    let agents = ["sam-harness", "goose"];
    let submitted = said(
        &stack,
        &["task", "submit", REPAIR, "--agents", &agents.join(",")],
    )
    .await?;
    let submitted: Submitted = serde_json::from_value(submitted)?;
    let all: Vec<&Submitted> = std::iter::once(&submitted)
        .chain(&submitted.others)
        .collect();
    let tasks: Vec<TaskId> = all.iter().map(|one| one.task.clone()).collect();
    let mut views: Vec<TaskView> = Vec::new();
    for (task, agent) in tasks.iter().zip(agents) {
        let view = stack
            .until_task("done", task, PATIENCE, |task| task.state.is_terminal())
            .await?;
        ensure(
            view.state == TaskState::Completed && view.agent == agent,
            || format!("{view:?}"),
        )?;
        views.push(view);
    }

    // Each did it on a branch of its own.
    let branches: Vec<_> = views
        .iter()
        .filter_map(|view| view.result.as_ref().map(|result| result.branch.clone()))
        .collect();
    ensure(branches.len() == 2 && branches[0] != branches[1], || {
        format!("{branches:?}")
    })?;
    for branch in &branches {
        let (passes, said) = tests_of(&repository, branch)?;
        ensure(passes, || said.clone())?;
    }

    // Side by side, by either task.
    // What the last calls used is counted a moment after they ended.
    let shown = wait_until("both say the same", PATIENCE, || async {
        let shown = said(&stack, &["task", "compare", tasks[1].as_str()]).await?;
        let by_first = said(&stack, &["task", "compare", tasks[0].as_str()]).await?;
        let counted = (0..agents.len())
            .all(|index| shown["candidates"][index]["usage"]["calls"].as_u64() > Some(2));
        Ok((counted && shown == by_first).then_some(shown))
    })
    .await?;
    for (index, agent) in agents.iter().enumerate() {
        let one = &shown["candidates"][index];
        ensure(
            one["task"]["agent"] == *agent
                && one["usage"]["calls"].as_u64() > Some(2)
                && one["usage"]["input_tokens"].as_u64() > Some(0)
                && one["took"].as_u64() > Some(0)
                // goose does not say of what kind its calls are.
                && (index > 0 || one["checks"]["passed"].as_u64() > Some(0))
                && one["task"]["result"]["added"] == 1
                && one["session"]["chosen"].is_null(),
            || format!("{one:#}"),
        )?;
    }
    let table = sam(&stack, &["task", "compare", tasks[0].as_str()]).await?;
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    for word in [
        "AGENT",
        "TURNS",
        "COST",
        "CHECKS",
        "goose",
        "+1 −1",
        &branches[0],
    ] {
        ensure(table.contains(word), || format!("{word} in {table}"))?;
    }

    // One is chosen, the other stays, and the conversations say so. It can be chosen anew.
    for (chosen, task) in tasks.iter().enumerate().rev() {
        sam(&stack, &["task", "choose", task.as_str()]).await?;
        let path = format!(
            "/api/projects/{}/sessions/{}/comparison",
            project.id, submitted.session
        );
        let view: ComparisonView = stack.admin()?.get(&path).await?.json()?;
        for (index, candidate) in view.candidates.iter().enumerate() {
            let session = &candidate.session;
            let known = session.comparison.as_ref() == Some(&submitted.session);
            let same = session.chosen == (index == chosen)
                && candidate.chosen_by.is_some() == session.chosen
                && candidate.chosen_at.is_some() == session.chosen
                && candidate.task.state == TaskState::Completed;
            ensure(known && same, || format!("{candidate:?}"))?;
        }
        ensure(view.candidates.len() == 2, || format!("{view:?}"))?;
    }
    // One that is compared with none cannot be chosen.
    let alone = stack
        .submit(&project.id, "alone", &json!({"prompt": "What does it do?"}))
        .await?;
    let path = format!("/api/projects/{}/sessions/{}", project.id, alone.session);
    let refused = stack
        .admin()?
        .post(&format!("{path}/choose"), &json!({}))
        .await?;
    ensure(refused.status == 404, || refused.text())
}
