//! The transcript against everyone who may be watching.

use super::transcript::{Transcript, TurnEnd, close};
use crate::store::RowVersion;
use sam_acp::{
    AgentUpdate, Block, Chunk, PlanPriority, PromptOutcome, StopReason, TokenUsage, ToolCall,
    ToolCallUpdate, ToolContent,
};
use sam_domain::conversation::row::{Author, INLINE_TEXT_LIMIT, RowBody, RowUpsert, ToolStatus};
use sam_domain::conversation::wire::LiveDelta;
use sam_domain::id::RowId;
use sam_domain::time::{Millis, Timestamp, Turn};
use std::collections::{BTreeMap, VecDeque};

fn turn(ms: u64) -> Turn {
    Turn::new(Timestamp(ms), ms.wrapping_mul(0x9E37_79B9) + 1)
}

fn transcript() -> Transcript {
    Transcript::new("/w/repo".into())
}

fn message(text: &str) -> AgentUpdate {
    AgentUpdate::Message(Chunk::text(text))
}

fn thought(text: &str) -> AgentUpdate {
    AgentUpdate::Thought(Chunk::text(text))
}

fn call(id: &str) -> AgentUpdate {
    AgentUpdate::ToolCall(ToolCall {
        id: id.into(),
        title: "run".into(),
        ..ToolCall::default()
    })
}

fn change(id: &str, status: Option<sam_acp::ToolStatus>, text: Option<&str>) -> AgentUpdate {
    AgentUpdate::ToolCallUpdate(ToolCallUpdate {
        id: id.into(),
        status,
        content: text.map(|text| vec![ToolContent::Text { text: text.into() }]),
        ..ToolCallUpdate::default()
    })
}

fn finished(reason: StopReason) -> PromptOutcome {
    PromptOutcome {
        stop_reason: reason,
        usage: Some(TokenUsage {
            input: 10,
            output: 3,
            total: 13,
            ..TokenUsage::default()
        }),
    }
}

/// The newest version of each row, in order of creation.
#[derive(Default)]
struct Table(Vec<RowVersion>);

impl Table {
    fn put(&mut self, versions: Vec<RowVersion>) {
        for version in versions {
            match self.0.iter_mut().find(|held| held.id == version.id) {
                Some(held) => {
                    assert_eq!(version.rev, held.rev + 1, "versions grow by one");
                    assert!(
                        held.open || held.body.kind() != "text",
                        "an ended text is final"
                    );
                    *held = version;
                }
                None => {
                    assert_eq!(version.rev, 1);
                    self.0.push(version);
                }
            }
        }
    }

    fn shape(&self) -> Vec<(&str, String)> {
        let shown = |body: &RowBody| match body {
            RowBody::Text(text) | RowBody::Thought(text) => text.text.clone(),
            RowBody::Tool(tool) => format!("{:?} {}", tool.status, tool.output),
            RowBody::Plan(plan) => format!("{} entries", plan.entries.len()),
            RowBody::Notice(notice) => notice.code.clone(),
            RowBody::Permission(asked) => asked.state.word().to_owned(),
            RowBody::Answer(answer) => answer.label.clone(),
            RowBody::Usage(usage) => format!("{}/{}", usage.input_tokens, usage.output_tokens),
        };
        self.0
            .iter()
            .map(|row| (row.body.kind(), shown(&row.body)))
            .collect()
    }
}

fn run(updates: Vec<AgentUpdate>, end: &TurnEnd<'_>) -> Table {
    let (mut t, mut table) = (transcript(), Table::default());
    let mut now = 1000;
    for update in updates {
        now += 10;
        table.put(t.update(&mut turn(now), update));
    }
    table.put(t.end(&mut turn(now + 10), end));
    assert!(table.0.iter().all(|row| !row.open), "nothing stays open");
    table
}

