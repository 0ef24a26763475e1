//! The end of a prompt is told when all that the agent said before it can be read.

use sam_domain::actor::{Address, Input, Message, Transition};
use sam_domain::link::frame::{AgentState, Event, StopReason};
use sam_domain::task::state::{AgentBinding, ROWS_LIMIT, Task};
use sam_domain::task::step::{TaskLocal, TaskMachine};
use sam_domain::task::{TaskMode, TaskState};
use sam_domain::time::Timestamp;

use crate::scene::{at_work, from, id, report, session, step};

/// The agent's turn ends so, with rows up to 5.
fn ends(task: &mut Task, now: u64, stop_reason: StopReason) -> Transition<()> {
    let finished = Event::PromptFinished {
        prompt: id(1),
        stop_reason,
        rows_through: 5,
    };
    report(task, now, finished)
}

fn error() -> StopReason {
    StopReason::Error {
        message: "Model API failed".to_owned(),
        code: Some("model_failed".to_owned()),
        hint: None,
    }
}

fn rows_complete(task: &mut Task, now: u64) -> Transition<()> {
    let complete = Message::RowsComplete { prompt: id(1) };
    step::<TaskMachine>(task, now, from(session(), complete))
}

fn tells(transition: &Transition<()>, told: impl Fn(&Message) -> bool) -> bool {
    transition
        .send
        .iter()
        .any(|(to, message)| matches!(to, Address::Session { .. }) && told(message))
}

fn notices(transition: &Transition<()>, code: &str) -> bool {
    tells(
        transition,
        |message| matches!(message, Message::Notice(body) if body.code == code),
    )
}

#[test]
fn a_task_fails_when_the_rows_before_the_failure_are_there() {
    let mut task = at_work(TaskMode::Task);
    let ended = ends(&mut task, 10, error());
    assert!(tells(&ended, |message| {
        matches!(message, Message::AwaitRows { through: 5, .. })
    }));
    assert!(!tells(&ended, |message| {
        matches!(message, Message::PromptEnded { .. })
    }));
    assert_eq!(task.state, TaskState::Running);
    // A repeat, and the end of the agent's process, say nothing new.
    let again = ends(&mut task, 11, StopReason::Cancelled);
    assert!(again.send.is_empty());
    let AgentBinding::Ready { agent_session } = task.agent.clone() else {
        unreachable!("its agent is ready");
    };
    let gone = Event::AgentState {
        agent_session,
        state: AgentState::Ended {
            reason: "exited".to_owned(),
            stderr_tail: String::new(),
        },
    };
    let _ = report(&mut task, 12, gone);
    assert_eq!(task.state, TaskState::Running);
    let settled = rows_complete(&mut task, 13);
    assert!(tells(&settled, |message| {
        matches!(
            message,
            Message::PromptEnded {
                stop_reason: StopReason::Error { .. },
                ..
            }
        )
    }));
    assert_eq!(task.state, TaskState::Failed);
    assert_eq!(
        task.failure.map(|failure| failure.code),
        Some("model_failed".to_owned())
    );
}

#[test]
fn after_a_minute_an_end_is_told_without_the_rows_that_are_missing() {
    let mut task = at_work(TaskMode::Conversation);
    let ended = ends(&mut task, 10, StopReason::EndTurn);
    assert_eq!(ended.deadline, Some(Timestamp(10).plus(ROWS_LIMIT)));
    let early = step::<TaskMachine>(&mut task, 11, Input::DeadlinePassed);
    assert!(early.send.is_empty() && task.state == TaskState::Running);
    let late = step::<TaskMachine>(&mut task, 10 + ROWS_LIMIT.0, Input::DeadlinePassed);
    assert!(notices(&late, "rows_incomplete") && task.rows_incomplete);
    assert_eq!(
        (task.state, late.deadline),
        (TaskState::AwaitingInput, None)
    );
}

#[test]
fn a_limit_that_resets_while_rows_are_awaited_is_still_what_the_agent_waited_for() {
    let mut task = at_work(TaskMode::Task);
    let waits = TaskLocal::ModelWaits {
        attempt: 1,
        until: Timestamp(50),
    };
    let _ = step::<TaskMachine>(&mut task, 20, Input::Local(waits));
    let lost = StopReason::Unknown {
        reason: "the vm-agent stopped".to_owned(),
    };
    let ended = ends(&mut task, 40, lost);
    // It does not wake up for what is over.
    assert_eq!(ended.deadline, Some(Timestamp(40).plus(ROWS_LIMIT)));
    let _ = step::<TaskMachine>(&mut task, 60, Input::DeadlinePassed);
    let settled = rows_complete(&mut task, 70);
    assert!(notices(&settled, "wait_interrupted"));
    let due = step::<TaskMachine>(&mut task, 71, Input::DeadlinePassed);
    assert!(tells(&due, |message| {
        matches!(message, Message::ContinuationDue)
    }));
}
