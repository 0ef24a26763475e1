//! Transcripts on disk: what a process that died, another process, or a bad
//! disk leaves of them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use sam_acp::{Notice, NoticeLevel, PlanEntry, PlanPriority, PlanStatus, ToolCall, ToolCallUpdate};
use sam_dialects::conversation::{Body, Image, Part, Thinking, Tool, ToolCall as Call};
use sam_dialects::{Dialect, Usage};
use sam_harness::transcript::{
    Digest, Entry, Event, FileSeen, Found, Header, Redactor, State, Transcript, TranscriptError,
    events, list,
};
use serde_json::json;

fn begin(root: &Path) -> Transcript {
    let header = Header {
        cwd: PathBuf::from("/w"),
        model: "m".to_owned(),
        provider: "chat".to_owned(),
        ..Header::default()
    };
    Transcript::create(root, header, Redactor::default(), &State::default()).unwrap()
}

fn reopen(root: &Path, session: &str) -> Result<Found, TranscriptError> {
    Transcript::open(root, session, Redactor::default())
}

fn call(id: &str) -> Part {
    Body::Call(Call {
        id: id.to_owned(),
        name: "bash".to_owned(),
        arguments: r#"{"command":"ls"}"#.to_owned(),
        custom: false,
    })
    .into()
}

fn result(id: &str, text: &str) -> Event {
    Event::ToolResult {
        call: id.to_owned(),
        parts: vec![Part::text(text)],
        failed: false,
        custom: false,
        update: Some(ToolCallUpdate {
            id: id.to_owned(),
            ..ToolCallUpdate::default()
        }),
        files: vec![FileSeen {
            path: "src/a.rs".to_owned(),
            sha256: "00".repeat(32),
            lines: 9,
            shown: Some((1, 9)),
            written: false,
        }],
    }
}

fn reply(number: u64, parts: Vec<Part>) -> Event {
    Event::Reply {
        number,
        parts,
        model: Some("m-1".to_owned()),
        usage: Some(Usage {
            input: 10,
            output: 2,
            total: 12,
            ..Usage::default()
        }),
        cost: Some(3),
        stop: Some("tool_use".to_owned()),
        request: Some(Digest {
            sha256: "ff".repeat(32),
            bytes: 40,
        }),
    }
}

/// One of everything.
fn story() -> Vec<Event> {
    let thinking = Thinking {
        text: "hm".to_owned(),
        raw: Some((
            Dialect::Messages,
            json!({"type": "thinking", "signature": "AA=="}),
        )),
    };
    let foreign = Body::Foreign {
        dialect: Dialect::Responses,
        raw: json!({"type": "web_search_call"}),
    };
    let document = Body::Document {
        name: None,
        media_type: "application/pdf".to_owned(),
        data: "AA==".to_owned(),
    };
    vec![
        Event::Instructions {
            text: "Be good.".to_owned(),
        },
        Event::Tools {
            tools: vec![Tool::function("bash", "Runs.", json!({"type": "object"}))],
        },
        Event::Prompt {
            parts: vec![
                Part::text("look \u{202e}at ünïcode\nplease"),
                Body::Image(Image::from_base64("image/png", "AAAA")).into(),
                document.into(),
            ],
            blocks: vec![sam_acp::Block::text("look")],
        },
        reply(
            0,
            vec![
                Body::Thinking(thinking).into(),
                foreign.into(),
                call("a"),
                call("b"),
            ],
        ),
        Event::ToolCall {
            call: ToolCall {
                id: "a".to_owned(),
                ..ToolCall::default()
            },
        },
        result("a", "one\0two"),
        result("b", "three"),
        Event::Plan {
            entries: vec![PlanEntry {
                content: "look".to_owned(),
                priority: PlanPriority::High,
                status: PlanStatus::InProgress,
            }],
        },
        Event::Withdrawn {
            number: 1,
            text: "So".to_owned(),
        },
        Event::Broken {
            number: 1,
            text: "Well".to_owned(),
        },
        Event::Notice {
            notice: Notice {
                id: "n".to_owned(),
                level: NoticeLevel::Warning,
                code: "c".to_owned(),
                text: "t".to_owned(),
                hint: None,
            },
        },
        Event::Setting {
            name: "effort".to_owned(),
            value: "high".to_owned(),
        },
        Event::Fact {
            name: "isolation".to_owned(),
            value: json!({"files": "landlock"}),
        },
        Event::TurnEnd {
            end: "cancelled".to_owned(),
            error: None,
            requests: 1,
            tool_calls: 2,
            usage: Usage::default(),
        },
    ]
}

