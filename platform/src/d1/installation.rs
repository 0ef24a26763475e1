//! The installation's one row: who claimed it.
//!
//! There is no user before the claim and no sentinel row. Simultaneous claims are decided by the
//! primary key: the batch inserts the person only while no claim exists, and the claim only if the
//! person was inserted, all in one transaction.

use sam_domain::id::{Id as _, UserId};
use sam_domain::time::Timestamp;

use super::users::{User, role_word};
use super::{D1, D1Error};
use crate::{columns, params};

/// The claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The first admin.
    pub claimed_by: UserId,
    /// When.
    pub claimed_at: Timestamp,
}
columns!(Claim: claimed_by, claimed_at);

/// The table with the one row.
#[derive(Debug, Clone)]
pub struct Installation<'a>(pub &'a D1);

impl Installation<'_> {
    /// The claim, if the installation was claimed.
    pub async fn claim(&self) -> Result<Option<Claim>, D1Error> {
        self.0
            .first(
                "SELECT claimed_by, claimed_at FROM installation WHERE id = 1",
                &[],
            )
            .await
    }

    /// Claims the installation for a new person. Returns whether this call won; the loser's person
    /// is not stored.
    pub async fn try_claim(&self, admin: &User) -> Result<bool, D1Error> {
        let person = self.0.statement(
            "INSERT INTO users (id, name, role, created_at) \
             SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM installation)",
            params![
                &admin.id,
                &admin.name,
                role_word(admin.role),
                admin.created_at
            ],
        )?;
        let claim = self.0.statement(
            "INSERT INTO installation (id, claimed_by, claimed_at) \
             SELECT 1, ?1, ?2 WHERE EXISTS (SELECT 1 FROM users WHERE id = ?1) \
             ON CONFLICT DO NOTHING",
            params![&admin.id, admin.created_at],
        )?;
        self.0.batch(vec![person, claim]).await?;
        let winner = self.claim().await?;
        Ok(winner.is_some_and(|claim| claim.claimed_by.as_str() == admin.id.as_str()))
    }
}
