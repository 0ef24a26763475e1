//! The world: objects, machines, the network between them, and the event loop.

mod machines;
mod objects;
mod people;
mod rows;
mod wire;

use crate::invariant::Ledger;
use crate::person::Act;
use crate::random::Random;
use crate::vm::{Process, Vm, Workspace};
use sam_domain::actor::inbox::Receipt;
use sam_domain::actor::message::TaskIntent;
use sam_domain::actor::{Actor, Address, Envelope, Handled, Machine};
use sam_domain::conversation::session::{Session, SessionLocal, SessionMachine, SessionOutput};
use sam_domain::conversation::wire::PromptState;
use sam_domain::id::{
    CommandId, Id, NodeId, ProjectId, PromptId, RowId, SessionId, TaskId, UserId, WorkspaceId,
};
use sam_domain::link::agent_end::{Do, Draft, Outcome};
use sam_domain::link::frame::{
    Action, AgentFrame, AgentState, Command, Event, ObjectFrame, StopReason,
};
use sam_domain::node::state::Node;
use sam_domain::node::step::{NodeLocal, NodeMachine, NodeOutput};
use sam_domain::pool::state::Pool;
use sam_domain::pool::step::PoolMachine;
use sam_domain::task::state::Task;
use sam_domain::task::step::{TaskLocal, TaskMachine};
use sam_domain::time::{Millis, Timestamp, Turn};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

pub use crate::invariant::Counts;

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The seed; it decides everything.
    pub seed: u64,
    /// Tell every event.
    pub trace: bool,
}

/// How long people act and things break.
const ACTIVE: Millis = Millis::minutes(20);
/// How long the world is then left alone.
const QUIET: Millis = Millis::hours(80);
/// More events than this means that something feeds on itself.
const EVENT_LIMIT: u64 = 200_000;

