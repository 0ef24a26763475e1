//! The conversation and its prompts as tables.

use crate::table::{MachineTable, input, on, state};

/// A conversation, which outlives tasks and machines.
pub const CONVERSATION: MachineTable = MachineTable {
    name: "conversation",
    about: "A conversation, which outlives tasks and machines.",
    source: "domain/src/conversation/session.rs",
    states: &[
        state("new", "Nothing was said yet.").first(),
        state("working", "A task carries its prompts."),
        state(
            "resting",
            "Its last task is over; the next prompt makes a new one.",
        ),
    ],
    inputs: &[
        input("submit", "person", "The first task and its prompt."),
        input("add_prompt", "person", "A further prompt."),
        input(
            "prompt_returned",
            "task",
            "A prompt came too late for its task.",
        ),
        input("task_changed", "task", "The task as it is now."),
    ],
    moves: &[
        on("new", "submit", &["working"]),
        on("working", "task_changed", &["resting"]),
        on("resting", "add_prompt", &["working"]),
        on("resting", "prompt_returned", &["working"]),
    ],
};

/// What a person asks for in one go.
pub const PROMPT: MachineTable = MachineTable {
    name: "prompt",
    about: "What a person asks for in one go.",
    source: "domain/src/conversation/session.rs",
    states: &[
        state("new", "It was not sent yet.").first(),
        state("queued", "It waits for the one before it."),
        state("sent", "It was handed to the task; the agent may have it."),
        state("running", "The agent works on it."),
        state("finished", "The agent's turn is over.").last(),
        state(
            "cancelled",
            "It was taken back or stopped, or its task was over before it began.",
        )
        .last(),
        state(
            "unknown",
            "Contact was lost while it ran: the person is asked, nothing is repeated.",
        )
        .last(),
    ],
    inputs: &[
        input("submit", "person", "It begins a conversation."),
        input("add_prompt", "person", "It goes on with one."),
        input(
            "check_in_due",
            "task",
            "SAM says it, because the agent stopped without finishing and is idle.",
        ),
        input("remove_prompt", "person", "It is taken back."),
        input("prompt_started", "task", "The agent began to work on it."),
        input("prompt_ended", "task", "It, or the one before it, is over."),
        input("prompt_returned", "task", "It came too late for its task."),
        input("task_changed", "task", "The task as it is now."),
    ],
    moves: &[
        on("new", "submit", &["sent"]),
        on("new", "add_prompt", &["queued", "sent"]),
        on("new", "check_in_due", &["sent"]),
        on("queued", "add_prompt", &["sent"]),
        on("queued", "remove_prompt", &["cancelled"]),
        on("queued", "prompt_ended", &["sent"]),
        on("queued", "task_changed", &["sent", "cancelled"]),
        on("sent", "prompt_started", &["running"]),
        on("sent", "prompt_ended", &["cancelled", "unknown"]),
        on("sent", "prompt_returned", &["queued", "cancelled"]),
        on(
            "running",
            "prompt_ended",
            &["finished", "cancelled", "unknown"],
        ),
    ],
};
