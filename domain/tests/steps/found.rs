//! What the simulator found, each in the fewest steps that show it. The seed
//! is the one that first broke a promise, in the simulator of that day.

use sam_domain::actor::message::TaskIntent;
use sam_domain::actor::{Address, Input, Message, Outbox, Transition};
use sam_domain::conversation::session::{QUEUED_PROMPTS, Session, SessionLocal, SessionMachine};
use sam_domain::conversation::wire::PromptState;
use sam_domain::id::{CommandId, NodeId, ProjectId, PromptId, RowId, SessionId, TaskId};
use sam_domain::id::{UserId, WorkspaceId};
use sam_domain::link::agent_end::{AgentEnd, Identity, Stored};
use sam_domain::link::frame::{Action, AgentFrame, Command, Event, NodeFacts, PROTOCOL};
use sam_domain::node::state::{CONTEST_LIMIT, FENCE_LIMIT, Node, QueuedCommand};
use sam_domain::node::step::{NodeLocal, NodeMachine, NodeOutput};
use sam_domain::node::wire::NodeState;
use sam_domain::task::state::{Finishing, Task};
use sam_domain::task::step::{TaskLocal, TaskMachine};
use sam_domain::task::{TaskMode, TaskState};
use sam_domain::time::{Millis, Timestamp};

use crate::scene::{self, from, id, step};

fn intent(task: TaskId) -> TaskIntent {
    scene::intent(task, TaskMode::Task)
}

fn hello(store: &str, boot: &str, boots: &[&str]) -> AgentFrame {
    AgentFrame::Hello {
        protocol: PROTOCOL,
        version: "1".to_owned(),
        store_id: store.to_owned(),
        boot_id: boot.to_owned(),
        boots: Some(boots.iter().map(|boot| (*boot).to_owned()).collect()),
        facts: NodeFacts::default(),
        open_commands: Vec::new(),
        next_event: 1,
    }
}

/// A node whose first agent, `one` on `disk`, is linked at moment 10.
fn node() -> Node {
    let mut node = Node::default();
    let join = NodeLocal::Join {
        node: id::<NodeId>(1),
        owner: id::<UserId>(1),
        name: "laptop".to_owned(),
        token_hmac: "h".to_owned(),
    };
    let _ = step::<NodeMachine>(&mut node, 10, Input::Local(join));
    let _ = says(&mut node, 10, 1, hello("disk", "one", &[]));
    node
}

fn says(node: &mut Node, now: u64, connection: u64, frame: AgentFrame) -> Transition<NodeOutput> {
    let local = NodeLocal::Frame { connection, frame };
    step::<NodeMachine>(node, now, Input::Local(local))
}

fn asks(node: &mut Node, now: u64, n: u64, action: Action) -> Transition<NodeOutput> {
    let message = Message::CommandRequested {
        command: id::<CommandId>(n),
        workspace: id::<WorkspaceId>(1),
        project: id::<ProjectId>(1),
        session: id::<SessionId>(1),
        user: id::<UserId>(1),
        attempt: 1,
        within: Millis::minutes(15),
        action,
    };
    step::<NodeMachine>(node, now, from(Address::Task(id(1)), message))
}

fn prepare() -> Action {
    Action::PrepareWorkspace {
        session: id(1),
        task: id(1),
        repository: "/r".to_owned(),
        base: None,
        branch: "sam/work".to_owned(),
        agent: None,
    }
}

fn is_lost(transition: &Transition<NodeOutput>) -> bool {
    let lost = |message: &Message| matches!(message, Message::WorkspaceLost { .. });
    transition.send.iter().any(|(_, message)| lost(message))
}

fn is_refused(transition: &Transition<NodeOutput>, word: &str) -> bool {
    let closes =
        |output: &NodeOutput| matches!(output, NodeOutput::Close { reason, .. } if *reason == word);
    transition.output.iter().any(closes)
}

#[test]
fn of_two_disks_under_one_identity_the_older_is_refused() {
    let mut node = node();
    let _ = asks(&mut node, 20, 1, prepare());
    let second = says(&mut node, 30, 2, hello("other disk", "two", &[]));
    assert!(
        is_lost(&second),
        "what was on the first disk is not on the second"
    );
    assert!(is_refused(&second, "replaced"));
    let first = says(&mut node, 40, 3, hello("disk", "one", &[]));
    assert!(is_refused(&first, "contested"));
    assert_eq!(node.state, NodeState::Contested);
    assert_eq!(
        node.link.connection,
        Some(2),
        "the one that came last stays"
    );
    let over = 40 + CONTEST_LIMIT.0;
    let _ = step::<NodeMachine>(&mut node, over, Input::DeadlinePassed);
    assert_eq!(node.state, NodeState::Ready, "its rival came no more");
}

