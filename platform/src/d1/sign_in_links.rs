//! Single-use links that sign a person in. Only the HMAC of a link's secret is stored.

use sam_domain::id::UserId;
use sam_domain::time::Timestamp;

use super::{D1, D1Error};
use crate::crypto::TokenHash;
use crate::{columns, params};

struct Redeemed {
    user_id: UserId,
}
columns!(Redeemed: user_id);

/// The table of sign-in links.
#[derive(Debug, Clone)]
pub struct SignInLinks<'a>(pub &'a D1);

impl SignInLinks<'_> {
    /// Stores a new link.
    pub async fn insert(
        &self,
        link: &TokenHash,
        user: &UserId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), D1Error> {
        self.0
            .run(
                "INSERT INTO sign_in_links (token_hash, user_id, created_at, expires_at) \
                 VALUES (?1, ?2, ?3, ?4)",
                params![link.as_str(), user, now, expires_at],
            )
            .await
            .map(|_| ())
    }

    /// Spends a link and says whom it signs in. One statement decides, so of two simultaneous
    /// redemptions one gets `None`.
    pub async fn redeem(
        &self,
        link: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<UserId>, D1Error> {
        let row: Option<Redeemed> = self
            .0
            .first(
                "UPDATE sign_in_links SET redeemed_at = ?2 \
                 WHERE token_hash = ?1 AND redeemed_at IS NULL AND expires_at > ?2 \
                 RETURNING user_id",
                params![link.as_str(), now],
            )
            .await?;
        Ok(row.map(|row| row.user_id))
    }
}
