//! What a pool remembers.

use crate::id::{NodeId, TaskId};
use crate::node::wire::NodeState;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Workspaces a node takes when it does not say.
pub const DEFAULT_WORKSPACES: u32 = 4;

/// A pool's whole memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The machines, as they last said.
    pub nodes: BTreeMap<NodeId, PoolNode>,
    /// Who has a place where.
    pub claims: BTreeMap<TaskId, Claim>,
    /// Who waits, in order.
    pub waiting: VecDeque<Request>,
}

/// A machine as the pool knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolNode {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: NodeState,
    /// Agents that are installed on it.
    pub agents: Vec<String>,
    /// Most workspaces at a time.
    pub room: u32,
    /// The view's revision; an older one changes nothing.
    pub rev: u64,
}

/// A place on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// For which attempt.
    pub attempt: u32,
    /// Where.
    pub node: NodeId,
}

/// A wish for a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// For which task.
    pub task: TaskId,
    /// For which attempt.
    pub attempt: u32,
    /// The agent it has to have.
    pub agent: String,
    /// What it was last told it waits for.
    pub reason: Option<String>,
}

impl Pool {
    /// Places taken on a machine.
    #[must_use]
    pub fn taken(&self, node: &NodeId) -> usize {
        self.claims
            .values()
            .filter(|claim| claim.node == *node)
            .count()
    }
}
