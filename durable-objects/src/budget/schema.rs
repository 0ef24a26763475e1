//! The tables of a Budget.

use sam_platform::sql::{Sql, SqlError};

const STATEMENTS: [&str; 3] = [
    // The ledger, and how far reconciliation came, each as one JSON value.
    "CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    // Every call that counted. Its id sorts by time, so that a period is a range of ids and needs no
    // index, which would be a further row for each call. `tokens` and `cost` are what counts, the
    // others what was reported.
    "CREATE TABLE IF NOT EXISTS calls (request TEXT PRIMARY KEY, day INTEGER NOT NULL, \
       user TEXT NOT NULL, project TEXT NOT NULL, session TEXT NOT NULL, task TEXT NOT NULL, \
       attempt INTEGER NOT NULL, model TEXT NOT NULL, status INTEGER NOT NULL, \
       ended TEXT NOT NULL, input INTEGER, cached_input INTEGER, cache_write INTEGER, \
       output INTEGER, tokens INTEGER NOT NULL, cost INTEGER NOT NULL, basis TEXT NOT NULL, \
       log TEXT, own_key INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
    // Only behind an AI Gateway have calls a log.
    "CREATE UNIQUE INDEX IF NOT EXISTS calls_by_log ON calls (log) WHERE log IS NOT NULL",
];

/// Whether the installation did not pay: added where the table is older than that.
const OWN_KEY: &str = "ALTER TABLE calls ADD COLUMN own_key INTEGER NOT NULL DEFAULT 0";
const HAS_OWN_KEY: &str = "SELECT name FROM pragma_table_info('calls') WHERE name = 'own_key'";

/// Makes the tables that are not there yet.
pub(super) fn create(sql: &Sql) -> Result<(), SqlError> {
    for statement in STATEMENTS {
        sql.run(statement, &[])?;
    }
    if !sql.any(HAS_OWN_KEY, &[])? {
        sql.run(OWN_KEY, &[])?;
    }
    Ok(())
}
