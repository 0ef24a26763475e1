//! One turn's work on a conversation: its actor, its rows, and the project's entities.
//!
//! Everything is written in one transaction; what changed is told to followers afterwards, in the
//! same turn, so that a turn that is undone was never seen.

use sam_domain::actor::{Actor, Handled};
use sam_domain::conversation::row::Row;
use sam_domain::conversation::session::{Session, SessionLocal, SessionMachine, SessionOutput};
use sam_domain::conversation::wire::Activity;
use sam_domain::feed::ServerFrame;
use sam_domain::feed::history::Changed;
use sam_domain::id::{SessionId, WorkspaceId};
use sam_domain::time::{Timestamp, Turn};
use sam_platform::sql::{Sql, SqlError};
use sam_platform::{columns, params};

use super::entities::Entities;
use super::feed::Feed;
use super::frames::Json;
use super::rows::SessionRows;
use crate::shell::ShellError;

/// A turn's work, while it goes on.
pub(super) struct Work<'a> {
    pub(super) rows: SessionRows<'a>,
    sql: &'a Sql,
    session: &'a SessionId,
    entities: Entities<'a>,
    activity: Option<Activity>,
}

/// What a turn changed.
#[derive(Default)]
pub(super) struct Changes {
    /// The conversation's rows, as they are stored.
    rows: Option<Changed<Json>>,
    /// The project's entities.
    entities: Option<Changed<Json>>,
    activity: Option<Activity>,
}

struct ThroughRow {
    through: u64,
}
columns!(ThroughRow: through);

impl<'a> Work<'a> {
    pub(super) fn open(sql: &'a Sql, session: &'a SessionId) -> Result<Self, SqlError> {
        Ok(Self {
            rows: SessionRows::open(sql, session)?,
            sql,
            session,
            entities: Entities::open(sql)?,
            activity: None,
        })
    }

    /// Performs what the machine asked for, and what it asks for in reply. Returns whether the actor
    /// changed.
    pub(super) fn perform(
        &mut self,
        actor: &mut Actor<Session>,
        turn: &mut Turn,
        handled: Handled<SessionOutput>,
    ) -> Result<bool, ShellError> {
        let mut changed = handled.changed;
        let mut outputs = handled.output;
        // An answer to `CheckRows` may ask for more; it ends, because each asking is a new message.
        while !outputs.is_empty() {
            let mut next = Vec::new();
            for output in outputs {
                match output {
                    SessionOutput::PutRow {
                        id,
                        rev,
                        author,
                        at,
                        body,
                    } => self.rows.put(Row {
                        id,
                        session: self.session.clone(),
                        // Given when it is stored.
                        seq: 0,
                        pos: 0,
                        // What this object says belongs to no attempt.
                        attempt: 0,
                        rev,
                        author,
                        created_at: at,
                        body,
                    })?,
                    SessionOutput::PutTask(view) => self.entities.put_task(&view)?,
                    SessionOutput::Activity(activity) => self.activity = Some(activity),
                    SessionOutput::CheckRows { workspace } => {
                        let through = self.stored_through(&workspace)?;
                        let local = SessionLocal::RowsStored {
                            workspace,
                            through,
                            said: Vec::new(),
                        };
                        let handled = actor.local::<SessionMachine>(turn, local);
                        changed |= handled.changed;
                        next.extend(handled.output);
                    }
                }
            }
            outputs = next;
        }
        Ok(changed)
    }

    /// Up to which of its own numbers a workspace's upserts are stored.
    fn stored_through(&self, workspace: &WorkspaceId) -> Result<u64, SqlError> {
        let row: Option<ThroughRow> = self.sql.first(
            "SELECT through FROM workspaces WHERE workspace = ?",
            params![workspace],
        )?;
        Ok(row.map_or(0, |row| row.through))
    }

    /// Remembers how far a workspace's upserts are stored; it never goes back.
    pub(super) fn store_through(
        &self,
        workspace: &WorkspaceId,
        through: u64,
    ) -> Result<(), SqlError> {
        self.sql
            .run(
                "INSERT INTO workspaces (workspace, through) VALUES (?1, ?2) \
                 ON CONFLICT (workspace) DO UPDATE SET through = excluded.through \
                 WHERE excluded.through > workspaces.through",
                params![workspace, through],
            )
            .map(|_| ())
    }

    /// Ends the work: stores the conversation as it is now and says what changed.
    pub(super) fn finish(mut self, actor: &Actor<Session>) -> Result<Changes, ShellError> {
        if let Some(view) = actor.state.view() {
            self.entities.put_session(&view)?;
        }
        Ok(Changes {
            rows: self.rows.finish()?,
            entities: self.entities.finish()?,
            activity: self.activity,
        })
    }
}

impl Changes {
    /// Tells everybody who follows.
    pub(super) fn announce(self, feed: &Feed<'_>, session: &SessionId, now: Timestamp) {
        if self.rows.is_none() && self.entities.is_none() && self.activity.is_none() {
            return;
        }
        let audience = feed.audience(now);
        if let Some(rows) = self.rows {
            audience.rows_changed(session, rows);
        }
        if let Some(entities) = &self.entities {
            audience.project_changed(entities);
        }
        if let Some(activity) = self.activity {
            let frame = ServerFrame::Activity {
                session: session.clone(),
                activity,
            };
            audience.activity(session, &frame);
        }
    }
}