/// Seed 70298: an agent went on for nobody on a machine that was joined anew after a rival of it had
/// taken its place.
#[test]
fn what_still_runs_on_a_disk_that_is_joined_anew_is_stopped() {
    let mut node = node();
    let _ = asks(&mut node, 20, 1, prepare());
    let _ = says(&mut node, 30, 2, hello("other disk", "two", &[]));
    assert!(node.workspaces.is_empty());
    let again = NodeLocal::Join {
        node: id::<NodeId>(1),
        owner: id::<UserId>(1),
        name: "laptop".to_owned(),
        token_hmac: "h".to_owned(),
    };
    let _ = step::<NodeMachine>(&mut node, 40, Input::Local(again));
    let back = says(&mut node, 50, 3, hello("disk", "one", &[]));
    assert!(!is_lost(&back), "its task was told before");
    let workspace = id::<WorkspaceId>(1);
    let stops = |queued: &QueuedCommand| {
        queued.command.workspace == workspace && queued.command.action == Action::StopAgent
    };
    assert!(matches!(&node.commands[..], [queued] if stops(queued) && queued.sent));
    assert!(node.scope(&workspace).is_none(), "it gets no tokens");
    assert!(node.left_behind.is_empty());
}

/// Seed 4621: the commit of a task on a copied disk was awaited for ever.
#[test]
fn of_two_copies_of_a_disk_the_older_process_is_refused_and_its_work_counts_as_lost() {
    let mut node = node();
    let _ = says(&mut node, 20, 2, hello("disk", "two", &["one"]));
    let _ = asks(&mut node, 25, 1, prepare());
    let first = says(&mut node, 30, 3, hello("disk", "one", &[]));
    assert!(is_refused(&first, "contested") && is_lost(&first));
    assert_eq!(node.state, NodeState::Contested);
    assert!(node.workspaces.values().all(|placement| placement.fenced));
    let late = says(&mut node, 35, 1, hello("disk", "one", &[]));
    assert!(
        is_refused(&late, "replaced"),
        "what comes late says nothing new"
    );
}

/// Seed 9806: a disk that was set back swallowed what its process reported.
#[test]
fn a_disk_that_went_back_has_lost_what_was_on_it() {
    let mut node = node();
    let _ = says(&mut node, 20, 2, hello("disk", "two", &["one"]));
    let _ = asks(&mut node, 25, 1, prepare());
    let _ = step::<NodeMachine>(
        &mut node,
        30,
        Input::Local(NodeLocal::Closed { connection: 2 }),
    );
    let back = says(&mut node, 40, 3, hello("disk", "three", &["one"]));
    assert!(is_lost(&back) && !is_refused(&back, "contested"));
    assert_eq!(node.state, NodeState::Ready);
    let again = says(&mut node, 50, 4, hello("disk", "four", &["one", "three"]));
    assert!(!is_lost(&again), "a start like any other");
}

/// Seed 56309: a copy that had gone further than its rival was waited on for events that it had
/// forgotten, since they had been acknowledged to it.
#[test]
fn of_two_copies_of_a_disk_the_one_that_went_further_is_heard_from_where_it_is() {
    let mut node = node();
    let _ = asks(&mut node, 25, 1, prepare());
    let closed = Input::Local(NodeLocal::Closed { connection: 1 });
    let _ = step::<NodeMachine>(&mut node, 30, closed);
    let mut further = hello("disk", "three", &["one", "two"]);
    if let AgentFrame::Hello { next_event, .. } = &mut further {
        *next_event = 6;
    }
    let back = says(&mut node, 40, 2, further);
    assert!(is_lost(&back) && !is_refused(&back, "contested"));
    assert_eq!(node.link.acked_event, 5, "its next one is the sixth");
}

