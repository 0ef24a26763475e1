//! How a node moves.
//!
//! ```text
//! joining → ready ⇄ draining ⇄ away
//!             ⇅        ⇅        ↑
//!              contested ───────┘
//! ```
//!
//! `ready` and `draining` are alike but for what the owner wants; a node that
//! drains is `draining` again whenever it would else be `ready`.
//!
//! Rules that are decided here and nowhere else:
//! - A command waits here until the node says it is done or failed. Only one
//!   that was never sent gives up by itself.
//! - An event's number counts as stored in the same write as what it caused.
//! - A node with another disk has lost its workspaces; their tasks are told.
//!   Should the old disk be joined anew, what still runs on it is stopped.
//! - Of two agents with one identity the one that came last stays and the other
//!   is refused for good. When both have the same disk, what either of them did
//!   is not known: every workspace counts as lost. The node is contested until its rival has been silent
//!   for a while or a person joins it anew; nothing new is placed on it.
//! - A node that was taken out stays out: it is nobody's place any more, its pool and the index are
//!   told once, and whoever still asks for a workspace on it hears that it is lost.
//! - A node that drains keeps its work and is nobody's place for more, until its owner says
//!   otherwise. What was placed on it a moment before is still done there.
//! - Who was shut out on a connection that had not said hello yet is refused when it does.
//! - `ready` speaks of the link's lease, not of any single ping: a socket that
//!   closes begins the lease, it does not end it.

mod link;

use super::state::{
    CONTEST_LIMIT, FENCE_LIMIT, JoinedNode, KEPT_WORKSPACES, LEFT_BEHIND, LeftBehind, Node,
    Placement, QueuedCommand,
};
use super::wire::NodeState;
use crate::actor::{Address, Input, Machine, Message, Named, Transition};
use crate::collect;
use crate::id::{CommandId, Id, NodeId, ProjectId, TaskId, UserId, WorkspaceId};
use crate::link::frame::{
    Action, AgentFrame, Command, Event, EventFrame, LEASE, NodeFacts, ObjectFrame, PROTOCOL,
};
use crate::link::object_end::{Hello, Incoming, Who};
use crate::time::{Millis, Timestamp, Turn};

/// The node machine.
#[derive(Clone, Copy, Debug)]
pub struct NodeMachine;

/// What NodeLifecycle tells its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeLocal {
    /// It joined, or joined again with a new token.
    Join {
        /// Its id.
        node: NodeId,
        /// Whose it is.
        owner: UserId,
        /// Its name.
        name: String,
        /// HMAC of its token.
        token_hmac: String,
    },
    /// It takes a project's tasks beside its owner's, or no more.
    Share {
        /// Which project.
        project: ProjectId,
        /// Whether it does from now on.
        shared: bool,
    },
    /// Its owner may not use the installation for now, or may again.
    Suspend {
        /// Whether it is suspended from now on.
        suspended: bool,
    },
    /// Its owner wants it to end its work and take no more, or to take work again.
    Drain {
        /// Whether it drains from now on.
        drains: bool,
    },
    /// Its token is worth nothing any more.
    Revoke,
    /// Its owner took it out for good; what is on it counts as lost.
    Leave,
    /// A frame came in.
    Frame {
        /// On which connection; numbers are given by the shell and grow.
        connection: u64,
        /// What it says.
        frame: AgentFrame,
    },
    /// A connection is gone.
    Closed {
        /// Which.
        connection: u64,
    },
    /// How long the link may be silent, as the installation is set.
    Lease {
        /// How long.
        lease: Millis,
    },
    /// The link's last automatic answer, read before the deadline is judged.
    Seen {
        /// When.
        at: Timestamp,
    },
}

