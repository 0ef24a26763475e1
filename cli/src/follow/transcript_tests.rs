//! A transcript read later is the transcript seen live.

use super::super::Target;
use super::super::view::View;
use super::*;
use proptest::prelude::*;
use sam_domain::conversation::row::{NoticeBody, NoticeLevel, TextBody, ToolBody, ToolStatus};
use sam_domain::conversation::wire::SessionView;
use sam_domain::feed::{Entity, Scope, ServerFrame};
use sam_domain::id::{Id, ProjectId, SessionId, TaskId, UserId};
use sam_domain::task::TaskMode;

const T0: u64 = 1_700_000_000_000;

fn mint<I: Id>(n: u64) -> I {
    I::mint(Timestamp(T0), u128::from(n))
}

fn target() -> Target {
    Target {
        chat: false,
        task: mint::<TaskId>(1),
        project: mint::<ProjectId>(1),
        session: mint::<SessionId>(1),
        from: None,
    }
}

fn steps(ended: usize) -> Vec<StepView> {
    let names = [
        StepName::Placing,
        StepName::Preparing,
        StepName::Starting,
        StepName::Running,
        StepName::Finishing,
    ];
    names
        .into_iter()
        .zip(0u64..)
        .take(ended + 1)
        .map(|(name, n)| StepView {
            name,
            attempt: 1,
            started_at: Timestamp(T0 + n * 1_000),
            ended_at: ((n as usize) < ended).then_some(Timestamp(T0 + (n + 1) * 1_000)),
            detail: None,
        })
        .collect()
}

fn task(state: TaskState, rev: u64, ended: usize) -> TaskView {
    TaskView {
        id: target().task,
        project: target().project,
        session: target().session,
        created_by: mint::<UserId>(1),
        created_at: Timestamp(T0),
        title: "title".to_owned(),
        agent: "sam-harness".to_owned(),
        mode: TaskMode::Task,
        state,
        since: Timestamp(T0 + 60_000),
        attempt: 1,
        rev,
        steps: steps(ended),
        node: None,
        workspace: None,
        machine_away_since: None,
        waits_until: None,
        branch: None,
        result: None,
        failure: None,
        retry_of: None,
        rows_incomplete: false,
    }
}

/// What a row will be once it is over, and in how many versions it gets there.
#[derive(Clone, Debug)]
enum Plot {
    Text(String, usize),
    Thought(String),
    Tool(bool),
    Notice,
}

fn plots() -> impl Strategy<Value = Vec<Plot>> {
    let one = prop_oneof![
        ("[a-z \n]{0,120}", 1usize..6).prop_map(|(text, versions)| Plot::Text(text, versions)),
        "[a-z ]{1,10}".prop_map(Plot::Thought),
        any::<bool>().prop_map(Plot::Tool),
        Just(Plot::Notice),
    ];
    prop::collection::vec(one, 0..8)
}

/// The versions of a row, oldest first.
fn versions(plot: &Plot) -> Vec<(Author, RowBody)> {
    let text = |text: &str, over: bool| TextBody {
        text: text.to_owned(),
        ended_at: over.then_some(Timestamp(T0 + 5_000)),
        ..TextBody::default()
    };
    match plot {
        Plot::Text(words, count) => {
            let cut = |n: usize| words.get(..words.len() * n / count).unwrap_or_default();
            let growing = (0..*count).map(|n| RowBody::Text(text(cut(n), false)));
            growing
                .chain([RowBody::Text(text(words, true))])
                .map(|body| (Author::Agent, body))
                .collect()
        }
        Plot::Thought(words) => [false, true]
            .map(|over| (Author::Agent, RowBody::Thought(text(words, over))))
            .to_vec(),
        Plot::Tool(fails) => {
            let over = if *fails {
                ToolStatus::Failed
            } else {
                ToolStatus::Completed
            };
            [ToolStatus::Pending, ToolStatus::InProgress, over]
                .map(|status| {
                    let body = ToolBody {
                        title: "npm test".to_owned(),
                        status,
                        output: "line\n".repeat(3),
                        ended_at: status.is_terminal().then_some(Timestamp(T0 + 5_000)),
                        ..ToolBody::default()
                    };
                    (Author::Agent, RowBody::Tool(Box::new(body)))
                })
                .to_vec()
        }
        Plot::Notice => vec![(
            Author::System,
            RowBody::Notice(NoticeBody {
                level: NoticeLevel::Info,
                code: "note".to_owned(),
                text: "Take note.".to_owned(),
                hint: None,
            }),
        )],
    }
}

/// The upserts of all rows in an order that `choices` decide: a row's versions
/// stay in order, rows begin in order, everything else is free.
fn upserts(plots: &[Plot], choices: &[usize]) -> Vec<Row> {
    let mut queues: Vec<Vec<(Author, RowBody)>> = plots.iter().map(versions).collect();
    for queue in &mut queues {
        queue.reverse();
    }
    let mut begun = 0;
    let mut out = Vec::new();
    let mut choices = choices.iter().cycle();
    loop {
        let open: Vec<usize> = (0..queues.len().min(begun + 1))
            .filter(|n| !queues[*n].is_empty())
            .collect();
        let Some(choice) = choices.next().filter(|_| !open.is_empty()) else {
            return out;
        };
        let n = open[choice % open.len()];
        begun = begun.max(n + 1);
        let (author, body) = queues[n].pop().unwrap();
        let seq = out.len() as u64 + 1;
        out.push(Row {
            id: mint::<RowId>(n as u64),
            session: target().session,
            seq,
            pos: n as u64,
            attempt: 1,
            rev: u32::try_from(seq).unwrap(),
            author,
            created_at: Timestamp(T0 + 3_000),
            body,
        });
    }
}

