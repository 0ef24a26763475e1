//! What cannot be done fails at the step where it cannot, with a word for programs, a sentence for
//! people and something to do next.

use std::path::Path;

use reqwest::Method;
use sam_domain::conversation::row::{Row, RowBody};
use sam_domain::conversation::wire::Submitted;
use sam_domain::error::Fault;
use sam_domain::node::wire::{NodeList, NodeState, NodeView};
use sam_domain::task::{StepName, TaskState, TaskView};
use sam_e2e::repository::sample;
use sam_e2e::{Client, Result, Stack, Work, ensure, failure, programs};
use serde_json::{Value, json};

struct Refused<'a> {
    repository: &'a Path,
    task: Value,
    step: StepName,
    code: &'a str,
    /// Part of the message.
    says: &'a str,
}

async fn check(stack: &mut Stack, refused: &Refused<'_>) -> Result {
    let repository = refused.repository.to_string_lossy();
    let work = Work::begin(stack, &repository, &refused.task).await?;
    let view = work.until(TaskState::Failed).await?;
    let failed = view.failure.clone().ok_or_else(|| failure("no failure"))?;
    ensure(
        failed.step == refused.step
            && failed.code == refused.code
            && failed.fault == Fault::Environment
            && failed.message.contains(refused.says)
            && failed.hint.as_ref().is_some_and(|hint| !hint.is_empty()),
        || format!("{}: {view:?}", refused.code),
    )?;
    ensure(
        view.steps.last().map(|step| step.name) == Some(refused.step)
            && view.steps.iter().all(|step| step.ended_at.is_some())
            && view.result.is_none(),
        || format!("{view:?}"),
    )?;
    let calls = stack.gateway().requests().await?;
    let asked = calls
        .iter()
        .any(|call| call["path"] == "/v1/chat/completions");
    ensure(!asked, || {
        "a model was asked for a task that never ran".to_owned()
    })?;
    stack.until_empty("machine").await
}

#[tokio::test]
async fn what_cannot_be_done_fails_where_it_cannot() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    // An agent that was there when the machine said what it has, and is gone when it is wanted.
    let agents = stack.directory().join("agents");
    std::fs::create_dir(&agents)?;
    let goose = agents.join("goose");
    std::os::unix::fs::symlink(programs::goose()?.join("goose"), &goose)?;
    stack.start_node("machine", &[&agents]).await?;

    let nowhere = stack.directory().join("nowhere");
    let nothing = stack.directory().join("nothing");
    std::fs::create_dir(&nothing)?;
    let prompt = "Fix the failing test.";
    check(
        &mut stack,
        &Refused {
            repository: &nowhere,
            task: json!({"prompt": prompt}),
            step: StepName::Preparing,
            code: "not_a_repository",
            says: &nowhere.to_string_lossy(),
        },
    )
    .await?;
    check(
        &mut stack,
        &Refused {
            repository: &nothing,
            task: json!({"prompt": prompt}),
            step: StepName::Preparing,
            code: "not_a_repository",
            says: "no git repository",
        },
    )
    .await?;
    check(
        &mut stack,
        &Refused {
            repository: &repository,
            task: json!({"prompt": prompt, "base": "a-branch-that-is-not"}),
            step: StepName::Preparing,
            code: "base_not_found",
            says: "a-branch-that-is-not",
        },
    )
    .await?;
    std::fs::remove_file(&goose)?;
    check(
        &mut stack,
        &Refused {
            repository: &repository,
            task: json!({"prompt": prompt, "agent": "goose"}),
            step: StepName::Starting,
            code: "agent_not_installed",
            says: "goose",
        },
    )
    .await
}

