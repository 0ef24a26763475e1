//! Followers of both kinds of cursor, from end to end: the serving end and the reducers are those of
//! `sam-domain`, the history lies in SQLite.

use std::collections::VecDeque;

use proptest::prelude::*;
use sam_domain::actor::Actor;
use sam_domain::conversation::reducer::{Conversation, ProjectState};
use sam_domain::conversation::row::Author;
use sam_domain::conversation::session::{self, Session};
use sam_domain::feed::audience::{Audience, News};
use sam_domain::feed::follower::{Follower, Received};
use sam_domain::feed::history::{Changed, Changeset, History as _, PAGE_ENTITIES};
use sam_domain::feed::{ClientFrame, Entity, PAGE_BYTES, Scope, ServerFrame};
use sam_domain::id::*;
use sam_domain::task::TaskView;
use sam_domain::time::Timestamp;
use sam_platform::params;
use sam_platform::sql::Sql;

use super::entities::{self, Entities};
use super::feed;
use super::frames::{self, Json};
use super::history::Stored;
use super::rows::SessionRows;
use super::scope::{self, PROJECT};
use super::tests::{begin, claims, database, id, listed, stored, upsert, view};

const NOW: Timestamp = Timestamp(1);
/// What a restore brings back.
const TABLES: [&str; 4] = ["rows", "entities", "tombstones", "scopes"];

/// A project with a conversation, and somebody who follows both on one socket.
struct Watched {
    sql: Sql,
    project: ProjectId,
    session: SessionId,
    epoch: u32,
    /// The socket's attachment.
    attachment: String,
    /// Frames on their way to the follower.
    sent: VecDeque<Json>,
    held: ProjectState,
    conversation: Conversation,
    resets: usize,
    saves: usize,
}

struct Numbered {
    seq: u64,
}
sam_platform::columns!(Numbered: seq);

impl Watched {
    fn new() -> Self {
        let sql = database();
        let (project, session): (ProjectId, SessionId) = (id(1), id(1));
        let mut watched = Self {
            sql,
            held: ProjectState::new(project.clone()),
            conversation: Conversation::new(session.clone()),
            project,
            session,
            epoch: 0,
            attachment: String::new(),
            sent: VecDeque::new(),
            resets: 0,
            saves: 0,
        };
        watched.name_epoch();
        let mut actor: Actor<Session> = Actor::new(session::address(
            watched.project.clone(),
            watched.session.clone(),
        ));
        let _ = begin(&mut actor, 1);
        let mut entities = Entities::open(&watched.sql).unwrap();
        entities.put_session(&actor.state.view().unwrap()).unwrap();
        entities.finish().unwrap();
        watched.save();
        watched.connect();
        watched
    }

    fn name_epoch(&mut self) {
        self.epoch += 1;
        self.sql
            .run(
                "INSERT INTO meta (key, value) VALUES ('epoch', ?) \
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                params![format!("epoch-{}", self.epoch)],
            )
            .unwrap();
    }

    /// A new socket, on which everything is followed from where it is held.
    fn connect(&mut self) {
        self.sent.clear();
        self.attachment = serde_json::to_string(&Follower::new(Timestamp(2))).unwrap();
        let frames = [self.held.follow(), self.conversation.follow()];
        for frame in &frames {
            self.say(frame);
        }
    }

    fn say(&mut self, frame: &ClientFrame) {
        let mut follower: Follower = serde_json::from_str(&self.attachment).unwrap();
        let history = Stored {
            sql: &self.sql,
            project: &self.project,
        };
        let text = serde_json::to_string(frame).unwrap();
        let Received::Replies(replies) = follower.receive(&history, &text, NOW).unwrap() else {
            panic!("nobody expires here");
        };
        let texts = replies.into_iter().map(feed::text_of_reply);
        self.sent.extend(texts.map(|text| text.to_string()));
        self.attachment = serde_json::to_string(&follower).unwrap();
    }

    /// What an object sends after a turn.
    fn tell(&mut self, scope: &Scope, changed: Option<Changed<Json>>) {
        let Some(changed) = changed else {
            return;
        };
        let follower: Follower = serde_json::from_str(&self.attachment).unwrap();
        let audience = Audience::gather([((), follower)], NOW, |()| panic!("nobody expires here"));
        let news = match scope {
            Scope::Project(_) => News::Project,
            Scope::Session(session) => News::Rows(session),
        };
        let hearing = audience.of(news).count();
        let frame = feed::changes(scope, &changed).to_string();
        self.sent.extend(std::iter::repeat_n(frame, hearing));
    }

