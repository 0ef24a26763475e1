//! Rows: stored as they are shown, upserted by id, read by page.
//!
//! A row's version is (attempt, rev); an older or equal one is a duplicate. A row never changes its
//! session or its author, and a workspace writes none of a person's. Pages are bounded by bytes as
//! well as by count, so that no history is too large to read.

use std::collections::BTreeMap;

use sam_domain::access::claims::Claims;
use sam_domain::conversation::row::{Author, Row, RowBody, RowUpsert, is_newer};
use sam_domain::conversation::wire::RowOutcome;
use sam_domain::error::ApiError;
use sam_domain::feed::PAGE_BYTES;
use sam_domain::id::{Id as _, RowId, SessionId};
use sam_platform::params;
use sam_platform::sql::{Sql, SqlError};
use sam_platform::value::{MAX_SAFE_INTEGER, SqlValue};
use serde::Deserialize;

use super::frames::Json;
use super::scope::Counters;
use crate::shell::ShellError;

/// The longest row, in bytes of its JSON: what one page holds.
pub(super) const MAX_ROW_BYTES: usize = PAGE_BYTES;
/// Rows that one statement writes: eight values each, of the hundred that a statement binds.
const ROWS_A_STATEMENT: usize = 12;
/// Most entities of one page of the feed.
const PAGE_ENTITIES: u32 = 1_000;

#[derive(Clone, Deserialize)]
struct Held {
    id: RowId,
    session: SessionId,
    seq: u64,
    pos: u64,
    attempt: u32,
    rev: u32,
    author: Author,
}

/// The rows of one session, with its counters. What is put here is written when the work is finished,
/// many rows with one statement.
pub(super) struct SessionRows<'a> {
    sql: &'a Sql,
    session: &'a SessionId,
    counters: Counters,
    /// Where the counters were when this work began.
    from: u64,
    /// Rows that were looked up, as they are stored or will be; `None` for one that is not there.
    held: BTreeMap<RowId, Option<Held>>,
    /// What this work writes, by sequence number, as JSON.
    written: BTreeMap<u64, (Held, String)>,
}

/// What a piece of work changed, for the feed.
pub(super) struct RowsChanged {
    /// Exclusive lower end.
    pub(super) from: u64,
    /// Inclusive upper end.
    pub(super) to: u64,
    /// The rows as JSON, in order of seq.
    pub(super) rows: Vec<String>,
}

impl<'a> SessionRows<'a> {
    pub(super) fn open(sql: &'a Sql, session: &'a SessionId) -> Result<Self, SqlError> {
        let counters = Counters::load(sql, session.as_str())?;
        Ok(Self {
            sql,
            session,
            from: counters.seq,
            counters,
            held: BTreeMap::new(),
            written: BTreeMap::new(),
        })
    }

