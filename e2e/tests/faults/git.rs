//! The vm-agent is killed while git works: it is begun again by itself, because it can be.

use sam_domain::task::TaskState;
use sam_e2e::conversation::PATIENCE;
use sam_e2e::git_server::{GitServer, Service};
use sam_e2e::machine;
use sam_e2e::repository::sample;
use sam_e2e::{Result, Stack, Work, ensure, failure};
use serde_json::json;

use super::*;

async fn check(service: Service, state: TaskState) -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    let server = GitServer::start(stack.directory()).await?;
    stack.start_node("machine", &[]).await?;
    server.hold(service);
    let task = json!({"prompt": REPAIR});
    let work = Work::begin(&stack, &server.url("inkwell.git"), &task).await?;
    server.until_held(PATIENCE).await?;
    let view = work.view().await?;
    ensure(view.state == state, || format!("{view:?}"))?;
    let node = stack.node_process()?.id();
    let below = machine::below(node);
    ensure(
        below
            .iter()
            .any(|process| process.program().starts_with("git")),
        || format!("git does not run below the vm-agent: {below:#?}"),
    )?;
    let before = work.rows().await?;
    let asked_before = asked(&stack).await?;

    kill_vm_agent(&mut stack)?;
    until_gone(&below).await?;
    ensure(stack.disk("machine").started()?.is_empty(), || {
        "something outlived the vm-agent".to_owned()
    })?;
    ensure(work.view().await?.state == state, || {
        "the task gave up at once".to_owned()
    })?;
    server.release();
    stack.restart_node("machine", &[])?;

    let done = work.until(TaskState::Completed).await?;
    ensure(
        done.attempt == 1 && done.workspace == view.workspace,
        || format!("{view:?}\n{done:?}"),
    )?;
    check_branch(&repository, &done)?;
    check_rows(&work, &before, &[REPAIR]).await?;
    ensure(begun(&stack, REPAIR).await? == 1, || {
        "the prompt was given to an agent more than once".to_owned()
    })?;
    if state == TaskState::Finishing {
        ensure(asked(&stack).await? == asked_before, || {
            "the agent worked on after its work was done".to_owned()
        })?;
    }
    let diff = work.diff().await?;
    ensure(diff.matches("days <= band.lastDay").count() == 1, || diff)?;
    let branches = run_git(&repository, &["branch", "--format=%(refname:short)"])?;
    ensure(branches.lines().count() == 2, || {
        failure(branches).to_string()
    })?;
    stack.until_empty("machine").await
}

#[tokio::test]
async fn a_clone_that_was_cut_off_is_made_again() -> Result {
    check(Service::UploadPack, TaskState::Preparing).await
}

#[tokio::test]
async fn a_push_that_was_cut_off_is_made_again() -> Result {
    check(Service::ReceivePack, TaskState::Finishing).await
}
