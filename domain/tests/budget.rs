//! The ledger under any interleaving of calls.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sam_domain::budget::call::CallScope;
use sam_domain::budget::ledger::{Basis, Counted, LEASE, Ledger, Outcome};
use sam_domain::budget::period::Day;
use sam_domain::budget::refusal::{Clears, HolderKind, LimitName};
use sam_domain::budget::{Charge, Limits};
use sam_domain::id::{Id as _, ProjectId, RequestId, SessionId, TaskId, UserId};
use sam_domain::time::{Millis, Timestamp};

const LIMITS: Limits = Limits {
    daily_tokens: Some(1_000),
    monthly_cost: Some(5_000),
    requests_per_minute: Some(7),
};
const NOON: Timestamp = Timestamp(20_777 * 86_400_000 + 12 * 3_600_000);

fn request(n: u8) -> RequestId {
    RequestId::mint(NOON, u128::from(n))
}

fn scope() -> CallScope {
    CallScope {
        user: UserId::mint(NOON, 1),
        project: ProjectId::mint(NOON, 2),
        session: SessionId::mint(NOON, 3),
        task: TaskId::mint(NOON, 4),
        attempt: 1,
        model: "m".to_owned(),
        own_key: false,
    }
}

const fn charge(tokens: u64, cost: u64) -> Charge {
    Charge { tokens, cost }
}

/// A ledger and what became of its calls, as an object stores them.
#[derive(Clone, Debug, Default)]
struct Book {
    ledger: Ledger,
    counted: BTreeMap<RequestId, Counted>,
    reserved: BTreeMap<RequestId, Charge>,
}

impl Book {
    fn new(limits: Limits) -> Self {
        let mut book = Self::default();
        book.ledger.own = limits;
        book
    }

    fn reserve(&mut self, now: Timestamp, n: u8, want: Charge) -> bool {
        if self.counted.contains_key(&request(n)) {
            return false;
        }
        let granted = self
            .ledger
            .reserve(now, HolderKind::Person, &request(n), want, scope())
            .is_ok();
        if granted {
            self.reserved.entry(request(n)).or_insert(want);
        }
        granted
    }

    fn settle(&mut self, now: Timestamp, n: u8, outcome: Outcome) -> bool {
        let id = request(n);
        let previous = self.counted.get(&id).copied();
        match self
            .ledger
            .settle(now, &id, false, outcome, previous.as_ref())
        {
            Some(counted) => {
                self.counted.insert(id, counted);
                true
            }
            None => false,
        }
    }

    fn expire(&mut self, now: Timestamp) {
        for (id, _, counted) in self.ledger.expire(now) {
            self.counted.insert(id, counted);
        }
    }

    fn correct(&mut self, now: Timestamp, n: u8, charge: Charge) -> bool {
        let id = request(n);
        let Some(previous) = self.counted.get(&id).copied() else {
            return false;
        };
        match self.ledger.correct(now, &previous, charge) {
            Some(counted) => {
                self.counted.insert(id, counted);
                true
            }
            None => false,
        }
    }

    /// What the record of calls says that the ledger's periods have.
    fn recorded(&self) -> (u64, u64) {
        let day = self.ledger.day();
        let tokens = self.counted.values().filter(|call| call.day == day);
        let month = day.month();
        let cost = self
            .counted
            .values()
            .filter(|call| call.day.month() == month);
        (
            tokens.map(|call| call.charge.tokens).sum(),
            cost.map(|call| call.charge.cost).sum(),
        )
    }
}

