//! Of many answers to one question of an agent's the first counts, and it reaches the agent that
//! asked and no other.

use sam_domain::actor::{Address, Input, Machine, Message, Transition};
use sam_domain::conversation::row::{Author, RowBody};
use sam_domain::conversation::session::{
    Answer, Session, SessionLocal, SessionMachine, SessionOutput,
};
use sam_domain::id::{PromptId, RowId};
use sam_domain::link::frame::{Action, Event, StopReason};
use sam_domain::task::step::TaskMachine;
use sam_domain::task::{TaskMode, TaskState};

use crate::scene::{at_work, from, id, intent, report, session, step};

fn answered(session: &mut Session, n: u64, option: &str) -> Transition<SessionOutput> {
    let local = SessionLocal::AnswerPermission {
        answer: Answer {
            permission: id(7),
            row: id(n),
            option: option.to_owned(),
            by: id(n),
        },
        label: option.to_owned(),
    };
    step::<SessionMachine>(session, n, Input::Local(local))
}

#[test]
fn the_first_answer_counts_and_no_other_is_kept_or_sent() {
    let mut session = Session::default();
    let submit = SessionLocal::Submit {
        intent: Box::new(intent(id(1), TaskMode::Conversation)),
        prompt: id::<PromptId>(1),
        row: id::<RowId>(1),
        text: "Do it".to_owned(),
        body: None,
    };
    let _ = step::<SessionMachine>(&mut session, 1, Input::Local(submit));
    let first = answered(&mut session, 10, "yes");
    let wanted = Message::PermissionAnswered {
        permission: id(7),
        option: "yes".to_owned(),
    };
    assert_eq!(first.send, [(Address::Task(id(1)), wanted)]);
    assert!(matches!(
        first.output.as_slice(),
        [SessionOutput::PutRow { author: Author::Person, body: RowBody::Answer(said), .. }]
            if said.option == "yes" && said.permission == id(7)
    ));
    for n in 11..20 {
        let later = answered(&mut session, n, "no");
        assert!(later.send.is_empty() && later.output.is_empty());
    }
    let held = session
        .answer_to(&id(7))
        .map(|answer| answer.option.as_str());
    assert_eq!(held, Some("yes"));
}

fn answers_of(transition: &Transition<<TaskMachine as Machine>::Output>) -> Vec<(RowId, String)> {
    transition
        .send
        .iter()
        .filter_map(|(_, message)| match message {
            Message::CommandRequested {
                action: Action::AnswerPermission { permission, option },
                ..
            } => Some((permission.clone(), option.clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn an_answer_goes_to_the_agent_at_work_and_nowhere_once_its_turn_is_over() {
    let answer = || {
        let message = Message::PermissionAnswered {
            permission: id(7),
            option: "yes".to_owned(),
        };
        from(session(), message)
    };
    let mut task = at_work(TaskMode::Conversation);
    let passed = step::<TaskMachine>(&mut task, 20, answer());
    assert_eq!(answers_of(&passed), [(id(7), "yes".to_owned())]);

    let finished = Event::PromptFinished {
        prompt: id(1),
        stop_reason: StopReason::EndTurn,
        rows_through: 1,
    };
    let _ = report(&mut task, 30, finished);
    let settling = step::<TaskMachine>(&mut task, 31, answer());
    assert!(answers_of(&settling).is_empty(), "its rows are awaited");
    let complete = Message::RowsComplete { prompt: id(1) };
    let _ = step::<TaskMachine>(&mut task, 32, from(session(), complete));
    assert_eq!(task.state, TaskState::AwaitingInput);
    let late = step::<TaskMachine>(&mut task, 40, answer());
    assert!(answers_of(&late).is_empty(), "{:?}", late.send);
}
