//! Tasks and conversations as shown: the project's scope of the feed, and its lists.
//!
//! Each is stored as JSON under its id with its `rev`; an older or equal `rev` changes nothing.

use sam_domain::conversation::wire::SessionView;
use sam_domain::feed::history::{Changed, Changeset};
use sam_domain::id::Id;
use sam_domain::task::TaskView;
use sam_platform::sql::{Sql, SqlError};
use sam_platform::{columns, params};

use super::frames::{self, Json};
use super::scope::{self, PROJECT};
use crate::shell::ShellError;

/// Work on the project's entities in one turn.
pub(super) struct Entities<'a> {
    sql: &'a Sql,
    /// The entities as they go into a frame.
    changes: Changeset<Json>,
}

struct Held {
    seq: u64,
    rev: u64,
}
columns!(Held: seq, rev);

impl<'a> Entities<'a> {
    pub(super) fn open(sql: &'a Sql) -> Result<Self, SqlError> {
        Ok(Self {
            sql,
            changes: Changeset::new(scope::counters(sql, PROJECT)?),
        })
    }

    fn put(&mut self, id: &str, rev: u64, view: &str) -> Result<(), SqlError> {
        let held: Option<Held> = self
            .sql
            .first("SELECT seq, rev FROM entities WHERE id = ?", params![id])?;
        if held.as_ref().is_some_and(|held| held.rev >= rev) {
            return Ok(());
        }
        let mut counters = self.changes.counters();
        let seq = counters.next_seq();
        self.sql.run(
            "INSERT INTO entities (id, seq, rev, view) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (id) DO UPDATE SET \
               seq = excluded.seq, rev = excluded.rev, view = excluded.view",
            params![id, seq, rev, view],
        )?;
        let had = held.map(|held| held.seq);
        self.changes
            .put(counters, had, frames::project_entity(id, view));
        Ok(())
    }

    /// Stores a task as it is now.
    pub(super) fn put_task(&mut self, task: &TaskView) -> Result<(), ShellError> {
        let view = to_json(task.id.as_str(), task)?;
        Ok(self.put(task.id.as_str(), task.rev, &view)?)
    }

    /// Stores a conversation as it is now.
    pub(super) fn put_session(&mut self, session: &SessionView) -> Result<(), ShellError> {
        let view = to_json(session.id.as_str(), session)?;
        Ok(self.put(session.id.as_str(), session.rev, &view)?)
    }

    /// Saves the counters and says what changed; `None` when nothing did.
    pub(super) fn finish(self) -> Result<Option<Changed<Json>>, SqlError> {
        let changed = self.changes.finish();
        if let Some(changed) = &changed {
            scope::save(self.sql, PROJECT, changed.counters)?;
        }
        Ok(changed)
    }
}

fn to_json(key: &str, value: &impl serde::Serialize) -> Result<String, ShellError> {
    serde_json::to_string(value).map_err(|error| ShellError::Stored {
        key: key.to_owned(),
        cause: error.to_string(),
    })
}

struct ViewRow {
    view: String,
}
columns!(ViewRow: view);

/// A page of views, newest first.
pub(super) struct ViewPage {
    /// The views as JSON with commas between them.
    pub(super) views: Json,
    /// The id of the last of them.
    pub(super) last: Option<String>,
    /// Whether there are older ones.
    pub(super) more: bool,
}

/// The newest views of the kind of id `I`, older than `before`. At most `limit`, itself at most 100.
pub(super) fn list<I: Id>(sql: &Sql, before: Option<&I>, limit: u32) -> Result<ViewPage, SqlError> {
    // Ids of a kind share a prefix and sort by their time; `~` comes after every character of one.
    let end = format!("{}~", I::PREFIX);
    let before = before.map_or(end.as_str(), |id| id.as_str());
    let record = sql.record(
        "WITH page AS (SELECT id, view FROM entities WHERE id > ?1 AND id < ?2 \
           ORDER BY id DESC LIMIT ?3) \
         SELECT group_concat(view, ',' ORDER BY id DESC) AS views, min(id) AS last, \
           EXISTS (SELECT 1 FROM entities \
             WHERE id > ?1 AND id < (SELECT min(id) FROM page)) AS more \
         FROM page",
        params![I::PREFIX, before, limit.clamp(1, 100)],
    )?;
    Ok(match record {
        Some(record) => ViewPage {
            views: record.text("views")?.unwrap_or_default(),
            last: record.text("last")?,
            more: record.number("more")? == Some(1),
        },
        None => ViewPage {
            views: String::new(),
            last: None,
            more: false,
        },
    })
}

/// The newest id of the kind `I`, if there is one.
pub(super) fn newest<I: Id>(sql: &Sql) -> Result<Option<I>, SqlError> {
    let page = list::<I>(sql, None, 1)?;
    Ok(page.last.and_then(|id| id.parse().ok()))
}

/// One view by id.
pub(super) fn get(sql: &Sql, id: &str) -> Result<Option<Json>, SqlError> {
    let row: Option<ViewRow> = sql.first("SELECT view FROM entities WHERE id = ?", params![id])?;
    Ok(row.map(|row| row.view))
}
