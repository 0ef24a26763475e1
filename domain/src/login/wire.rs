//! Logins on the wire.

use super::keeper::Problem;
use crate::error::ApiError;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// `PUT /api/agents/{agent}/login`. Nothing ever answers with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutLogin {
    /// The text of the agent's own login file.
    pub login: String,
}

impl std::fmt::Debug for PutLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PutLogin").finish_non_exhaustive()
    }
}

/// A stored login, without its tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoginView {
    /// Of which agent.
    pub agent: String,
    /// Why the person has to sign in again, if they have to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_sign_in: Option<Problem>,
    /// When the access token ends, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether SAM can refresh it.
    pub renewable: bool,
    /// The encryption key under which it is kept.
    pub key_id: String,
    /// When it was stored or refreshed last.
    pub updated_at: Timestamp,
    /// What is to be known of it, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// `POST /api/nodes/{node}/logins`: which workspace's agent asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkspaceLoginRequest {
    /// The workspace.
    pub workspace: crate::id::WorkspaceId,
}

/// What a machine is given for the agent of a workspace.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkspaceLogin {
    /// The agent's login file; absent when its owner chose another way to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The model its owner chose for it, if one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// After how long to ask again.
    pub ask_again_in: Millis,
}

impl std::fmt::Debug for WorkspaceLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkspaceLogin")
            .field("ask_again_in", &self.ask_again_in)
            .finish_non_exhaustive()
    }
}

/// The code of [`sign_in`].
pub const NEEDS_SIGN_IN: &str = "login_needs_sign_in";

/// The refusal of a login that is no good any more.
#[must_use]
pub fn sign_in(agent: &str, problem: Problem) -> ApiError {
    let message = match problem {
        Problem::Refused => {
            format!(
                "The provider does not take the login of {agent} any more: it was signed out, or used somewhere else."
            )
        }
        Problem::Over => format!("The login of {agent} is over and cannot be refreshed."),
    };
    ApiError::new(403, NEEDS_SIGN_IN, message).hint(format!(
        "Sign {agent} in again, for SAM alone, and store its login with `sam agent login {agent}`."
    ))
}

/// The refusal where no login is stored.
#[must_use]
pub fn missing(agent: &str) -> ApiError {
    ApiError::new(
        403,
        "login_missing",
        format!("{agent} is to use your own login, and none is stored."),
    )
    .hint(format!(
        "Store it with `sam agent login {agent} --file FILE`, or choose another way to pay with `sam agent provider`."
    ))
}
