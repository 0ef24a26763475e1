//! Rows: stored as they are shown, upserted by id, read by page.
//!
//! A row's version is (attempt, rev); an older or equal one is a duplicate. A row never changes its
//! session or its author, and a workspace writes none of a person's. Pages are bounded by bytes as
//! well as by count, so that no history is too large to read.

use sam_domain::access::claims::Claims;
use sam_domain::conversation::row::{Author, Row, RowUpsert, is_newer};
use sam_domain::conversation::wire::RowOutcome;
use sam_domain::error::ApiError;
use sam_domain::feed::PAGE_BYTES;
use sam_domain::id::{Id as _, RowId, SessionId};
use sam_platform::params;
use sam_platform::sql::{Sql, SqlError};
use sam_platform::value::MAX_SAFE_INTEGER;
use serde::Deserialize;

use super::scope::Counters;
use crate::shell::ShellError;

/// The longest row, in bytes of its JSON: what one page holds.
pub(super) const MAX_ROW_BYTES: usize = PAGE_BYTES;
/// How many rows one statement of a page reads.
const CHUNK: u32 = 64;

#[derive(Deserialize)]
struct Held {
    session: SessionId,
    seq: u64,
    pos: u64,
    attempt: u32,
    rev: u32,
    author: Author,
}

/// The rows of one session, with its counters.
pub(super) struct SessionRows<'a> {
    sql: &'a Sql,
    session: &'a SessionId,
    counters: Counters,
    /// Where the counters were when this work began.
    from: u64,
    /// What this work stored, in order of seq, as JSON.
    written: Vec<(u64, String)>,
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
            written: Vec::new(),
        })
    }

    fn held(&self, id: &RowId) -> Result<Option<Held>, SqlError> {
        self.sql.first(
            "SELECT session, seq, pos, attempt, rev, author FROM rows WHERE id = ?",
            params![id],
        )
    }

    fn write(&mut self, row: &Row) -> Result<bool, ShellError> {
        let text = serde_json::to_string(row).map_err(|error| ShellError::Stored {
            key: row.id.to_string(),
            cause: error.to_string(),
        })?;
        if text.len() > MAX_ROW_BYTES {
            return Ok(false);
        }
        self.sql.run(
            "INSERT INTO rows (id, session, seq, pos, attempt, rev, author, row) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT (id) DO UPDATE SET \
               seq = excluded.seq, attempt = excluded.attempt, rev = excluded.rev, row = excluded.row",
            params![
                &row.id,
                &row.session,
                row.seq,
                row.pos,
                row.attempt,
                row.rev,
                author_word(row.author),
                &text,
            ],
        )?;
        // An earlier version written by the same work is not shown any more.
        self.written.push((row.seq, text));
        Ok(true)
    }

    /// Stores one upsert of a workspace, whose claims were verified.
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
        let superseded = held.map(|held| held.seq);
        let seq = counters.next_seq();
        let row = upsert.into_row(self.session.clone(), claims.attempt, seq, pos);
        if !self.write(&row)? {
            return Ok(RowOutcome::Refused);
        }
        self.counters = counters;
        if let Some(superseded) = superseded {
            self.written.retain(|(seq, _)| *seq != superseded);
        }
        Ok(RowOutcome::Accepted)
    }

    /// Stores a row of this object's own making (a person's words, a notice). Position and sequence
    /// number are given here. Storing the same id again replaces it.
    pub(super) fn put(&mut self, mut row: Row) -> Result<(), ShellError> {
        let held = self.held(&row.id)?;
        row.pos = match &held {
            Some(held) => held.pos,
            None => self.counters.next_pos(),
        };
        row.seq = self.counters.next_seq();
        if !self.write(&row)? {
            return Err(
                ApiError::new(413, "row_too_large", "This does not fit into one row.").into(),
            );
        }
        if let Some(held) = held {
            self.written.retain(|(seq, _)| *seq != held.seq);
        }
        Ok(())
    }

    /// Saves the counters and says what changed; `None` when nothing did.
    pub(super) fn finish(self) -> Result<Option<RowsChanged>, SqlError> {
        if self.counters.seq == self.from {
            return Ok(None);
        }
        self.counters.save(self.sql, self.session.as_str())?;
        Ok(Some(RowsChanged {
            from: self.from,
            to: self.counters.seq,
            rows: self.written.into_iter().map(|(_, text)| text).collect(),
        }))
    }
}

