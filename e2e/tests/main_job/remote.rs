//! A repository behind HTTP, as hosts serve it.

use std::os::unix::fs::PermissionsExt as _;

use sam_domain::error::Fault;
use sam_domain::task::{StepName, TaskState};
use sam_e2e::git_server::GitServer;
use sam_e2e::repository::{git, sample, tests_of};
use sam_e2e::{Result, Stack, Work, ensure, failure};
use serde_json::json;

use super::REPAIR;

#[tokio::test]
async fn a_repository_is_cloned_and_pushed_over_http() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    let server = GitServer::start(stack.directory()).await?;
    stack.start_node("machine", &[]).await?;
    let task = json!({"prompt": REPAIR});
    let work = Work::begin(&stack, &server.url("inkwell.git"), &task).await?;
    let view = work.until(TaskState::Completed).await?;
    let result = view.result.ok_or_else(|| failure("no result"))?;
    ensure(result.pushed, || format!("{result:?}"))?;
    let tip = git(&repository, &["rev-parse", &result.branch])?;
    ensure(result.commit.as_ref() == Some(&tip), || {
        format!("{} is at {tip}, not {:?}", result.branch, result.commit)
    })?;
    let (passes, said) = tests_of(&repository, &result.branch)?;
    ensure(passes, || said)?;
    let seen = server.seen();
    for service in [
        "POST /inkwell.git/git-upload-pack",
        "POST /inkwell.git/git-receive-pack",
    ] {
        ensure(seen.iter().any(|request| request == service), || {
            format!("{service} is not among {seen:#?}")
        })?;
    }
    stack.until_empty("machine").await
}

#[tokio::test]
async fn a_refused_push_keeps_the_commit_and_says_where() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    let hook = repository.join("hooks/pre-receive");
    std::fs::write(
        &hook,
        "#!/bin/sh\necho 'pushes are closed today' >&2\nexit 1\n",
    )?;
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))?;
    let server = GitServer::start(stack.directory()).await?;
    stack.start_node("machine", &[]).await?;
    let task = json!({"prompt": REPAIR});
    let work = Work::begin(&stack, &server.url("inkwell.git"), &task).await?;
    let view = work.until(TaskState::Failed).await?;

    let result = view.result.clone().ok_or_else(|| failure("no result"))?;
    let commit = result.commit.clone().ok_or_else(|| failure("no commit"))?;
    let failed = view.failure.clone().ok_or_else(|| failure("no failure"))?;
    let workspace = view
        .workspace
        .as_ref()
        .ok_or_else(|| failure("the workspace is forgotten"))?
        .to_string();
    let hint = failed.hint.clone().unwrap_or_default();
    ensure(
        failed.step == StepName::Finishing
            && failed.code == "push_failed"
            && failed.fault == Fault::Environment
            && failed.message.contains(&commit)
            && failed.message.contains("pushes are closed today")
            && hint.contains(&result.branch)
            && hint.contains(&workspace)
            && !result.pushed,
        || format!("{view:?}"),
    )?;
    ensure(git(&repository, &["branch"])? == "* main", || {
        "a refused push left a branch".to_owned()
    })?;
    ensure(work.diff().await?.contains("days <= band.lastDay"), || {
        "the diff of the kept commit is not kept".to_owned()
    })?;

    // It can be had from where the hint says, and pushed once the repository takes it.
    let disk = stack.disk("machine");
    let kept = disk.workspaces().join(&workspace).join("repo");
    ensure(
        git(&kept, &["rev-parse", &result.branch])? == commit,
        || "the workspace does not hold the commit".to_owned(),
    )?;
    std::fs::remove_file(&hook)?;
    let branch = result.branch.clone();
    // Beside this thread, which runs the server that it pushes to.
    let push = move || git(&kept, &["push", "--quiet", "origin", &branch]);
    tokio::task::spawn_blocking(push).await??;
    let (passes, said) = tests_of(&repository, &result.branch)?;
    ensure(passes, || said)?;
    stack.until_quiet("machine").await
}
