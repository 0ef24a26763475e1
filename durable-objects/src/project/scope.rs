//! Counters: what sequence number a scope is at, and under which epoch.
//!
//! Each scope (the project, each session) counts for itself and without gaps, so that one live frame
//! fits every follower that is up to date.

use sam_platform::crypto::base64url;
use sam_platform::sql::{Sql, SqlError};
use sam_platform::{entropy, params};
use serde::Deserialize;

use crate::shell::ShellError;

/// The key of the project's own scope.
pub(super) const PROJECT: &str = "project";

/// A scope's counters. Changed in memory and saved once at the end of a turn's work on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Counters {
    /// The newest sequence number given.
    pub(super) seq: u64,
    /// The newest position given; positions order a session's rows on the screen.
    pub(super) pos: u64,
    /// Cursors below it cannot be continued, because tombstones were purged.
    pub(super) floor: u64,
}

impl Counters {
    /// A scope's counters; zero for one that has none yet.
    pub(super) fn load(sql: &Sql, scope: &str) -> Result<Self, SqlError> {
        Ok(sql
            .first(
                "SELECT seq, pos, floor FROM scopes WHERE scope = ?",
                params![scope],
            )?
            .unwrap_or(Self {
                seq: 0,
                pos: 0,
                floor: 0,
            }))
    }

    /// Stores them.
    pub(super) fn save(&self, sql: &Sql, scope: &str) -> Result<(), SqlError> {
        sql.run(
            "INSERT INTO scopes (scope, seq, pos, floor) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (scope) DO UPDATE SET \
               seq = excluded.seq, pos = excluded.pos, floor = excluded.floor",
            params![scope, self.seq, self.pos, self.floor],
        )
        .map(|_| ())
    }

    /// The next sequence number.
    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// The next position.
    pub(super) fn next_pos(&mut self) -> u64 {
        self.pos += 1;
        self.pos
    }
}

#[derive(Deserialize)]
struct MetaRow {
    value: String,
}

/// The epoch of this object's history: random, made once, another one after a restore.
pub(super) fn epoch(sql: &Sql) -> Result<String, ShellError> {
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
