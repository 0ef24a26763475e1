//! A command that fails is recovered.

use sam_domain::conversation::row::{ToolKind, ToolStatus};
use sam_domain::task::TaskState;
use sam_e2e::conversation::{settled, tools};
use sam_e2e::samples::{BUILD, book, check_book};
use sam_e2e::{Result, Stack, Work, ensure, failure};
use serde_json::json;

#[tokio::test]
async fn a_command_that_fails_gets_what_it_lacks() -> Result {
    let mut stack = Stack::start().await?;
    let repository = book(stack.directory(), "book")?;
    stack.start_node("machine", &[]).await?;
    let task = json!({"prompt": BUILD});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let view = work.until(TaskState::Completed).await?;
    let branch = view.branch.ok_or_else(|| failure("no branch"))?;
    check_book(&repository, &branch)?;
    let rows = work.rows().await?;
    settled(&rows)?;
    let runs: Vec<ToolStatus> = tools(&rows)
        .iter()
        .filter(|tool| tool.kind == ToolKind::Execute && tool.title.contains("build.sh"))
        .map(|tool| tool.status)
        .collect();
    let expected = [
        ToolStatus::Failed,
        ToolStatus::Failed,
        ToolStatus::Completed,
    ];
    ensure(runs == expected, || format!("{runs:?}"))
}
