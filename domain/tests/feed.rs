//! Any interleaving of rows and deltas ends equal to the stored rows.

use proptest::prelude::*;
use sam_domain::conversation::reducer::Conversation;
use sam_domain::conversation::row::{Author, Row, RowBody, TextBody};
use sam_domain::feed::{ClientFrame, Entity, Scope, ServerFrame};
use sam_domain::id::{Id, RowId, SessionId};
use sam_domain::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};

const EPOCH: &str = "epoch-1";

/// What is stored, and the newest text that only deltas have told.
struct Server {
    session: SessionId,
    seq: u64,
    rows: BTreeMap<RowId, Row>,
    live: BTreeMap<RowId, String>,
}

impl Server {
    fn scope(&self) -> Scope {
        Scope::Session(self.session.clone())
    }

    fn grow(&mut self, number: u8, word: &str) -> Option<ServerFrame> {
        let row = self.rows.get(&id(number))?;
        let text = self.live.entry(row.id.clone()).or_default();
        let at = text.len() as u64;
        text.push_str(word);
        Some(ServerFrame::Delta {
            session: self.session.clone(),
            row: row.id.clone(),
            attempt: row.attempt,
            rev: row.rev,
            at,
            append: word.to_owned(),
        })
    }

    fn store(&mut self, number: u8) -> ServerFrame {
        let from = self.seq;
        self.seq += 1;
        let id = id(number);
        let text = self.live.entry(id.clone()).or_default().clone();
        let pos = self.rows.get(&id).map_or(self.seq, |row| row.pos);
        let rev = self.rows.get(&id).map_or(1, |row| row.rev + 1);
        let row = Row {
            id: id.clone(),
            session: self.session.clone(),
            seq: self.seq,
            pos,
            attempt: 1,
            rev,
            author: Author::Agent,
            created_at: Timestamp(1),
            body: RowBody::Text(TextBody {
                text,
                ..TextBody::default()
            }),
        };
        self.rows.insert(id, row.clone());
        let entities = vec![Entity::Row(Box::new(row))];
        ServerFrame::Changes {
            scope: self.scope(),
            from,
            to: self.seq,
            entities,
            more: false,
        }
    }

    /// Answers `follow` or `next` with hello and pages of two rows.
    fn answer(&self, frame: &ClientFrame) -> Vec<ServerFrame> {
        let page = |after: u64| {
            let mut newer: Vec<_> = self
                .rows
                .values()
                .filter(|row| row.seq > after)
                .cloned()
                .collect();
            newer.sort_by_key(|row| row.seq);
            let more = newer.len() > 2;
            newer.truncate(2);
            let to = if more {
                newer.last().map_or(after, |row| row.seq)
            } else {
                self.seq
            };
            let entities = newer
                .into_iter()
                .map(|row| Entity::Row(Box::new(row)))
                .collect();
            ServerFrame::Changes {
                scope: self.scope(),
                from: after,
                to,
                entities,
                more,
            }
        };
        match frame {
            ClientFrame::Follow { after, .. } => {
                let hello = ServerFrame::Hello {
                    scope: self.scope(),
                    epoch: EPOCH.to_owned(),
                    seq: self.seq,
                    floor: 0,
                };
                vec![hello, page(*after)]
            }
            ClientFrame::Next { to, .. } => vec![page(*to)],
            ClientFrame::Unfollow { .. } => Vec::new(),
        }
    }
}

fn id(number: u8) -> RowId {
    RowId::mint(Timestamp(u64::from(number)), u128::from(number))
}

