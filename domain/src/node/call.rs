//! What the Worker asks of a NodeLifecycle.

use crate::id::{NodeId, ProjectId, UserId, WorkspaceId};
use crate::link::question::Question;
use serde::{Deserialize, Serialize};

/// A call to a NodeLifecycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeCall {
    /// Create the node, or replace its token when the same store joins again.
    /// Reply: [`NodeView`](super::wire::NodeView).
    Join {
        /// Its id.
        node: NodeId,
        /// Whose it is.
        owner: UserId,
        /// Its name.
        name: String,
        /// HMAC of the new node token, base64url.
        token_hmac: String,
    },
    /// Reply: [`NodeView`](super::wire::NodeView).
    Get,
    /// Let it take a project's tasks beside its owner's, or no more.
    /// Reply: [`NodeView`](super::wire::NodeView).
    Share {
        /// Which project.
        project: ProjectId,
        /// Whether it does from now on.
        shared: bool,
    },
    /// Let it end its work and take no more, or take work again.
    /// Reply: [`NodeView`](super::wire::NodeView).
    Drain {
        /// Whether it drains from now on.
        drains: bool,
    },
    /// Its owner may not use the installation for now, or may again: closes the
    /// link and refuses it. Reply: [`NodeView`](super::wire::NodeView).
    Suspend {
        /// Whether it is suspended from now on.
        suspended: bool,
    },
    /// Its owner is gone: its token is worth nothing any more.
    /// Reply: [`NodeView`](super::wire::NodeView).
    Revoke,
    /// Its owner takes it out for good; 409 `node_busy` where work is on it.
    /// Reply: [`NodeView`](super::wire::NodeView).
    Leave {
        /// Whether work that is on it counts as lost instead.
        force: bool,
    },
    /// Ask the machine, while its link is up. Reply: what it says, as JSON text that nobody reads on
    /// the way; 409 `machine_away` or `workspace_gone`, 504 `machine_silent`, or its own refusal.
    Ask(Question),
    /// Whether this is the node's token. Reply: [`NodeView`](super::wire::NodeView),
    /// or 401.
    Authenticate {
        /// HMAC of the presented token.
        token_hmac: String,
    },
    /// The scope of a workspace, if it is placed here and not fenced off.
    /// Reply: [`WorkspaceScope`](crate::access::claims::WorkspaceScope), or 401/404.
    Scope {
        /// HMAC of the presented node token.
        token_hmac: String,
        /// Which workspace.
        workspace: WorkspaceId,
    },
}
