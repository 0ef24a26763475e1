//! The coding agent is killed while it works.

use rustix::process::Signal;
use sam_domain::task::{StepName, TaskState};
use sam_e2e::conversation::PATIENCE;
use sam_e2e::repository::sample;
use sam_e2e::{Result, Stack, Work, ensure, failure};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_killed_agent_asks_the_person_and_is_started_again() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[]).await?;
    hold_after(&stack, 3).await?;
    let task = json!({"prompt": REPAIR});
    let mut work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let held = until_held(&stack, &work).await?;
    let before = work.rows().await?;
    let running = work.view().await?;
    let disk = stack.disk("machine");
    let started = disk.started()?;
    let agent = started
        .iter()
        .find(|process| process.program() == "sam-harness")
        .ok_or_else(|| failure(format!("no agent among {started:?}")))?;

    agent.signal(Signal::KILL);
    until_gone(&started).await?;

    let view = until_asked(&work, "killed by signal 9").await?;
    stack
        .gateway()
        .until("the model's stream is dropped", PATIENCE, |request| {
            request["id"] == held["id"] && request["outcome"] == "disconnected"
        })
        .await?;
    stack.until_quiet("machine").await?;
    let interrupted = check_rows(&work, &before, &[REPAIR]).await?;
    let asked_before = asked(&stack).await?;
    ensure(begun(&stack, REPAIR).await? == 1, || {
        "the prompt was given to an agent again".to_owned()
    })?;

    // The person's next words start another agent where the first one was.
    work.say(GO_ON).await?;
    let done = work.until(TaskState::Completed).await?;
    ensure(
        done.id == running.id
            && done.attempt == 1
            && done.workspace == running.workspace
            && view.workspace == running.workspace,
        || format!("{running:?}\n{done:?}"),
    )?;
    let starts = done
        .steps
        .iter()
        .filter(|step| step.name == StepName::Starting);
    ensure(starts.count() == 2, || format!("{:#?}", done.steps))?;
    ensure(asked(&stack).await? > asked_before, || {
        "no model was asked for the rest".to_owned()
    })?;
    check_branch(&repository, &done)?;
    check_rows(&work, &interrupted, &[REPAIR, GO_ON]).await?;
    stack.until_empty("machine").await
}
