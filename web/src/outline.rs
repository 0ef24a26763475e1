//! The order of things in a conversation, from rows and tasks alone.
//!
//! Invariant: the outline is a pure function of what is stored, so a page that
//! watched a conversation and a page that was just loaded show the same.

use sam_domain::conversation::reducer::is_open;
use sam_domain::conversation::row::{Author, Row, RowBody, ToolKind, ToolStatus};
use sam_domain::id::{RowId, TaskId};
use sam_domain::task::TaskView;
use sam_domain::time::Timestamp;

/// A run of this many small reads becomes one line.
const FOLD_FROM: usize = 3;

/// One thing in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Item {
    /// A row by itself.
    Row(RowId),
    /// A run of small reads, by its first row.
    Reads(RowId, Vec<RowId>),
    /// How a task ended.
    Outcome(TaskId),
}

impl Item {
    /// What stays the same while the thing grows.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Row(id) => id.to_string(),
            Self::Reads(first, _) => format!("reads-{first}"),
            Self::Outcome(task) => format!("outcome-{task}"),
        }
    }
}

/// What of a row decides its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowShape {
    id: RowId,
    by_person: bool,
    created_at: Timestamp,
    small_read: bool,
    open: bool,
}

impl RowShape {
    /// The shape of a row.
    pub(crate) fn of(row: &Row) -> Self {
        let small_read = match &row.body {
            RowBody::Tool(tool) => {
                matches!(tool.kind, ToolKind::Read | ToolKind::Search)
                    && tool.status == ToolStatus::Completed
                    && tool.diffs.is_empty()
            }
            _ => false,
        };
        Self {
            id: row.id.clone(),
            by_person: row.author == Author::Person,
            created_at: row.created_at,
            small_read,
            open: is_open(row),
        }
    }

    /// Whether the row may still grow.
    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }
}

/// When a task ended, if it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskEnd {
    id: TaskId,
    ended_at: Timestamp,
}

impl TaskEnd {
    /// When it ended.
    pub(crate) const fn at(&self) -> Timestamp {
        self.ended_at
    }

    /// The end of a task; `None` while it goes on.
    pub(crate) fn of(task: &TaskView) -> Option<Self> {
        task.state.is_terminal().then(|| Self {
            id: task.id.clone(),
            ended_at: task.since,
        })
    }
}

/// The outline of `rows` (as shown) and `ends` (oldest first): each end stands
/// before the first thing a person said after it.
pub(crate) fn outline(rows: &[RowShape], ends: &[TaskEnd]) -> Vec<Item> {
    let mut items = Vec::with_capacity(rows.len());
    let mut ends = ends.iter().peekable();
    let mut reads: Vec<RowId> = Vec::new();
    for row in rows {
        if row.small_read {
            reads.push(row.id.clone());
            continue;
        }
        fold(&mut reads, &mut items);
        if row.by_person {
            while let Some(end) = ends.next_if(|end| end.ended_at <= row.created_at) {
                items.push(Item::Outcome(end.id.clone()));
            }
        }
        items.push(Item::Row(row.id.clone()));
    }
    fold(&mut reads, &mut items);
    items.extend(ends.map(|end| Item::Outcome(end.id.clone())));
    items
}

fn fold(reads: &mut Vec<RowId>, items: &mut Vec<Item>) {
    let run = std::mem::take(reads);
    if run.len() < FOLD_FROM {
        items.extend(run.into_iter().map(Item::Row));
    } else if let Some(first) = run.first() {
        items.push(Item::Reads(first.clone(), run));
    }
}

/// How many of `length` things lie before the window that is drawn: the last
/// 300 to 400, moved in steps so that the window is a function of the length.
pub(crate) const fn window_start(length: usize) -> usize {
    const SHOWN: usize = 300;
    const STEP: usize = 100;
    length.saturating_sub(SHOWN) / STEP * STEP
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_domain::id::Id;

    fn row(n: u64, kind: char) -> RowShape {
        RowShape {
            id: RowId::mint(Timestamp(n), 0),
            by_person: kind == 'p',
            created_at: Timestamp(n),
            small_read: kind == 'r',
            open: false,
        }
    }

    fn shown(rows: &str, ends: &[u64]) -> String {
        let rows: Vec<_> = rows
            .chars()
            .enumerate()
            .map(|(n, kind)| row(n as u64, kind))
            .collect();
        let ends: Vec<_> = ends
            .iter()
            .map(|at| TaskEnd {
                id: TaskId::mint(Timestamp(*at), 0),
                ended_at: Timestamp(*at),
            })
            .collect();
        outline(&rows, &ends)
            .iter()
            .map(|item| match item {
                Item::Row(_) => "-".to_owned(),
                Item::Reads(_, run) => run.len().to_string(),
                Item::Outcome(_) => "!".to_owned(),
            })
            .collect()
    }

    #[test]
    fn runs_of_reads_fold_and_ends_stand_before_the_next_word() {
        for (rows, ends, expected) in [
            ("", &[][..], ""),
            ("pa", &[], "--"),
            ("prrae", &[], "-----"),
            ("prrrae", &[], "-3--"),
            ("prrrrr", &[], "-5"),
            ("pa", &[2], "--!"),
            ("paapa", &[2], "---!--"),
            ("paapaa", &[2, 9], "---!---!"),
            ("prrrp", &[4], "-3!-"),
        ] {
            assert_eq!(shown(rows, ends), expected, "{rows}");
        }
    }

    #[test]
    fn the_window_depends_on_the_length_alone() {
        assert_eq!(window_start(0), 0);
        assert_eq!(window_start(399), 0);
        assert_eq!(window_start(400), 100);
        assert_eq!(window_start(1_234), 900);
    }
}