    /// The follower takes in one frame; there is neither gap nor repeat on a socket.
    fn hear(&mut self) -> bool {
        let Some(text) = self.sent.pop_front() else {
            return false;
        };
        assert!(text.len() <= PAGE_BYTES + 1_000, "{}", text.len());
        let frame: ServerFrame = serde_json::from_str(&text).unwrap();
        if let ServerFrame::Changes {
            scope,
            from,
            to,
            entities,
            ..
        } = &frame
        {
            let cursor = match scope {
                Scope::Project(_) => self.held.cursor(),
                Scope::Session(_) => self.conversation.cursor(),
            };
            assert_eq!(*from, cursor.seq());
            assert!(entities.len() <= PAGE_ENTITIES);
            for entity in entities {
                if let Entity::Row(row) = entity {
                    assert!(row.seq > *from && row.seq <= *to);
                }
            }
        }
        for applied in [self.held.apply(&frame), self.conversation.apply(&frame)] {
            self.resets += usize::from(applied.reset);
            if let Some(reply) = applied.reply {
                self.say(&reply);
            }
        }
        true
    }

    fn own(&self) -> Scope {
        Scope::Project(self.project.clone())
    }

    fn talk(&self) -> Scope {
        Scope::Session(self.session.clone())
    }

    fn put_rows(&mut self, writes: &[(u8, u32, u32, usize)]) {
        let mut rows = SessionRows::open(&self.sql, &self.session).unwrap();
        for (row, attempt, rev, size) in writes {
            let words = "x".repeat(*size);
            let upsert = upsert(u128::from(*row), *rev, Author::Agent, &words);
            rows.upsert(&claims(1, *attempt), upsert).unwrap();
        }
        let changed = rows.finish().unwrap();
        let rows = changed.map(|changed| changed.map(|row| frames::row_entity(&row)));
        self.tell(&self.talk(), rows);
    }

    fn put_task(&mut self, task: u8, rev: u64) {
        let mut entities = Entities::open(&self.sql).unwrap();
        entities.put_task(&view(u128::from(task), rev)).unwrap();
        let changed = entities.finish().unwrap();
        self.tell(&self.own(), changed);
    }

    /// Removes what lies in a table under an id and leaves a tombstone.
    fn remove(&mut self, scope: &Scope, table: &str, gone: &str) {
        let key = key(scope);
        let had: Option<Numbered> = self
            .sql
            .first(
                &format!("SELECT seq FROM {table} WHERE id = ?"),
                params![gone],
            )
            .unwrap();
        let Some(had) = had else {
            return;
        };
        let mut changes = Changeset::new(scope::counters(&self.sql, &key).unwrap());
        let mut counters = changes.counters();
        let seq = counters.next_seq();
        changes.put(counters, Some(had.seq), frames::gone_entity(gone).unwrap());
        let changed = changes.finish();
        self.sql
            .run(&format!("DELETE FROM {table} WHERE id = ?"), params![gone])
            .unwrap();
        self.sql
            .run(
                "INSERT INTO tombstones (scope, seq, id) VALUES (?, ?, ?)",
                params![&key, seq, gone],
            )
            .unwrap();
        scope::save(&self.sql, &key, counters).unwrap();
        self.tell(scope, changed);
    }

    fn purge(&mut self, scope: &Scope) {
        let key = key(scope);
        let mut counters = scope::counters(&self.sql, &key).unwrap();
        if counters.purge(counters.seq) {
            self.sql
                .run(
                    "DELETE FROM tombstones WHERE scope = ? AND seq <= ?",
                    params![&key, counters.floor],
                )
                .unwrap();
            scope::save(&self.sql, &key, counters).unwrap();
        }
    }

    fn save(&mut self) {
        self.saves += 1;
        for table in TABLES {
            let saved = format!("{table}_{}", self.saves);
            self.sql
                .run(
                    &format!("CREATE TABLE {saved} AS SELECT * FROM {table}"),
                    &[],
                )
                .unwrap();
        }
    }

    /// What was saved is back under another epoch; sockets do not outlive it.
    fn restore(&mut self) {
        for table in TABLES {
            let saved = format!("{table}_{}", self.saves);
            for statement in [
                format!("DELETE FROM {table} WHERE seq >= 0"),
                format!("INSERT INTO {table} SELECT * FROM {saved}"),
            ] {
                self.sql.run(&statement, &[]).unwrap();
            }
        }
        self.name_epoch();
        self.connect();
    }

    fn do_step(&mut self, step: &Step) {
        let row = |row: &u8| id::<RowId>(u128::from(*row)).to_string();
        let task = |task: &u8| id::<TaskId>(u128::from(*task)).to_string();
        match step {
            Step::PutRows(writes) => self.put_rows(writes),
            Step::PutTask(task, rev) => self.put_task(*task, *rev),
            Step::RemoveRow(gone) => self.remove(&self.talk(), "rows", &row(gone)),
            Step::RemoveTask(gone) => self.remove(&self.own(), "entities", &task(gone)),
            Step::PurgeRows => self.purge(&self.talk()),
            Step::PurgeTasks => self.purge(&self.own()),
            Step::Save => self.save(),
            Step::Restore => self.restore(),
            Step::Connect => self.connect(),
            Step::Hear(frames) => {
                for _ in 0..*frames {
                    self.hear();
                }
            }
        }
    }

