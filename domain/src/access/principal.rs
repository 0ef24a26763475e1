//! Who a request can come from.
//!
//! A handler's route names exactly one kind. Kinds do not include each other,
//! except that an admin is also a user.

use serde::{Deserialize, Serialize};

/// A kind of principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// Anyone.
    Public,
    /// A signed-in person (session cookie or bearer token).
    User,
    /// A signed-in person who runs the installation.
    Admin,
    /// A machine about to join, by its join token.
    JoinToken,
    /// A joined machine, by its node token.
    NodeToken,
    /// A node on behalf of one workspace.
    WorkspaceToken,
    /// A node on behalf of one workspace's model calls.
    ModelToken,
}

impl PrincipalKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Public,
        Self::User,
        Self::Admin,
        Self::JoinToken,
        Self::NodeToken,
        Self::WorkspaceToken,
        Self::ModelToken,
    ];

    /// Whether a caller of kind `caller` may use a route for `self`.
    #[must_use]
    pub fn admits(self, caller: Self) -> bool {
        self == Self::Public || self == caller || (self == Self::User && caller == Self::Admin)
    }
}
