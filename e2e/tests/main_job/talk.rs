//! Conversations of more than one prompt, and what a person stops.

use sam_domain::conversation::row::{Author, RowBody, ToolStatus};
use sam_domain::conversation::wire::{ActivityState, PromptState};
use sam_domain::link::question::{Diagnostics, EntryKind, FileView, PortList};
use sam_domain::task::{StepName, TaskState, TaskView};
use sam_e2e::conversation::{PATIENCE, settled, texts};
use sam_e2e::gateway::messages;
use sam_e2e::repository::{git, sample, tests_of};
use sam_e2e::{Result, Stack, Work, ensure, failure, wait_until};
use serde_json::{Value, json};

use super::REPAIR;

const QUESTION: &str = "Where is the late fee computed?";

/// Waits until the last prompt stands there.
async fn until_prompt(work: &Work, state: PromptState) -> Result {
    let stands = wait_until("the prompt's state", PATIENCE, || async {
        Ok((work.last_prompt().await?.state == state).then_some(()))
    })
    .await;
    if let Err(error) = stands {
        let (view, told) = (work.view().await, work.told().await);
        return Err(failure(format!("{state:?}: {error}\n{view:?}\n{told}")));
    }
    Ok(())
}

/// What the model was last told, as text, of the requests whose last person's words contain `words`.
fn told_with(requests: &[Value], words: &str) -> Option<String> {
    let request = requests.iter().rev().find(|request| {
        let last = messages(request)
            .iter()
            .rev()
            .find(|message| message["role"] == "user");
        last.is_some_and(|message| message["content"].to_string().contains(words))
    })?;
    serde_json::to_string(messages(request)).ok()
}

/// Every prompt that a person sent is there once, in order.
async fn said_in_order(work: &Work, prompts: &[&str]) -> Result {
    let rows = work.rows().await?;
    settled(&rows)?;
    let said: Vec<&str> = texts(&rows, Author::Person)
        .iter()
        .map(|text| text.text.as_str())
        .collect();
    ensure(said == prompts, || format!("{said:?} is not {prompts:?}"))
}

