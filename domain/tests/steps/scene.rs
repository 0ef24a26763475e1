//! What these tests begin from.

use sam_domain::actor::message::TaskIntent;
use sam_domain::actor::{Address, Input, Machine, Message, Transition};
use sam_domain::agents::PermissionMode;
use sam_domain::id::{Id, NodeId, TaskId, WorkspaceId};
use sam_domain::link::frame::{AgentState, Event};
use sam_domain::task::state::{AgentBinding, Task};
use sam_domain::task::step::TaskMachine;
use sam_domain::task::{TaskMode, TaskState};
use sam_domain::time::{Timestamp, Turn};

pub(crate) fn id<I: Id>(n: u64) -> I {
    I::mint(Timestamp(n), n.into())
}

pub(crate) fn intent(task: TaskId, mode: TaskMode) -> TaskIntent {
    TaskIntent {
        task,
        project: id(1),
        session: id(1),
        user: id(1),
        pool: None,
        created_at: Timestamp(1),
        title: "work".to_owned(),
        repository: "/r".to_owned(),
        base: None,
        branch: "sam/work".to_owned(),
        agent: "sam-harness".to_owned(),
        mode,
        permission_mode: PermissionMode::default(),
        retry_of: None,
    }
}

/// The conversation of every task here.
pub(crate) fn session() -> Address {
    Address::Session {
        project: id(1),
        session: id(1),
    }
}

pub(crate) fn step<M: Machine>(
    state: &mut M::State,
    now: u64,
    input: Input<M::Local>,
) -> Transition<M::Output> {
    M::step(state, &mut Turn::new(Timestamp(now), now), input)
}

pub(crate) fn from<L>(from: Address, message: Message) -> Input<L> {
    Input::Message { from, message }
}

/// What the task's machine reports.
pub(crate) fn report(task: &mut Task, now: u64, event: Event) -> Transition<()> {
    let workspace = task.workspace.clone();
    let message = Message::NodeEvent {
        workspace: workspace.unwrap_or_else(|| id::<WorkspaceId>(1)),
        attempt: task.attempt,
        event,
    };
    step::<TaskMachine>(task, now, from(Address::Node(id(1)), message))
}

/// A task whose agent has worked on its first prompt since the moment 6.
pub(crate) fn at_work(mode: TaskMode) -> Task {
    let mut task = Task::default();
    let submitted = Message::TaskSubmitted(Box::new(intent(id(1), mode)));
    let prompt = Message::PromptDispatched {
        prompt: id(1),
        text: "Do it".to_owned(),
        body: None,
        context: String::new(),
    };
    let placed = Message::Placed {
        attempt: 1,
        node: id::<NodeId>(1),
    };
    let told = [
        (session(), submitted),
        (session(), prompt),
        (Address::Pool(id(1)), placed),
    ];
    for (now, (sender, message)) in (1..).zip(told) {
        let _ = step::<TaskMachine>(&mut task, now, from(sender, message));
    }
    let ready = Event::WorkspaceReady {
        branch: "b".to_owned(),
        base_commit: "c".to_owned(),
    };
    let _ = report(&mut task, 4, ready);
    let AgentBinding::Starting { agent_session } = task.agent.clone() else {
        unreachable!("it was told to start");
    };
    let ready = Event::AgentState {
        agent_session,
        state: AgentState::Ready,
    };
    let _ = report(&mut task, 5, ready);
    let _ = report(&mut task, 6, Event::PromptStarted { prompt: id(1) });
    assert_eq!(task.state, TaskState::Running);
    task
}
