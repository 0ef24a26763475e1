//! The link: wires that keep order until they break.

use super::*;

impl World {
    /// When a frame sent now arrives; `None` when its wire is down.
    pub(super) fn travel(&mut self, vm: usize, connection: u64, down: bool) -> Option<Timestamp> {
        if self.wires.get(vm).copied().flatten() != Some(connection) {
            return None;
        }
        let at = self.now.plus(self.random.span(1, 500));
        let last = self.fifo.entry((connection, down)).or_insert(at);
        *last = (*last).max(at);
        Some(*last)
    }

    pub(super) fn dial(&mut self, vm: usize) {
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

    pub(super) fn cut(&mut self, vm: usize) {
        if self.breaks(70) {
            self.ledger.counts.cuts += 1;
            self.drop_wire(vm, true);
        }
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

    pub(super) fn frame_arrives(&mut self, vm: usize, connection: u64, frame: ObjectFrame) {
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
}
