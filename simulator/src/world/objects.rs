//! Objects: turns that can be lost, mail, alarms.

use super::*;

impl World {
    /// One turn of an object: it may be lost before the write, or its outputs
    /// after it. `None`: the caller hears nothing.
    pub(super) fn object_turn<M: Machine>(
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
    pub(super) fn object_crashed(&mut self, address: &Address) {
        self.ledger.counts.object_crashes += 1;
        if let Address::Node(node) = address
            && let Some(vm) = self.vms.iter().position(|vm| vm.node == *node)
        {
            self.drop_wire(vm, false);
        }
    }

    pub(super) fn session_local(&mut self, address: &Address, local: SessionLocal) -> bool {
        let handled = self.object_turn::<SessionMachine>(
            |w| &mut w.sessions,
            address,
            |a, t| a.local::<SessionMachine>(t, local),
        );
        self.session_outputs(address, handled)
    }

    pub(super) fn session_outputs(
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

    pub(super) fn task_local(&mut self, address: &Address, local: TaskLocal) {
        self.object_turn::<TaskMachine>(
            |w| &mut w.tasks,
            address,
            |a, t| a.local::<TaskMachine>(t, local),
        );
    }

    pub(super) fn node_local(&mut self, address: &Address, local: NodeLocal) {
        let handled = self.object_turn::<NodeMachine>(
            |w| &mut w.nodes,
            address,
            |a, t| a.local::<NodeMachine>(t, local),
        );
        self.node_outputs(address, handled);
    }

    pub(super) fn node_outputs(&mut self, address: &Address, handled: Option<Handled<NodeOutput>>) {
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

    pub(super) fn deliver(&mut self, envelope: Envelope) {
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

    pub(super) fn answer(
        &mut self,
        from: &Address,
        to: &Address,
        ordinal: u64,
        receipt: Option<Receipt>,
    ) {
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

    pub(super) fn wake_at(&self, address: &Address) -> Option<Timestamp> {
        match address {
            Address::Session { .. } => self.sessions.get(address).and_then(Actor::wake_at),
            Address::Task(_) => self.tasks.get(address).and_then(Actor::wake_at),
            Address::Node(_) => self.nodes.get(address).and_then(Actor::wake_at),
            Address::Pool(_) => self.pools.get(address).and_then(Actor::wake_at),
            Address::Index => None,
        }
    }

    /// Sends what is due: the first to each receiver, as the shell does.
    pub(super) fn drain(&mut self, address: &Address) {
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

    pub(super) fn wake(&mut self, address: &Address) {
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
}