    /// Looks up rows that are about to be put, all with one statement.
    pub(super) fn look_up<'r>(
        &mut self,
        ids: impl IntoIterator<Item = &'r RowId>,
    ) -> Result<(), ShellError> {
        let unknown: Vec<&RowId> = ids
            .into_iter()
            .filter(|id| !self.held.contains_key(id))
            .collect();
        let list = serde_json::to_string(&unknown).map_err(|error| ShellError::Stored {
            key: self.session.to_string(),
            cause: error.to_string(),
        })?;
        let found: Vec<Held> = self.sql.rows(
            "SELECT id, session, seq, pos, attempt, rev, author FROM rows \
             WHERE id IN (SELECT value FROM json_each(?))",
            params![list],
        )?;
        self.held
            .extend(unknown.into_iter().map(|id| (id.clone(), None)));
        self.held
            .extend(found.into_iter().map(|held| (held.id.clone(), Some(held))));
        Ok(())
    }

    fn held(&mut self, id: &RowId) -> Result<Option<Held>, ShellError> {
        if !self.held.contains_key(id) {
            self.look_up([id])?;
        }
        Ok(self.held.get(id).cloned().flatten())
    }

    /// Takes in a row that takes the place of `held`; `false` when it is too long.
    fn write(&mut self, row: &Row, held: Option<&Held>) -> Result<bool, ShellError> {
        let text = serde_json::to_string(row).map_err(|error| ShellError::Stored {
            key: row.id.to_string(),
            cause: error.to_string(),
        })?;
        if text.len() > MAX_ROW_BYTES {
            return Ok(false);
        }
        if let Some(held) = held {
            // An earlier version written by the same work is not shown any more.
            self.written.remove(&held.seq);
        }
        let now_held = Held {
            id: row.id.clone(),
            session: row.session.clone(),
            seq: row.seq,
            pos: row.pos,
            attempt: row.attempt,
            rev: row.rev,
            author: row.author,
        };
        self.held.insert(row.id.clone(), Some(now_held.clone()));
        self.written.insert(row.seq, (now_held, text));
        Ok(true)
    }

    /// Takes in one upsert of a workspace, whose claims were verified.
    pub(super) fn upsert(
        &mut self,
        claims: &Claims,
        upsert: RowUpsert,
    ) -> Result<RowOutcome, ShellError> {
        if upsert.author == Author::Person || claims.attempt == 0 {
            return Ok(RowOutcome::Refused);
        }
        let held = self.held(&upsert.id)?;
        // A row that is refused uses up no number.
        let mut counters = self.counters.clone();
        let pos = match &held {
            Some(held) if held.session != *self.session || held.author == Author::Person => {
                return Ok(RowOutcome::Refused);
            }
            Some(held) if !is_newer(claims.attempt, upsert.rev, held.attempt, held.rev) => {
                return Ok(RowOutcome::Duplicate);
            }
            Some(held) => held.pos,
            None => counters.next_pos(),
        };
        let seq = counters.next_seq();
        let row = upsert.into_row(self.session.clone(), claims.attempt, seq, pos);
        if !self.write(&row, held.as_ref())? {
            return Ok(RowOutcome::Refused);
        }
        self.counters = counters;
        Ok(RowOutcome::Accepted)
    }

    /// Takes in a row of this object's own making (a person's words, a notice). Position and sequence
    /// number are given here. Putting the same id again replaces it.
    pub(super) fn put(&mut self, mut row: Row) -> Result<(), ShellError> {
        let held = self.held(&row.id)?;
        row.pos = match &held {
            Some(held) => held.pos,
            None => self.counters.next_pos(),
        };
        row.seq = self.counters.next_seq();
        if !self.write(&row, held.as_ref())? {
            return Err(
                ApiError::new(413, "row_too_large", "This does not fit into one row.").into(),
            );
        }
        Ok(())
    }

    /// Writes the rows and the counters and says what changed; `None` when nothing did.
    pub(super) fn finish(self) -> Result<Option<RowsChanged>, SqlError> {
        if self.counters.seq == self.from {
            return Ok(None);
        }
        let written: Vec<(Held, String)> = self.written.into_values().collect();
        for rows in written.chunks(ROWS_A_STATEMENT) {
            let places = vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; rows.len()].join(", ");
            let values: Vec<SqlValue> = rows.iter().flat_map(values).collect();
            self.sql.run(
                &format!(
                    "INSERT INTO rows (id, session, seq, pos, attempt, rev, author, row) \
                     VALUES {places} \
                     ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, \
                       attempt = excluded.attempt, rev = excluded.rev, row = excluded.row"
                ),
                &values,
            )?;
        }
        self.counters.save(self.sql, self.session.as_str())?;
        Ok(Some(RowsChanged {
            from: self.from,
            to: self.counters.seq,
            rows: written.into_iter().map(|(_, text)| text).collect(),
        }))
    }
}

/// A row's columns, in the order of the statement that writes them.
fn values((row, text): &(Held, String)) -> [SqlValue; 8] {
    [
        (&row.id).into(),
        (&row.session).into(),
        row.seq.into(),
        row.pos.into(),
        row.attempt.into(),
        row.rev.into(),
        author_word(row.author).into(),
        text.into(),
    ]
}

fn author_word(author: Author) -> &'static str {
    match author {
        Author::Person => "person",
        Author::Agent => "agent",
        Author::System => "system",
    }
}

/// Which way a page runs and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// Backwards from the newest row.
    Newest,
    /// Backwards from before this position.
    Before(u64),
    /// Forwards from after this position.
    After(u64),
}

/// Some rows of a session.
pub(super) struct RowPage {
    /// In order of position, as JSON with commas between them.
    pub(super) rows: Json,
    pub(super) has_before: bool,
    pub(super) has_after: bool,
}

#[derive(Deserialize)]
struct Position {
    pos: u64,
}

/// The position of a row of this session.
pub(super) fn position(
    sql: &Sql,
    session: &SessionId,
    row: &RowId,
) -> Result<Option<u64>, SqlError> {
    let found: Option<Position> = sql.first(
        "SELECT pos FROM rows WHERE id = ? AND session = ?",
        params![row, session],
    )?;
    Ok(found.map(|found| found.pos))
}

/// What a row of this session says.
pub(super) fn said(
    sql: &Sql,
    session: &SessionId,
    row: &RowId,
) -> Result<Option<RowBody>, ShellError> {
    let Some(record) = sql.record(
        "SELECT row FROM rows WHERE id = ? AND session = ?",
        params![row, session],
    )?
    else {
        return Ok(None);
    };
    let text = record.text("row")?.unwrap_or_default();
    let row: Row = serde_json::from_str(&text).map_err(|_| ApiError::internal())?;
    Ok(Some(row.body))
}

