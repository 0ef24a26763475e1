//! The one catalogue: which models exist, what they are called, what they take and cost. Agents are
//! described in [`crate::agents`].
//!
//! - [`model`]: a model, and who runs it.
//! - [`models`]: those that come with the product.
//! - [`changes`]: what administrators say instead, and the defaults.
//! - [`price`]: what tokens cost, and the most that a call can.

pub mod changes;
pub mod model;
pub mod models;
pub mod price;

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
