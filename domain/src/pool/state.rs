//! What a pool remembers.

use crate::actor::message::Origin;
use crate::collect::Map;
use crate::id::{NodeId, ProjectId, TaskId, UserId};
use crate::node::wire::NodeState;
use serde::{Deserialize, Serialize};

/// Workspaces a node takes when it does not say.
pub const DEFAULT_WORKSPACES: u32 = 4;

/// A pool's whole memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The machines, as they last said.
    pub nodes: Map<NodeId, PoolNode>,
    /// Who has a place where.
    pub claims: Map<TaskId, Claim>,
    /// Who waits, in no order that matters: see [`Pool::next`].
    pub waiting: Vec<Request>,
    /// Projects that were given places while others waited, the latest last.
    #[serde(default)]
    pub served: Vec<ProjectId>,
}

/// A machine as the pool knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolNode {
    /// Its name.
    pub name: String,
    /// Whose it is.
    #[serde(default)]
    pub owner: Option<UserId>,
    /// Projects whose tasks it takes beside its owner's.
    #[serde(default)]
    pub shared_with: Vec<ProjectId>,
    /// Where it stands.
    pub state: NodeState,
    /// Agents that are installed on it.
    pub agents: Vec<String>,
    /// Most workspaces at a time.
    pub room: u32,
    /// Its disk is full.
    #[serde(default)]
    pub disk_full: bool,
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
    /// Who asks, for which project; absent in requests that are older than shared machines, which
    /// only owners made.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// What it was last told it waits for.
    pub reason: Option<String>,
}

impl PoolNode {
    /// Whether it takes this task at all.
    #[must_use]
    pub fn is_open_to(&self, request: &Request) -> bool {
        let (Some(origin), Some(owner)) = (&request.origin, &self.owner) else {
            return true;
        };
        origin.user == *owner || self.shared_with.contains(&origin.project)
    }
}

impl Request {
    /// The project it is for.
    #[must_use]
    pub fn project(&self) -> Option<&ProjectId> {
        self.origin.as_ref().map(|origin| &origin.project)
    }
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
