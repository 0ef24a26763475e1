//! Which moves were made: each has to be declared, and each declared one made.

use sam_domain::actor::Machine;
use sam_domain::conversation::session::{Session, SessionMachine};
use sam_domain::conversation::wire::PromptState;
use sam_domain::feed::cursor::Cursor;
use sam_domain::feed::follower::Standing;
use sam_domain::id::Id;
use sam_domain::link::agent_end::AgentEnd;
use sam_domain::node::state::Node;
use sam_domain::node::step::NodeMachine;
use sam_domain::pool::state::Pool;
use sam_domain::pool::step::PoolMachine;
use sam_domain::table::{MachineTable, machines};
use sam_domain::task::state::{AgentBinding, PromptStage, Task};
use sam_domain::task::step::TaskMachine;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The moves that were made, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    made: BTreeMap<Made, u64>,
    undeclared: BTreeSet<Made>,
}

/// A machine's name, a state, an input, the next state.
type Made = (&'static str, &'static str, &'static str, &'static str);

impl Coverage {
    /// A move was made; to stay is none.
    pub(crate) fn note(
        &mut self,
        machine: &'static str,
        from: &'static str,
        input: &'static str,
        to: &'static str,
    ) {
        if from == to {
            return;
        }
        let made = (machine, from, input, to);
        if let Some(times) = self.made.get_mut(&made) {
            *times += 1;
            return;
        }
        self.made.insert(made, 1);
        if !table(machine).is_some_and(|table| table.allows(from, input, to)) {
            self.undeclared.insert(made);
        }
    }

    /// Compares what lived before a step with what lives after it.
    pub(crate) fn compare(&mut self, before: &[Life], after: &[Life], input: &'static str) {
        for life in after {
            let held = before.iter().find(|held| held.is(life));
            let from = held.map_or_else(|| first(life.machine), |held| held.standing);
            self.note(life.machine, from, input, life.standing);
        }
        for life in before {
            if !after.iter().any(|held| held.is(life))
                && let Some(to) = end(life, input)
            {
                self.note(life.machine, life.standing, input, to);
            }
        }
    }

    /// Adds another run's moves.
    pub fn add(&mut self, other: &Self) {
        for (made, times) in &other.made {
            *self.made.entry(*made).or_insert(0) += times;
        }
        self.undeclared.extend(&other.undeclared);
    }

    /// The first move that no table declares.
    #[must_use]
    pub fn undeclared(&self) -> Option<String> {
        self.undeclared
            .first()
            .map(|made| format!("{} is not declared", told(made)))
    }

    /// Declared moves that were never made.
    #[must_use]
    pub fn never_made(&self) -> Vec<String> {
        let mut never = Vec::new();
        for table in machines() {
            for (from, input, to) in table.each() {
                let made = (table.name, from, input, to);
                if !self.made.contains_key(&made) {
                    never.push(told(&made));
                }
            }
        }
        never
    }

    /// Every move with how often it was made.
    #[must_use]
    pub fn listed(&self) -> String {
        let mut text = String::new();
        for (made, times) in &self.made {
            let mark = match self.undeclared.contains(made) {
                true => "  UNDECLARED",
                false => "",
            };
            let _ = writeln!(text, "{times:>10}  {}{mark}", told(made));
        }
        text
    }
}

fn told((machine, from, input, to): &Made) -> String {
    format!("{machine}: {from} –{input}→ {to}")
}

fn table(name: &str) -> Option<&'static MachineTable> {
    machines().iter().find(|table| table.name == name)
}

/// Something that has a state in one of the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    machine: &'static str,
    key: u64,
    standing: &'static str,
}

impl Life {
    pub(crate) fn of(machine: &'static str, id: &impl Id, standing: &'static str) -> Self {
        // FNV-1a: ids differ in their last bytes.
        let key = id
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self {
            machine,
            key,
            standing,
        }
    }

    pub(crate) const fn only(machine: &'static str, standing: &'static str) -> Self {
        Self {
            machine,
            key: 0,
            standing,
        }
    }

    fn is(&self, other: &Self) -> bool {
        self.machine == other.machine && self.key == other.key
    }
}

/// The state in which a life begins that was not there before.
fn first(machine: &str) -> &'static str {
    match machine {
        "task" => "queued",
        "node" => "joining",
        "link" | "machine_link" => "down",
        _ => "new",
    }
}

