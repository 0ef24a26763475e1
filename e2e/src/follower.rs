//! Somebody who watches a project: its tasks and conversations, and the rows of each conversation.
//!
//! It holds what the feed says and nothing else. When its socket breaks it comes back with its
//! cursors, as the web app and the command line do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sam_domain::conversation::row::Row;
use sam_domain::conversation::wire::SessionView;
use sam_domain::feed::cursor::Cursor;
use sam_domain::feed::{ClientFrame, Entity, Scope, ServerFrame};
use sam_domain::id::{ProjectId, RowId, SessionId, TaskId};
use sam_domain::task::TaskView;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Client, Result, Socket, failure, within};

/// How long a pause between two connections is.
const PAUSE: Duration = Duration::from_millis(20);
/// How long nothing may come; there is no ping here.
const QUIET: Duration = Duration::from_secs(600);

/// What is held.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Tasks by id.
    pub tasks: BTreeMap<TaskId, TaskView>,
    /// Conversations by id.
    pub sessions: BTreeMap<SessionId, SessionView>,
    /// Rows by id.
    pub rows: BTreeMap<RowId, Row>,
    /// How often the socket was opened.
    pub connections: u32,
    /// Whether everything the server spoke of was taken in.
    pub current: bool,
}

impl Held {
    /// It in a few lines, for messages of failed tests.
    #[must_use]
    pub fn told(&self) -> String {
        let tasks = self.tasks.values();
        let tasks: Vec<_> = tasks.map(|task| (&task.id, task.state.word())).collect();
        let prompts: Vec<_> = self
            .sessions
            .values()
            .flat_map(|session| &session.prompts)
            .map(|prompt| (&prompt.id, prompt.state))
            .collect();
        format!(
            "held after {} connections: {tasks:?}, {prompts:?}, {} rows",
            self.connections,
            self.rows.len()
        )
    }
}

/// A follower, at work until it is dropped.
#[derive(Debug)]
pub struct Follower {
    held: watch::Receiver<Arc<Held>>,
    work: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl Follower {
    /// Begins to follow a project.
    #[must_use]
    pub fn start(client: &Client, project: &ProjectId) -> Self {
        let (tell, held) = watch::channel(Arc::new(Held::default()));
        let watching = Watching {
            client: client.clone(),
            project: project.clone(),
            cursors: vec![Cursor::new(Scope::Project(project.clone()))],
            held: Held::default(),
            tell,
        };
        Self {
            held,
            work: tokio::spawn(watching.run()),
        }
    }

    /// What is held now.
    #[must_use]
    pub fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.borrow())
    }

    /// Waits until what is held gives a value.
    ///
    /// # Errors
    /// Names `what` when it does not within the time; with what is held.
    pub async fn until<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut pick: impl FnMut(&Held) -> Option<T>,
    ) -> Result<T> {
        let mut held = self.held.clone();
        let waited = within(what, deadline, async {
            loop {
                if let Some(value) = pick(&held.borrow_and_update()) {
                    return Ok(value);
                }
                held.changed().await?;
            }
        })
        .await;
        match waited {
            Ok(value) => value,
            Err(error) => Err(failure(format!("{error}; {}", self.held().told()))),
        }
    }
}

struct Watching {
    client: Client,
    project: ProjectId,
    cursors: Vec<Cursor>,
    held: Held,
    tell: watch::Sender<Arc<Held>>,
}

impl Watching {
    async fn run(mut self) {
        loop {
            // A socket that breaks is what followers are made for.
            let _ = self.connected().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn connected(&mut self) -> Result {
        let path = format!("/api/projects/{}/feed", self.project);
        let mut socket = self.client.socket(&path).await?;
        self.held.connections += 1;
        for cursor in &mut self.cursors {
            socket.send(&cursor.follow()).await?;
        }
        loop {
            let frame: ServerFrame = socket.next(QUIET).await?;
            self.hear(&mut socket, &frame).await?;
            self.held.current = self.cursors.iter().all(Cursor::is_current);
            self.tell.send_replace(Arc::new(self.held.clone()));
        }
    }

    async fn hear(&mut self, socket: &mut Socket, frame: &ServerFrame) -> Result {
        let mut replies: Vec<ClientFrame> = Vec::new();
        let mut taken = Vec::new();
        for cursor in &mut self.cursors {
            let heard = cursor.hear(frame);
            if heard.forget {
                return Err(failure("the feed begins anew, and nothing was restored"));
            }
            taken.extend(heard.entities.iter().cloned());
            replies.extend(heard.reply);
        }
        for entity in taken {
            match entity {
                Entity::Task(task) => {
                    self.held.tasks.insert(task.id.clone(), *task);
                }
                Entity::Session(session) => {
                    let id = session.id.clone();
                    if self.held.sessions.insert(id.clone(), *session).is_none() {
                        let mut cursor = Cursor::new(Scope::Session(id));
                        replies.push(cursor.follow());
                        self.cursors.push(cursor);
                    }
                }
                Entity::Row(row) => {
                    self.held.rows.insert(row.id.clone(), *row);
                }
                Entity::RowGone(row) => {
                    self.held.rows.remove(&row);
                }
                Entity::TaskGone(task) => {
                    self.held.tasks.remove(&task);
                }
                Entity::SessionGone(session) => {
                    self.held.sessions.remove(&session);
                }
            }
        }
        for reply in replies {
            socket.send(&reply).await?;
        }
        Ok(())
    }
}
