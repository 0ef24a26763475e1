//! One holder's limits, what is spent of them, and what calls under way have reserved.
//!
//! The ledger is one value, stored in one write. What became of each call is kept beside it by
//! whoever stores it, as a [`Counted`], and handed back when the call is spoken of again: so the
//! ledger stays small, and a repeated report is known however late it comes.
//!
//! Amounts count on the day on which their call was reserved. What is settled, expired or corrected
//! after that day, or that month, has ended changes the record of the call and no total that still
//! gates anything.
//!
//! What a call costs with a key of one's own is not the installation's money: the cost that an
//! administrator allows does not bind it, and it takes nothing of it. All other limits count it.

use super::period::{self, Day, Month};
use super::refusal::{Clears, HolderKind, LimitName, Refusal};
use super::{Charge, Limits};
use crate::budget::call::CallScope;
use crate::collect::Map;
use crate::id::RequestId;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// How often a call under way renews its reservation.
pub const RENEWAL: Millis = Millis::minutes(5);
/// How long a reservation holds: one renewal may be lost.
pub const LEASE: Millis = Millis::minutes(11);
/// The share of a limit at which a warning is given, in hundredths.
pub const WARNING_AT: u64 = 80;

/// What a call under way may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The day it counts on.
    pub day: Day,
    /// The most that the call can use.
    pub charge: Charge,
    /// When it expires.
    pub until: Timestamp,
    /// What it is for.
    pub call: CallScope,
}

/// Why a call counts as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The provider's report came with the reply.
    Reported,
    /// The provider reported nothing: in full.
    Unreported,
    /// Nobody spoke of it in time: in full.
    Expired,
    /// The provider's own records were compared. Nothing changes it any more.
    Reconciled,
}

impl Basis {
    /// The word it is stored as.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Unreported => "unreported",
            Self::Expired => "expired",
            Self::Reconciled => "reconciled",
        }
    }
}

/// What a call counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The day it counts on.
    pub day: Day,
    /// How much.
    pub charge: Charge,
    /// Why.
    pub basis: Basis,
    /// Whether it was not the installation's money.
    pub own_key: bool,
}

/// How a call ended, as far as money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The provider reported this.
    Reported(Charge),
    /// It was refused, or never arrived: nothing is owed.
    Nothing,
    /// Nobody knows, but not less than this.
    Unknown(Charge),
}

/// A limit that is nearly used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Warning {
    /// Which.
    pub limit: LimitName,
    /// What it is.
    pub allowed: u64,
    /// What is spent of it.
    pub spent: u64,
}

/// The ledger of a person or a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// What an administrator allows.
    pub allowance: Limits,
    /// What the holder set.
    pub own: Limits,
    day: Day,
    month: Month,
    minute: u64,
    day_tokens: u64,
    month_cost: u64,
    /// What of the month's cost was the installation's money.
    month_paid: u64,
    minute_requests: u64,
    open: Map<RequestId, Reservation>,
    /// When a warning was last given of the day's tokens, and of the month's cost.
    warned: (Option<Day>, Option<Month>),
}

