//! A bug is fixed and the commit is on its branch.

use std::path::Path;

use sam_domain::budget::call::UsageSummary;
use sam_domain::conversation::row::{Author, RowBody, ToolBody, ToolKind, ToolStatus};
use sam_domain::task::{StepName, TaskState, TaskView};
use sam_e2e::conversation::{PATIENCE, settled, texts, tools};
use sam_e2e::repository::{git, sample, sample_with, tests_of};
use sam_e2e::{Result, Stack, Work, ensure, failure, programs, wait_until};
use serde_json::{Value, json};

use super::REPAIR;

/// What is to be done where.
struct Job<'a> {
    /// The repository that the project names.
    repository: &'a Path,
    /// The agent.
    agent: &'a str,
    /// Whether it says what kind of tool it calls, and shows its changes as diffs.
    tells: bool,
    /// The file in which the bug is.
    file: &'a str,
    /// The line that repairs it.
    line: &'a str,
}

/// Lets the agent do it, and requires all that a person was promised.
async fn check(stack: &mut Stack, name: &str, job: &Job<'_>) -> Result {
    let main = git(job.repository, &["rev-parse", "main"])?;
    let (passes, said) = tests_of(job.repository, "main")?;
    ensure(!passes && said.contains("fail 1"), || {
        format!("the repository is not broken to begin with: {said}")
    })?;

    let repository = job.repository.to_string_lossy();
    let task = json!({"prompt": REPAIR, "agent": job.agent});
    let work = Work::begin(stack, &repository, &task).await?;
    let view = work.until(TaskState::Completed).await?;

    let result = view
        .result
        .as_ref()
        .ok_or_else(|| failure("a completed task has no result"))?;
    let commit = result
        .commit
        .clone()
        .ok_or_else(|| failure(format!("no commit in {result:?}")))?;
    ensure(
        result.pushed
            && (result.files_changed, result.added, result.removed) == (1, 1, 1)
            && view.branch.as_ref() == Some(&result.branch),
        || format!("{view:?}"),
    )?;
    check_branch(job, &main, &commit, &result.branch)?;
    check_steps(&view)?;
    check_rows(&work, job).await?;
    check_usage(stack, &work).await?;

    let range = format!("{main}..{commit}");
    let expected = git(job.repository, &["diff", "--no-color", &range])?;
    let kept = work.diff().await?;
    ensure(kept.trim_end() == expected, || {
        format!("the kept diff is\n{kept}\nand git's is\n{expected}")
    })?;
    ensure(work.conversation().await?.task == work.task, || {
        "the conversation names another task".to_owned()
    })?;
    stack.until_empty(name).await
}

/// The work is on its branch, and nothing else was touched.
fn check_branch(job: &Job<'_>, main: &str, commit: &str, branch: &str) -> Result {
    let tip = git(job.repository, &["rev-parse", branch])?;
    ensure(tip == commit, || {
        format!("{branch} is at {tip}, not {commit}")
    })?;
    let (passes, said) = tests_of(job.repository, branch)?;
    ensure(passes && said.contains("fail 0"), || {
        format!("the tests do not pass on {branch}: {said}")
    })?;
    let parent = git(job.repository, &["rev-parse", &format!("{commit}^")])?;
    ensure(parent == main, || {
        format!("{commit} is not one commit on {main} but on {parent}")
    })?;
    ensure(git(job.repository, &["rev-parse", "main"])? == main, || {
        "the original branch has moved".to_owned()
    })?;
    let branches = git(job.repository, &["branch", "--format=%(refname:short)"])?;
    let mut branches: Vec<&str> = branches.lines().collect();
    branches.sort_unstable();
    ensure(branches == ["main", branch], || format!("{branches:?}"))
}

/// Every step was taken once, in order, and took its time.
fn check_steps(view: &TaskView) -> Result {
    let names: Vec<StepName> = view.steps.iter().map(|step| step.name).collect();
    let wanted = [
        StepName::Placing,
        StepName::Preparing,
        StepName::Starting,
        StepName::Running,
        StepName::Finishing,
    ];
    ensure(names == wanted && view.attempt == 1, || {
        format!("{:#?}", view.steps)
    })?;
    let mut before = view.created_at;
    for step in &view.steps {
        let ended = step
            .ended_at
            .ok_or_else(|| failure(format!("{step:?} has no end")))?;
        ensure(
            before <= step.started_at && step.started_at <= ended,
            || format!("times do not follow each other: {:#?}", view.steps),
        )?;
        before = ended;
    }
    ensure(view.failure.is_none() && !view.rows_incomplete, || {
        format!("{view:?}")
    })
}

