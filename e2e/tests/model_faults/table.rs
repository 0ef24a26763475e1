//! Every fault of the table under "Model faults", on one machine.
//!
//! Each is met by a task of its own, whose command leaves a trace for every run. A fault that passes
//! strikes while the command is being asked for; one that stays is there from the first request.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use futures::stream::{self, StreamExt as _};
use sam_domain::conversation::row::{NoticeLevel, RowBody};
use sam_domain::conversation::wire::PromptState;
use sam_domain::task::TaskState;
use sam_e2e::conversation::{notices, settled};
use sam_e2e::gateway::messages;
use sam_e2e::repository::git;
use sam_e2e::samples::{BUILD, book, check_book};
use sam_e2e::specification::{Row, Table};
use sam_e2e::{Result, Stack, StackOptions, Work, ensure, failure, programs, wait_until};
use serde_json::{Value, json};

use super::said;

/// What the agent is started with, so that faults that stay are given up within the test's time.
const PATIENCE: &str = "--retry-for 3 --wait-for-reset 5";
/// The proxy's, in seconds.
const SILENCE: &str = "5";
/// Workspaces that a machine has at a time.
const PLACES: u32 = 8;
/// Requests of an undisturbed task.
const REQUESTS: usize = 7;
/// Requests more than that, whatever happens.
const MOST_RETRIES: usize = 8;

/// A fault by its name in the table: how it strikes once, and how it stays.
fn fault(name: &str) -> Result<(Value, Value)> {
    let same = |fault: Value| (fault.clone(), fault);
    Ok(match name {
        "429, `retry-after` in seconds" => same(json!({"kind": "rate_limit", "retry_after": 2})),
        "429, `retry-after` as a date" => {
            same(json!({"kind": "rate_limit", "retry_after": 2, "says": "date"}))
        }
        "429, `x-ratelimit-reset-…` alone" => {
            same(json!({"kind": "rate_limit", "retry_after": 2, "says": "header"}))
        }
        "429 without a reset" => {
            same(json!({"kind": "rate_limit", "retry_after": 2, "says": "nothing"}))
        }
        "500" => same(json!({"kind": "status", "status": 500})),
        "529" => same(json!({"kind": "status", "status": 529})),
        "401" => same(json!({"kind": "status", "status": 401})),
        "an overload reported within the stream" => {
            same(json!({"kind": "failure", "after_chunks": 2, "code": "overloaded_error"}))
        }
        "a stream cut in its text" => same(json!({"kind": "cut_in", "part": "text"})),
        "a stream cut in the arguments of a call" => {
            same(json!({"kind": "cut_in", "part": "arguments"}))
        }
        "a stream cut after its calls, before its end" => {
            same(json!({"kind": "cut_in", "part": "finish"}))
        }
        "a stream cut after it said that it is done" => {
            same(json!({"kind": "cut_in", "part": "usage"}))
        }
        "a stream that hangs" => (
            json!({"kind": "hold", "after_chunks": 3}),
            json!({"kind": "hold", "after_chunks": 0}),
        ),
        "an answer that does not begin" => same(json!({"kind": "slow_answer", "ms": 600_000})),
        "a slow first byte" => same(json!({"kind": "slow_first_byte", "ms": 1500})),
        "arguments that are not JSON" => same(json!({"kind": "malformed", "how": "invalid_json"})),
        "arguments of the wrong types" => same(json!({"kind": "malformed", "how": "wrong_types"})),
        "a tool that does not exist" => same(json!({"kind": "malformed", "how": "unknown_tool"})),
        "an empty reply" => same(json!({"kind": "empty"})),
        "the same call again and again" => same(json!({"kind": "repeat"})),
        "a page in HTML" => same(json!({"kind": "html"})),
        other => return Err(failure(format!("no test knows the fault {other}"))),
    })
}

/// The fault under the task with these words.
fn striking(fault: Value, words: &str, skip: u32, times: u32) -> Value {
    let mut fault = fault;
    for (name, value) in [
        ("contains", json!(words)),
        ("tools", json!(true)),
        ("calls", json!(true)),
        ("skip", json!(skip)),
        ("times", json!(times)),
    ] {
        if let Some(fields) = fault.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    }
    fault
}

/// A stack with a machine whose agent has little patience.
async fn impatient() -> Result<Stack> {
    let mut stack = Stack::start_with(StackOptions {
        settings: vec![("SAM_MODEL_SILENCE".to_owned(), SILENCE.to_owned())],
        max_workspaces: Some(PLACES),
        ..StackOptions::default()
    })
    .await?;
    let agents = stack.directory().join("agents");
    std::fs::create_dir_all(&agents)?;
    let (program, real) = (agents.join("sam-harness"), programs::native("sam-harness")?);
    let script = format!("#!/bin/sh\nexec '{}' \"$@\" {PATIENCE}\n", real.display());
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    stack.start_node("machine", &[&agents]).await?;
    Ok(stack)
}

/// Begins a task that meets a fault.
async fn begin(stack: &Stack, repository: &Path, fault: &Value, words: &str) -> Result<Work> {
    stack.gateway().fault(fault).await?;
    let task = json!({"prompt": format!("{BUILD} {words}")});
    Work::begin(stack, &repository.to_string_lossy(), &task).await
}

