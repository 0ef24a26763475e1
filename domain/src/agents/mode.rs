//! What an agent may do unasked.

use serde::{Deserialize, Serialize};

/// How much an agent may do before a person is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PermissionMode {
    /// It asks before it changes or runs anything.
    Ask,
    /// It edits files unasked, and asks before it runs anything.
    AcceptEdits,
    /// It makes a plan and changes nothing.
    Plan,
    /// It asks nothing: the workspace is its sandbox.
    #[default]
    Full,
}

impl PermissionMode {
    /// All modes, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Ask, Self::AcceptEdits, Self::Plan, Self::Full];

    /// Whether it is the default, which need not be said.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        matches!(self, Self::Full)
    }

    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::AcceptEdits => "accept_edits",
            Self::Plan => "plan",
            Self::Full => "full",
        }
    }
}

/// What one permission mode is for one agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// The session mode of its own that it is put in.
    pub session_mode: Option<&'static str>,
    /// Session options that are set, as (id, value).
    pub options: &'static [(&'static str, &'static str)],
    /// Further variables, as templates.
    pub env: &'static [(&'static str, &'static str)],
    /// What `session/new` says in `_meta`, as a template.
    pub meta: Option<&'static str>,
}

impl Mode {
    /// The agent's only way of working, which needs no setting.
    pub const PLAIN: Self = Self {
        session_mode: None,
        options: &[],
        env: &[],
        meta: None,
    };
}
