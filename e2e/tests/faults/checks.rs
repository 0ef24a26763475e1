//! What has to be true of a task whatever failed under it.

use std::path::Path;

use sam_domain::conversation::row::{Author, NoticeLevel, Row};
use sam_domain::conversation::wire::PromptState;
use sam_domain::id::RowId;
use sam_domain::task::{TaskState, TaskView};
use sam_e2e::conversation::{PATIENCE, notices, settled, texts as said_by};
use sam_e2e::gateway::{messages, offers_tools};
use sam_e2e::machine::Running;
use sam_e2e::repository::{git, tests_of};
use sam_e2e::{Result, Stack, Work, ensure, failure, wait_until};
use serde_json::json;

use crate::scene::MACHINE;

/// What the person asks of the agent.
pub(crate) const REPAIR: &str =
    "A test of this repository fails. Find the cause, fix the code and not the test.";

/// What the person says after an interruption.
pub(crate) const GO_ON: &str = "Go on: fix the failing test.";

/// Waits until none of these runs.
pub(crate) async fn until_gone(processes: &[Running]) -> Result {
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

/// The person is asked: the prompt's outcome is unknown, and one question stands in the
/// conversation.
pub(crate) async fn until_asked(work: &Work) -> Result<TaskView> {
    let view = work.until(TaskState::AwaitingInput).await?;
    // The conversation hears of it a moment after the task decided it.
    let asked = wait_until("the person is asked", PATIENCE, || async {
        let prompt = work.last_prompt().await?;
        let rows = work.rows().await?;
        let questions = notices(&rows)
            .into_iter()
            .filter(|notice| notice.level == NoticeLevel::Question)
            .count();
        let found = prompt.state == PromptState::Unknown
            && prompt.stop_reason.as_deref() == Some("unknown")
            && questions == 1;
        if found {
            Ok(Some(()))
        } else {
            Err(failure(format!("{prompt:?} {:?}", notices(&rows))))
        }
    })
    .await;
    match asked {
        Ok(()) => Ok(view),
        Err(error) => Err(failure(format!("{error}\n{}", work.told().await))),
    }
}

/// The newest commit of a completed task, alone on top of `main`, on a branch that is the only one
/// beside it, with its tests passing.
pub(crate) fn branch(repository: &Path, view: &TaskView) -> Result {
    let result = view.result.as_ref().ok_or_else(|| failure("no result"))?;
    ensure(result.pushed, || format!("{view:?}"))?;
    let tip = git(repository, &["rev-parse", &result.branch])?;
    let count = format!("main..{}", result.branch);
    let commits = git(repository, &["rev-list", "--count", &count])?;
    ensure(
        result.commit.as_ref() == Some(&tip) && commits == "1",
        || format!("{commits} commits up to {tip}: {result:?}"),
    )?;
    let branches = git(repository, &["branch", "--format=%(refname:short)"])?;
    ensure(branches.lines().count() == 2, || branches)?;
    let (passes, said) = tests_of(repository, &result.branch)?;
    ensure(passes, || said)
}

/// Rows that were there are there, in their places; nothing is there twice; the person's words are
/// as they were said.
pub(crate) async fn rows(work: &Work, before: &[Row], said: &[&str]) -> Result<Vec<Row>> {
    let rows = work.rows().await?;
    let told = work.told().await;
    settled(&rows)?;
    for row in before {
        let kept = rows.iter().any(|kept| {
            kept.id == row.id && kept.pos == row.pos && kept.created_at == row.created_at
        });
        ensure(kept, || format!("a row is lost: {row:?} of\n{told}"))?;
    }
    let persons: Vec<&str> = said_by(&rows, Author::Person)
        .iter()
        .map(|text| text.text.as_str())
        .collect();
    ensure(persons == said, || format!("{persons:?} is not {said:?}"))?;
    Ok(rows)
}

/// The row with this id, which is there once.
pub(crate) fn only<'a>(rows: &'a [Row], id: &RowId) -> Result<&'a Row> {
    let mut found = rows.iter().filter(|row| row.id == *id);
    match (found.next(), found.next()) {
        (Some(row), None) => Ok(row),
        (None, _) => Err(failure(format!("{id} is lost"))),
        (Some(_), Some(_)) => Err(failure(format!("{id} is there twice"))),
    }
}

/// How often the model was asked with nothing but the prompt: how often an agent began on it.
pub(crate) async fn begun(stack: &Stack, words: &str) -> Result<usize> {
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

/// The conversation shows each of the model's texts once and in order.
pub(crate) async fn texts(stack: &Stack, rows: &[Row]) -> Result {
    let requests = stack.gateway().requests().await?;
    let longest = requests
        .iter()
        .map(messages)
        .max_by_key(|messages| messages.len())
        .ok_or_else(|| failure("the model was not asked"))?;
    // What the model said in its answers, as the agent sent it back: every text but the last.
    let said: Vec<&str> = longest
        .iter()
        .filter(|message| message["role"] == "assistant")
        .filter_map(|message| message["content"].as_str())
        .filter(|text| !text.is_empty())
        .collect();
    let shown: Vec<&str> = said_by(rows, Author::Agent)
        .iter()
        .map(|text| text.text.as_str())
        .collect();
    let (_, all_but_last) = shown
        .split_last()
        .ok_or_else(|| failure("the agent said nothing"))?;
    ensure(all_but_last == said, || {
        format!("shown is {all_but_last:#?}, and said was {said:#?}")
    })
}

/// The machine's only place is free: the next task gets it. It is told to stop there.
pub(crate) async fn place_is_free(stack: &mut Stack, work: &Work) -> Result {
    let task = json!({"prompt": "Say what this repository is."});
    let next = Work::submit(stack, &work.project, "next", &task).await?;
    next.until_view("placed", |view| view.node.is_some())
        .await?;
    next.end("cancel").await?;
    next.until(TaskState::Cancelled).await?;
    stack.until_quiet(MACHINE).await
}