    /// Once everything was heard, what is held is what is stored.
    fn settle(&mut self) {
        while self.hear() {}
        assert!(self.held.is_current() && self.conversation.is_current());
        let rows = stored(&self.sql, &self.session);
        assert!(self.conversation.rows().eq(&rows));
        let list = entities::list::<TaskId>(&self.sql, None, 100).unwrap();
        let mut tasks: Vec<TaskView> = self.held.tasks().cloned().collect();
        tasks.sort_by(|one, other| other.id.cmp(&one.id));
        assert_eq!(tasks, listed::<TaskView>(&list.views));
        assert_eq!(self.held.sessions().count(), 1);
    }
}

fn key(scope: &Scope) -> String {
    match scope {
        Scope::Project(_) => PROJECT.to_owned(),
        Scope::Session(session) => session.to_string(),
    }
}

#[derive(Clone, Debug)]
enum Step {
    PutRows(Vec<(u8, u32, u32, usize)>),
    PutTask(u8, u64),
    RemoveRow(u8),
    RemoveTask(u8),
    PurgeRows,
    PurgeTasks,
    Save,
    Restore,
    /// The socket breaks, and the follower comes back.
    Connect,
    /// The follower takes in so many frames.
    Hear(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0u8..9, 1u32..4, 1u32..6, 0usize..90_000);
    let step = prop_oneof![
        6 => prop::collection::vec(write, 1..4).prop_map(Step::PutRows),
        4 => (1u8..7, 1u64..9).prop_map(|(task, rev)| Step::PutTask(task, rev)),
        2 => (0u8..9).prop_map(Step::RemoveRow),
        2 => (1u8..7).prop_map(Step::RemoveTask),
        1 => Just(Step::PurgeRows),
        1 => Just(Step::PurgeTasks),
        1 => Just(Step::Save),
        1 => Just(Step::Restore),
        2 => Just(Step::Connect),
        6 => (1u8..5).prop_map(Step::Hear),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_follower_ends_with_what_is_stored(steps in steps()) {
        let mut watched = Watched::new();
        for step in &steps {
            watched.do_step(step);
        }
        watched.settle();
    }
}

#[test]
fn what_is_gone_is_told_in_its_place_and_who_missed_it_begins_afresh() {
    let mut watched = Watched::new();
    let talk = watched.talk();
    watched.put_rows(&[(10, 1, 1, 5), (11, 1, 1, 5)]);
    watched.settle();
    // Away while a row is removed: its tombstone is told.
    let held = watched.conversation.cursor().seq();
    watched.attachment = serde_json::to_string(&Follower::new(Timestamp(2))).unwrap();
    watched.remove(&talk, "rows", id::<RowId>(10).as_str());
    let history = Stored {
        sql: &watched.sql,
        project: &watched.project,
    };
    let told: Vec<Entity> = listed(&history.read(&talk, held, held + 1).unwrap().to_string());
    assert!(matches!(&told[..], [Entity::RowGone(row)] if *row == id::<RowId>(10)));
    watched.connect();
    watched.settle();
    assert_eq!(
        (watched.conversation.rows().count(), watched.resets),
        (1, 0)
    );
    // Away while another is removed and its tombstone is purged.
    watched.attachment = serde_json::to_string(&Follower::new(Timestamp(2))).unwrap();
    watched.remove(&talk, "rows", id::<RowId>(11).as_str());
    watched.purge(&talk);
    watched.connect();
    watched.settle();
    assert_eq!(
        (watched.conversation.rows().count(), watched.resets),
        (0, 1)
    );
}

#[test]
fn a_page_holds_a_bounded_number_of_rows() {
    let mut watched = Watched::new();
    let count = 2 * PAGE_ENTITIES + 300;
    let mut rows = SessionRows::open(&watched.sql, &watched.session).unwrap();
    for number in 0..count {
        let upsert = upsert(number as u128, 1, Author::Agent, "");
        rows.upsert(&claims(1, 1), upsert).unwrap();
    }
    let _ = rows.finish().unwrap();
    watched.connect();
    watched.settle();
    assert_eq!(watched.conversation.rows().count(), count);
}

#[test]
fn a_session_that_is_not_there_has_no_present() {
    let watched = Watched::new();
    let history = Stored {
        sql: &watched.sql,
        project: &watched.project,
    };
    let absent = Scope::Session(id(77));
    assert_eq!(history.present(&absent).unwrap(), None);
    let here = history.present(&watched.talk()).unwrap().unwrap();
    assert_eq!((here.epoch.as_str(), here.counters.seq), ("epoch-1", 0));
}