/// What lies in the workspace, which ports it has, and what its machine knows of itself.
async fn asked_while_it_is_there(stack: &Stack, work: &Work, view: &TaskView) -> Result {
    let admin = stack.admin()?;
    let task = format!("/api/tasks/{}", work.task);
    let root: FileView = admin.get(&format!("{task}/files")).await?.json()?;
    let names: Vec<&str> = root
        .entries
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    ensure(
        names.contains(&"package.json") && !names.contains(&".git"),
        || format!("{root:?}"),
    )?;
    let path = format!("{task}/files?path=package.json");
    let file: FileView = admin.get(&path).await?.json()?;
    ensure(
        file.kind == EntryKind::File && file.bytes > 0 && !file.content.is_empty() && !file.more,
        || format!("{file:?}"),
    )?;
    for (path, status) in [
        ("../git.config", 422),
        (".git/config", 404),
        ("nowhere", 404),
    ] {
        let refused = admin.get(&format!("{task}/files?path={path}")).await?;
        ensure(refused.status == status, || {
            format!("{path}: {} {}", refused.status, refused.text())
        })?;
    }
    let ports: PortList = admin.get(&format!("{task}/ports")).await?.json()?;
    ensure(ports.ports.is_empty(), || format!("{ports:?}"))?;
    let node = view.node.as_ref().ok_or_else(|| failure("no machine"))?;
    let reply = admin.get(&format!("/api/nodes/{node}/diagnostics")).await?;
    let taken: Diagnostics = reply.json()?;
    let linked = taken.log.iter().any(|line| line.contains("the link is up"));
    let here = taken
        .workspaces
        .iter()
        .any(|(id, _)| view.workspace.as_ref() == Some(id));
    ensure(linked && here && !taken.kernel.is_empty(), || {
        format!("{taken:?}")
    })?;
    let text = reply.text();
    for secret in ["sam_join_", "sam_nod_", "sam_wsp_", "sam_mdl_"] {
        ensure(!text.contains(secret), || format!("{secret} is in {text}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_conversation_goes_on_until_it_is_closed() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[]).await?;
    let task = json!({"prompt": QUESTION, "mode": "conversation"});
    let mut work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let view = work.until(TaskState::AwaitingInput).await?;
    ensure(view.result.is_none(), || format!("{view:?}"))?;
    until_prompt(&work, PromptState::Finished).await?;
    let agents = stack.disk("machine").started()?;
    asked_while_it_is_there(&stack, &work, &view).await?;

    // The second prompt waits in the queue while the first of the two is held.
    stack
        .gateway()
        .fault(&json!({"kind": "hold", "after_chunks": 2, "tools": true}))
        .await?;
    work.say(REPAIR).await?;
    stack
        .gateway()
        .until("the repair is held", PATIENCE, |request| {
            request["held"] == true
        })
        .await?;
    until_prompt(&work, PromptState::Running).await?;
    let repair = work.prompt.clone();
    let again = "What does `bandFor` do?";
    work.say(again).await?;
    ensure(
        work.last_prompt().await?.state == PromptState::Queued,
        || "a second prompt did not wait for the first".to_owned(),
    )?;
    stack.gateway().release().await?;
    until_prompt(&work, PromptState::Finished).await?;
    let view = work.until(TaskState::AwaitingInput).await?;
    let prompts = work.conversation().await?.prompts;
    ensure(
        prompts.len() == 3
            && prompts.iter().any(|prompt| prompt.id == repair)
            && prompts.iter().all(|prompt| {
                prompt.state == PromptState::Finished
                    && prompt.stop_reason.as_deref() == Some("end_turn")
            }),
        || format!("{prompts:#?}"),
    )?;
    // One agent heard all three.
    ensure(stack.disk("machine").started()? == agents, || {
        "another agent runs than at the beginning".to_owned()
    })?;
    ensure(
        view.steps
            .iter()
            .filter(|step| step.name == StepName::Starting)
            .count()
            == 1,
        || format!("{:#?}", view.steps),
    )?;
    let told = told_with(&stack.gateway().requests().await?, again).unwrap_or_default();
    ensure(told.contains(QUESTION) && told.contains(REPAIR), || {
        format!("the agent has forgotten: {told}")
    })?;
    ensure(git(&repository, &["branch"])? == "* main", || {
        "something was pushed before the conversation was closed".to_owned()
    })?;

    work.end("close").await?;
    let view = work.until(TaskState::Completed).await?;
    let result = view.result.ok_or_else(|| failure("no result"))?;
    ensure(result.pushed, || format!("{result:?}"))?;
    let (passes, said) = tests_of(&repository, &result.branch)?;
    ensure(passes, || said)?;
    said_in_order(&work, &[QUESTION, REPAIR, again]).await?;
    stack.until_empty("machine").await
}

#[tokio::test]
async fn a_follow_up_begins_a_new_task_on_the_same_branch() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[]).await?;
    let task = json!({"prompt": REPAIR});
    let mut work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let first = work.until(TaskState::Completed).await?;
    let commit = first
        .result
        .as_ref()
        .and_then(|result| result.commit.clone())
        .ok_or_else(|| failure("no commit"))?;

    let follow_up = "What does `bandFor` do?";
    let accepted = work.say(follow_up).await?;
    ensure(accepted.task != first.id, || {
        "a task that is over took another prompt".to_owned()
    })?;
    let second = work.until(TaskState::Completed).await?;
    ensure(
        second.session == first.session
            && second.branch == first.branch
            && second.id == accepted.task
            && second.workspace != first.workspace
            && second
                .result
                .as_ref()
                .is_some_and(|result| result.commit.is_none()),
        || format!("{first:?}\n{second:?}"),
    )?;
    // The new agent knows what was said, and works on what was done.
    let told = told_with(&stack.gateway().requests().await?, follow_up).unwrap_or_default();
    ensure(
        told.contains(REPAIR) && told.contains("src/ageing.js:22"),
        || format!("the new agent was not told: {told}"),
    )?;
    let rows = work.rows().await?;
    let asked = rows
        .iter()
        .position(|row| row.id == accepted.row)
        .ok_or_else(|| failure("the follow-up has no row"))?;
    let later = rows.get(asked..).unwrap_or_default();
    let saw = later.iter().any(|row| match &row.body {
        RowBody::Tool(tool) => tool.output.contains("days <= band.lastDay"),
        _ => false,
    });
    let told = work.told().await;
    ensure(saw, || format!("the branch was not continued:\n{told}"))?;
    said_in_order(&work, &[REPAIR, follow_up]).await?;

    let branch = first.branch.unwrap_or_default();
    ensure(git(&repository, &["rev-parse", &branch])? == commit, || {
        format!("{branch} has moved without a change")
    })?;
    let still = stack.task(&first.id).await?;
    ensure(
        still.result == first.result && still.state == TaskState::Completed,
        || format!("the first task has changed: {still:?}"),
    )?;
    stack.until_empty("machine").await
}

#[tokio::test]
async fn a_cancelled_task_stops_at_once_and_keeps_its_rows() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[]).await?;
    // In mid-text, once there is something to keep.
    stack
        .gateway()
        .fault(&json!({"kind": "hold", "after_chunks": 3, "skip": 3, "tools": true}))
        .await?;
    let task = json!({"prompt": REPAIR});
    let work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    let held = stack
        .gateway()
        .until("the model is held", PATIENCE, |request| {
            request["held"] == true
        })
        .await?;
    work.until(TaskState::Running).await?;
    let disk = stack.disk("machine");
    let agents = disk.started()?;
    ensure(
        agents
            .iter()
            .any(|process| process.program() == "sam-harness"),
        || format!("no agent runs: {agents:?}"),
    )?;
    let before = work.rows().await?;

    work.end("cancel").await?;
    let view = work.until(TaskState::Cancelled).await?;
    ensure(view.failure.is_none() && view.result.is_none(), || {
        format!("{view:?}")
    })?;
    stack.until_quiet("machine").await?;
    ensure(agents.iter().all(|process| !process.is_running()), || {
        format!("a cancelled agent runs on: {agents:?}")
    })?;
    stack
        .gateway()
        .until("the model's stream is dropped", PATIENCE, |request| {
            request["id"] == held["id"] && request["outcome"] == "disconnected"
        })
        .await?;
    until_prompt(&work, PromptState::Cancelled).await?;

    let rows = work.rows().await?;
    settled(&rows)?;
    for row in &before {
        ensure(
            rows.iter()
                .any(|kept| kept.id == row.id && kept.pos == row.pos),
            || format!("a row is lost: {row:?}"),
        )?;
    }
    let completed = rows.iter().any(
        |row| matches!(&row.body, RowBody::Tool(tool) if tool.status == ToolStatus::Completed),
    );
    ensure(completed, || {
        "what the agent had done is not told".to_owned()
    })?;
    wait_until(
        "the conversation says that its agent ended",
        PATIENCE,
        || async {
            let activity = work.conversation().await?.activity;
            Ok(activity.filter(|activity| activity.state == ActivityState::Ended))
        },
    )
    .await?;
    ensure(git(&repository, &["branch"])? == "* main", || {
        "a cancelled task pushed".to_owned()
    })?;
    // The end is final.
    let again = work.end("cancel").await;
    let still = work.view().await?;
    ensure(still == view, || format!("{again:?} changed {still:?}"))
}

