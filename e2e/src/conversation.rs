//! One piece of work as a person sees it: its task, its conversation, what it used and handed back.

use std::time::Duration;

use sam_domain::budget::call::UsageSummary;
use sam_domain::conversation::row::{
    Author, NoticeBody, PermissionState, Row, RowBody, TextBody, ToolBody,
};
use sam_domain::conversation::wire::{MessagePage, PromptAccepted, PromptView, SessionView};
use sam_domain::id::{ProjectId, PromptId, SessionId, TaskId};
use sam_domain::task::{TaskState, TaskView};
use serde_json::{Value, json};

use crate::{Client, Result, Stack, ensure, failure, wait_until};

/// How long anything may take that involves an agent, on a machine that has other things to do.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// A task and its conversation, seen by the stack's admin.
#[derive(Clone, Debug)]
pub struct Work {
    client: Client,
    /// The project.
    pub project: ProjectId,
    /// The conversation.
    pub session: SessionId,
    /// The task that the conversation began with, or a later one.
    pub task: TaskId,
    /// The prompt that was sent last.
    pub prompt: PromptId,
    /// How many prompts were sent.
    said: u32,
}

impl Work {
    /// Creates a project for the repository and submits a task with fields of
    /// [`sam_domain::conversation::wire::SubmitTask`].
    ///
    /// # Errors
    /// When either is refused.
    pub async fn begin(stack: &Stack, repository: &str, task: &Value) -> Result<Self> {
        let project = stack.create_project(repository).await?;
        Self::submit(stack, &project.id, "first", task).await
    }

    /// Submits a task in a project.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn submit(
        stack: &Stack,
        project: &ProjectId,
        key: &str,
        task: &Value,
    ) -> Result<Self> {
        let submitted = stack.submit(project, key, task).await?;
        Ok(Self {
            client: stack.admin()?.clone(),
            project: project.clone(),
            session: submitted.session,
            task: submitted.task,
            prompt: submitted.prompt,
            said: 1,
        })
    }

    fn path(&self) -> String {
        format!("/api/projects/{}/sessions/{}", self.project, self.session)
    }

    /// Says something more. The task becomes the one that carries it.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn say(&mut self, text: &str) -> Result<PromptAccepted> {
        let path = format!("{}/prompts", self.path());
        self.said += 1;
        let key = format!("prompt-{}", self.said);
        let accepted: PromptAccepted = self
            .client
            .intend(&path, &key, &json!({"text": text}))
            .await?
            .json()?;
        self.task = accepted.task.clone();
        self.prompt = accepted.prompt.clone();
        Ok(accepted)
    }

    /// Cancels or closes the task: `cancel`, `close`.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn end(&self, word: &str) -> Result<Value> {
        self.client
            .post(&format!("/api/tasks/{}/{word}", self.task), &json!({}))
            .await?
            .json()
    }

    /// The task as it is now.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn view(&self) -> Result<TaskView> {
        self.client
            .get(&format!("/api/tasks/{}", self.task))
            .await?
            .json()
    }

    /// The conversation as it is now.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn conversation(&self) -> Result<SessionView> {
        self.client.get(&self.path()).await?.json()
    }

    /// The last prompt as it is now.
    ///
    /// # Errors
    /// When there is no answer, or the conversation has forgotten it.
    pub async fn last_prompt(&self) -> Result<PromptView> {
        self.conversation()
            .await?
            .prompts
            .into_iter()
            .find(|prompt| prompt.id == self.prompt)
            .ok_or_else(|| failure(format!("the conversation has no {}", self.prompt)))
    }

    /// Waits until the task is in this state.
    ///
    /// # Errors
    /// When it is not within the time; with the task and its conversation.
    pub async fn until(&self, state: TaskState) -> Result<TaskView> {
        self.until_view(state.word(), |view| view.state == state)
            .await
    }

    /// Waits until the task is as wanted. Gives up early when it is over and is not.
    ///
    /// # Errors
    /// Names `what` when it is not within the time; with the task and its conversation.
    pub async fn until_view(
        &self,
        what: &str,
        condition: impl Fn(&TaskView) -> bool,
    ) -> Result<TaskView> {
        let found = wait_until(&format!("the task: {what}"), PATIENCE, || async {
            let view = self.view().await?;
            Ok((condition(&view) || view.state.is_terminal()).then_some(view))
        })
        .await;
        match found {
            Ok(view) if condition(&view) => Ok(view),
            Ok(view) => {
                let rows = self.told().await;
                Err(failure(format!("not {what} but {view:?}\n{rows}")))
            }
            Err(error) => {
                let (view, rows) = (self.view().await, self.told().await);
                Err(failure(format!(
                    "{error}; the task is now {view:?}\n{rows}"
                )))
            }
        }
    }

    /// All rows, in order.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn rows(&self) -> Result<Vec<Row>> {
        // Pages run backwards from the newest.
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let before = match rows.first() {
                Some(row) => format!("&before={}", row.id),
                None => String::new(),
            };
            let path = format!("{}/messages?limit=500{before}", self.path());
            let page: MessagePage = self.client.get(&path).await?.json()?;
            rows.splice(0..0, page.rows);
            if !page.has_before {
                return Ok(rows);
            }
        }
    }

    /// The conversation in a line for each row, for messages of failed tests.
    pub async fn told(&self) -> String {
        match self.rows().await {
            Ok(rows) => rows.iter().map(|row| line(row) + "\n").collect(),
            Err(error) => format!("no rows: {error}"),
        }
    }

    /// What the task used.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn usage(&self) -> Result<UsageSummary> {
        self.client
            .get(&format!("/api/tasks/{}/usage", self.task))
            .await?
            .json()
    }

    /// The task's diff, as it is kept.
    ///
    /// # Errors
    /// When there is none.
    pub async fn diff(&self) -> Result<String> {
        let reply = self
            .client
            .get(&format!("/api/tasks/{}/diff", self.task))
            .await?;
        ensure(reply.status == 200, || {
            format!("no diff: {} {}", reply.status, reply.text())
        })?;
        Ok(reply.text())
    }
}

