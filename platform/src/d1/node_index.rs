//! The cross-project index of nodes. Not the record: a node's own object is. An older `rev` changes
//! nothing.

use sam_domain::id::{NodeId, UserId};
use sam_domain::time::Timestamp;

use super::{D1, D1Error};
use crate::{columns, params};

/// One node as indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedNode {
    /// Its id.
    pub id: NodeId,
    /// Whose machine it is.
    pub owner_id: UserId,
    /// The name its owner sees.
    pub name: String,
    /// The state's word.
    pub state: String,
    /// The version this was written from.
    pub rev: u64,
    /// When it joined.
    pub created_at: Timestamp,
    /// When this row was written.
    pub updated_at: Timestamp,
}
columns!(IndexedNode: id, owner_id, name, state, rev, created_at, updated_at);

struct Owner {
    owner_id: UserId,
}
columns!(Owner: owner_id);

/// The index.
#[derive(Debug, Clone)]
pub struct NodeIndex<'a>(pub &'a D1);

impl NodeIndex<'_> {
    /// Writes a node's row unless a newer one is there. Returns whether it was written.
    pub async fn put(&self, node: &IndexedNode) -> Result<bool, D1Error> {
        let changed = self
            .0
            .run(
                "INSERT INTO node_index (id, owner_id, name, state, rev, created_at, updated_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT (id) DO UPDATE SET \
                   name = excluded.name, state = excluded.state, rev = excluded.rev, \
                   updated_at = excluded.updated_at \
                 WHERE excluded.rev > node_index.rev",
                params![
                    &node.id,
                    &node.owner_id,
                    &node.name,
                    &node.state,
                    node.rev,
                    node.created_at,
                    node.updated_at,
                ],
            )
            .await?;
        Ok(changed > 0)
    }

    /// Forgets a node that was taken out, with what led to it: its shares and its join token.
    pub async fn remove(&self, node: &NodeId) -> Result<(), D1Error> {
        for statement in [
            "DELETE FROM node_shares WHERE node_id = ?1",
            "DELETE FROM join_tokens WHERE node_id = ?1",
            "DELETE FROM node_index WHERE id = ?1",
        ] {
            self.0.run(statement, params![node]).await?;
        }
        Ok(())
    }

    /// Whose machine a node is.
    pub async fn owner(&self, node: &NodeId) -> Result<Option<UserId>, D1Error> {
        let row: Option<Owner> = self
            .0
            .first(
                "SELECT owner_id FROM node_index WHERE id = ?1",
                params![node],
            )
            .await?;
        Ok(row.map(|row| row.owner_id))
    }

    /// A person's nodes in the order they joined; at most 200.
    pub async fn of_owner(&self, owner: &UserId) -> Result<Vec<IndexedNode>, D1Error> {
        self.0
            .all(
                "SELECT id, owner_id, name, state, rev, created_at, updated_at FROM node_index \
                 WHERE owner_id = ?1 ORDER BY created_at, id LIMIT 200",
                params![owner],
            )
            .await
    }
}
