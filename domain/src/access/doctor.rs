//! What the doctor says of an installation.

use serde::{Deserialize, Serialize};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Ok,
    /// It works, with less than it could.
    Warning,
    /// Something does not work.
    Failed,
    /// Not set up, which is a choice.
    Off,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// What was looked at or found, as a stable word, e.g. `model`, `gateway_unauthenticated`.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// What was found, in a sentence; never a secret.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// `POST /api/setup/doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diagnosis {
    /// Every check, in the order in which one would mend them.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Whether everything works that is set up.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.health != Health::Failed)
    }
}

impl Check {
    /// A check that went well.
    #[must_use]
    pub fn ok(name: &str, message: impl Into<String>) -> Self {
        Self::new(name, Health::Ok, message, None)
    }

    /// A check that went otherwise, with what to do.
    #[must_use]
    pub fn not(name: &str, health: Health, message: impl Into<String>, hint: &str) -> Self {
        Self::new(name, health, message, Some(hint.to_owned()))
    }

    fn new(name: &str, health: Health, message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            health,
            message: message.into(),
            hint,
        }
    }
}
