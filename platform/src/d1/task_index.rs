//! The cross-project index of tasks: where a task is to be looked up, and lists over projects.
//!
//! Not the record: a task's own object is. Each row carries the `rev` of what it was written from,
//! and an older write changes nothing, so writes may arrive in any order and any number of times.

use sam_domain::id::{ProjectId, SessionId, TaskId, UserId};
use sam_domain::time::Timestamp;

use super::{D1, D1Error};
use crate::{columns, params};

/// One task as indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedTask {
    /// Its id.
    pub id: TaskId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its conversation.
    pub session_id: SessionId,
    /// Who asked for it.
    pub created_by: UserId,
    /// The first line of what was asked.
    pub title: String,
    /// The state's word.
    pub state: String,
    /// The version this was written from.
    pub rev: u64,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When the state began.
    pub since: Timestamp,
}
columns!(IndexedTask: id, project_id, session_id, created_by, title, state, rev, created_at, since);

struct Named {
    id: TaskId,
}
columns!(Named: id);

struct Place {
    project_id: ProjectId,
    session_id: SessionId,
}
columns!(Place: project_id, session_id);

/// The index.
#[derive(Debug, Clone)]
pub struct TaskIndex<'a>(pub &'a D1);

impl TaskIndex<'_> {
    /// Writes a task's row unless a newer one is there. Returns whether it was written.
    pub async fn put(&self, task: &IndexedTask) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "INSERT INTO task_index \
                   (id, project_id, session_id, created_by, title, state, rev, created_at, since) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                 ON CONFLICT (id) DO UPDATE SET \
                   title = excluded.title, state = excluded.state, rev = excluded.rev, \
                   since = excluded.since \
                 WHERE excluded.rev > task_index.rev",
                params![
                    &task.id,
                    &task.project_id,
                    &task.session_id,
                    &task.created_by,
                    &task.title,
                    &task.state,
                    task.rev,
                    task.created_at,
                    task.since,
                ],
            )
            .await?;
        Ok(changed > 0)
    }

    /// The project and conversation of a task.
    pub async fn place(&self, task: &TaskId) -> Result<Option<(ProjectId, SessionId)>, D1Error> {
        let row: Option<Place> = self
            .0
            .first(
                "SELECT project_id, session_id FROM task_index WHERE id = ?1",
                params![task],
            )
            .await?;
        Ok(row.map(|row| (row.project_id, row.session_id)))
    }

    /// A person's tasks that are not over; at most 500.
    pub async fn open_of(&self, user: &UserId) -> Result<Vec<TaskId>, D1Error> {
        let rows: Vec<Named> = self
            .0
            .all(
                "SELECT id FROM task_index WHERE created_by = ?1 \
                   AND state NOT IN ('completed', 'failed', 'cancelled') ORDER BY id LIMIT 500",
                params![user],
            )
            .await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    /// The project of a conversation: every conversation has at least one task.
    pub async fn project_of_session(
        &self,
        session: &SessionId,
    ) -> Result<Option<ProjectId>, D1Error> {
        let row: Option<Place> = self
            .0
            .first(
                "SELECT project_id, session_id FROM task_index WHERE session_id = ?1 LIMIT 1",
                params![session],
            )
            .await?;
        Ok(row.map(|row| row.project_id))
    }

    /// The newest tasks over all projects a person is a member of; at most 200.
    pub async fn of_member(&self, user: &UserId, limit: u32) -> Result<Vec<IndexedTask>, D1Error> {
        self.0
            .all(
                "SELECT t.id, t.project_id, t.session_id, t.created_by, t.title, t.state, t.rev, \
                   t.created_at, t.since \
                 FROM project_members m JOIN task_index t ON t.project_id = m.project_id \
                 WHERE m.user_id = ?1 ORDER BY t.id DESC LIMIT ?2",
                params![user, limit.min(200)],
            )
            .await
    }
}
