//! The main job while programs are killed under it. Each test first proves that its fault happened
//! at the moment it is about; then the task reaches the right end, no row is lost or doubled, and
//! nothing keeps running.
//!
//! - [`agent`]: the coding agent dies.
//! - [`vm_agent`]: the vm-agent dies while an agent works.
//! - [`git`]: the vm-agent dies while git works.
//! - [`runtime`]: workerd dies, and the whole server with it.

mod agent;
mod git;
mod runtime;
mod vm_agent;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use sam_domain::conversation::row::{Author, NoticeLevel, Row};
use sam_domain::conversation::wire::PromptState;
use sam_domain::id::RowId;
use sam_domain::task::{TaskState, TaskView};
use sam_e2e::conversation::{PATIENCE, notices, settled, texts};
use sam_e2e::gateway::{messages, offers_tools};
use sam_e2e::machine::Running;
use sam_e2e::repository::{git as run_git, tests_of};
use sam_e2e::{Result, Stack, Work, ensure, failure, wait_until};
use serde_json::{Value, json};

/// What the person asks of the agent.
const REPAIR: &str =
    "A test of this repository fails. Find the cause, fix the code and not the test.";

/// What the person says after an interruption.
const GO_ON: &str = "Go on: fix the failing test.";

/// Holds the model in the middle of an answer, once some were given, and waits until it is.
async fn hold_after(stack: &Stack, answers: u32) -> Result {
    let hold = json!({"kind": "hold", "after_chunks": 3, "skip": answers, "tools": true});
    stack.gateway().fault(&hold).await
}

/// Waits until the model is held while the prompt is at work, and returns the held request.
async fn until_held(stack: &Stack, work: &Work) -> Result<Value> {
    let held = stack
        .gateway()
        .until("the model is held", PATIENCE, |request| {
            request["held"] == true
        })
        .await?;
    work.until(TaskState::Running).await?;
    at_work(work).await?;
    Ok(held)
}

/// Waits until the prompt is at work.
async fn at_work(work: &Work) -> Result {
    wait_until("the prompt runs", PATIENCE, || async {
        Ok((work.last_prompt().await?.state == PromptState::Running).then_some(()))
    })
    .await
}

/// Kills the vm-agent and proves that this is how it ended.
fn kill_vm_agent(stack: &mut Stack) -> Result {
    let status = stack.node_process()?.kill()?;
    ensure(status.signal() == Some(9), || {
        format!("the vm-agent ended with {status}")
    })
}

/// Waits until none of these runs.
async fn until_gone(processes: &[Running]) -> Result {
    wait_until("what was started is gone", PATIENCE, || async {
        let left: Vec<_> = processes.iter().filter(|p| p.is_running()).collect();
        if left.is_empty() {
            Ok(Some(()))
        } else {
            Err(failure(format!("{left:#?}")))
        }
    })
    .await
}

/// The person is asked: the prompt's outcome is unknown, and one question stands in the conversation.
async fn until_asked(work: &Work, why: &str) -> Result<TaskView> {
    let view = work.until(TaskState::AwaitingInput).await?;
    // The conversation hears of it a moment after the task decided it.
    let asked = wait_until("the person is asked", PATIENCE, || async {
        let prompt = work.last_prompt().await?;
        let rows = work.rows().await?;
        let questions: Vec<_> = notices(&rows)
            .into_iter()
            .filter(|notice| notice.level == NoticeLevel::Question)
            .collect();
        let found = prompt.state == PromptState::Unknown
            && prompt.stop_reason.as_deref() == Some("unknown")
            && matches!(questions.as_slice(), [only] if only.code == "prompt_interrupted"
                && only.text.contains(why)
                && only.hint.is_some());
        if found {
            Ok(Some(()))
        } else {
            Err(failure(format!("{prompt:?} {questions:?}")))
        }
    })
    .await;
    match asked {
        Ok(()) => Ok(view),
        Err(error) => Err(failure(format!("{error}\n{}", work.told().await))),
    }
}

/// The newest commit of a completed task, alone on top of `main`, with its tests passing.
fn check_branch(repository: &Path, view: &TaskView) -> Result {
    let result = view.result.as_ref().ok_or_else(|| failure("no result"))?;
    ensure(result.pushed, || format!("{view:?}"))?;
    let tip = run_git(repository, &["rev-parse", &result.branch])?;
    let count = format!("main..{}", result.branch);
    let commits = run_git(repository, &["rev-list", "--count", &count])?;
    ensure(
        result.commit.as_ref() == Some(&tip) && commits == "1",
        || format!("{commits} commits up to {tip}: {result:?}"),
    )?;
    let (passes, said) = tests_of(repository, &result.branch)?;
    ensure(passes, || said)
}

/// Rows that were there are there, in their places; nothing is there twice; the person's words are
/// as they were said.
async fn check_rows(work: &Work, before: &[Row], said: &[&str]) -> Result<Vec<Row>> {
    let rows = work.rows().await?;
    let told = work.told().await;
    settled(&rows)?;
    for row in before {
        let kept = rows.iter().any(|kept| {
            kept.id == row.id && kept.pos == row.pos && kept.created_at == row.created_at
        });
        ensure(kept, || format!("a row is lost: {row:?} of\n{told}"))?;
    }
    let persons: Vec<&str> = texts(&rows, Author::Person)
        .iter()
        .map(|text| text.text.as_str())
        .collect();
    ensure(persons == said, || format!("{persons:?} is not {said:?}"))?;
    Ok(rows)
}

/// The row with this id, which is there once.
fn only<'a>(rows: &'a [Row], id: &RowId) -> Result<&'a Row> {
    let mut found = rows.iter().filter(|row| row.id == *id);
    match (found.next(), found.next()) {
        (Some(row), None) => Ok(row),
        (None, _) => Err(failure(format!("{id} is lost"))),
        (Some(_), Some(_)) => Err(failure(format!("{id} is there twice"))),
    }
}

/// How often the model was asked with nothing but the prompt: how often an agent began on it.
async fn begun(stack: &Stack, words: &str) -> Result<usize> {
    let requests = stack.gateway().requests().await?;
    let count = requests.iter().filter(|request| {
        let messages = messages(request);
        let first = !messages
            .iter()
            .any(|message| message["role"] == "assistant");
        let asked = messages.iter().any(|message| {
            message["role"] == "user" && message["content"].to_string().contains(words)
        });
        first && asked && offers_tools(request)
    });
    Ok(count.count())
}

/// How many model requests there were.
async fn asked(stack: &Stack) -> Result<usize> {
    Ok(stack.gateway().requests().await?.len())
}