/// Reads at most `limit` rows and at most [`PAGE_BYTES`], at least one where there is one.
///
/// Where the page ends is found by the rows' lengths alone, and its text is put together by SQLite:
/// the rows of a long history are not moved one by one.
pub(super) fn page(
    sql: &Sql,
    session: &SessionId,
    from: From,
    limit: u32,
) -> Result<RowPage, SqlError> {
    let (query, bound) = match from {
        From::Newest => (BACKWARDS, MAX_SAFE_INTEGER.unsigned_abs()),
        From::Before(pos) => (BACKWARDS, pos),
        From::After(pos) => (FORWARDS, pos),
    };
    let record = sql.record(query, params![session, bound, limit, PAGE_BYTES])?;
    let (rows, more) = match record {
        Some(record) => (
            record.text("rows")?.unwrap_or_default(),
            record.number("more")? == Some(1),
        ),
        None => (String::new(), false),
    };
    let (has_before, has_after) = match from {
        From::Newest => (more, false),
        // The row that bounds the page is on its other side.
        From::Before(_) => (more, true),
        From::After(_) => (true, more),
    };
    Ok(RowPage {
        rows,
        has_before,
        has_after,
    })
}

/// The page before a position: session, position, most rows, most bytes.
const BACKWARDS: &str = "\
    WITH sizes AS (SELECT pos, octet_length(row) AS size FROM rows \
        WHERE session = ?1 AND pos < ?2 ORDER BY pos DESC LIMIT ?3), \
      sums AS (SELECT pos, sum(size) OVER (ORDER BY pos DESC) AS bytes FROM sizes), \
      edge AS (SELECT coalesce(min(pos) FILTER (WHERE bytes <= ?4), max(pos)) AS pos FROM sums) \
    SELECT group_concat(row, ',' ORDER BY rows.pos) AS rows, \
      EXISTS (SELECT 1 FROM rows, edge WHERE session = ?1 AND rows.pos < edge.pos) AS more \
    FROM rows, edge WHERE session = ?1 AND rows.pos < ?2 AND rows.pos >= edge.pos";

/// The page after a position: session, position, most rows, most bytes.
const FORWARDS: &str = "\
    WITH sizes AS (SELECT pos, octet_length(row) AS size FROM rows \
        WHERE session = ?1 AND pos > ?2 ORDER BY pos LIMIT ?3), \
      sums AS (SELECT pos, sum(size) OVER (ORDER BY pos) AS bytes FROM sizes), \
      edge AS (SELECT coalesce(max(pos) FILTER (WHERE bytes <= ?4), min(pos)) AS pos FROM sums) \
    SELECT group_concat(row, ',' ORDER BY rows.pos) AS rows, \
      EXISTS (SELECT 1 FROM rows, edge WHERE session = ?1 AND rows.pos > edge.pos) AS more \
    FROM rows, edge WHERE session = ?1 AND rows.pos > ?2 AND rows.pos <= edge.pos";

/// What a page of the feed holds.
pub(super) struct FeedPage {
    /// Up to which sequence number it goes; `None` when nothing comes after the cursor.
    pub(super) to: Option<u64>,
    /// Rows, and ids of rows that are gone, as entities with commas between them, in order of seq.
    pub(super) entities: Json,
}

/// The rows of a session after a sequence number, at most [`PAGE_BYTES`], at least one where there is
/// one.
pub(super) fn after_seq(sql: &Sql, session: &SessionId, after: u64) -> Result<FeedPage, SqlError> {
    let record = sql.record(CHANGED, params![session, after, PAGE_ENTITIES, PAGE_BYTES])?;
    let (to, entities) = match record {
        Some(record) => (record.number("to_seq")?, record.text("entities")?),
        None => (None, None),
    };
    Ok(FeedPage {
        to,
        entities: entities.unwrap_or_default(),
    })
}

/// What changed after a sequence number: session, number, most entities, most bytes. The entities are
/// those of the wire type; a test holds them equal.
const CHANGED: &str = "\
    WITH sizes AS (SELECT seq, octet_length(row) + 32 AS size FROM rows \
        WHERE session = ?1 AND seq > ?2 \
        UNION ALL SELECT seq, 64 AS size FROM tombstones WHERE scope = ?1 AND seq > ?2 \
        ORDER BY seq LIMIT ?3), \
      sums AS (SELECT seq, sum(size) OVER (ORDER BY seq) AS bytes FROM sizes), \
      edge AS (SELECT coalesce(max(seq) FILTER (WHERE bytes <= ?4), min(seq)) AS seq FROM sums), \
      changed AS ( \
        SELECT rows.seq, '{\"type\":\"row\",\"value\":' || row || '}' AS entity FROM rows, edge \
        WHERE session = ?1 AND rows.seq > ?2 AND rows.seq <= edge.seq \
        UNION ALL \
        SELECT gone.seq, '{\"type\":\"row_gone\",\"value\":\"' || id || '\"}' AS entity \
        FROM tombstones AS gone, edge \
        WHERE scope = ?1 AND gone.seq > ?2 AND gone.seq <= edge.seq) \
    SELECT max(seq) AS to_seq, group_concat(entity, ',' ORDER BY seq) AS entities FROM changed";
