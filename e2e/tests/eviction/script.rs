//! The script: a conversation of two prompts, closed; a follow-up on the same branch, cancelled.

use std::time::Duration;

use reqwest::Method;
use sam_domain::access::wire::ProjectView;
use sam_domain::conversation::wire::{MessagePage, PromptState, Submitted};
use sam_domain::id::{Id as _, SessionId, TaskId};
use sam_domain::task::TaskState;
use sam_e2e::faults::{ACTORS, Faults, Stored};
use sam_e2e::follower::{Follower, Held};
use sam_e2e::insist::insist;
use sam_e2e::normal::Names;
use sam_e2e::steady::SteadyNode;
use sam_e2e::{Client, Person, Result, ensure, failure, wait_until};
use serde_json::{Value, json};

/// How long one step may take, evictions included.
const PATIENCE: Duration = Duration::from_secs(90);

/// One run of the script, in a project and on a machine of its own.
pub(crate) struct Run {
    person: Person,
    client: Client,
    node: SteadyNode,
    project: ProjectView,
    follower: Follower,
    faults: Faults,
}

/// How a run ended.
pub(crate) struct End {
    /// The names of the run's objects.
    names: Vec<(&'static str, String)>,
    /// Everything that is stored, comparable.
    pub(crate) state: Value,
}

impl End {
    /// Whether an object was one of the run's.
    pub(crate) fn has(&self, class: &str, name: &str) -> bool {
        let names = &mut self.names.iter();
        names.any(|(of, held)| *of == class && held == name)
    }

    /// The name of the run's object of a class; of the first task for a TaskRunner.
    pub(crate) fn name(&self, class: &str) -> Result<&str> {
        self.names
            .iter()
            .find(|(of, _)| *of == class)
            .map(|(_, name)| name.as_str())
            .ok_or_else(|| failure(format!("no {class}")))
    }
}

impl Run {
    /// Makes the run's machine and project; nothing is evicted yet.
    pub(crate) async fn begin(person: &Person, anyone: &Client) -> Result<Self> {
        let client = person.client.clone();
        let node = SteadyNode::join(&client, anyone).await?;
        let project: ProjectView = client
            .post("/api/projects", &json!({"repository": "/nowhere"}))
            .await?
            .json()?;
        let run = Self {
            person: person.clone(),
            follower: Follower::start(&client, &project.id),
            faults: Faults::of(anyone),
            client,
            node,
            project,
        };
        wait_until("the pool knows the machine", PATIENCE, || async {
            let pool = run.faults.look("NodePool", run.person.id.as_str()).await?;
            let node = pool
                .actors
                .first()
                .and_then(|pool| pool.pointer(&format!("/state/nodes/{}/state", run.node.node)));
            Ok((node == Some(&json!("ready"))).then_some(()))
        })
        .await?;
        Ok(run)
    }

    /// The run's object of a class, for those that are there from the beginning.
    pub(crate) fn object(&self, class: &str) -> Option<String> {
        match class {
            "ProjectData" => Some(self.project.id.to_string()),
            "NodeLifecycle" => Some(self.node.node.to_string()),
            "NodePool" => Some(self.person.id.to_string()),
            _ => None,
        }
    }

    async fn intend(&self, path: &str, key: &str, body: Value) -> Result<Value> {
        let path = format!("/api/projects/{}{path}", self.project.id);
        insist(key, &self.client, |client| {
            client
                .request(Method::POST, &path)
                .header("idempotency-key", key)
                .json(&body)
        })
        .await?
        .json()
    }

    async fn end(&self, task: &TaskId, word: &str) -> Result {
        let path = format!("/api/tasks/{task}/{word}");
        let _: Value = insist(word, &self.client, |client| {
            client.request(Method::POST, &path).json(&json!({}))
        })
        .await?
        .json()?;
        Ok(())
    }

    async fn until(&self, what: &str, condition: impl Fn(&Held) -> bool) -> Result {
        self.follower
            .until(what, PATIENCE, |held| condition(held).then_some(()))
            .await
    }

    async fn until_task(&self, task: &TaskId, state: TaskState) -> Result {
        self.until(state.word(), |held| {
            held.tasks.get(task).is_some_and(|view| view.state == state)
        })
        .await
    }

    async fn until_prompts(&self, session: &SessionId, count: usize, state: PromptState) -> Result {
        self.until("the prompts", |held| {
            held.sessions.get(session).is_some_and(|view| {
                view.prompts.len() == count
                    && view.prompts.last().is_some_and(|last| last.state == state)
            })
        })
        .await
    }

