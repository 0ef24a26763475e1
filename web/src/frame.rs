//! Frames of the feed, read by hand.
//!
//! Their derived readers keep what they have not understood yet in a form of
//! their own, and so are compiled for two sources of data; everything in a
//! frame with them. Here the word that says what something is, is looked up
//! first. Equal to the derived readers, as the tests say.

use crate::json::{Unreadable, member, read, value};
use sam_domain::conversation::row::{Row, RowBody};
use sam_domain::feed::{Entity, ServerFrame};
use serde_json::{Map, Value};

type Object = Map<String, Value>;
type Answer<T> = Result<T, Unreadable>;

/// A frame; one that this page does not know is an error.
pub(crate) fn parse(text: &str) -> Answer<ServerFrame> {
    let mut frame = object(value(text)?)?;
    let frame = &mut frame;
    let word: String = member(frame, "t")?;
    Ok(match word.as_str() {
        "hello" => ServerFrame::Hello {
            scope: member(frame, "scope")?,
            epoch: member(frame, "epoch")?,
            seq: member(frame, "seq")?,
            floor: member(frame, "floor")?,
        },
        "changes" => ServerFrame::Changes {
            scope: member(frame, "scope")?,
            from: member(frame, "from")?,
            to: member(frame, "to")?,
            entities: entities(frame.remove("entities"))?,
            more: member::<Option<bool>>(frame, "more")?.unwrap_or_default(),
        },
        "delta" => ServerFrame::Delta {
            session: member(frame, "session")?,
            row: member(frame, "row")?,
            attempt: member(frame, "attempt")?,
            rev: member(frame, "rev")?,
            at: member(frame, "at")?,
            append: member(frame, "append")?,
        },
        "activity" => ServerFrame::Activity {
            session: member(frame, "session")?,
            activity: member(frame, "activity")?,
        },
        "reset" => ServerFrame::Reset {
            scope: member(frame, "scope")?,
        },
        "refused" => ServerFrame::Refused {
            code: member(frame, "code")?,
            scope: member(frame, "scope")?,
        },
        _ => return Err(Unreadable),
    })
}

fn object(value: Value) -> Answer<Object> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Unreadable),
    }
}

fn entities(list: Option<Value>) -> Answer<Vec<Entity>> {
    match list {
        Some(Value::Array(list)) => list.into_iter().map(entity).collect(),
        _ => Err(Unreadable),
    }
}

fn entity(value: Value) -> Answer<Entity> {
    let mut entity = object(value)?;
    let word: String = member(&mut entity, "type")?;
    let value = entity.remove("value").ok_or(Unreadable)?;
    Ok(match word.as_str() {
        "task" => Entity::Task(read(value)?),
        "session" => Entity::Session(read(value)?),
        "row" => Entity::Row(Box::new(row(object(value)?)?)),
        "row_gone" => Entity::RowGone(read(value)?),
        "task_gone" => Entity::TaskGone(read(value)?),
        "session_gone" => Entity::SessionGone(read(value)?),
        _ => return Err(Unreadable),
    })
}

fn row(mut row: Object) -> Answer<Row> {
    let row = &mut row;
    Ok(Row {
        id: member(row, "id")?,
        session: member(row, "session")?,
        seq: member(row, "seq")?,
        pos: member(row, "pos")?,
        attempt: member(row, "attempt")?,
        rev: member(row, "rev")?,
        author: member(row, "author")?,
        created_at: member(row, "created_at")?,
        body: body(row)?,
    })
}

