//! What befalls machines: they die, lose their disk, stay away, are copied.

use super::*;
use crate::coverage::{Life, machine_lives};
use sam_domain::link::agent_end::Write;

/// Longer than a machine's lease, shorter than a task's grace.
const AWAY: u64 = 300_000;
/// About as long as the grace of a person's own machine.
pub(super) const LONG_AWAY: u64 = 22 * 3_600_000;

impl World {
    pub(super) fn vm_now(&self, vm: usize) -> Timestamp {
        self.vms.get(vm).map_or(self.now, |vm| vm.clock(self.now))
    }

    /// Asks a machine's end of the link, if its process lives.
    pub(super) fn agent<T>(
        &mut self,
        vm: usize,
        word: &'static str,
        ask: impl FnOnce(&mut AgentEnd) -> T,
    ) -> Option<T> {
        let agent = self.vms.get_mut(vm)?.agent.as_mut()?;
        let up = |agent: &AgentEnd| if agent.is_welcomed() { "up" } else { "down" };
        let before = up(agent);
        let answer = ask(agent);
        let after = up(agent);
        self.coverage.note("machine_link", before, word, after);
        Some(answer)
    }

    /// Puts writes on a machine's disk, as one transaction.
    pub(super) fn write(&mut self, vm: usize, word: &'static str, writes: &[Write]) {
        if writes.is_empty() {
            return;
        }
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        let (mut before, mut after): (Vec<Life>, Vec<Life>) = Default::default();
        machine_lives(machine.agent.as_ref(), &machine.disk.link, &mut before);
        for write in writes {
            machine.disk.link.apply(write);
        }
        machine_lives(machine.agent.as_ref(), &machine.disk.link, &mut after);
        self.coverage.compare(&before, &after, word);
    }

    /// Writes, then does; the process may die before the one or the other.
    pub(super) fn vm_perform(&mut self, vm: usize, word: &'static str, outcome: Outcome) {
        let crash = self.conditions.crash / 2;
        if self.breaks(crash) {
            self.kill(vm);
            return;
        }
        self.write(vm, word, &outcome.write);
        let Some(machine) = self.vms.get(vm) else {
            return;
        };
        let (boot, connection) = (machine.boot, machine.connection);
        if self.breaks(crash) {
            self.kill(vm);
            return;
        }
        for action in outcome.then {
            match action {
                Do::Send(frame) => {
                    if let Some(connection) = connection {
                        self.send_to_object(vm, connection, frame);
                    }
                }
                Do::Begin(command) => self.queue_command(vm, boot, command),
                Do::Close { for_good, .. } => {
                    if for_good {
                        self.retire(vm);
                    } else {
                        self.drop_wire(vm, false);
                    }
                }
            }
        }
    }

    /// A command begins a little later, in the order of its workspace.
    fn queue_command(&mut self, vm: usize, boot: u64, command: Command) {
        let at = self.now.plus(self.random.span(1, 3_000));
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        let last = machine.queue.entry(command.workspace.clone()).or_insert(at);
        *last = at.max(*last);
        let at = *last;
        let step = VmStep::Begin(command);
        self.at(at, Happening::Machine { vm, boot, step });
    }

    /// The agent is refused for good: it says so and ends, and what it started
    /// ends with it.
    fn retire(&mut self, vm: usize) {
        self.ledger.counts.refused += 1;
        self.drop_wire(vm, true);
        if let Some(machine) = self.vms.get_mut(vm) {
            machine.kill();
            machine.retired = true;
        }
    }

    pub(super) fn kill(&mut self, vm: usize) {
        if self.vms.get(vm).is_none_or(|vm| vm.agent.is_none()) {
            return;
        }
        self.ledger.counts.kills += 1;
        self.drop_wire(vm, true);
        if self.breaks(self.conditions.disk_loss) {
            self.lose_disk(vm);
        } else if let Some(machine) = self.vms.get_mut(vm) {
            machine.kill();
        }
        let absent = self.conditions.absence && self.breaks(10);
        if absent && self.random.chance(30) {
            self.ledger.counts.gone += 1;
            if let Some(machine) = self.vms.get_mut(vm) {
                machine.retired = true;
            }
            return;
        }
        self.ledger.counts.absences += u64::from(absent);
        let span = match (absent, self.random.chance(10)) {
            (true, _) => Millis(LONG_AWAY + self.random.below(5 * 3_600_000)),
            (false, true) => self.random.span(AWAY, AWAY + 60_000),
            (false, false) => self.random.span(1_000, 61_000),
        };
        self.after(span, Happening::Restart(vm));
    }

    fn lose_disk(&mut self, vm: usize) {
        self.ledger.counts.disks_lost += 1;
        self.next_store += 1;
        let number = self.next_store;
        let Some(machine) = self.vms.get_mut(vm) else {
            return;
        };
        self.ledger.loss.caused(&machine.node);
        let mut before = Vec::new();
        machine_lives(None, &machine.disk.link, &mut before);
        machine.lose_disk(number);
        let mut after = Vec::new();
        machine_lives(None, &machine.disk.link, &mut after);
        self.coverage.compare(&before, &after, "disk_lost");
    }

    pub(super) fn restart(&mut self, vm: usize) {
        let now = self.now;
        self.next_boot += 1;
        let boot = self.next_boot;
        let Some(machine) = self
            .vms
            .get_mut(vm)
            .filter(|vm| vm.agent.is_none() && !vm.retired)
        else {
            return;
        };
        let drafts = machine.start(boot, now);
        for draft in drafts {
            if let Some(outcome) = self.agent(vm, "emit", |agent| agent.emit(draft)) {
                self.write(vm, "emit", &outcome.write);
            }
        }
        let again: Vec<Command> = self
            .agent(vm, "restart", |agent| {
                agent.open_commands().cloned().collect()
            })
            .unwrap_or_default();
        for command in again {
            self.queue_command(vm, boot, command);
        }
        let posts: Vec<_> = self
            .vms
            .get(vm)
            .map(|vm| vm.disk.workspaces.keys().cloned().collect())
            .unwrap_or_default();
        for workspace in posts {
            let step = VmStep::PostRows(workspace);
            self.after(Millis(10), Happening::Machine { vm, boot, step });
        }
        self.after(Millis(20), Happening::Dial(vm));
        if self.faults && self.conditions.kill_within > 0 {
            let span = self.random.span(5_000, self.conditions.kill_within);
            self.after(span, Happening::Kill(vm));
        }
    }

    /// A second agent appears under a machine's identity: its disk was copied
    /// while it had nothing to do, or its token alone.
    pub(super) fn twin(&mut self, of: usize) {
        let Some(machine) = self.vms.get(of) else {
            return;
        };
        let copies = machine.is_idle() && machine.boot > 0 && self.random.chance(60);
        let empty = (!copies).then(|| {
            self.next_store += 1;
            self.next_store
        });
        if let Some(twin) = self.vms.get(of).map(|machine| machine.twin(empty)) {
            self.ledger.counts.twins += 1;
            self.ledger.loss.caused(&twin.node);
            self.vms.push(twin);
            self.wires.push(None);
            let vm = self.vms.len() - 1;
            self.after(Millis(10), Happening::Restart(vm));
        }
    }
}