#[test]
fn a_contested_node_that_falls_silent_is_away() {
    let mut node = node();
    let _ = says(&mut node, 20, 2, hello("other disk", "two", &[]));
    let _ = asks(&mut node, 25, 1, prepare());
    let _ = says(&mut node, 30, 3, hello("disk", "one", &[]));
    let _ = step::<NodeMachine>(
        &mut node,
        40,
        Input::Local(NodeLocal::Closed { connection: 2 }),
    );
    let lapsed = 40 + node.lease().0;
    let away = step::<NodeMachine>(&mut node, lapsed, Input::DeadlinePassed);
    assert_eq!(node.state, NodeState::Away);
    let told = |message: &Message| matches!(message, Message::NodeAway { .. });
    assert!(away.send.iter().any(|(_, message)| told(message)));
}

/// Seed 2684: an agent was started in a workspace that was given up.
#[test]
fn nothing_begins_in_a_workspace_that_was_given_up() {
    let mut node = node();
    let _ = asks(&mut node, 20, 1, prepare());
    let fenced = Message::Fenced { below: 2 };
    let _ = step::<NodeMachine>(&mut node, 30, from(Address::Task(id(1)), fenced));
    let action = Action::StartAgent {
        agent_session: id(1),
        agent: "sam-harness".to_owned(),
        model: None,
        permission_mode: Default::default(),
    };
    let late = asks(&mut node, 40, 2, action);
    assert!(late.output.is_empty(), "nothing is sent to the machine");
    let failed = |message: &Message| {
        let event = match message {
            Message::NodeEvent { event, .. } => event,
            _ => return false,
        };
        matches!(event, Event::CommandFailed { code, .. } if code == "workspace_gone")
    };
    assert!(late.send.iter().any(|(_, message)| failed(message)));
}

/// Seed 7523: a lease that began before the clock went back lasted for hours.
#[test]
fn a_clock_that_goes_back_does_not_lengthen_a_lease() {
    let mut node = node();
    let hour = Millis::hours(1).0;
    let _ = says(&mut node, 3 * hour, 2, hello("disk", "two", &["one"]));
    let _ = asks(&mut node, hour, 1, prepare());
    assert!(
        node.deadline()
            .is_some_and(|at| at.0 <= hour + node.lease().0)
    );
}

#[test]
fn mail_goes_out_although_the_clock_went_back() {
    let mut outbox = Outbox::default();
    let (me, to) = (Address::Task(id(1)), Address::Node(id(1)));
    let hour = Millis::hours(1).0;
    outbox.push(Timestamp(3 * hour), to.clone(), Message::NodeBack);
    outbox.failed(Timestamp(3 * hour), &to);
    assert!(
        outbox.due(&me, Timestamp(3 * hour), 9).is_empty(),
        "a pause is kept"
    );
    assert_eq!(outbox.due(&me, Timestamp(hour), 9).len(), 1);
    outbox.push(Timestamp(hour), to, Message::NodeBack);
    assert!(outbox.wake_at().is_some_and(|at| at.0 < hour + 10_000));
}

/// Seed 45: after a clock went back a stop began before the start it was to stop.
#[test]
fn commands_begin_again_in_the_order_they_arrived() {
    let command = |n: u64, action| Command {
        id: id(n),
        workspace: id(1),
        attempt: 1,
        remaining: Millis::minutes(1),
        action,
    };
    let stored = Stored {
        commands: vec![command(9, prepare()), command(2, Action::StopAgent)],
        ..Stored::default()
    };
    let identity = Identity {
        store_id: "disk".to_owned(),
        boot_id: "two".to_owned(),
        boots: None,
        version: "1".to_owned(),
        facts: NodeFacts::default(),
    };
    let end = AgentEnd::restore(identity, stored);
    let words: Vec<_> = end.open_commands().map(|open| open.action.word()).collect();
    assert_eq!(words, ["prepare_workspace", "stop_agent"]);
}

/// A task that is placed on a machine and prepares.
fn preparing() -> Task {
    let mut task = Task::default();
    let submitted = Message::TaskSubmitted(Box::new(intent(id(1))));
    let session = sam_domain::conversation::session::address(id(1), id(1));
    let _ = step::<TaskMachine>(&mut task, 10, from(session, submitted));
    let placed = Message::Placed {
        attempt: 1,
        node: id(1),
    };
    let _ = step::<TaskMachine>(&mut task, 20, from(Address::Pool(id(1)), placed));
    assert_eq!(task.state, TaskState::Preparing);
    task
}

