//! Where a model call goes, and who pays for it.
//!
//! Model: each agent of a person has a [`Mode`], which that person chose (or an administrator, for
//! all who did not): `sam` is the installation's own access, `own-key` a key of the project's or
//! the person's, `own-login` a subscription. [`route::route`] is one pure function from that
//! choice, a model of the catalogue, the keys that are held and what the installation has
//! configured, to an upstream address, the dialect spoken there, and which key travels in which
//! header.
//!
//! Invariants:
//! - Who pays follows from the choice alone. A key that is missing or switched off is an error; it
//!   never falls through to somebody else's money.
//! - Keys are named here and never held: what this module returns can be logged.
//! - An address that a person configured is public and encrypted, or on this machine
//!   ([`address`]).
//!
//! What it refuses to know: what is said to the model, what it costs, and how keys are stored.

pub mod address;
pub mod key;
pub mod route;
pub mod wire;

use crate::error::ApiError;
use serde::{Deserialize, Serialize};

/// Whose access to models an agent uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The installation's, within the person's budget.
    Sam,
    /// A key of the project's or the person's, still through the proxy.
    OwnKey,
    /// The agent's own subscription login.
    OwnLogin,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sam, Self::OwnKey, Self::OwnLogin];

    /// Its name, as on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sam => "sam",
            Self::OwnKey => "own-key",
            Self::OwnLogin => "own-login",
        }
    }

    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// Where a mode comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChosenBy {
    /// The person themself.
    Person,
    /// An administrator, for everybody who did not choose.
    Administrator,
    /// Whoever set `SAM_MODEL_URL`: an installation with one model endpoint for everybody.
    Installation,
    /// Nobody.
    Nobody,
}

/// The mode that holds for a person's agent. `single_endpoint` says that the installation is
/// configured with one model endpoint for everybody (`SAM_MODEL_URL`), which is a choice of `sam`.
#[must_use]
pub fn chosen(
    person: Option<Mode>,
    administrator: Option<Mode>,
    single_endpoint: bool,
) -> (Option<Mode>, ChosenBy) {
    match (person, administrator) {
        (Some(mode), _) => (Some(mode), ChosenBy::Person),
        (None, Some(mode)) => (Some(mode), ChosenBy::Administrator),
        (None, None) if single_endpoint => (Some(Mode::Sam), ChosenBy::Installation),
        (None, None) => (None, ChosenBy::Nobody),
    }
}

/// What a person can choose for an agent: only some can be signed in by a subscription.
#[must_use]
pub fn choices(agent: &str) -> &'static [Mode] {
    let own_login = crate::agents::listed(agent).and_then(|agent| agent.own_login);
    match own_login {
        Some(_) => &Mode::ALL,
        None => &[Mode::Sam, Mode::OwnKey],
    }
}

/// The refusal where nobody chose. 403, because clients try again after a 409.
#[must_use]
pub fn not_chosen(agent: &str) -> ApiError {
    ApiError::new(
        403,
        "provider_not_chosen",
        format!("Nobody has chosen who pays for the model calls of {agent}."),
    )
    .hint(match choices(agent) {
        [_, _] => format!(
            "Choose `sam` (this installation's access) or `own-key` (a key of yours or the \
             project's): `sam agent provider {agent} sam|own-key`."
        ),
        _ => format!(
            "Choose `sam` (this installation's access), `own-key` (a key of yours or the project's) \
             or `own-login` (your subscription): `sam agent provider {agent} \
             sam|own-key|own-login`."
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_choice_holds_and_none_is_made_up() {
        let (sam, own) = (Some(Mode::Sam), Some(Mode::OwnKey));
        for (person, administrator, single, expected) in [
            (own, sam, true, (own, ChosenBy::Person)),
            (None, own, true, (own, ChosenBy::Administrator)),
            (None, None, true, (sam, ChosenBy::Installation)),
            (None, None, false, (None, ChosenBy::Nobody)),
        ] {
            assert_eq!(chosen(person, administrator, single), expected);
        }
    }
}
