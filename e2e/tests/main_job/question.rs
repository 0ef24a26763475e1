//! A question about the code is answered, and nothing is committed.

use sam_domain::conversation::row::{Author, ToolKind};
use sam_domain::task::TaskState;
use sam_e2e::conversation::{settled, texts, tools};
use sam_e2e::repository::{git, sample};
use sam_e2e::{Result, Stack, Work, ensure};
use serde_json::json;

#[tokio::test]
async fn an_answer_changes_nothing() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[]).await?;
    let task = json!({"prompt": "Where is the late fee computed?"});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let view = work.until(TaskState::Completed).await?;
    ensure(
        view.result.as_ref().is_some_and(|result| {
            result.commit.is_none()
                && !result.pushed
                && result.diff.is_none()
                && (result.files_changed, result.added, result.removed) == (0, 0, 0)
        }),
        || format!("{view:?}"),
    )?;
    let refused = work.diff().await.unwrap_or_else(|error| error.to_string());
    ensure(refused.contains("no_diff"), || refused.clone())?;

    let rows = work.rows().await?;
    settled(&rows)?;
    let told = work.told().await;
    let answer = texts(&rows, Author::Agent)
        .last()
        .map(|text| text.text.clone());
    ensure(
        answer
            .as_ref()
            .is_some_and(|text| text.contains("src/fees.js")),
        || format!("the answer names no place:\n{told}"),
    )?;
    ensure(
        tools(&rows)
            .iter()
            .all(|tool| tool.kind != ToolKind::Edit && tool.diffs.is_empty()),
        || format!("a question changed something:\n{told}"),
    )?;
    ensure(git(&repository, &["branch"])? == "* main", || {
        "a branch was made for an answer".to_owned()
    })?;
    stack.until_empty("machine").await
}
