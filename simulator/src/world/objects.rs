//! Objects: what each does around its machine.

use super::turns::{Told, Turned};
use super::*;

impl World {
    /// Tells a conversation something. Whether it is stored.
    pub(super) fn session_local(&mut self, address: &Address, local: SessionLocal) -> bool {
        let turned =
            self.object_turn::<SessionMachine>(|w| &mut w.sessions, address, Told::Local(local));
        self.session_stored(address, turned)
    }

    /// What a conversation asks for is stored in its own turn: it is done
    /// although the object may have died right after.
    pub(super) fn session_stored(
        &mut self,
        address: &Address,
        turned: Turned<SessionOutput>,
    ) -> bool {
        let Turned::Stored { handled, .. } = turned else {
            return false;
        };
        let mut checks = Vec::new();
        for output in handled.output {
            if let SessionOutput::CheckRows { workspace } = output {
                checks.push(workspace);
            } else {
                self.feed_output(address, output);
            }
        }
        if handled.changed {
            self.feed_session(address);
        }
        for workspace in checks {
            let through = match self.defect {
                Some(Defect::RowsNotAwaited) => u64::MAX,
                _ => self.rows.get(&workspace).copied().unwrap_or(0),
            };
            let local = SessionLocal::RowsStored {
                workspace,
                through,
                said: Vec::new(),
            };
            let faults = std::mem::replace(&mut self.faults, false);
            self.session_local(address, local);
            self.faults = faults;
        }
        true
    }

    pub(super) fn task_local(&mut self, address: &Address, local: TaskLocal) -> bool {
        self.object_turn::<TaskMachine>(|w| &mut w.tasks, address, Told::Local(local))
            .is_stored()
    }

    pub(super) fn node_local(&mut self, address: &Address, local: NodeLocal) -> bool {
        let turned = self.object_turn::<NodeMachine>(|w| &mut w.nodes, address, Told::Local(local));
        let stored = turned.is_stored();
        self.node_outputs(turned);
        stored
    }

    pub(super) fn node_outputs(&mut self, turned: Turned<NodeOutput>) {
        for output in turned.outputs() {
            match output {
                NodeOutput::Send { connection, frame } => {
                    self.send_to_vm(connection, *frame);
                }
                NodeOutput::Close { connection, .. } => {
                    if let Some(vm) = self.vm_of_connection(connection) {
                        self.drop_wire_later(vm, connection);
                    }
                }
            }
        }
    }

    pub(super) fn wake_at(&self, address: &Address) -> Option<Timestamp> {
        match address {
            Address::Session { .. } => self.sessions.get(address).and_then(Actor::wake_at),
            Address::Task(_) => self.tasks.get(address).and_then(Actor::wake_at),
            Address::Node(_) => self.nodes.get(address).and_then(Actor::wake_at),
            Address::Pool(_) => self.pools.get(address).and_then(Actor::wake_at),
            Address::Index => None,
        }
    }

    /// The alarm: the machine's deadline is judged, then mail is delivered.
    pub(super) fn wake(&mut self, address: &Address) {
        if !self.alarm_fires(address) {
            return;
        }
        let due = self
            .wake_at(address)
            .is_some_and(|at| at <= self.object_now());
        let stored = !due || self.deadline_turn(address);
        if !stored {
            // The runtime repeats an alarm whose turn was lost.
            let again = self.object_now().plus(Millis(2_000));
            self.arm(address, again);
        }
        if due {
            self.drain(address);
        }
        // Still something to do: the shell re-arms before it ends.
        if let Some(at) = self.wake_at(address) {
            let at = at.max(self.object_now().plus(Millis(1_000)));
            self.arm(address, at);
        }
    }

    fn deadline_turn(&mut self, address: &Address) -> bool {
        match address {
            Address::Session { .. } => {
                let turned =
                    self.object_turn::<SessionMachine>(|w| &mut w.sessions, address, Told::Alarm);
                self.session_stored(address, turned)
            }
            Address::Task(_) => self
                .object_turn::<TaskMachine>(|w| &mut w.tasks, address, Told::Alarm)
                .is_stored(),
            Address::Node(_) => {
                self.notice(address);
                let turned =
                    self.object_turn::<NodeMachine>(|w| &mut w.nodes, address, Told::Alarm);
                let stored = turned.is_stored();
                self.node_outputs(turned);
                stored
            }
            Address::Pool(_) => self
                .object_turn::<PoolMachine>(|w| &mut w.pools, address, Told::Alarm)
                .is_stored(),
            Address::Index => true,
        }
    }

    /// What a node's object knows of the link before it judges the lease: when
    /// the last ping was answered.
    fn notice(&mut self, address: &Address) {
        let connection = self
            .nodes
            .get(address)
            .and_then(|actor| actor.state.link.connection);
        let pings = connection
            .and_then(|connection| self.vm_of_connection(connection))
            .is_some_and(|vm| self.vms.get(vm).is_some_and(|vm| vm.agent.is_some()));
        if pings || self.defect == Some(Defect::LeaseNeverLapses) {
            let ago = self.random.below(30_000);
            let at = Timestamp(self.object_now().0.saturating_sub(ago));
            self.node_local(address, NodeLocal::Seen { at });
        }
    }
}
