//! A limit that resets far away.

use sam_domain::conversation::row::NoticeLevel;
use sam_domain::task::TaskState;
use sam_e2e::conversation::{PATIENCE, notices};
use sam_e2e::samples::{BUILD, book};
use sam_e2e::{Result, Stack, Work, ensure, failure, wait_until};
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