/// Seed 3812: a machine that came back a day later went on with a task that was over.
#[test]
fn a_clean_up_waits_for_a_machine_as_long_as_a_fence_does() {
    let mut task = preparing();
    let cancel = TaskLocal::Cancel { by: id(1) };
    let over = step::<TaskMachine>(&mut task, 30, Input::Local(cancel));
    let within = over.send.iter().find_map(|(_, message)| match message {
        Message::CommandRequested { within, .. } => Some(*within),
        _ => None,
    });
    assert_eq!(within, Some(FENCE_LIMIT));
}

/// Seed 4621: a task whose workspace was given up in mid-commit kept its place.
#[test]
fn a_task_whose_workspace_is_lost_in_mid_commit_gives_its_place_back() {
    let mut task = preparing();
    task.state = TaskState::Finishing;
    task.finishing = Some(Finishing::Git);
    let workspace = task.workspace.clone().expect("bound");
    let lost = Message::WorkspaceLost {
        workspace,
        attempt: 1,
    };
    let failed = step::<TaskMachine>(&mut task, 40, from(Address::Node(id(1)), lost));
    assert_eq!(task.state, TaskState::Failed);
    let released = |message: &Message| matches!(message, Message::Released { attempt: 1 });
    assert!(failed.send.iter().any(|(_, message)| released(message)));
}

fn talk(
    session: &mut Session,
    now: u64,
    n: u64,
) -> Transition<sam_domain::conversation::session::SessionOutput> {
    let local = SessionLocal::AddPrompt {
        prompt: id::<PromptId>(n),
        row: id::<RowId>(n),
        by: id(1),
        pool: None,
        text: "more".to_owned(),
        body: None,
    };
    step::<SessionMachine>(session, now, Input::Local(local))
}

fn conversation() -> (Session, TaskId) {
    let mut session = Session::default();
    let local = SessionLocal::Submit {
        intent: Box::new(intent(id(1))),
        prompt: id(1),
        row: id(1),
        text: "go".to_owned(),
        body: None,
    };
    let _ = step::<SessionMachine>(&mut session, 10, Input::Local(local));
    (session, id(1))
}

fn view(task: &TaskId, state: TaskState) -> Message {
    let mut view = Task::queued_view(&intent(task.clone()));
    view.state = state;
    Message::TaskChanged(Box::new(view))
}

fn dispatched(send: &[(Address, Message)]) -> Vec<TaskId> {
    let to = |(to, message): &(Address, Message)| match (to, message) {
        (Address::Task(task), Message::PromptDispatched { .. }) => Some(task.clone()),
        _ => None,
    };
    send.iter().filter_map(to).collect()
}

/// Seed 7776: a prompt that came back too late waited for ever. Seed 18138: one
/// that was sent again at once went to and fro until the commit was done.
#[test]
fn a_prompt_that_comes_back_goes_to_the_newer_task_and_never_in_circles() {
    let (mut session, first) = conversation();
    let back = Message::PromptReturned { prompt: id(1) };
    let returned = from(Address::Task(first.clone()), back.clone());
    let at_once = step::<SessionMachine>(&mut session, 20, returned);
    assert!(
        dispatched(&at_once.send).is_empty(),
        "its task may still be at the commit"
    );

    let (mut session, first) = conversation();
    let failed = view(&first, TaskState::Failed);
    let _ = step::<SessionMachine>(&mut session, 20, from(Address::Task(first.clone()), failed));
    let _ = talk(&mut session, 30, 2);
    let newer = session.task.clone().expect("a task").id;
    assert_ne!(newer, first);
    let returned = from(Address::Task(first), back);
    let sent = step::<SessionMachine>(&mut session, 40, returned);
    assert_eq!(dispatched(&sent.send), [newer]);
}

/// Seed 3587: of fifty prompts that ended together, thirty were forgotten unseen.
#[test]
fn prompts_that_end_together_all_show_their_end() {
    let (mut session, task) = conversation();
    for n in 0..QUEUED_PROMPTS as u64 {
        let _ = talk(&mut session, 20 + n, 100 + n);
    }
    let failed = view(&task, TaskState::Failed);
    let _ = step::<SessionMachine>(&mut session, 90, from(Address::Task(task), failed));
    let shown = |n: u64| session.prompt(&id(n)).map(|prompt| prompt.state);
    for n in 0..QUEUED_PROMPTS as u64 {
        assert_eq!(shown(100 + n), Some(PromptState::Cancelled), "prompt {n}");
    }
}
