//! Rows: stored as they are shown, upserted by id, read by page.
//!
//! A row's version is (attempt, rev); an older or equal one is a duplicate. A row never changes its
//! session or its author, and a workspace writes none of a person's. Pages are bounded by bytes as
//! well as by count, so that no history is too large to read.

use sam_domain::access::claims::Claims;
use sam_domain::collect::Map;
use sam_domain::conversation::row::{Author, Row, RowBody, RowUpsert, is_newer};
use sam_domain::conversation::wire::RowOutcome;
use sam_domain::error::ApiError;
use sam_domain::feed::PAGE_BYTES;
use sam_domain::feed::history::{Changed, Changeset, Counters};
use sam_domain::id::{Id as _, RowId, SessionId};
use sam_platform::sql::{Record, Sql, SqlError};
use sam_platform::text::Text;
use sam_platform::value::{MAX_SAFE_INTEGER, SqlValue};
use sam_platform::{columns, params};

use super::frames::Json;
use super::scope;
use crate::shell::ShellError;

/// The longest row, in bytes of its JSON: what one page holds.
pub(super) const MAX_ROW_BYTES: usize = PAGE_BYTES;
/// Most bytes of a page of messages; any row fits.
pub(super) const MESSAGES_BYTES: usize = 2 * MAX_ROW_BYTES;
/// Rows that one statement writes: five values each and three in common, of the hundred that a
/// statement binds.
const ROWS_A_STATEMENT: usize = 19;

#[derive(Clone)]
struct Held {
    id: RowId,
    session: SessionId,
    seq: u64,
    pos: u64,
    attempt: u32,
    rev: u32,
    author: Author,
}
columns!(Held: id, session, seq, pos, attempt, rev, author);

/// The rows of one session, with its counters. What is put here is written when the work is finished,
/// many rows with one statement.
pub(super) struct SessionRows<'a> {
    sql: &'a Sql,
    session: &'a SessionId,
    /// Rows that were looked up, as they are stored or will be; `None` for one that is not there.
    held: Map<RowId, Option<Held>>,
    /// What this work writes, each row with its JSON.
    changes: Changeset<(Held, Json)>,
}

