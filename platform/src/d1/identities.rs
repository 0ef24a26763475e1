//! Who a person is elsewhere. An identity belongs to one person for good: also to one who was
//! removed, so that they do not come back as somebody new.

use sam_domain::id::UserId;
use sam_domain::time::Timestamp;

use super::users::User;
use super::{D1, D1Error};
use crate::{columns, params};

/// Someone at a provider, e.g. account 1 at `github`.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The provider's word.
    pub provider: &'a str,
    /// The account's id there; never its name, which changes hands.
    pub subject: &'a str,
}

/// Whom an identity belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// This person.
    Person(User),
    /// Somebody who was removed.
    Removed,
    /// Nobody yet.
    Nobody,
}

struct Row {
    removed_at: Option<Timestamp>,
    user: User,
}
columns!(Row: removed_at, ..user);

/// The table of identities.
#[derive(Debug, Clone)]
pub struct Identities<'a>(pub &'a D1);

impl Identities<'_> {
    /// Whom an identity belongs to.
    pub async fn find(&self, identity: Identity<'_>) -> Result<Known, D1Error> {
        let found: Option<Row> = self
            .0
            .first(
                "SELECT u.id, u.name, u.role, u.created_at, u.suspended_at, u.waits_since, u.removed_at \
                 FROM identities i JOIN users u ON u.id = i.user_id \
                 WHERE i.provider = ?1 AND i.subject = ?2",
                params![identity.provider, identity.subject],
            )
            .await?;
        Ok(match found {
            None => Known::Nobody,
            Some(row) if row.removed_at.is_some() => Known::Removed,
            Some(row) => Known::Person(row.user),
        })
    }

    /// Gives an identity to a person, unless it is somebody's.
    pub async fn link(
        &self,
        identity: Identity<'_>,
        user: &UserId,
        now: Timestamp,
    ) -> Result<(), D1Error> {
        self.0
            .run(
                "INSERT INTO identities (provider, subject, user_id, created_at) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![identity.provider, identity.subject, user, now],
            )
            .await
            .map(|_| ())
    }

    /// Makes a new member with an identity, in one transaction, unless it is somebody's. `waits` shuts
    /// them out until an administrator lets them in.
    pub async fn come(
        &self,
        identity: Identity<'_>,
        user: &UserId,
        name: &str,
        waits: bool,
        now: Timestamp,
    ) -> Result<(), D1Error> {
        let suspended_at = waits.then_some(now);
        let insert = self.0.statement(
            "INSERT INTO users (id, name, role, created_at, suspended_at, waits_since) \
             SELECT ?3, ?4, 'member', ?5, ?6, ?6 WHERE NOT EXISTS \
               (SELECT 1 FROM identities WHERE provider = ?1 AND subject = ?2)",
            params![
                identity.provider,
                identity.subject,
                user,
                name,
                now,
                suspended_at
            ],
        )?;
        let link = self.0.statement(
            "INSERT INTO identities (provider, subject, user_id, created_at) \
             SELECT ?1, ?2, id, ?4 FROM users WHERE id = ?3 ON CONFLICT DO NOTHING",
            params![identity.provider, identity.subject, user, now],
        )?;
        self.0.batch(vec![insert, link]).await.map(|_| ())
    }
}
