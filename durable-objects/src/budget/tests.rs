//! The statements of a Budget, on SQLite.

use sam_domain::budget::call::{CallEnd, CallScope, Layer, ModelCall, Reserved};
use sam_domain::budget::ledger::LEASE;
use sam_domain::budget::period::Day;
use sam_domain::budget::reconcile::{Logged, Reconciliation};
use sam_domain::budget::refusal::HolderKind;
use sam_domain::budget::wire::UsageBy;
use sam_domain::budget::{Charge, Limits};
use sam_domain::catalogue::price::Tokens;
use sam_domain::id::{Id, RequestId, TaskId};
use sam_domain::time::{Millis, Timestamp};
use sam_platform::sql::Sql;

use super::{book, schema, usage};

const NOON: Timestamp = Timestamp(20_777 * 86_400_000 + 12 * 3_600_000);
const TODAY: Day = Day(20_777);
const LIMITS: Limits = Limits {
    daily_tokens: Some(1_000),
    monthly_cost: Some(10_000),
    requests_per_minute: None,
};

fn database() -> Sql {
    let sql = Sql::in_memory().unwrap();
    schema::create(&sql).unwrap();
    sql
}

fn limited() -> Sql {
    let sql = database();
    book::set_limits(&sql, NOON, Layer::Own, LIMITS).unwrap();
    sql
}

fn id<T: Id>(number: u128) -> T {
    T::mint(NOON, number)
}

fn scope(task: u128) -> CallScope {
    CallScope {
        user: id(1),
        project: id(2),
        session: id(3),
        task: id(task),
        attempt: 1,
        model: "scripted".to_owned(),
        own_key: false,
    }
}

fn call(request: u128, tokens: Option<(u64, u64)>, end: CallEnd) -> ModelCall {
    ModelCall {
        request: id(request),
        scope: scope(1),
        at: NOON,
        status: 200,
        tokens: tokens.map(|(input, output)| Tokens {
            input,
            output,
            ..Tokens::default()
        }),
        cost: tokens.map_or(0, |(input, output)| input.saturating_add(output)),
        end,
        reserved: None,
        log: None,
    }
}

fn reserve(sql: &Sql, now: Timestamp, request: u128, tokens: u64) -> Reserved {
    let charge = Charge {
        tokens,
        cost: tokens,
    };
    let request: RequestId = id(request);
    book::reserve(sql, now, HolderKind::Person, &request, charge, scope(1))
        .unwrap()
        .0
}

fn granted(reserved: &Reserved) -> bool {
    matches!(reserved, Reserved::Granted { .. })
}

fn spent(sql: &Sql, now: Timestamp) -> (u64, u64) {
    let view = book::view(sql, now).unwrap();
    (view.daily_tokens.spent, view.daily_tokens.reserved)
}

#[test]
fn usage_is_summed_and_a_repeat_counts_once() {
    let sql = database();
    for record in [
        call(1, Some((10, 5)), CallEnd::Complete),
        call(1, Some((10, 5)), CallEnd::Complete),
        call(2, None, CallEnd::Complete),
        call(3, Some((7, 1)), CallEnd::BrokeOff),
    ] {
        assert!(
            !book::settle(&sql, NOON, std::slice::from_ref(&record))
                .unwrap()
                .limited
        );
    }
    let sum = usage::of_task(&sql, &id(1)).unwrap();
    assert_eq!((sum.calls, sum.unreported), (3, 1));
    assert_eq!((sum.input_tokens, sum.output_tokens, sum.cost), (17, 6, 23));
    let ends = [("broke_off".to_owned(), 1), ("complete".to_owned(), 2)];
    assert_eq!(sum.ends, ends.into());
    assert_eq!(usage::of_task(&sql, &id::<TaskId>(2)).unwrap().calls, 0);
    for (by, key) in [
        (UsageBy::Day, "2026-11-20"),
        (
            UsageBy::Project,
            id::<sam_domain::id::ProjectId>(2).as_str(),
        ),
        (UsageBy::Model, "scripted"),
    ] {
        let rows = usage::grouped(&sql, by, TODAY, TODAY).unwrap().rows;
        assert_eq!(
            (rows.len(), rows[0].key.as_str(), rows[0].calls),
            (1, key, 3)
        );
    }
    let yesterday = Day(TODAY.0 - 1);
    let none = usage::grouped(&sql, UsageBy::Day, yesterday, yesterday).unwrap();
    assert!(none.rows.is_empty());
}

#[test]
fn without_limits_nothing_is_reserved_and_a_call_is_one_row() {
    struct Kept {
        kept: u64,
    }
    sam_platform::columns!(Kept: kept);
    let sql = database();
    assert_eq!(reserve(&sql, NOON, 1, 1 << 40), Reserved::Unlimited);
    book::settle(&sql, NOON, &[call(1, Some((1, 1)), CallEnd::Complete)]).unwrap();
    let kept: Option<Kept> = sql
        .first("SELECT COUNT(*) AS kept FROM state", &[])
        .unwrap();
    assert_eq!(kept.unwrap().kept, 0);
}