#[test]
fn chunks_of_a_kind_grow_one_row_until_something_else_is_said() {
    use sam_acp::ToolStatus as Status;
    let table = run(
        vec![
            thought("hm"),
            thought("m"),
            message("I will "),
            message("look."),
            call("a"),
            change("a", Some(Status::InProgress), None),
            change("a", Some(Status::Completed), Some("out")),
            message("Done."),
        ],
        &TurnEnd::Finished(&finished(StopReason::EndTurn), Millis(5)),
    );
    let expect = [
        ("thought", "hmm"),
        ("text", "I will look."),
        ("tool", "Completed out"),
        ("text", "Done."),
        ("usage", "10/3"),
    ];
    assert_eq!(
        table.shape(),
        expect.map(|(kind, text)| (kind, text.to_owned()))
    );
    assert_eq!(table.0[4].author, Author::System);
}

#[test]
fn a_tools_progress_does_not_cut_a_sentence() {
    let table = run(
        vec![
            call("a"),
            message("one "),
            change("a", Some(sam_acp::ToolStatus::InProgress), Some("x")),
            message("sentence"),
        ],
        &TurnEnd::Finished(&finished(StopReason::EndTurn), Millis(5)),
    );
    assert_eq!(table.shape()[1], ("text", "one sentence".to_owned()));
}

#[test]
fn a_call_without_an_end_is_completed_by_a_good_turn_and_interrupted_by_any_other() {
    let updates = || vec![call("a"), change("a", None, Some("partial"))];
    let tool = |table: Table| table.shape()[0].1.clone();
    let good = finished(StopReason::EndTurn);
    let cancelled = finished(StopReason::Cancelled);
    assert_eq!(
        tool(run(updates(), &TurnEnd::Finished(&good, Millis(1)))),
        "Completed partial"
    );
    assert_eq!(
        tool(run(updates(), &TurnEnd::Finished(&cancelled, Millis(1)))),
        "Interrupted partial"
    );
    assert_eq!(
        tool(run(updates(), &TurnEnd::Stopped)),
        "Interrupted partial"
    );
}

#[test]
fn an_update_for_a_call_never_announced_is_a_call_and_a_late_one_is_nothing() {
    let mut t = transcript();
    let mut table = Table::default();
    table.put(t.update(
        &mut turn(1),
        change("x", Some(sam_acp::ToolStatus::Completed), Some("o")),
    ));
    table.put(t.end(&mut turn(2), &TurnEnd::Stopped));
    assert_eq!(table.shape(), [("tool", "Completed o".to_owned())]);
    assert!(
        t.update(&mut turn(3), change("x", None, Some("late")))
            .is_empty()
    );
    assert!(t.update(&mut turn(3), call("x")).is_empty());
}

#[test]
fn a_plan_is_one_row_replaced_and_a_new_turn_has_its_own() {
    let plan = |n: usize| AgentUpdate::Plan {
        entries: (0..n)
            .map(|i| sam_acp::PlanEntry {
                content: format!("step {i}"),
                priority: PlanPriority::Medium,
                status: sam_acp::PlanStatus::Pending,
            })
            .collect(),
    };
    let mut t = transcript();
    let mut table = Table::default();
    table.put(t.update(&mut turn(1), plan(1)));
    table.put(t.update(&mut turn(2), plan(2)));
    assert!(
        t.update(&mut turn(3), plan(2)).is_empty(),
        "the same again is nothing new"
    );
    table.put(t.end(&mut turn(4), &TurnEnd::Stopped));
    table.put(t.update(&mut turn(5), plan(3)));
    let shape = table.shape();
    assert_eq!(
        shape,
        [
            ("plan", "2 entries".to_owned()),
            ("plan", "3 entries".to_owned())
        ]
    );
}

#[test]
fn a_long_text_shows_its_beginning_and_names_the_whole() {
    let piece = "wörter ".repeat(1000);
    let updates = (0..10).map(|_| message(&piece)).collect();
    let table = run(updates, &TurnEnd::Stopped);
    let row = &table.0[0];
    let RowBody::Text(text) = &row.body else {
        panic!("a text")
    };
    assert!(text.text.len() <= INLINE_TEXT_LIMIT && text.text.len() > INLINE_TEXT_LIMIT - 4);
    let (name, bytes) = &row.bodies[0];
    let reference = text.body_ref.as_ref().expect("named");
    assert_eq!(
        (&reference.sha256, reference.bytes as usize),
        (name, bytes.len())
    );
    assert_eq!(bytes.len(), piece.len() * 10);
}

