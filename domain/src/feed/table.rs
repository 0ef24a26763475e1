//! Both ends of the feed as tables.

use crate::table::{MachineTable, input, on, state};

/// Who follows a project or a conversation, as its object knows it.
pub const FOLLOWER: MachineTable = MachineTable {
    name: "follower",
    about: "Who follows a project or a conversation, as its object knows it.",
    source: "domain/src/feed/follower.rs",
    states: &[
        state("absent", "It does not follow.").first(),
        state("catching_up", "It pulls page after page."),
        state("live", "It is sent each change as it is stored."),
    ],
    inputs: &[
        input("follow", "client", "From this cursor on."),
        input("next", "client", "The page was taken in."),
        input("closed", "link", "The socket is gone."),
    ],
    moves: &[
        on("absent", "follow", &["catching_up", "live"]),
        on("catching_up", "follow", &["absent", "live"]),
        on("catching_up", "next", &["absent", "live"]),
        on("catching_up", "closed", &["absent"]),
        on("live", "follow", &["absent", "catching_up"]),
        on("live", "closed", &["absent"]),
    ],
};

/// Where a follower is, at its own end.
pub const CURSOR: MachineTable = MachineTable {
    name: "cursor",
    about: "Where a follower is, at its own end.",
    source: "domain/src/feed/cursor.rs",
    states: &[
        state("new", "It holds nothing, or has to forget what it holds.").first(),
        state("behind", "There is more than it holds."),
        state("current", "It holds all that it was told of."),
    ],
    inputs: &[
        input("hello", "object", "Where the history stands."),
        input("changes", "object", "A page, or what was stored just now."),
        input("reset", "object", "The cursor cannot be continued."),
    ],
    moves: &[
        on("new", "hello", &["behind", "current"]),
        on("behind", "hello", &["current"]),
        on("behind", "changes", &["current"]),
        on("behind", "reset", &["new"]),
        on("current", "hello", &["behind"]),
        on("current", "reset", &["new"]),
    ],
};
