//! What a cursor runs over, as it is stored: counters, and the epoch they belong to.

use sam_domain::feed::history::{Counters, Present};
use sam_platform::crypto::base64url;
use sam_platform::sql::{Sql, SqlError};
use sam_platform::{columns, entropy, params};

use crate::shell::ShellError;

/// The key of the project's own scope; a session's is its id.
pub(super) const PROJECT: &str = "project";

/// A scope's counters; zero for one that has none yet.
pub(super) fn counters(sql: &Sql, scope: &str) -> Result<Counters, SqlError> {
    let stored: Vec<Counters> = sql.read(
        "SELECT seq, pos, floor FROM scopes WHERE scope = ?",
        params![scope],
    )?;
    Ok(stored.into_iter().next().unwrap_or_default())
}

/// Stores a scope's counters.
pub(super) fn save(sql: &Sql, scope: &str, counters: Counters) -> Result<(), SqlError> {
    sql.run(
        "INSERT INTO scopes (scope, seq, pos, floor) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (scope) DO UPDATE SET \
           seq = excluded.seq, pos = excluded.pos, floor = excluded.floor",
        params![scope, counters.seq, counters.pos, counters.floor],
    )
    .map(|_| ())
}

#[derive(Default)]
struct PresentRow {
    epoch: Option<String>,
    seq: u64,
    pos: u64,
    floor: u64,
}
columns!(PresentRow: epoch, seq, pos, floor);

/// Where the project's scope stands.
pub(super) fn of_project(sql: &Sql) -> Result<Present, ShellError> {
    let row = sql.first(
        "SELECT (SELECT value FROM meta WHERE key = 'epoch') AS epoch, seq, pos, floor \
         FROM scopes WHERE scope = ?",
        params![PROJECT],
    )?;
    present(sql, row.unwrap_or_default())
}

/// Where a session's scope stands; `None` when there is no such session.
pub(super) fn of_session(sql: &Sql, session: &str) -> Result<Option<Present>, ShellError> {
    let row: Option<PresentRow> = sql.first(
        "SELECT (SELECT value FROM meta WHERE key = 'epoch') AS epoch, \
           coalesce(scopes.seq, 0) AS seq, coalesce(pos, 0) AS pos, coalesce(floor, 0) AS floor \
         FROM entities LEFT JOIN scopes ON scope = id WHERE id = ?",
        params![session],
    )?;
    row.map(|row| present(sql, row)).transpose()
}

/// A session's newest number; `None` when there is no such session. Writes nothing.
pub(super) fn newest_of_session(sql: &Sql, session: &str) -> Result<Option<u64>, SqlError> {
    struct Newest {
        seq: u64,
    }
    columns!(Newest: seq);
    let row: Option<Newest> = sql.first(
        "SELECT coalesce(scopes.seq, 0) AS seq FROM entities LEFT JOIN scopes ON scope = id \
         WHERE id = ?",
        params![session],
    )?;
    Ok(row.map(|row| row.seq))
}

fn present(sql: &Sql, row: PresentRow) -> Result<Present, ShellError> {
    let epoch = match row.epoch {
        Some(epoch) => epoch,
        None => epoch(sql)?,
    };
    Ok(Present {
        epoch,
        counters: Counters {
            seq: row.seq,
            pos: row.pos,
            floor: row.floor,
        },
    })
}

struct MetaRow {
    value: String,
}
columns!(MetaRow: value);

/// The epoch of this object's history: random, made once, another one after a restore.
fn epoch(sql: &Sql) -> Result<String, ShellError> {
    let stored: Option<MetaRow> = sql.first("SELECT value FROM meta WHERE key = 'epoch'", &[])?;
    if let Some(row) = stored {
        return Ok(row.value);
    }
    let epoch = base64url(&entropy::bytes::<9>()?);
    sql.run(
        "INSERT INTO meta (key, value) VALUES ('epoch', ?)",
        params![&epoch],
    )?;
    Ok(epoch)
}
