//! Tokens with which a machine joins its owner. Only the HMAC is stored.
//!
//! A token is redeemed once. The agent may ask again with the same `store_id` when the first answer
//! was lost on its way: it gets the same node. Another store is refused.

use sam_domain::id::{NodeId, UserId};
use sam_domain::time::Timestamp;

use super::{D1, D1Error};
use crate::crypto::TokenHash;
use crate::{columns, params};

/// What a redemption led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redemption {
    /// The token now belongs to this node of this owner.
    Joined {
        /// Whose machine it is.
        owner: UserId,
        /// The node: the one proposed, or the one of the first redemption by the same store.
        node: NodeId,
    },
    /// Unknown, expired, or redeemed by another store.
    Refused,
}

struct Redeemed {
    owner_id: UserId,
    node_id: NodeId,
}
columns!(Redeemed: owner_id, node_id);

/// The table of join tokens.
#[derive(Debug, Clone)]
pub struct JoinTokens<'a>(pub &'a D1);

impl JoinTokens<'_> {
    /// Stores a new token.
    pub async fn insert(
        &self,
        token: &TokenHash,
        owner: &UserId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), D1Error> {
        self.0
            .run(
                "INSERT INTO join_tokens (token_hash, owner_id, created_at, expires_at) \
                 VALUES (?1, ?2, ?3, ?4)",
                params![token.as_str(), owner, now, expires_at],
            )
            .await
            .map(|_| ())
    }

    /// Redeems a token for the agent whose disk is `store`. `proposed` becomes the node's id unless
    /// this store redeemed the token before.
    pub async fn redeem(
        &self,
        token: &TokenHash,
        store: &str,
        proposed: &NodeId,
        now: Timestamp,
    ) -> Result<Redemption, D1Error> {
        // COALESCE keeps what the first redemption wrote; the WHERE lets only its store repeat it.
        let row: Option<Redeemed> = self
            .0
            .first(
                "UPDATE join_tokens SET \
                   redeemed_at = COALESCE(redeemed_at, ?4), \
                   store_id = COALESCE(store_id, ?2), \
                   node_id = COALESCE(node_id, ?3) \
                 WHERE token_hash = ?1 \
                   AND ((redeemed_at IS NULL AND expires_at > ?4) OR store_id = ?2) \
                 RETURNING owner_id, node_id",
                params![token.as_str(), store, proposed, now],
            )
            .await?;
        Ok(row.map_or(Redemption::Refused, |row| Redemption::Joined {
            owner: row.owner_id,
            node: row.node_id,
        }))
    }
}
