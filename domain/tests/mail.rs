//! Mail: at least once on the way, exactly once and in order in effect.

use proptest::prelude::*;
use sam_domain::actor::inbox::Receipt;
use sam_domain::actor::{Address, Envelope, Inbox, Message, Outbox};
use sam_domain::id::{Id, NodeId, TaskId};
use sam_domain::time::{Millis, Timestamp};

fn sender() -> Address {
    Address::Task(TaskId::mint(Timestamp(1), 1))
}

fn receiver(n: u8) -> Address {
    Address::Node(NodeId::mint(Timestamp(u64::from(n)), 2))
}

fn message(n: u32) -> Message {
    Message::Fenced { below: n }
}

fn text(message: &Message) -> u32 {
    match message {
        Message::Fenced { below } => *below,
        _ => unreachable!("only fences are sent here"),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(u8),
    /// Takes what is due; each envelope is lost, or arrives and its answer is lost or not.
    Drain(Vec<u8>),
    /// An old envelope arrives again.
    Replay(usize),
    /// The sender was stored and is loaded again.
    Reload,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0u8..2).prop_map(Step::Push),
        3 => proptest::collection::vec(0u8..4, 20).prop_map(Step::Drain),
        1 => (0usize..50).prop_map(Step::Replay),
        1 => Just(Step::Reload),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    #[test]
    fn every_message_is_taken_once_and_in_order(steps in steps()) {
        let mut outbox = Outbox::default();
        let mut inboxes = [Inbox::default(), Inbox::default()];
        let mut taken: [Vec<u32>; 2] = [Vec::new(), Vec::new()];
        let mut pushed: [Vec<u32>; 2] = [Vec::new(), Vec::new()];
        let mut seen: Vec<Envelope> = Vec::new();
        let mut now = Timestamp(1_000);
        let mut next = 0;
        let mut arrive = |envelope: &Envelope, taken: &mut [Vec<u32>; 2]| {
            let lane = usize::from(envelope.to == receiver(1));
            let receipt = inboxes[lane].judge(&envelope.from, envelope.ordinal, envelope.after);
            if receipt == Receipt::Taken {
                inboxes[lane].take(&envelope.from, envelope.ordinal, Timestamp(1));
                taken[lane].push(text(&envelope.message));
            }
            receipt
        };
        for step in steps {
            now = now.plus(Millis::minutes(2));
            match step {
                Step::Push(n) => {
                    next += 1;
                    pushed[usize::from(n)].push(next);
                    outbox.push(now, receiver(n), message(next));
                }
                Step::Drain(fates) => {
                    for (envelope, fate) in outbox.due(&sender(), now, 20).into_iter().zip(fates) {
                        if fate == 0 {
                            outbox.failed(now, &envelope.to);
                            continue;
                        }
                        let receipt = arrive(&envelope, &mut taken);
                        seen.push(envelope.clone());
                        if fate > 1 {
                            outbox.answered(now, &envelope.to, envelope.ordinal, receipt);
                        }
                    }
                }
                Step::Replay(n) => {
                    if let Some(envelope) = seen.get(n) {
                        arrive(envelope, &mut taken);
                    }
                }
                Step::Reload => {
                    let json = serde_json::to_string(&outbox).unwrap();
                    outbox = serde_json::from_str(&json).unwrap();
                }
            }
        }
        for _ in 0..200 {
            now = now.plus(Millis::minutes(2));
            for envelope in outbox.due(&sender(), now, 20) {
                let receipt = arrive(&envelope, &mut taken);
                outbox.answered(now, &envelope.to, envelope.ordinal, receipt);
            }
        }
        prop_assert!(outbox.is_empty());
        prop_assert_eq!(outbox.wake_at(), None);
        prop_assert_eq!(taken, pushed);
    }
}

#[test]
fn an_unreachable_receiver_is_tried_ever_more_rarely_and_blocks_no_other() {
    let mut outbox = Outbox::default();
    let start = Timestamp(0);
    outbox.push(start, receiver(0), message(1));
    outbox.push(start, receiver(1), message(2));
    outbox.failed(start, &receiver(0));
    let due = outbox.due(&sender(), start, 20);
    assert_eq!(
        due.iter().map(|e| text(&e.message)).collect::<Vec<_>>(),
        [2]
    );
    let mut waits = Vec::new();
    let mut now = start;
    outbox.answered(now, &receiver(1), 2, Receipt::Taken);
    for _ in 0..10 {
        let next = outbox.wake_at().expect("something waits");
        waits.push(next.since(now).0);
        now = next;
        outbox.failed(now, &receiver(0));
    }
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
    assert_eq!(waits.last(), Some(&60_000));
}

#[test]
fn peers_that_are_owed_nothing_are_not_remembered_for_ever() {
    let (mut outbox, mut inbox) = (Outbox::default(), Inbox::default());
    let mut now = Timestamp(1);
    for n in 0..5_000 {
        now = now.plus(Millis::minutes(1));
        let peer = Address::Task(TaskId::mint(now, n));
        outbox.push(now, peer.clone(), message(1));
        for envelope in outbox.due(&sender(), now, 20) {
            outbox.answered(now, &envelope.to, envelope.ordinal, Receipt::Taken);
        }
        inbox.take(&peer, 1, now);
    }
    assert!(outbox.is_empty() && serde_json::to_string(&outbox).unwrap().len() < 100);
    assert!(
        inbox.len() <= 24 * 60 + 1,
        "{} senders are remembered",
        inbox.len()
    );
}
