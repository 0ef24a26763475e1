//! The model misbehaves under a task: the model API that the scripted gateway plays, behind the real
//! proxy, the real relay and a real agent.
//!
//! - [`table`]: every fault, once and for good, as SPECIFICATION.md promises it.
//! - [`waiting`]: limits that reset far away.
//! - [`goose`]: an agent that is not ours under the same faults.

mod goose;
mod table;
mod waiting;

use sam_domain::conversation::row::{Row, RowBody};

/// What rows say to a person: notices, and what tools gave back.
fn said(rows: &[Row]) -> Vec<&str> {
    rows.iter()
        .filter_map(|row| match &row.body {
            RowBody::Notice(notice) => Some(notice.text.as_str()),
            RowBody::Tool(tool) => Some(tool.output.as_str()),
            _ => None,
        })
        .collect()
}