fn author_word(author: Author) -> &'static str {
    match author {
        Author::Person => "person",
        Author::Agent => "agent",
        Author::System => "system",
    }
}

#[derive(Deserialize)]
struct Numbered {
    at: u64,
    value: String,
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

/// Some rows of a session as JSON, in order of position.
pub(super) struct RowPage {
    pub(super) rows: Vec<String>,
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

/// Reads at most `limit` rows and at most [`PAGE_BYTES`], at least one where there is one.
pub(super) fn page(
    sql: &Sql,
    session: &SessionId,
    from: From,
    limit: u32,
) -> Result<RowPage, SqlError> {
    let mut taken: Vec<Numbered> = Vec::new();
    let mut bytes = 0usize;
    let mut more = false;
    let (forwards, mut bound) = match from {
        From::Newest => (false, MAX_SAFE_INTEGER.unsigned_abs()),
        From::Before(pos) => (false, pos),
        From::After(pos) => (true, pos),
    };
    'reading: loop {
        // One more than the limit tells whether there is more.
        let wanted = (limit + 1)
            .saturating_sub(taken.len() as u32)
            .clamp(1, CHUNK);
        let chunk: Vec<Numbered> = if forwards {
            sql.rows(
                "SELECT pos AS at, row AS value FROM rows \
                 WHERE session = ? AND pos > ? ORDER BY pos LIMIT ?",
                params![session, bound, wanted],
            )?
        } else {
            sql.rows(
                "SELECT pos AS at, row AS value FROM rows \
                 WHERE session = ? AND pos < ? ORDER BY pos DESC LIMIT ?",
                params![session, bound, wanted],
            )?
        };
        let exhausted = (chunk.len() as u32) < wanted;
        for row in chunk {
            let full = taken.len() as u32 >= limit
                || (!taken.is_empty() && bytes + row.value.len() > PAGE_BYTES);
            if full {
                more = true;
                break 'reading;
            }
            bytes += row.value.len();
            bound = row.at;
            taken.push(row);
        }
        if exhausted {
            break;
        }
    }
    let (has_before, has_after) = match from {
        From::Newest => (more, false),
        // The row that bounds the page is on its other side.
        From::Before(_) => (more, true),
        From::After(_) => (true, more),
    };
    if !forwards {
        taken.reverse();
    }
    Ok(RowPage {
        rows: taken.into_iter().map(|row| row.value).collect(),
        has_before,
        has_after,
    })
}

/// The rows of a session after a sequence number, as JSON with their number, in chunks that the
/// caller asks for one after the other. A tombstone's value is the id of what is gone.
pub(super) fn after_seq(
    sql: &Sql,
    session: &SessionId,
    after: u64,
) -> Result<Vec<Changed>, SqlError> {
    sql.rows(
        "SELECT seq, row AS value, 0 AS gone FROM rows WHERE session = ?1 AND seq > ?2 \
         UNION ALL \
         SELECT seq, id AS value, 1 AS gone FROM tombstones WHERE scope = ?1 AND seq > ?2 \
         ORDER BY seq LIMIT ?3",
        params![session, after, CHUNK],
    )
}

/// Something that a sequence number touched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Changed {
    /// The number.
    pub(super) seq: u64,
    /// The entity as JSON, or the id of what is gone.
    pub(super) value: String,
    /// 1 for a tombstone.
    pub(super) gone: u8,
}

/// How many entities one call of a reader returns at most; fewer mean that there are no more.
pub(super) const CHUNK_LEN: usize = CHUNK as usize;