/// The state after so many events of the story.
fn after(count: usize) -> State {
    let mut state = State::default();
    for event in story().iter().take(count) {
        state.apply(event);
    }
    state
}

fn happened(root: &Path, session: &str) -> Vec<Event> {
    let (_, entries) = events(root, session).unwrap();
    let event = |entry| match entry {
        Entry::Line(line) => line.event,
        other => panic!("{other:?}"),
    };
    entries.map(event).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let root = tempfile::tempdir().unwrap();
    let mut transcript = begin(root.path());
    for event in story() {
        transcript.append(&event).unwrap();
    }
    let session = transcript.header().session.clone();
    assert_eq!(happened(root.path(), &session), story());
    assert!(matches!(
        reopen(root.path(), &session),
        Err(TranscriptError::Busy(_))
    ));
    drop(transcript);
    let found = reopen(root.path(), &session).unwrap();
    assert_eq!(found.state, after(story().len()));
    assert_eq!(found.unreadable, 0);
    let listed = list(root.path()).unwrap();
    assert_eq!(listed[0].title.as_deref(), Some("look \u{202e}at ünïcode"));
    assert_eq!(listed[0].cwd, Path::new("/w"));
}

#[test]
fn a_process_that_died_at_any_byte_leaves_every_whole_line() {
    let root = tempfile::tempdir().unwrap();
    let mut transcript = begin(root.path());
    for event in story() {
        transcript.append(&event).unwrap();
    }
    let session = transcript.header().session.clone();
    drop(transcript);
    let path = root.path().join(&session).join("000000.jsonl");
    let whole = std::fs::read(&path).unwrap();
    let ends: Vec<usize> = (0..whole.len())
        .filter(|at| whole[*at] == b'\n')
        .map(|at| at + 1)
        .collect();
    assert_eq!(
        ends.len(),
        story().len() + 2,
        "one line each, header and checkpoint before them"
    );
    // The first two lines appear together, by a rename.
    let near_an_end = |cut: &usize| ends.iter().any(|end| end.abs_diff(*cut) <= 2);
    for cut in (ends[1]..=whole.len()).filter(|cut| cut % 41 == 0 || near_an_end(cut)) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let lines = ends.iter().filter(|end| **end <= cut).count();
        let torn = cut - ends[lines - 1];
        let mut found = reopen(root.path(), &session).unwrap();
        assert_eq!(found.state, after(lines - 2), "cut at {cut}");
        let last = Event::Setting {
            name: "later".to_owned(),
            value: "yes".to_owned(),
        };
        found.transcript.append(&last).unwrap();
        drop(found);
        // What was torn is gone and named, and what comes then is readable.
        let mut expected: Vec<Event> = story().into_iter().take(lines - 2).collect();
        if torn > 0 {
            let bytes = u64::try_from(torn).unwrap();
            expected.push(Event::Torn { bytes });
        }
        expected.push(last);
        assert_eq!(happened(root.path(), &session), expected, "cut at {cut}");
    }
}

#[test]
fn the_newest_segment_is_enough_to_resume_and_all_are_the_story() {
    let root = tempfile::tempdir().unwrap();
    let mut transcript = begin(root.path());
    let mut state = State::default();
    let text = "x".repeat(100_000);
    let mut written = 0;
    for number in 0..120 {
        let event = reply(number, vec![Part::text(text.as_str())]);
        transcript.append(&event).unwrap();
        state.apply(&event);
        written += 1;
        if transcript.is_full() {
            // What a compaction leaves.
            state.messages.clear();
            transcript.begin_segment(&state).unwrap();
        }
    }
    let session = transcript.header().session.clone();
    drop(transcript);
    let dir = root.path().join(&session);
    let segments = std::fs::read_dir(&dir)
        .unwrap()
        .filter(|file| file.as_ref().unwrap().path().extension().is_some());
    let sizes: Vec<u64> = segments
        .map(|file| file.unwrap().metadata().unwrap().len())
        .collect();
    assert!(
        sizes.len() >= 3 && sizes.iter().all(|size| *size < 5 << 20),
        "{sizes:?}"
    );
    assert_eq!(happened(root.path(), &session).len(), written);
    std::fs::write(dir.join("000000.jsonl"), "nothing of it\n").unwrap();
    let found = reopen(root.path(), &session).unwrap();
    assert_eq!(found.state, state);
}