/// Runs one seed. `Err` says which invariant broke, and when.
///
/// # Errors
/// The first broken invariant.
pub fn run(plan: Plan) -> Result<Counts, String> {
    let mut world = World::new(plan);
    world.run()?;
    Ok(world.ledger.counts)
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Happening {
    Deliver(Envelope),
    Answer {
        from: Address,
        to: Address,
        ordinal: u64,
        receipt: Option<Receipt>,
    },
    Drain(Address),
    Wake(Address),
    Dial(usize),
    Cut(usize),
    ToObject {
        vm: usize,
        connection: u64,
        frame: AgentFrame,
    },
    ToVm {
        vm: usize,
        connection: u64,
        frame: ObjectFrame,
    },
    ClosedAtObject {
        vm: usize,
        connection: u64,
    },
    Kill(usize),
    Restart(usize),
    Machine {
        vm: usize,
        boot: u64,
        step: VmStep,
    },
    RowsArrive {
        vm: usize,
        boot: u64,
        workspace: WorkspaceId,
        through: u64,
    },
    RowsAnswered {
        vm: usize,
        boot: u64,
        workspace: WorkspaceId,
        through: u64,
    },
    Person,
}

/// The next thing a machine does.
#[derive(Clone, Debug)]
enum VmStep {
    Begin(Command),
    Prepared(Command),
    AgentUp(Command),
    Work(WorkspaceId, PromptId),
    Committed(Command),
    PostRows(WorkspaceId),
}

pub(crate) struct World {
    random: Random,
    trace: bool,
    pub(crate) now: Timestamp,
    queue: BinaryHeap<Reverse<(Timestamp, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next: u64,
    /// Whether things may still break.
    faults: bool,
    user: UserId,
    project: ProjectId,
    pub(crate) sessions: BTreeMap<Address, Actor<Session>>,
    pub(crate) tasks: BTreeMap<Address, Actor<Task>>,
    pub(crate) nodes: BTreeMap<Address, Actor<Node>>,
    pub(crate) pools: BTreeMap<Address, Actor<Pool>>,
    vms: Vec<Vm>,
    /// The connection that is really up, per machine.
    wires: Vec<Option<u64>>,
    next_connection: u64,
    /// When the last frame of a connection and direction arrives: sockets keep order.
    fifo: BTreeMap<(u64, bool), Timestamp>,
    /// What is stored of each workspace's rows.
    pub(crate) rows: BTreeMap<WorkspaceId, u64>,
    pub(crate) ledger: Ledger,
    /// Objects that were written since the invariants were last checked.
    pub(crate) touched: Vec<Address>,
    /// The one alarm each object has, as the runtime keeps it.
    alarms: BTreeMap<Address, Timestamp>,
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let now = Timestamp(1_800_000_000_000);
        let mut turn = Turn::new(now, random.next());
        let user = UserId::draw(&mut turn);
        let mut world = Self {
            trace: plan.trace,
            now,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next: 0,
            faults: true,
            user,
            project: ProjectId::draw(&mut turn),
            sessions: BTreeMap::new(),
            tasks: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pools: BTreeMap::new(),
            vms: Vec::new(),
            wires: Vec::new(),
            next_connection: 0,
            fifo: BTreeMap::new(),
            rows: BTreeMap::new(),
            ledger: Ledger::default(),
            touched: Vec::new(),
            alarms: BTreeMap::new(),
            random,
        };
        let machines = 1 + world.random.below(2);
        for number in 0..machines {
            let node = NodeId::draw(&mut turn);
            let room = 1 + world.random.below(3) as u32;
            let address = Address::Node(node.clone());
            world
                .nodes
                .insert(address.clone(), Actor::new(address.clone()));
            let join = NodeLocal::Join {
                node: node.clone(),
                owner: world.user.clone(),
                name: format!("machine-{number}"),
                token_hmac: String::new(),
            };
            world.vms.push(Vm::new(node, room));
            world.wires.push(None);
            world.faults = false;
            world.node_local(&address, join);
            world.faults = true;
            let at = world.random.span(0, 60_000);
            world.after(at, Happening::Restart(number as usize));
        }
        for _ in 0..2 + world.random.below(8) {
            let at = Millis(world.random.below(ACTIVE.0));
            world.after(at, Happening::Person);
        }
        world
    }

    fn run(&mut self) -> Result<(), String> {
        let active_until = self.now.plus(ACTIVE);
        let end = active_until.plus(QUIET);
        let mut events = 0;
        while let Some(Reverse((at, id))) = self.queue.pop() {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            self.faults = self.now < active_until;
            let Some(happening) = self.happenings.remove(&id) else {
                continue;
            };
            if self.trace {
                println!("{} {happening:?}", self.now.0);
            }
            self.happen(happening);
            events += 1;
            if events > EVENT_LIMIT {
                return Err("the world does not come to rest".to_owned());
            }
            crate::invariant::after_step(self)
                .map_err(|broken| format!("at {}: {broken}", self.now.0))?;
        }
        self.now = end;
        crate::invariant::at_rest(self)
    }

    fn after(&mut self, span: Millis, happening: Happening) {
        self.at(self.now.plus(span), happening);
    }

    fn at(&mut self, at: Timestamp, happening: Happening) {
        self.next += 1;
        self.happenings.insert(self.next, happening);
        self.queue.push(Reverse((at.max(self.now), self.next)));
    }

    /// Sets an object's alarm, only ever to an earlier moment.
    fn arm(&mut self, address: &Address, at: Timestamp) {
        let at = at.max(self.now);
        if self.alarms.get(address).is_none_or(|set| at < *set) {
            self.alarms.insert(address.clone(), at);
            self.at(at, Happening::Wake(address.clone()));
        }
    }

    fn breaks(&mut self, percent: u64) -> bool {
        self.faults && self.random.chance(percent)
    }

    fn turn(&mut self) -> Turn {
        Turn::new(self.now, self.random.next())
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver(envelope) => self.deliver(envelope),
            Happening::Answer {
                from,
                to,
                ordinal,
                receipt,
            } => self.answer(&from, &to, ordinal, receipt),
            Happening::Drain(address) => self.drain(&address),
            Happening::Wake(address) => self.wake(&address),
            Happening::Dial(vm) => self.dial(vm),
            Happening::Cut(vm) => self.cut(vm),
            Happening::ToObject {
                vm,
                connection,
                frame,
            } => {
                let local = NodeLocal::Frame { connection, frame };
                if let Some(address) = self.vms.get(vm).map(|vm| Address::Node(vm.node.clone())) {
                    self.node_local(&address, local);
                }
            }
            Happening::ToVm {
                vm,
                connection,
                frame,
            } => self.frame_arrives(vm, connection, frame),
            Happening::ClosedAtObject { vm, connection } => {
                if let Some(address) = self.vms.get(vm).map(|vm| Address::Node(vm.node.clone())) {
                    self.node_local(&address, NodeLocal::Closed { connection });
                }
            }
            Happening::Kill(vm) => self.kill(vm),
            Happening::Restart(vm) => self.restart(vm),
            Happening::Machine { vm, boot, step } => {
                if self
                    .vms
                    .get(vm)
                    .is_some_and(|vm| vm.boot == boot && vm.agent.is_some())
                {
                    self.vm_step(vm, step);
                }
            }
            Happening::RowsArrive {
                vm,
                boot,
                workspace,
                through,
            } => self.rows_arrive(vm, boot, workspace, through),
            Happening::RowsAnswered {
                vm,
                boot,
                workspace,
                through,
            } => {
                if let Some(vm) = self
                    .vms
                    .get_mut(vm)
                    .filter(|vm| vm.boot == boot && vm.agent.is_some())
                    && let Some(held) = vm.disk.workspaces.get_mut(&workspace)
                {
                    held.rows.retain(|n| *n > through);
                }
            }
            Happening::Person => self.person(),
        }
    }
}

fn settle<S>(
    actor: Option<&mut Actor<S>>,
    now: Timestamp,
    to: &Address,
    ordinal: u64,
    receipt: Option<Receipt>,
) {
    if let Some(actor) = actor {
        match receipt {
            Some(receipt) => actor.outbox.answered(now, to, ordinal, receipt),
            None => actor.outbox.failed(now, to),
        };
    }
}
