//! Coding agents that the vm-agent installs.
//!
//! They lie in one folder for all tests, so that each is fetched from npm once.

pub mod alone;
pub mod hosted;

use std::path::PathBuf;

use crate::StackOptions;
use crate::programs::root;

/// Where the tests' machines install coding agents.
#[must_use]
pub fn directory() -> PathBuf {
    root().join("target/agents")
}

/// A stack whose machines install what they need, and whose upstream speaks every dialect, so that
/// each agent's own passes the proxy untranslated.
#[must_use]
pub fn options() -> StackOptions {
    StackOptions {
        agents_dir: Some(directory()),
        settings: vec![(
            "SAM_MODEL_DIALECTS".to_owned(),
            "chat,responses,messages".to_owned(),
        )],
        ..StackOptions::default()
    }
}