/// A row in a line.
#[must_use]
pub fn line(row: &Row) -> String {
    let what = serde_json::to_string(&row.body).unwrap_or_default();
    let what: String = what.chars().take(300).collect();
    format!("{} {:?} rev {} {what}", row.pos, row.author, row.rev)
}

/// Requires what is true of every conversation at rest: ids and places occur once, places grow,
/// nothing grows any more.
///
/// # Errors
/// Names what is not so.
pub fn settled(rows: &[Row]) -> Result {
    for (at, row) in rows.iter().enumerate() {
        let again = rows.iter().skip(at + 1).find(|other| other.id == row.id);
        ensure(again.is_none(), || {
            format!("{} is there twice:\n{}", row.id, line(row))
        })?;
        let open = match &row.body {
            RowBody::Text(text) | RowBody::Thought(text) => text.ended_at.is_none(),
            RowBody::Tool(tool) => !tool.status.is_terminal(),
            RowBody::Permission(asked) => asked.state == PermissionState::Open,
            RowBody::Plan(_) | RowBody::Notice(_) | RowBody::Usage(_) | RowBody::Answer(_) => false,
        };
        ensure(!open, || format!("a row still grows: {}", line(row)))?;
    }
    let ordered = rows
        .iter()
        .zip(rows.iter().skip(1))
        .all(|(before, after)| before.pos < after.pos);
    ensure(ordered, || "places do not grow".to_owned())
}

/// The tool calls among rows.
#[must_use]
pub fn tools(rows: &[Row]) -> Vec<&ToolBody> {
    rows.iter()
        .filter_map(|row| match &row.body {
            RowBody::Tool(tool) => Some(tool.as_ref()),
            _ => None,
        })
        .collect()
}

/// The notices among rows.
#[must_use]
pub fn notices(rows: &[Row]) -> Vec<&NoticeBody> {
    rows.iter()
        .filter_map(|row| match &row.body {
            RowBody::Notice(notice) => Some(notice),
            _ => None,
        })
        .collect()
}

/// What an author said among rows.
#[must_use]
pub fn texts(rows: &[Row], author: Author) -> Vec<&TextBody> {
    rows.iter()
        .filter_map(|row| match &row.body {
            RowBody::Text(text) if row.author == author => Some(text),
            _ => None,
        })
        .collect()
}
