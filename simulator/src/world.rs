//! The world: objects, machines, the network between them, and the event loop.

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
            } => self.to_vm(vm, connection, frame),
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

    // --- objects -------------------------------------------------------------

    /// One turn of an object: it may be lost before the write, or its outputs
    /// after it. `None`: the caller hears nothing.
    fn object_turn<M: Machine>(
        &mut self,
        pick: fn(&mut Self) -> &mut BTreeMap<Address, Actor<M::State>>,
        address: &Address,
        act: impl FnOnce(&mut Actor<M::State>, &mut Turn) -> Handled<M::Output>,
    ) -> Option<Handled<M::Output>> {
        let mut turn = self.turn();
        let before = pick(self)
            .get(address)
            .cloned()
            .unwrap_or_else(|| Actor::new(address.clone()));
        let mut after = before.clone();
        let handled = act(&mut after, &mut turn);
        if self.breaks(2) {
            self.object_crashed(address);
            return None;
        }
        if handled.changed {
            if let Some(at) = after.wake_at() {
                self.arm(address, at);
            }
            let drain = after.outbox != before.outbox && !after.outbox.is_empty();
            pick(self).insert(address.clone(), after);
            self.touched.push(address.clone());
            if self.breaks(2) {
                self.object_crashed(address);
                return None;
            }
            if drain {
                self.after(Millis(0), Happening::Drain(address.clone()));
            }
        }
        Some(handled)
    }

    /// An object that crashes loses its sockets without a word.
    fn object_crashed(&mut self, address: &Address) {
        self.ledger.counts.object_crashes += 1;
        if let Address::Node(node) = address
            && let Some(vm) = self.vms.iter().position(|vm| vm.node == *node)
        {
            self.drop_wire(vm, false);
        }
    }

    fn session_local(&mut self, address: &Address, local: SessionLocal) -> bool {
        let handled = self.object_turn::<SessionMachine>(
            |w| &mut w.sessions,
            address,
            |a, t| a.local::<SessionMachine>(t, local),
        );
        self.session_outputs(address, handled)
    }

    fn session_outputs(
        &mut self,
        address: &Address,
        handled: Option<Handled<SessionOutput>>,
    ) -> bool {
        let Some(handled) = handled else {
            return false;
        };
        for output in handled.output {
            if let SessionOutput::CheckRows { workspace } = output {
                let through = self.rows.get(&workspace).copied().unwrap_or(0);
                let local = SessionLocal::RowsStored {
                    workspace,
                    through,
                    said: Vec::new(),
                };
                // In production this is the same turn; here it must not be lost apart from it.
                let faults = std::mem::replace(&mut self.faults, false);
                self.session_local(address, local);
                self.faults = faults;
            }
        }
        true
    }

    fn task_local(&mut self, address: &Address, local: TaskLocal) {
        self.object_turn::<TaskMachine>(
            |w| &mut w.tasks,
            address,
            |a, t| a.local::<TaskMachine>(t, local),
        );
    }

    fn node_local(&mut self, address: &Address, local: NodeLocal) {
        let handled = self.object_turn::<NodeMachine>(
            |w| &mut w.nodes,
            address,
            |a, t| a.local::<NodeMachine>(t, local),
        );
        self.node_outputs(address, handled);
    }

    fn node_outputs(&mut self, address: &Address, handled: Option<Handled<NodeOutput>>) {
        let Some(vm) = self
            .vms
            .iter()
            .position(|vm| Address::Node(vm.node.clone()) == *address)
        else {
            return;
        };
        for output in handled.map(|handled| handled.output).unwrap_or_default() {
            match output {
                NodeOutput::Send { connection, frame } => {
                    if let Some(at) = self.travel(vm, connection, true) {
                        self.at(
                            at,
                            Happening::ToVm {
                                vm,
                                connection,
                                frame: *frame,
                            },
                        );
                    }
                }
                NodeOutput::Close { connection, .. } => {
                    if self.wires.get(vm).copied().flatten() == Some(connection) {
                        self.drop_wire(vm, false);
                    }
                }
            }
        }
    }

    fn deliver(&mut self, envelope: Envelope) {
        let (from, to, ordinal) = (envelope.from.clone(), envelope.to.clone(), envelope.ordinal);
        let receipt = match &to {
            Address::Session { .. } => {
                let handled = self.object_turn::<SessionMachine>(
                    |w| &mut w.sessions,
                    &to,
                    |a, t| a.deliver::<SessionMachine>(t, envelope),
                );
                let receipt = handled.as_ref().and_then(|handled| handled.receipt);
                self.session_outputs(&to, handled);
                receipt
            }
            Address::Task(_) => self
                .object_turn::<TaskMachine>(
                    |w| &mut w.tasks,
                    &to,
                    |a, t| a.deliver::<TaskMachine>(t, envelope),
                )
                .and_then(|handled| handled.receipt),
            Address::Node(_) => {
                let handled = self.object_turn::<NodeMachine>(
                    |w| &mut w.nodes,
                    &to,
                    |a, t| a.deliver::<NodeMachine>(t, envelope),
                );
                let receipt = handled.as_ref().and_then(|handled| handled.receipt);
                self.node_outputs(&to, handled);
                receipt
            }
            Address::Pool(_) => self
                .object_turn::<PoolMachine>(
                    |w| &mut w.pools,
                    &to,
                    |a, t| a.deliver::<PoolMachine>(t, envelope),
                )
                .and_then(|handled| handled.receipt),
            Address::Index => Some(Receipt::Taken),
        };
        match receipt {
            Some(Receipt::Duplicate) => self.ledger.counts.duplicates += 1,
            Some(Receipt::Gap) => self.ledger.counts.gaps += 1,
            _ => {}
        }
        let lost = self.breaks(5);
        let span = self.random.span(1, 2_000);
        self.after(
            span,
            Happening::Answer {
                from,
                to,
                ordinal,
                receipt: receipt.filter(|_| !lost),
            },
        );
    }

    fn answer(&mut self, from: &Address, to: &Address, ordinal: u64, receipt: Option<Receipt>) {
        let now = self.now;
        match from {
            Address::Session { .. } => {
                settle(self.sessions.get_mut(from), now, to, ordinal, receipt)
            }
            Address::Task(_) => settle(self.tasks.get_mut(from), now, to, ordinal, receipt),
            Address::Node(_) => settle(self.nodes.get_mut(from), now, to, ordinal, receipt),
            Address::Pool(_) => settle(self.pools.get_mut(from), now, to, ordinal, receipt),
            Address::Index => {}
        }
        if let Some(at) = self.wake_at(from) {
            self.arm(from, at);
        }
        if receipt.is_some_and(Receipt::settles) {
            self.after(Millis(0), Happening::Drain(from.clone()));
        }
    }

    fn wake_at(&self, address: &Address) -> Option<Timestamp> {
        match address {
            Address::Session { .. } => self.sessions.get(address).and_then(Actor::wake_at),
            Address::Task(_) => self.tasks.get(address).and_then(Actor::wake_at),
            Address::Node(_) => self.nodes.get(address).and_then(Actor::wake_at),
            Address::Pool(_) => self.pools.get(address).and_then(Actor::wake_at),
            Address::Index => None,
        }
    }

    /// Sends what is due: the first to each receiver, as the shell does.
    fn drain(&mut self, address: &Address) {
        let now = self.now;
        let due = match address {
            Address::Session { .. } => self.sessions.get(address).map(|a| a.due(now, 20)),
            Address::Task(_) => self.tasks.get(address).map(|a| a.due(now, 20)),
            Address::Node(_) => self.nodes.get(address).map(|a| a.due(now, 20)),
            Address::Pool(_) => self.pools.get(address).map(|a| a.due(now, 20)),
            Address::Index => None,
        };
        for envelope in due.unwrap_or_default() {
            if self.breaks(5) {
                self.ledger.counts.lost += 1;
                let (from, to, ordinal) = (envelope.from, envelope.to, envelope.ordinal);
                self.after(
                    Millis(5_000),
                    Happening::Answer {
                        from,
                        to,
                        ordinal,
                        receipt: None,
                    },
                );
                continue;
            }
            if self.breaks(3) {
                let span = self.random.span(1, 30_000);
                self.after(span, Happening::Deliver(envelope.clone()));
            }
            let span = self.random.span(1, 3_000);
            self.after(span, Happening::Deliver(envelope));
        }
    }

    fn wake(&mut self, address: &Address) {
        if self.alarms.get(address) != Some(&self.now) {
            return;
        }
        self.alarms.remove(address);
        if let Some(at) = self.wake_at(address)
            && at > self.now
        {
            self.arm(address, at);
            return;
        }
        let committed = match address {
            Address::Session { .. } => {
                let handled = self.object_turn::<SessionMachine>(
                    |w| &mut w.sessions,
                    address,
                    |a, t| a.wake::<SessionMachine>(t),
                );
                self.session_outputs(address, handled)
            }
            Address::Task(_) => self
                .object_turn::<TaskMachine>(
                    |w| &mut w.tasks,
                    address,
                    |a, t| a.wake::<TaskMachine>(t),
                )
                .is_some(),
            Address::Node(node) => {
                let alive = self
                    .vms
                    .iter()
                    .position(|vm| vm.node == *node)
                    .is_some_and(|vm| {
                        self.wires.get(vm).copied().flatten().is_some()
                            && self.vms.get(vm).is_some_and(|vm| vm.agent.is_some())
                    });
                if alive {
                    let at = self.now;
                    self.node_local(address, NodeLocal::Seen { at });
                }
                let handled = self.object_turn::<NodeMachine>(
                    |w| &mut w.nodes,
                    address,
                    |a, t| a.wake::<NodeMachine>(t),
                );
                let committed = handled.is_some();
                self.node_outputs(address, handled);
                committed
            }
            Address::Pool(_) => self
                .object_turn::<PoolMachine>(
                    |w| &mut w.pools,
                    address,
                    |a, t| a.wake::<PoolMachine>(t),
                )
                .is_some(),
            Address::Index => true,
        };
        if !committed {
            // The runtime repeats an alarm whose turn was lost.
            self.arm(address, self.now.plus(Millis(2_000)));
        }
        self.drain(address);
        // Still something to do: the shell re-arms before it ends.
        if let Some(at) = self.wake_at(address) {
            let at = at.max(self.now.plus(Millis(500)));
            self.arm(address, at);
        }
    }

    // --- the link ----------------------------------------------------------------

    /// When a frame sent now arrives; `None` when its wire is down.
    fn travel(&mut self, vm: usize, connection: u64, down: bool) -> Option<Timestamp> {
        if self.wires.get(vm).copied().flatten() != Some(connection) {
            return None;
        }
        let at = self.now.plus(self.random.span(1, 500));
        let last = self.fifo.entry((connection, down)).or_insert(at);
        *last = (*last).max(at);
        Some(*last)
    }

    fn dial(&mut self, vm: usize) {
        let up = self.wires.get(vm).copied().flatten().is_some();
        if up || self.vms.get(vm).is_none_or(|vm| vm.agent.is_none()) {
            return;
        }
        self.next_connection += 1;
        let connection = self.next_connection;
        if let Some(wire) = self.wires.get_mut(vm) {
            *wire = Some(connection);
        }
        let Some(outcome) = self.vms.get_mut(vm).and_then(|vm| {
            vm.connection = Some(connection);
            vm.agent
                .as_mut()
                .map(sam_domain::link::agent_end::AgentEnd::connected)
        }) else {
            return;
        };
        self.vm_perform(vm, outcome);
        if self.faults {
            let span = self.random.span(1_000, 1_200_000);
            self.after(span, Happening::Cut(vm));
        }
    }

    fn cut(&mut self, vm: usize) {
        if self.breaks(70) {
            self.ledger.counts.cuts += 1;
            self.drop_wire(vm, true);
        }
    }

    /// The wire breaks; frames on it are lost. The object hears of it or not;
    /// the node does and dials again.
    fn drop_wire(&mut self, vm: usize, object_hears: bool) {
        let Some(connection) = self.wires.get_mut(vm).and_then(Option::take) else {
            return;
        };
        if object_hears && self.random.chance(80) {
            let span = self.random.span(1, 10_000);
            self.after(span, Happening::ClosedAtObject { vm, connection });
        }
        if let Some(machine) = self.vms.get_mut(vm) {
            machine.connection = None;
            if let Some(agent) = machine.agent.as_mut() {
                agent.disconnected();
            }
        }
        let least = if self.random.chance(10) { 200_000 } else { 500 };
        let span = self.random.span(least, least + 30_000);
        self.after(span, Happening::Dial(vm));
    }

    fn to_vm(&mut self, vm: usize, connection: u64, frame: ObjectFrame) {
        if self.wires.get(vm).copied().flatten() != Some(connection) {
            return;
        }
        let Some(outcome) = self
            .vms
            .get_mut(vm)
            .filter(|vm| vm.connection == Some(connection))
            .and_then(|vm| vm.agent.as_mut())
            .map(|agent| agent.frame(frame))
        else {
            return;
        };
        self.vm_perform(vm, outcome);
    }

    // --- machines ------------------------------------------------------------------

    /// Writes, then does; the process may die before the one or the other.
    fn vm_perform(&mut self, vm: usize, outcome: Outcome) {
        if self.breaks(1) {
            self.kill(vm);
            return;
        }
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        for write in &outcome.write {
            machine.disk.link.apply(write);
        }
        let (boot, connection) = (machine.boot, machine.connection);
        if self.breaks(1) {
            self.kill(vm);
            return;
        }
        for action in outcome.then {
            match action {
                Do::Send(frame) => {
                    if let Some(connection) = connection
                        && let Some(at) = self.travel(vm, connection, false)
                    {
                        self.at(
                            at,
                            Happening::ToObject {
                                vm,
                                connection,
                                frame,
                            },
                        );
                    }
                }
                Do::Begin(command) => {
                    let span = self.random.span(1, 5_000);
                    self.after(
                        span,
                        Happening::Machine {
                            vm,
                            boot,
                            step: VmStep::Begin(command),
                        },
                    );
                }
                Do::Close { .. } => self.drop_wire(vm, false),
            }
        }
    }

    fn kill(&mut self, vm: usize) {
        self.ledger.counts.kills += 1;
        self.drop_wire(vm, true);
        let lost = self.breaks(10);
        let count = self.ledger.counts.disks_lost;
        if let Some(machine) = self.vms.get_mut(vm) {
            machine.kill();
            if lost {
                machine.lose_disk(count);
            }
        }
        self.ledger.counts.disks_lost += u64::from(lost);
        let least = if self.random.chance(10) {
            300_000
        } else {
            1_000
        };
        let span = self.random.span(least, least + 60_000);
        self.after(span, Happening::Restart(vm));
    }

    fn restart(&mut self, vm: usize) {
        let now = self.now;
        let Some(machine) = self.vms.get_mut(vm).filter(|vm| vm.agent.is_none()) else {
            return;
        };
        let drafts = machine.start(now);
        let boot = machine.boot;
        let mut again = Vec::new();
        if let Some(agent) = machine.agent.as_mut() {
            for draft in drafts {
                for write in agent.emit(draft).write {
                    machine.disk.link.apply(&write);
                }
            }
            again.extend(agent.open_commands().cloned());
        }
        for command in again {
            let span = self.random.span(1, 1_000);
            self.after(
                span,
                Happening::Machine {
                    vm,
                    boot,
                    step: VmStep::Begin(command),
                },
            );
        }
        let posts: Vec<_> = self
            .vms
            .get(vm)
            .map(|vm| vm.disk.workspaces.keys().cloned().collect())
            .unwrap_or_default();
        for workspace in posts {
            self.after(
                Millis(10),
                Happening::Machine {
                    vm,
                    boot,
                    step: VmStep::PostRows(workspace),
                },
            );
        }
        self.after(Millis(20), Happening::Dial(vm));
        if self.faults {
            let span = self.random.span(5_000, 2_400_000);
            self.after(span, Happening::Kill(vm));
        }
    }

    fn finish(&mut self, vm: usize, command: &Command, mut events: Vec<Event>) {
        if !events
            .iter()
            .any(|event| matches!(event, Event::CommandFailed { .. }))
        {
            events.push(Event::CommandDone {
                command: command.id.clone(),
            });
        }
        let at = self.now;
        let drafts = events
            .into_iter()
            .map(|event| Draft {
                workspace: Some(command.workspace.clone()),
                attempt: command.attempt,
                at,
                event,
            })
            .collect();
        let outcome = self
            .vms
            .get_mut(vm)
            .and_then(|vm| vm.agent.as_mut())
            .map(|agent| agent.finish(&command.id, drafts));
        if let Some(outcome) = outcome {
            self.vm_perform(vm, outcome);
        }
    }

    fn emit(&mut self, vm: usize, workspace: &WorkspaceId, attempt: u32, event: Event) {
        let draft = Draft {
            workspace: Some(workspace.clone()),
            attempt,
            at: self.now,
            event,
        };
        let outcome = self
            .vms
            .get_mut(vm)
            .and_then(|vm| vm.agent.as_mut())
            .map(|agent| agent.emit(draft));
        if let Some(outcome) = outcome {
            self.vm_perform(vm, outcome);
        }
    }

    fn failed(command: &CommandId, code: &str) -> Event {
        Event::CommandFailed {
            command: command.clone(),
            code: code.to_owned(),
            message: code.to_owned(),
            hint: None,
        }
    }

    fn vm_step(&mut self, vm: usize, step: VmStep) {
        let boot = self.vms.get(vm).map_or(0, |vm| vm.boot);
        match step {
            VmStep::Begin(command) => self.begin(vm, boot, command),
            VmStep::Prepared(command) => {
                let events = if self.breaks(5) {
                    vec![Self::failed(&command.id, "clone_failed")]
                } else {
                    vec![Event::WorkspaceReady {
                        branch: "sam/x".to_owned(),
                        base_commit: "0".to_owned(),
                    }]
                };
                self.finish(vm, &command, events);
            }
            VmStep::AgentUp(command) => self.agent_up(vm, &command),
            VmStep::Work(workspace, prompt) => self.work(vm, boot, workspace, prompt),
            VmStep::Committed(command) => {
                let push_error = self.breaks(5).then(|| "refused".to_owned());
                let commit = Some("abc".to_owned());
                let result = Event::GitResult {
                    commit,
                    push_error,
                    files_changed: 1,
                    added: 1,
                    removed: 0,
                    diff: None,
                };
                self.finish(vm, &command, vec![result]);
            }
            VmStep::PostRows(workspace) => self.post_rows(vm, boot, workspace),
        }
    }

    fn begin(&mut self, vm: usize, boot: u64, command: Command) {
        let id = command.workspace.clone();
        match &command.action {
            Action::PrepareWorkspace { .. } => {
                if let Some(machine) = self.vms.get_mut(vm) {
                    let fresh = Workspace {
                        attempt: command.attempt,
                        ..Workspace::default()
                    };
                    machine.disk.workspaces.entry(id.clone()).or_insert(fresh);
                }
                self.emit(
                    vm,
                    &id,
                    command.attempt,
                    Event::WorkspacePhase {
                        phase: "cloning".to_owned(),
                    },
                );
                let slow = if self.breaks(3) { 1_200_000 } else { 1_000 };
                let span = self.random.span(slow, slow + 20_000);
                self.after(
                    span,
                    Happening::Machine {
                        vm,
                        boot,
                        step: VmStep::Prepared(command),
                    },
                );
            }
            Action::StartAgent { agent_session, .. } => {
                let slow = if self.breaks(3) { 400_000 } else { 500 };
                let agent_session = agent_session.clone();
                if let Some(held) = self
                    .vms
                    .get_mut(vm)
                    .and_then(|vm| vm.disk.workspaces.get_mut(&id))
                {
                    held.agent = Some(agent_session.clone());
                } else {
                    let event = Self::failed(&command.id, "workspace_gone");
                    self.finish(vm, &command, vec![event]);
                    return;
                }
                self.emit(
                    vm,
                    &id,
                    command.attempt,
                    Event::AgentState {
                        agent_session,
                        state: AgentState::Starting,
                    },
                );
                let span = self.random.span(slow, slow + 5_000);
                self.after(
                    span,
                    Happening::Machine {
                        vm,
                        boot,
                        step: VmStep::AgentUp(command),
                    },
                );
            }
            Action::Prompt {
                agent_session,
                prompt,
                ..
            } => {
                let alive = self
                    .vms
                    .get(vm)
                    .and_then(|vm| vm.processes.get(&id))
                    .is_some_and(|process| {
                        process.session == *agent_session && process.work.is_none()
                    });
                if !alive {
                    let event = Self::failed(&command.id, "agent_gone");
                    self.finish(vm, &command, vec![event]);
                    return;
                }
                let prompt = prompt.clone();
                let rows = 1 + self.random.below(6);
                self.ledger.begun(&prompt);
                if let Some(machine) = self.vms.get_mut(vm) {
                    if let Some(process) = machine.processes.get_mut(&id) {
                        process.work = Some((prompt.clone(), rows));
                    }
                    if let Some(held) = machine.disk.workspaces.get_mut(&id) {
                        held.prompt = Some(prompt.clone());
                    }
                }
                self.finish(
                    vm,
                    &command,
                    vec![Event::PromptStarted {
                        prompt: prompt.clone(),
                    }],
                );
                let span = self.random.span(100, 5_000);
                self.after(
                    span,
                    Happening::Machine {
                        vm,
                        boot,
                        step: VmStep::Work(id, prompt),
                    },
                );
            }
            Action::CancelPrompt { prompt } => {
                let prompt = prompt.clone();
                self.end_turn(vm, &id, &prompt, StopReason::Cancelled);
                self.finish(vm, &command, Vec::new());
            }
            Action::StopAgent | Action::DeleteWorkspace => {
                let now = self.now;
                let working = self
                    .vms
                    .get(vm)
                    .and_then(|vm| vm.disk.workspaces.get(&id))
                    .and_then(|w| w.prompt.clone());
                if let Some(prompt) = working {
                    self.end_turn(vm, &id, &prompt, StopReason::Cancelled);
                }
                let buried = self
                    .vms
                    .get_mut(vm)
                    .map(|vm| vm.bury(&id, now, "was stopped"))
                    .unwrap_or_default();
                for draft in buried {
                    self.emit_with_disk(vm, draft);
                }
                let delete = matches!(command.action, Action::DeleteWorkspace);
                self.finish(vm, &command, Vec::new());
                if delete && let Some(machine) = self.vms.get_mut(vm) {
                    machine.disk.workspaces.remove(&id);
                }
            }
            Action::FinishGit { .. } => {
                let span = self.random.span(200, 10_000);
                self.after(
                    span,
                    Happening::Machine {
                        vm,
                        boot,
                        step: VmStep::Committed(command),
                    },
                );
            }
        }
    }

    fn agent_up(&mut self, vm: usize, command: &Command) {
        let Action::StartAgent { agent_session, .. } = &command.action else {
            return;
        };
        let id = command.workspace.clone();
        let wanted = self
            .vms
            .get(vm)
            .and_then(|vm| vm.disk.workspaces.get(&id))
            .is_some_and(|held| held.agent.as_ref() == Some(agent_session));
        if !wanted {
            self.finish(vm, command, vec![Self::failed(&command.id, "stopped")]);
            return;
        }
        if self.breaks(5) {
            if let Some(held) = self
                .vms
                .get_mut(vm)
                .and_then(|vm| vm.disk.workspaces.get_mut(&id))
            {
                held.agent = None;
            }
            self.finish(
                vm,
                command,
                vec![Self::failed(&command.id, "agent_not_installed")],
            );
            return;
        }
        if let Some(machine) = self.vms.get_mut(vm) {
            machine.processes.insert(
                id,
                Process {
                    session: agent_session.clone(),
                    work: None,
                },
            );
        }
        let ready = Event::AgentState {
            agent_session: agent_session.clone(),
            state: AgentState::Ready,
        };
        self.finish(vm, command, vec![ready]);
    }

    fn work(&mut self, vm: usize, boot: u64, id: WorkspaceId, prompt: PromptId) {
        if self.breaks(4) {
            // The coding agent dies in mid-work.
            let now = self.now;
            self.ledger.counts.agents_killed += 1;
            let drafts = self
                .vms
                .get_mut(vm)
                .map(|vm| vm.bury(&id, now, "was killed"))
                .unwrap_or_default();
            for draft in drafts {
                self.emit_with_disk(vm, draft);
            }
            return;
        }
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        let (Some(process), Some(held)) = (
            machine.processes.get_mut(&id),
            machine.disk.workspaces.get_mut(&id),
        ) else {
            return;
        };
        let Some((working, left)) = process
            .work
            .as_mut()
            .filter(|(working, _)| *working == prompt)
        else {
            return;
        };
        let _ = working;
        held.next_n += 1;
        held.rows.push_back(held.next_n);
        *left -= 1;
        let over = *left == 0;
        self.after(
            Millis(50),
            Happening::Machine {
                vm,
                boot,
                step: VmStep::PostRows(id.clone()),
            },
        );
        if over {
            let reason = match self.random.below(20) {
                0 => StopReason::Error {
                    message: "model unreachable".to_owned(),
                },
                1 => StopReason::MaxTokens,
                _ => StopReason::EndTurn,
            };
            self.end_turn(vm, &id, &prompt, reason);
        } else {
            let span = self.random.span(100, 60_000);
            self.after(
                span,
                Happening::Machine {
                    vm,
                    boot,
                    step: VmStep::Work(id, prompt),
                },
            );
        }
    }

    /// The agent's turn is over: the report and the disk's memory of it go together.
    fn end_turn(
        &mut self,
        vm: usize,
        id: &WorkspaceId,
        prompt: &PromptId,
        stop_reason: StopReason,
    ) {
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        if let Some(process) = machine.processes.get_mut(id) {
            process.work = None;
        }
        let Some(held) = machine.disk.workspaces.get_mut(id) else {
            return;
        };
        if held.prompt.as_ref() != Some(prompt) {
            return;
        }
        held.prompt = None;
        let (attempt, rows_through) = (held.attempt, held.next_n);
        self.ledger.written(id, rows_through);
        let draft = Draft {
            workspace: Some(id.clone()),
            attempt,
            at: self.now,
            event: Event::PromptFinished {
                prompt: prompt.clone(),
                stop_reason,
                rows_through,
            },
        };
        self.emit_with_disk(vm, draft);
    }

    /// An event that belongs to a change of the disk's own memory: one
    /// transaction, so the one is never lost apart from the other.
    fn emit_with_disk(&mut self, vm: usize, draft: Draft) {
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        let outcome = machine
            .agent
            .as_mut()
            .map(|agent| agent.emit(draft))
            .unwrap_or_default();
        for write in &outcome.write {
            machine.disk.link.apply(write);
        }
        self.vm_perform(
            vm,
            Outcome {
                write: Vec::new(),
                then: outcome.then,
            },
        );
    }

    // --- rows ----------------------------------------------------------------------

    fn post_rows(&mut self, vm: usize, boot: u64, workspace: WorkspaceId) {
        let Some(through) = self
            .vms
            .get(vm)
            .and_then(|vm| vm.disk.workspaces.get(&workspace))
            .and_then(|held| held.rows.back().copied())
        else {
            return;
        };
        let lost = self.breaks(10);
        if !lost {
            let span = self.random.span(1, 5_000);
            let workspace = workspace.clone();
            self.after(
                span,
                Happening::RowsArrive {
                    vm,
                    boot,
                    workspace,
                    through,
                },
            );
        }
        self.after(
            Millis(10_000),
            Happening::Machine {
                vm,
                boot,
                step: VmStep::PostRows(workspace),
            },
        );
    }

    fn rows_arrive(&mut self, vm: usize, boot: u64, workspace: WorkspaceId, through: u64) {
        let Some(node) = self.vms.get(vm).map(|vm| Address::Node(vm.node.clone())) else {
            return;
        };
        let Some(scope) = self
            .nodes
            .get(&node)
            .and_then(|node| node.state.scope(&workspace))
        else {
            return;
        };
        let address = Address::Session {
            project: scope.project,
            session: scope.session,
        };
        let takes = self
            .sessions
            .get(&address)
            .is_some_and(|a| a.state.takes_rows_from(&workspace, scope.attempt));
        if takes {
            let stored = self.rows.entry(workspace.clone()).or_insert(0);
            *stored = (*stored).max(through);
            let through = *stored;
            let waits = self
                .sessions
                .get(&address)
                .is_some_and(|a| a.state.awaits_rows_from(&workspace));
            if waits {
                let local = SessionLocal::RowsStored {
                    workspace: workspace.clone(),
                    through,
                    said: Vec::new(),
                };
                if !self.session_local(&address, local) {
                    return;
                }
            }
        }
        if !self.breaks(5) {
            let span = self.random.span(1, 1_000);
            self.after(
                span,
                Happening::RowsAnswered {
                    vm,
                    boot,
                    workspace,
                    through,
                },
            );
        }
    }

    // --- people ----------------------------------------------------------------------

    fn person(&mut self) {
        let mut turn = self.turn();
        let known: Vec<_> = self.sessions.keys().cloned().collect();
        let picked = self.random.below(known.len() as u64) as usize;
        let act = if known.is_empty() {
            Act::Submit(sam_domain::task::TaskMode::Task)
        } else {
            Act::draw(&mut self.random)
        };
        let session = known.get(picked).cloned();
        let task = session
            .as_ref()
            .and_then(|session| self.sessions.get(session))
            .and_then(|actor| actor.state.task.as_ref())
            .map(|task| Address::Task(task.id.clone()));
        match (act, session, task) {
            (Act::Submit(mode), _, _) => {
                let session = SessionId::draw(&mut turn);
                let intent = TaskIntent {
                    task: TaskId::draw(&mut turn),
                    project: self.project.clone(),
                    session: session.clone(),
                    user: self.user.clone(),
                    created_at: self.now,
                    title: "work".to_owned(),
                    repository: "/repository".to_owned(),
                    base: None,
                    branch: "sam/work".to_owned(),
                    agent: "sam-harness".to_owned(),
                    mode,
                };
                let address = Address::Session {
                    project: self.project.clone(),
                    session,
                };
                let prompt = PromptId::draw(&mut turn);
                let local = SessionLocal::Submit {
                    intent: Box::new(intent),
                    prompt: prompt.clone(),
                    row: RowId::draw(&mut turn),
                    text: "do it".to_owned(),
                };
                self.session_local(&address, local);
                self.ledger
                    .accepted_if_stored(&self.sessions, &address, prompt);
            }
            (Act::Prompt, Some(address), _) => {
                let prompt = PromptId::draw(&mut turn);
                let local = SessionLocal::AddPrompt {
                    prompt: prompt.clone(),
                    row: RowId::draw(&mut turn),
                    by: self.user.clone(),
                    text: "and this".to_owned(),
                };
                self.session_local(&address, local);
                self.ledger
                    .accepted_if_stored(&self.sessions, &address, prompt);
            }
            (Act::Remove, Some(address), _) => {
                let queued = self.sessions.get(&address).and_then(|actor| {
                    actor
                        .state
                        .prompts
                        .iter()
                        .find(|p| p.state == PromptState::Queued)
                        .map(|p| p.id.clone())
                });
                if let Some(prompt) = queued {
                    self.session_local(&address, SessionLocal::RemovePrompt { prompt });
                }
            }
            (Act::CancelTurn, Some(address), _) => {
                self.session_local(&address, SessionLocal::CancelTurn);
            }
            (Act::CancelTask, _, Some(task)) => self.task_local(
                &task,
                TaskLocal::Cancel {
                    by: self.user.clone(),
                },
            ),
            (Act::Close, _, Some(task)) => self.task_local(
                &task,
                TaskLocal::Close {
                    by: self.user.clone(),
                },
            ),
            _ => {}
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