#[test]
fn a_growing_row_is_stored_at_its_beginning_every_five_seconds_and_at_its_end() {
    let mut t = transcript();
    let mut count = 0;
    // A piece every 100 ms for 12 s.
    for at in 0..120 {
        count += t.update(&mut turn(at * 100), message("x")).len();
        count += t.tick(Timestamp(at * 100)).len();
    }
    count += t.end(&mut turn(12_000), &TurnEnd::Stopped).len();
    assert_eq!(count, 4);
}

#[test]
fn what_grows_is_kept_between_versions() {
    let mut t = transcript();
    assert_eq!(t.update(&mut turn(0), message("a")).len(), 1);
    assert_eq!(t.kept(), [], "it is as it was stored");
    assert_eq!(t.update(&mut turn(100), message("bc")), []);
    let kept = t.kept();
    assert_eq!((kept.len(), kept[0].rev), (1, 1));
    assert_eq!(kept[0].body.growing(), Some("abc"));
    assert_eq!(t.kept(), [], "nothing was said since");
    let long = "d".repeat(INLINE_TEXT_LIMIT);
    assert_eq!(t.update(&mut turn(200), message(&long)), []);
    let RowBody::Text(text) = t.kept().remove(0).body else {
        panic!("no text");
    };
    assert_eq!(
        (text.text.len(), text.truncated_bytes),
        (INLINE_TEXT_LIMIT, 3)
    );
    // Keeping is no version: the next one comes when it would have come.
    let versions = t.update(&mut turn(5000), message("e"));
    assert_eq!((versions.len(), versions[0].rev), (1, 2));

    let running = Some(sam_acp::ToolStatus::InProgress);
    t.update(&mut turn(5100), call("t"));
    t.update(&mut turn(5200), change("t", running, Some("one")));
    t.update(&mut turn(5300), change("t", running, Some("one two")));
    assert_eq!(t.kept()[0].body.growing(), Some("one two"));
}

#[test]
fn what_was_growing_when_the_vm_agent_died_is_ended_by_the_next() {
    let mut t = transcript();
    let mut versions = t.update(&mut turn(1), message("half a sent"));
    versions.extend(t.update(&mut turn(2), call("a")));
    let upsert = |version: &RowVersion| RowUpsert {
        n: 1,
        id: version.id.clone(),
        rev: version.rev,
        author: version.author,
        created_at: version.created_at,
        body: version.body.clone(),
    };
    let tool = close(upsert(versions.last().expect("tool")), Timestamp(9));
    let RowBody::Tool(body) = &tool.body else {
        panic!("a tool")
    };
    assert_eq!(
        (body.status, body.ended_at, tool.rev),
        (ToolStatus::Interrupted, Some(Timestamp(9)), 2)
    );
    assert!(!tool.open);
}

/// Someone who watches, by the rule of the feed.
#[derive(Default)]
struct Watcher {
    rows: BTreeMap<RowId, (u32, RowBody)>,
    deltas: usize,
}

impl Watcher {
    fn row(&mut self, version: &RowVersion) {
        self.rows
            .insert(version.id.clone(), (version.rev, version.body.clone()));
    }

    fn delta(&mut self, delta: &LiveDelta) {
        if let Some((rev, body)) = self.rows.get_mut(&delta.row)
            && *rev == delta.rev
            && let Some(text) = body.growing_mut()
            && text.len() as u64 == delta.at
        {
            text.push_str(&delta.append);
            self.deltas += 1;
        }
    }
}

