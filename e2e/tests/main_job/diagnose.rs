//! A failing test is diagnosed, and nothing is mended.

use sam_domain::task::TaskState;
use sam_e2e::conversation::settled;
use sam_e2e::repository::{git, sample, tests_of};
use sam_e2e::{Result, Stack, Work, ensure, failure};
use serde_json::json;

#[tokio::test]
async fn a_failing_test_is_diagnosed_in_writing() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[]).await?;
    let prompt = "Diagnose the failing test and write what you find to `DIAGNOSIS.md`.";
    let task = json!({"prompt": prompt});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let view = work.until(TaskState::Completed).await?;
    let told = work.told().await;
    let branch = view.branch.ok_or_else(|| failure("no branch"))?;
    let changed = git(&repository, &["diff", "--name-only", "main", &branch])?;
    ensure(changed == "DIAGNOSIS.md", || format!("{changed}\n{told}"))?;
    let page = git(&repository, &["show", &format!("{branch}:DIAGNOSIS.md")])?;
    // The place of the bug, and the test that shows it.
    let (passes, said) = tests_of(&repository, &branch)?;
    let test = said
        .lines()
        .find_map(|line| {
            line.trim()
                .strip_prefix("✖ ")
                .or(line.strip_prefix("not ok "))
        })
        .map(|line| {
            line.split(['(', '#'])
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
        .unwrap_or_default();
    let test = test
        .split_once(" - ")
        .map_or(test.as_str(), |(_, name)| name);
    ensure(!passes, || "it was not to be mended".to_owned())?;
    ensure(
        page.contains("src/ageing.js") && !test.is_empty() && page.contains(test),
        || format!("{test} is not in\n{page}\n{said}"),
    )?;
    settled(&work.rows().await?)
}
