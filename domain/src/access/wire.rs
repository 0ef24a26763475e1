//! Setup, sign-in and projects on the wire.

use crate::id::{NodeId, ProjectId, UserId, WorkspaceId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /api/setup/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetupStatus {
    /// Whether somebody claimed this installation.
    pub claimed: bool,
    /// Where model calls go.
    pub model: ModelStatus,
}

/// Where model calls go, as far as everyone may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelStatus {
    /// The model's id; absent when none is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// True when answers come from the scripted stand-in, which every view says.
    pub scripted: bool,
}

/// `POST /api/setup/claim`: makes the first admin, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClaimSetup {
    /// The one-time claim token the server was started with.
    pub claim_token: String,
    /// The admin's name; `admin` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// `POST /api/auth/link-login`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LinkLogin {
    /// The `sam_lnk_…` secret from the link's fragment; works once.
    pub link: String,
}

/// Answer to a claim or login. Browsers get the same token as a cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignedIn {
    /// The session token, `sam_ses_…`.
    pub token: String,
    /// Who it is for.
    pub user: UserView,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserView {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// What they may do in the installation.
    pub role: Role,
}

/// What a person may do in the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the installation.
    Admin,
    /// Uses it.
    Member,
}

/// `POST /api/auth/sign-in-links`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignInLink {
    /// The whole URL; the secret sits in its fragment.
    pub url: String,
    /// When it stops working, if it was not used before.
    pub expires_at: Timestamp,
}

/// `POST /api/projects`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// An http(s) URL, or an absolute path on the machine that will run the work.
    pub repository: String,
    /// Its name; the repository's last path segment when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The agent used when a task names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_agent: Option<String>,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProjectView {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// Where its repository is.
    pub repository: String,
    /// The agent used when a task names none.
    pub default_agent: String,
    /// What the asking person may do in it.
    pub role: ProjectRole,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a person may do in a project; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProjectRole {
    /// Reads.
    Viewer,
    /// Submits work and prompts.
    Contributor,
    /// Changes settings and members.
    Maintainer,
    /// May delete it.
    Owner,
}

/// `GET /api/projects`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProjectList {
    /// Newest first.
    pub projects: Vec<ProjectView>,
}

/// `POST /api/nodes/join-tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JoinToken {
    /// `sam_join_…`, shown once; joins one machine.
    pub token: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// `POST /api/nodes/join`, authorised by the join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JoinNode {
    /// The identity of the agent's disk; a repeated join with it is harmless.
    pub store_id: String,
    /// A name for people; the host's name by default.
    pub name: String,
}

/// Answer to a join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Joined {
    /// The node.
    pub node: NodeId,
    /// Its token, `sam_nod_…`: it reaches only what is placed on this node.
    pub token: String,
}

/// `POST /api/nodes/{node}/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkspaceTokensRequest {
    /// A workspace placed on the node.
    pub workspace: WorkspaceId,
}

/// Short-lived tokens for one workspace. They never enter the workspace.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkspaceTokens {
    /// Writes rows and bodies of this workspace's session; nothing else.
    pub workspace_token: String,
    /// Calls the model; nothing else.
    pub model_token: String,
    /// When both stop working.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for WorkspaceTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkspaceTokens")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// `GET /api/version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionInfo {
    /// The product's version.
    pub version: String,
}
