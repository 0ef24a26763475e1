//! The task and its coding agent as tables.

use super::state::{GIT_LIMIT, PLACING_LIMIT, PREPARING_LIMIT, STARTING_LIMIT};
use crate::table::{MachineTable, input, on, state};

/// One piece of work, from a person's words to a branch.
pub const TASK: MachineTable = MachineTable {
    name: "task",
    about: "One piece of work, from a person's words to a branch.",
    source: "domain/src/task/step.rs",
    states: &[
        state("queued", "Accepted and stored; its runner has not begun.").first(),
        state(
            "placing",
            "It waits for a machine with the agent and a free place.",
        )
        .within(PLACING_LIMIT),
        state("preparing", "The machine clones and checks out the branch.").within(PREPARING_LIMIT),
        state("starting", "The coding agent starts.").within(STARTING_LIMIT),
        state("running", "The agent works on a prompt."),
        state("awaiting_input", "A person has the next word."),
        state(
            "finishing",
            "All rows are awaited, then the work is committed and pushed.",
        )
        .within(GIT_LIMIT),
        state("completed", "Done; the branch is handed back.").last(),
        state(
            "failed",
            "It could not go on; the failure says at which step and why.",
        )
        .last(),
        state("cancelled", "A person stopped it.").last(),
    ],
    inputs: &[
        input("task_submitted", "conversation", "Begin."),
        input("placed", "pool", "Here is a machine."),
        input("prompt_dispatched", "conversation", "The next prompt."),
        input("workspace_ready", "machine", "The branch is checked out."),
        input("agent_ready", "machine", "The agent takes prompts."),
        input("agent_ended", "machine", "The agent is over."),
        input("prompt_finished", "machine", "The agent's turn is over."),
        input(
            "rows_complete",
            "conversation",
            "It holds all that the agent said before its turn was over.",
        ),
        input("git_result", "machine", "What commit and push came to."),
        input(
            "command_failed",
            "machine",
            "A command failed, with its cause.",
        ),
        input(
            "workspace_lost",
            "node",
            "The machine lost its disk or was taken out, or two agents share its identity.",
        ),
        input("cancel", "person", "Stop it."),
        input("close", "person", "Commit, push and be done."),
        input(
            "deadline",
            "time",
            "The step took too long, or the machine was away for longer than the grace.",
        ),
    ],
    moves: &[
        on("queued", "task_submitted", &["placing"]),
        on("placing", "placed", &["preparing"]),
        on("placing", "cancel", &["cancelled"]),
        on("placing", "deadline", &["failed"]),
        on("preparing", "workspace_ready", &["starting"]),
        on("preparing", "command_failed", &["failed"]),
        on("preparing", "workspace_lost", &["placing", "failed"]),
        on("preparing", "cancel", &["cancelled"]),
        on("preparing", "deadline", &["placing", "failed"]),
        on("starting", "agent_ready", &["running", "awaiting_input"]),
        on("starting", "command_failed", &["failed"]),
        on("starting", "workspace_lost", &["placing", "failed"]),
        on("starting", "cancel", &["cancelled"]),
        on("starting", "deadline", &["placing", "failed"]),
        on("running", "agent_ended", &["awaiting_input"]),
        on("running", "prompt_finished", &["finishing"]),
        on("running", "rows_complete", &["awaiting_input", "failed"]),
        on("running", "command_failed", &["awaiting_input"]),
        on("running", "workspace_lost", &["awaiting_input"]),
        on("running", "cancel", &["cancelled"]),
        on("running", "deadline", &["awaiting_input", "failed"]),
        on(
            "awaiting_input",
            "prompt_dispatched",
            &["placing", "starting", "running"],
        ),
        on("awaiting_input", "cancel", &["cancelled"]),
        on("awaiting_input", "close", &["finishing", "failed"]),
        on("finishing", "prompt_dispatched", &["starting", "running"]),
        on("finishing", "git_result", &["completed", "failed"]),
        on("finishing", "command_failed", &["failed"]),
        on("finishing", "workspace_lost", &["failed"]),
        on("finishing", "cancel", &["cancelled"]),
        on("finishing", "deadline", &["failed"]),
    ],
};

/// One run of a coding agent, as its task knows it.
pub const AGENT_SESSION: MachineTable = MachineTable {
    name: "agent_session",
    about: "One run of a coding agent, as its task knows it.",
    source: "domain/src/task/step/events.rs",
    states: &[
        state("new", "It was never told to start.").first(),
        state("starting", "Its process starts.").within(STARTING_LIMIT),
        state("ready", "It takes prompts."),
        state("prompting", "It was given a prompt, or is about to be."),
        state("ended", "It is over, or its task needs it no more.").last(),
    ],
    inputs: &[
        input(
            "workspace_ready",
            "machine",
            "There is something to work on.",
        ),
        input("prompt_dispatched", "conversation", "The next prompt."),
        input("agent_ready", "machine", "It takes prompts."),
        input("agent_ended", "machine", "Its process is over."),
        input("prompt_finished", "machine", "Its turn is over."),
        input(
            "rows_complete",
            "conversation",
            "All that it said is there.",
        ),
        input("git_result", "machine", "The work is handed back."),
        input(
            "command_failed",
            "machine",
            "It did not start, or did not take the prompt.",
        ),
        input(
            "workspace_lost",
            "node",
            "The machine lost its disk or was taken out, or two agents share its identity.",
        ),
        input("cancel", "person", "Stop the task."),
        input(
            "deadline",
            "time",
            "It took too long to start, or its machine was away for longer than the grace.",
        ),
    ],
    moves: &[
        on("new", "workspace_ready", &["starting"]),
        on("new", "prompt_dispatched", &["starting"]),
        on("starting", "agent_ready", &["ready", "prompting"]),
        on("starting", "agent_ended", &["ended"]),
        on("starting", "command_failed", &["ended"]),
        on("starting", "workspace_lost", &["ended"]),
        on("starting", "cancel", &["ended"]),
        on("starting", "deadline", &["ended"]),
        on("ready", "prompt_dispatched", &["prompting"]),
        on("ready", "agent_ended", &["ended"]),
        on("ready", "git_result", &["ended"]),
        on("ready", "command_failed", &["ended"]),
        on("ready", "workspace_lost", &["ended"]),
        on("ready", "cancel", &["ended"]),
        on("ready", "deadline", &["ended"]),
        on("prompting", "agent_ended", &["ended"]),
        on("prompting", "prompt_finished", &["ready"]),
        on("prompting", "rows_complete", &["ready", "ended"]),
        on("prompting", "command_failed", &["ready"]),
        on("prompting", "workspace_lost", &["ended"]),
        on("prompting", "cancel", &["ended"]),
        on("prompting", "deadline", &["ready", "ended"]),
    ],
};
