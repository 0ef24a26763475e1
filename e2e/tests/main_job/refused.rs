//! What cannot be done fails at the step where it cannot, with a word for programs, a sentence for
//! people and something to do next.

use std::path::Path;

use sam_domain::error::Fault;
use sam_domain::task::{StepName, TaskState};
use sam_e2e::repository::sample;
use sam_e2e::{Result, Stack, Work, ensure, failure, programs};
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
    stack.start_node("machine", &[]).await?;
    waits("goose installed").await?;
    stack.node_process()?.stop()?;
    stack.restart_node("machine", &[&programs::goose()?])?;
    work.until(TaskState::Completed).await?;
    stack.until_empty("machine").await
}