impl Named for NodeLocal {
    fn word(&self) -> &'static str {
        match self {
            Self::Join { .. } => "join",
            Self::Frame { frame, .. } => match frame {
                AgentFrame::Hello { .. } => "hello",
                AgentFrame::Event(frame) => frame.event.word(),
                AgentFrame::Ack { .. } => "ack",
                AgentFrame::Answer(_) => "answer",
                AgentFrame::Ping => "ping",
            },
            Self::Closed { .. } => "closed",
            Self::Share { .. } => "share",
            Self::Suspend { .. } => "suspend",
            Self::Drain { .. } => "drain",
            Self::Revoke => "revoke",
            Self::Leave => "leave",
            Self::Lease { .. } => "lease",
            Self::Seen { .. } => "seen",
        }
    }
}

/// What a node asks of its shell. Lost frames are made good at the next hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeOutput {
    /// Send a frame.
    Send {
        /// On which connection.
        connection: u64,
        /// What.
        frame: Box<ObjectFrame>,
    },
    /// Close a connection.
    Close {
        /// Which.
        connection: u64,
        /// Why, as in `bye`.
        reason: &'static str,
    },
}

impl Machine for NodeMachine {
    type State = Node;
    type Local = NodeLocal;
    type Output = NodeOutput;

    fn step(state: &mut Node, turn: &mut Turn, input: Input<NodeLocal>) -> Transition<NodeOutput> {
        let pool_view = |node: &Node| (node.state, node.facts.clone(), node.shared_with.clone());
        let index_row = |node: &Node| {
            let named = node.joined.as_ref().map(|joined| joined.name.clone());
            (node.state, named)
        };
        let before = (pool_view(state), state.live_workspaces());
        let (indexed, had_left) = (index_row(state), state.left);
        let mut step = Step {
            node: state,
            turn,
            send: Vec::new(),
            output: Vec::new(),
        };
        step.take(input);
        let (mut send, output) = (step.send, step.output);
        let pool_sees = before.0 != pool_view(state) || state.rev == 0;
        if state.left {
            if let Some(joined) = state.joined.as_ref().filter(|_| !had_left) {
                state.rev += 1;
                let pool = Address::Pool(joined.owner.clone());
                for to in [pool, Address::Index] {
                    send.push((to, Message::NodeLeft(joined.id.clone())));
                }
            }
        } else if state.joined.is_some() && (pool_sees || before.1 != state.live_workspaces()) {
            state.rev += 1;
            if let Some(view) = state.view() {
                let view = Box::new(view);
                if pool_sees {
                    send.push((
                        Address::Pool(view.owner.clone()),
                        Message::NodeChanged(view.clone()),
                    ));
                }
                if indexed != index_row(state) {
                    send.push((Address::Index, Message::NodeIndexed(view)));
                }
            }
        }
        Transition {
            send,
            output,
            deadline: state.deadline(),
        }
    }
}

struct Step<'a> {
    node: &'a mut Node,
    turn: &'a mut Turn,
    send: Vec<(Address, Message)>,
    output: Vec<NodeOutput>,
}

