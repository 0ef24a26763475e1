//! The link: wires that keep order until they break.

use super::machine_faults::LONG_AWAY;
use super::*;

impl World {
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

    pub(super) fn send_to_vm(&mut self, connection: u64, frame: ObjectFrame) {
        if let Some(vm) = self.vm_of_connection(connection)
            && let Some(at) = self.travel(vm, connection, true)
        {
            let happening = Happening::ToVm {
                vm,
                connection,
                frame,
            };
            self.at(at, happening);
        }
    }

    pub(super) fn send_to_object(&mut self, vm: usize, connection: u64, frame: AgentFrame) {
        if let Some(at) = self.travel(vm, connection, false) {
            let happening = Happening::ToObject {
                vm,
                connection,
                frame,
            };
            self.at(at, happening);
        }
    }

    pub(super) fn dial(&mut self, vm: usize) {
        let up = self.wires.get(vm).copied().flatten().is_some();
        if up || self.vms.get(vm).is_none_or(|vm| vm.agent.is_none()) {
            return;
        }
        let node = self.node_of(vm).and_then(|node| self.nodes.get(&node));
        if node.is_some_and(|node| node.state.suspended) {
            // Its token opens no socket now.
            self.after(Millis::seconds(30), Happening::Dial(vm));
            return;
        }
        self.next_connection += 1;
        let connection = self.next_connection;
        if let Some(wire) = self.wires.get_mut(vm) {
            *wire = Some(connection);
        }
        if let Some(machine) = self.vms.get_mut(vm) {
            machine.connection = Some(connection);
        }
        if self.defect == Some(Defect::ForgetfulMachine) {
            self.forget_finished(vm);
        }
        if let Some(outcome) = self.agent(vm, "connected", AgentEnd::connected) {
            self.vm_perform(vm, "connected", outcome);
        }
        if self.faults && self.conditions.cut_within > 0 {
            let span = self.random.span(1_000, self.conditions.cut_within);
            self.after(span, Happening::Cut(vm));
        }
    }

    /// A defect: what the machine has finished is not remembered.
    fn forget_finished(&mut self, vm: usize) {
        if let Some(machine) = self.vms.get_mut(vm).filter(|vm| vm.agent.is_some()) {
            machine.disk.link.finished.clear();
            machine.load();
        }
    }

    pub(super) fn cut(&mut self, vm: usize) {
        if self.breaks(70) {
            self.ledger.counts.cuts += 1;
            self.drop_wire(vm, true);
        }
    }

    /// The object closes a connection: what it sent before still arrives.
    pub(super) fn drop_wire_later(&mut self, vm: usize, connection: u64) {
        let at = self.travel(vm, connection, true).unwrap_or(self.now);
        let frame = ObjectFrame::Bye {
            reason: "closed".to_owned(),
        };
        let happening = Happening::ToVm {
            vm,
            connection,
            frame,
        };
        self.at(at, happening);
    }

    /// The wire breaks; frames on it are lost. The object hears of it or not;
    /// the node does and dials again.
    pub(super) fn drop_wire(&mut self, vm: usize, object_hears: bool) {
        let Some(connection) = self.wires.get_mut(vm).and_then(Option::take) else {
            return;
        };
        if object_hears && self.random.chance(80) {
            let span = self.random.span(1, 10_000);
            self.after(span, Happening::ClosedAtObject { vm, connection });
        }
        self.agent(vm, "disconnected", AgentEnd::disconnected);
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        machine.connection = None;
        let long = self.conditions.absence && self.breaks(3);
        self.ledger.counts.absences += u64::from(long);
        let slow = if self.conditions.twins { 40 } else { 10 };
        let span = match (long, self.random.chance(slow)) {
            (true, _) => Millis(LONG_AWAY + self.random.below(5 * 3_600_000)),
            (false, true) => Millis(20_000 + self.random.below(230_000)),
            (false, false) => self.random.span(500, 30_500),
        };
        self.after(span, Happening::Dial(vm));
    }

    pub(super) fn frame_arrives(&mut self, vm: usize, connection: u64, frame: ObjectFrame) {
        let current = self.vms.get(vm).and_then(|vm| vm.connection);
        if self.wires.get(vm).copied().flatten() != Some(connection) || current != Some(connection)
        {
            return;
        }
        let word = frame.word();
        if let Some(outcome) = self.agent(vm, word, |agent| agent.frame(frame)) {
            self.vm_perform(vm, word, outcome);
        }
    }

    pub(super) fn frame_arrives_at_object(
        &mut self,
        vm: usize,
        connection: u64,
        frame: AgentFrame,
    ) {
        let Some(address) = self.node_of(vm) else {
            return;
        };
        if self.defect == Some(Defect::RivalWelcomed)
            && let Some(actor) = self.nodes.get_mut(&address)
        {
            actor.state.link.forget_rivals();
        }
        let acknowledged = match (&frame, self.defect) {
            (AgentFrame::Event(event), Some(Defect::EventAcknowledgedBeforeStore)) => Some(event.n),
            _ => None,
        };
        let stored = self.node_local(&address, NodeLocal::Frame { connection, frame });
        if let (Some(n), false, Some(machine)) = (acknowledged, stored, self.vms.get(vm)) {
            let store_id = machine.disk.store_id.clone();
            self.agent(vm, "acked", |agent| {
                agent.frame(ObjectFrame::Acked { store_id, n })
            })
            .into_iter()
            .for_each(|outcome| self.write(vm, "acked", &outcome.write));
        }
    }
}
