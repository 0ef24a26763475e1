//! Both ends of the link as tables.

use super::frame::LEASE;
use crate::table::{MachineTable, input, on, state};

/// The control plane's end of a machine's link.
pub const LINK: MachineTable = MachineTable {
    name: "link",
    about: "The control plane's end of a machine's link.",
    source: "domain/src/link/object_end.rs",
    states: &[
        state("down", "No connection.").first(),
        state(
            "up",
            "One connection is the link; a newer hello replaces it.",
        )
        .within(LEASE),
    ],
    inputs: &[
        input("hello", "machine", "A connection says who it is."),
        input("closed", "link", "The connection is gone."),
        input(
            "suspend",
            "admin",
            "Its owner may not use the installation for now.",
        ),
        input(
            "deadline",
            "time",
            "It was silent for longer than the lease.",
        ),
    ],
    moves: &[
        on("down", "hello", &["up"]),
        on("up", "closed", &["down"]),
        on("up", "suspend", &["down"]),
        on("up", "deadline", &["down"]),
    ],
};

/// The machine's end of the link.
pub const MACHINE_LINK: MachineTable = MachineTable {
    name: "machine_link",
    about: "The machine's end of the link.",
    source: "domain/src/link/agent_end.rs",
    states: &[
        state(
            "down",
            "No connection, or not welcomed yet: events wait on the disk.",
        )
        .first(),
        state("up", "Welcomed: events are sent as they happen."),
    ],
    inputs: &[
        input(
            "welcome",
            "control plane",
            "Which events are stored, and which commands are new.",
        ),
        input(
            "bye",
            "control plane",
            "The connection is about to be closed, and why.",
        ),
        input("disconnected", "link", "The connection is gone."),
    ],
    moves: &[
        on("down", "welcome", &["up"]),
        on("up", "bye", &["down"]),
        on("up", "disconnected", &["down"]),
    ],
};

/// A command at the machine's end: it begins at most once.
pub const MACHINE_COMMAND: MachineTable = MachineTable {
    name: "machine_command",
    about: "A command at the machine's end: it begins at most once.",
    source: "domain/src/link/agent_end.rs",
    states: &[
        state("new", "It has not arrived.").first(),
        state("open", "It is on the disk, and was begun or will be."),
        state(
            "finished",
            "It is done, and the event that says so is not acknowledged yet.",
        ),
        state("forgotten", "The control plane knows that it is done.").last(),
        state("lost", "The disk is gone.").last(),
    ],
    inputs: &[
        input("command", "control plane", "Do this."),
        input(
            "welcome",
            "control plane",
            "Which events are stored, and which commands are new.",
        ),
        input(
            "finish",
            "machine",
            "It is over: its events and its end are one write.",
        ),
        input(
            "acked",
            "control plane",
            "Events are stored with their effects.",
        ),
        input("disk_lost", "machine", "The disk is gone."),
    ],
    moves: &[
        on("new", "command", &["open"]),
        on("new", "welcome", &["open"]),
        on("open", "finish", &["finished"]),
        on("open", "disk_lost", &["lost"]),
        on("finished", "welcome", &["forgotten"]),
        on("finished", "acked", &["forgotten"]),
        on("finished", "disk_lost", &["forgotten"]),
    ],
};
