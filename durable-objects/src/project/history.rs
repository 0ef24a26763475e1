//! The project's history as its followers read it: the feed of `sam-domain`, on this object's tables.
//!
//! Where a page ends is decided there, by sizes alone; its text is then put together by SQLite, so
//! that the rows of a long history are not moved one by one.

use sam_domain::feed::Scope;
use sam_domain::feed::history::{Ahead, History, PAGE_ENTITIES, Present};
use sam_domain::id::{Id as _, ProjectId, SessionId};
use sam_platform::sql::Sql;
use sam_platform::text::Text;
use sam_platform::value::SqlValue;
use sam_platform::{columns, params};

use super::frames::{self, Json};
use super::scope::{self, PROJECT};
use crate::shell::ShellError;

/// One project's history.
pub(super) struct Stored<'a> {
    pub(super) sql: &'a Sql,
    pub(super) project: &'a ProjectId,
}

impl History for Stored<'_> {
    /// With commas between them.
    type Entities = Text;
    type Error = ShellError;

    fn project(&self) -> &ProjectId {
        self.project
    }

    fn present(&self, scope: &Scope) -> Result<Option<Present>, ShellError> {
        match scope {
            Scope::Project(_) => scope::of_project(self.sql).map(Some),
            Scope::Session(session) => scope::of_session(self.sql, session.as_str()),
        }
    }

    fn ahead(&self, scope: &Scope, after: u64) -> Result<Ahead, ShellError> {
        match scope {
            Scope::Project(_) => self.sizes(ENTITIES_AHEAD, params![PROJECT, after, PAGE_ENTITIES]),
            Scope::Session(session) => {
                self.sizes(ROWS_AHEAD, params![session, after, PAGE_ENTITIES])
            }
        }
    }

    fn read(&self, scope: &Scope, after: u64, to: u64) -> Result<Text, ShellError> {
        match scope {
            Scope::Project(_) => self.entities(after, to),
            Scope::Session(session) => self.rows(session, after, to),
        }
    }
}

impl Stored<'_> {
    fn sizes(&self, query: &str, params: &[SqlValue]) -> Result<Ahead, ShellError> {
        let record = self.sql.record(query, params)?;
        let list = match record {
            Some(record) => record.text("sizes")?,
            None => None,
        };
        let sizes: Vec<(u64, usize)> =
            sam_domain::json::from_str(&format!("[{}]", list.unwrap_or_default())).map_err(
                |error| ShellError::Stored {
                    key: "sizes".to_owned(),
                    cause: error.to_string(),
                },
            )?;
        Ok(Ahead {
            is_all: sizes.len() < PAGE_ENTITIES,
            sizes,
        })
    }

    fn rows(&self, session: &SessionId, after: u64, to: u64) -> Result<Text, ShellError> {
        let record = self.sql.record(ROWS, params![session, after, to])?;
        Ok(match record {
            Some(record) => record.passed_on("entities")?,
            None => Text::default(),
        })
    }

    fn entities(&self, after: u64, to: u64) -> Result<Text, ShellError> {
        let found: Vec<FoundEntity> = self.sql.rows(ENTITIES, params![PROJECT, after, to])?;
        let entities: Vec<Json> = found
            .into_iter()
            .filter_map(|found| match found.view {
                Some(view) => Some(frames::project_entity(&found.id, &view)),
                None => frames::gone_entity(&found.id),
            })
            .collect();
        Ok(frames::join(&entities).into())
    }
}

struct FoundEntity {
    id: String,
    view: Option<String>,
}
columns!(FoundEntity: id, view);

/// Sizes of a session's rows and tombstones, each with a little for what stands around it in a frame:
/// session, number, most of them.
const ROWS_AHEAD: &str = "\
    SELECT group_concat('[' || seq || ',' || size || ']', ',') AS sizes FROM ( \
      SELECT seq, octet_length(row) + 32 AS size FROM rows WHERE session = ?1 AND seq > ?2 \
      UNION ALL \
      SELECT seq, 64 AS size FROM tombstones WHERE scope = ?1 AND seq > ?2 \
      ORDER BY seq LIMIT ?3)";

/// The same of the project's entities: the project's scope, number, most of them.
const ENTITIES_AHEAD: &str = "\
    SELECT group_concat('[' || seq || ',' || size || ']', ',') AS sizes FROM ( \
      SELECT seq, octet_length(view) + 32 AS size FROM entities WHERE seq > ?2 \
      UNION ALL \
      SELECT seq, 64 AS size FROM tombstones WHERE scope = ?1 AND seq > ?2 \
      ORDER BY seq LIMIT ?3)";

/// A session's rows and tombstones after a number and up to another, as entities of the wire type; a
/// test holds them equal. They are put together in the order of the inner query, which indexes give;
/// an order given to the function itself would copy every row.
const ROWS: &str = "\
    SELECT group_concat(entity, ',') AS entities FROM ( \
      SELECT seq, '{\"type\":\"row\",\"value\":' || row || '}' AS entity FROM rows \
      WHERE session = ?1 AND seq > ?2 AND seq <= ?3 \
      UNION ALL \
      SELECT seq, '{\"type\":\"row_gone\",\"value\":\"' || id || '\"}' AS entity FROM tombstones \
      WHERE scope = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq)";

/// The project's entities, and tombstones without a view, after a number and up to another.
const ENTITIES: &str = "\
    SELECT seq, id, view FROM entities WHERE seq > ?2 AND seq <= ?3 \
    UNION ALL \
    SELECT seq, id, NULL AS view FROM tombstones WHERE scope = ?1 AND seq > ?2 AND seq <= ?3 \
    ORDER BY seq";
