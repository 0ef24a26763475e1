//! How the Worker hands on to an object what came from outside.
//!
//! WebSockets and batches of rows are forwarded as they came, so who they are
//! for travels beside them: one header, [`HEADER`], with one of these values as JSON. The Worker
//! removes the header from whatever comes from outside, and objects are reached
//! through the Worker alone, so an object may believe it. It never carries a
//! token, only what a token was found to mean.

use super::claims::Claims;
use crate::id::{NodeId, ProjectId, UserId};
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// The header that carries a [`FeedAccess`], [`RowsAccess`], [`LiveAccess`] or [`LinkAccess`].
pub const HEADER: &str = "x-sam-internal";
/// Where ProjectData takes a feed socket, with [`FeedAccess`].
pub const FEED_URL: &str = "http://object/feed";
/// Where ProjectData takes a workspace's batch of rows, as it came, with [`RowsAccess`].
pub const ROWS_URL: &str = "http://object/rows";
/// Where ProjectData takes a workspace's live socket, with [`LiveAccess`].
pub const LIVE_URL: &str = "http://object/live";
/// Where NodeLifecycle takes the node link, with [`LinkAccess`].
pub const LINK_URL: &str = "http://object/link";
/// How long an open socket of a person stays authorised.
pub const SOCKET_AUTHORISATION: Millis = Millis::minutes(15);

/// Who follows a project. Sockets are tagged with the person and the session,
/// so that ending either closes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedAccess {
    /// The project; the object is this project's.
    pub project: ProjectId,
    /// Who.
    pub user: UserId,
    /// The public handle of their sign-in session.
    pub auth_session: String,
    /// When they have to show again that they may: checked before each send.
    pub authorised_until: Timestamp,
}

impl FeedAccess {
    /// When they showed that they may.
    #[must_use]
    pub const fn authorised_at(&self) -> Timestamp {
        Timestamp(
            self.authorised_until
                .0
                .saturating_sub(SOCKET_AUTHORISATION.0),
        )
    }
}

/// Which workspace sends a batch of rows. The claims were verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsAccess {
    /// The verified claims of the workspace token.
    pub claims: Claims,
    /// When the batch was sent, by the clock that dates its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
}

/// Which workspace sends deltas. The claims were verified; the socket must not
/// outlive `claims.exp`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveAccess {
    /// The verified claims of the workspace token.
    pub claims: Claims,
}

/// Which node opens its link. The object compares the hash with its own, in
/// the turn in which it accepts the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkAccess {
    /// The node; the object is this node's.
    pub node: NodeId,
    /// HMAC of the presented node token, base64url.
    pub token_hmac: String,
}
