//! ProjectData's tables, beside the session actors. Statements only add.

use sam_platform::params;
use sam_platform::sql::{Sql, SqlError};
use serde::Deserialize;

const STATEMENTS: [&str; 12] = [
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
    "CREATE TABLE IF NOT EXISTS tombstones (scope TEXT NOT NULL, seq INTEGER NOT NULL, \
       id TEXT NOT NULL, PRIMARY KEY (scope, seq)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS idempotency (key TEXT PRIMARY KEY, body_sha256 TEXT NOT NULL, \
       reply TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS model_calls (request TEXT PRIMARY KEY, task TEXT NOT NULL, \
       session TEXT NOT NULL, attempt INTEGER NOT NULL, at INTEGER NOT NULL, model TEXT NOT NULL, \
       status INTEGER NOT NULL, input_tokens INTEGER, output_tokens INTEGER, \
       complete INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS model_calls_by_task ON model_calls (task)",
];

/// Columns that came after their tables: table, name, type.
const COLUMNS: [(&str, &str, &str); 1] = [
    // How a call ended, in a word.
    ("model_calls", "ended", "TEXT"),
];

/// Makes the tables and columns that are not there yet.
pub(super) fn create(sql: &Sql) -> Result<(), SqlError> {
    for statement in STATEMENTS {
        sql.run(statement, &[])?;
    }
    for (table, column, kind) in COLUMNS {
        add_column(sql, table, column, kind)?;
    }
    Ok(())
}

/// Adds a column to a table that was made before it, if it is not there yet.
fn add_column(sql: &Sql, table: &str, column: &str, kind: &str) -> Result<(), SqlError> {
    #[derive(Deserialize)]
    struct Found {
        found: u64,
    }
    let here: Option<Found> = sql.first(
        "SELECT COUNT(*) AS found FROM pragma_table_info(?) WHERE name = ?",
        params![table, column],
    )?;
    if here.is_none_or(|here| here.found == 0) {
        sql.run(
            &format!("ALTER TABLE {table} ADD COLUMN {column} {kind}"),
            &[],
        )?;
    }
    Ok(())
}
