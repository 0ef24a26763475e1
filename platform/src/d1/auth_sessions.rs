//! Signed-in browsers and command lines. Only the HMAC of a session's token is stored.

use sam_domain::access::tokens::Scopes;
use sam_domain::id::{ApiTokenId, UserId};
use sam_domain::time::{Millis, Timestamp};

use super::api_tokens::StoredScopes;
use super::users::User;
use super::{D1, D1Error};
use crate::crypto::TokenHash;
use crate::{columns, params};

/// A session to be opened.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// Where it is opened: `web`, `cli`, or what a program calls itself.
    pub client: &'a str,
    /// The program's own description.
    pub user_agent: Option<&'a str>,
    /// What it may do; everything that its person may, when absent.
    pub scopes: Option<&'a Scopes>,
    /// The API token that opens it, and with which it ends.
    pub api_token: Option<&'a ApiTokenId>,
    /// When it is opened.
    pub now: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// A session as listed to its person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSession {
    /// A public name to revoke it by.
    pub handle: String,
    /// Where it was opened.
    pub client: String,
    /// The program's own description.
    pub user_agent: Option<String>,
    /// What it may do; everything that its person may, when absent.
    pub scopes: Option<Scopes>,
    /// The API token that opened it.
    pub api_token: Option<ApiTokenId>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

struct Row {
    handle: String,
    client: String,
    user_agent: Option<String>,
    scopes: Option<StoredScopes>,
    api_token_id: Option<ApiTokenId>,
    created_at: Timestamp,
    expires_at: Timestamp,
}
columns!(Row: handle, client, user_agent, scopes, api_token_id, created_at, expires_at);

/// Who a session's token signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The person. Whether they may use the installation at all is in it.
    pub user: User,
    /// What the session may do; everything that its person may, when absent.
    pub scopes: Option<Scopes>,
    /// Whether the person's role has changed since it was opened.
    pub is_outdated: bool,
}

struct SignedInRow {
    opened_at: Timestamp,
    expires_at: Timestamp,
    scopes: Option<StoredScopes>,
    role_changed_at: Option<Timestamp>,
    user: User,
}
columns!(SignedInRow: opened_at, expires_at, scopes, role_changed_at, ..user);

/// The table of sessions.
#[derive(Debug, Clone)]
pub struct AuthSessions<'a>(pub &'a D1);

impl AuthSessions<'_> {
    /// Stores a new session.
    pub async fn insert(&self, token: &TokenHash, new: &NewSession<'_>) -> Result<(), D1Error> {
        self.0
            .run(
                "INSERT INTO auth_sessions (token_hash, handle, user_id, client, user_agent, scopes, \
                   api_token_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    token.as_str(),
                    token.handle(),
                    new.user,
                    new.client,
                    new.user_agent,
                    new.scopes.map(ToString::to_string),
                    new.api_token,
                    new.now,
                    new.expires_at
                ],
            )
            .await
            .map(|_| ())
    }

    /// Who a token signs in: one read, on the path of every request of a person. A person who was
    /// removed is not found, nor is a session whose API token was revoked.
    pub async fn user(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<SignedIn>, D1Error> {
        // Whether it has expired is judged here: the question must not change with the time, so that
        // it can be answered by what was read a moment ago.
        let found: Option<SignedInRow> = self
            .0
            .first(
                "SELECT u.id, u.name, u.role, u.created_at, u.suspended_at, u.role_changed_at, \
                   s.created_at AS opened_at, s.expires_at, s.scopes \
                 FROM auth_sessions s JOIN users u ON u.id = s.user_id \
                 LEFT JOIN api_tokens t ON t.id = s.api_token_id \
                 WHERE s.token_hash = ?1 AND s.revoked_at IS NULL AND u.removed_at IS NULL \
                   AND t.revoked_at IS NULL",
                params![token.as_str()],
            )
            .await?;
        Ok(found
            .filter(|found| found.expires_at > now)
            .map(|found| SignedIn {
                user: found.user,
                scopes: found.scopes.map(|stored| stored.0),
                is_outdated: found
                    .role_changed_at
                    .is_some_and(|changed| found.opened_at <= changed),
            }))
    }

    /// Exchanges a session's token: what asked before may still come under the old one until `ends`.
    /// Returns whether this call did it.
    pub async fn exchange(
        &self,
        old: &TokenHash,
        new: &TokenHash,
        now: Timestamp,
        ends: Timestamp,
    ) -> Result<bool, D1Error> {
        // One that ends soon was exchanged before, also by a request that came a moment later than
        // this one, or is not worth it.
        let soon = ends.plus(Millis::minutes(1));
        let insert = self.0.statement(
            "INSERT INTO auth_sessions (token_hash, handle, user_id, client, user_agent, scopes, \
               api_token_id, created_at, expires_at) \
             SELECT ?2, ?3, user_id, client, user_agent, scopes, api_token_id, ?4, expires_at \
             FROM auth_sessions WHERE token_hash = ?1 AND revoked_at IS NULL AND expires_at > ?5",
            params![old.as_str(), new.as_str(), new.handle(), now, soon],
        )?;
        let end = self.0.statement(
            "UPDATE auth_sessions SET expires_at = MIN(expires_at, ?2) WHERE token_hash = ?1",
            params![old.as_str(), ends],
        )?;
        let changed = self.0.batch(vec![insert, end]).await?;
        Ok(changed.first().is_some_and(|count| *count > 0))
    }

    /// A person's open sessions, newest first; at most 100.
    pub async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<AuthSession>, D1Error> {
        let rows: Vec<Row> = self
            .0
            .all(
                "SELECT s.handle, s.client, s.user_agent, s.scopes, s.api_token_id, s.created_at, \
                   s.expires_at FROM auth_sessions s LEFT JOIN api_tokens t ON t.id = s.api_token_id \
                 WHERE s.user_id = ?1 AND s.expires_at > ?2 AND s.revoked_at IS NULL \
                   AND t.revoked_at IS NULL ORDER BY s.created_at DESC LIMIT 100",
                params![user, now],
            )
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| AuthSession {
                handle: row.handle,
                client: row.client,
                user_agent: row.user_agent,
                scopes: row.scopes.map(|stored| stored.0),
                api_token: row.api_token_id,
                created_at: row.created_at,
                expires_at: row.expires_at,
            })
            .collect())
    }

    /// The public names of the sessions that an API token opened and that may be open.
    pub async fn of_api_token(&self, token: &ApiTokenId) -> Result<Vec<String>, D1Error> {
        struct Named {
            handle: String,
        }
        columns!(Named: handle);
        let rows: Vec<Named> = self
            .0
            .all(
                "SELECT handle FROM auth_sessions WHERE api_token_id = ?1 AND revoked_at IS NULL \
                 ORDER BY created_at DESC LIMIT 100",
                params![token],
            )
            .await?;
        Ok(rows.into_iter().map(|row| row.handle).collect())
    }

    /// Ends all of a person's sessions but the one of this token. Returns the public names of those
    /// that were open.
    pub async fn revoke_others(
        &self,
        user: &UserId,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Vec<String>, D1Error> {
        let open = self.list(user, now).await?;
        self.0
            .run(
                "UPDATE auth_sessions SET revoked_at = ?3 \
                 WHERE user_id = ?1 AND token_hash <> ?2 AND revoked_at IS NULL",
                params![user, token.as_str(), now],
            )
            .await?;
        Ok(open
            .into_iter()
            .map(|session| session.handle)
            .filter(|handle| handle != token.handle())
            .collect())
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
