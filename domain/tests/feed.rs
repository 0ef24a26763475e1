//! Any interleaving of rows and deltas ends equal to the stored rows.

use proptest::prelude::*;
use sam_domain::conversation::reducer::Conversation;
use sam_domain::conversation::row::{Author, Row, RowBody, TextBody};
use sam_domain::feed::audience::News;
use sam_domain::feed::cursor::{Cursor, Heard};
use sam_domain::feed::follower::{Follower, Received, Reply};
use sam_domain::feed::history::{Ahead, Changeset, Counters, History, Present};
use sam_domain::feed::{ClientFrame, Entity, PAGE_BYTES, Scope, ServerFrame};
use sam_domain::id::{Id, ProjectId, RowId, SessionId};
use sam_domain::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

const EPOCH: &str = "epoch-1";

/// What is stored, the newest text that only deltas have told, and what is remembered of the client.
struct Server {
    project: ProjectId,
    session: SessionId,
    counters: Counters,
    rows: BTreeMap<RowId, Row>,
    live: BTreeMap<RowId, String>,
    follower: Follower,
}

impl Server {
    fn new(session: SessionId) -> Self {
        Self {
            project: ProjectId::mint(Timestamp(1), 1),
            session,
            counters: Counters::default(),
            rows: BTreeMap::new(),
            live: BTreeMap::new(),
            follower: Follower::new(Timestamp(u64::MAX)),
        }
    }

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

    fn store(&mut self, number: u8) -> Option<ServerFrame> {
        let mut changes = Changeset::new(self.counters);
        let mut counters = changes.counters();
        let id = id(number);
        let text = self.live.entry(id.clone()).or_default().clone();
        let held = self.rows.get(&id);
        let row = Row {
            id: id.clone(),
            session: self.session.clone(),
            seq: counters.next_seq(),
            pos: held.map_or_else(|| counters.next_pos(), |row| row.pos),
            attempt: 1,
            rev: held.map_or(1, |row| row.rev + 1),
            author: Author::Agent,
            created_at: Timestamp(1),
            body: RowBody::Text(TextBody {
                text,
                ..TextBody::default()
            }),
        };
        let had = held.map(|row| row.seq);
        changes.put(counters, had, Entity::Row(Box::new(row.clone())));
        self.rows.insert(id, row);
        let changed = changes.finish()?;
        self.counters = changed.counters;
        Some(ServerFrame::Changes {
            scope: self.scope(),
            from: changed.from,
            to: changed.to(),
            entities: changed.entities,
            more: false,
        })
    }

    /// A new socket that follows nothing yet.
    fn accept(&mut self) {
        self.follower = Follower::new(Timestamp(u64::MAX));
    }

    /// Answers a client's frame.
    fn answer(&mut self, frame: &ClientFrame) -> Vec<ServerFrame> {
        let mut follower = self.follower.clone();
        let text = serde_json::to_string(frame).unwrap_or_default();
        let Ok(received) = follower.receive(self, &text, Timestamp(1));
        self.follower = follower;
        let replies = match received {
            Received::Replies(replies) => replies,
            Received::Expired => Vec::new(),
        };
        let frame = |reply| match reply {
            Reply::Frame(frame) => frame,
            Reply::Page { scope, from, page } => ServerFrame::Changes {
                scope,
                from,
                to: page.to,
                entities: page.entities,
                more: page.more,
            },
        };
        replies.into_iter().map(frame).collect()
    }

    fn newer(&self, after: u64) -> Vec<&Row> {
        let mut newer: Vec<&Row> = self.rows.values().filter(|row| row.seq > after).collect();
        newer.sort_by_key(|row| row.seq);
        newer
    }
}

impl History for Server {
    type Entities = Vec<Entity>;
    type Error = Infallible;

    fn project(&self) -> &ProjectId {
        &self.project
    }

    fn present(&self, _: &Scope) -> Result<Option<Present>, Infallible> {
        Ok(Some(Present {
            epoch: EPOCH.to_owned(),
            counters: self.counters,
        }))
    }

