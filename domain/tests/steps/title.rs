//! A title that somebody found.

use sam_domain::actor::{Address, Message};
use sam_domain::conversation::session::{Session, SessionLocal, SessionMachine};
use sam_domain::id::TaskId;
use sam_domain::task::step::{TaskLocal, TaskMachine};
use sam_domain::task::wire::TaskView;
use sam_domain::task::{TaskMode, TaskState};

use crate::scene::{at_work, from, id, intent, step};
use sam_domain::actor::Input;

fn named(title: &str) -> Input<TaskLocal> {
    Input::Local(TaskLocal::SetTitle {
        title: title.to_owned(),
    })
}

/// What the conversation and the index are told of it.
fn told(send: &[(Address, Message)]) -> (Option<TaskView>, bool) {
    let changed = send.iter().find_map(|(_, message)| match message {
        Message::TaskChanged(view) => Some((**view).clone()),
        _ => None,
    });
    let indexed = |(_, message): &(Address, Message)| matches!(message, Message::TaskIndexed(_));
    (changed, send.iter().any(indexed))
}

#[test]
fn a_title_changes_the_view_once_and_nothing_that_is_over() {
    let mut task = at_work(TaskMode::Task);
    let rev = task.rev;
    let (changed, indexed) = told(&step::<TaskMachine>(&mut task, 20, named("Better")).send);
    let view = changed.unwrap();
    assert_eq!((view.title.as_str(), view.rev), ("Better", rev + 1));
    assert!(indexed && task.state == TaskState::Running);
    assert!(
        step::<TaskMachine>(&mut task, 21, named("Better"))
            .send
            .is_empty()
    );
    let cancel = Input::Local(TaskLocal::Cancel { by: id(1) });
    let _ = step::<TaskMachine>(&mut task, 30, cancel);
    assert!(
        step::<TaskMachine>(&mut task, 31, named("Late"))
            .send
            .is_empty()
    );
    assert_eq!(task.view().unwrap().title, "Better");
}

#[test]
fn a_conversation_is_called_as_its_first_task() {
    let mut session = Session::default();
    let first: TaskId = id(1);
    let submit = SessionLocal::Submit {
        intent: Box::new(intent(first.clone(), TaskMode::Task)),
        prompt: id(1),
        row: id(1),
        text: "do it".to_owned(),
        body: None,
    };
    let _ = step::<SessionMachine>(&mut session, 10, Input::Local(submit));
    let mut view = at_work(TaskMode::Task).view().unwrap();
    view.title = "Better".to_owned();
    let rev = session.rev;
    let of = |task: &TaskId| Address::Task(task.clone());
    let changed = Message::TaskChanged(Box::new(view.clone()));
    let _ = step::<SessionMachine>(&mut session, 20, from(of(&first), changed));
    let shown = session.view().unwrap();
    assert_eq!((shown.title.as_str(), shown.rev > rev), ("Better", true));
    view.id = id(2);
    view.title = "A later one".to_owned();
    let later = view.id.clone();
    let changed = Message::TaskChanged(Box::new(view));
    let _ = step::<SessionMachine>(&mut session, 30, from(of(&later), changed));
    assert_eq!(session.view().unwrap().title, "Better");
}
