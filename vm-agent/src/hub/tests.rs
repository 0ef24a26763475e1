//! The link's machine on a disk that fills up.

use super::{Hub, Subject, ToLink};
use crate::store::Store;
use futures::FutureExt as _;
use sam_domain::id::{CommandId, Id, WorkspaceId};
use sam_domain::link::agent_end::Identity;
use sam_domain::link::frame::{Action, AgentFrame, Command, Event, LEASE, NodeFacts, ObjectFrame};
use sam_domain::time::{Millis, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

struct Bench {
    _dir: tempfile::TempDir,
    store: Arc<Store>,
    hub: Arc<Hub>,
    begun: mpsc::UnboundedReceiver<Command>,
    link: mpsc::UnboundedReceiver<ToLink>,
}

fn identity(store: &Store) -> Identity {
    Identity {
        store_id: store.store_id().to_owned(),
        boot_id: "boot".to_owned(),
        boots: None,
        version: "1".to_owned(),
        facts: NodeFacts::default(),
    }
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().expect("dir");
    let store = Arc::new(Store::open(dir.path()).expect("store"));
    let (begin, begun) = mpsc::unbounded_channel();
    let hub = Arc::new(Hub::restore(&store, identity(&store), begin).expect("hub"));
    let (tell, link) = mpsc::unbounded_channel();
    hub.connected(tell);
    let welcome = ObjectFrame::Welcome {
        acked_event: 0,
        commands: Vec::new(),
        lease: LEASE,
    };
    hub.frame(welcome).expect("welcomed");
    let mut bench = Bench {
        _dir: dir,
        store,
        hub,
        begun,
        link,
    };
    assert!(matches!(bench.sent()[..], [AgentFrame::Hello { .. }]));
    bench
}

impl Bench {
    fn sent(&mut self) -> Vec<AgentFrame> {
        let mut frames = Vec::new();
        while let Ok(ToLink::Frame(frame)) = self.link.try_recv() {
            frames.push(*frame);
        }
        frames
    }
}

fn subject() -> Subject {
    Subject {
        workspace: WorkspaceId::mint(Timestamp(1), 1),
        attempt: 3,
    }
}

fn command(seed: u128) -> Command {
    Command {
        id: CommandId::mint(Timestamp(1), seed),
        workspace: subject().workspace,
        attempt: 3,
        remaining: Millis::minutes(1),
        // Longer than what a page of the database has left.
        action: Action::FinishGit {
            message: "m".repeat(20_000),
        },
    }
}

fn phase(n: usize) -> Event {
    Event::WorkspacePhase {
        phase: format!("{n}").repeat(10_000),
    }
}

#[tokio::test]
async fn a_command_that_cannot_be_kept_is_neither_acknowledged_nor_begun() {
    let mut bench = bench();
    bench.store.fill_up(true);
    let error = bench
        .hub
        .frame(ObjectFrame::Command(command(1)))
        .expect_err("full");
    assert!(error.is_full(), "{error}");
    assert!(bench.sent().is_empty() && bench.begun.try_recv().is_err());
    assert!(bench.hub.open_commands().is_empty());
    bench.store.fill_up(false);
    // It comes again, twice: it is begun once.
    for _ in 0..2 {
        bench
            .hub
            .frame(ObjectFrame::Command(command(1)))
            .expect("kept");
    }
    let acks = bench.sent();
    assert_eq!(acks.len(), 2);
    assert_eq!(bench.begun.try_recv().expect("begun"), command(1));
    assert!(bench.begun.try_recv().is_err());
}

#[tokio::test]
async fn a_report_waits_for_the_disk_and_is_made_once() {
    let mut bench = bench();
    bench
        .hub
        .frame(ObjectFrame::Command(command(1)))
        .expect("kept");
    bench.sent();
    bench.store.fill_up(true);
    let hub = Arc::clone(&bench.hub);
    let reporting = tokio::spawn(async move {
        hub.done(&subject(), &command(1).id, vec![phase(1), phase(2)], |_| {
            Ok(())
        })
        .await;
    });
    while !bench.hub.has_waited() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(bench.sent().is_empty(), "nothing is said that is not kept");
    assert_eq!(bench.hub.open_commands().len(), 1);
    bench.store.fill_up(false);
    reporting.await.expect("reported");
    let numbers: Vec<u64> = bench
        .sent()
        .iter()
        .map(|frame| match frame {
            AgentFrame::Event(event) => event.n,
            other => panic!("an event, not {other:?}"),
        })
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(bench.hub.open_commands().is_empty());
}

#[tokio::test]
async fn what_was_reported_is_repeated_after_a_restart_and_a_finished_command_is_not_begun_again() {
    let bench = bench();
    bench
        .hub
        .frame(ObjectFrame::Command(command(1)))
        .expect("kept");
    bench
        .hub
        .done(&subject(), &command(1).id, vec![phase(1)], |_| Ok(()))
        .await;
    let Bench {
        _dir, store, hub, ..
    } = bench;
    drop(hub);
    drop(store);
    let store = Arc::new(Store::open(_dir.path()).expect("store"));
    let (begin, mut begun) = mpsc::unbounded_channel();
    let hub = Hub::restore(&store, identity(&store), begin).expect("hub");
    let (tell, mut link) = mpsc::unbounded_channel();
    hub.connected(tell);
    let welcome = ObjectFrame::Welcome {
        acked_event: 1,
        commands: vec![command(1)],
        lease: LEASE,
    };
    hub.frame(welcome).expect("welcomed");
    let mut numbers = Vec::new();
    while let Ok(ToLink::Frame(frame)) = link.try_recv() {
        match *frame {
            AgentFrame::Hello {
                open_commands,
                next_event,
                ..
            } => {
                assert_eq!((open_commands, next_event), (vec![command(1).id], 1));
            }
            AgentFrame::Event(event) => numbers.push(event.n),
            AgentFrame::Ack { .. } | AgentFrame::Answer(_) | AgentFrame::Ping => {}
        }
    }
    assert_eq!(numbers, [2], "what was not acknowledged");
    assert!(begun.try_recv().is_err());
}

#[tokio::test]
async fn a_node_that_has_lapsed_is_not_current_until_it_is_welcomed() {
    let mut bench = bench();
    let welcome = |lease| ObjectFrame::Welcome {
        acked_event: 0,
        commands: Vec::new(),
        lease,
    };
    assert!(bench.hub.until_current().now_or_never().is_some());
    bench.hub.frame(welcome(Millis(20))).expect("welcomed");
    bench.hub.until_lapsed().await;
    assert!(bench.hub.until_current().now_or_never().is_none());
    let told = bench.link.try_recv().expect("the connection is given up");
    assert!(
        matches!(
            told,
            ToLink::Close {
                for_good: false,
                ..
            }
        ),
        "{told:?}"
    );
    // Being heard is not enough: what comes may be old.
    bench.hub.heard();
    assert!(bench.hub.until_current().now_or_never().is_none());
    bench.hub.disconnected();
    let (tell, _link) = mpsc::unbounded_channel();
    bench.hub.connected(tell);
    bench.hub.frame(welcome(LEASE)).expect("welcomed");
    assert!(bench.hub.until_current().now_or_never().is_some());
    assert!(!bench.hub.has_lapsed());
}
