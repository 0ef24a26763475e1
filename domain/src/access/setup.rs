//! What administrators set in the app, on the wire.

use crate::collect::Map;
use crate::id::UserId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `PUT /api/setup/config`: what is absent stays as it is, null is forgotten.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutConfig {
    /// Values by the setting's name. They are never read out again.
    pub settings: Map<String, Option<String>>,
}

impl fmt::Debug for PutConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutConfig")
            .field("settings", &self.settings.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Where a setting's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The environment, which wins: it cannot be changed in the app.
    Environment,
    /// An administrator set it in the app.
    Stored,
    /// Nobody set it.
    Unset,
}

/// A setting without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SettingView {
    /// Its name, as in the environment.
    pub name: String,
    /// Where its value comes from.
    pub source: Source,
    /// Who set it in the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<UserId>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

/// `GET /api/setup/config`, and the answer to a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigView {
    /// Every setting that can be kept in the app.
    pub settings: Vec<SettingView>,
}
