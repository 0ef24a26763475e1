//! A device code as a table.

use super::flow::LIFETIME;
use crate::table::{MachineTable, input, on, state};

/// A program without a browser that asks to be signed in.
pub const DEVICE_CODE: MachineTable = MachineTable {
    name: "device_code",
    about: "A program without a browser that asks to be signed in (RFC 8628).",
    source: "domain/src/device/flow.rs",
    states: &[
        state("pending", "Nobody decided; the program polls.")
            .first()
            .within(LIFETIME),
        state(
            "approved",
            "A person said yes; the next poll that comes in time gets a session of theirs. It ends with the same deadline.",
        ),
        state("denied", "A person said no.").last(),
        state("expired", "Its time passed.").last(),
        state("redeemed", "One poll got the session.").last(),
    ],
    inputs: &[
        input(
            "polled",
            "program",
            "Is it decided? Too early, it moves nothing and adds five seconds to the pause between polls.",
        ),
        input("approved", "person", "Yes, that is mine."),
        input("denied", "person", "No."),
        input(
            "deadline",
            "time",
            "Fifteen minutes have passed since it began.",
        ),
    ],
    moves: &[
        on("pending", "approved", &["approved"]),
        on("pending", "denied", &["denied"]),
        on("pending", "deadline", &["expired"]),
        on("approved", "polled", &["redeemed"]),
        on("approved", "deadline", &["expired"]),
    ],
};
