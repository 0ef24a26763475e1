//! A task whose agent stops without finishing, or asks its person something.

use sam_domain::actor::message::TaskIntent;
use sam_domain::actor::{Address, Input, Message, Transition};
use sam_domain::conversation::row::{Author, RowBody};
use sam_domain::conversation::session::{
    Session, SessionLocal, SessionMachine, SessionOutput, address,
};
use sam_domain::link::frame::{Event, StopReason};
use sam_domain::task::patience::Patience;
use sam_domain::task::state::Task;
use sam_domain::task::step::TaskMachine;
use sam_domain::task::{TaskMode, TaskState};
use sam_domain::time::{Millis, Timestamp};

use crate::scene::{at_work, from, id, intent, report, session, step};

/// The agent's turn ends so, and all that it said is there.
fn ends(task: &mut Task, now: u64, prompt: u64, stop_reason: StopReason) -> Transition<()> {
    let finished = Event::PromptFinished {
        prompt: id(prompt),
        stop_reason,
        rows_through: 5,
    };
    let _ = report(task, now, finished);
    let complete = Message::RowsComplete { prompt: id(prompt) };
    step::<TaskMachine>(task, now, from(session(), complete))
}

fn passes(task: &mut Task, now: Timestamp) -> Transition<()> {
    step::<TaskMachine>(task, now.0, Input::DeadlinePassed)
}

fn says(task: &mut Task, now: u64, prompt: u64, automatic: bool) {
    let words = Message::PromptDispatched {
        prompt: id(prompt),
        text: "Go on".to_owned(),
        body: None,
        context: String::new(),
        automatic,
    };
    let _ = step::<TaskMachine>(task, now, from(session(), words));
    let _ = report(task, now, Event::PromptStarted { prompt: id(prompt) });
    assert_eq!(task.state, TaskState::Running);
}

fn checks_in(transition: &Transition<()>) -> bool {
    let told = |(to, message): &(Address, Message)| {
        matches!(to, Address::Session { .. }) && *message == Message::CheckInDue
    };
    transition.send.iter().any(told)
}

fn which() -> StopReason {
    StopReason::NeedsInput {
        question: "Which of the two?".to_owned(),
    }
}

#[test]
fn an_idle_agent_is_asked_once_and_its_task_fails_when_it_stops_again() {
    let mut task = at_work(TaskMode::Task);
    let idle = Patience::default().idle;
    let stopped = ends(&mut task, 10, 1, StopReason::MaxTokens);
    let due = Timestamp(10).plus(idle);
    assert_eq!(
        (task.state, stopped.deadline),
        (TaskState::AwaitingInput, Some(due))
    );
    assert!(!checks_in(&passes(&mut task, Timestamp(due.0 - 1))));
    let asked = passes(&mut task, due);
    assert!(checks_in(&asked) && asked.deadline.is_none());
    assert!(!checks_in(&passes(&mut task, due)), "once");
    let then = due.0 + 1;
    says(&mut task, then, 2, true);
    let again = ends(&mut task, then, 2, StopReason::MaxTokens);
    let late = again.deadline.expect("it does not wait for ever");
    let over = passes(&mut task, late);
    assert!(!checks_in(&over));
    let failure = task.failure.expect("it failed");
    assert_eq!(
        (task.state, failure.code.as_str()),
        (TaskState::Failed, "idle")
    );
    assert!(failure.hint.is_some_and(|hint| hint.contains("wsp_")));
}

#[test]
fn a_persons_words_begin_the_waiting_anew_and_going_on_ends_it() {
    let mut task = at_work(TaskMode::Task);
    let _ = ends(&mut task, 10, 1, StopReason::Refusal);
    let due = task.idle_until.expect("it waits");
    assert!(checks_in(&passes(&mut task, due)));
    says(&mut task, due.0, 2, true);
    let _ = ends(&mut task, due.0 + 1, 2, StopReason::MaxTurnRequests);
    says(&mut task, due.0 + 2, 3, false);
    assert_eq!(task.idle_until, None, "a person spoke");
    let _ = ends(&mut task, due.0 + 3, 3, StopReason::MaxTokens);
    let again = task.idle_until.expect("it waits");
    assert!(
        checks_in(&passes(&mut task, again)),
        "of this idleness it was not asked"
    );
    says(&mut task, again.0, 4, true);
    let _ = ends(&mut task, again.0 + 1, 4, StopReason::EndTurn);
    assert_eq!(task.state, TaskState::Finishing);
}

