//! A task that does another's work again.

use sam_domain::actor::{Address, Input, Message};
use sam_domain::conversation::session::{Session, SessionLocal, SessionMachine};
use sam_domain::id::{TaskId, UserId};
use sam_domain::task::state::Task;
use sam_domain::task::{TaskMode, TaskState};

use crate::scene::{from, id, intent, step};

#[test]
fn a_task_names_what_it_does_again_and_those_that_follow_it_do_not() {
    let (earlier, task): (TaskId, TaskId) = (id(1), id(2));
    let mut again = intent(task.clone(), TaskMode::Task);
    again.retry_of = Some(earlier.clone());
    assert_eq!(Task::queued_view(&again).retry_of, Some(earlier));

    let mut view = Task::queued_view(&again);
    let mut session = Session::default();
    let submit = SessionLocal::Submit {
        intent: Box::new(again),
        prompt: id(1),
        row: id(1),
        text: "do it".to_owned(),
        body: None,
    };
    let _ = step::<SessionMachine>(&mut session, 10, Input::Local(submit));
    view.state = TaskState::Completed;
    let over = Message::TaskChanged(Box::new(view));
    let _ = step::<SessionMachine>(&mut session, 20, from(Address::Task(task), over));
    let more = SessionLocal::AddPrompt {
        prompt: id(2),
        row: id(2),
        by: id::<UserId>(1),
        pool: None,
        text: "and this".to_owned(),
        body: None,
    };
    let told = step::<SessionMachine>(&mut session, 30, Input::Local(more)).send;
    let next = told.iter().find_map(|(_, message)| match message {
        Message::TaskSubmitted(intent) => Some(intent),
        _ => None,
    });
    assert_eq!(next.unwrap().retry_of, None);
}
