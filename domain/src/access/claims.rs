//! What a signed, short-lived machine token says.
//!
//! Workspace and model tokens carry their whole scope, so that checking one
//! needs no lookup. They differ only in `purpose`, and a token for one purpose
//! is refused for the other.

use crate::id::{NodeId, ProjectId, SessionId, TaskId, UserId, WorkspaceId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Rows, bodies and the live socket of one workspace: `sam_wsp_…`.
    Workspace,
    /// Model calls on behalf of one workspace: `sam_mdl_…`.
    Model,
}

impl Purpose {
    /// The prefix of tokens with this purpose.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Workspace => "sam_wsp_",
            Self::Model => "sam_mdl_",
        }
    }
}

/// The scope of a workspace or model token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// What it is for.
    pub purpose: Purpose,
    /// On whose behalf.
    pub usr: UserId,
    /// In which project.
    pub prj: ProjectId,
    /// In which conversation.
    pub ses: SessionId,
    /// For which task.
    pub tsk: TaskId,
    /// From which workspace.
    pub wsp: WorkspaceId,
    /// On which node.
    pub nod: NodeId,
    /// Under which attempt.
    pub attempt: u32,
    /// With which agent of the catalogue; absent before one was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agt: Option<String>,
    /// Until when.
    pub exp: Timestamp,
}

/// The scope of a workspace, from which both tokens are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceScope {
    /// On whose behalf.
    pub user: UserId,
    /// In which project.
    pub project: ProjectId,
    /// In which conversation.
    pub session: SessionId,
    /// For which task.
    pub task: TaskId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// On which node.
    pub node: NodeId,
    /// Under which attempt.
    pub attempt: u32,
    /// With which agent; absent before one was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

impl WorkspaceScope {
    /// The claims of a token for `purpose` that lives until `exp`.
    #[must_use]
    pub fn claims(&self, purpose: Purpose, exp: Timestamp) -> Claims {
        Claims {
            purpose,
            usr: self.user.clone(),
            prj: self.project.clone(),
            ses: self.session.clone(),
            tsk: self.task.clone(),
            wsp: self.workspace.clone(),
            nod: self.node.clone(),
            attempt: self.attempt,
            agt: self.agent.clone(),
            exp,
        }
    }
}