impl<'a> SessionRows<'a> {
    pub(super) fn open(sql: &'a Sql, session: &'a SessionId) -> Result<Self, SqlError> {
        Ok(Self {
            sql,
            session,
            held: Map::new(),
            changes: Changeset::new(scope::counters(sql, session.as_str())?),
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

    /// Takes in a row that takes the place of `held` and has the newest number of `counters`; `false`
    /// when it is too long, and then it uses up no number.
    fn write(
        &mut self,
        counters: Counters,
        row: &Row,
        held: Option<&Held>,
    ) -> Result<bool, ShellError> {
        let text = serde_json::to_string(row).map_err(|error| ShellError::Stored {
            key: row.id.to_string(),
            cause: error.to_string(),
        })?;
        if text.len() > MAX_ROW_BYTES {
            return Ok(false);
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
        let had = held.map(|held| held.seq);
        self.changes.put(counters, had, (now_held, text));
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
        let mut counters = self.changes.counters();
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
        Ok(match self.write(counters, &row, held.as_ref())? {
            true => RowOutcome::Accepted,
            false => RowOutcome::Refused,
        })
    }

    /// Takes in a row of this object's own making (a person's words, a notice). Position and sequence
    /// number are given here. Putting the same id again replaces it.
    pub(super) fn put(&mut self, mut row: Row) -> Result<(), ShellError> {
        let held = self.held(&row.id)?;
        let mut counters = self.changes.counters();
        row.pos = match &held {
            Some(held) => held.pos,
            None => counters.next_pos(),
        };
        row.seq = counters.next_seq();
        if !self.write(counters, &row, held.as_ref())? {
            return Err(
                ApiError::new(413, "row_too_large", "This does not fit into one row.").into(),
            );
        }
        Ok(())
    }

    /// Writes the rows and the counters and says what changed; `None` when nothing did.
    pub(super) fn finish(self) -> Result<Option<Changed<Json>>, SqlError> {
        let Some(changed) = self.changes.finish() else {
            return Ok(None);
        };
        // Most are of one author and attempt; what they have in common is bound once.
        let alike = |(one, _): &(Held, Json), (other, _): &(Held, Json)| {
            (one.author, one.attempt) == (other.author, other.attempt)
        };
        for rows in changed.entities.chunk_by(alike) {
            for rows in rows.chunks(ROWS_A_STATEMENT) {
                insert(self.sql, self.session, rows)?;
            }
        }
        scope::save(self.sql, self.session.as_str(), changed.counters)?;
        Ok(Some(changed.map(|(_, text)| text)))
    }
}

/// Writes some rows of a session, of one author and one attempt.
fn insert(sql: &Sql, session: &SessionId, rows: &[(Held, Json)]) -> Result<(), SqlError> {
    let Some((first, _)) = rows.first() else {
        return Ok(());
    };
    let places = vec!["(?1, ?2, ?3, ?, ?, ?, ?, ?)"; rows.len()].join(", ");
    let mut values: Vec<SqlValue> = Vec::with_capacity(3 + 5 * rows.len());
    values.extend([
        session.into(),
        first.attempt.into(),
        author_word(first.author).into(),
    ]);
    for (held, text) in rows {
        values.extend([
            (&held.id).into(),
            held.seq.into(),
            held.pos.into(),
            held.rev.into(),
            text.into(),
        ]);
    }
    sql.run(
        &format!(
            "INSERT INTO rows (session, attempt, author, id, seq, pos, rev, row) \
             VALUES {places} \
             ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, \
               attempt = excluded.attempt, rev = excluded.rev, row = excluded.row"
        ),
        &values,
    )?;
    Ok(())
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
    pub(super) rows: Text,
    pub(super) has_before: bool,
    pub(super) has_after: bool,
}

struct Position {
    pos: u64,
}
columns!(Position: pos);

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
    body(sql.record(
        "SELECT row FROM rows WHERE id = ? AND session = ?",
        params![row, session],
    )?)
}

/// What a session's first row says: the words it began with.
pub(super) fn first_said(sql: &Sql, session: &SessionId) -> Result<Option<RowBody>, ShellError> {
    body(sql.record(
        "SELECT row FROM rows WHERE session = ? ORDER BY pos LIMIT 1",
        params![session],
    )?)
}

fn body(record: Option<Record>) -> Result<Option<RowBody>, ShellError> {
    let Some(record) = record else {
        return Ok(None);
    };
    let text = record.text("row")?.unwrap_or_default();
    let row: Row = sam_domain::json::from_str(&text).map_err(|_| ApiError::internal())?;
    Ok(Some(row.body))
}

/// Reads at most `limit` rows and at most [`MESSAGES_BYTES`].
///
/// Where the page ends is found by numbers and lengths alone, and its text is put together by SQLite:
/// the rows of a long history are not moved one by one.
pub(super) fn page(
    sql: &Sql,
    session: &SessionId,
    from: From,
    limit: u32,
) -> Result<RowPage, SqlError> {
    let (way, bound) = match from {
        From::Newest => (&BACKWARDS, MAX_SAFE_INTEGER.unsigned_abs()),
        From::Before(pos) => (&BACKWARDS, pos),
        From::After(pos) => (&FORWARDS, pos),
    };
    let read = |limit: u64| sql.record(way.rows, params![session, bound, limit]);
    let number = |page: &Option<Record>, column| match page {
        Some(page) => Ok(page.number(column)?.unwrap_or_default()),
        None => Ok::<_, SqlError>(0),
    };
    let mut page = read(limit.into())?;
    if number(&page, "bytes")? > MESSAGES_BYTES as u64 {
        let fitting = sql.record(way.fitting, params![session, bound, limit, MESSAGES_BYTES])?;
        page = read(number(&fitting, "number")?)?;
    }
    let more = number(&page, "more")? > 0;
    let (has_before, has_after) = match from {
        From::Newest => (more, false),
        // The row that bounds the page is on its other side.
        From::Before(_) => (more, true),
        From::After(_) => (true, more),
    };
    Ok(RowPage {
        rows: page
            .map(|page| page.passed_on("rows"))
            .transpose()?
            .unwrap_or_default(),
        has_before,
        has_after,
    })
}

/// Which way a page is read.
struct Way {
    /// So many rows from the bound on, how many bytes they have, and whether there are more: session,
    /// bound, number.
    rows: &'static str,
    /// How many of these rows take no more than so many bytes: session, bound, number, bytes.
    fitting: &'static str,
}

// Texts are put together in the order of the inner query, which an index gives: SQLite drops no order
// within a function that depends on it, and one given to the function itself would copy every row.
const BACKWARDS: Way = Way {
    rows: "SELECT group_concat(row, ',') AS rows, sum(octet_length(row)) AS bytes, \
          EXISTS (SELECT 1 FROM rows WHERE session = ?1 AND pos < ?2 \
            ORDER BY pos DESC LIMIT 1 OFFSET ?3) AS more \
        FROM (SELECT row FROM rows WHERE session = ?1 AND pos < ?2 AND pos >= coalesce( \
            (SELECT pos FROM rows WHERE session = ?1 AND pos < ?2 \
             ORDER BY pos DESC LIMIT 1 OFFSET ?3 - 1), 0) \
          ORDER BY pos)",
    fitting: "SELECT count(*) AS number FROM ( \
          SELECT sum(octet_length(row)) OVER (ORDER BY pos DESC) AS bytes \
          FROM rows WHERE session = ?1 AND pos < ?2 ORDER BY pos DESC LIMIT ?3) \
        WHERE bytes <= ?4",
};

const FORWARDS: Way = Way {
    rows: "SELECT group_concat(row, ',') AS rows, sum(octet_length(row)) AS bytes, \
          EXISTS (SELECT 1 FROM rows WHERE session = ?1 AND pos > ?2 \
            ORDER BY pos LIMIT 1 OFFSET ?3) AS more \
        FROM (SELECT row FROM rows WHERE session = ?1 AND pos > ?2 ORDER BY pos LIMIT ?3)",
    fitting: "SELECT count(*) AS number FROM ( \
          SELECT sum(octet_length(row)) OVER (ORDER BY pos) AS bytes \
          FROM rows WHERE session = ?1 AND pos > ?2 ORDER BY pos LIMIT ?3) \
        WHERE bytes <= ?4",
};