struct Watcher {
    view: View,
    transcript: Transcript,
    lines: Vec<String>,
}

impl Watcher {
    fn new(columns: Option<usize>) -> Self {
        let mut transcript = Transcript::new(Style::new(false), None);
        transcript.resize(columns);
        Self {
            view: View::new(target()),
            transcript,
            lines: Vec::new(),
        }
    }

    fn hear(&mut self, frame: &ServerFrame) {
        self.view.apply(frame).unwrap();
        self.lines.extend(self.transcript.commit(&self.view, false));
        // Drawing what moves must not change what is final.
        self.transcript.live(&self.view, true, Timestamp(T0), 24);
    }

    fn greet(&mut self, scope: Scope, seq: u64) {
        self.hear(&ServerFrame::Hello {
            scope,
            epoch: "e".to_owned(),
            seq,
            floor: 0,
        });
    }

    fn changes(&mut self, scope: Scope, from: u64, entities: Vec<Entity>) {
        let to = from + entities.len() as u64;
        self.hear(&ServerFrame::Changes {
            scope,
            from,
            to,
            entities,
            more: false,
        });
    }

    fn end(mut self) -> Vec<String> {
        self.lines.extend(self.transcript.commit(&self.view, true));
        self.lines
    }
}

fn project() -> Scope {
    Scope::Project(target().project)
}

fn session() -> Scope {
    Scope::Session(target().session)
}

fn session_view() -> Entity {
    Entity::Session(Box::new(SessionView {
        id: target().session,
        project: target().project,
        title: String::new(),
        created_at: Timestamp(T0),
        updated_at: Timestamp(T0),
        task: target().task,
        prompts: Vec::new(),
        activity: None,
        comparison: None,
        chosen: false,
        rev: 1,
    }))
}

/// Seen from the beginning, change by change. `early` of the steps end before
/// the first row.
fn live(rows: &[Row], columns: Option<usize>) -> Vec<String> {
    let mut watcher = Watcher::new(columns);
    watcher.greet(project(), 0);
    watcher.greet(session(), 0);
    let running = Entity::Task(Box::new(task(TaskState::Running, 1, 3)));
    watcher.changes(project(), 0, vec![running, session_view()]);
    for row in rows {
        watcher.changes(
            session(),
            row.seq - 1,
            vec![Entity::Row(Box::new(row.clone()))],
        );
    }
    let done = Entity::Task(Box::new(task(TaskState::Completed, 2, 5)));
    watcher.changes(project(), 2, vec![done]);
    watcher.end()
}

/// Seen once it is over: each row once, in the order of its last change.
fn later(rows: &[Row], columns: Option<usize>) -> Vec<String> {
    let mut watcher = Watcher::new(columns);
    watcher.greet(project(), 2);
    watcher.greet(session(), rows.len() as u64);
    let done = Entity::Task(Box::new(task(TaskState::Completed, 2, 5)));
    watcher.changes(project(), 0, vec![done, session_view()]);
    let last: Vec<Entity> = rows
        .iter()
        .filter(|row| !rows.iter().any(|r| r.id == row.id && r.seq > row.seq))
        .map(|row| Entity::Row(Box::new(row.clone())))
        .collect();
    watcher
        .view
        .apply(&ServerFrame::Changes {
            scope: session(),
            from: 0,
            to: rows.len() as u64,
            entities: last,
            more: false,
        })
        .unwrap();
    watcher.end()
}

proptest! {
    #[test]
    fn seen_live_and_read_later_are_the_same(
        plots in plots(),
        choices in prop::collection::vec(0usize..8, 1..40),
        columns in prop::option::of(20usize..60),
    ) {
        let rows = upserts(&plots, &choices);
        prop_assert_eq!(live(&rows, columns), later(&rows, columns));
    }
}

#[test]
fn a_row_that_never_ends_does_not_hold_back_everything() {
    let mut plots = vec![Plot::Tool(false)];
    plots.extend(std::iter::repeat_n(Plot::Notice, PATIENCE + 1));
    let mut rows = upserts(&plots, &[0]);
    // The tool is announced and nothing more is heard of it.
    rows.retain(|row| row.pos > 0 || row.seq == 1);
    let mut watcher = Watcher::new(None);
    watcher.greet(project(), 0);
    watcher.greet(session(), 0);
    let running = Entity::Task(Box::new(task(TaskState::Running, 1, 3)));
    watcher.changes(project(), 0, vec![running, session_view()]);
    let entities: Vec<Entity> = rows
        .into_iter()
        .map(|row| Entity::Row(Box::new(row)))
        .collect();
    watcher.changes(session(), 0, entities);
    let notices = |lines: &[String]| lines.iter().filter(|l| l.contains("Take note.")).count();
    assert_eq!(notices(&watcher.lines), PATIENCE + 1);
    assert!(!watcher.lines.iter().any(|line| line.contains("npm test")));
    let lines = watcher.end();
    assert_eq!(lines.iter().filter(|l| l.contains("npm test")).count(), 1);
}

#[test]
fn a_notice_that_says_something_else_is_printed_again() {
    let mut rows = upserts(&[Plot::Notice], &[0]);
    for text in ["Retrying in 4 s.", "Retrying in 4 s.", "Went on."] {
        let mut row = rows.last().unwrap().clone();
        row.seq += 1;
        row.rev += 1;
        if let RowBody::Notice(notice) = &mut row.body {
            text.clone_into(&mut notice.text);
        }
        rows.push(row);
    }
    let lines = live(&rows, None).join("\n");
    let times = |text: &str| lines.matches(text).count();
    assert_eq!(
        (times("Take note."), times("Retrying"), times("Went on.")),
        (1, 1, 1),
        "{lines}"
    );
}
