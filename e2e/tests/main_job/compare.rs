//! The same work under two agents: each on a branch of its own, shown side by side, one chosen.

use std::process::Output;

use sam_domain::conversation::comparison::{ComparisonSubmitted, ComparisonView};
use sam_domain::id::{Id, ProjectId, TaskId};
use sam_domain::task::{TaskState, TaskView};
use sam_e2e::conversation::PATIENCE;
use sam_e2e::repository::{sample, tests_of};
use sam_e2e::{Result, Stack, ensure, failure, programs};
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
    let path = format!("/api/projects/{project}/comparisons");
    let body = json!({"prompt": "What does it do?", "agents": ["sam-harness", "goose"]});
    let admin = stack.admin()?;
    let first: ComparisonSubmitted = admin.intend(&path, "again", &body).await?.json()?;
    let again: ComparisonSubmitted = admin.intend(&path, "again", &body).await?.json()?;
    ensure(first == again && first.tasks.len() == 2, || {
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
    for submitted in first.tasks {
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
    let submitted: ComparisonSubmitted = serde_json::from_value(submitted)?;
    let tasks: Vec<TaskId> = submitted.tasks.iter().map(|s| s.task.clone()).collect();
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

    // Side by side, by either task or by the comparison's id.
    let shown = said(&stack, &["task", "compare", tasks[1].as_str()]).await?;
    let by_id = said(&stack, &["task", "compare", submitted.comparison.as_str()]).await?;
    ensure(shown["candidates"] == by_id["candidates"], || {
        format!("{shown:#} {by_id:#}")
    })?;
    for (index, agent) in agents.iter().enumerate() {
        let one = &shown["candidates"][index];
        ensure(
            one["task"]["agent"] == *agent
                && one["usage"]["calls"].as_u64() > Some(2)
                && one["usage"]["input_tokens"].as_u64() > Some(0)
                && one["took"].as_u64() > Some(0)
                && one["checks"]["passed"].as_u64() > Some(0)
                && one["task"]["result"]["added"] == 1
                && one["chosen"] == false,
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

    // One is chosen, the other stays, and the conversations say so.
    sam(&stack, &["task", "choose", tasks[1].as_str()]).await?;
    let path = format!(
        "/api/projects/{}/comparisons/{}",
        project.id, submitted.comparison
    );
    let view: ComparisonView = stack.admin()?.get(&path).await?.json()?;
    let choice = view
        .choice
        .as_ref()
        .ok_or_else(|| failure("no choice is kept"))?;
    ensure(choice.session == submitted.tasks[1].session, || {
        format!("{choice:?}")
    })?;
    let chosen: Vec<bool> = view
        .candidates
        .iter()
        .filter_map(|candidate| candidate.session.compared.as_ref())
        .map(|compared| compared.chosen)
        .collect();
    let stays = view
        .candidates
        .iter()
        .all(|candidate| candidate.task.state == TaskState::Completed);
    ensure(chosen == [false, true] && stays, || format!("{view:?}"))?;
    let elsewhere = json!({"session": "ses_01jd8x00000000000000000000"});
    let refused = stack
        .admin()?
        .post(&format!("{path}/choice"), &elsewhere)
        .await?;
    ensure(refused.code() == "not_compared", || refused.text())
}
