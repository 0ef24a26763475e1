//! Transcripts of the harness, spoilt on their way to the disk and back.

use std::io::Cursor;

use proptest::prelude::*;
use sam_dialects::conversation::{Body, Role};
use sam_fuzz::{Input, config, json, measured};
use sam_harness::context::compact;
use sam_harness::transcript::{Entry, Event, Reader, Redactor, State, Transcript};
use serde_json::{Value, json as value};

use super::bound;

/// Lines as they are written, the header first.
fn lines() -> Vec<Value> {
    let call = value!({"type": "call", "id": "a", "name": "bash", "arguments": "{}"});
    let state = serde_json::to_value(State::default()).expect("a state can be written");
    vec![
        value!({"format": "sam-transcript", "version": 1, "session": "har_01m7wg0bq413ftezb04352e8yf", "segment": 0,
            "created": 1, "cwd": "/w", "agent": "a", "provider": "chat", "model": "m", "context_window": 128_000,
            "compaction": "auto"}),
        value!({"at": 1, "type": "checkpoint", "state": state}),
        value!({"at": 1, "type": "instructions", "text": "Be good."}),
        value!({"at": 1, "type": "tools", "tools": [{"name": "bash", "description": "Runs.", "schema": {}}]}),
        value!({"at": 2, "type": "prompt", "parts": [{"type": "text", "text": "do it"}, {"type": "image",
            "url": "data:image/png;base64,AAAA"}], "blocks": [{"type": "text", "text": "do it"}]}),
        value!({"at": 3, "type": "reply", "number": 0, "parts": [{"type": "thinking", "text": "hm", "dialect":
            "messages", "raw": {"signature": "AA"}}, call], "usage": {"input": 1, "output": 1, "total": 2}, "request":
            {"sha256": "00", "bytes": 9}}),
        value!({"at": 4, "type": "tool_call", "call": {"id": "a", "title": "Run", "kind": "execute", "status":
            "pending"}}),
        value!({"at": 5, "type": "tool_result", "call": "a", "parts": [{"type": "text", "text": "one"}], "files":
            [{"path": "a", "sha256": "00", "lines": 9, "shown": [1, 9]}], "update": {"id": "a"}}),
        value!({"at": 6, "type": "plan", "entries": [{"content": "c", "priority": "high", "status": "pending"}]}),
        value!({"at": 6, "type": "withdrawn", "number": 1, "text": "So"}),
        value!({"at": 6, "type": "broken", "number": 1, "text": "Well"}),
        value!({"at": 7, "type": "notice", "notice": {"id": "n", "level": "info", "code": "c", "text": "t"}}),
        value!({"at": 7, "type": "setting", "name": "mode", "value": "ask"}),
        value!({"at": 8, "type": "turn_end", "end": "end_turn", "requests": 1, "tool_calls": 1, "usage": {"input": 1,
            "output": 1, "total": 2}}),
        value!({"at": 9, "type": "torn", "bytes": 3}),
    ]
}

fn segment(header: &Input, rest: &[Input]) -> Vec<u8> {
    let mut text = header.to_vec();
    for line in rest {
        text.push(b'\n');
        text.extend_from_slice(line);
    }
    text.push(b'\n');
    text
}

/// The words of the person's in a conversation.
fn said(state: &State) -> Vec<&str> {
    let people = state.messages.iter().filter(|m| m.role == Role::User);
    people
        .flat_map(|message| &message.parts)
        .filter_map(sam_dialects::conversation::Part::as_text)
        .collect()
}

/// Whether every result has its call before it.
fn is_paired(state: &State) -> bool {
    let mut calls = Vec::new();
    state
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .all(|part| match &part.body {
            Body::Call(call) => {
                calls.push(call.id.as_str());
                true
            }
            Body::Result(result) => calls.contains(&result.call.as_str()),
            _ => true,
        })
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn a_transcript_is_read_as_far_as_it_can_be(rest in prop::collection::vec(json(lines()), 1..16)) {
        let header = lines().swap_remove(0).to_string();
        let text = [header.as_bytes(), b"\n", &segment(&rest[0], &rest[1..])].concat();
        let (state, peak) = measured(|| {
            let mut state = State::default();
            for entry in Reader::new(Cursor::new(&text)) {
                if let Entry::Line(line) = entry.expect("memory can be read") {
                    state.apply(&line.event);
                    // What was understood can be written and read again.
                    let again = serde_json::to_string(&line.event).expect("an event can be written");
                    let again: Event = serde_json::from_str(&again).expect("and read");
                    assert_eq!(again, line.event);
                }
            }
            state
        });
        prop_assert!(peak < bound(text.len()), "{} of {}", peak, text.len());
        let mut state = state;
        state.drop_orphans();
        for event in state.mend() {
            state.apply(&event);
        }
        prop_assert!(state.mend().is_empty());
        let compacted = compact(&state, 300);
        let kept = said(&compacted);
        let paired = is_paired(&state);
        prop_assert!(said(&state).iter().all(|words| kept.contains(words)), "{kept:?}");
        prop_assert!(!paired || is_paired(&compacted));
    }

    #[test]
    fn a_spoilt_session_is_opened_or_refused(
        header in json(lines().into_iter().take(1).collect()),
        rest in prop::collection::vec(json(lines()), 1..8),
    ) {
        let root = tempfile::tempdir().expect("a directory");
        let session = "har_01m7wg0bq413ftezb04352e8yf";
        let dir = root.path().join(session);
        std::fs::create_dir(&dir).expect("a directory");
        let text = segment(&header, &rest);
        std::fs::write(dir.join("000000.jsonl"), &text).expect("a segment");
        if let Ok(mut found) = Transcript::open(root.path(), session, Redactor::default()) {
            found.transcript.append(&Event::Torn { bytes: 1 }).expect("it goes on");
            drop(found);
            let again = Transcript::open(root.path(), session, Redactor::default());
            prop_assert!(again.is_ok(), "{again:?}");
        }
    }
}
