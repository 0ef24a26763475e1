//! What others see of a node.

use crate::id::{NodeId, ProjectId, UserId};
use crate::link::frame::NodeFacts;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a node stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It has a token and never said hello.
    #[default]
    Joining,
    /// Its link is up.
    Ready,
    /// Its link is up; it ends its work and takes no more.
    Draining,
    /// Its link was silent for longer than the lease.
    Away,
    /// Two agents claim its identity; nothing is placed on it.
    Contested,
}

impl NodeState {
    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Away => "away",
            Self::Contested => "contested",
        }
    }
}

/// A node as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeView {
    /// Its id.
    pub id: NodeId,
    /// Whose it is.
    pub owner: UserId,
    /// Its name.
    pub name: String,
    /// `own` (a person's machine).
    pub class: String,
    /// Where it stands.
    pub state: NodeState,
    /// Since when.
    pub since: Timestamp,
    /// What it is, as it last said.
    pub facts: NodeFacts,
    /// Projects whose tasks it takes beside its owner's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_with: Vec<ProjectId>,
    /// Workspaces on it that are not gone.
    pub workspaces: u32,
    /// Grows with every change.
    pub rev: u64,
}

/// `GET /api/nodes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeList {
    /// In order of name.
    pub nodes: Vec<NodeView>,
}
