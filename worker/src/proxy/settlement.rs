//! Handing records of calls that ended to the budgets.
//!
//! One call at a time is made to each budget: what ends meanwhile waits, and goes out together with
//! the next. So of many calls that end together hardly more than one costs a request and a write to
//! disk. What reserved something is recorded at once, since others may wait for the rest of it; what
//! reserved nothing is only counted, and waits a moment ([`LINGER`]) for what follows.
//!
//! A request of the Worker may not wait for what another one does. Whoever hands a record over while
//! somebody is at work therefore leaves it and goes; whoever is at work goes on until nothing waits,
//! or until a later one takes over, since no request is given time for ever.
//!
//! Invariant: what waits is taken by somebody, or by the next who comes; what was taken and not
//! recorded waits again. A record is known by its request, so that recording it twice is harmless.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use futures::future::join;
use sam_domain::budget::call::{BudgetCall, ModelCall, Settled};
use sam_domain::id::Id as _;
use sam_domain::time::{Millis, Timestamp};
use sam_platform::clock;
use worker::Env;

use super::budget::{ask, remember};
use crate::errors::log;

/// Most records that go out together.
const TOGETHER: usize = 100;
/// How long a record that nobody waits for waits for others.
const LINGER: Duration = Duration::from_millis(250);
/// Most records that wait for one budget; older ones are lost, and what they reserved expires.
const MOST: usize = 10_000;
/// How long one request works for others.
const SHIFT: Millis = Millis::seconds(5);
/// How often a record is tried.
const TRIES: u32 = 4;
/// How long to wait before the second try; each later one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

thread_local! {
    static DESKS: RefCell<HashMap<Place, Desk>> = RefCell::default();
}

/// Where records are left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    /// For whose budget.
    holder: String,
    /// For those that reserved something.
    reserved: bool,
}

/// What waits at one place, and who is at work on it.
#[derive(Default)]
struct Desk {
    waiting: Vec<ModelCall>,
    /// Numbers those who were at work.
    shift: u64,
    /// Until when the last of them counts; none when they left.
    until: Option<Timestamp>,
}

impl Desk {
    /// Adds a record behind those that wait.
    fn leave(&mut self, record: ModelCall) {
        self.waiting.push(record);
        let excess = self.waiting.len().saturating_sub(MOST);
        self.waiting.drain(..excess);
    }

    /// Adds records before those that wait.
    fn put_back(&mut self, mut records: Vec<ModelCall>) {
        records.append(&mut self.waiting);
        let excess = records.len().saturating_sub(MOST);
        self.waiting = records.split_off(excess);
    }

    /// Leaves a record. Returns the number of a new shift, if whoever leaves it has to work.
    fn hand_over(&mut self, record: ModelCall, now: Timestamp) -> Option<u64> {
        self.leave(record);
        if self.until.is_some_and(|until| now < until) {
            return None;
        }
        self.shift += 1;
        self.until = Some(now.plus(SHIFT));
        Some(self.shift)
    }

    /// What goes out next in this shift; nothing ends it.
    fn take(&mut self, shift: u64) -> Vec<ModelCall> {
        if self.shift != shift {
            return Vec::new();
        }
        if self.waiting.is_empty() {
            self.until = None;
        }
        let most = self.waiting.len().min(TOGETHER);
        self.waiting.drain(..most).collect()
    }
}

/// Somebody at work on one place. Whoever is dropped at it leaves it, and what they had taken waits
/// again.
struct AtWork<'a> {
    place: &'a Place,
    shift: u64,
    taken: Vec<ModelCall>,
}

impl<'a> AtWork<'a> {
    const fn on(place: &'a Place, shift: u64) -> Self {
        Self {
            place,
            shift,
            taken: Vec::new(),
        }
    }

    /// Takes what goes out next; whether there is anything.
    fn take(&mut self) -> bool {
        self.taken = at_desk(self.place, |desk| desk.take(self.shift));
        !self.taken.is_empty()
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let records = std::mem::take(&mut self.taken);
        at_desk(self.place, |desk| {
            if desk.shift == self.shift {
                desk.until = None;
            }
            desk.put_back(records);
        });
    }
}