#[test]
fn a_key_of_ones_own_takes_nothing_of_what_an_administrator_allows_to_spend() {
    let cost = |limit| Limits {
        monthly_cost: Some(limit),
        ..Limits::NONE
    };
    let mut ledger = Ledger::default();
    ledger.allowance = cost(100);
    let with = |own_key| CallScope { own_key, ..scope() };
    let person = HolderKind::Person;
    assert!(!ledger.limits_of(true).is_limited());
    // Settled or under way, it stands in nobody's way; a call that is paid for does.
    for (n, settles) in [(1, true), (2, false)] {
        let reserved = ledger.reserve(NOON, person, &request(n), charge(10, 5_000), with(true));
        assert!(reserved.is_ok());
        if settles {
            let outcome = Outcome::Reported(charge(10, 5_000));
            let counted = ledger.settle(NOON, &request(n), true, outcome, None);
            assert!(counted.unwrap().own_key);
        }
    }
    assert_eq!((ledger.month_cost(), ledger.near()), (5_000, vec![]));
    let paid = |ledger: &mut Ledger, n, amount| {
        ledger.reserve(NOON, person, &request(n), charge(10, amount), with(false))
    };
    assert!(paid(&mut ledger, 3, 60).is_ok());
    let refused = paid(&mut ledger, 4, 60).unwrap_err();
    assert_eq!(
        (refused.spent, refused.reserved, refused.allowed),
        (0, 60, 100)
    );
    // One's own limit is for both.
    ledger.own = cost(6_000);
    let own = ledger.reserve(NOON, person, &request(5), charge(10, 5_000), with(true));
    assert_eq!(own.unwrap_err().allowed, 6_000);
}

#[derive(Clone, Debug)]
enum Step {
    Reserve(u8, Charge),
    Settle(u8, Outcome),
    Release(u8),
    Renew(u8),
    Pass(u64),
}

fn any_charge() -> impl Strategy<Value = Charge> {
    (0u64..700, 0u64..3_000).prop_map(|(tokens, cost)| charge(tokens, cost))
}

fn any_step() -> impl Strategy<Value = Step> {
    // Few calls, so that reports repeat and come late; providers may claim more than was reserved.
    let call = 0u8..12;
    prop_oneof![
        4 => (call.clone(), any_charge()).prop_map(|(n, want)| Step::Reserve(n, want)),
        3 => (call.clone(), any_charge()).prop_map(|(n, used)| Step::Settle(n, Outcome::Reported(used))),
        1 => (call.clone(), any_charge()).prop_map(|(n, used)| Step::Settle(n, Outcome::Unknown(used))),
        1 => call.clone().prop_map(|n| Step::Settle(n, Outcome::Nothing)),
        1 => call.clone().prop_map(Step::Release),
        1 => call.prop_map(Step::Renew),
        2 => prop_oneof![Just(1u64), Just(61), Just(700), Just(90_000)].prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn spent_and_reserved_never_exceed_a_limit(steps in prop::collection::vec(any_step(), 0..80)) {
        let mut book = Book::new(LIMITS);
        let mut now = NOON;
        for step in steps {
            match step {
                Step::Reserve(n, want) => {
                    book.reserve(now, n, want);
                }
                // Only calls that were reserved: what begins without limits is bound by none.
                Step::Settle(n, outcome) if book.reserved.contains_key(&request(n)) => {
                    let before = book.counted.get(&request(n)).copied();
                    let open = book.ledger.open().contains_key(&request(n));
                    if before.is_some() || open {
                        book.settle(now, n, outcome);
                    }
                }
                Step::Settle(..) => {}
                Step::Release(n) => {
                    if book.ledger.release(&request(n)) {
                        book.reserved.remove(&request(n));
                    }
                }
                Step::Renew(n) => {
                    book.ledger.renew(now, &request(n));
                }
                Step::Pass(seconds) => {
                    now = now.plus(Millis::seconds(seconds));
                    book.expire(now);
                }
            }
            let (reserved, (tokens, cost)) = (book.ledger.reserved(), book.recorded());
            // The totals are the sum of the calls.
            prop_assert_eq!((book.ledger.day_tokens(), book.ledger.month_cost()), (tokens, cost));
            prop_assert!(tokens + reserved.tokens <= 1_000);
            prop_assert!(cost + reserved.cost <= 5_000);
            prop_assert!(book.ledger.minute_requests() <= 7);
            for (id, counted) in &book.counted {
                let most = book.reserved.get(id).copied().unwrap_or_default();
                prop_assert!(counted.charge.tokens <= most.tokens && counted.charge.cost <= most.cost);
            }
        }
    }

    #[test]
    fn a_ledger_survives_being_stored(steps in prop::collection::vec(any_step(), 0..20)) {
        let mut book = Book::new(LIMITS);
        for step in steps {
            if let Step::Reserve(n, want) = step {
                book.reserve(NOON, n, want);
            }
            let stored = serde_json::to_string(&book.ledger).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Ledger>(&stored).unwrap(), &book.ledger);
        }
    }

    #[test]
    fn of_many_at_once_only_what_fits_is_let_through(
        wants in prop::collection::vec(any_charge(), 1..50),
        shares in prop::collection::vec(0u64..=100, 50),
    ) {
        // All are asked for before any ends, and each uses a share of what it reserved.
        let mut book = Book::new(Limits { requests_per_minute: None, ..LIMITS });
        let granted: Vec<_> = (0u8..)
            .zip(&wants)
            .filter(|(n, want)| book.reserve(NOON, *n, **want))
            .map(|(n, want)| (n, *want))
            .collect();
        for ((n, want), share) in granted.iter().zip(shares) {
            let used = charge(want.tokens * share / 100, want.cost * share / 100);
            book.settle(NOON, *n, Outcome::Reported(used));
        }
        prop_assert!(book.ledger.day_tokens() <= 1_000 && book.ledger.month_cost() <= 5_000);
        prop_assert!(book.ledger.open().is_empty());
    }
}