#[test]
fn a_limit_counts_what_was_spent_before_it_was_set() {
    let sql = database();
    book::settle(&sql, NOON, &[call(1, Some((400, 500)), CallEnd::Complete)]).unwrap();
    book::set_limits(&sql, NOON, Layer::Allowance, LIMITS).unwrap();
    assert_eq!(spent(&sql, NOON), (900, 0));
    assert!(!granted(&reserve(&sql, NOON, 2, 101)));
    assert!(granted(&reserve(&sql, NOON, 3, 100)));
    assert_eq!(spent(&sql, NOON), (900, 100));
    // Lifted and set again while a call is under way.
    book::set_limits(&sql, NOON, Layer::Allowance, Limits::NONE).unwrap();
    book::set_limits(&sql, NOON, Layer::Own, LIMITS).unwrap();
    assert!(!granted(&reserve(&sql, NOON, 4, 1)));
}

#[test]
fn a_reservation_is_settled_once_and_released_without_a_trace() {
    let sql = limited();
    assert!(granted(&reserve(&sql, NOON, 1, 900)));
    assert!(granted(&reserve(&sql, NOON, 1, 900)));
    assert!(!granted(&reserve(&sql, NOON, 2, 200)));
    let record = call(1, Some((10, 5)), CallEnd::Complete);
    assert!(
        book::settle(&sql, NOON, std::slice::from_ref(&record))
            .unwrap()
            .limited
    );
    book::settle(&sql, NOON, std::slice::from_ref(&record)).unwrap();
    assert_eq!(spent(&sql, NOON), (15, 0));
    let repeated = book::reserve(
        &sql,
        NOON,
        HolderKind::Person,
        &id(1),
        Charge::default(),
        scope(1),
    );
    assert!(repeated.is_err(), "the call has ended");
    assert!(granted(&reserve(&sql, NOON, 2, 200)));
    book::change(&sql, |ledger| ledger.release(&id(2))).unwrap();
    assert_eq!(spent(&sql, NOON), (15, 0));
}

#[test]
fn what_expires_counts_in_full_until_a_late_report() {
    let sql = limited();
    assert!(granted(&reserve(&sql, NOON, 1, 900)));
    assert_eq!(book::expire(&sql, NOON).unwrap(), Some(NOON.plus(LEASE)));
    let late = NOON.plus(LEASE);
    assert_eq!(book::expire(&sql, late).unwrap(), None);
    assert_eq!(spent(&sql, late), (900, 0));
    book::settle(&sql, late, &[call(1, Some((10, 5)), CallEnd::Complete)]).unwrap();
    assert_eq!(spent(&sql, late), (15, 0));
    assert_eq!(usage::of_task(&sql, &id(1)).unwrap().calls, 1);
}

fn logged(log: &str, cost: u64) -> Logged {
    Logged {
        log: log.to_owned(),
        at: NOON,
        model: "scripted".to_owned(),
        cost,
        input: Some(30),
        output: Some(3),
        user: id(1),
        project: id(2),
        session: id(3),
        task: id(1),
    }
}

#[test]
fn a_record_of_the_provider_corrects_once() {
    let sql = limited();
    let with_log = |request, tokens, log: &str| ModelCall {
        log: Some(log.to_owned()),
        ..call(request, tokens, CallEnd::Complete)
    };
    assert!(granted(&reserve(&sql, NOON, 1, 500)));
    assert!(granted(&reserve(&sql, NOON, 2, 300)));
    book::settle(&sql, NOON, &[with_log(1, None, "a")]).unwrap();
    book::settle(&sql, NOON, &[with_log(2, Some((10, 5)), "b")]).unwrap();
    assert_eq!(spent(&sql, NOON), (515, 0));
    // One that was unreported, one that agrees, one that only the log knows.
    let records = [logged("a", 33), logged("b", 15), logged("c", 7)];
    let first = book::reconcile(&sql, NOON, &records).unwrap();
    assert_eq!((first.corrected, first.discovered), (1, 1));
    assert_eq!((first.ledger_cost, first.provider_cost), (515, 55));
    assert_eq!(spent(&sql, NOON), (33 + 15 + 33, 0));
    let second = book::reconcile(&sql, NOON, &records).unwrap();
    assert_eq!((second.corrected, second.discovered), (0, 0));
    assert_eq!(spent(&sql, NOON), (33 + 15 + 33, 0));
    assert_eq!(usage::of_task(&sql, &id(1)).unwrap().cost, 33 + 15 + 7);
    // Our own report of the third comes after the log's.
    book::settle(&sql, NOON, &[with_log(3, Some((1, 1)), "c")]).unwrap();
    assert_eq!(usage::of_task(&sql, &id(1)).unwrap().calls, 3);
}

#[test]
fn the_cursor_never_goes_back() {
    let sql = database();
    let at = |cursor| Reconciliation {
        cursor: Some(cursor),
        ..Reconciliation::default()
    };
    let later = NOON.plus(Millis::minutes(1));
    book::put_reconciliation(&sql, at(later)).unwrap();
    book::put_reconciliation(&sql, at(NOON)).unwrap();
    assert_eq!(book::reconciliation(&sql).unwrap().cursor, Some(later));
}

#[test]
fn a_provider_that_makes_up_numbers_breaks_no_sum() {
    let sql = limited();
    for request in 1..20 {
        let made_up = call(request, Some((u64::MAX, u64::MAX)), CallEnd::Complete);
        let made_up = ModelCall {
            cost: u64::MAX,
            ..made_up
        };
        book::settle(&sql, NOON, &[made_up]).unwrap();
    }
    assert!(usage::of_task(&sql, &id(1)).unwrap().input_tokens > 1 << 40);
    assert!(!granted(&reserve(&sql, NOON, 30, 1)));
}
