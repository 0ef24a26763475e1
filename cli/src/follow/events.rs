//! Following, for programs: one JSON object a line.
//!
//! `task` on every change of the task, `row` on every stored version of a row,
//! `row_gone`, and `outcome` at the end. Text that is not stored yet does not
//! appear: programs get the record.

use super::outcome::Outcome;
use super::view::View;
use crate::error::Failure;
use crate::output::Output;
use sam_domain::budget::call::UsageSummary;
use sam_domain::conversation::row::Row;
use sam_domain::id::RowId;
use sam_domain::task::TaskView;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Task {
        task: &'a TaskView,
    },
    Row {
        row: &'a Row,
    },
    RowGone {
        row: &'a RowId,
    },
    Outcome {
        outcome: Outcome,
        exit_code: u8,
        task: Option<&'a TaskView>,
        usage: Option<UsageSummary>,
    },
}

/// What was said before.
#[derive(Debug)]
pub(super) struct Events {
    out: Output,
    task_rev: Option<u64>,
    rows: BTreeMap<RowId, u64>,
}

impl Events {
    pub(super) const fn new(out: Output) -> Self {
        Self {
            out,
            task_rev: None,
            rows: BTreeMap::new(),
        }
    }

    /// Prints what changed since the last time.
    pub(super) fn show(&mut self, view: &View) -> Result<(), Failure> {
        if !view.is_current() {
            return Ok(());
        }
        let rows = view.rows();
        let held: BTreeSet<&RowId> = rows.iter().map(|row| &row.id).collect();
        let gone: Vec<RowId> = self
            .rows
            .keys()
            .filter(|id| !held.contains(id))
            .cloned()
            .collect();
        for id in gone {
            self.rows.remove(&id);
            self.out.event(&Event::RowGone { row: &id })?;
        }
        for row in rows {
            if self.rows.get(&row.id).is_none_or(|seq| row.seq > *seq) {
                self.rows.insert(row.id.clone(), row.seq);
                self.out.event(&Event::Row { row })?;
            }
        }
        if let Some(task) = view.task()
            && self.task_rev.is_none_or(|rev| task.rev > rev)
        {
            self.task_rev = Some(task.rev);
            self.out.event(&Event::Task { task })?;
        }
        Ok(())
    }

    /// Prints the end.
    pub(super) fn finish(
        &mut self,
        view: &View,
        outcome: Outcome,
        usage: Option<UsageSummary>,
    ) -> Result<(), Failure> {
        self.show(view)?;
        self.out.event(&Event::Outcome {
            outcome,
            exit_code: outcome.exit().code(),
            task: view.task(),
            usage,
        })
    }
}
