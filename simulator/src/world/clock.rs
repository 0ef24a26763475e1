//! Clocks: the objects' can jump, and alarms go by it.

use super::*;

impl World {
    /// The moment by the objects' clock.
    pub(crate) const fn object_now(&self) -> Timestamp {
        Timestamp(self.now.0.saturating_add_signed(self.skew))
    }

    /// Sets an object's alarm, only ever to an earlier moment.
    pub(super) fn arm(&mut self, address: &Address, at: Timestamp) {
        if self.errs(Defect::AlarmForgotten, 2) {
            return;
        }
        let at = at.max(self.object_now());
        if self.alarms.get(address).is_none_or(|set| at < *set) {
            self.alarms.insert(address.clone(), at);
            self.schedule_alarm(address.clone(), at);
        }
    }

    fn schedule_alarm(&mut self, address: Address, at: Timestamp) {
        let true_at = Timestamp(at.0.saturating_add_signed(-self.skew));
        self.at(true_at, Happening::Wake(address));
    }

    /// Whether an object's alarm is due; it is then no longer set.
    pub(super) fn alarm_fires(&mut self, address: &Address) -> bool {
        let due = self
            .alarms
            .get(address)
            .is_some_and(|at| *at <= self.object_now());
        if due {
            self.alarms.remove(address);
        }
        due
    }

    /// The objects' clock jumps: by minutes or by hours, forward or back.
    pub(super) fn clock_jump(&mut self) {
        self.ledger.counts.clock_jumps += 1;
        let most = if self.random.chance(50) {
            120_000
        } else {
            18_000_000
        };
        let by = self.random.below(most) as i64;
        let by = if self.random.chance(50) { by } else { -by };
        self.skew += by;
        let back = if by < 0 { by.unsigned_abs() } else { 0 };
        self.ledger.clock_jumped(self.now, Millis(back));
        let alarms: Vec<_> = self.alarms.clone().into_iter().collect();
        for (address, at) in alarms {
            self.schedule_alarm(address, at);
        }
    }
}
