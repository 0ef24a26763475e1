//! The one catalogue: what can be chosen. Agents are described in [`crate::agents`].

use crate::agents::AgentView;
use serde::{Deserialize, Serialize};

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
