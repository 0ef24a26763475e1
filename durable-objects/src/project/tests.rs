//! The statements of this object, on SQLite.

use sam_domain::access::claims::{Claims, Purpose};
use sam_domain::actor::message::{Envelope, Message, TaskIntent};
use sam_domain::actor::{Actor, Address, Handled};
use sam_domain::conversation::call::Idempotency;
use sam_domain::conversation::row::{Author, Row, RowBody, RowUpsert, TextBody};
use sam_domain::conversation::session::{self, Session, SessionLocal, SessionMachine};
use sam_domain::conversation::wire::{RowOutcome, SessionView};
use sam_domain::error::ApiError;
use sam_domain::feed::PAGE_BYTES;
use sam_domain::id::*;
use sam_domain::task::state::Task;
use sam_domain::task::{TaskMode, TaskView};
use sam_domain::time::{Timestamp, Turn};
use sam_platform::sql::Sql;

use super::entities::{self, Entities};
use super::idempotency::{self, Once};
use super::rows::{self, SessionRows};
use super::schema;
use super::scope;
use super::work::Work;
use crate::shell::ShellError;

pub(super) fn database() -> Sql {
    let sql = Sql::in_memory().unwrap();
    schema::create(&sql).unwrap();
    sql
}

pub(super) fn id<T: Id>(number: u128) -> T {
    T::mint(Timestamp(1_000 + number as u64), number)
}

pub(super) fn claims(session: u128, attempt: u32) -> Claims {
    Claims {
        purpose: Purpose::Workspace,
        usr: id(1),
        prj: id(1),
        ses: id(session),
        tsk: id(1),
        wsp: id(u128::from(attempt)),
        nod: id(1),
        attempt,
        agt: None,
        exp: Timestamp(u64::MAX),
    }
}

pub(super) fn upsert(row: u128, rev: u32, author: Author, text: &str) -> RowUpsert {
    RowUpsert {
        n: 1,
        id: id(row),
        rev,
        author,
        created_at: Timestamp(1),
        body: RowBody::Text(TextBody {
            text: text.to_owned(),
            ..TextBody::default()
        }),
    }
}

/// What a text with commas between its values says.
pub(super) fn listed<T: serde::de::DeserializeOwned>(text: &str) -> Vec<T> {
    serde_json::from_str(&format!("[{text}]")).unwrap()
}

pub(super) fn stored(sql: &Sql, session: &SessionId) -> Vec<Row> {
    let mut all = Vec::new();
    let mut from = rows::From::After(0);
    loop {
        let page = rows::page(sql, session, from, 7).unwrap();
        all.extend(listed::<Row>(&page.rows.to_string()));
        match all.last() {
            Some(last) if page.has_after => from = rows::From::After(last.pos),
            _ => return all,
        }
    }
}