#[test]
fn a_damaged_segment_costs_what_it_held() {
    let root = tempfile::tempdir().unwrap();
    let mut transcript = begin(root.path());
    for event in story() {
        transcript.append(&event).unwrap();
    }
    let state = after(story().len());
    transcript.begin_segment(&state).unwrap();
    transcript.append(&reply(2, vec![call("c")])).unwrap();
    transcript.append(&result("c", "late")).unwrap();
    let session = transcript.header().session.clone();
    drop(transcript);
    let newest = root.path().join(&session).join("000001.jsonl");
    // A line in the middle: its result has no call any more and goes with it.
    let lines = std::fs::read_to_string(&newest).unwrap();
    let spoilt: Vec<&str> = lines
        .lines()
        .enumerate()
        .map(|(n, line)| if n == 2 { "{\"at\":" } else { line })
        .collect();
    std::fs::write(&newest, spoilt.join("\n") + "\n").unwrap();
    let found = reopen(root.path(), &session).unwrap();
    assert_eq!(
        (found.unreadable, &found.state.messages),
        (1, &state.messages)
    );
    drop(found);
    // All of it: the segment before is resumed, and nothing is written over.
    std::fs::write(&newest, "\0\0\0\0").unwrap();
    let mut found = reopen(root.path(), &session).unwrap();
    assert_eq!(found.state, state);
    found.transcript.append(&result("a", "again")).unwrap();
    drop(found);
    assert_eq!(std::fs::read(&newest).unwrap(), b"\0\0\0\0");
    assert!(root.path().join(&session).join("000002.jsonl").exists());
    // A newer form is refused, by its name.
    let header = json!({"format": "sam-transcript", "version": 99, "session": "s", "segment": 3, "created": 0, "cwd": "/",
        "agent": "", "provider": "", "model": "", "context_window": 1, "compaction": "auto"});
    for number in 0..3 {
        let path = root
            .path()
            .join(&session)
            .join(format!("{number:06}.jsonl"));
        std::fs::write(path, format!("{header}\n")).unwrap();
    }
    let error = reopen(root.path(), &session).unwrap_err().to_string();
    assert!(
        error.contains("version 99 is newer than this program"),
        "{error}"
    );
}

#[test]
fn calls_without_a_result_get_one() {
    let mut state = State::default();
    state.apply(&reply(0, vec![call("a"), call("b")]));
    state.apply(&result("a", "one"));
    let mended = state.mend();
    let [Event::ToolResult { call, failed, .. }] = mended.as_slice() else {
        panic!("{mended:?}");
    };
    assert_eq!((call.as_str(), *failed), ("b", true));
    for event in &mended {
        state.apply(event);
    }
    assert!(state.mend().is_empty());
}

#[test]
fn reads_are_counted_by_what_they_show_of_a_content() {
    let mut state = State::default();
    let mut check = |shown: (u64, u64), sha256: &str, expected: (u64, u64)| {
        let file = FileSeen {
            path: "a".to_owned(),
            sha256: sha256.to_owned(),
            lines: 100,
            shown: Some(shown),
            written: false,
        };
        state.apply(&Event::ToolResult {
            call: "a".to_owned(),
            parts: Vec::new(),
            failed: false,
            custom: false,
            update: None,
            files: vec![file],
        });
        assert_eq!((state.reads, state.rereads), expected, "{shown:?}");
    };
    check((1, 50), "x", (1, 0));
    check((51, 100), "x", (2, 0));
    check((10, 20), "x", (3, 1));
    check((40, 60), "x", (4, 2));
    check((10, 20), "y", (5, 2));
    check((10, 20), "y", (6, 3));
    check((10, 21), "y", (7, 3));
}
