//! Frames and pages put together from rows that are stored as JSON already.
//!
//! A stored row is passed on as the text it is, never parsed and written again; the tests hold these
//! texts equal to what the wire types would have written.

use sam_domain::conversation::wire::MessagePage;
use sam_domain::feed::{Entity, Scope, ServerFrame};
use sam_domain::id::{Id as _, RowId, SessionId, TaskId};
use sam_platform::text::Text;
use serde::Serialize;

use super::entities::ViewPage;

/// What is worth a name: a JSON text that will be part of another.
pub(super) type Json = String;

/// Texts with commas between them, as they stand in a list.
pub(super) fn join(items: &[Json]) -> Json {
    let mut text = String::with_capacity(items.iter().map(|item| item.len() + 1).sum::<usize>());
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(item);
    }
    text
}

/// Puts the contents of a list into the JSON of a value that was written with the list empty. Only the
/// envelope is written by the wire type.
fn filled(envelope: &impl Serialize, list: &str, contents: Text) -> Text {
    let text = serde_json::to_string(envelope).unwrap_or_default();
    let empty = format!("\"{list}\":[");
    match text.split_once(&empty) {
        Some((before, after)) => contents.between(&[before, &empty].concat(), after),
        None => text.into(),
    }
}

/// A `changes` frame; its entities have commas between them.
pub(super) fn changes(scope: &Scope, from: u64, to: u64, entities: Text, more: bool) -> Text {
    let frame = ServerFrame::Changes {
        scope: scope.clone(),
        from,
        to,
        entities: Vec::new(),
        more,
    };
    filled(&frame, "entities", entities)
}

/// A row as an entity.
pub(super) fn row_entity(row: &str) -> Json {
    format!("{{\"type\":\"row\",\"value\":{row}}}")
}

/// A task or session as an entity, by the prefix of its id.
pub(super) fn project_entity(id: &str, view: &str) -> Json {
    let kind = if id.starts_with(TaskId::PREFIX) {
        "task"
    } else {
        "session"
    };
    format!("{{\"type\":\"{kind}\",\"value\":{view}}}")
}

/// Something that is gone, by the prefix of its id; `None` for an id of no known kind.
pub(super) fn gone_entity(id: &str) -> Option<Json> {
    let entity = if id.starts_with(RowId::PREFIX) {
        Entity::RowGone(id.parse().ok()?)
    } else if id.starts_with(TaskId::PREFIX) {
        Entity::TaskGone(id.parse().ok()?)
    } else if id.starts_with(SessionId::PREFIX) {
        Entity::SessionGone(id.parse().ok()?)
    } else {
        return None;
    };
    serde_json::to_string(&entity).ok()
}

/// A page of messages; its rows have commas between them.
pub(super) fn message_page(rows: Text, as_of: u64, has_before: bool, has_after: bool) -> Text {
    let page = MessagePage {
        rows: Vec::new(),
        as_of,
        has_before,
        has_after,
    };
    filled(&page, "rows", rows)
}

/// A page of a list: `{"<field>":[…],"next":…}`, `next` absent on the last page.
pub(super) fn view_page(field: &str, page: &ViewPage) -> Json {
    let next = match &page.last {
        Some(last) if page.more => format!(",\"next\":\"{last}\""),
        _ => String::new(),
    };
    format!("{{\"{field}\":[{}]{next}}}", page.views)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_domain::conversation::row::{Author, Row, RowBody, TextBody};
    use sam_domain::time::Timestamp;

    fn row(text: &str) -> Row {
        Row {
            id: RowId::mint(Timestamp(1), 1),
            session: SessionId::mint(Timestamp(1), 2),
            seq: 5,
            pos: 1,
            attempt: 1,
            rev: 2,
            author: Author::Agent,
            created_at: Timestamp(1),
            body: RowBody::Text(TextBody {
                text: text.to_owned(),
                ..TextBody::default()
            }),
        }
    }

    #[test]
    fn a_changes_frame_reads_back_as_the_wire_type() {
        let rows = [row("\"entities\":[] and \"rows\":[]"), row("two")];
        let scope = Scope::Session(rows[0].session.clone());
        let entities: Vec<Json> = rows
            .iter()
            .map(|row| row_entity(&serde_json::to_string(row).unwrap()))
            .chain(gone_entity(rows[0].id.as_str()))
            .collect();
        let frame: ServerFrame =
            serde_json::from_str(&changes(&scope, 3, 5, join(&entities).into(), true).to_string())
                .unwrap();
        let expected = ServerFrame::Changes {
            scope,
            from: 3,
            to: 5,
            entities: rows
                .iter()
                .map(|row| Entity::Row(Box::new(row.clone())))
                .chain([Entity::RowGone(rows[0].id.clone())])
                .collect(),
            more: true,
        };
        assert_eq!(frame, expected);
    }

    #[test]
    fn an_empty_frame_and_page_are_whole() {
        let scope = Scope::Session(SessionId::mint(Timestamp(1), 2));
        let frame: ServerFrame =
            serde_json::from_str(&changes(&scope, 5, 5, Text::default(), false).to_string())
                .unwrap();
        assert!(matches!(frame, ServerFrame::Changes { entities, .. } if entities.is_empty()));
        let page: MessagePage =
            serde_json::from_str(&message_page(Text::default(), 0, false, false).to_string())
                .unwrap();
        assert!(page.rows.is_empty());
    }

    #[test]
    fn a_page_reads_back_as_the_wire_type() {
        let rows = [row("\"rows\":[]"), row("ä\n")];
        let texts: Vec<Json> = rows
            .iter()
            .map(|row| serde_json::to_string(row).unwrap())
            .collect();
        let page: MessagePage =
            serde_json::from_str(&message_page(join(&texts).into(), 9, true, false).to_string())
                .unwrap();
        assert_eq!(
            page,
            MessagePage {
                rows: rows.to_vec(),
                as_of: 9,
                has_before: true,
                has_after: false,
            }
        );
    }

    #[test]
    fn a_list_page_reads_back_as_the_wire_type() {
        use sam_domain::conversation::wire::SessionList;
        let last = SessionId::mint(Timestamp(1), 1);
        let mut page = ViewPage {
            views: String::new(),
            last: Some(last.to_string()),
            more: true,
        };
        let list: SessionList = serde_json::from_str(&view_page("sessions", &page)).unwrap();
        assert_eq!(list.next, Some(last));
        page.more = false;
        let list: SessionList = serde_json::from_str(&view_page("sessions", &page)).unwrap();
        assert_eq!(list.next, None);
    }

    #[test]
    fn an_entity_is_told_by_its_prefix() {
        let task = TaskId::mint(Timestamp(1), 1);
        assert!(project_entity(task.as_str(), "{}").contains("\"task\""));
        assert!(project_entity("ses_x", "{}").contains("\"session\""));
        assert_eq!(gone_entity("nod_x"), None);
        assert!(gone_entity(task.as_str()).is_some_and(|text| text.contains("task_gone")));
    }
}