fn settle(server: &Server, conversation: &mut Conversation, frame: ClientFrame) {
    let mut asked = VecDeque::from([frame]);
    while let Some(frame) = asked.pop_front() {
        for answer in server.answer(&frame) {
            asked.extend(conversation.apply(&answer).reply);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Grow(u8, String),
    Store(u8),
    /// The socket breaks: what was on it is lost, and the client follows again.
    Reconnect,
    /// The client is slow: it gets no deltas for the next steps.
    Lag(bool),
    /// The network repeats the last frame.
    Repeat,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..4, "[a-zé€]{1,4}").prop_map(|(n, word)| Step::Grow(n, word)),
        3 => (0u8..4).prop_map(Step::Store),
        1 => Just(Step::Reconnect),
        1 => any::<bool>().prop_map(Step::Lag),
        1 => Just(Step::Repeat),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn rows_and_deltas_end_equal_to_what_is_stored(steps in steps(), lost in proptest::collection::vec(any::<bool>(), 60)) {
        let session = SessionId::mint(Timestamp(1), 1);
        let mut server = Server { session: session.clone(), seq: 0, rows: BTreeMap::new(), live: BTreeMap::new() };
        let mut conversation = Conversation::new(session);
        let follow = conversation.follow();
        settle(&server, &mut conversation, follow);
        let (mut lagging, mut connected, mut last) = (false, true, None);
        for (step, lost) in steps.into_iter().zip(lost) {
            let frame = match step {
                Step::Grow(n, word) => server.grow(n, &word).filter(|_| !lagging),
                Step::Store(n) => Some(server.store(n)),
                Step::Reconnect => {
                    connected = true;
                    let follow = conversation.follow();
                    settle(&server, &mut conversation, follow);
                    None
                }
                Step::Lag(now) => { lagging = now; None }
                Step::Repeat => last.clone(),
            };
            let Some(frame) = frame else { continue };
            // A socket loses nothing in the middle: once something is lost, all is, until it is new.
            connected &= !lost;
            if connected {
                if let Some(reply) = conversation.apply(&frame).reply {
                    settle(&server, &mut conversation, reply);
                }
                last = Some(frame);
            }
        }
        let numbers: Vec<u8> = (0..4).filter(|n| server.rows.contains_key(&id(*n))).collect();
        for number in numbers {
            server.store(number);
        }
        let follow = conversation.follow();
        settle(&server, &mut conversation, follow);
        let mut stored: Vec<_> = server.rows.values().cloned().collect();
        stored.sort_by_key(|row| row.pos);
        let shown: Vec<_> = conversation.rows().cloned().collect();
        prop_assert_eq!(shown, stored);
        prop_assert!(conversation.is_current());
    }
}

#[test]
fn another_epoch_forgets_what_was_held() {
    let session = SessionId::mint(Timestamp(1), 1);
    let mut server = Server {
        session: session.clone(),
        seq: 0,
        rows: BTreeMap::new(),
        live: BTreeMap::new(),
    };
    let mut conversation = Conversation::new(session);
    server.store(1);
    let follow = conversation.follow();
    settle(&server, &mut conversation, follow);
    assert_eq!(conversation.rows().count(), 1);
    let restored = ServerFrame::Hello {
        scope: server.scope(),
        epoch: "epoch-2".to_owned(),
        seq: 0,
        floor: 0,
    };
    let applied = conversation.apply(&restored);
    assert!(applied.reset);
    assert_eq!(conversation.rows().count(), 0);
    assert!(matches!(
        applied.reply,
        Some(ClientFrame::Follow { after: 0, .. })
    ));
}

#[test]
fn a_delta_for_another_version_or_length_changes_nothing() {
    let session = SessionId::mint(Timestamp(1), 1);
    let mut server = Server {
        session: session.clone(),
        seq: 0,
        rows: BTreeMap::new(),
        live: BTreeMap::new(),
    };
    let mut conversation = Conversation::new(session.clone());
    server.store(1);
    let follow = conversation.follow();
    settle(&server, &mut conversation, follow);
    for (rev, at) in [(2, 0), (1, 1)] {
        let delta = ServerFrame::Delta {
            session: session.clone(),
            row: id(1),
            attempt: 1,
            rev,
            at,
            append: "x".to_owned(),
        };
        assert!(!conversation.apply(&delta).changed, "rev {rev} at {at}");
    }
}