#[tokio::test]
async fn a_turn_is_stopped_and_the_next_words_are_heard() -> Result {
    let mut stack = Stack::start().await?;
    let repository = sample(stack.directory(), "inkwell")?;
    stack.start_node("machine", &[]).await?;
    stack
        .gateway()
        .fault(&json!({"kind": "hold", "after_chunks": 3, "skip": 2, "tools": true}))
        .await?;
    let task = json!({"prompt": QUESTION});
    let mut work = Work::begin(&stack, &repository.to_string_lossy(), &task).await?;
    stack
        .gateway()
        .until("the model is held", PATIENCE, |request| {
            request["held"] == true
        })
        .await?;
    until_prompt(&work, PromptState::Running).await?;
    let agents = stack.disk("machine").started()?;
    let path = format!(
        "/api/projects/{}/sessions/{}/cancel",
        work.project, work.session
    );
    stack
        .admin()?
        .post(&path, &json!({}))
        .await?
        .json::<Value>()?;
    until_prompt(&work, PromptState::Cancelled).await?;
    work.until(TaskState::AwaitingInput).await?;
    ensure(stack.disk("machine").started()? == agents, || {
        "stopping a turn ended its agent".to_owned()
    })?;

    work.say(REPAIR).await?;
    let view = work.until(TaskState::Completed).await?;
    let result = view.result.ok_or_else(|| failure("no result"))?;
    let (passes, said) = tests_of(&repository, &result.branch)?;
    ensure(passes, || said)?;
    said_in_order(&work, &[QUESTION, REPAIR]).await?;
    stack.until_empty("machine").await
}