/// The state in which a life ended that is there no more; `None` when it was
/// over before and is merely forgotten.
fn end(life: &Life, input: &str) -> Option<&'static str> {
    match (life.machine, life.standing) {
        ("prompt", _) => None,
        ("agent_session", _) => Some("ended"),
        ("command", standing) => Some(match input {
            "command_done" => "done",
            "command_failed" => "failed",
            "deadline" => "expired",
            "hello" if standing == "sent" => "lost",
            _ => "withdrawn",
        }),
        ("workspace", _) => Some("gone"),
        ("place", _) => Some("free"),
        ("machine_command", "open") => Some("lost"),
        ("machine_command", _) => Some("forgotten"),
        _ => None,
    }
}

/// A machine whose state can be told in the words of the tables.
pub(crate) trait Observed: Machine {
    fn lives(state: &Self::State, lives: &mut Vec<Life>);
}

impl Observed for TaskMachine {
    fn lives(task: &Task, lives: &mut Vec<Life>) {
        lives.push(Life::only("task", task.state.word()));
        let prompting = task
            .prompt
            .as_ref()
            .is_some_and(|held| held.stage != PromptStage::Waiting);
        match &task.agent {
            AgentBinding::None => {}
            AgentBinding::Starting { agent_session } => {
                lives.push(Life::of("agent_session", agent_session, "starting"));
            }
            AgentBinding::Ready { agent_session } => {
                let standing = if prompting { "prompting" } else { "ready" };
                lives.push(Life::of("agent_session", agent_session, standing));
            }
        }
    }
}

impl Observed for SessionMachine {
    fn lives(session: &Session, lives: &mut Vec<Life>) {
        let standing = match &session.task {
            None => "new",
            Some(task) if task.state.is_terminal() => "resting",
            Some(_) => "working",
        };
        lives.push(Life::only("conversation", standing));
        for prompt in &session.prompts {
            lives.push(Life::of("prompt", &prompt.id, prompt_word(prompt.state)));
        }
    }
}

const fn prompt_word(state: PromptState) -> &'static str {
    match state {
        PromptState::Queued => "queued",
        PromptState::Sent => "sent",
        PromptState::Running => "running",
        PromptState::Finished => "finished",
        PromptState::Cancelled => "cancelled",
        PromptState::Unknown => "unknown",
    }
}

impl Observed for NodeMachine {
    fn lives(node: &Node, lives: &mut Vec<Life>) {
        lives.push(Life::only("node", node.state.word()));
        let up = node.link.connection.is_some();
        lives.push(Life::only("link", if up { "up" } else { "down" }));
        for queued in &node.commands {
            let standing = if queued.sent { "sent" } else { "queued" };
            lives.push(Life::of("command", &queued.command.id, standing));
        }
        for (id, placement) in &node.workspaces {
            let standing = match (placement.fenced, placement.stopped_at) {
                (false, None) => "placed",
                (true, None) => "fenced",
                (_, Some(_)) => "stopped",
            };
            lives.push(Life::of("workspace", id, standing));
        }
    }
}

impl Observed for PoolMachine {
    fn lives(pool: &Pool, lives: &mut Vec<Life>) {
        for request in &pool.waiting {
            lives.push(Life::of("place", &request.task, "waiting"));
        }
        for task in pool.claims.keys() {
            lives.push(Life::of("place", task, "taken"));
        }
    }
}

/// What lives at a machine's end of the link.
pub(crate) fn machine_lives(
    agent: Option<&AgentEnd>,
    disk: &sam_domain::link::agent_end::Stored,
    lives: &mut Vec<Life>,
) {
    let welcomed = agent.is_some_and(AgentEnd::is_welcomed);
    lives.push(Life::only(
        "machine_link",
        if welcomed { "up" } else { "down" },
    ));
    for command in &disk.commands {
        lives.push(Life::of("machine_command", &command.id, "open"));
    }
    for command in disk.finished.keys() {
        lives.push(Life::of("machine_command", command, "finished"));
    }
}

/// How far a follower is, at the serving end.
pub(crate) const fn follower_word(standing: Option<Standing>) -> &'static str {
    match standing {
        None => "absent",
        Some(Standing::CatchingUp) => "catching_up",
        Some(Standing::Live) => "live",
    }
}

/// How far a follower is, at its own end.
pub(crate) fn cursor_word(cursor: &Cursor) -> &'static str {
    match (cursor.epoch().is_some(), cursor.is_current()) {
        (false, _) => "new",
        (true, false) => "behind",
        (true, true) => "current",
    }
}
