//! The one reducer: from feed frames to what web and CLI show.
//!
//! [`Conversation`] holds a session's rows, [`ProjectState`] a project's tasks
//! and sessions. Both take server frames in any order the network can produce
//! and say what changed. A delta is applied only where version and length
//! match; whatever was missed is healed by the row's next upsert, so any
//! interleaving of rows and deltas ends equal to the stored rows.

use super::row::{Row, RowBody, ToolStatus};
use super::wire::{Activity, SessionView};
use crate::feed::cursor::Cursor;
use crate::feed::{ClientFrame, Entity, Scope, ServerFrame};
use crate::id::{ProjectId, RowId, SessionId, TaskId};
use crate::task::TaskView;
use crate::time::{Millis, Timestamp};
use std::collections::BTreeMap;

/// What taking in a frame did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Something shown may have changed.
    pub changed: bool,
    /// Rows that were added, changed or removed.
    pub rows: Vec<RowId>,
    /// Everything held was forgotten first.
    pub reset: bool,
    /// A frame to send back (`next`, or `follow` after a gap or reset).
    pub reply: Option<ClientFrame>,
}

/// A session's rows as the feed has told them.
#[derive(Clone, Debug)]
pub struct Conversation {
    session: SessionId,
    cursor: Cursor,
    rows: BTreeMap<RowId, Row>,
    order: BTreeMap<(u64, RowId), ()>,
    activity: Option<Activity>,
}

impl Conversation {
    /// An empty conversation that has seen nothing.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        let cursor = Cursor::new(Scope::Session(session.clone()));
        Self {
            session,
            cursor,
            rows: BTreeMap::new(),
            order: BTreeMap::new(),
            activity: None,
        }
    }

    /// The session it is about.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        &self.session
    }

    /// The frame that (re)starts following from what is held.
    #[must_use]
    pub fn follow(&mut self) -> ClientFrame {
        self.cursor.follow()
    }

    /// Whether everything the server spoke of was taken in.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        self.cursor.is_current()
    }

    /// Where it is.
    #[must_use]
    pub const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// The rows in the order they are shown.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.order.keys().filter_map(|(_, id)| self.rows.get(id))
    }

    /// One row.
    #[must_use]
    pub fn row(&self, id: &RowId) -> Option<&Row> {
        self.rows.get(id)
    }

    /// What the agent does, as last reported on this connection.
    #[must_use]
    pub const fn activity(&self) -> Option<&Activity> {
        self.activity.as_ref()
    }

    /// Takes in one frame; frames about other scopes change nothing.
    pub fn apply(&mut self, frame: &ServerFrame) -> Applied {
        match frame {
            ServerFrame::Delta {
                session,
                row,
                attempt,
                rev,
                at,
                append,
            } if *session == self.session => {
                let rows = self.delta(row, *attempt, *rev, *at, append);
                Applied {
                    changed: !rows.is_empty(),
                    rows,
                    ..Applied::default()
                }
            }
            ServerFrame::Activity { session, activity } if *session == self.session => {
                let newer = is_news(self.activity.as_ref(), activity);
                if newer {
                    self.activity = Some(activity.clone());
                }
                Applied {
                    changed: newer,
                    ..Applied::default()
                }
            }
            _ => {
                let heard = self.cursor.hear(frame);
                if heard.forget {
                    self.rows.clear();
                    self.order.clear();
                }
                let mut rows = Vec::new();
                for entity in heard.entities {
                    rows.extend(self.take(entity));
                }
                let changed = heard.forget || !rows.is_empty();
                Applied {
                    changed,
                    rows,
                    reset: heard.forget,
                    reply: heard.reply,
                }
            }
        }
    }

    fn take(&mut self, entity: &Entity) -> Option<RowId> {
        match entity {
            Entity::Row(row) => self.upsert(row),
            Entity::RowGone(id) => {
                let gone = self.rows.remove(id)?;
                self.order.remove(&(gone.pos, gone.id.clone()));
                Some(gone.id)
            }
            Entity::Task(_) | Entity::Session(_) | Entity::TaskGone(_) | Entity::SessionGone(_) => {
                None
            }
        }
    }

    fn upsert(&mut self, row: &Row) -> Option<RowId> {
        if row.session != self.session
            || self
                .rows
                .get(&row.id)
                .is_some_and(|held| held.seq > row.seq)
        {
            return None;
        }
        if let Some(held) = self.rows.get(&row.id) {
            self.order.remove(&(held.pos, held.id.clone()));
        }
        self.order.insert((row.pos, row.id.clone()), ());
        self.rows.insert(row.id.clone(), row.clone());
        Some(row.id.clone())
    }

    fn delta(&mut self, id: &RowId, attempt: u32, rev: u32, at: u64, append: &str) -> Vec<RowId> {
        let Some(row) = self.rows.get_mut(id) else {
            return Vec::new();
        };
        if row.attempt != attempt || row.rev != rev {
            return Vec::new();
        }
        match row.body.growing_mut() {
            Some(text) if text.len() as u64 == at => {
                text.push_str(append);
                vec![id.clone()]
            }
            _ => Vec::new(),
        }
    }
}

