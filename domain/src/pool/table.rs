//! A place in the pool as a table.

use crate::table::{MachineTable, input, on, state};

/// A task's place on a machine.
pub const PLACE: MachineTable = MachineTable {
    name: "place",
    about: "A task's place on a machine.",
    source: "domain/src/pool/step.rs",
    states: &[
        state("new", "It was not asked for yet.").first(),
        state(
            "waiting",
            "No machine has room and the agent; the task is told why.",
        ),
        state("taken", "It is claimed on one machine for one attempt."),
        state("free", "It was given back, or is not wanted any more.").last(),
    ],
    inputs: &[
        input("place_requested", "task", "A machine, please."),
        input("node_changed", "node", "A machine came, went or changed."),
        input("released", "task", "An attempt needs its place no more."),
    ],
    moves: &[
        on("new", "place_requested", &["waiting", "taken"]),
        on("waiting", "node_changed", &["taken"]),
        on("waiting", "released", &["taken", "free"]),
        on("taken", "released", &["free"]),
    ],
};
