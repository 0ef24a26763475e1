//! The device flow under arbitrary polls and decisions.

use proptest::prelude::*;
use sam_domain::device::flow::{
    DeviceAnswer, DeviceFlow, DeviceInput, INTERVAL, LIFETIME, SLOW_DOWN, Standing,
};
use sam_domain::device::table::DEVICE_CODE;
use sam_domain::device::wire::Asked;
use sam_domain::id::{Id, UserId};
use sam_domain::time::{Millis, Timestamp};
use std::collections::BTreeSet;
use std::sync::Mutex;

const BEGIN: Timestamp = Timestamp(1_000_000);

fn person(n: u128) -> UserId {
    UserId::mint(Timestamp(1), n)
}

fn flow() -> DeviceFlow {
    let asked = Asked {
        client_id: "test".to_owned(),
        user_agent: None,
        address: None,
        place: None,
        scopes: None,
    };
    DeviceFlow::begin("right".to_owned(), asked, BEGIN)
}

fn poll() -> DeviceInput {
    DeviceInput::Polled {
        device_hmac: "right".to_owned(),
        client_id: "test".to_owned(),
    }
}

fn approve() -> DeviceInput {
    DeviceInput::Approved { by: person(1) }
}

fn granted() -> DeviceAnswer {
    DeviceAnswer::Granted {
        by: person(1),
        scopes: None,
    }
}

fn after(seconds: u64) -> Timestamp {
    BEGIN.plus(Millis::seconds(seconds))
}

#[test]
fn an_approval_is_seen_by_the_next_poll_and_spent_by_it() {
    let mut flow = flow();
    assert_eq!(flow.step(after(0), poll()), DeviceAnswer::Pending);
    assert_eq!(flow.step(after(4), approve()), DeviceAnswer::Decided);
    assert_eq!(flow.step(after(5), poll()), granted());
    assert_eq!(flow.step(after(10), poll()), DeviceAnswer::Invalid);
    assert_eq!(
        flow.step(after(11), DeviceInput::Denied),
        DeviceAnswer::DecidedBefore
    );
}

#[test]
fn a_poll_that_comes_too_early_wins_nothing_and_slows_down_for_good() {
    let mut flow = flow();
    flow.step(after(0), poll());
    flow.step(after(1), approve());
    assert_eq!(flow.step(after(4), poll()), DeviceAnswer::SlowDown);
    // Ten seconds now, from the poll that was refused.
    assert_eq!(flow.step(after(9), poll()), DeviceAnswer::SlowDown);
    assert_eq!(flow.interval, Millis::seconds(15));
    assert_eq!(flow.step(after(24), poll()), granted());
}

#[test]
fn of_fifty_polls_at_once_one_wins() {
    let mut flow = flow();
    flow.step(after(0), approve());
    let answers: Vec<_> = (0..50).map(|_| flow.step(after(1), poll())).collect();
    let won = answers.iter().filter(|answer| **answer == granted());
    assert_eq!(won.count(), 1);
    assert_eq!(answers[0], granted());
}

#[test]
fn whoever_does_not_hold_the_device_code_changes_nothing() {
    let mut flow = flow();
    flow.step(after(0), approve());
    let before = flow.clone();
    for (device_hmac, client_id) in [("wrong", "test"), ("", "test"), ("right", "another")] {
        let input = DeviceInput::Polled {
            device_hmac: device_hmac.to_owned(),
            client_id: client_id.to_owned(),
        };
        assert_eq!(flow.step(after(1), input), DeviceAnswer::Invalid);
        assert_eq!(flow, before);
    }
    assert_eq!(flow.step(after(1), poll()), granted());
}

#[test]
fn the_first_decision_stands() {
    let mut denied = flow();
    assert_eq!(
        denied.step(after(0), DeviceInput::Denied),
        DeviceAnswer::Decided
    );
    assert_eq!(
        denied.step(after(1), approve()),
        DeviceAnswer::DecidedBefore
    );
    assert_eq!(denied.step(after(2), poll()), DeviceAnswer::Denied);
    assert_eq!(denied.step(after(3), poll()), DeviceAnswer::Denied);

    let mut approved = flow();
    approved.step(after(0), approve());
    let other = DeviceInput::Approved { by: person(2) };
    assert_eq!(approved.step(after(1), other), DeviceAnswer::DecidedBefore);
    assert_eq!(approved.step(after(2), poll()), granted());
}

#[test]
fn after_fifteen_minutes_nothing_is_granted() {
    let end = BEGIN.plus(LIFETIME);
    let mut undecided = flow();
    assert_eq!(undecided.step(end, approve()), DeviceAnswer::Expired);
    assert_eq!(undecided.step(end, poll()), DeviceAnswer::Expired);

    let mut approved = flow();
    approved.step(after(0), approve());
    assert_eq!(approved.step(end, poll()), DeviceAnswer::Expired);
}

fn inputs() -> impl Strategy<Value = Vec<(u64, DeviceInput)>> {
    let input = prop_oneof![
        6 => Just(poll()),
        1 => Just(approve()),
        1 => Just(DeviceInput::Denied),
        1 => Just(DeviceInput::DeadlinePassed),
    ];
    // Mostly around the pause between polls; now and then past the end.
    let pause = prop_oneof![5 => 0u64..7_000, 3 => 5_000u64..40_000, 1 => 100_000u64..1_000_000];
    prop::collection::vec((pause, input), 1..40)
}

/// Moves made over all cases of the property.
static MADE: Mutex<BTreeSet<(&str, &str, &str)>> = Mutex::new(BTreeSet::new());

proptest! {
    fn keeps_its_word(steps in inputs()) {
        let mut flow = flow();
        let mut now = BEGIN;
        let mut interval = INTERVAL;
        let mut polled: Option<Timestamp> = None;
        let mut grants = 0;
        for (pause, input) in steps {
            now = now.plus(Millis(pause));
            let (before, name) = (flow.standing.clone(), input.word());
            let late = now >= BEGIN.plus(LIFETIME);
            let answer = flow.step(now, input.clone());
            let (from, to) = (before.word(), flow.standing.word());
            // What comes after the end meets the deadline first.
            let cause = if to == "expired" { "deadline" } else { name };
            prop_assert!(DEVICE_CODE.allows(from, cause, to), "{from} {cause} {to}");
            if from != to {
                MADE.lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .insert((from, cause, to));
            }
            prop_assert_eq!(flow.expires_at, BEGIN.plus(LIFETIME));
            if input == poll() {
                let open = !late && matches!(before, Standing::Pending | Standing::Approved { .. });
                let early = polled.is_some_and(|at| now.since(at) < interval);
                if open {
                    prop_assert_eq!(answer == DeviceAnswer::SlowDown, early);
                    polled = Some(now);
                    if early {
                        interval = Millis(interval.0 + SLOW_DOWN.0);
                    }
                } else {
                    prop_assert_ne!(&answer, &DeviceAnswer::SlowDown);
                }
                let wins = open && !early && matches!(before, Standing::Approved { .. });
                prop_assert_eq!(matches!(answer, DeviceAnswer::Granted { .. }), wins);
                grants += u32::from(wins);
            }
            prop_assert_eq!(flow.interval, interval);
        }
        prop_assert!(grants <= 1);
    }
}

#[test]
fn a_device_flow_keeps_its_word_and_makes_every_move() {
    keeps_its_word();
    let made = MADE.lock().unwrap();
    let declared: BTreeSet<_> = DEVICE_CODE.each().collect();
    assert_eq!(*made, declared);
}