    /// Two rows fill a page.
    fn ahead(&self, _: &Scope, after: u64) -> Result<Ahead, Infallible> {
        let size = |row: &&Row| (row.seq, PAGE_BYTES / 2);
        Ok(Ahead {
            sizes: self.newer(after).iter().map(size).collect(),
            is_all: true,
        })
    }

    fn read(&self, _: &Scope, after: u64, to: u64) -> Result<Vec<Entity>, Infallible> {
        let newer = self.newer(after).into_iter().filter(|row| row.seq <= to);
        Ok(newer
            .map(|row| Entity::Row(Box::new(row.clone())))
            .collect())
    }
}

fn id(number: u8) -> RowId {
    RowId::mint(Timestamp(u64::from(number)), u128::from(number))
}

fn settle(server: &mut Server, conversation: &mut Conversation, frame: ClientFrame) {
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
        let mut server = Server::new(session.clone());
        let mut conversation = Conversation::new(session);
        let follow = conversation.follow();
        settle(&mut server, &mut conversation, follow);
        let (mut lagging, mut connected, mut last) = (false, true, None);
        for (step, lost) in steps.into_iter().zip(lost) {
            let frame = match step {
                Step::Grow(n, word) => {
                    let delta = server.grow(n, &word);
                    delta.filter(|_| !lagging && server.follower.hears(News::Delta(&server.session)))
                }
                Step::Store(n) => {
                    let changes = server.store(n);
                    changes.filter(|_| server.follower.hears(News::Rows(&server.session)))
                }
                Step::Reconnect => {
                    connected = true;
                    server.accept();
                    let follow = conversation.follow();
                    settle(&mut server, &mut conversation, follow);
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
                    settle(&mut server, &mut conversation, reply);
                }
                last = Some(frame);
            }
        }
        let numbers: Vec<u8> = (0..4).filter(|n| server.rows.contains_key(&id(*n))).collect();
        for number in numbers {
            server.store(number);
        }
        server.accept();
        let follow = conversation.follow();
        settle(&mut server, &mut conversation, follow);
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
    let mut server = Server::new(session.clone());
    let mut conversation = Conversation::new(session);
    server.store(1);
    let follow = conversation.follow();
    settle(&mut server, &mut conversation, follow);
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
    let mut server = Server::new(session.clone());
    let mut conversation = Conversation::new(session.clone());
    server.store(1);
    let follow = conversation.follow();
    settle(&mut server, &mut conversation, follow);
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

/// Seed 8943: with every answer to an older question taken for one to the newest, each began another
/// round, and there was no end of it.
#[test]
fn what_comes_before_the_answer_to_the_newest_follow_is_passed_over() {
    let scope = Scope::Session(SessionId::mint(Timestamp(1), 1));
    let hello = ServerFrame::Hello {
        scope: scope.clone(),
        epoch: "epoch-1".to_owned(),
        seq: 26,
        floor: 25,
    };
    let page = |from, to| ServerFrame::Changes {
        scope: scope.clone(),
        from,
        to,
        entities: Vec::new(),
        more: true,
    };
    let mut cursor = Cursor::new(scope.clone());
    let _ = cursor.follow();
    assert_eq!(cursor.hear(&hello).reply, None);
    assert_eq!(cursor.hear(&page(0, 4)).reply, Some(cursor.next()));
    // A page is missing, so it asks again; the rest of the first answer is still on its way.
    assert!(matches!(
        cursor.hear(&page(8, 11)).reply,
        Some(ClientFrame::Follow { after: 4, .. })
    ));
    assert_eq!(cursor.hear(&page(11, 13)), Heard::default());
    let reset = ServerFrame::Reset {
        scope: scope.clone(),
    };
    assert!(matches!(
        cursor.hear(&reset).reply,
        Some(ClientFrame::Follow { after: 0, .. })
    ));
    assert_eq!(cursor.hear(&page(0, 4)), Heard::default());
    let heard = cursor.hear(&hello);
    assert!(!heard.forget && heard.reply.is_none());
    assert_eq!(cursor.hear(&page(0, 4)).reply, Some(cursor.next()));
}