fn at_desk<T>(place: &Place, work: impl FnOnce(&mut Desk) -> T) -> T {
    DESKS.with_borrow_mut(|desks| {
        let desk = desks.entry(place.clone()).or_default();
        let done = work(desk);
        if desk.waiting.is_empty() && desk.until.is_none() {
            desks.remove(place);
        }
        done
    })
}

/// Hands the record of a call that ended to both budgets.
pub(super) async fn settle(env: &Env, record: ModelCall) {
    let place = |holder: &str| Place {
        holder: holder.to_owned(),
        reserved: record.reserved.is_some(),
    };
    let (user, project) = (
        place(record.scope.user.as_str()),
        place(record.scope.project.as_str()),
    );
    join(
        hand_over(env, &user, record.clone()),
        hand_over(env, &project, record),
    )
    .await;
}

async fn hand_over(env: &Env, place: &Place, record: ModelCall) {
    let Some(shift) = at_desk(place, |desk| desk.hand_over(record, clock::now())) else {
        return;
    };
    let mut at_work = AtWork::on(place, shift);
    loop {
        if !place.reserved {
            worker::Delay::from(LINGER).await;
        }
        if !at_work.take() {
            return;
        }
        let call = BudgetCall::Settle {
            records: at_work.taken.clone(),
        };
        tell(env, &place.holder, &call).await;
        at_work.taken.clear();
    }
}

async fn tell(env: &Env, holder: &str, call: &BudgetCall) {
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=TRIES {
        match ask::<Settled>(env, holder, call).await {
            Ok(Settled { limited }) => return remember(holder, limited, clock::now()),
            Err(error) if attempt == TRIES => {
                log(&format!("records of model calls were lost: {error}"));
            }
            Err(_) => {
                worker::Delay::from(pause).await;
                pause = pause.saturating_mul(2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_domain::budget::call::{CallEnd, CallScope};
    use sam_domain::id::{Id, RequestId};

    fn record(number: u128) -> ModelCall {
        fn id<T: Id>() -> T {
            T::mint(Timestamp(1), 1)
        }
        ModelCall {
            request: RequestId::mint(Timestamp(1), number),
            scope: CallScope {
                user: id(),
                project: id(),
                session: id(),
                task: id(),
                attempt: 1,
                model: "m".to_owned(),
                own_key: false,
            },
            at: Timestamp(1),
            status: 200,
            tokens: None,
            cost: 0,
            end: CallEnd::Complete,
            reserved: None,
            log: None,
        }
    }

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn one_works_at_a_time_and_takes_what_came_meanwhile_together() {
        let mut desk = Desk::default();
        let shift = desk.hand_over(record(1), NOW).unwrap();
        assert_eq!(desk.take(shift), [record(1)]);
        assert_eq!(desk.hand_over(record(2), NOW), None);
        assert_eq!(desk.hand_over(record(3), NOW), None);
        assert_eq!(desk.take(shift), [record(2), record(3)]);
        assert_eq!(desk.take(shift), []);
        assert!(desk.hand_over(record(4), NOW).is_some());
    }

    #[test]
    fn a_shift_ends_when_a_later_one_begins() {
        let mut desk = Desk::default();
        let first = desk.hand_over(record(1), NOW).unwrap();
        let second = desk.hand_over(record(2), NOW.plus(SHIFT)).unwrap();
        assert_eq!(desk.take(first), []);
        assert_eq!(desk.take(second), [record(1), record(2)]);
    }

    #[test]
    fn what_was_taken_and_not_recorded_waits_again() {
        let place = &Place {
            holder: "somebody".to_owned(),
            reserved: false,
        };
        let come = |number| at_desk(place, |desk| desk.hand_over(record(number), NOW));
        let mut at_work = AtWork::on(place, come(1).unwrap());
        assert!(at_work.take());
        drop(at_work);
        let shift = come(2).unwrap();
        // Before anything was taken: while it waits for more.
        drop(AtWork::on(place, shift));
        let shift = come(3).unwrap();
        assert_eq!(come(4), None, "somebody is at work");
        let records = at_desk(place, |desk| desk.take(shift));
        assert_eq!(records, [1, 2, 3, 4].map(record));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut desk = Desk::default();
        desk.hand_over(record(0), NOW);
        desk.put_back(vec![record(1); MOST]);
        desk.hand_over(record(2), NOW);
        assert_eq!(desk.waiting.len(), MOST);
    }
}
