//! A machine that takes no more work, or is taken out for good.

use sam_domain::actor::{Address, Input, Message};
use sam_domain::id::{CommandId, NodeId, ProjectId, SessionId, TaskId, UserId, WorkspaceId};
use sam_domain::link::frame::{Action, AgentFrame, NodeFacts, PROTOCOL};
use sam_domain::node::state::Node;
use sam_domain::node::step::{NodeLocal, NodeMachine, NodeOutput};
use sam_domain::node::wire::{NodeState, NodeView};
use sam_domain::pool::state::Pool;
use sam_domain::pool::step::PoolMachine;
use sam_domain::time::Millis;

use crate::scene::{from, id, step};

fn join() -> Input<NodeLocal> {
    Input::Local(NodeLocal::Join {
        node: id::<NodeId>(1),
        owner: id::<UserId>(1),
        name: "laptop".to_owned(),
        token_hmac: "h".to_owned(),
    })
}

fn prepare(workspace: u64) -> Input<NodeLocal> {
    let message = Message::CommandRequested {
        command: id::<CommandId>(workspace),
        workspace: id::<WorkspaceId>(workspace),
        project: id::<ProjectId>(1),
        session: id::<SessionId>(1),
        user: id::<UserId>(1),
        attempt: 1,
        within: Millis::minutes(15),
        action: Action::PrepareWorkspace {
            session: id(1),
            task: id(1),
            repository: "/r".to_owned(),
            base: None,
            branch: "b".to_owned(),
            agent: None,
        },
    };
    from(Address::Task(id::<TaskId>(1)), message)
}

fn hello(connection: u64) -> Input<NodeLocal> {
    let frame = AgentFrame::Hello {
        protocol: PROTOCOL,
        version: "1".to_owned(),
        store_id: "disk".to_owned(),
        boot_id: "boot".to_owned(),
        boots: None,
        facts: NodeFacts::default(),
        open_commands: Vec::new(),
        next_event: 1,
    };
    Input::Local(NodeLocal::Frame { connection, frame })
}

/// A linked machine with a workspace.
fn at_work() -> Node {
    let mut node = Node::default();
    let _ = step::<NodeMachine>(&mut node, 1, join());
    let _ = step::<NodeMachine>(&mut node, 2, hello(1));
    let _ = step::<NodeMachine>(&mut node, 3, prepare(1));
    node
}

fn lost(workspace: u64) -> (Address, Message) {
    let message = Message::WorkspaceLost {
        workspace: id(workspace),
        attempt: 1,
    };
    (Address::Task(id(1)), message)
}

#[test]
fn what_is_on_a_machine_that_leaves_is_lost_and_everybody_is_told_once() {
    let mut node = at_work();
    assert_eq!((node.state, node.live_workspaces()), (NodeState::Ready, 1));
    let left = step::<NodeMachine>(&mut node, 4, Input::Local(NodeLocal::Leave));
    let gone = Message::NodeLeft(id(1));
    assert!(left.send.contains(&lost(1)), "{:?}", left.send);
    for to in [Address::Pool(id(1)), Address::Index] {
        assert!(left.send.contains(&(to, gone.clone())), "{:?}", left.send);
    }
    assert!(!node.has_work() && left.deadline.is_none());
    let again = step::<NodeMachine>(&mut node, 5, Input::Local(NodeLocal::Leave));
    assert!(again.send.is_empty(), "{:?}", again.send);
}

#[test]
fn a_machine_that_left_gets_no_work_and_does_not_come_back() {
    let mut node = at_work();
    let _ = step::<NodeMachine>(&mut node, 4, Input::Local(NodeLocal::Leave));
    // It was on its way when the machine left.
    let late = step::<NodeMachine>(&mut node, 5, prepare(2));
    assert_eq!(late.send, [lost(2)]);
    assert!(node.workspaces.is_empty());
    let back = step::<NodeMachine>(&mut node, 6, join());
    assert!(back.send.is_empty());
    assert_eq!(
        node.joined.unwrap().token_hmac,
        "",
        "its token opens nothing"
    );
}

#[test]
fn who_was_shut_out_before_it_said_hello_is_refused_when_it_does() {
    for (shut_out, reason) in [
        (NodeLocal::Leave, "revoked"),
        (NodeLocal::Revoke, "revoked"),
        (NodeLocal::Suspend { suspended: true }, "suspended"),
    ] {
        let mut node = at_work();
        let _ = step::<NodeMachine>(&mut node, 4, Input::Local(shut_out));
        // Its next connection was accepted a moment before.
        let late = step::<NodeMachine>(&mut node, 5, hello(2));
        let closed = NodeOutput::Close {
            connection: 2,
            reason,
        };
        assert!(late.output.contains(&closed), "{:?}", late.output);
        assert!(late.send.is_empty(), "{:?}", late.send);
        assert_eq!((node.link.connection, node.state), (None, NodeState::Away));
    }
    let mut node = at_work();
    let let_back = |suspended| Input::Local(NodeLocal::Suspend { suspended });
    let _ = step::<NodeMachine>(&mut node, 4, let_back(true));
    let _ = step::<NodeMachine>(&mut node, 5, let_back(false));
    let _ = step::<NodeMachine>(&mut node, 6, hello(3));
    assert_eq!(node.state, NodeState::Ready);
}

