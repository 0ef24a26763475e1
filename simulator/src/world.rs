//! The world: objects, machines, the network between them, and the event loop.

mod clock;
mod feed;
mod machine_faults;
mod machines;
mod mail;
mod objects;
mod people;
mod rows;
mod turns;
mod wire;

use crate::conditions::Conditions;
use crate::counts::Counts;
use crate::coverage::Coverage;
use crate::defect::Defect;
use crate::invariant::Ledger;
use crate::person::Act;
use crate::random::Random;
use crate::vm::{Process, Vm, Workspace};
use feed::Feed;
use sam_domain::actor::inbox::Receipt;
use sam_domain::actor::message::TaskIntent;
use sam_domain::actor::{Actor, Address, Envelope};
use sam_domain::conversation::session::{Session, SessionLocal, SessionMachine, SessionOutput};
use sam_domain::conversation::wire::PromptState;
use sam_domain::feed::{ClientFrame, ServerFrame};
use sam_domain::id::{
    CommandId, Id, NodeId, ProjectId, PromptId, RowId, SessionId, TaskId, UserId, WorkspaceId,
};
use sam_domain::link::agent_end::{AgentEnd, Do, Draft, Outcome};
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
use std::collections::{BTreeMap, BinaryHeap};

/// One run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// The seed; it decides everything.
    pub seed: u64,
    /// Tell every event.
    pub trace: bool,
    /// A mistake that the world makes on purpose.
    pub defect: Option<Defect>,
}

/// What a run was worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What happened.
    pub counts: Counts,
    /// Which moves were made.
    pub coverage: Coverage,
}

/// How long people act and things break.
const ACTIVE: Millis = Millis::minutes(20);
/// How long the world is then left alone, at most.
const QUIET: Millis = Millis::hours(110);
/// More events than this mean that something feeds on itself.
const EVENT_LIMIT: u64 = 60_000;

