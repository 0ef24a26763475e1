//! Tokens for scripts. Only the HMAC of a token's secret is stored.

use sam_domain::access::tokens::{ApiTokenView, Scopes};
use sam_domain::id::{ApiTokenId, UserId};
use sam_domain::time::{Millis, Timestamp};
use serde::Deserialize;

use super::users::User;
use super::{D1, D1Error};
use crate::crypto::TokenHash;
use crate::{columns, params};

/// How often the last use of a token is written down at most.
const USE_RECORDED_EVERY: Millis = Millis::hours(1);

/// Scopes as they are stored: one text. What this version does not know admits nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(super) struct StoredScopes(pub(super) Scopes);

impl From<String> for StoredScopes {
    fn from(text: String) -> Self {
        Self(
            text.split_whitespace()
                .filter_map(|word| word.parse().ok())
                .collect(),
        )
    }
}

#[derive(Debug)]
struct Row {
    id: ApiTokenId,
    name: String,
    scopes: StoredScopes,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}
columns!(Row: id, name, scopes, created_at, expires_at, last_used_at);

impl From<Row> for ApiTokenView {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            name: row.name,
            scopes: row.scopes.0,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// A token that was presented, with whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Whose it is. Whether they may use the installation at all is in it.
    pub user: User,
    /// Which it is.
    pub id: ApiTokenId,
    /// What it may do.
    pub scopes: Scopes,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Whether this use is to be written down.
    pub is_use_due: bool,
}

struct PresentedRow {
    token_id: ApiTokenId,
    scopes: StoredScopes,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    user: User,
}
columns!(PresentedRow: token_id, scopes, expires_at, last_used_at, ..user);

/// The table of API tokens.
#[derive(Debug, Clone)]
pub struct ApiTokens<'a>(pub &'a D1);

impl ApiTokens<'_> {
    /// Stores a new token, unless its person has `most` that can be used. Returns whether it did.
    pub async fn insert(
        &self,
        hash: &TokenHash,
        user: &UserId,
        token: &ApiTokenView,
        most: u32,
    ) -> Result<bool, D1Error> {
        let inserted = self
            .0
            .run(
                "INSERT INTO api_tokens (id, token_hash, user_id, name, scopes, created_at, expires_at) \
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE (SELECT count(*) FROM api_tokens \
                   WHERE user_id = ?3 AND revoked_at IS NULL \
                     AND (expires_at IS NULL OR expires_at > ?6)) < ?8",
                params![
                    &token.id,
                    hash.as_str(),
                    user,
                    token.name.as_str(),
                    token.scopes.to_string(),
                    token.created_at,
                    token.expires_at,
                    most
                ],
            )
            .await?;
        Ok(inserted > 0)
    }

    /// A person's tokens that can be used, newest first; at most 500.
    pub async fn of_user(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Vec<ApiTokenView>, D1Error> {
        let rows: Vec<Row> = self
            .0
            .all(
                "SELECT id, name, scopes, created_at, expires_at, last_used_at FROM api_tokens \
                 WHERE user_id = ?1 AND revoked_at IS NULL \
                   AND (expires_at IS NULL OR expires_at > ?2) \
                 ORDER BY created_at DESC, id DESC LIMIT 500",
                params![user, now],
            )
            .await?;
        Ok(rows.into_iter().map(ApiTokenView::from).collect())
    }

    /// Whose a presented token is; none when it is unknown, revoked, expired, or its person's who was
    /// removed.
    pub async fn present(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Presented>, D1Error> {
        // Whether it has expired is judged here: the question must not change with the time, so that
        // it can be answered by what was read a moment ago.
        let found: Option<PresentedRow> = self
            .0
            .first(
                "SELECT u.id, u.name, u.role, u.created_at, u.suspended_at, \
                   t.id AS token_id, t.scopes, t.expires_at, t.last_used_at \
                 FROM api_tokens t JOIN users u ON u.id = t.user_id \
                 WHERE t.token_hash = ?1 AND t.revoked_at IS NULL AND u.removed_at IS NULL",
                params![hash.as_str()],
            )
            .await?;
        Ok(found
            .filter(|found| found.expires_at.is_none_or(|at| at > now))
            .map(|found| Presented {
                user: found.user,
                id: found.token_id,
                scopes: found.scopes.0,
                expires_at: found.expires_at,
                is_use_due: found
                    .last_used_at
                    .is_none_or(|at| now.since(at) >= USE_RECORDED_EVERY),
            }))
    }

    /// Writes a use down, unless one within the hour before it is.
    pub async fn used(&self, id: &ApiTokenId, now: Timestamp) -> Result<(), D1Error> {
        let before = Timestamp(now.0.saturating_sub(USE_RECORDED_EVERY.0));
        self.0
            .run(
                "UPDATE api_tokens SET last_used_at = ?2 WHERE id = ?1 \
                   AND (last_used_at IS NULL OR last_used_at <= ?3)",
                params![id, now, before],
            )
            .await
            .map(|_| ())
    }

    /// Revokes one of a person's tokens. Returns its hash, under whose handle sockets may be open.
    pub async fn revoke(
        &self,
        user: &UserId,
        id: &ApiTokenId,
        now: Timestamp,
    ) -> Result<Option<TokenHash>, D1Error> {
        struct Revoked {
            token_hash: String,
        }
        columns!(Revoked: token_hash);
        let revoked: Option<Revoked> = self
            .0
            .first(
                "UPDATE api_tokens SET revoked_at = ?3 \
                 WHERE id = ?2 AND user_id = ?1 AND revoked_at IS NULL RETURNING token_hash",
                params![user, id, now],
            )
            .await?;
        Ok(revoked.map(|row| TokenHash::from_stored(row.token_hash)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_domain::access::tokens::Scope;

    #[test]
    fn a_stored_scope_that_is_not_known_admits_nothing() {
        let StoredScopes(scopes) = StoredScopes::from("root read".to_owned());
        assert_eq!(scopes, Scopes::from_iter([Scope::Read]));
        assert!(StoredScopes::from(String::new()).0.is_empty());
    }
}