#[test]
fn a_pool_forgets_a_machine_that_left() {
    let mut view = at_work().view().unwrap();
    view.facts.agents = vec!["goose".to_owned()];
    let mut pool = Pool::default();
    let node = || Address::Node(id(1));
    let changed = Message::NodeChanged(Box::new(view));
    let _ = step::<PoolMachine>(&mut pool, 1, from(node(), changed));
    let left = Message::NodeLeft(id(1));
    let _ = step::<PoolMachine>(&mut pool, 2, from(node(), left));
    let asked = Message::PlaceRequested {
        attempt: 1,
        agent: "goose".to_owned(),
        origin: None,
    };
    let answer = step::<PoolMachine>(&mut pool, 3, from(Address::Task(id(1)), asked));
    let reason = "waiting for a machine: none has joined yet".to_owned();
    let waiting = Message::PlacementWaiting { attempt: 1, reason };
    assert_eq!(answer.send, [(Address::Task(id(1)), waiting)]);
}

fn drain(drains: bool) -> Input<NodeLocal> {
    Input::Local(NodeLocal::Drain { drains })
}

#[test]
fn a_machine_that_drains_keeps_its_work_and_goes_on_draining_when_it_is_back() {
    let mut node = at_work();
    let told = step::<NodeMachine>(&mut node, 4, drain(true));
    assert_eq!(
        (node.state, node.live_workspaces()),
        (NodeState::Draining, 1)
    );
    let changed = |(to, message): &(Address, Message)| {
        let draining = |view: &NodeView| view.state == NodeState::Draining;
        *to == Address::Pool(id(1))
            && matches!(message, Message::NodeChanged(view) if draining(view))
    };
    assert!(told.send.iter().any(changed), "{:?}", told.send);
    // What is on its way to it is still done there.
    let sent = step::<NodeMachine>(&mut node, 5, prepare(2));
    assert_eq!(node.live_workspaces(), 2);
    assert!(
        matches!(sent.output.as_slice(), [NodeOutput::Send { .. }]),
        "{:?}",
        sent.output
    );
    let lapsed = node.deadline().unwrap();
    let away = Input::Local(NodeLocal::Closed { connection: 1 });
    let _ = step::<NodeMachine>(&mut node, 6, away);
    let _ = step::<NodeMachine>(&mut node, lapsed.0 + 60_000, Input::DeadlinePassed);
    assert_eq!(node.state, NodeState::Away);
    let again = step::<NodeMachine>(&mut node, lapsed.0 + 60_001, drain(true));
    assert!(again.send.is_empty() && node.state == NodeState::Away);
    let _ = step::<NodeMachine>(&mut node, lapsed.0 + 60_002, hello(2));
    assert_eq!(node.state, NodeState::Draining);
    let _ = step::<NodeMachine>(&mut node, lapsed.0 + 60_003, drain(false));
    assert_eq!(node.state, NodeState::Ready);
}

#[test]
fn a_machine_that_drains_is_nobodys_place_until_it_takes_work_again() {
    let mut pool = Pool::default();
    let mut node = at_work();
    let rev = |node: &mut Node, drains| {
        let told = step::<NodeMachine>(node, 4, drain(drains));
        let view = told
            .send
            .into_iter()
            .find_map(|(_, message)| match message {
                Message::NodeChanged(mut view) => {
                    view.facts.agents = vec!["sam-harness".to_owned()];
                    Some(Message::NodeChanged(view))
                }
                _ => None,
            });
        from(Address::Node(id(1)), view.unwrap())
    };
    let _ = step::<PoolMachine>(&mut pool, 5, rev(&mut node, true));
    let request = Message::PlaceRequested {
        attempt: 1,
        agent: "sam-harness".to_owned(),
        origin: None,
    };
    let waits = step::<PoolMachine>(&mut pool, 6, from(Address::Task(id(1)), request));
    let reason = "waiting for a machine: laptop draining, so it takes no more work";
    let told = Message::PlacementWaiting {
        attempt: 1,
        reason: reason.to_owned(),
    };
    assert_eq!(waits.send, [(Address::Task(id(1)), told)]);
    let placed = step::<PoolMachine>(&mut pool, 7, rev(&mut node, false));
    let place = Message::Placed {
        attempt: 1,
        node: id(1),
    };
    assert_eq!(placed.send, [(Address::Task(id(1)), place)]);
}
