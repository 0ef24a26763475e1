//! The vm-agent is killed while an agent works.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use sam_domain::conversation::row::{RowBody, RowUpsert, ToolStatus};
use sam_domain::task::TaskState;
use sam_e2e::conversation::tools;
use sam_e2e::machine;
use sam_e2e::repository::sample_with;
use sam_e2e::{Disk, Result, Stack, Work, ensure, failure, wait_until};
use serde_json::json;

use super::*;

/// A repository one of whose tests stands at a gate: until the gate is open it waits, and so does
/// something that it started and let go.
struct Gate {
    repository: PathBuf,
    open: PathBuf,
    reached: PathBuf,
}

impl Gate {
    fn make(directory: &Path) -> Result<Self> {
        let (open, reached) = (directory.join("gate-open"), directory.join("gate-reached"));
        let (open_text, reached_text) = (json!(open), json!(reached));
        let test = format!(
            "import {{ spawn }} from 'node:child_process';\n\
             import {{ existsSync, writeFileSync }} from 'node:fs';\n\
             import {{ test }} from 'node:test';\n\
             \n\
             test('the gate is open', async () => {{\n  \
               if (existsSync({open_text})) return;\n  \
               const left = spawn('sleep', ['86400'], {{ detached: true, stdio: 'ignore' }});\n  \
               left.unref();\n  \
               writeFileSync({reached_text}, String(left.pid));\n  \
               while (!existsSync({open_text})) await new Promise((go) => setTimeout(go, 20));\n  \
               process.kill(left.pid);\n\
             }});\n"
        );
        let repository = sample_with(directory, "inkwell", |files| {
            files.push(("test/gate.test.js".to_owned(), test));
        })?;
        Ok(Self {
            repository,
            open,
            reached,
        })
    }

    /// Waits until a tool of the agent's stands at the gate; returns what it let go.
    async fn until_reached(&self) -> Result<Running> {
        wait_until("the gate is reached", PATIENCE, || async {
            let Ok(text) = std::fs::read_to_string(&self.reached) else {
                return Ok(None);
            };
            let Ok(id) = text.parse() else {
                return Ok(None);
            };
            Ok(machine::process(id).filter(|process| process.program() == "sleep"))
        })
        .await
    }

    fn open(&self) -> Result {
        Ok(std::fs::write(&self.open, "")?)
    }
}

fn open_tool(rows: &[Row]) -> Option<&Row> {
    rows.iter()
        .find(|row| matches!(&row.body, RowBody::Tool(tool) if !tool.status.is_terminal()))
}

/// What was on the disk is in the conversation: every row once, in its newest version, ended where
/// it was still growing.
fn check_from_disk(rows: &[Row], owed: &[RowUpsert], growing: &[RowUpsert]) -> Result {
    for upsert in owed {
        let newest = owed
            .iter()
            .chain(growing)
            .filter(|other| other.id == upsert.id)
            .all(|other| other.rev <= upsert.rev);
        let grew = growing.iter().any(|other| other.id == upsert.id);
        let row = only(rows, &upsert.id)?;
        if newest && !grew {
            ensure(
                row.rev == upsert.rev
                    && row.body == upsert.body
                    && row.created_at == upsert.created_at,
                || format!("on the disk was {upsert:?}, and stored is {row:?}"),
            )?;
        }
    }
    for upsert in growing {
        let row = only(rows, &upsert.id)?;
        let kept = match (&upsert.body, &row.body) {
            (RowBody::Text(held), RowBody::Text(stored))
            | (RowBody::Thought(held), RowBody::Thought(stored)) => {
                stored.text == held.text && stored.ended_at.is_some()
            }
            (RowBody::Tool(held), RowBody::Tool(stored)) => {
                stored.status == ToolStatus::Interrupted
                    && stored.title == held.title
                    && stored.arguments == held.arguments
                    && stored.output == held.output
            }
            _ => false,
        };
        ensure(kept && row.rev > upsert.rev, || {
            format!("on the disk was {upsert:?}, and stored is {row:?}")
        })?;
    }
    Ok(())
}

/// The person goes on, and the task reaches its end in the workspace it began in.
async fn go_on(stack: &mut Stack, work: &mut Work, gate: &Gate, interrupted: &[Row]) -> Result {
    ensure(begun(stack, REPAIR).await? == 1, || {
        "the prompt was given to an agent again".to_owned()
    })?;
    let before = work.view().await?;
    work.say(GO_ON).await?;
    let done = work.until(TaskState::Completed).await?;
    ensure(
        done.id == before.id && done.attempt == 1 && done.workspace == before.workspace,
        || format!("{before:?}\n{done:?}"),
    )?;
    check_branch(&gate.repository, &done)?;
    check_rows(work, interrupted, &[REPAIR, GO_ON]).await?;
    stack.until_empty("machine").await
}