/// The conversation tells what was done: the person's words, each tool call with its arguments and
/// what came of it, the change, the agent's account.
async fn check_rows(work: &Work, job: &Job<'_>) -> Result {
    let rows = work.rows().await?;
    settled(&rows)?;
    let told = work.told().await;
    let first = rows.first().map(|row| (row.author, &row.body));
    ensure(
        matches!(first, Some((Author::Person, RowBody::Text(text))) if text.text == REPAIR
            && text.prompt.as_ref() == Some(&work.prompt)),
        || format!("the conversation does not begin with the person's words:\n{told}"),
    )?;
    let tools = tools(&rows);
    let executes = |tool: &ToolBody| tool.kind == ToolKind::Execute || !job.tells;
    ensure(
        tools.iter().all(|tool| {
            !tool.title.is_empty() && !tool.arguments.is_empty() && tool.ended_at.is_some()
        }),
        || format!("a tool call without title, arguments or end:\n{told}"),
    )?;
    ensure(
        tools.iter().any(|tool| {
            executes(tool)
                && tool.arguments.contains("node --test")
                && tool.output.contains("fail 1")
        }),
        || format!("no call shows the failing test:\n{told}"),
    )?;
    let passing = tools.iter().rev().find(|tool| {
        executes(tool) && tool.status == ToolStatus::Completed && tool.output.contains("fail 0")
    });
    ensure(passing.is_some(), || {
        format!("no call shows the passing tests:\n{told}")
    })?;
    let changed = tools.iter().any(|tool| {
        let shown = tool
            .diffs
            .iter()
            .any(|diff| diff.path == job.file && diff.unified.contains(&format!("+{}", job.line)));
        let passed = tool.arguments.contains(job.file) && tool.arguments.contains(job.line.trim());
        (tool.kind == ToolKind::Edit && shown) || (!job.tells && passed)
    });
    ensure(changed, || format!("no call shows the change:\n{told}"))?;
    let last = texts(&rows, Author::Agent)
        .last()
        .map(|text| text.text.clone());
    ensure(
        last.as_ref().is_some_and(|text| text.contains(job.file)),
        || format!("the agent's last words do not name {}:\n{told}", job.file),
    )
}

/// What is recorded is what the upstream reported, call by call. A call is recorded when its answer
/// has gone through, which may be a moment after the agent was done with it.
async fn check_usage(stack: &Stack, work: &Work) -> Result {
    let requests = stack.gateway().requests().await?;
    let calls: Vec<&Value> = requests
        .iter()
        .filter(|request| request["path"] == "/v1/chat/completions")
        .collect();
    let sum = |field: &str| -> u64 {
        let counts = calls
            .iter()
            .filter_map(|call| call.pointer(&format!("/usage/{field}"))?.as_u64());
        counts.sum()
    };
    let reported = UsageSummary {
        calls: calls.len() as u64,
        unreported: 0,
        input_tokens: sum("prompt_tokens"),
        output_tokens: sum("completion_tokens"),
        // A model that nobody priced is paid for elsewhere.
        cost: 0,
        ends: [("complete".to_owned(), calls.len() as u64)].into(),
    };
    ensure(reported.calls > 2 && reported.output_tokens > 0, || {
        format!("the gateway reported {reported:?}")
    })?;
    wait_until(
        "what is recorded is what was reported",
        PATIENCE,
        || async {
            let recorded = work.usage().await?;
            if recorded == reported {
                Ok(Some(()))
            } else {
                Err(failure(format!("{recorded:?} is not {reported:?}")))
            }
        },
    )
    .await
}

#[tokio::test]
async fn our_agent_fixes_the_sample() -> Result {
    let mut stack = Stack::start().await?;
    let bare = sample(stack.directory(), "inkwell")?;
    // A person's own repository: with a work tree, and changes that nobody may touch.
    let own = stack.directory().join("inkwell-first");
    std::fs::write(own.join("notes.txt"), "mine")?;
    stack.start_node("machine", &[]).await?;
    let job = Job {
        repository: &own,
        agent: "sam-harness",
        tells: true,
        file: "src/ageing.js",
        line: "  return BANDS.find((band) => days <= band.lastDay);",
    };
    check(&mut stack, "machine", &job).await?;
    let status = git(&own, &["status", "--porcelain", "--branch"])?;
    ensure(status == "## main\n?? notes.txt", || {
        format!("the person's work tree was touched: {status}")
    })?;
    ensure(git(&bare, &["branch"])? == "* main", || {
        "another repository was written to".to_owned()
    })
}

#[tokio::test]
async fn goose_fixes_the_sample() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    let goose = programs::goose()?;
    stack.start_node("machine", &[&goose]).await?;
    let job = Job {
        repository: &repository,
        agent: "goose",
        tells: false,
        file: "src/ageing.js",
        line: "  return BANDS.find((band) => days <= band.lastDay);",
    };
    check(&mut stack, "machine", &job).await
}

/// Replaces text in every file, and requires that it occurs.
fn replace(files: &mut [(String, String)], from: &str, to: &str) -> Result {
    ensure(files.iter().any(|(_, text)| text.contains(from)), || {
        format!("the sample has no {from}")
    })?;
    for (_, text) in files {
        *text = text.replace(from, to);
    }
    Ok(())
}

/// The sample under other names, with its bug mended and another one made elsewhere.
fn disguise(files: &mut Vec<(String, String)>) -> Result {
    replace(files, "days < band.lastDay", "days <= band.lastDay")?;
    replace(files, "quantity >= from", "quantity > from")?;
    for (from, to) in [
        ("volumeDiscount", "rebateFor"),
        ("discounts.js", "rebates.js"),
        ("bandFor", "bucketOf"),
        ("ageing.js", "lateness.js"),
        ("percentOf", "shareOf"),
    ] {
        replace(files, from, to)?;
    }
    for (path, _) in files {
        *path = path
            .replace("src/discounts.js", "src/rebates.js")
            .replace("src/ageing.js", "src/lateness.js");
    }
    Ok(())
}

#[tokio::test]
async fn the_bug_is_found_under_other_names_and_elsewhere() -> Result {
    let mut stack = Stack::start().await?;
    let mut disguised = Ok(());
    let repository = sample_with(stack.directory(), "rebates", |files| {
        disguised = disguise(files);
    })?;
    disguised?;
    stack.start_node("machine", &[]).await?;
    let job = Job {
        repository: &repository,
        agent: "sam-harness",
        tells: true,
        file: "src/rebates.js",
        line: "  const step = STEPS.find(({ from }) => quantity >= from);",
    };
    check(&mut stack, "machine", &job).await
}
