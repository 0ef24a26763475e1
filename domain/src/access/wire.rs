//! Setup, sign-in and projects on the wire.

use crate::id::{InviteId, NodeId, ProjectId, UserId, WorkspaceId};
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// `GET /api/setup/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetupStatus {
    /// Whether somebody claimed this installation.
    pub claimed: bool,
    /// Where model calls go.
    pub model: ModelStatus,
    /// Whether one can sign in with GitHub.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub github: bool,
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

/// `POST /api/auth/invite-login`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InviteLogin {
    /// The `sam_inv_…` secret from the invite's fragment; works once.
    pub invite: String,
    /// What the new person is called.
    pub name: String,
}

/// `POST /api/people/invites`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateInvite {
    /// What the new person may do in the installation; `member` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// For whom it is, as a note to those who invite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A fresh invite, with its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreatedInvite {
    /// Names it in lists and to take it back.
    pub id: InviteId,
    /// The whole URL, shown once; the secret sits in its fragment.
    pub url: String,
    /// When it stops working, if it was not used before.
    pub expires_at: Timestamp,
}

/// An invite that can still be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InviteView {
    /// Its id.
    pub id: InviteId,
    /// What the new person will be.
    pub role: Role,
    /// For whom it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who made it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// `GET /api/people/invites`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InviteList {
    /// Oldest first.
    pub invites: Vec<InviteView>,
}

/// A person as administrators see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PersonView {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// What they may do in the installation.
    pub role: Role,
    /// When they came.
    pub created_at: Timestamp,
    /// Since when they may not use the installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<Timestamp>,
    /// Since when they wait to be let in for the first time; they are suspended for so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_since: Option<Timestamp>,
}

/// `GET /api/people`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PersonList {
    /// In the order they came; those who were removed are not among them.
    pub people: Vec<PersonView>,
}

/// `PATCH /api/people/{user}`: what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangePerson {
    /// What they may do in the installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Whether they are shut out for now; `false` lets in who waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
}

/// One change of access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// Its number; grows.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: UserId,
    /// What, as a stable word, e.g. `person_suspended`, `member_put`.
    pub action: String,
    /// To whom or what: an id.
    pub subject: String,
    /// In which project, if in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// The new value, e.g. a role; never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// `GET /api/audit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditList {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
}

/// A member of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemberView {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// What they may do in the project.
    pub role: ProjectRole,
    /// Since when they are a member.
    pub created_at: Timestamp,
}

/// `GET /api/projects/{project}/members`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemberList {
    /// In the order they came.
    pub members: Vec<MemberView>,
}

/// `PUT /api/projects/{project}/members/{user}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutMember {
    /// What they may do from now on.
    pub role: ProjectRole,
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
    /// When both stop working, by the control plane's clock.
    pub expires_at: Timestamp,
    /// In what time they do: for a machine whose clock says something else.
    pub expires_in: Millis,
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