/// A project's tasks and sessions as the feed has told them.
#[derive(Clone, Debug)]
pub struct ProjectState {
    cursor: Cursor,
    tasks: BTreeMap<TaskId, TaskView>,
    sessions: BTreeMap<SessionId, SessionView>,
}

impl ProjectState {
    /// An empty project that has seen nothing.
    #[must_use]
    pub fn new(project: ProjectId) -> Self {
        Self {
            cursor: Cursor::new(Scope::Project(project)),
            tasks: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }

    /// The frame that (re)starts following from what is held.
    #[must_use]
    pub fn follow(&mut self) -> ClientFrame {
        self.cursor.follow()
    }

    /// Whether everything the server spoke of was taken in.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        self.cursor.is_current()
    }

    /// Where it is.
    #[must_use]
    pub const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// One task.
    #[must_use]
    pub fn task(&self, id: &TaskId) -> Option<&TaskView> {
        self.tasks.get(id)
    }

    /// The tasks, newest first.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskView> {
        self.tasks.values().rev()
    }

    /// One session.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<&SessionView> {
        self.sessions.get(id)
    }

    /// The sessions, newest first.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionView> {
        self.sessions.values().rev()
    }

    /// Takes in one frame; frames about other scopes change nothing.
    pub fn apply(&mut self, frame: &ServerFrame) -> Applied {
        if let ServerFrame::Activity { session, activity } = frame {
            let held = self
                .sessions
                .get_mut(session)
                .filter(|held| is_news(held.activity.as_ref(), activity));
            let changed = held.is_some();
            if let Some(held) = held {
                held.activity = Some(activity.clone());
            }
            return Applied {
                changed,
                ..Applied::default()
            };
        }
        let heard = self.cursor.hear(frame);
        if heard.forget {
            self.tasks.clear();
            self.sessions.clear();
        }
        let mut changed = heard.forget;
        for entity in heard.entities {
            changed |= self.take(entity);
        }
        Applied {
            changed,
            rows: Vec::new(),
            reset: heard.forget,
            reply: heard.reply,
        }
    }

    fn take(&mut self, entity: &Entity) -> bool {
        match entity {
            Entity::Task(task) => {
                let newer = self
                    .tasks
                    .get(&task.id)
                    .is_none_or(|held| task.rev >= held.rev);
                if newer {
                    self.tasks.insert(task.id.clone(), (**task).clone());
                }
                newer
            }
            Entity::Session(session) => {
                let newer = self
                    .sessions
                    .get(&session.id)
                    .is_none_or(|held| session.rev >= held.rev);
                if newer {
                    self.sessions
                        .insert(session.id.clone(), (**session).clone());
                }
                newer
            }
            Entity::TaskGone(id) => self.tasks.remove(id).is_some(),
            Entity::SessionGone(id) => self.sessions.remove(id).is_some(),
            Entity::Row(_) | Entity::RowGone(_) => false,
        }
    }
}

/// Whether a report of activity is not older than the one held.
fn is_news(held: Option<&Activity>, told: &Activity) -> bool {
    held.is_none_or(|held| told.epoch >= held.epoch)
}

/// Whether a row may still grow or change by itself.
#[must_use]
pub const fn is_open(row: &Row) -> bool {
    match &row.body {
        RowBody::Text(body) | RowBody::Thought(body) => body.ended_at.is_none(),
        RowBody::Tool(body) => !body.status.is_terminal(),
        RowBody::Plan(_)
        | RowBody::Notice(_)
        | RowBody::Usage(_)
        | RowBody::Permission(_)
        | RowBody::Answer(_) => false,
    }
}

/// How long a row took, or has taken by `now` while it is open.
#[must_use]
pub fn duration(row: &Row, now: Timestamp) -> Option<Millis> {
    let ended_at = match &row.body {
        RowBody::Text(body) | RowBody::Thought(body) => body.ended_at,
        RowBody::Tool(body) => body.ended_at,
        RowBody::Plan(_)
        | RowBody::Notice(_)
        | RowBody::Usage(_)
        | RowBody::Permission(_)
        | RowBody::Answer(_) => return None,
    };
    match ended_at {
        Some(end) => Some(end.since(row.created_at)),
        None => is_open(row).then(|| now.since(row.created_at)),
    }
}

/// The word for a tool call's outcome, as shown.
#[must_use]
pub const fn tool_word(status: ToolStatus) -> &'static str {
    match status {
        ToolStatus::Pending => "pending",
        ToolStatus::InProgress => "running",
        ToolStatus::Completed => "done",
        ToolStatus::Failed => "failed",
        ToolStatus::Interrupted => "interrupted",
    }
}