    /// Plays the script and returns how it ended.
    pub(crate) async fn play(&self) -> Result<End> {
        let submitted: Submitted = serde_json::from_value(
            self.intend(
                "/tasks",
                "submit",
                json!({"prompt": "one", "mode": "conversation"}),
            )
            .await?,
        )?;
        let (session, first) = (&submitted.session, &submitted.task);
        self.until_prompts(session, 1, PromptState::Finished)
            .await?;
        self.until_task(first, TaskState::AwaitingInput).await?;

        let prompts = format!("/sessions/{session}/prompts");
        self.intend(&prompts, "second", json!({"text": "two"}))
            .await?;
        self.until_prompts(session, 2, PromptState::Finished)
            .await?;
        self.until_task(first, TaskState::AwaitingInput).await?;

        self.end(first, "close").await?;
        self.until_task(first, TaskState::Completed).await?;

        let third = self
            .intend(&prompts, "third", json!({"text": "hold three"}))
            .await?;
        let second: TaskId =
            serde_json::from_value(third.get("task").cloned().unwrap_or_default())?;
        self.until_prompts(session, 3, PromptState::Running).await?;
        self.end(&second, "cancel").await?;
        self.until_task(&second, TaskState::Cancelled).await?;
        self.until_prompts(session, 3, PromptState::Cancelled)
            .await?;
        self.settled(session, &[first, &second]).await
    }

    /// Waits until nobody owes anybody anything, and reads what is stored.
    async fn settled(&self, session: &SessionId, tasks: &[&TaskId]) -> Result<End> {
        let mut names: Vec<_> = ACTORS
            .iter()
            .filter_map(|class| Some((*class, self.object(class)?)))
            .collect();
        names.extend(tasks.iter().map(|task| ("TaskRunner", task.to_string())));
        let stored = wait_until("everything is delivered", PATIENCE, || async {
            let mut stored = Vec::new();
            for (class, name) in &names {
                let seen = self.faults.look(class, name).await?;
                if let Some(busy) = busy(class, &seen) {
                    return Err(failure(format!("{class} {name}: {busy}")));
                }
                stored.push(seen);
            }
            Ok(Some(stored))
        })
        .await?;
        let rows = self.rows(session).await?;
        self.check_follower(&rows).await?;
        let trouble = self.node.trouble();
        ensure(trouble.is_empty(), || format!("the machine: {trouble:?}"))?;
        let held = self.follower.held();
        let objects: Vec<_> = names
            .iter()
            .zip(&stored)
            .map(|((class, _), seen)| json!({"class": class, "actors": seen.actors}))
            .collect();
        let state = json!({
            "tasks": held.tasks.values().collect::<Vec<_>>(),
            "sessions": held.sessions.values().collect::<Vec<_>>(),
            "rows": rows.rows,
            "objects": objects,
        });
        Ok(End {
            names,
            state: Names::default().of(&state),
        })
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        let get = |client: &Client| client.request(Method::GET, path);
        insist(path, &self.client, get).await?.json()
    }

    async fn rows(&self, session: &SessionId) -> Result<MessagePage> {
        let project = &self.project.id;
        let path = format!("/api/projects/{project}/sessions/{session}/messages?limit=500");
        self.get(&path).await
    }

    /// What the follower holds is exactly what is stored.
    async fn check_follower(&self, stored: &MessagePage) -> Result {
        let held = self.follower.held();
        let mut rows: Vec<_> = held.rows.values().cloned().collect();
        rows.sort_by_key(|row| row.pos);
        ensure(rows == stored.rows && held.current, || {
            format!("held: {rows:#?}\nstored: {:#?}", stored.rows)
        })?;
        for task in held.tasks.values() {
            let path = format!("/api/tasks/{}", task.id);
            let stored: Value = self.get(&path).await?;
            ensure(stored == serde_json::to_value(task)?, || {
                format!("held: {task:#?}\nstored: {stored:#}")
            })?;
        }
        Ok(())
    }
}

/// What an object still has to do, if anything.
fn busy(class: &str, seen: &Stored) -> Option<String> {
    let owes = |actor: &&Value| {
        actor
            .pointer("/outbox/lanes")
            .and_then(Value::as_array)
            .is_none_or(|lanes| !lanes.is_empty())
    };
    if let Some(actor) = seen.actors.iter().find(owes) {
        return Some(format!("mail is left: {actor:#}"));
    }
    let waits = |actor: &&Value| {
        let held = |field: &str| actor.pointer(&format!("/state/{field}"));
        let list = |field: &str| held(field).and_then(Value::as_array);
        let full = |field: &str| list(field).is_some_and(|list| !list.is_empty());
        let claims = held("claims").and_then(Value::as_object);
        let claimed = claims.is_some_and(|claims| !claims.is_empty());
        full("commands") || full("awaited") || full("waiting") || claimed
    };
    let waiting = seen.actors.iter().find(waits)?;
    Some(format!("{class} waits: {waiting:#}"))
}