fn body(row: &mut Object) -> Answer<RowBody> {
    let kind: String = member(row, "kind")?;
    let body = row.remove("body").ok_or(Unreadable)?;
    Ok(match kind.as_str() {
        "text" => RowBody::Text(read(body)?),
        "thought" => RowBody::Thought(read(body)?),
        "tool" => RowBody::Tool(read(body)?),
        "plan" => RowBody::Plan(read(body)?),
        "notice" => RowBody::Notice(read(body)?),
        "usage" => RowBody::Usage(read(body)?),
        "permission" => RowBody::Permission(read(body)?),
        "answer" => RowBody::Answer(read(body)?),
        _ => return Err(Unreadable),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SESSION: &str = "ses_00000000000000000000000000";
    const ROW: &str = "row_00000000000000000000000000";

    fn row_of(kind: &str, body: &Value) -> Value {
        json!({"type": "row", "value": {
            "id": ROW, "session": SESSION, "seq": 4, "pos": 2, "attempt": 1, "rev": 3,
            "author": "agent", "created_at": 17, "kind": kind, "body": body,
        }})
    }

    fn changes(entities: &[Value]) -> Value {
        let scope = json!({"session": SESSION});
        json!({"t": "changes", "scope": scope, "from": 1, "to": 4, "entities": entities})
    }

    fn frames() -> Vec<Value> {
        let task = json!({
            "id": "tsk_00000000000000000000000000", "project": "prj_00000000000000000000000000",
            "session": SESSION, "created_by": "usr_00000000000000000000000000",
            "created_at": 0, "title": "t", "agent": "a", "mode": "task", "state": "failed",
            "since": 0, "attempt": 1, "rev": 1,
            "steps": [{"name": "running", "attempt": 1, "started_at": 5, "detail": "waits"}],
            "failure": {"code": "push_failed", "step": "finishing", "message": "m", "hint": "h", "fault": "person"},
        });
        let session = json!({
            "id": SESSION, "project": "prj_00000000000000000000000000", "title": "t",
            "created_at": 0, "updated_at": 9, "task": "tsk_00000000000000000000000000",
            "prompts": [], "rev": 1,
        });
        let bodies = [
            (
                "text",
                json!({"text": "é", "ended_at": 3, "truncated_bytes": 7}),
            ),
            ("thought", json!({"text": ""})),
            (
                "tool",
                json!({
                    "title": "t", "tool_kind": "unheard_of", "status": "in_progress",
                    "locations": [{"path": "a", "line": 3}, {"path": "b"}],
                    "diffs": [{"path": "a", "unified": "@@", "added": 1, "removed": 0}],
                    "output_ref": {"sha256": "00", "bytes": 3},
                }),
            ),
            (
                "plan",
                json!({"entries": [{"content": "c", "status": "pending"}]}),
            ),
            (
                "notice",
                json!({"level": "error", "code": "c", "text": "t", "hint": "h"}),
            ),
            (
                "usage",
                json!({"input_tokens": 1, "output_tokens": 2, "took": 9}),
            ),
            (
                "permission",
                json!({
                    "title": "t", "choices": [{"id": "i", "label": "l", "means": "allow_once"}],
                    "wait": 5, "state": "open",
                }),
            ),
            (
                "answer",
                json!({
                    "permission": ROW, "option": "o", "label": "l",
                    "by": "usr_00000000000000000000000000",
                }),
            ),
        ];
        let rows: Vec<Value> = bodies
            .iter()
            .map(|(kind, body)| row_of(kind, body))
            .collect();
        let project = json!({"project": "prj_00000000000000000000000000"});
        vec![
            json!({"t": "hello", "scope": project, "epoch": "e", "seq": 2, "floor": 0}),
            changes(&rows),
            changes(&[
                json!({"type": "task", "value": task}),
                json!({"type": "session", "value": session}),
                json!({"type": "row_gone", "value": ROW}),
                json!({"type": "session_gone", "value": SESSION}),
                json!({"type": "task_gone", "value": "tsk_00000000000000000000000000"}),
            ]),
            json!({"t": "delta", "session": SESSION, "row": ROW, "attempt": 1, "rev": 2, "at": 3,
                "append": "x"}),
            json!({"t": "activity", "session": SESSION, "activity": {"state": "idle", "since": 3, "epoch": 1}}),
            json!({"t": "reset", "scope": project}),
            json!({"t": "refused", "code": "not_found"}),
            json!({"t": "refused", "code": "not_found", "scope": project}),
        ]
    }

    /// What is left of a value when each of its members is taken away in turn.
    fn without_one(value: &Value) -> Vec<Value> {
        let mut found = Vec::new();
        match value {
            Value::Object(object) => {
                for (name, inner) in object {
                    let mut less = object.clone();
                    less.remove(name);
                    found.push(Value::Object(less));
                    for changed in without_one(inner) {
                        let mut other = object.clone();
                        other.insert(name.clone(), changed);
                        found.push(Value::Object(other));
                    }
                }
            }
            Value::Array(list) => {
                for (at, inner) in list.iter().enumerate() {
                    for changed in without_one(inner) {
                        let mut other = list.clone();
                        other[at] = changed;
                        found.push(Value::Array(other));
                    }
                }
            }
            _ => {}
        }
        found
    }

    #[test]
    fn frames_are_read_as_their_types_read_them() {
        for frame in frames() {
            let text = frame.to_string();
            let derived: ServerFrame = serde_json::from_str(&text).expect(&text);
            assert_eq!(parse(&text), Ok(derived), "{text}");
            for less in without_one(&frame) {
                let text = less.to_string();
                let derived = serde_json::from_str::<ServerFrame>(&text);
                assert_eq!(parse(&text).ok(), derived.ok(), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_unreadable() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"t":"unheard_of"}"#,
            r#"{"t":"reset","scope":1}"#,
        ] {
            assert_eq!(parse(text), Err(Unreadable), "{text}");
        }
    }
}
