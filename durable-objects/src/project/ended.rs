//! Authorisations that have ended.
//!
//! Closing the sockets that are open is not enough: a request that was authorised a moment before may
//! arrive a moment after. So the ending is remembered, and what was authorised before it opens nothing.

use sam_domain::access::internal::FeedAccess;
use sam_domain::conversation::call::SocketOwner;
use sam_domain::id::Id as _;
use sam_domain::time::Timestamp;
use sam_platform::sql::{Sql, SqlError};
use sam_platform::{columns, params};

struct EndedRow {
    value: String,
}
columns!(EndedRow: value);

/// The tag of the sockets that are this owner's.
pub(super) fn tag(owner: &SocketOwner) -> &str {
    match owner {
        SocketOwner::AuthSession(handle) => handle,
        SocketOwner::Person(person) => person.as_str(),
    }
}

/// Remembers that everything authorised for this owner up to now has ended.
pub(super) fn remember(sql: &Sql, owner: &SocketOwner, now: Timestamp) -> Result<(), SqlError> {
    let key = format!("ended {}", tag(owner));
    sql.run(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![key, now.0.to_string()],
    )
    .map(|_| ())
}

/// Whether what this follower was authorised by has ended since.
pub(super) fn has_ended(sql: &Sql, access: &FeedAccess) -> Result<bool, SqlError> {
    for tag in [access.user.as_str(), access.auth_session.as_str()] {
        let row: Option<EndedRow> = sql.first(
            "SELECT value FROM meta WHERE key = ?",
            params![format!("ended {tag}")],
        )?;
        let ended = row.and_then(|row| row.value.parse().ok()).map(Timestamp);
        if ended.is_some_and(|ended| access.authorised_at() <= ended) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::schema;
    use sam_domain::access::internal::SOCKET_AUTHORISATION;
    use sam_domain::id::{ProjectId, UserId};

    #[test]
    fn what_was_authorised_before_an_ending_opens_nothing() {
        let sql = Sql::in_memory().unwrap();
        schema::create(&sql).unwrap();
        let user = UserId::mint(Timestamp(1), 1);
        let access = |at: u64, session: &str| FeedAccess {
            project: ProjectId::mint(Timestamp(1), 1),
            user: user.clone(),
            auth_session: session.to_owned(),
            authorised_until: Timestamp(at).plus(SOCKET_AUTHORISATION),
        };
        let ended = |access: &FeedAccess| has_ended(&sql, access).unwrap();
        assert!(!ended(&access(5, "a")));
        remember(
            &sql,
            &SocketOwner::AuthSession("a".to_owned()),
            Timestamp(5),
        )
        .unwrap();
        assert!(ended(&access(5, "a")) && !ended(&access(6, "a")));
        assert!(!ended(&access(5, "b")), "another session of the person");
        remember(&sql, &SocketOwner::Person(user.clone()), Timestamp(9)).unwrap();
        assert!(ended(&access(9, "b")) && !ended(&access(10, "b")));
    }
}
