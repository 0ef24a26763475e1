//! What browsers and terminals follow.
//!
//! One WebSocket for a project, `GET /api/projects/{project}/feed`, carries two
//! kinds of cursor: the project's (tasks and sessions) and each session's
//! (rows). A client says where it is, is paged up to the present, then gets
//! what is new. No gaps, no duplicates, no polling.
//!
//! Each entity remembers the last sequence number that touched it, so catching
//! up is "entities with seq > after". `reset` is sent when the cursor is from
//! another epoch or below the floor: the client forgets and follows from 0.
//!
//! - [`history`]: what is written and read, [`follower`]: who is sent what when they ask,
//!   [`audience`]: who is sent what is new; ProjectData runs them, and the simulator the same.
//! - [`cursor`]: what a follower makes of it; [`table`]: both ends as tables.
//!
//! Deltas are never the record: they show growing text early and are healed by
//! the row's next upsert.

pub mod audience;
pub mod cursor;
pub mod follower;
pub mod history;
pub mod table;

use crate::conversation::row::Row;
use crate::conversation::wire::{Activity, SessionView};
use crate::id::{ProjectId, RowId, SessionId, TaskId};
use crate::task::TaskView;
use serde::{Deserialize, Serialize};

/// Longest frame of a client, in bytes; they only say what is followed.
pub const CLIENT_FRAME_LIMIT: usize = 4 * 1024;
/// Most bytes of entities in one `changes` frame.
pub const PAGE_BYTES: usize = 256 * 1024;

/// What a cursor runs over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The project's tasks and sessions.
    Project(ProjectId),
    /// One session's rows.
    Session(SessionId),
}

/// A frame from the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(tag = "t"))]
#[serde(remote = "ClientFrame", rename_all = "snake_case")]
pub enum ClientFrame {
    /// Follow a scope from a cursor. A second follow of a scope replaces the first.
    Follow {
        /// What to follow.
        scope: Scope,
        /// The last sequence number held; 0 for none.
        after: u64,
        /// The epoch that number belongs to; absent with `after` 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<String>,
    },
    /// The page up to `to` was taken in; send the next.
    Next {
        /// Which scope.
        scope: Scope,
        /// The `to` of the page taken in.
        to: u64,
    },
    /// Follow a scope no more.
    Unfollow {
        /// Which scope.
        scope: Scope,
    },
}
crate::tagged!(ClientFrame, "t");

/// A frame from the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(tag = "t"))]
#[serde(remote = "ServerFrame", rename_all = "snake_case")]
pub enum ServerFrame {
    /// Answer to `follow`.
    Hello {
        /// Which scope.
        scope: Scope,
        /// Changes when stored history was replaced (a restore).
        epoch: String,
        /// The newest sequence number now.
        seq: u64,
        /// Cursors below it cannot be continued.
        floor: u64,
    },
    /// Everything with `from < seq <= to`, as it is now. While catching up,
    /// `more` asks the client to pull with `next`.
    Changes {
        /// Which scope.
        scope: Scope,
        /// Exclusive lower end.
        from: u64,
        /// Inclusive upper end: the client's new cursor.
        to: u64,
        /// The entities, in order of seq.
        entities: Vec<Entity>,
        /// Whether more is waiting for `next`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    },
    /// Text not stored yet; applies only where `rev` and `at` match what is held.
    Delta {
        /// The session.
        session: SessionId,
        /// The row.
        row: RowId,
        /// The attempt of the version it extends.
        attempt: u32,
        /// The version it extends.
        rev: u32,
        /// Length in bytes of the text held.
        at: u64,
        /// What to append.
        append: String,
    },
    /// What a session's agent does. Volatile; the session entity carries the last one.
    Activity {
        /// The session, never an agent session.
        session: SessionId,
        /// What.
        activity: Activity,
    },
    /// The cursor cannot be continued: forget this scope and follow from 0.
    Reset {
        /// Which scope.
        scope: Scope,
    },
    /// The frame was refused; the socket stays open.
    Refused {
        /// A stable word: `not_found`, `malformed`, `frame_too_large`, `not_followed`,
        /// `too_many_follows`.
        code: String,
        /// Which scope, where one was named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Scope>,
    },
}
crate::tagged!(ServerFrame, "t");

/// Something a cursor runs over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum Entity {
    /// A task (project scope).
    Task(Box<TaskView>),
    /// A conversation (project scope).
    Session(Box<SessionView>),
    /// A row (session scope).
    Row(Box<Row>),
    /// A row that is gone (session scope).
    RowGone(RowId),
    /// A task that is gone (project scope).
    TaskGone(TaskId),
    /// A conversation that is gone (project scope).
    SessionGone(SessionId),
}

impl ServerFrame {
    /// Its name, as in the tables of [`crate::table`].
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Changes { .. } => "changes",
            Self::Delta { .. } => "delta",
            Self::Activity { .. } => "activity",
            Self::Reset { .. } => "reset",
            Self::Refused { .. } => "refused",
        }
    }
}

impl ClientFrame {
    /// Its name, as in the tables of [`crate::table`].
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Follow { .. } => "follow",
            Self::Next { .. } => "next",
            Self::Unfollow { .. } => "unfollow",
        }
    }
}
