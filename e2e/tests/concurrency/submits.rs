//! Two hundred submissions at the same moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use sam_domain::conversation::wire::{SessionList, Submitted, TaskList};
use sam_domain::feed::{ClientFrame, Entity, Scope, ServerFrame};
use sam_domain::id::{ProjectId, TaskId};
use sam_e2e::{Client, Reply, Result, Socket, Stack, ensure, failure};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
const MANY: usize = 200;

/// Submits at once, one request for each key and prompt.
async fn submit_all(
    client: &Client,
    project: &ProjectId,
    requests: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Reply>> {
    let path = format!("/api/projects/{project}/tasks");
    let submits = requests.into_iter().map(|(key, prompt)| {
        let path = &path;
        async move { client.insist(path, &key, &json!({"prompt": prompt})).await }
    });
    join_all(submits).await.into_iter().collect()
}

/// Everything that a project lists, newest first.
async fn listed(client: &Client, project: &ProjectId) -> Result<Vec<TaskId>> {
    let mut tasks = Vec::new();
    let mut before = String::new();
    loop {
        let path = format!("/api/projects/{project}/tasks?limit=37{before}");
        let page: TaskList = client.get(&path).await?.json()?;
        tasks.extend(page.tasks.into_iter().map(|task| task.id));
        match page.next {
            Some(next) => before = format!("&before={next}"),
            None => return Ok(tasks),
        }
    }
}

/// Follows a project from its beginning.
async fn follow(client: &Client, project: &ProjectId) -> Result<Socket> {
    let mut socket = client
        .socket(&format!("/api/projects/{project}/feed"))
        .await?;
    socket
        .send(&ClientFrame::Follow {
            scope: Scope::Project(project.clone()),
            after: 0,
            epoch: None,
        })
        .await?;
    Ok(socket)
}

/// Tasks in the order in which a follower first hears of them, until so many are known: the order in
/// which they were accepted.
async fn accepted(socket: &mut Socket, count: usize) -> Result<Vec<TaskId>> {
    let mut order: Vec<TaskId> = Vec::new();
    while order.len() < count {
        let frame: ServerFrame = socket.next(PATIENCE).await?;
        let ServerFrame::Changes { entities, .. } = frame else {
            continue;
        };
        for entity in entities {
            if let Entity::Task(task) = entity
                && !order.contains(&task.id)
            {
                order.push(task.id);
            }
        }
    }
    Ok(order)
}

#[tokio::test]
async fn of_two_hundred_submissions_each_is_one_task_in_order() -> Result {
    let stack = Stack::start().await?;
    let admin = stack.admin()?;
    let project = stack.create_project("/nowhere").await?.id;
    let mut feed = follow(admin, &project).await?;

    let requests = (0..MANY).map(|n| (format!("own-{n}"), format!("Piece {n}")));
    let replies = submit_all(admin, &project, requests).await?;
    let mut tasks = BTreeSet::new();
    let mut sessions = BTreeSet::new();
    for reply in &replies {
        ensure(reply.status == 202, || {
            format!("{}: {}", reply.status, reply.text())
        })?;
        let submitted: Submitted = reply.json()?;
        tasks.insert(submitted.task);
        sessions.insert(submitted.session);
    }
    ensure(tasks.len() == MANY && sessions.len() == MANY, || {
        format!("{} tasks, {} conversations", tasks.len(), sessions.len())
    })?;

    let mut newest_first = accepted(&mut feed, MANY).await?;
    newest_first.reverse();
    let list = listed(admin, &project).await?;
    ensure(list == newest_first, || {
        let at = list.iter().zip(&newest_first).position(|(a, b)| a != b);
        format!("the list is not in the order of acceptance, at {at:?}")
    })?;
    let path = format!("/api/projects/{project}/sessions?limit=100");
    let page: SessionList = admin.get(&path).await?.json()?;
    let newest: Vec<_> = page.sessions.iter().map(|session| &session.task).collect();
    ensure(newest.into_iter().eq(list.iter().take(100)), || {
        "conversations are in another order than their tasks".to_owned()
    })
}

#[tokio::test]
async fn repeated_at_the_same_moment_a_submission_is_one_task() -> Result {
    let stack = Stack::start().await?;
    let admin = stack.admin()?;
    let project = stack.create_project("/nowhere").await?.id;

    // One key, two hundred times; then twenty keys, ten times each; then one key for two bodies.
    let one = (0..MANY).map(|_| ("one".to_owned(), "The same".to_owned()));
    let replies = submit_all(admin, &project, one).await?;
    ensure(distinct(&replies)? == 1, || {
        "one key became several tasks".to_owned()
    })?;
    let mixed = (0..MANY).map(|n| (format!("mixed-{}", n % 20), format!("Piece {}", n % 20)));
    let replies = submit_all(admin, &project, mixed).await?;
    ensure(distinct(&replies)? == 20, || {
        "twenty keys became other than twenty tasks".to_owned()
    })?;
    let torn = (0..MANY).map(|n| ("torn".to_owned(), format!("Body {}", n % 2)));
    let replies = submit_all(admin, &project, torn).await?;
    let mut counts: BTreeMap<(u16, String), usize> = BTreeMap::new();
    for reply in &replies {
        *counts.entry((reply.status, reply.code())).or_default() += 1;
    }
    let expected = BTreeMap::from([
        ((202, String::new()), MANY / 2),
        ((409, "idempotency_conflict".to_owned()), MANY / 2),
    ]);
    ensure(counts == expected, || format!("{counts:?}"))?;

    let count = listed(admin, &project).await?.len();
    ensure(count == 22, || format!("{count} tasks are listed"))
}

/// How many tasks the replies name, all of which were accepted.
fn distinct(replies: &[Reply]) -> Result<usize> {
    let tasks: Result<BTreeSet<TaskId>> = replies
        .iter()
        .map(|reply| match reply.status {
            202 => Ok(reply.json::<Submitted>()?.task),
            status => Err(failure(format!("{status}: {}", reply.text()))),
        })
        .collect();
    Ok(tasks?.len())
}
