//! More work than places: a machine is never overfull, and places are given in order and in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use sam_domain::id::{ProjectId, TaskId, WorkspaceId};
use sam_domain::link::frame::{Action, Command};
use sam_domain::node::wire::NodeView;
use sam_domain::task::{StepName, TaskState, TaskView};
use sam_e2e::node::ScriptedNode;
use sam_e2e::repository::sample;
use sam_e2e::{Result, Stack, StackOptions, Work, ensure, failure, wait_until};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
const PLACES: usize = 10;

/// A machine at work, and what it has seen.
#[derive(Default)]
struct Seen {
    /// Tasks in the order in which they came.
    began: Vec<TaskId>,
    /// Workspaces that exist.
    open: BTreeSet<WorkspaceId>,
    /// The most at a time.
    most: usize,
    /// Prompts under way, in the order in which they began.
    running: Vec<Command>,
    /// How often each task had a prompt.
    prompts: BTreeMap<WorkspaceId, usize>,
}

impl Seen {
    fn take(&mut self, command: &Command) {
        match &command.action {
            Action::PrepareWorkspace { task, .. } => {
                self.began.push(task.clone());
                self.open.insert(command.workspace.clone());
                self.most = self.most.max(self.open.len());
            }
            Action::Prompt { .. } => {
                *self.prompts.entry(command.workspace.clone()).or_default() += 1;
                self.running.push(command.clone());
            }
            Action::DeleteWorkspace => {
                self.open.remove(&command.workspace);
            }
            _ => {}
        }
    }
}

/// Works off so many tasks, ending one only when no more can begin.
async fn work_off(node: &mut ScriptedNode, count: usize) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut ended = 0;
    while ended < count || !seen.open.is_empty() {
        let command = node.command().await?;
        seen.take(&command);
        node.play(&command).await?;
        let full = seen.running.len() == PLACES.min(count - ended);
        if full && !seen.running.is_empty() {
            let oldest = seen.running.remove(0);
            node.finish(&oldest, 0).await?;
            ended += 1;
        }
    }
    Ok(seen)
}

/// Submits at once to a project, and waits until all of them wait for a machine. In the order of
/// acceptance.
async fn wait_in_line(stack: &Stack, project: &ProjectId, count: usize) -> Result<Vec<TaskId>> {
    let submits = (0..count).map(|n| async move {
        let task = json!({"prompt": format!("Piece {n}")});
        stack.submit(project, &format!("piece-{n}"), &task).await
    });
    let mut tasks = Vec::new();
    for submitted in join_all(submits).await {
        tasks.push(submitted?.task);
    }
    // Ids sort by acceptance.
    tasks.sort();
    for task in &tasks {
        stack
            .until_task("it waits for a machine", task, PATIENCE, |view| {
                waits_for(view).is_some_and(|reason| reason.contains("waiting for a machine"))
            })
            .await?;
    }
    Ok(tasks)
}

fn waits_for(view: &TaskView) -> Option<&str> {
    let step = view.steps.last()?;
    step.detail
        .as_deref()
        .filter(|_| step.name == StepName::Placing)
}