impl Step<'_> {
    fn take(&mut self, input: Input<NodeLocal>) {
        // A clock that went back must not lengthen the lease.
        self.node.last_seen = self.node.last_seen.min(self.turn.now);
        match input {
            Input::Local(NodeLocal::Join {
                node,
                owner,
                name,
                token_hmac,
            }) => {
                let same = self
                    .node
                    .joined
                    .as_ref()
                    .is_none_or(|joined| joined.id == node && joined.owner == owner);
                if same && !self.node.left {
                    self.node.joined = Some(JoinedNode {
                        id: node,
                        owner,
                        name,
                        token_hmac,
                    });
                    self.node.since = self.turn.now;
                    self.node.link.forget_rivals();
                    self.node.contested_until = None;
                    if self.node.state == NodeState::Contested {
                        self.node.last_seen = self.turn.now;
                        self.enter(self.node.at_hand());
                    }
                }
            }
            _ if self.node.joined.is_none() => {}
            Input::Local(NodeLocal::Share { project, shared }) => {
                let held = &mut self.node.shared_with;
                held.retain(|other| *other != project);
                if shared {
                    held.push(project);
                    collect::sort_few(held, Ord::cmp);
                }
            }
            Input::Local(NodeLocal::Suspend { suspended }) => {
                self.node.suspended = suspended;
                if suspended {
                    self.turn_away("suspended");
                }
            }
            Input::Local(NodeLocal::Drain { drains }) => {
                self.node.drains = drains;
                if matches!(self.node.state, NodeState::Ready | NodeState::Draining) {
                    self.enter(self.node.at_hand());
                }
            }
            Input::Local(NodeLocal::Revoke) => {
                if let Some(joined) = self.node.joined.as_mut() {
                    joined.token_hmac = String::new();
                }
                self.turn_away("revoked");
            }
            Input::Local(NodeLocal::Leave) => {
                if let Some(joined) = self.node.joined.as_mut() {
                    joined.token_hmac = String::new();
                }
                self.turn_away("revoked");
                self.lose_everything();
                self.node.left = true;
            }
            Input::Local(NodeLocal::Frame { connection, frame }) => match self.node.shut_out() {
                Some(reason) => {
                    if matches!(frame, AgentFrame::Hello { .. }) {
                        self.refuse(connection, reason);
                    }
                }
                None => self.frame(connection, frame),
            },
            Input::Local(NodeLocal::Closed { connection }) => {
                if self.node.link.closed(connection) {
                    self.node.last_seen = self.turn.now;
                }
            }
            Input::Local(NodeLocal::Lease { lease }) => {
                self.node.own_lease = (lease != LEASE).then_some(lease);
            }
            Input::Local(NodeLocal::Seen { at }) => {
                self.node.last_seen = self.node.last_seen.max(at.min(self.turn.now))
            }
            Input::Message {
                from: Address::Task(task),
                message,
            } => self.message(task, message),
            Input::Message { .. } => {}
            Input::DeadlinePassed => self.deadline_passed(),
        }
    }

    /// Ends the link now; the node is away at once, without the grace of a lease.
    fn turn_away(&mut self, reason: &'static str) {
        if let Some(connection) = self.node.link.connection.take() {
            self.refuse(connection, reason);
            self.node.last_seen = self.turn.now;
        }
        if self.node.is_here() {
            self.node.contested_until = None;
            self.enter(NodeState::Away);
            self.tell_tasks(&Message::NodeAway {
                since: self.node.last_seen,
            });
        }
    }

    // --- from tasks ----------------------------------------------------------

    fn message(&mut self, task: TaskId, message: Message) {
        if self.node.link.connection.is_some() && !self.node.has_work() {
            // The lease begins with the work; an idle link kept no time.
            self.node.last_seen = self.turn.now;
        }
        match message {
            Message::CommandRequested {
                workspace, attempt, ..
            } if self.node.left => {
                let lost = Message::WorkspaceLost { workspace, attempt };
                self.send.push((Address::Task(task), lost));
            }
            Message::CommandRequested {
                command,
                workspace,
                project,
                session,
                user,
                attempt,
                within,
                action,
            } => {
                if matches!(action, Action::PrepareWorkspace { .. }) {
                    let placement = Placement {
                        task,
                        project,
                        session,
                        user,
                        attempt,
                        fenced: false,
                        stopped_at: None,
                        agent: None,
                    };
                    self.node
                        .workspaces
                        .entry(workspace.clone())
                        .or_insert(placement);
                } else if !self
                    .node
                    .workspaces
                    .get(&workspace)
                    .is_some_and(|p| p.task == task && p.attempt == attempt && !p.fenced)
                {
                    let event = Event::CommandFailed {
                        command,
                        code: "workspace_gone".to_owned(),
                        message: "The machine no longer has this workspace.".to_owned(),
                        hint: None,
                    };
                    self.send.push((
                        Address::Task(task),
                        Message::NodeEvent {
                            workspace,
                            attempt,
                            event,
                        },
                    ));
                    return;
                }
                if let Action::StartAgent { agent, .. } = &action
                    && let Some(placement) = self.node.workspaces.get_mut(&workspace)
                {
                    placement.agent = Some(agent.clone());
                }
                self.enqueue(command, workspace, attempt, within, action);
            }
            Message::Fenced { below } => self.fence(&task, below),
            _ => {}
        }
    }

    fn enqueue(
        &mut self,
        id: CommandId,
        workspace: WorkspaceId,
        attempt: u32,
        within: Millis,
        action: Action,
    ) {
        if self
            .node
            .commands
            .iter()
            .any(|queued| queued.command.id == id)
        {
            return;
        }
        if matches!(action, Action::DeleteWorkspace) {
            self.node
                .commands
                .retain(|queued| queued.sent || queued.command.workspace != workspace);
        }
        let command = Command {
            id,
            workspace,
            attempt,
            remaining: within,
            action,
        };
        let mut queued = QueuedCommand {
            command,
            deadline: self.turn.now.plus(within),
            sent: false,
        };
        if let Some(connection) = self.node.link.connection {
            queued.sent = true;
            let frame = Box::new(ObjectFrame::Command(queued.at(self.turn.now)));
            self.output.push(NodeOutput::Send { connection, frame });
        }
        self.node.commands.push(queued);
    }

    fn fence(&mut self, task: &TaskId, below: u32) {
        let fenced: Vec<_> = self
            .node
            .workspaces
            .iter_mut()
            .filter(|(_, placement)| {
                placement.task == *task && placement.attempt < below && !placement.fenced
            })
            .map(|(id, placement)| {
                placement.fenced = true;
                (id.clone(), placement.attempt)
            })
            .collect();
        for (workspace, attempt) in fenced {
            let unsent_birth = self.node.commands.iter().any(|queued| {
                !queued.sent && queued.makes_workspace() && queued.command.workspace == workspace
            });
            self.node
                .commands
                .retain(|queued| queued.sent || queued.command.workspace != workspace);
            if unsent_birth {
                self.node.workspaces.remove(&workspace);
            } else {
                let id = CommandId::draw(self.turn);
                self.enqueue(id, workspace, attempt, FENCE_LIMIT, Action::StopAgent);
            }
        }
    }

    // --- time --------------------------------------------------------------------

    fn deadline_passed(&mut self) {
        let now = self.turn.now;
        if self.node.contested_until.is_some_and(|until| until <= now) {
            self.node.contested_until = None;
            self.enter(self.node.at_hand());
        }
        let lapses = self.node.last_seen.plus(self.node.lease());
        if self.node.is_watched() && lapses <= now {
            if let Some(connection) = self.node.link.connection.take() {
                self.output.push(NodeOutput::Close {
                    connection,
                    reason: "silent",
                });
            }
            self.node.contested_until = None;
            self.enter(NodeState::Away);
            self.tell_tasks(&Message::NodeAway {
                since: self.node.last_seen,
            });
        }
        let (expired, kept): (Vec<_>, Vec<_>) = self
            .node
            .commands
            .drain(..)
            .partition(|queued| !queued.sent && queued.deadline <= now);
        self.node.commands = kept;
        for queued in expired {
            let Command {
                id,
                workspace,
                attempt,
                action,
                ..
            } = queued.command;
            let Some(placement) = self.node.workspaces.get(&workspace) else {
                continue;
            };
            let task = placement.task.clone();
            if matches!(action, Action::PrepareWorkspace { .. }) {
                self.node.workspaces.remove(&workspace);
            }
            let event = Event::CommandFailed {
                command: id,
                code: "machine_unreachable".to_owned(),
                message: format!(
                    "The machine did not come back in time for {}.",
                    action.word()
                ),
                hint: Some("Start the vm-agent on it again.".to_owned()),
            };
            self.send.push((
                Address::Task(task),
                Message::NodeEvent {
                    workspace,
                    attempt,
                    event,
                },
            ));
        }
    }

    fn enter(&mut self, state: NodeState) {
        if self.node.state != state {
            self.node.state = state;
            self.node.since = self.turn.now;
        }
    }

    fn tell_tasks(&mut self, message: &Message) {
        let mut tasks: Vec<_> = self
            .node
            .workspaces
            .values()
            .filter(|p| p.is_live())
            .map(|p| p.task.clone())
            .collect();
        tasks.dedup();
        for task in tasks {
            self.send.push((Address::Task(task), message.clone()));
        }
    }
}