/// Requires that the fault struck, and that there was an end of asking.
async fn check_requests(stack: &Stack, words: &str, times: usize) -> Result {
    let requests = stack.gateway().requests().await?;
    let of_task: Vec<&Value> = requests
        .iter()
        .filter(|request| {
            let mut said = messages(request).iter();
            said.any(|message| message.to_string().contains(words))
        })
        .collect();
    let struck = of_task.iter().filter(|r| !r["fault"].is_null()).count();
    ensure(struck >= times, || {
        format!("{words}: the fault struck {struck} times")
    })?;
    ensure(of_task.len() <= REQUESTS + MOST_RETRIES, || {
        format!("{words}: {} requests", of_task.len())
    })
}

/// The words by which a task's requests are known; no part of another's.
fn words(row: &Row) -> Result<String> {
    let name: String = row
        .cell("fault")?
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == ' ')
        .collect();
    Ok(format!("Fault: {name}."))
}

/// A fault that strikes once: the work is done, each command took effect once, and the person can
/// read what happened.
async fn strikes_once(stack: &Stack, row: &Row) -> Result {
    let (name, words) = (row.cell("fault")?, words(row)?);
    let repository = book(stack.directory(), &words.replace(' ', "-"))?;
    let (once, _) = fault(name)?;
    // The look around passes; the first run of the command is struck.
    let work = begin(stack, &repository, &striking(once, &words, 1, 1), &words).await?;
    let wanted = row.cell("once, the task ends")?;
    let view = work
        .until_view("over", |view| {
            view.state.is_terminal() || view.state == TaskState::AwaitingInput
        })
        .await?;
    let (rows, told) = (work.rows().await?, work.told().await);
    ensure(view.state.word() == wanted, || {
        format!("{name}: {view:?}\n{told}")
    })?;
    settled(&rows)?;
    check_requests(stack, &words, 1).await?;
    if view.state == TaskState::Completed {
        let branch = view.branch.clone().unwrap_or_default();
        check_book(&repository, &branch).map_err(|e| failure(format!("{name}: {e}\n{told}")))?;
    }
    match row.cell("the person reads")? {
        "nothing of it" => {
            let loud = notices(&rows)
                .iter()
                .any(|notice| notice.level != NoticeLevel::Info);
            ensure(!loud, || format!("{name}: somebody complains\n{told}"))
        }
        text => {
            let failed = view
                .failure
                .as_ref()
                .map_or("", |failure| failure.message.as_str());
            let read = said(&rows)
                .into_iter()
                .chain([failed])
                .any(|said| said.contains(text));
            ensure(read, || format!("{name}: nobody says {text}\n{told}"))
        }
    }
}

/// A fault that stays: the task comes to its end by itself, and says why and what to do.
async fn stays(stack: &Stack, row: &Row) -> Result {
    let (name, words) = (row.cell("fault")?, words(row)?);
    let wanted = row.cell("for good")?;
    if wanted == "–" {
        return Ok(());
    }
    let repository = book(stack.directory(), &words.replace(' ', "-"))?;
    let (_, stays) = fault(name)?;
    // A model can only repeat what it has called before.
    let skip = u32::from(name.starts_with("the same call"));
    let work = begin(
        stack,
        &repository,
        &striking(stays, &words, skip, 1000),
        &words,
    )
    .await?;
    let view = work
        .until_view("over", |view| {
            view.state.is_terminal() || view.state == TaskState::AwaitingInput
        })
        .await?;
    let told = work.told().await;
    ensure(view.state.word() == wanted, || {
        format!("{name}: {view:?}\n{told}")
    })?;
    let code = row.cell("with the code")?.trim_matches('`');
    let rows = work.rows().await?;
    settled(&rows)?;
    let noticed = rows.iter().find_map(|row| match &row.body {
        RowBody::Notice(notice) if notice.code == code => Some(notice.hint.clone()),
        _ => None,
    });
    let failed = view.failure.as_ref().filter(|failure| failure.code == code);
    let hint = failed.map(|failure| failure.hint.clone()).or(noticed);
    ensure(hint.flatten().is_some_and(|hint| !hint.is_empty()), || {
        format!("{name}: no {code} with a hint: {view:?}\n{told}")
    })?;
    check_requests(stack, &words, 1).await?;
    if view.state == TaskState::AwaitingInput {
        // It would wait for the person as long as it takes.
        work.end("cancel").await?;
        work.until(TaskState::Cancelled).await?;
    }
    wait_until(
        "the prompt is over",
        sam_e2e::conversation::PATIENCE,
        || async {
            let state = work.last_prompt().await?.state;
            Ok((state == PromptState::Finished).then_some(()))
        },
    )
    .await?;
    ensure(git(&repository, &["branch"])? == "* main", || {
        format!("{name}: something was pushed")
    })
}

/// Lets all of them happen, as many at a time as the machine has places, and tells of every one that
/// failed.
async fn together(rows: impl Iterator<Item = impl Future<Output = Result>>) -> Result {
    let ended: Vec<Result> = stream::iter(rows)
        .buffer_unordered(PLACES as usize)
        .collect()
        .await;
    let failed: Vec<String> = ended
        .into_iter()
        .filter_map(|ended| ended.err().map(|error| error.to_string()))
        .collect();
    ensure(failed.is_empty(), || failed.join("\n\n"))
}

#[tokio::test]
async fn a_fault_that_passes_costs_time_and_nothing_else() -> Result {
    let mut stack = impatient().await?;
    let table = Table::under("Model faults")?;
    together(table.rows().iter().map(|row| strikes_once(&stack, row))).await?;
    stack.until_quiet("machine").await
}

#[tokio::test]
async fn a_fault_that_stays_ends_the_task_with_its_code_and_a_hint() -> Result {
    let mut stack = impatient().await?;
    let table = Table::under("Model faults")?;
    together(table.rows().iter().map(|row| stays(&stack, row))).await?;
    stack.until_quiet("machine").await
}