impl Ledger {
    /// What holds.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits_of(false)
    }

    /// What holds for a call that a key of one's own pays, or does not.
    #[must_use]
    pub fn limits_of(&self, own_key: bool) -> Limits {
        let mut allowed = self.allowance;
        if own_key {
            allowed.monthly_cost = None;
        }
        self.own.and(allowed)
    }

    /// Calls under way.
    #[must_use]
    pub const fn open(&self) -> &Map<RequestId, Reservation> {
        &self.open
    }

    /// What is spent of the day's tokens.
    #[must_use]
    pub const fn day_tokens(&self) -> u64 {
        self.day_tokens
    }

    /// What is spent of the month's money.
    #[must_use]
    pub const fn month_cost(&self) -> u64 {
        self.month_cost
    }

    /// Calls of this minute.
    #[must_use]
    pub const fn minute_requests(&self) -> u64 {
        self.minute_requests
    }

    /// The day that counts; a clock that goes back stays in it.
    #[must_use]
    pub const fn day(&self) -> Day {
        self.day
    }

    /// What calls under way have reserved of the day and of the month that count.
    #[must_use]
    pub fn reserved(&self) -> Charge {
        let mut sum = Charge::default();
        for held in self.open.values() {
            if held.day == self.day {
                sum.tokens = sum.tokens.saturating_add(held.charge.tokens);
            }
            if held.day.month() == self.month {
                sum.cost = sum.cost.saturating_add(held.charge.cost);
            }
        }
        sum
    }

    /// What calls under way have reserved of the installation's money this month.
    fn reserved_to_pay(&self) -> u64 {
        let paid = |held: &&Reservation| !held.call.own_key && held.day.month() == self.month;
        let costs = self.open.values().filter(paid).map(|held| held.charge.cost);
        costs.fold(0, u64::saturating_add)
    }

    /// Begins the periods of `now`, if they are later than those that count.
    pub fn roll(&mut self, now: Timestamp) {
        let (day, minute) = (Day::of(now), period::minute(now));
        if day > self.day {
            self.day = day;
            self.day_tokens = 0;
        }
        let month = self.day.month();
        if month > self.month {
            self.month = month;
            self.month_cost = 0;
            self.month_paid = 0;
        }
        if minute > self.minute {
            self.minute = minute;
            self.minute_requests = 0;
        }
    }

    /// Sets what is spent, as the record of calls has it: a ledger without limits is not kept.
    pub fn restore(&mut self, now: Timestamp, day_tokens: u64, month_cost: u64, month_paid: u64) {
        self.roll(now);
        self.day_tokens = day_tokens;
        self.month_cost = month_cost;
        self.month_paid = month_paid;
    }

    /// Reserves the most that a call can use. Repeating it changes nothing.
    ///
    /// # Errors
    /// When it does not fit; nothing is reserved then.
    pub fn reserve(
        &mut self,
        now: Timestamp,
        holder: HolderKind,
        request: &RequestId,
        charge: Charge,
        call: CallScope,
    ) -> Result<(), Refusal> {
        self.roll(now);
        if self.open.contains_key(request) {
            return Ok(());
        }
        let limits = self.limits_of(call.own_key);
        let reserved = self.reserved();
        let allowed_to_pay = self.allowance.monthly_cost.filter(|_| !call.own_key);
        let day_ends = self.day.next().start();
        let month_ends = self.month.next().first().start();
        let minute_ends = period::end_of_minute(self.minute);
        use LimitName::{DailyTokens, MonthlyCost, RequestsPerMinute};
        for (limit, allowed, spent, reserved, asked, resets_at) in [
            (
                RequestsPerMinute,
                limits.requests_per_minute,
                self.minute_requests,
                0,
                1,
                minute_ends,
            ),
            (
                DailyTokens,
                limits.daily_tokens,
                self.day_tokens,
                reserved.tokens,
                charge.tokens,
                day_ends,
            ),
            (
                MonthlyCost,
                self.own.monthly_cost,
                self.month_cost,
                reserved.cost,
                charge.cost,
                month_ends,
            ),
            (
                MonthlyCost,
                allowed_to_pay,
                self.month_paid,
                self.reserved_to_pay(),
                charge.cost,
                month_ends,
            ),
        ] {
            let Some(allowed) = allowed else { continue };
            let without_others = spent.saturating_add(asked);
            if without_others.saturating_add(reserved) <= allowed {
                continue;
            }
            let clears = if asked > allowed {
                Clears::Never
            } else if without_others <= allowed {
                Clears::Soon
            } else {
                Clears::AtReset
            };
            return Err(Refusal {
                holder,
                limit,
                allowed,
                spent,
                reserved,
                asked,
                resets_at,
                clears,
            });
        }
        self.minute_requests = self.minute_requests.saturating_add(1);
        let reservation = Reservation {
            day: self.day,
            charge,
            until: now.plus(LEASE),
            call,
        };
        self.open.insert(request.clone(), reservation);
        Ok(())
    }

    /// Gives a reservation back: its call was never made. Returns whether there was one.
    pub fn release(&mut self, request: &RequestId) -> bool {
        self.open.remove(request).is_some()
    }

    /// Extends a reservation. Returns whether there was one.
    pub fn renew(&mut self, now: Timestamp, request: &RequestId) -> bool {
        let Some(held) = self.open.get_mut(request) else {
            return false;
        };
        held.until = held.until.max(now.plus(LEASE));
        true
    }

    /// Counts a call that ended, at most as much as it had reserved. `previous` is what it counts as
    /// already. Returns what it counts as now, when that is new.
    pub fn settle(
        &mut self,
        now: Timestamp,
        request: &RequestId,
        own_key: bool,
        outcome: Outcome,
        previous: Option<&Counted>,
    ) -> Option<Counted> {
        self.roll(now);
        let held = self.open.remove(request);
        let (known, reported) = match outcome {
            Outcome::Reported(charge) => (Some(charge), charge),
            Outcome::Nothing => (Some(Charge::default()), Charge::default()),
            Outcome::Unknown(at_least) => (None, at_least),
        };
        if let Some(previous) = previous {
            let charge = known?.at_most(previous.charge);
            let open = matches!(previous.basis, Basis::Unreported | Basis::Expired);
            return open.then(|| self.replace(previous, charge, Basis::Reported));
        }
        let basis = match known {
            Some(_) => Basis::Reported,
            None => Basis::Unreported,
        };
        let counted = match held {
            Some(held) => Counted {
                day: held.day,
                charge: known.unwrap_or(held.charge).at_most(held.charge),
                basis,
                own_key: held.call.own_key,
            },
            // It began while nothing was limited.
            None => Counted {
                day: self.day,
                charge: reported,
                basis,
                own_key,
            },
        };
        self.add(&counted);
        Some(counted)
    }

    /// Reservations whose time is over, each with what it counts as: all of it.
    pub fn expire(&mut self, now: Timestamp) -> Vec<(RequestId, Reservation, Counted)> {
        self.roll(now);
        let over: Vec<RequestId> = self
            .open
            .iter()
            .filter(|(_, held)| held.until <= now)
            .map(|(request, _)| request.clone())
            .collect();
        let mut expired = Vec::with_capacity(over.len());
        for request in over {
            let Some(held) = self.open.remove(&request) else {
                continue;
            };
            let counted = Counted {
                day: held.day,
                charge: held.charge,
                basis: Basis::Expired,
                own_key: held.call.own_key,
            };
            self.add(&counted);
            expired.push((request, held, counted));
        }
        expired
    }

    /// When the next reservation expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.open.values().map(|held| held.until).min()
    }

    /// Counts a call as the provider's own records have it, once. This alone may go beyond a
    /// reservation: it is what was really spent.
    pub fn correct(
        &mut self,
        now: Timestamp,
        previous: &Counted,
        charge: Charge,
    ) -> Option<Counted> {
        self.roll(now);
        let open = previous.basis != Basis::Reconciled;
        open.then(|| self.replace(previous, charge, Basis::Reconciled))
    }

    /// Counts a call that only the provider's records know.
    pub fn discover(&mut self, now: Timestamp, day: Day, charge: Charge) -> Counted {
        self.roll(now);
        let counted = Counted {
            day,
            charge,
            basis: Basis::Reconciled,
            own_key: false,
        };
        self.add(&counted);
        counted
    }

    /// Limits of which [`WARNING_AT`] hundredths are spent.
    #[must_use]
    pub fn near(&self) -> Vec<Warning> {
        let tokens = self.limits().daily_tokens;
        let (own, allowed) = (self.own.monthly_cost, self.allowance.monthly_cost);
        let near = [
            (LimitName::DailyTokens, tokens, self.day_tokens),
            (LimitName::MonthlyCost, own, self.month_cost),
            (LimitName::MonthlyCost, allowed, self.month_paid),
        ]
        .into_iter()
        .filter_map(|(limit, allowed, spent)| {
            let allowed = allowed?;
            let near = u128::from(spent) * 100 >= u128::from(allowed) * u128::from(WARNING_AT);
            near.then_some(Warning {
                limit,
                allowed,
                spent,
            })
        });
        // Of two limits of one kind the lower is told.
        let mut told: Vec<Warning> = Vec::new();
        for warning in near {
            match told.iter_mut().find(|other| other.limit == warning.limit) {
                Some(other) if other.allowed <= warning.allowed => {}
                Some(other) => *other = warning,
                None => told.push(warning),
            }
        }
        told
    }

    /// Of the limits that are near, those of which this period was not warned yet.
    pub fn warn(&mut self) -> Vec<Warning> {
        let mut fresh = self.near();
        fresh.retain(|warning| match warning.limit {
            LimitName::DailyTokens => self.warned.0.replace(self.day) != Some(self.day),
            LimitName::MonthlyCost => self.warned.1.replace(self.month) != Some(self.month),
            LimitName::RequestsPerMinute => false,
        });
        fresh
    }

    fn add(&mut self, counted: &Counted) {
        if counted.day == self.day {
            self.day_tokens = self.day_tokens.saturating_add(counted.charge.tokens);
        }
        if counted.day.month() == self.month {
            self.month_cost = self.month_cost.saturating_add(counted.charge.cost);
            if !counted.own_key {
                self.month_paid = self.month_paid.saturating_add(counted.charge.cost);
            }
        }
    }

    fn replace(&mut self, previous: &Counted, charge: Charge, basis: Basis) -> Counted {
        if previous.day == self.day {
            self.day_tokens = self.day_tokens.saturating_sub(previous.charge.tokens);
        }
        if previous.day.month() == self.month {
            self.month_cost = self.month_cost.saturating_sub(previous.charge.cost);
            if !previous.own_key {
                self.month_paid = self.month_paid.saturating_sub(previous.charge.cost);
            }
        }
        let counted = Counted {
            day: previous.day,
            charge,
            basis,
            own_key: previous.own_key,
        };
        self.add(&counted);
        counted
    }
}
