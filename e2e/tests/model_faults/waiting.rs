//! A limit that resets far away.

use rustix::process::Signal;
use sam_domain::conversation::row::{Author, NoticeLevel};
use sam_domain::task::TaskState;
use sam_e2e::conversation::{PATIENCE, notices, texts};
use sam_e2e::samples::{BUILD, book};
use sam_e2e::{Result, Stack, Work, ensure, failure, machine, wait_until};
use serde_json::json;

#[tokio::test]
async fn a_far_reset_is_waited_for_in_sight_of_the_person() -> Result {
    let mut stack = Stack::start().await?;
    let repository = book(stack.directory(), "book")?;
    stack.start_node("machine", &[]).await?;
    let limit = json!({"kind": "rate_limit", "retry_after": 5400, "skip": 1, "tools": true});
    stack.gateway().fault(&limit).await?;
    let task = json!({"prompt": BUILD});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    wait_until("the conversation says until when", PATIENCE, || async {
        let rows = work.rows().await?;
        let waits = notices(&rows).into_iter().any(|notice| {
            notice.code == "model_rate_limited"
                && notice.level == NoticeLevel::Warning
                && notice.text.contains("Waiting until ")
                && notice.text.contains(" GMT (90 min)")
                && notice.hint.is_some()
        });
        if waits {
            Ok(Some(()))
        } else {
            Err(failure(work.told().await))
        }
    })
    .await?;
    ensure(work.view().await?.state == TaskState::Running, || {
        "it does not wait".to_owned()
    })?;

    // A person need not wait as long.
    work.end("cancel").await?;
    work.until(TaskState::Cancelled).await?;
    let asked = stack.gateway().requests().await?.len();
    ensure(asked == 2, || {
        format!("{asked} requests, the refused one included")
    })?;
    stack.until_quiet("machine").await
}

#[tokio::test]
async fn a_wait_outlives_kills_of_the_machine_and_of_the_control_plane() -> Result {
    let mut stack = Stack::start().await?;
    let repository = book(stack.directory(), "book")?;
    stack.start_node("machine", &[]).await?;
    let limit = json!({"kind": "rate_limit", "retry_after": 25, "skip": 1, "tools": true});
    stack.gateway().fault(&limit).await?;
    let task = json!({"prompt": BUILD});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let waits = work
        .until_view("the task says until when it waits", |view| {
            view.waits_until.is_some()
        })
        .await?;
    let until = waits.waits_until;
    ensure(waits.state == TaskState::Running, || format!("{waits:?}"))?;

    let runtime = machine::process(stack.workerd_id()?);
    let runtime = runtime.ok_or_else(|| failure("no workerd"))?;
    runtime.signal(Signal::KILL);
    stack.node_process()?.kill()?;
    stack.restart_node("machine", &[])?;
    let lost = work
        .until_view("the loss of the agent is noticed", |view| {
            view.state == TaskState::AwaitingInput
        })
        .await?;
    ensure(lost.waits_until == until, || format!("{lost:?}"))?;
    let rows = work.rows().await?;
    let told = notices(&rows)
        .into_iter()
        .any(|notice| notice.code == "wait_interrupted");
    ensure(told, || format!("{rows:#?}"))?;

    // Nobody says anything, and it goes on.
    let done = work.until(TaskState::Completed).await?;
    ensure(
        done.waits_until.is_none() && done.since >= until.unwrap_or_default(),
        || format!("{done:?}"),
    )?;
    let by_itself = texts(&work.rows().await?, Author::System).len();
    ensure(by_itself == 1, || format!("{by_itself} words of its own"))?;
    stack.until_empty("machine").await
}