#[test]
fn what_an_agent_asks_waits_for_an_answer_and_the_answer_clears_it() {
    let mut task = at_work(TaskMode::Task);
    let asked = ends(&mut task, 10, 1, which());
    let due = Timestamp(10).plus(Patience::default().question);
    assert_eq!(
        (task.state, asked.deadline),
        (TaskState::AwaitingInput, Some(due))
    );
    let view = task.view().expect("submitted");
    assert_eq!(view.asks.as_deref(), Some("Which of the two?"));
    says(&mut task, 20, 2, false);
    assert_eq!(task.view().expect("submitted").asks, None);
    let _ = ends(&mut task, 30, 2, which());
    let due = task.idle_until.expect("it waits");
    let over = passes(&mut task, due);
    assert!(!checks_in(&over), "what it waits for is known");
    let failure = task.failure.expect("it failed");
    assert_eq!(failure.code, "not_answered");
    assert!(failure.message.ends_with("Which of the two?"));
}

#[test]
fn in_a_conversation_nobody_is_hurried() {
    let mut task = at_work(TaskMode::Conversation);
    for (prompt, end) in [
        (1, which()),
        (2, StopReason::MaxTokens),
        (3, StopReason::EndTurn),
    ] {
        let asks = matches!(end, StopReason::NeedsInput { .. });
        let stopped = ends(&mut task, 10, prompt, end);
        assert_eq!(
            (task.state, stopped.deadline),
            (TaskState::AwaitingInput, None)
        );
        assert_eq!(task.asks.is_some(), asks);
        says(&mut task, 20, prompt + 1, false);
    }
}

#[test]
fn patience_is_what_the_task_was_submitted_with() {
    let mut task = at_work(TaskMode::Task);
    let held = task.intent.as_mut().expect("submitted");
    held.patience.idle = Millis::seconds(7);
    let stopped = ends(&mut task, 10, 1, StopReason::MaxTokens);
    assert_eq!(stopped.deadline, Some(Timestamp(7_010)));
}

/// A conversation whose first prompt is over.
fn rested() -> Session {
    let mut conversation = Session::default();
    let begun = SessionLocal::Submit {
        intent: Box::new(TaskIntent {
            ..intent(id(1), TaskMode::Task)
        }),
        prompt: id(1),
        row: id(1),
        text: "do it".to_owned(),
        body: None,
    };
    let _ = step::<SessionMachine>(&mut conversation, 1, Input::Local(begun));
    let ended = Message::PromptEnded {
        prompt: id(1),
        stop_reason: StopReason::MaxTokens,
    };
    let _ = step::<SessionMachine>(&mut conversation, 2, from(Address::Task(id(1)), ended));
    conversation
}

#[test]
fn the_check_in_is_seen_says_how_to_continue_and_gives_way_to_a_person() {
    let due = || from(Address::Task(id(1)), Message::CheckInDue);
    let mut conversation = rested();
    let asked = step::<SessionMachine>(&mut conversation, 3, due());
    let shown = asked.output.iter().find_map(|output| match output {
        SessionOutput::PutRow {
            author,
            body: RowBody::Text(text),
            ..
        } => Some((*author, text.text.clone())),
        _ => None,
    });
    let (author, words) = shown.expect("everybody sees it");
    assert_eq!(author, Author::System);
    assert!(
        words.contains("continue now from where you stopped"),
        "{words}"
    );
    assert!(words.contains("request_human_input"), "{words}");
    let dispatched = |transition: &Transition<SessionOutput>| {
        let automatic = |(_, message): &(Address, Message)| {
            matches!(
                message,
                Message::PromptDispatched {
                    automatic: true,
                    ..
                }
            )
        };
        transition.send.iter().any(automatic)
    };
    assert!(dispatched(&asked));
    let again = step::<SessionMachine>(&mut conversation, 4, due());
    assert!(
        !dispatched(&again) && again.output.is_empty(),
        "one is under way"
    );

    let mut conversation = rested();
    let person = SessionLocal::AddPrompt {
        prompt: id(7),
        row: id(7),
        by: id(1),
        pool: None,
        text: "go on".to_owned(),
        body: None,
    };
    let _ = step::<SessionMachine>(&mut conversation, 3, Input::Local(person));
    let late = step::<SessionMachine>(&mut conversation, 4, due());
    assert!(
        !dispatched(&late) && late.output.is_empty(),
        "a person spoke first"
    );
    assert_eq!(address(id(1), id(1)), session());
}
