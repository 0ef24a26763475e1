//! Reading rows: the body waits as text until all of the row is there, then is read as its kind.
//!
//! Left to serde, the whole row would first become a tree, because its kind and body stand among its
//! other fields, in any order.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

use super::{Author, Row, RowBody, RowUpsert};
use crate::id::{RowId, SessionId};
use crate::json;
use crate::time::Timestamp;

/// The kinds of [`RowBody`].
#[derive(Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Text,
    Thought,
    Tool,
    Plan,
    Notice,
    Usage,
    Permission,
    Answer,
}

impl Kind {
    fn read(self, body: &RawValue) -> serde_json::Result<RowBody> {
        let body = body.get();
        Ok(match self {
            Self::Text => RowBody::Text(json::from_str(body)?),
            Self::Thought => RowBody::Thought(json::from_str(body)?),
            Self::Tool => RowBody::Tool(json::from_str(body)?),
            Self::Plan => RowBody::Plan(json::from_str(body)?),
            Self::Notice => RowBody::Notice(json::from_str(body)?),
            Self::Usage => RowBody::Usage(json::from_str(body)?),
            Self::Permission => RowBody::Permission(json::from_str(body)?),
            Self::Answer => RowBody::Answer(json::from_str(body)?),
        })
    }
}

#[derive(serde::Deserialize)]
struct UnreadRow {
    id: RowId,
    session: SessionId,
    seq: u64,
    pos: u64,
    attempt: u32,
    rev: u32,
    author: Author,
    created_at: Timestamp,
    kind: Kind,
    body: Box<RawValue>,
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let row = UnreadRow::deserialize(deserializer)?;
        Ok(Self {
            id: row.id,
            session: row.session,
            seq: row.seq,
            pos: row.pos,
            attempt: row.attempt,
            rev: row.rev,
            author: row.author,
            created_at: row.created_at,
            body: row.kind.read(&row.body).map_err(D::Error::custom)?,
        })
    }
}

#[derive(serde::Deserialize)]
struct UnreadUpsert {
    n: u64,
    id: RowId,
    rev: u32,
    author: Author,
    created_at: Timestamp,
    kind: Kind,
    body: Box<RawValue>,
}

impl<'de> Deserialize<'de> for RowUpsert {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let row = UnreadUpsert::deserialize(deserializer)?;
        Ok(Self {
            n: row.n,
            id: row.id,
            rev: row.rev,
            author: row.author,
            created_at: row.created_at,
            body: row.kind.read(&row.body).map_err(D::Error::custom)?,
        })
    }
}
