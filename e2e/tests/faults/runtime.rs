//! The control plane is killed while an agent works: the agent does not notice, and the task goes on
//! by itself.

use rustix::process::Signal;
use sam_domain::conversation::wire::PromptState;
use sam_domain::task::TaskState;
use sam_e2e::conversation::PATIENCE;
use sam_e2e::machine;
use sam_e2e::repository::sample;
use sam_e2e::{Result, Stack, Work, ensure, failure, wait_until};
use serde_json::{Value, json};

use super::*;

/// What the model said in its answers, as the agent sent it back: every text but the last.
async fn model_said(stack: &Stack) -> Result<Vec<String>> {
    let requests = stack.gateway().requests().await?;
    let longest = requests
        .iter()
        .map(messages)
        .max_by_key(|messages| messages.len())
        .ok_or_else(|| failure("the model was not asked"))?;
    Ok(longest
        .iter()
        .filter(|message| message["role"] == "assistant")
        .filter_map(|message| message["content"].as_str())
        .map(str::to_owned)
        .filter(|text| !text.is_empty())
        .collect())
}

/// The conversation shows each of the model's texts once and in order.
async fn check_texts(stack: &Stack, rows: &[Row]) -> Result {
    let said = model_said(stack).await?;
    let shown: Vec<&str> = texts(rows, Author::Agent)
        .iter()
        .map(|text| text.text.as_str())
        .collect();
    // The last one ends the turn and is sent back to nobody.
    let (_, all_but_last) = shown
        .split_last()
        .ok_or_else(|| failure("the agent said nothing"))?;
    ensure(all_but_last == said, || {
        format!("shown is {all_but_last:#?}, and said was {said:#?}")
    })
}

/// What every fault here ends with.
async fn check_end(stack: &mut Stack, work: &Work, before: &[Row], repository: &Path) -> Result {
    let done = work.until(TaskState::Completed).await?;
    ensure(done.attempt == 1 && !done.rows_incomplete, || {
        format!("{done:?}")
    })?;
    check_branch(repository, &done)?;
    ensure(begun(stack, REPAIR).await? == 1, || {
        "the prompt was given to an agent more than once".to_owned()
    })?;
    let prompt = work.last_prompt().await?;
    ensure(
        prompt.state == PromptState::Finished && prompt.stop_reason.as_deref() == Some("end_turn"),
        || format!("{prompt:?}"),
    )?;
    let rows = check_rows(work, before, &[REPAIR]).await?;
    ensure(notices(&rows).is_empty(), || {
        format!("the person was bothered: {:#?}", notices(&rows))
    })?;
    check_texts(stack, &rows).await?;
    stack.until_empty("machine").await
}

#[tokio::test]
async fn a_killed_runtime_is_started_again_and_the_task_goes_on() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[]).await?;
    hold_after(&stack, 3).await?;
    let task = json!({"prompt": REPAIR});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let held = until_held(&stack, &work).await?;
    let before = work.rows().await?;
    let agents = stack.disk("machine").started()?;
    let first = machine::process(stack.workerd_id()?).ok_or_else(|| failure("no workerd"))?;

    first.signal(Signal::KILL);
    until_gone(std::slice::from_ref(&first)).await?;
    stack
        .gateway()
        .until("the model's stream is broken", PATIENCE, |request| {
            request["id"] == held["id"] && request["outcome"] == "disconnected"
        })
        .await?;
    let anyone = stack.anyone()?;
    wait_until("another workerd answers", PATIENCE, || async {
        let second = machine::process(stack.workerd_id()?).filter(|second| *second != first);
        let answers = anyone.get("/healthz").await?.status == 200;
        Ok((second.is_some() && answers).then_some(()))
    })
    .await?;
    ensure(stack.server()?.is_running()?, || {
        "the server ended with its runtime".to_owned()
    })?;
    ensure(agents.iter().all(Running::is_running), || {
        "the agent ended with the control plane".to_owned()
    })?;
    check_end(&mut stack, &work, &before, &repository).await
}

#[tokio::test]
async fn a_server_that_comes_back_later_finds_the_agent_at_work() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[]).await?;
    hold_after(&stack, 4).await?;
    let task = json!({"prompt": REPAIR});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let held = until_held(&stack, &work).await?;
    let before = work.rows().await?;
    let agents = stack.disk("machine").started()?;

    let runtime = machine::process(stack.workerd_id()?).ok_or_else(|| failure("no workerd"))?;
    let status = stack.server()?.kill()?;
    ensure(
        std::os::unix::process::ExitStatusExt::signal(&status) == Some(9),
        || format!("the server ended with {status}"),
    )?;
    until_gone(std::slice::from_ref(&runtime)).await?;
    let broken: Value = stack
        .gateway()
        .until("the model's stream is broken", PATIENCE, |request| {
            request["id"] == held["id"] && request["outcome"] == "disconnected"
        })
        .await?;
    ensure(agents.iter().all(Running::is_running), || {
        format!("the agent ended with the control plane: {broken}")
    })?;
    stack.start_server().await?;
    check_end(&mut stack, &work, &before, &repository).await
}