#[test]
fn a_settlement_counts_once_and_at_most_what_was_reserved() {
    let mut book = Book::new(LIMITS);
    assert!(book.reserve(NOON, 1, charge(100, 10)));
    assert!(book.reserve(NOON, 1, charge(100, 10)), "a repeat");
    assert_eq!(book.ledger.reserved(), charge(100, 10));
    assert!(book.settle(NOON, 1, Outcome::Reported(charge(900, 900))));
    assert!(
        !book.settle(NOON, 1, Outcome::Reported(charge(1, 1))),
        "a repeat"
    );
    assert_eq!(book.recorded(), (100, 10));
    assert_eq!(book.ledger.reserved(), Charge::default());
}

#[test]
fn an_expiry_counts_in_full_and_a_late_report_corrects_it_once() {
    let mut book = Book::new(LIMITS);
    assert!(book.reserve(NOON, 1, charge(100, 10)));
    let late = NOON.plus(LEASE);
    book.expire(Timestamp(late.0 - 1));
    assert_eq!(book.recorded(), (0, 0));
    book.expire(late);
    assert_eq!(book.recorded(), (100, 10));
    assert!(book.settle(late, 1, Outcome::Reported(charge(30, 3))));
    assert_eq!(book.recorded(), (30, 3));
    assert!(!book.settle(late, 1, Outcome::Reported(charge(20, 2))));
    assert_eq!(book.recorded(), (30, 3));
}

#[test]
fn a_renewed_reservation_does_not_expire() {
    let mut book = Book::new(LIMITS);
    assert!(book.reserve(NOON, 1, charge(100, 10)));
    let soon = NOON.plus(Millis::minutes(5));
    assert!(book.ledger.renew(soon, &request(1)));
    book.expire(NOON.plus(LEASE));
    assert!(book.counted.is_empty());
    assert_eq!(book.ledger.next_expiry(), Some(soon.plus(LEASE)));
    assert!(!book.ledger.renew(soon, &request(2)));
}

#[test]
fn without_a_report_a_call_counts_in_full_until_it_is_reconciled() {
    let mut book = Book::new(LIMITS);
    assert!(book.reserve(NOON, 1, charge(100, 10)));
    assert!(book.settle(NOON, 1, Outcome::Unknown(charge(5, 1))));
    assert_eq!(book.recorded(), (100, 10));
    assert!(book.correct(NOON, 1, charge(40, 4)));
    assert_eq!(book.recorded(), (40, 4));
    assert!(!book.correct(NOON, 1, charge(7, 7)), "once");
    assert!(
        !book.settle(NOON, 1, Outcome::Reported(charge(9, 9))),
        "it is final"
    );
    assert_eq!(book.counted[&request(1)].basis, Basis::Reconciled);
}

