//! A name is changed across files.

use sam_domain::task::TaskState;
use sam_e2e::conversation::settled;
use sam_e2e::repository::{git, sample_with, tests_of};
use sam_e2e::{Result, Stack, Work, ensure, failure};
use serde_json::json;

#[tokio::test]
async fn a_function_is_renamed_across_files() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample_with(stack.directory(), "inkwell", |files| {
        for (_, text) in files.iter_mut() {
            *text = text.replace("days < band.lastDay", "days <= band.lastDay");
        }
        // Another name that begins alike.
        let other = "export const bandForm = 'one for bandFor';\n";
        files.push(("src/form.js".to_owned(), other.to_owned()));
    })?;
    let places = |branch: &str, word: &str| {
        let found = git(
            &repository,
            &["grep", "--word-regexp", "--count", word, branch],
        );
        found.map(|found| found.lines().count()).unwrap_or_default()
    };
    let files = places("main", "bandFor");
    ensure(files >= 3, || format!("bandFor is in {files} files only"))?;
    stack.start_node("machine", &[]).await?;
    let task = json!({"prompt": "Rename the function `bandFor` to `bucketOf` everywhere."});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let view = work.until(TaskState::Completed).await?;
    let told = work.told().await;
    let branch = view.branch.ok_or_else(|| failure("no branch"))?;
    ensure(
        (places(&branch, "bandFor"), places(&branch, "bucketOf")) == (0, files),
        || format!("not everywhere:\n{told}"),
    )?;
    let form = git(&repository, &["show", &format!("{branch}:src/form.js")])?;
    ensure(
        form == "export const bandForm = 'one for bucketOf';",
        || form.clone(),
    )?;
    let (passes, said) = tests_of(&repository, &branch)?;
    ensure(passes, || said)?;
    settled(&work.rows().await?)
}
