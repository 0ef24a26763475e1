//! ProjectData's tables, beside the session actors. Statements only add.

use sam_platform::sql::{Sql, SqlError};

const STATEMENTS: [&str; 11] = [
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    // Counters of what a cursor runs over: `project`, or a session's id.
    "CREATE TABLE IF NOT EXISTS scopes (scope TEXT PRIMARY KEY, seq INTEGER NOT NULL, \
       pos INTEGER NOT NULL, floor INTEGER NOT NULL) WITHOUT ROWID",
    // `row` is the row as JSON, as it is shown; the columns repeat what is searched by.
    "CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY, session TEXT NOT NULL, \
       seq INTEGER NOT NULL, pos INTEGER NOT NULL, attempt INTEGER NOT NULL, rev INTEGER NOT NULL, \
       author TEXT NOT NULL, row TEXT NOT NULL) WITHOUT ROWID",
    "CREATE UNIQUE INDEX IF NOT EXISTS rows_by_seq ON rows (session, seq)",
    "CREATE UNIQUE INDEX IF NOT EXISTS rows_by_pos ON rows (session, pos)",
    // How far a workspace's upserts are stored, by its own numbers.
    "CREATE TABLE IF NOT EXISTS workspaces (workspace TEXT PRIMARY KEY, through INTEGER NOT NULL) \
       WITHOUT ROWID",
    // Tasks and conversations as shown. Their ids' prefixes tell them apart.
    "CREATE TABLE IF NOT EXISTS entities (id TEXT PRIMARY KEY, seq INTEGER NOT NULL, \
       rev INTEGER NOT NULL, view TEXT NOT NULL) WITHOUT ROWID",
    "CREATE UNIQUE INDEX IF NOT EXISTS entities_by_seq ON entities (seq)",
    // Conversations that do the same work, by the first of them, and who chose one.
    "CREATE TABLE IF NOT EXISTS comparisons (comparison TEXT NOT NULL, session TEXT NOT NULL, \
       chosen_by TEXT, chosen_at INTEGER, PRIMARY KEY (comparison, session)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS tombstones (scope TEXT NOT NULL, seq INTEGER NOT NULL, \
       id TEXT NOT NULL, PRIMARY KEY (scope, seq)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS idempotency (key TEXT PRIMARY KEY, body_sha256 TEXT NOT NULL, \
       reply TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID",
];

/// Makes the tables that are not there yet.
pub(super) fn create(sql: &Sql) -> Result<(), SqlError> {
    for statement in STATEMENTS {
        sql.run(statement, &[])?;
    }
    Ok(())
}
