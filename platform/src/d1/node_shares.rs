//! Which machine takes which project's tasks. Not the record: the machine's own object is.

use sam_domain::id::{NodeId, ProjectId, UserId};
use sam_domain::time::Timestamp;

use super::{D1, D1Error};
use crate::{columns, params};

struct Owner {
    owner_id: UserId,
}
columns!(Owner: owner_id);

struct Node {
    node_id: NodeId,
}
columns!(Node: node_id);

/// The table of shares.
#[derive(Debug, Clone)]
pub struct NodeShares<'a>(pub &'a D1);

impl NodeShares<'_> {
    /// Shares a machine with a project; once is enough.
    pub async fn insert(
        &self,
        node: &NodeId,
        project: &ProjectId,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<(), D1Error> {
        self.0
            .run(
                "INSERT INTO node_shares (node_id, project_id, owner_id, created_at) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![node, project, owner, now],
            )
            .await
            .map(|_| ())
    }

    /// Shares it no more.
    pub async fn remove(&self, node: &NodeId, project: &ProjectId) -> Result<(), D1Error> {
        self.0
            .run(
                "DELETE FROM node_shares WHERE node_id = ?1 AND project_id = ?2",
                params![node, project],
            )
            .await
            .map(|_| ())
    }

    /// A person's machines that work for a project.
    pub async fn of_owner(
        &self,
        project: &ProjectId,
        owner: &UserId,
    ) -> Result<Vec<NodeId>, D1Error> {
        let rows: Vec<Node> = self
            .0
            .all(
                "SELECT node_id FROM node_shares WHERE project_id = ?1 AND owner_id = ?2",
                params![project, owner],
            )
            .await?;
        Ok(rows.into_iter().map(|row| row.node_id).collect())
    }

    /// Whose pool a person's task in a project draws on: their own if they have a machine, otherwise
    /// that of whoever shared one with the project first. `None` is their own.
    pub async fn pool(
        &self,
        project: &ProjectId,
        user: &UserId,
    ) -> Result<Option<UserId>, D1Error> {
        let row: Option<Owner> = self
            .0
            .first(
                "SELECT s.owner_id FROM node_shares s JOIN users u ON u.id = s.owner_id \
                 WHERE s.project_id = ?1 AND u.suspended_at IS NULL AND u.removed_at IS NULL \
                   AND NOT EXISTS (SELECT 1 FROM node_index n WHERE n.owner_id = ?2) \
                 ORDER BY s.created_at, s.node_id LIMIT 1",
                params![project, user],
            )
            .await?;
        Ok(row.map(|row| row.owner_id))
    }
}