#[test]
fn each_row_of_a_batch_has_its_own_outcome() {
    let sql = database();
    let session: SessionId = id(1);
    let other: SessionId = id(2);
    let mut elsewhere = SessionRows::open(&sql, &other).unwrap();
    elsewhere
        .upsert(&claims(2, 1), upsert(50, 1, Author::Agent, "theirs"))
        .unwrap();
    elsewhere.finish().unwrap();
    let mut own = SessionRows::open(&sql, &session).unwrap();
    own.put(Row {
        author: Author::Person,
        ..upsert(60, 1, Author::Agent, "a person's").into_row(session.clone(), 0, 0, 0)
    })
    .unwrap();
    own.finish().unwrap();

    let cases = [
        (1, upsert(10, 1, Author::Agent, "a"), RowOutcome::Accepted),
        (1, upsert(10, 1, Author::Agent, "b"), RowOutcome::Duplicate),
        (1, upsert(10, 3, Author::Agent, "c"), RowOutcome::Accepted),
        (1, upsert(10, 2, Author::Agent, "d"), RowOutcome::Duplicate),
        (2, upsert(10, 1, Author::System, "e"), RowOutcome::Accepted),
        (1, upsert(10, 9, Author::Agent, "f"), RowOutcome::Duplicate),
        (1, upsert(11, 1, Author::Person, "g"), RowOutcome::Refused),
        (0, upsert(12, 1, Author::Agent, "h"), RowOutcome::Refused),
        (1, upsert(50, 2, Author::Agent, "i"), RowOutcome::Refused),
        (1, upsert(60, 2, Author::Agent, "j"), RowOutcome::Refused),
    ];
    for (attempt, upsert, expected) in cases {
        let what = format!("{upsert:?} under {attempt}");
        let mut rows = SessionRows::open(&sql, &session).unwrap();
        let outcome = rows.upsert(&claims(1, attempt), upsert).unwrap();
        assert_eq!(outcome, expected, "{what}");
        let changed = rows.finish().unwrap();
        assert_eq!(changed.is_some(), outcome == RowOutcome::Accepted, "{what}");
    }
    let texts: Vec<_> = stored(&sql, &session)
        .iter()
        .map(|row| {
            (
                row.pos,
                row.attempt,
                row.rev,
                row.body.growing().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(
        texts,
        [
            (1, 0, 1, "a person's".to_owned()),
            (2, 2, 1, "e".to_owned())
        ]
    );
}

#[test]
fn pages_are_bounded_by_bytes_and_cover_everything_once() {
    let sql = database();
    let session: SessionId = id(1);
    let author = |number| match number % 30 {
        0..3 => Author::System,
        _ => Author::Agent,
    };
    let mut rows = SessionRows::open(&sql, &session).unwrap();
    for number in 0..90 {
        // One that fills a page almost alone.
        let size = if number == 40 {
            PAGE_BYTES - 500
        } else {
            1 + (number as usize * 331) % 20_000
        };
        // Their ids run against their order.
        let said = upsert(100 - number, 1, author(number), &"x".repeat(size));
        let outcome = rows.upsert(&claims(1, 1), said);
        assert_eq!(outcome.unwrap(), RowOutcome::Accepted);
    }
    let endless = upsert(200, 1, Author::Agent, &"x".repeat(rows::MAX_ROW_BYTES));
    let refused = rows.upsert(&claims(1, 1), endless).unwrap();
    assert_eq!(refused, RowOutcome::Refused);
    rows.finish().unwrap();
    let columns_differ = "SELECT 1 FROM rows WHERE session <> row ->> 'session' \
        OR author <> row ->> 'author' OR attempt <> row ->> 'attempt' OR rev <> row ->> 'rev' \
        OR seq <> row ->> 'seq' OR pos <> row ->> 'pos' OR id <> row ->> 'id'";
    assert!(!sql.any(columns_differ, &[]).unwrap());

    let mut backwards: Vec<u64> = Vec::new();
    let mut from = rows::From::Newest;
    loop {
        let page = rows::page(&sql, &session, from, 500).unwrap();
        let text = page.rows.to_string();
        let rows: Vec<Row> = listed(&text);
        let bytes = text.len() - (rows.len() - 1);
        assert!(bytes <= rows::MESSAGES_BYTES, "{bytes}");
        assert_eq!(page.has_after, from != rows::From::Newest);
        let positions: Vec<u64> = rows.iter().map(|row| row.pos).collect();
        assert!(positions.is_sorted());
        let first = *positions.first().unwrap();
        backwards.splice(0..0, positions);
        if !page.has_before {
            break;
        }
        from = rows::From::Before(first);
    }
    assert_eq!(backwards, (1..=90).collect::<Vec<u64>>());
    assert_eq!(stored(&sql, &session).len(), 90);
    let page = rows::page(&sql, &id(9), rows::From::Newest, 5).unwrap();
    assert!(page.rows.to_string().is_empty() && !page.has_before && !page.has_after);
    assert_eq!(rows::position(&sql, &session, &id(40)).unwrap(), Some(61));
    assert_eq!(rows::position(&sql, &id(9), &id(40)).unwrap(), None);
}

#[test]
fn a_batch_that_writes_a_row_twice_announces_its_last_version() {
    let sql = database();
    let session: SessionId = id(1);
    let mut rows = SessionRows::open(&sql, &session).unwrap();
    for (row, rev, text) in [(1, 1, "a"), (2, 1, "b"), (1, 2, "aa")] {
        rows.upsert(&claims(1, 1), upsert(row, rev, Author::Agent, text))
            .unwrap();
    }
    let changed = rows.finish().unwrap().unwrap();
    let told: Vec<_> = changed
        .entities
        .iter()
        .map(|row| serde_json::from_str::<Row>(row).unwrap())
        .map(|row| (row.seq, row.body.growing().unwrap().to_owned()))
        .collect();
    assert_eq!(told, [(2, "b".to_owned()), (3, "aa".to_owned())]);
    assert_eq!((changed.from, changed.to()), (0, 3));
}

fn intent(task: u128, session: u128) -> TaskIntent {
    TaskIntent {
        task: id(task),
        project: id(1),
        session: id(session),
        pool: None,
        user: id(1),
        created_at: Timestamp(1),
        title: "Fix it".to_owned(),
        repository: "/repo".to_owned(),
        base: None,
        branch: "sam/fix-it".to_owned(),
        agent: "sam-harness".to_owned(),
        mode: TaskMode::Task,
        permission_mode: Default::default(),
        retry_of: None,
    }
}

pub(super) fn view(task: u128, rev: u64) -> TaskView {
    TaskView {
        rev,
        ..Task::queued_view(&intent(task, 1))
    }
}

#[test]
fn an_older_view_changes_nothing() {
    let sql = database();
    for (rev, changes) in [(3, true), (3, false), (2, false), (4, true)] {
        let mut entities = Entities::open(&sql).unwrap();
        entities.put_task(&view(1, rev)).unwrap();
        assert_eq!(entities.finish().unwrap().is_some(), changes, "rev {rev}");
    }
    let held: TaskView = serde_json::from_str(
        &entities::get(&sql, id::<TaskId>(1).as_str())
            .unwrap()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(held.rev, 4);
}

#[test]
fn a_list_is_paged_newest_first_and_keeps_kinds_apart() {
    let sql = database();
    let mut work = Entities::open(&sql).unwrap();
    for number in 1..=5 {
        work.put_task(&view(number, 1)).unwrap();
    }
    let mut machine: Actor<Session> = Actor::new(session::address(id(1), id(1)));
    let _ = begin(&mut machine, 1);
    work.put_session(&machine.state.view().unwrap()).unwrap();
    work.finish().unwrap();

    let ids = |page: &entities::ViewPage| -> Vec<TaskId> {
        listed::<TaskView>(&page.views)
            .into_iter()
            .map(|view| view.id)
            .collect()
    };
    let first = entities::list::<TaskId>(&sql, None, 3).unwrap();
    assert_eq!(ids(&first), [id::<TaskId>(5), id(4), id(3)]);
    assert!(first.more);
    let rest = entities::list::<TaskId>(&sql, Some(&id(3)), 3).unwrap();
    assert_eq!(ids(&rest), [id::<TaskId>(2), id(1)]);
    assert!(!rest.more);
    let sessions = entities::list::<SessionId>(&sql, None, 3).unwrap();
    assert_eq!(listed::<SessionView>(&sessions.views).len(), 1);
}

#[test]
fn a_request_is_done_once() {
    let sql = database();
    let by: UserId = id(1);
    let request = |key: &str, body: &str| Idempotency {
        key: key.to_owned(),
        body_sha256: body.to_owned(),
    };
    let first = request("k", "body");
    let once = Once::of(&sql, &by, "submit", &first).unwrap();
    assert_eq!(once.earlier_reply().unwrap(), None);
    once.keep("{}", Timestamp(1)).unwrap();
    assert_eq!(once.earlier_reply().unwrap().as_deref(), Some("{}"));

    let changed = request("k", "another body");
    let refused = Once::of(&sql, &by, "submit", &changed)
        .unwrap()
        .earlier_reply();
    assert!(matches!(refused, Err(ShellError::Refused(error)) if error.status == 409));
    for (by, route, key) in [
        (id(2), "submit", "k"),
        (id(1), "prompt", "k"),
        (id(1), "submit", "l"),
    ] {
        let other = request(key, "body");
        let once = Once::of(&sql, &by, route, &other).unwrap();
        assert_eq!(once.earlier_reply().unwrap(), None, "{route} {key}");
    }
    for key in [String::new(), "x".repeat(201)] {
        let bad = request(&key, "body");
        assert!(Once::of(&sql, &by, "submit", &bad).is_err());
    }
}

#[test]
fn a_reply_is_forgotten_after_a_week() {
    let sql = database();
    let by: UserId = id(1);
    let request = Idempotency {
        key: "k".to_owned(),
        body_sha256: "body".to_owned(),
    };
    let once = Once::of(&sql, &by, "submit", &request).unwrap();
    let kept_at = Timestamp(1_000);
    once.keep("{}", kept_at).unwrap();
    let week = sam_domain::time::Millis::hours(24 * 7);
    assert_eq!(
        idempotency::forget_old(&sql, kept_at.plus(week)).unwrap(),
        0
    );
    assert!(once.earlier_reply().unwrap().is_some());
    let later = Timestamp(kept_at.plus(week).0 + 1);
    assert_eq!(idempotency::forget_old(&sql, later).unwrap(), 1);
    assert_eq!(once.earlier_reply().unwrap(), None);
}

#[test]
fn what_a_refused_request_wrote_is_undone() {
    let sql = database();
    let refused: Result<(), ShellError> = sql.transaction(|| {
        let mut entities = Entities::open(&sql)?;
        entities.put_task(&view(1, 1))?;
        entities.finish()?;
        Err(ApiError::bad_request("no").into())
    });
    assert!(matches!(refused, Err(ShellError::Refused(_))));
    assert_eq!(entities::get(&sql, id::<TaskId>(1).as_str()).unwrap(), None);
    assert_eq!(scope::counters(&sql, scope::PROJECT).unwrap().seq, 0);
}

pub(super) fn begin(actor: &mut Actor<Session>, session: u128) -> Handled<session::SessionOutput> {
    let mut turn = Turn::new(Timestamp(10), 7);
    let local = SessionLocal::Submit {
        intent: Box::new(intent(1, session)),
        prompt: id(1),
        row: id(1),
        text: "Fix it".to_owned(),
        body: None,
    };
    actor.local::<SessionMachine>(&mut turn, local)
}

fn tell(
    sql: &Sql,
    session: &SessionId,
    actor: &mut Actor<Session>,
    ordinal: u64,
    message: Message,
) {
    let mut turn = Turn::new(Timestamp(20), ordinal);
    let envelope = Envelope {
        from: Address::Task(id(1)),
        to: actor.address.clone(),
        ordinal,
        after: 0,
        message,
    };
    let mut work = Work::open(sql, session).unwrap();
    let handled = actor.deliver::<SessionMachine>(&mut turn, envelope);
    assert!(work.perform(actor, &mut turn, handled).unwrap());
    let _ = work.finish(actor).unwrap();
}

#[test]
fn a_conversation_begins_with_its_row_its_task_and_itself() {
    let sql = database();
    let session: SessionId = id(1);
    let mut actor = Actor::new(session::address(id(1), session.clone()));
    let handled = begin(&mut actor, 1);
    let mut turn = Turn::new(Timestamp(10), 7);
    let mut work = Work::open(&sql, &session).unwrap();
    assert!(work.perform(&mut actor, &mut turn, handled).unwrap());
    let _ = work.finish(&actor).unwrap();
    let rows = stored(&sql, &session);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].author, Author::Person);
    let shown: SessionView =
        serde_json::from_str(&entities::get(&sql, session.as_str()).unwrap().unwrap()).unwrap();
    assert_eq!(Some(shown), actor.state.view());
    assert!(
        entities::get(&sql, id::<TaskId>(1).as_str())
            .unwrap()
            .is_some()
    );
    assert!(!actor.outbox.is_empty());
}

#[test]
fn a_task_that_waits_for_rows_hears_of_rows_stored_before_it_asked() {
    let sql = database();
    let session: SessionId = id(1);
    let mut actor = Actor::new(session::address(id(1), session.clone()));
    let _ = begin(&mut actor, 1);
    let workspace: WorkspaceId = id(1);
    let bound = Message::WorkspaceBound {
        workspace: workspace.clone(),
        attempt: 1,
    };
    tell(&sql, &session, &mut actor, 1, bound);
    let work = Work::open(&sql, &session).unwrap();
    work.store_through(&workspace, 9).unwrap();
    work.store_through(&workspace, 4).unwrap();
    let waiting = actor.outbox.len();
    let ask = |through| Message::AwaitRows {
        prompt: id(1),
        workspace: workspace.clone(),
        through,
    };
    tell(&sql, &session, &mut actor, 2, ask(10));
    assert_eq!(actor.outbox.len(), waiting, "the tenth is not stored");
    tell(&sql, &session, &mut actor, 3, ask(9));
    assert_eq!(actor.outbox.len(), waiting + 1);
}
