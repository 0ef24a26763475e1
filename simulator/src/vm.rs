//! A node: a disk, a vm-agent that can be killed, coding agents that can die.
//!
//! The link's end is the real one; what a command does is modelled: it takes
//! time, it can fail, and its events are written in one transaction with its
//! end. What lies on [`Disk`] survives; everything else is gone with the process.

use sam_domain::id::{AgentSessionId, NodeId, PromptId, WorkspaceId};
use sam_domain::link::agent_end::{AgentEnd, Draft, Identity, Stored};
use sam_domain::link::frame::{Event, NodeFacts, StopReason};
use sam_domain::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// A machine.
#[derive(Clone, Debug)]
pub(crate) struct Vm {
    pub(crate) node: NodeId,
    pub(crate) disk: Disk,
    /// The vm-agent, while it runs.
    pub(crate) agent: Option<AgentEnd>,
    /// Grows with every start; what an earlier process had planned is void.
    pub(crate) boot: u64,
    /// The connection it believes in.
    pub(crate) connection: Option<u64>,
    /// Coding agents that live, by workspace.
    pub(crate) processes: BTreeMap<WorkspaceId, Process>,
    /// When the last command of a workspace begins: they begin in order.
    pub(crate) queue: BTreeMap<WorkspaceId, Timestamp>,
    pub(crate) room: u32,
    /// How far its clock is from the true time, in milliseconds.
    pub(crate) skew: i64,
    /// It was refused for good, or its machine is gone.
    pub(crate) retired: bool,
}

/// What survives a crash.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) store_id: String,
    /// The processes that ran on it.
    pub(crate) boots: Vec<String>,
    pub(crate) link: Stored,
    pub(crate) workspaces: BTreeMap<WorkspaceId, Workspace>,
}

/// A workspace on disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) attempt: u32,
    /// The agent session that was told to start, until its end was reported.
    pub(crate) agent: Option<AgentSessionId>,
    /// The prompt that was given to the agent, until its end was reported.
    pub(crate) prompt: Option<PromptId>,
    /// Rows not yet stored by the control plane.
    pub(crate) rows: VecDeque<u64>,
    pub(crate) next_n: u64,
}

/// A living coding agent.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) session: AgentSessionId,
    /// The prompt it works on and the rows it has still to write.
    pub(crate) work: Option<(PromptId, u64)>,
}

impl Disk {
    fn empty(number: u64) -> Self {
        Self {
            store_id: format!("store-{number}"),
            boots: Vec::new(),
            link: Stored::default(),
            workspaces: BTreeMap::new(),
        }
    }
}

impl Vm {
    pub(crate) fn new(node: NodeId, room: u32, skew: i64) -> Self {
        Self {
            node,
            disk: Disk::empty(1),
            agent: None,
            boot: 0,
            connection: None,
            processes: BTreeMap::new(),
            queue: BTreeMap::new(),
            room,
            skew,
            retired: false,
        }
    }

    /// A second agent under the same identity: on a copy of the disk, or on an
    /// empty one that bears the number `empty`.
    pub(crate) fn twin(&self, empty: Option<u64>) -> Self {
        let copy = || self.disk.clone();
        Self {
            disk: empty.map_or_else(copy, Disk::empty),
            agent: None,
            connection: None,
            processes: BTreeMap::new(),
            queue: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// The moment by the machine's own clock.
    pub(crate) const fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add_signed(self.skew))
    }

    /// Whether nothing was ever asked of it that is not forgotten.
    pub(crate) fn is_idle(&self) -> bool {
        self.disk.workspaces.is_empty() && self.disk.link.commands.is_empty()
    }

    /// Starts the process on its disk and returns the events that tell what the
    /// last one left behind.
    pub(crate) fn start(&mut self, boot: u64, now: Timestamp) -> Vec<Draft> {
        self.boot = boot;
        self.load();
        self.disk.boots.push(format!("boot-{boot}"));
        let now = self.clock(now);
        let mut drafts = Vec::new();
        let ids: Vec<_> = self.disk.workspaces.keys().cloned().collect();
        for id in ids {
            drafts.extend(self.bury(&id, now, "the vm-agent was restarted"));
        }
        drafts
    }

    /// Puts the link's end together from what lies on the disk.
    pub(crate) fn load(&mut self) {
        let identity = Identity {
            store_id: self.disk.store_id.clone(),
            boot_id: format!("boot-{}", self.boot),
            boots: Some(self.disk.boots.clone()),
            version: "simulated".to_owned(),
            facts: NodeFacts {
                agents: vec!["sam-harness".to_owned()],
                max_workspaces: self.room,
                ..NodeFacts::default()
            },
        };
        self.agent = Some(AgentEnd::restore(identity, self.disk.link.clone()));
    }

    /// The process is killed, and its coding agents with it.
    pub(crate) fn kill(&mut self) {
        self.agent = None;
        self.connection = None;
        self.processes.clear();
        self.queue.clear();
    }

    /// The disk is lost too.
    pub(crate) fn lose_disk(&mut self, number: u64) {
        self.kill();
        self.disk = Disk::empty(number);
    }

    /// Reports the end of a workspace's agent and of the prompt it had.
    pub(crate) fn bury(&mut self, id: &WorkspaceId, at: Timestamp, reason: &str) -> Vec<Draft> {
        self.processes.remove(id);
        let Some(workspace) = self.disk.workspaces.get_mut(id) else {
            return Vec::new();
        };
        let attempt = workspace.attempt;
        let rows_through = workspace.next_n;
        let draft = |event| Draft {
            workspace: Some(id.clone()),
            attempt,
            at,
            event,
        };
        let mut drafts = Vec::new();
        if let Some(prompt) = workspace.prompt.take() {
            let stop_reason = StopReason::Unknown {
                reason: reason.to_owned(),
            };
            drafts.push(draft(Event::PromptFinished {
                prompt,
                stop_reason,
                rows_through,
            }));
        }
        if let Some(agent_session) = workspace.agent.take() {
            let state = sam_domain::link::frame::AgentState::Ended {
                reason: reason.to_owned(),
                stderr_tail: String::new(),
            };
            drafts.push(draft(Event::AgentState {
                agent_session,
                state,
            }));
        }
        drafts
    }
}