#[tokio::test]
async fn a_killed_vm_agent_takes_everything_with_it_and_asks_the_person() -> Result {
    let mut stack = Stack::start().await?;
    let gate = Gate::make(stack.directory())?;
    stack.start_node("machine", &[]).await?;
    let task = json!({"prompt": REPAIR});
    let mut work = Work::begin(&stack, &gate.repository.to_string_lossy(), &task).await?;
    let left = gate.until_reached().await?;
    at_work(&work).await?;
    let before = wait_until("the tool call is told", PATIENCE, || async {
        Ok(Some(work.rows().await?).filter(|rows| open_tool(rows).is_some()))
    })
    .await?;
    let disk = stack.disk("machine");
    let node = stack.node_process()?.id();
    let below = machine::below(node);
    let started = disk.started()?;
    for name in ["sam-harness", "node", "sleep"] {
        ensure(
            below.iter().any(|process| process.program() == name),
            || format!("no {name} runs below the vm-agent: {below:#?}"),
        )?;
    }
    ensure(left.is_running() && started.contains(&left), || {
        format!("{left:?} is not among {started:#?}")
    })?;

    kill_vm_agent(&mut stack)?;
    // Nobody is told to: it ends because the vm-agent is gone.
    until_gone(&below).await?;
    until_gone(&started).await?;
    until_gone(std::slice::from_ref(&left)).await?;
    ensure(disk.started()?.is_empty(), || {
        "something outlived the vm-agent".to_owned()
    })?;
    let held = disk.records()?;
    let tool = open_tool(&before).ok_or_else(|| failure("no open tool"))?;
    ensure(held.growing.iter().any(|row| row.id == tool.id), || {
        format!("the disk does not know {tool:?}: {held:?}")
    })?;
    ensure(held.counts.contains(&("agent", 1)), || format!("{held:?}"))?;

    stack.restart_node("machine", &[])?;
    until_asked(&work, "the vm-agent stopped while it ran").await?;
    stack.until_quiet("machine").await?;
    let interrupted = check_rows(&work, &before, &[REPAIR]).await?;
    check_from_disk(&interrupted, &held.owed, &held.growing)?;
    ensure(
        tools(&interrupted)
            .iter()
            .filter(|tool| tool.status == ToolStatus::Interrupted)
            .count()
            == 1,
        || format!("{interrupted:#?}"),
    )?;
    gate.open()?;
    go_on(&mut stack, &mut work, &gate, &interrupted).await
}

/// Waits until the vm-agent owes the end of this row.
async fn until_owed(disk: &Disk, tool: &RowId) -> Result {
    wait_until("the tool's end is on the disk", PATIENCE, || async {
        let owed = disk.records()?.owed;
        let ended = owed.iter().any(|row| {
            row.id == *tool && matches!(&row.body, RowBody::Tool(tool) if tool.status.is_terminal())
        });
        Ok(ended.then_some(()))
    })
    .await
}

#[tokio::test]
async fn rows_that_were_on_the_disk_arrive_once() -> Result {
    let mut stack = Stack::start().await?;
    let gate = Gate::make(stack.directory())?;
    stack.start_node("machine", &[]).await?;
    let task = json!({"prompt": REPAIR});
    let mut work = Work::begin(&stack, &gate.repository.to_string_lossy(), &task).await?;
    gate.until_reached().await?;
    at_work(&work).await?;
    let before = wait_until("the tool call is told", PATIENCE, || async {
        Ok(Some(work.rows().await?).filter(|rows| open_tool(rows).is_some()))
    })
    .await?;
    let tool = open_tool(&before)
        .ok_or_else(|| failure("no open tool"))?
        .id
        .clone();

    // The control plane stands still, so what happens now gets no further than the disk.
    let disk = stack.disk("machine");
    let runtime = machine::process(stack.workerd_id()?).ok_or_else(|| failure("no workerd"))?;
    runtime.signal(Signal::STOP);
    gate.open()?;
    let owed = until_owed(&disk, &tool).await;
    let started = disk.started();
    let killed = kill_vm_agent(&mut stack);
    // Whatever came of it, the stack can be stopped again.
    runtime.signal(Signal::CONT);
    owed?;
    killed?;
    until_gone(&started?).await?;
    let held = disk.records()?;
    ensure(held.owed.iter().any(|row| row.id == tool), || {
        format!("the disk has forgotten what it owed: {held:?}")
    })?;

    stack.restart_node("machine", &[])?;
    until_asked(&work, "the vm-agent stopped while it ran").await?;
    stack.until_quiet("machine").await?;
    let interrupted = check_rows(&work, &before, &[REPAIR]).await?;
    check_from_disk(&interrupted, &held.owed, &held.growing)?;
    let ended = only(&interrupted, &tool)?;
    ensure(
        matches!(&ended.body, RowBody::Tool(tool) if tool.output.contains("fail 1")),
        || format!("the tool's output is lost: {ended:?}"),
    )?;
    go_on(&mut stack, &mut work, &gate, &interrupted).await
}