#[tokio::test]
async fn fifty_wait_for_ten_places_in_order_and_in_turn() -> Result {
    let stack = Stack::start().await?;
    let mut projects = Vec::new();
    for count in [30, 11, 10] {
        let project = stack.create_project("/nowhere").await?.id;
        let mut tasks = wait_in_line(&stack, &project, count).await?;
        tasks.reverse();
        projects.push(tasks);
    }
    // One of them is not wanted any more before it has a place.
    let unwanted = projects
        .get_mut(1)
        .and_then(Vec::pop)
        .ok_or_else(|| failure("no task to cancel"))?;
    let cancel = format!("/api/tasks/{unwanted}/cancel");
    let cancelled: TaskView = stack.admin()?.post(&cancel, &json!({})).await?.json()?;
    ensure(cancelled.state == TaskState::Cancelled, || {
        format!("{cancelled:?}")
    })?;

    let mut in_turn = Vec::new();
    while projects.iter().any(|tasks| !tasks.is_empty()) {
        in_turn.extend(projects.iter_mut().filter_map(Vec::pop));
    }
    let places = u32::try_from(PLACES)?;
    let mut node = ScriptedNode::join_as(stack.admin()?, "crowded", places).await?;
    let seen = work_off(&mut node, in_turn.len()).await?;

    ensure(seen.most == PLACES, || {
        format!("{} workspaces at a time", seen.most)
    })?;
    // The first ten are placed in one turn and may reach the machine in any order.
    let (first, rest) = seen.began.split_at(PLACES.min(seen.began.len()));
    let (expected_first, expected_rest) = in_turn.split_at(PLACES);
    ensure(
        BTreeSet::from_iter(first) == BTreeSet::from_iter(expected_first),
        || format!("the first ten are {first:?} and not {expected_first:?}"),
    )?;
    ensure(rest == expected_rest, || {
        let at = rest.iter().zip(expected_rest).position(|(a, b)| a != b);
        format!("places were given out of turn, first at {at:?} after the first ten")
    })?;
    ensure(
        seen.prompts.len() == in_turn.len() && seen.prompts.values().all(|count| *count == 1),
        || format!("{:?}", seen.prompts),
    )?;
    for task in &in_turn {
        let view = stack
            .until_task("it is over", task, PATIENCE, |view| {
                view.state.is_terminal()
            })
            .await?;
        ensure(
            view.state == TaskState::Completed && view.attempt == 1,
            || format!("{view:?}"),
        )?;
    }
    let still = stack.task(&unwanted).await?;
    ensure(
        still.state == TaskState::Cancelled && still.workspace.is_none(),
        || format!("{still:?}"),
    )?;

    // Every place is free again.
    let path = format!("/api/nodes/{}", node.node);
    wait_until("the machine is empty", PATIENCE, || async {
        let view: NodeView = stack.admin()?.get(&path).await?.json()?;
        Ok((view.workspaces == 0).then_some(()))
    })
    .await?;
    let project = stack.create_project("/nowhere").await?.id;
    for n in 0..PLACES {
        let task = json!({"prompt": "once more"});
        stack.submit(&project, &format!("again-{n}"), &task).await?;
    }
    let again = work_off(&mut node, PLACES).await?;
    ensure(again.most == PLACES, || {
        format!("only {} places are left", again.most)
    })
}

#[tokio::test]
async fn a_real_machine_with_two_places_works_off_five_tasks() -> Result {
    let mut stack = Stack::start_with(StackOptions {
        max_workspaces: Some(2),
        ..StackOptions::default()
    })
    .await?;
    let repository = sample(stack.directory(), "inkwell")?;
    let project = stack
        .create_project(&repository.to_string_lossy())
        .await?
        .id;
    stack.start_node("machine", &[]).await?;
    let mut works = Vec::new();
    for n in 0..5 {
        let task = json!({"prompt": "Where is the late fee computed?"});
        works.push(Work::submit(&stack, &project, &format!("question-{n}"), &task).await?);
    }
    let mut spans = Vec::new();
    for work in &works {
        let view = work.until(TaskState::Completed).await?;
        ensure(view.attempt == 1, || format!("{view:?}"))?;
        let began = view
            .steps
            .iter()
            .find(|step| step.name == StepName::Preparing)
            .ok_or_else(|| failure(format!("nothing was prepared: {view:?}")))?;
        spans.push((began.started_at, view.since));
    }
    // A place is free only after its task is over, so a third one cannot have begun before that.
    for (began, _) in &spans {
        let at_work = spans
            .iter()
            .filter(|(from, to)| from <= began && began < to)
            .count();
        ensure(at_work <= 2, || {
            format!("{at_work} tasks at work at {began:?}: {spans:?}")
        })?;
    }
    stack.until_empty("machine").await
}