/// Runs one seed. `Err` says which invariant broke, and when.
///
/// # Errors
/// The first broken invariant.
pub fn run(plan: Plan) -> Result<Report, String> {
    let mut world = World::new(plan);
    world.run()?;
    Ok(Report {
        counts: world.ledger.counts,
        coverage: world.coverage,
    })
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Happening {
    Deliver(Envelope, u64),
    Answer {
        from: Address,
        to: Address,
        ordinal: u64,
        receipt: Option<Receipt>,
        drain: u64,
    },
    Drain(Address),
    Wake(Address),
    ClockJump,
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
    Twin(usize),
    Machine {
        vm: usize,
        boot: u64,
        step: VmStep,
    },
    /// Rows that were refused are offered again, far apart.
    OfferAgain {
        vm: usize,
        boot: u64,
        workspace: WorkspaceId,
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
        through: Option<u64>,
    },
    Person,
    Pardon(Address),
    Undrain(Address),
    FeedDial(usize),
    FeedCut(usize),
    FeedUp {
        client: usize,
        socket: u64,
        frame: ClientFrame,
    },
    FeedDown {
        client: usize,
        socket: u64,
        frame: ServerFrame,
    },
    FeedTrouble,
}

impl Happening {
    /// Whether it goes on for ever without anything being wrong: the lease of a
    /// machine, rows that nobody takes any more.
    const fn is_idle(&self) -> bool {
        matches!(self, Self::Wake(Address::Node(_)) | Self::OfferAgain { .. })
    }
}

/// The next thing a machine does.
#[derive(Clone, Debug)]
enum VmStep {
    Begin(Command),
    Prepared(Command),
    AgentUp(Command),
    Work(WorkspaceId, PromptId),
    Committed(Command),
    Deleted(Command),
    PostRows(WorkspaceId),
}

/// A happening at its time; the earliest is the greatest.
struct Queued {
    at: Timestamp,
    number: u64,
    what: Box<Happening>,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

pub(crate) struct World {
    random: Random,
    trace: bool,
    pub(crate) defect: Option<Defect>,
    conditions: Conditions,
    /// The true time; nobody's clock has to agree with it.
    pub(crate) now: Timestamp,
    /// How far the objects' clock is from it, in milliseconds.
    skew: i64,
    queue: BinaryHeap<Queued>,
    next: u64,
    /// Happenings in the queue that are not idle.
    busy: usize,
    /// Whether things may still break.
    faults: bool,
    user: UserId,
    project: ProjectId,
    pub(crate) sessions: BTreeMap<Address, Actor<Session>>,
    pub(crate) tasks: BTreeMap<Address, Actor<Task>>,
    pub(crate) nodes: BTreeMap<Address, Actor<Node>>,
    pub(crate) pools: BTreeMap<Address, Actor<Pool>>,
    /// Deliveries under way, per sender: which drain, and how many.
    drains: BTreeMap<Address, (u64, usize)>,
    next_drain: u64,
    pub(crate) vms: Vec<Vm>,
    next_boot: u64,
    next_store: u64,
    /// The connection that is really up, per machine.
    pub(crate) wires: Vec<Option<u64>>,
    next_connection: u64,
    /// When the last frame of a connection and direction arrives: sockets keep order.
    fifo: BTreeMap<(u64, bool), Timestamp>,
    /// What is stored of each workspace's rows.
    pub(crate) rows: BTreeMap<WorkspaceId, u64>,
    pub(crate) feed: Option<Feed>,
    pub(crate) ledger: Ledger,
    pub(crate) coverage: Coverage,
    /// Objects that were written since the invariants were last checked.
    pub(crate) touched: Vec<Address>,
    /// The one alarm each object has, as the runtime keeps it, by the objects' clock.
    alarms: BTreeMap<Address, Timestamp>,
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let conditions = Conditions::draw(&mut random);
        let now = Timestamp(1_800_000_000_000);
        let mut turn = Turn::new(now, random.next());
        let project = ProjectId::draw(&mut turn);
        let mut world = Self {
            trace: plan.trace,
            defect: plan.defect,
            conditions,
            now,
            skew: 0,
            queue: BinaryHeap::new(),
            next: 0,
            busy: 0,
            faults: true,
            user: UserId::draw(&mut turn),
            feed: conditions.feed.then(|| Feed::new(project.clone())),
            project,
            sessions: BTreeMap::new(),
            tasks: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pools: BTreeMap::new(),
            drains: BTreeMap::new(),
            next_drain: 0,
            vms: Vec::new(),
            next_boot: 0,
            next_store: 1,
            wires: Vec::new(),
            next_connection: 0,
            fifo: BTreeMap::new(),
            rows: BTreeMap::new(),
            ledger: Ledger::default(),
            coverage: Coverage::default(),
            touched: Vec::new(),
            alarms: BTreeMap::new(),
            random,
        };
        world.plan_machines(&mut turn);
        let acts = 2 + world.random.below(if conditions.crowd { 120 } else { 8 });
        for _ in 0..acts {
            let at = Millis(world.random.below(ACTIVE.0));
            world.after(at, Happening::Person);
        }
        if conditions.clocks {
            for _ in 0..=world.random.below(3) {
                let at = Millis(world.random.below(ACTIVE.0));
                world.after(at, Happening::ClockJump);
            }
        }
        world.plan_feed();
        world
    }

    fn plan_machines(&mut self, turn: &mut Turn) {
        self.faults = false;
        for number in 0..=self.random.below(2) as usize {
            let node = NodeId::draw(turn);
            let room = 1 + self.random.below(3) as u32;
            let skew = match self.conditions.clocks {
                true => self.random.below(172_800_000) as i64 - 86_400_000,
                false => 0,
            };
            let address = Address::Node(node.clone());
            let join = NodeLocal::Join {
                node: node.clone(),
                owner: self.user.clone(),
                name: format!("machine-{number}"),
                token_hmac: "token".to_owned(),
            };
            self.vms.push(Vm::new(node, room, skew));
            self.wires.push(None);
            self.node_local(&address, join);
            if self.random.chance(1) {
                // Its owner knows before it comes for the first time that it shall take no work.
                self.drain_for_a_while(&address);
            }
            let at = self.random.span(0, 60_000);
            self.after(at, Happening::Restart(number));
            if self.conditions.twins {
                let at = Millis(self.random.below(ACTIVE.0));
                self.after(at, Happening::Twin(number));
            }
        }
        self.faults = true;
    }

    fn run(&mut self) -> Result<(), String> {
        let active_until = self.now.plus(ACTIVE);
        let end = active_until.plus(QUIET);
        while let Some(Queued { at, what, .. }) = self.queue.pop() {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            self.faults = self.now < active_until;
            if what.is_idle() {
                if self.busy == 0 && !self.faults && self.only_leases_are_left() {
                    break;
                }
            } else {
                self.busy -= 1;
            }
            if self.trace {
                println!("{} {what:?}", self.now.0);
            }
            self.happen(*what);
            self.ledger.counts.events += 1;
            if self.ledger.counts.events > EVENT_LIMIT {
                return Err("the world does not come to rest".to_owned());
            }
            crate::invariant::after_step(self)
                .map_err(|broken| format!("at {}: {broken}", self.now.0))?;
        }
        self.now = end;
        crate::invariant::at_rest(self)
    }

    /// Nothing is on its way and no step has a deadline: what still happens is
    /// that leases are renewed and rows without a taker are offered.
    fn only_leases_are_left(&self) -> bool {
        self.nodes.values().all(|node| {
            let up = node.state.link.connection.is_some_and(|connection| {
                let vm = self.vm_of_connection(connection);
                vm.is_some_and(|vm| self.vms.get(vm).is_some_and(|vm| vm.agent.is_some()))
            });
            (up || !node.state.is_watched())
                && node.outbox.is_empty()
                && node.state.contested_until.is_none()
                && node.state.commands.iter().all(|queued| queued.sent)
        })
    }

    pub(crate) fn vm_of_connection(&self, connection: u64) -> Option<usize> {
        self.wires.iter().position(|wire| *wire == Some(connection))
    }

    fn after(&mut self, span: Millis, happening: Happening) {
        self.at(self.now.plus(span), happening);
    }

    fn at(&mut self, at: Timestamp, happening: Happening) {
        self.next += 1;
        self.busy += usize::from(!happening.is_idle());
        self.queue.push(Queued {
            at: at.max(self.now),
            number: self.next,
            what: Box::new(happening),
        });
    }

    fn breaks(&mut self, percent: u64) -> bool {
        self.faults && percent > 0 && self.random.chance(percent)
    }

    /// Whether this run has that defect, and it strikes now.
    fn errs(&mut self, defect: Defect, percent: u64) -> bool {
        self.defect == Some(defect) && self.random.chance(percent)
    }

    fn turn(&mut self) -> Turn {
        Turn::new(self.object_now(), self.random.next())
    }

    fn node_of(&self, vm: usize) -> Option<Address> {
        self.vms.get(vm).map(|vm| Address::Node(vm.node.clone()))
    }

    fn lives(&self, vm: usize, boot: u64) -> bool {
        self.vms
            .get(vm)
            .is_some_and(|vm| vm.boot == boot && vm.agent.is_some())
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver(envelope, drain) => self.deliver(envelope, drain),
            Happening::Answer {
                from,
                to,
                ordinal,
                receipt,
                drain,
            } => self.answer(&from, &to, ordinal, receipt, drain),
            Happening::Drain(address) => self.drain(&address),
            Happening::Wake(address) => self.wake(&address),
            Happening::ClockJump => self.clock_jump(),
            Happening::Dial(vm) => self.dial(vm),
            Happening::Cut(vm) => self.cut(vm),
            Happening::ToObject {
                vm,
                connection,
                frame,
            } => self.frame_arrives_at_object(vm, connection, frame),
            Happening::ToVm {
                vm,
                connection,
                frame,
            } => self.frame_arrives(vm, connection, frame),
            Happening::ClosedAtObject { vm, connection } => {
                if let Some(address) = self.node_of(vm) {
                    self.node_local(&address, NodeLocal::Closed { connection });
                }
            }
            Happening::Kill(vm) => self.kill(vm),
            Happening::Restart(vm) => self.restart(vm),
            Happening::Twin(vm) => self.twin(vm),
            Happening::Machine { vm, boot, step } => {
                if self.lives(vm, boot) {
                    self.vm_step(vm, step);
                }
            }
            Happening::OfferAgain {
                vm,
                boot,
                workspace,
            } => {
                if self.lives(vm, boot) {
                    self.post_rows(vm, boot, workspace);
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
            } => self.rows_answered(vm, boot, workspace, through),
            Happening::Person => self.person(),
            Happening::Pardon(address) => self.pardon(&address),
            Happening::Undrain(address) => self.undrain(&address),
            Happening::FeedDial(client) => self.feed_dial(client),
            Happening::FeedCut(client) => self.feed_cut(client),
            Happening::FeedUp {
                client,
                socket,
                frame,
            } => self.feed_up(client, socket, frame),
            Happening::FeedDown {
                client,
                socket,
                frame,
            } => self.feed_down(client, socket, &frame),
            Happening::FeedTrouble => self.feed_trouble(),
        }
    }
}
