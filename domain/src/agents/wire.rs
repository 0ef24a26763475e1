//! Agents as `GET /api/catalog` shows them.

use super::{DEFAULT_AGENT, Listed, PermissionMode};
use serde::{Deserialize, Serialize};

/// An agent on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentView {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// `verified` when a conformance run with the pinned version passed, else `untested`.
    pub status: String,
    /// The pinned version; absent for an agent that comes with SAM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The day of the conformance run, as `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_on: Option<String>,
    /// The model API it speaks: `chat_completions`, `responses` or `messages`; `own` for its
    /// maker's, past SAM's proxy.
    #[serde(default)]
    pub dialect: String,
    /// The permission modes it has.
    #[serde(default)]
    pub permission_modes: Vec<PermissionMode>,
    /// What it cannot do here, or SAM not for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub limits: String,
}

impl From<&Listed> for AgentView {
    fn from(agent: &Listed) -> Self {
        let status = match agent.verified_on {
            Some(_) => "verified",
            None => "untested",
        };
        Self {
            id: agent.id.to_owned(),
            name: agent.name.to_owned(),
            status: status.to_owned(),
            version: agent
                .version
                .filter(|_| agent.id != DEFAULT_AGENT)
                .map(str::to_owned),
            verified_on: agent.verified_on.map(str::to_owned),
            dialect: agent.dialect.to_owned(),
            permission_modes: agent.permission_modes().collect(),
            limits: agent.limits.to_owned(),
        }
    }
}
