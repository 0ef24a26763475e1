//! goose under faults. What it does about them is its own affair; that the conversation tells the
//! truth about it is ours: its prompt ends, the task does not stay at work, nothing is left running.

use sam_domain::conversation::wire::PromptState;
use sam_domain::task::TaskState;
use sam_e2e::conversation::{PATIENCE, settled};
use sam_e2e::repository::sample;
use sam_e2e::{Result, Stack, Work, ensure, failure, programs, wait_until};
use serde_json::{Value, json};

const QUESTION: &str = "Where is the late fee computed?";

/// Lets goose answer under a fault, and requires a true end.
async fn check(fault: Value) -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    let goose = programs::goose()?;
    stack.start_node("machine", &[&goose]).await?;
    stack.gateway().fault(&fault).await?;
    let task = json!({"prompt": QUESTION, "agent": "goose"});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let view = work
        .until_view("over", |view| {
            view.state.is_terminal() || view.state == TaskState::AwaitingInput
        })
        .await?;
    let told = work.told().await;
    let struck = stack.gateway().requests().await?;
    ensure(
        struck.iter().any(|request| !request["fault"].is_null()),
        || "the fault did not strike".to_owned(),
    )?;
    // Completed, failed with a reason, or a question: never at work for ever.
    let explained = match view.state {
        TaskState::Completed | TaskState::AwaitingInput => true,
        TaskState::Failed => view.failure.as_ref().is_some_and(|f| !f.message.is_empty()),
        _ => false,
    };
    ensure(explained, || format!("{view:?}\n{told}"))?;
    wait_until("the prompt is over", PATIENCE, || async {
        let prompt = work.last_prompt().await?;
        let over = matches!(
            prompt.state,
            PromptState::Finished | PromptState::Cancelled | PromptState::Unknown
        );
        if over {
            Ok(Some(()))
        } else {
            Err(failure(format!("{prompt:?}")))
        }
    })
    .await?;
    settled(&work.rows().await?)?;
    stack.until_quiet("machine").await
}

#[tokio::test]
async fn its_limits_end_in_the_truth() -> Result {
    check(json!({"kind": "rate_limit", "retry_after": 1, "tools": true, "times": 1})).await
}

#[tokio::test]
async fn its_cut_streams_end_in_the_truth() -> Result {
    check(json!({"kind": "cut_in", "part": "arguments", "calls": true, "times": 1})).await
}
