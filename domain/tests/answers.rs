//! Of many answers to one question of an agent's the first counts, and it reaches the agent that
//! asked and no other.

use sam_domain::actor::message::TaskIntent;
use sam_domain::actor::{Address, Input, Machine, Message, Transition};
use sam_domain::agents::PermissionMode;
use sam_domain::conversation::row::{Author, RowBody};
use sam_domain::conversation::session::{
    Answer, Session, SessionLocal, SessionMachine, SessionOutput,
};
use sam_domain::id::{Id, NodeId, PromptId, RowId, SessionId, WorkspaceId};
use sam_domain::link::frame::{Action, AgentState, Event, StopReason};
use sam_domain::task::state::{AgentBinding, Task};
use sam_domain::task::step::TaskMachine;
use sam_domain::task::{TaskMode, TaskState};
use sam_domain::time::{Timestamp, Turn};

fn id<I: Id>(n: u64) -> I {
    I::mint(Timestamp(n), n.into())
}

fn intent() -> TaskIntent {
    TaskIntent {
        task: id(1),
        project: id(1),
        session: id(1),
        user: id(1),
        pool: None,
        created_at: Timestamp(1),
        title: "work".to_owned(),
        repository: "/r".to_owned(),
        base: None,
        branch: "sam/work".to_owned(),
        agent: "claude-code".to_owned(),
        mode: TaskMode::Conversation,
        permission_mode: PermissionMode::Ask,
    }
}

fn step<M: Machine>(
    state: &mut M::State,
    now: u64,
    input: Input<M::Local>,
) -> Transition<M::Output> {
    M::step(state, &mut Turn::new(Timestamp(now), now), input)
}

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
        intent: Box::new(intent()),
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

/// A task whose agent works on its first prompt.
fn at_work() -> Task {
    let mut task = Task::default();
    let session = Address::Session {
        project: id(1),
        session: id::<SessionId>(1),
    };
    let take = |task: &mut Task, now: u64, from: Address, message: Message| {
        step::<TaskMachine>(task, now, Input::Message { from, message })
    };
    let submitted = Message::TaskSubmitted(Box::new(intent()));
    let _ = take(&mut task, 1, session.clone(), submitted);
    let prompt = Message::PromptDispatched {
        prompt: id(1),
        text: "Do it".to_owned(),
        body: None,
        context: String::new(),
    };
    let _ = take(&mut task, 2, session, prompt);
    let placed = Message::Placed {
        attempt: 1,
        node: id::<NodeId>(1),
    };
    let _ = take(&mut task, 3, Address::Pool(id(1)), placed);
    for (now, kind) in [(4, "ready"), (5, "agent"), (6, "started")] {
        let event = match kind {
            "ready" => Event::WorkspaceReady {
                branch: "b".to_owned(),
                base_commit: "c".to_owned(),
            },
            "agent" => {
                let agent_session = match task.agent.clone() {
                    AgentBinding::Starting { agent_session } => agent_session,
                    AgentBinding::None | AgentBinding::Ready { .. } => id(99),
                };
                Event::AgentState {
                    agent_session,
                    state: AgentState::Ready,
                }
            }
            _ => Event::PromptStarted { prompt: id(1) },
        };
        let _ = from_node(&mut task, now, event);
    }
    assert_eq!(task.state, TaskState::Running);
    task
}

fn from_node(
    task: &mut Task,
    now: u64,
    event: Event,
) -> Transition<<TaskMachine as Machine>::Output> {
    let message = Message::NodeEvent {
        workspace: task
            .workspace
            .clone()
            .unwrap_or_else(|| id::<WorkspaceId>(1)),
        attempt: task.attempt,
        event,
    };
    let from = Address::Node(id(1));
    step::<TaskMachine>(task, now, Input::Message { from, message })
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
    let answer = || Input::Message {
        from: Address::Session {
            project: id(1),
            session: id(1),
        },
        message: Message::PermissionAnswered {
            permission: id(7),
            option: "yes".to_owned(),
        },
    };
    let mut task = at_work();
    let passed = step::<TaskMachine>(&mut task, 20, answer());
    assert_eq!(answers_of(&passed), [(id(7), "yes".to_owned())]);

    let finished = Event::PromptFinished {
        prompt: id(1),
        stop_reason: StopReason::EndTurn,
        rows_through: 1,
    };
    let _ = from_node(&mut task, 30, finished);
    let complete = Message::RowsComplete { prompt: id(1) };
    let from = Address::Session {
        project: id(1),
        session: id(1),
    };
    let _ = step::<TaskMachine>(
        &mut task,
        31,
        Input::Message {
            from,
            message: complete,
        },
    );
    assert_eq!(task.state, TaskState::AwaitingInput);
    let late = step::<TaskMachine>(&mut task, 40, answer());
    assert!(answers_of(&late).is_empty(), "{:?}", late.send);
}