#[test]
fn a_call_that_was_refused_owes_nothing() {
    let mut book = Book::new(LIMITS);
    assert!(book.reserve(NOON, 1, charge(900, 10)));
    assert!(book.settle(NOON, 1, Outcome::Nothing));
    assert_eq!(book.recorded(), (0, 0));
    assert!(book.reserve(NOON, 2, charge(1_000, 10)));
}

#[test]
fn a_refusal_says_what_is_in_the_way() {
    let mut book = Book::new(LIMITS);
    let ask = |book: &mut Book, n, want| {
        book.ledger
            .reserve(NOON, HolderKind::Project, &request(n), want, scope())
            .map_err(|refusal| {
                (
                    refusal.limit,
                    refusal.clears,
                    refusal.spent,
                    refusal.reserved,
                )
            })
    };
    assert_eq!(
        ask(&mut book, 1, charge(1_001, 0)),
        Err((LimitName::DailyTokens, Clears::Never, 0, 0))
    );
    assert_eq!(ask(&mut book, 1, charge(600, 0)), Ok(()));
    assert_eq!(
        ask(&mut book, 2, charge(600, 0)),
        Err((LimitName::DailyTokens, Clears::Soon, 0, 600))
    );
    assert!(book.settle(NOON, 1, Outcome::Reported(charge(600, 0))));
    assert_eq!(
        ask(&mut book, 2, charge(600, 0)),
        Err((LimitName::DailyTokens, Clears::AtReset, 600, 0))
    );
    assert_eq!(
        ask(&mut book, 2, charge(0, 6_000)),
        Err((LimitName::MonthlyCost, Clears::Never, 0, 0))
    );
    for n in 2..8 {
        assert_eq!(ask(&mut book, n, charge(1, 1)), Ok(()), "{n}");
    }
    assert_eq!(
        ask(&mut book, 8, charge(1, 1)),
        Err((LimitName::RequestsPerMinute, Clears::AtReset, 7, 0))
    );
}

#[test]
fn a_call_belongs_to_the_day_on_which_it_was_reserved() {
    let mut book = Book::new(LIMITS);
    let evening = Timestamp(NOON.0 + 11 * 3_600_000 + 3_540_000);
    assert!(book.reserve(evening, 1, charge(1_000, 10)));
    let tomorrow = evening.plus(Millis::minutes(5));
    // Yesterday's call holds nothing of today.
    assert!(book.reserve(tomorrow, 2, charge(1_000, 10)));
    assert!(book.settle(tomorrow, 1, Outcome::Reported(charge(900, 9))));
    assert_eq!(book.counted[&request(1)].day, Day::of(NOON));
    assert_eq!(book.ledger.day_tokens(), 0);
    assert_eq!(book.ledger.month_cost(), 9, "but of the month");
    // A clock that goes back begins no day again.
    book.ledger.roll(NOON);
    assert_eq!(book.ledger.day(), Day::of(tomorrow));
}

#[test]
fn a_warning_is_given_once_a_period() {
    let mut book = Book::new(LIMITS);
    let use_up = |book: &mut Book, n, at, tokens| {
        assert!(book.reserve(at, n, charge(tokens, 0)));
        assert!(book.settle(at, n, Outcome::Reported(charge(tokens, 0))));
        book.ledger.warn().len()
    };
    assert_eq!(use_up(&mut book, 1, NOON, 799), 0);
    assert_eq!(use_up(&mut book, 2, NOON, 1), 1);
    assert_eq!(use_up(&mut book, 3, NOON, 1), 0);
    assert_eq!(book.ledger.near().len(), 1);
    let tomorrow = NOON.plus(Millis::hours(24));
    assert_eq!(use_up(&mut book, 4, tomorrow, 10), 0);
    assert_eq!(use_up(&mut book, 5, tomorrow, 900), 1);
}

#[test]
fn a_person_cannot_raise_what_an_administrator_allows() {
    let mut ledger = Ledger::default();
    ledger.allowance.daily_tokens = Some(10);
    ledger.own.daily_tokens = Some(1_000_000);
    let refused = ledger.reserve(
        NOON,
        HolderKind::Person,
        &request(1),
        charge(11, 0),
        scope(),
    );
    assert_eq!(refused.unwrap_err().allowed, 10);
}
