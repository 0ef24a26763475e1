//! Requests that repeat harmlessly.
//!
//! The reply is stored in the turn that did the work, under (person, route, key). The same key with
//! the same body answers with the stored reply; with another body it is refused. A week later the
//! reply is forgotten: nobody repeats a request for longer.

use sam_domain::conversation::call::Idempotency;
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, UserId};
use sam_domain::time::{Millis, Timestamp};
use sam_platform::sql::{Sql, SqlError};
use sam_platform::{columns, params};

use crate::shell::ShellError;

/// The longest key a client may choose, in characters.
const MAX_KEY: usize = 200;

/// How long a reply is kept.
const KEPT_FOR: Millis = Millis::hours(24 * 7);
/// Most replies that are forgotten at once.
const FORGOTTEN_AT_ONCE: u32 = 500;

/// Forgets replies that are older than anybody repeats a request for. Returns how many.
pub(super) fn forget_old(sql: &Sql, now: Timestamp) -> Result<u64, SqlError> {
    let before = Timestamp(now.0.saturating_sub(KEPT_FOR.0));
    sql.run(
        "DELETE FROM idempotency WHERE key IN \
           (SELECT key FROM idempotency WHERE at < ? LIMIT ?)",
        params![before, FORGOTTEN_AT_ONCE],
    )
}

struct Stored {
    body_sha256: String,
    reply: String,
}
columns!(Stored: body_sha256, reply);

/// One request's place in the table.
pub(super) struct Once<'a> {
    sql: &'a Sql,
    key: String,
    body_sha256: &'a str,
}

impl<'a> Once<'a> {
    /// The place of a request. `route` tells requests of different kinds apart.
    pub(super) fn of(
        sql: &'a Sql,
        by: &UserId,
        route: &str,
        idempotency: &'a Idempotency,
    ) -> Result<Self, ApiError> {
        let length = idempotency.key.chars().count();
        if length == 0 || length > MAX_KEY {
            return Err(ApiError::new(
                400,
                "bad_idempotency_key",
                format!("The Idempotency-Key must have 1 to {MAX_KEY} characters."),
            ));
        }
        Ok(Self {
            sql,
            key: format!("{} {route} {}", by.as_str(), idempotency.key),
            body_sha256: &idempotency.body_sha256,
        })
    }

    /// The reply of the first time, as JSON, if there was one.
    pub(super) fn earlier_reply(&self) -> Result<Option<String>, ShellError> {
        let stored: Option<Stored> = self.sql.first(
            "SELECT body_sha256, reply FROM idempotency WHERE key = ?",
            params![&self.key],
        )?;
        match stored {
            None => Ok(None),
            Some(stored) if stored.body_sha256 == self.body_sha256 => Ok(Some(stored.reply)),
            Some(_) => Err(ApiError::conflict(
                "idempotency_conflict",
                "This Idempotency-Key was used with another request.",
            )
            .hint("Use a new key for a new request.")
            .into()),
        }
    }

    /// Keeps the reply, in the turn that did the work.
    pub(super) fn keep(&self, reply: &str, now: Timestamp) -> Result<(), SqlError> {
        self.sql
            .run(
                "INSERT INTO idempotency (key, body_sha256, reply, at) VALUES (?, ?, ?, ?)",
                params![&self.key, self.body_sha256, reply, now],
            )
            .map(|_| ())
    }
}
