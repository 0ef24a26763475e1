//! Signed-in browsers and command lines. Only the HMAC of a session's token is stored.

use sam_domain::id::UserId;
use sam_domain::time::Timestamp;
use serde::Deserialize;

use super::users::User;
use super::{D1, D1Error};
use crate::crypto::TokenHash;
use crate::params;

/// A session as listed to its person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AuthSession {
    /// A public name to revoke it by.
    pub handle: String,
    /// Where it was opened: `web`, `cli`.
    pub client: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
struct SignedIn {
    expires_at: Timestamp,
    #[serde(flatten)]
    user: User,
}

/// The table of signed-in sessions.
#[derive(Debug, Clone)]
pub struct AuthSessions<'a>(pub &'a D1);

impl AuthSessions<'_> {
    /// Opens a session.
    pub async fn insert(
        &self,
        token: &TokenHash,
        user: &UserId,
        client: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), D1Error> {
        self.0
            .run(
                "INSERT INTO auth_sessions (token_hash, handle, user_id, client, created_at, expires_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![token.as_str(), token.handle(), user, client, now, expires_at],
            )
            .await
            .map(|_| ())
    }

    /// Who a token signs in: one read, on the path of every request of a person. Whether they may use
    /// the installation at all is in the answer; a person who was removed is not found.
    pub async fn user(&self, token: &TokenHash, now: Timestamp) -> Result<Option<User>, D1Error> {
        // Whether it has expired is judged here: the question must not change with the time, so that
        // it can be answered by what was read a moment ago.
        let found: Option<SignedIn> = self
            .0
            .first(
                "SELECT u.id, u.name, u.role, u.created_at, u.suspended_at, s.expires_at \
                 FROM auth_sessions s JOIN users u ON u.id = s.user_id \
                 WHERE s.token_hash = ?1 AND s.revoked_at IS NULL AND u.removed_at IS NULL",
                params![token.as_str()],
            )
            .await?;
        Ok(found
            .filter(|found| found.expires_at > now)
            .map(|found| found.user))
    }

    /// A person's open sessions, newest first; at most 100.
    pub async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<AuthSession>, D1Error> {
        self.0
            .all(
                "SELECT handle, client, created_at, expires_at FROM auth_sessions \
                 WHERE user_id = ?1 AND expires_at > ?2 AND revoked_at IS NULL \
                 ORDER BY created_at DESC LIMIT 100",
                params![user, now],
            )
            .await
    }

    /// Ends the session of a token. Ending it twice is no error.
    pub async fn revoke(&self, token: &TokenHash, now: Timestamp) -> Result<(), D1Error> {
        self.0
            .run(
                "UPDATE auth_sessions SET revoked_at = ?2 WHERE token_hash = ?1 AND revoked_at IS NULL",
                params![token.as_str(), now],
            )
            .await
            .map(|_| ())
    }

    /// Ends all of a person's sessions.
    pub async fn revoke_all(&self, user: &UserId, now: Timestamp) -> Result<(), D1Error> {
        self.0
            .run(
                "UPDATE auth_sessions SET revoked_at = ?2 WHERE user_id = ?1 AND revoked_at IS NULL",
                params![user, now],
            )
            .await
            .map(|_| ())
    }

    /// Ends one of a person's sessions by its handle. Returns whether there was one.
    pub async fn revoke_by_handle(
        &self,
        user: &UserId,
        handle: &str,
        now: Timestamp,
    ) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "UPDATE auth_sessions SET revoked_at = ?3 \
                 WHERE user_id = ?1 AND handle = ?2 AND revoked_at IS NULL",
                params![user, handle, now],
            )
            .await?;
        Ok(changed > 0)
    }
}
