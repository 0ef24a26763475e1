//! The node, its commands and its workspaces as tables.

use super::state::CONTEST_LIMIT;
use crate::table::{MachineTable, input, on, state};

/// A machine, as the control plane knows it.
pub const NODE: MachineTable = MachineTable {
    name: "node",
    about: "A machine, as the control plane knows it.",
    source: "domain/src/node/step.rs",
    states: &[
        state("joining", "It has a token and never said hello.").first(),
        state("ready", "Its lease holds: the link is up, or was a moment ago."),
        state("draining", "The same, and its owner wants it to end its work and take no more."),
        state("away", "Its link was silent for longer than the lease."),
        state("contested", "Two agents claim its identity. The one that came last keeps its work, the other is refused, and nothing new is placed on it.").within(CONTEST_LIMIT),
    ],
    inputs: &[
        input("hello", "machine", "An agent says who it is."),
        input("join", "person", "The machine is joined anew."),
        input("drain", "person", "It is to end its work and take no more, or to take work again."),
        input("suspend", "admin", "Its owner may not use the installation for now."),
        input("deadline", "time", "The lease is over, or no rival came for a while."),
    ],
    moves: &[
        on("joining", "hello", &["ready", "draining"]),
        on("ready", "drain", &["draining"]),
        on("ready", "hello", &["contested"]),
        on("ready", "suspend", &["away"]),
        on("ready", "deadline", &["away"]),
        on("draining", "drain", &["ready"]),
        on("draining", "hello", &["contested"]),
        on("draining", "suspend", &["away"]),
        on("draining", "deadline", &["away"]),
        on("away", "hello", &["ready", "draining"]),
        on("contested", "join", &["ready", "draining"]),
        on("contested", "suspend", &["away"]),
        on("contested", "deadline", &["ready", "draining", "away"]),
    ],
};

/// What a machine is told, in its node's queue.
pub const COMMAND: MachineTable = MachineTable {
    name: "command",
    about: "What a machine is told, in its node's queue.",
    source: "domain/src/node/step.rs",
    states: &[
        state("new", "It was not asked for yet.").first(),
        state("queued", "The link is down; it was never sent."),
        state(
            "sent",
            "It may have reached the machine, and is kept until it is done.",
        ),
        state("done", "The machine says that it is done.").last(),
        state("failed", "The machine says that it failed, and why.").last(),
        state(
            "expired",
            "It was never sent and its time is over; its task is told.",
        )
        .last(),
        state("withdrawn", "It was never sent and is not wanted any more.").last(),
        state("lost", "The disk that held it is gone.").last(),
    ],
    inputs: &[
        input(
            "command_requested",
            "task",
            "Do this; a deletion withdraws what was never sent.",
        ),
        input(
            "fenced",
            "task",
            "Older attempts are over: what they left is stopped.",
        ),
        input(
            "hello",
            "machine",
            "An agent says who it is and which commands it has.",
        ),
        input(
            "command_done",
            "machine",
            "It is done; one that was stopped may push the oldest out.",
        ),
        input("command_failed", "machine", "It failed."),
        input("deadline", "time", "Its time is over."),
    ],
    moves: &[
        on("new", "command_requested", &["queued", "sent"]),
        on("new", "fenced", &["queued", "sent"]),
        on("new", "command_done", &["sent"]),
        on("new", "hello", &["queued", "sent"]),
        on("queued", "command_requested", &["withdrawn"]),
        on("queued", "fenced", &["withdrawn"]),
        on("queued", "hello", &["sent", "withdrawn"]),
        on("queued", "deadline", &["expired"]),
        on("sent", "hello", &["lost"]),
        on("sent", "command_done", &["done"]),
        on("sent", "command_failed", &["failed"]),
    ],
};

/// A checkout on a machine, as its node knows it.
pub const WORKSPACE: MachineTable = MachineTable {
    name: "workspace",
    about: "A checkout on a machine, as its node knows it.",
    source: "domain/src/node/step.rs",
    states: &[
        state("new", "It was not asked for yet.").first(),
        state("placed", "It belongs to the current attempt of a task."),
        state(
            "fenced",
            "A later attempt took over: it gets no tokens, its events are dropped, its agent is stopped.",
        ),
        state(
            "stopped",
            "Its agent was stopped for good; it is kept for a person to look into.",
        ),
        state(
            "gone",
            "It was deleted, was lost with its disk, or never came to be.",
        )
        .last(),
    ],
    inputs: &[
        input("command_requested", "task", "Make it."),
        input("fenced", "task", "Older attempts are over."),
        input(
            "hello",
            "machine",
            "Another disk is behind the machine, a copy of it, or one that was there before.",
        ),
        input("command_done", "machine", "It was stopped or deleted."),
        input(
            "deadline",
            "time",
            "The machine did not come back in time to make it.",
        ),
    ],
    moves: &[
        on("new", "command_requested", &["placed"]),
        on("new", "hello", &["fenced"]),
        on("placed", "fenced", &["fenced", "gone"]),
        on("placed", "hello", &["fenced", "gone"]),
        on("placed", "command_done", &["stopped", "gone"]),
        on("placed", "deadline", &["gone"]),
        on("fenced", "hello", &["gone"]),
        on("fenced", "command_done", &["stopped", "gone"]),
        on("stopped", "hello", &["gone"]),
        on("stopped", "command_done", &["gone"]),
    ],
};
