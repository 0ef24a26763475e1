//! The one catalogue: which agents and models exist, what they are called, what they take and cost.
//!
//! - [`model`]: a model, and who runs it.
//! - [`models`]: those that come with the product.
//! - [`changes`]: what administrators say instead, and the defaults.
//! - [`price`]: what tokens cost, and the most that a call can.
//!
//! Launch recipes are data for the vm-agent alone and live there; this is what
//! the UI, the API, the proxy and the docs need.

pub mod changes;
pub mod model;
pub mod models;
pub mod price;

use serde::{Deserialize, Serialize};

/// The agent used when nobody chose one.
pub const DEFAULT_AGENT: &str = "sam-harness";

/// An agent as the catalogue knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id, e.g. `sam-harness`.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The executable a node looks for.
    pub executable: &'static str,
    /// Whether the main job is run with it to its commit in the tests.
    pub verified: bool,
}

/// Every agent that can be chosen.
pub const AGENTS: &[Agent] = &[
    Agent {
        id: "sam-harness",
        name: "SAM harness",
        executable: "sam-harness",
        verified: true,
    },
    Agent {
        id: "goose",
        name: "goose",
        executable: "goose",
        verified: true,
    },
];

/// The agent with this id.
#[must_use]
pub fn agent(id: &str) -> Option<&'static Agent> {
    AGENTS.iter().find(|a| a.id == id)
}

/// `GET /api/catalog`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Catalog {
    /// The agents.
    pub agents: Vec<AgentView>,
    /// Where model calls go.
    pub model: crate::access::wire::ModelStatus,
    /// Ids of models the upstream lists, when it was last asked; may be stale.
    pub models: Vec<String>,
}

/// An agent on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentView {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// `verified` when the main job is run with it in the tests, else `untested`.
    pub status: String,
}
