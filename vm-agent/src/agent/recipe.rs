//! How each agent of the catalogue is started.
//!
//! A recipe is data: arguments, and where in the environment the agent looks
//! for the model. Executables are the catalogue's. Everything an agent reads is
//! set here, in the layer that wins for it; nothing is inherited.

use crate::layout::find_executable;
use sam_domain::catalogue::{self, AGENTS};
use std::path::PathBuf;

/// What a variable is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// This text.
    Literal(&'static str),
    /// The relay's address, without `/v1`.
    RelayOrigin,
    /// The relay's address with `/v1`.
    RelayBase,
    /// The relay's secret.
    RelaySecret,
    /// The model's id.
    Model,
}

/// How one agent is started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    /// Its id in the catalogue.
    pub(super) agent: &'static str,
    /// Its arguments.
    pub(super) arguments: &'static [&'static str],
    /// Its own variables.
    pub(super) env: &'static [(&'static str, Value)],
    /// The session mode in which it asks for no permission, where it has modes.
    pub(super) mode: Option<&'static str>,
}

const RECIPES: &[Recipe] = &[
    Recipe {
        agent: "sam-harness",
        // Nobody sits beside it, and what it builds needs the network; the
        // rest of the machine stays closed to its commands.
        arguments: &[
            "acp",
            "--permission-mode",
            "full",
            "--network",
            "--allow-write",
            "~",
        ],
        env: &[
            ("SAM_MODEL_URL", Value::RelayBase),
            ("SAM_MODEL_KEY", Value::RelaySecret),
            ("SAM_MODEL", Value::Model),
        ],
        mode: None,
    },
    // goose 1.52: the host wants no /v1, and the mode comes from the
    // environment, not from its configuration file.
    Recipe {
        agent: "goose",
        arguments: &["acp", "--with-builtin", "developer"],
        env: &[
            ("GOOSE_PROVIDER", Value::Literal("openai")),
            ("GOOSE_MODEL", Value::Model),
            ("GOOSE_MODE", Value::Literal("auto")),
            ("GOOSE_DISABLE_KEYRING", Value::Literal("1")),
            ("OPENAI_HOST", Value::RelayOrigin),
            ("OPENAI_API_KEY", Value::RelaySecret),
        ],
        mode: Some("auto"),
    },
];

/// The recipe for an agent of the catalogue.
pub(super) fn recipe(agent: &str) -> Option<&'static Recipe> {
    RECIPES.iter().find(|recipe| recipe.agent == agent)
}

/// Where the agent's executable is on this machine.
pub(super) fn executable(agent: &str, first: &[PathBuf]) -> Option<PathBuf> {
    find_executable(catalogue::agent(agent)?.executable, first)
}

/// Ids of the agents that are installed.
pub(crate) fn installed(first: &[PathBuf]) -> Vec<String> {
    AGENTS
        .iter()
        .filter(|agent| recipe(agent.id).is_some() && executable(agent.id, first).is_some())
        .map(|agent| agent.id.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_of_the_catalogue_has_a_recipe() {
        for agent in AGENTS {
            assert!(recipe(agent.id).is_some(), "{}", agent.id);
        }
        assert_eq!(RECIPES.len(), AGENTS.len());
    }

    #[test]
    fn no_recipe_puts_the_secret_on_a_command_line() {
        for recipe in RECIPES {
            assert!(
                recipe
                    .env
                    .iter()
                    .any(|(_, value)| *value == Value::RelaySecret)
            );
            assert!(recipe.arguments.iter().all(|a| !a.contains("key")));
        }
    }

    #[test]
    fn executables_are_looked_for_in_the_given_folders_first() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("goose");
        std::fs::write(&path, "#!/bin/sh\n").expect("written");
        let found = || executable("goose", &[dir.path().to_owned()]);
        assert_ne!(found(), Some(path.clone()), "not executable yet");
        std::os::unix::fs::PermissionsExt::set_mode(
            &mut std::fs::metadata(&path).expect("meta").permissions(),
            0o755,
        );
        std::fs::set_permissions(
            &path,
            <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755),
        )
        .expect("made executable");
        assert_eq!(found(), Some(path));
    }
}
