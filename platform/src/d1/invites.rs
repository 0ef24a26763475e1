//! Single-use invites for new people. Only the HMAC of an invite's secret is stored.

use sam_domain::access::wire::{InviteView, Role};
use sam_domain::id::{InviteId, UserId};
use sam_domain::time::Timestamp;

use super::users::{Users, role_word};
use super::{D1, D1Error};
use crate::crypto::TokenHash;
use crate::{columns, params};

struct Row {
    id: InviteId,
    role: Role,
    note: Option<String>,
    created_by: UserId,
    created_at: Timestamp,
    expires_at: Timestamp,
}
columns!(Row: id, role, note, created_by, created_at, expires_at);

/// The table of invites.
#[derive(Debug, Clone)]
pub struct Invites<'a>(pub &'a D1);

impl Invites<'_> {
    /// Stores a new invite.
    pub async fn insert(&self, secret: &TokenHash, invite: &InviteView) -> Result<(), D1Error> {
        self.0
            .run(
                "INSERT INTO invites (token_hash, id, role, note, created_by, created_at, expires_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    secret.as_str(),
                    &invite.id,
                    role_word(invite.role),
                    invite.note.clone(),
                    &invite.created_by,
                    invite.created_at,
                    invite.expires_at
                ],
            )
            .await
            .map(|_| ())
    }

    /// The invites that can still be used, oldest first; at most 500.
    pub async fn open(&self, now: Timestamp) -> Result<Vec<InviteView>, D1Error> {
        let rows: Vec<Row> = self
            .0
            .all(
                "SELECT id, role, note, created_by, created_at, expires_at FROM invites \
                 WHERE redeemed_at IS NULL AND revoked_at IS NULL AND expires_at > ?1 \
                 ORDER BY created_at, id LIMIT 500",
                params![now],
            )
            .await?;
        Ok(rows.into_iter().map(view).collect())
    }

    /// Takes an invite back. Returns whether there was one that could still be used.
    pub async fn revoke(&self, id: &InviteId, now: Timestamp) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "UPDATE invites SET revoked_at = ?2 WHERE id = ?1 AND redeemed_at IS NULL \
                   AND revoked_at IS NULL AND expires_at > ?2",
                params![id, now],
            )
            .await?;
        Ok(changed > 0)
    }

    /// Spends an invite for a new person, in one transaction: of many who come with the same one,
    /// one gets in. Returns the role they got.
    pub async fn redeem(
        &self,
        secret: &TokenHash,
        person: &UserId,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<Role>, D1Error> {
        let insert = self.0.statement(
            "INSERT INTO users (id, name, role, created_at) \
             SELECT ?2, ?3, role, ?4 FROM invites WHERE token_hash = ?1 \
               AND redeemed_at IS NULL AND revoked_at IS NULL AND expires_at > ?4",
            params![secret.as_str(), person, name, now],
        )?;
        let spend = self.0.statement(
            "UPDATE invites SET redeemed_at = ?3, redeemed_by = ?2 WHERE token_hash = ?1 \
               AND EXISTS (SELECT 1 FROM users WHERE id = ?2)",
            params![secret.as_str(), person, now],
        )?;
        self.0.batch(vec![insert, spend]).await?;
        let person = Users(self.0).get(person).await?;
        Ok(person.map(|person| person.role))
    }
}

fn view(row: Row) -> InviteView {
    InviteView {
        id: row.id,
        role: row.role,
        note: row.note,
        created_by: row.created_by,
        created_at: row.created_at,
        expires_at: row.expires_at,
    }
}