/// Random sayings, random delays of rows and of deltas: what a watcher shows is
/// always a beginning of what was said, and in the end exactly what is stored.
#[test]
fn any_interleaving_of_rows_and_deltas_ends_equal_to_the_stored_rows() {
    let mut applied = 0;
    for seed in 0..300_u64 {
        let mut random = Turn::new(Timestamp(0), seed);
        let mut below = |n: u128| (random.draw() % n) as u64;
        let mut t = transcript();
        let mut table = Table::default();
        let mut watcher = Watcher::default();
        let mut on_the_way: VecDeque<RowVersion> = VecDeque::new();
        let mut deltas: VecDeque<LiveDelta> = VecDeque::new();
        let mut now = 1_000;
        let mut output = String::new();
        for step in 0..200 {
            now += 1 + below(400);
            let mut out = match below(10) {
                0..=4 => t.update(&mut turn(now), message("wörd ")),
                5 => t.update(&mut turn(now), thought("hm ")),
                6 => {
                    output.clear();
                    t.update(&mut turn(now), call(&format!("c{}", step / 40)))
                }
                7 | 8 => {
                    output.push_str(&"o".repeat(below(900) as usize));
                    t.update(
                        &mut turn(now),
                        change(&format!("c{}", step / 40), None, Some(&output)),
                    )
                }
                _ => Vec::new(),
            };
            out.extend(t.tick(Timestamp(now)));
            on_the_way.extend(out.iter().cloned());
            table.put(out);
            deltas.extend(t.deltas());
            // The control plane stores some, watchers hear, the acknowledgement comes back.
            for _ in 0..below(3) {
                if let Some(version) = on_the_way.pop_front() {
                    watcher.row(&version);
                    t.stored(&version.id, version.rev);
                }
            }
            for _ in 0..below(4) {
                if let Some(delta) = deltas.pop_front()
                    && below(10) > 0
                {
                    watcher.delta(&delta);
                }
            }
        }
        let last = t.end(&mut turn(now + 1), &TurnEnd::Stopped);
        on_the_way.extend(last.iter().cloned());
        table.put(last);
        for version in on_the_way {
            watcher.row(&version);
        }
        for delta in deltas {
            watcher.delta(&delta);
        }
        applied += watcher.deltas;
        let held: BTreeMap<_, _> = table
            .0
            .iter()
            .map(|row| (row.id.clone(), (row.rev, row.body.clone())))
            .collect();
        for (id, (rev, body)) in &held {
            assert_eq!(
                watcher.rows.get(id),
                Some(&(*rev, body.clone())),
                "seed {seed}"
            );
        }
    }
    assert!(applied > 1000, "deltas do apply: {applied}");
}

#[test]
fn a_block_that_is_no_text_leaves_a_trace() {
    let image = AgentUpdate::Message(Chunk {
        message_id: None,
        block: Block::Other {
            raw: serde_json::json!({ "type": "image", "data": "AAAA" }),
        },
    });
    let table = run(vec![image], &TurnEnd::Stopped);
    assert_eq!(table.shape()[0].1, "[image is not shown here]");
}

#[test]
fn a_notice_of_the_agents_is_one_row_that_says_what_holds_now() {
    let notice = |id: &str, code: &str, text: &str| {
        AgentUpdate::Notice(sam_acp::Notice {
            id: id.into(),
            level: sam_acp::NoticeLevel::Warning,
            code: code.into(),
            text: text.into(),
            hint: None,
        })
    };
    let updates = vec![
        message("He"),
        notice("a", "model_overloaded", "Retrying in 1 s."),
        notice("a", "model_overloaded", "Retrying in 2 s."),
        message("llo"),
        notice("b", "Not a word", "key sam_mdl_0123456789abcdefgh"),
    ];
    let outcome = finished(StopReason::EndTurn);
    let table = run(updates, &TurnEnd::Finished(&outcome, Millis(1)));
    let notices: Vec<_> = table
        .0
        .iter()
        .filter_map(|row| match &row.body {
            RowBody::Notice(notice) => Some((row.rev, notice.code.as_str(), notice.text.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        notices,
        [
            (2, "model_overloaded", "Retrying in 2 s."),
            (1, "agent_notice", "key [redacted]")
        ]
    );
    assert_eq!(table.shape()[0].1, "Hello", "a notice interrupts no text");
}