#[tokio::test]
async fn a_task_says_what_it_waits_for_until_the_machine_has_it() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    let project = stack.create_project(&repository.to_string_lossy()).await?;
    let unknown = stack
        .submit(
            &project.id,
            "unknown",
            &json!({"prompt": "x", "agent": "nobody"}),
        )
        .await;
    ensure(
        unknown
            .as_ref()
            .is_err_and(|error| error.to_string().starts_with("400")),
        || format!("{unknown:?}"),
    )?;

    let task = json!({"prompt": "Where is the late fee computed?", "agent": "goose"});
    let work = Work::submit(&stack, &project.id, "first", &task).await?;
    let waits = |what: &'static str| {
        let work = work.clone();
        async move {
            work.until_view(what, |view| {
                view.state == TaskState::Placing
                    && view
                        .steps
                        .last()
                        .and_then(|step| step.detail.as_ref())
                        .is_some_and(|detail| detail.contains(what))
            })
            .await
        }
    };
    waits("none has joined").await?;
    let again = format!("/api/tasks/{}/retry", work.task);
    let refused = stack.admin()?.intend(&again, "early", &json!({})).await?;
    ensure(
        refused.status == 409 && refused.code() == "still_open",
        || format!("an open task was begun again: {}", refused.text()),
    )?;
    stack.start_node("machine", &[]).await?;
    waits("goose installed").await?;
    stack.node_process()?.stop()?;
    stack.restart_node("machine", &[&programs::goose()?])?;
    let done = work.until(TaskState::Completed).await?;
    stack.until_empty("machine").await?;
    retried_where_nothing_is_placed(&stack, &work, &done).await?;
    stack.until_empty("machine").await
}

async fn asked(client: &Client, method: Method, path: &str) -> Result<NodeView> {
    client.send(client.request(method, path)).await?.json()
}

/// The same work again, while its only machine drains: it waits until that takes work again.
async fn retried_where_nothing_is_placed(stack: &Stack, work: &Work, done: &TaskView) -> Result {
    let admin = stack.admin()?;
    let nodes: NodeList = admin.get("/api/nodes").await?.json()?;
    let node = nodes.nodes.first().ok_or_else(|| failure("no machine"))?;
    let drain = format!("/api/nodes/{}/drain", node.id);
    let view: NodeView = asked(admin, Method::PUT, &drain).await?;
    ensure(view.state == NodeState::Draining, || format!("{view:?}"))?;

    let path = format!("/api/tasks/{}/retry", work.task);
    let submitted: Submitted = admin.intend(&path, "again", &json!({})).await?.json()?;
    let repeated: Submitted = admin.intend(&path, "again", &json!({})).await?.json()?;
    ensure(submitted == repeated && submitted.task != work.task, || {
        format!("{submitted:?} and {repeated:?}")
    })?;
    let mut again = work.clone();
    again.task = submitted.task;
    again.session = submitted.session;
    again.prompt = submitted.prompt;
    let waits = |view: &TaskView| {
        let detail = view.steps.last().and_then(|step| step.detail.as_ref());
        view.state == TaskState::Placing && detail.is_some_and(|told| told.contains("draining"))
    };
    let view = again.until_view("draining", waits).await?;
    ensure(
        view.retry_of.as_ref() == Some(&work.task)
            && (&view.title, &view.agent, view.mode) == (&done.title, &done.agent, done.mode),
        || format!("{view:?} is not {done:?} again"),
    )?;
    let view: NodeView = asked(admin, Method::DELETE, &drain).await?;
    ensure(view.state == NodeState::Ready, || format!("{view:?}"))?;
    let view = again.until(TaskState::Completed).await?;
    ensure(view.branch.is_some() && view.branch != done.branch, || {
        format!("{view:?}")
    })?;
    let first = |rows: Vec<Row>| rows.into_iter().next().map(|row| row.body);
    let (then, now) = (work.rows().await?, again.rows().await?);
    match (first(then), first(now)) {
        (Some(RowBody::Text(then)), Some(RowBody::Text(now))) if then.text == now.text => Ok(()),
        other => Err(failure(format!("other words: {other:?}"))),
    }
}
