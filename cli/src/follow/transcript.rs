//! Which lines of a conversation are final, in which order.
//!
//! Rows are printed in their order; an open row (growing text, a running tool)
//! holds back those after it, so that parallel work does not shuffle what one
//! reads. Growing text lets its complete lines go. A row that stays open while
//! many wait behind it is passed over and printed when it ends.
//!
//! Steps come from another scope of the feed, so their place among the rows is
//! given by the attempt: what precedes the agent's work is printed before the
//! attempt's first row, what follows it after its last. A transcript read later
//! is therefore the transcript seen live.

use super::outcome::Outcome;
use super::render;
use super::view::View;
use crate::output::style::{Paint, Style};
use crate::output::table;
use crate::output::text::{clean, columns, fit};
use crate::output::time::{self, span};
use sam_domain::access::wire::SetupStatus;
use sam_domain::budget::call::UsageSummary;
use sam_domain::conversation::reducer::is_open;
use sam_domain::conversation::row::{Author, PermissionState, Row, RowBody};
use sam_domain::id::RowId;
use sam_domain::task::wire::StepView;
use sam_domain::task::{StepName, TaskState, TaskView};
use sam_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Finished rows that may wait behind an open one.
const PATIENCE: usize = 12;
/// Moving lines about rows, at most.
const LIVE_ROWS: usize = 6;

/// What was printed of a row.
#[derive(Debug, Default)]
struct Shown {
    /// Lines printed, counted in the width they were wrapped at.
    lines: usize,
    limit: Option<usize>,
    done: bool,
}

/// What kind of thing was printed last, for the blank lines between kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Facts,
    Step,
    /// Text of one row; other text stands apart.
    Text,
    /// Tool calls, thoughts, plans: one line each.
    Work,
    Notice,
}

/// Whether the agent waits for an answer to this row.
fn asks(row: &Row) -> bool {
    matches!(&row.body, RowBody::Permission(body) if body.state == PermissionState::Open)
}

/// The transcript so far.
#[derive(Debug)]
pub(super) struct Transcript {
    style: Style,
    columns: Option<usize>,
    server: Option<SetupStatus>,
    begun: bool,
    rows: BTreeMap<RowId, Shown>,
    plans: BTreeMap<RowId, String>,
    /// What each printed notice said.
    notices: BTreeMap<RowId, String>,
    steps: BTreeSet<(u32, StepName, Timestamp)>,
    last: Option<Block>,
}

impl Transcript {
    pub(super) const fn new(style: Style, server: Option<SetupStatus>) -> Self {
        Self {
            style,
            columns: None,
            server,
            begun: false,
            rows: BTreeMap::new(),
            plans: BTreeMap::new(),
            notices: BTreeMap::new(),
            steps: BTreeSet::new(),
            last: None,
        }
    }

    /// The lines of rows that were read, none of which moves any more here.
    pub(super) fn of_rows(style: Style, columns: Option<usize>, rows: &[Row]) -> Vec<String> {
        let mut transcript = Self::new(style, None);
        transcript.resize(columns);
        // What stands above them is a heading.
        transcript.last = Some(Block::Facts);
        let (now, mut out) = (time::now(), Vec::new());
        for row in rows {
            transcript.print_row(row, false, now, &mut out);
        }
        out
    }

    /// Takes the terminal's width into account; none where there is no terminal.
    pub(super) const fn resize(&mut self, columns: Option<usize>) {
        self.columns = columns;
    }

    /// The lines that became final. With `over` nothing is held back any more.
    pub(super) fn commit(&mut self, view: &View, over: bool) -> Vec<String> {
        let mut out = Vec::new();
        let Some(task) = view.task().filter(|_| view.is_current() || over) else {
            return out;
        };
        if !self.begun {
            self.begun = true;
            self.begin(view, task, &mut out);
        }
        let now = time::now();
        let rows = view.rows();
        let waiting = rows
            .iter()
            .skip_while(|row| self.is_done(row) || !is_moving(row))
            .filter(|row| !is_moving(row))
            .count();
        // What a person has to answer is not held back by the call that it is about.
        let release = over || waiting > PATIENCE || rows.iter().any(|row| asks(row));
        let mut blocked = false;
        for row in rows {
            if self.is_done(row) {
                self.revise(row, now, &mut out);
                continue;
            }
            self.steps_before(task, row, &mut out);
            let open = is_moving(row) && !over;
            self.print_row(row, open, now, &mut out);
            if open {
                blocked = true;
                if !release {
                    break;
                }
            }
        }
        if !blocked || over {
            let ended: Vec<&StepView> = task
                .steps
                .iter()
                .filter(|step| step.ended_at.is_some() || task.state.is_terminal())
                .collect();
            for step in ended {
                self.print_step(task, step, &mut out);
            }
        }
        out
    }

    fn is_done(&self, row: &Row) -> bool {
        self.rows.get(&row.id).is_some_and(|shown| shown.done)
    }

    fn begin(&mut self, view: &View, task: &TaskView, out: &mut Vec<String>) {
        let mut facts = vec![("task", task.id.to_string()), ("agent", task.agent.clone())];
        if let Some(server) = &self.server {
            facts.push(("model", crate::commands::model_line(server)));
        }
        out.extend(table::facts(self.style, &facts));
        self.last = Some(Block::Facts);
        // Who asks to see what follows a new prompt has seen the steps before it.
        let first = view.target().from.as_ref().and_then(|_| {
            let rows = view.rows();
            rows.first().map(|row| row.created_at)
        });
        if let Some(first) = first {
            let seen = task
                .steps
                .iter()
                .filter(|step| step.ended_at.is_some_and(|end| end <= first));
            self.steps.extend(seen.map(key));
        }
    }

    /// A blank line between blocks of another kind, and between texts.
    fn enter(&mut self, block: Block, out: &mut Vec<String>) {
        let apart = self
            .last
            .is_some_and(|last| last != block || block == Block::Text);
        if apart {
            out.push(String::new());
        }
        self.last = Some(block);
    }

    fn print_row(&mut self, row: &Row, open: bool, now: Timestamp, out: &mut Vec<String>) {
        match &row.body {
            RowBody::Text(body) => {
                let limit = render::reading_width(self.columns);
                let shown = self.rows.entry(row.id.clone()).or_insert(Shown {
                    limit,
                    ..Shown::default()
                });
                let lines = render::text_lines(self.style, row.author, body, open, shown.limit);
                let settled = if open { settled(&lines) } else { lines.len() };
                let before = shown.lines;
                shown.done = !open;
                shown.lines = settled.max(before);
                if body.text.trim().is_empty() || settled <= before {
                    return;
                }
                if before == 0 {
                    self.enter(Block::Text, out);
                }
                out.extend(lines.into_iter().take(settled).skip(before));
            }
            _ if open => {}
            RowBody::Permission(body) => {
                let state = body.state.word().to_owned();
                self.notices.insert(row.id.clone(), state);
                self.print_finished(row, Block::Notice, now, out);
            }
            RowBody::Thought(_) | RowBody::Tool(_) | RowBody::Usage(_) | RowBody::Answer(_) => {
                self.print_finished(row, Block::Work, now, out);
            }
            RowBody::Plan(body) => {
                let line = render::plan_line(self.style, body);
                self.plans.insert(row.id.clone(), line);
                self.print_finished(row, Block::Work, now, out);
            }
            RowBody::Notice(body) => {
                self.notices.insert(row.id.clone(), body.text.clone());
                self.print_finished(row, Block::Notice, now, out);
            }
        }
    }

    fn print_finished(&mut self, row: &Row, block: Block, now: Timestamp, out: &mut Vec<String>) {
        self.enter(block, out);
        out.extend(render::finished_lines(self.style, row, now, self.columns));
        let shown = self.rows.entry(row.id.clone()).or_default();
        shown.done = true;
    }

    /// A plan is replaced as a whole while work goes on, and so is a notice of
    /// the agent's that it waits; either is printed again when it says something
    /// else.
    fn revise(&mut self, row: &Row, now: Timestamp, out: &mut Vec<String>) {
        match &row.body {
            RowBody::Plan(body) => {
                let line = render::plan_line(self.style, body);
                if self.plans.get(&row.id) != Some(&line) {
                    self.enter(Block::Work, out);
                    out.push(line.clone());
                    self.plans.insert(row.id.clone(), line);
                }
            }
            RowBody::Notice(body) if self.notices.get(&row.id) != Some(&body.text) => {
                self.print_row(row, false, now, out);
            }
            RowBody::Permission(body)
                if self.notices.get(&row.id).map(String::as_str) != Some(body.state.word()) =>
            {
                self.print_row(row, false, now, out);
            }
            RowBody::Notice(_)
            | RowBody::Permission(_)
            | RowBody::Answer(_)
            | RowBody::Text(_)
            | RowBody::Thought(_)
            | RowBody::Tool(_)
            | RowBody::Usage(_) => {}
        }
    }

    /// Prints the steps that ended before this row was written.
    fn steps_before(&mut self, task: &TaskView, row: &Row, out: &mut Vec<String>) {
        let before = |step: &StepView| {
            let Some(ended_at) = step.ended_at else {
                return false;
            };
            if row.attempt == 0 {
                // A person's row and a step are dated by the same clock.
                return row.author == Author::Person && ended_at <= row.created_at;
            }
            let leads_to_work = matches!(
                step.name,
                StepName::Placing | StepName::Preparing | StepName::Starting
            );
            step.attempt < row.attempt || (step.attempt == row.attempt && leads_to_work)
        };
        let ended: Vec<&StepView> = task.steps.iter().filter(|step| before(step)).collect();
        for step in ended {
            self.print_step(task, step, out);
        }
    }

    fn print_step(&mut self, task: &TaskView, step: &StepView, out: &mut Vec<String>) {
        if self.steps.insert(key(step)) {
            self.enter(Block::Step, out);
            let line = render::step_line(self.style, task, step, time::now());
            out.push(line);
        }
    }

    /// The lines that still move: open rows, what waits behind them, and where
    /// the task stands.
    pub(super) fn live(
        &self,
        view: &View,
        connected: bool,
        now: Timestamp,
        rows: usize,
    ) -> Vec<String> {
        let width = self.columns.unwrap_or(80).saturating_sub(1);
        let mut lines = Vec::new();
        let mut apart = false;
        if view.is_current() {
            for row in view.rows() {
                if !self.is_done(row) {
                    apart |= lines.is_empty() && self.stands_apart(row);
                    lines.push(self.live_line(row, now));
                }
            }
        }
        let room = LIVE_ROWS.min(rows.saturating_sub(3));
        let hidden = lines.len().saturating_sub(room);
        let mut lines: Vec<String> = lines.into_iter().take(room).collect();
        if hidden > 0 {
            lines.push(
                self.style
                    .paint(Paint::Muted, &format!("… and {hidden} more")),
            );
        }
        if apart {
            lines.insert(0, String::new());
        }
        lines.push(String::new());
        lines.push(self.standing(view, connected, now));
        lines
            .into_iter()
            .map(|line| {
                // Cutting coloured text would cut its codes: what is too long goes plain.
                let plain = clean(&line);
                if columns(&plain) > width {
                    fit(&plain, width)
                } else {
                    line
                }
            })
            .collect()
    }

    /// Whether a blank line will precede this row once it is printed.
    fn stands_apart(&self, row: &Row) -> bool {
        let begun = self.rows.get(&row.id).is_some_and(|shown| shown.lines > 0);
        let block = match row.body {
            RowBody::Text(_) => Block::Text,
            RowBody::Notice(_) | RowBody::Permission(_) => Block::Notice,
            RowBody::Thought(_)
            | RowBody::Tool(_)
            | RowBody::Plan(_)
            | RowBody::Usage(_)
            | RowBody::Answer(_) => Block::Work,
        };
        !begun
            && self
                .last
                .is_some_and(|last| last != block || block == Block::Text)
    }

    fn live_line(&self, row: &Row, now: Timestamp) -> String {
        match &row.body {
            RowBody::Text(body) => {
                let shown = self.rows.get(&row.id);
                let limit =
                    shown.map_or_else(|| render::reading_width(self.columns), |shown| shown.limit);
                render::text_lines(self.style, row.author, body, true, limit)
                    .pop()
                    .unwrap_or_default()
            }
            RowBody::Thought(_) => {
                let took = now.since(row.created_at);
                self.style
                    .paint(Paint::Muted, &format!("∴ thinking  {}", span(took)))
            }
            RowBody::Tool(body) => render::tool_line(self.style, row, body, now, self.columns),
            RowBody::Plan(_)
            | RowBody::Notice(_)
            | RowBody::Usage(_)
            | RowBody::Permission(_)
            | RowBody::Answer(_) => render::finished_lines(self.style, row, now, self.columns)
                .into_iter()
                .next()
                .unwrap_or_default(),
        }
    }

    /// Where the task stands, with the time the step has taken.
    fn standing(&self, view: &View, connected: bool, now: Timestamp) -> String {
        if !connected || !view.is_current() {
            return self.style.paint(Paint::Warn, "◌ connecting…");
        }
        let Some(task) = view.task() else {
            return String::new();
        };
        let leave = self.style.paint(Paint::Muted, "  Ctrl-C leaves it running");
        if let Some(since) = task.machine_away_since {
            let away = format!("! machine away for {}", span(now.since(since)));
            return format!("{}{leave}", self.style.paint(Paint::Warn, &away));
        }
        if let Some(until) = task.waits_until.filter(|until| *until > now) {
            let waits = format!("! the model has it wait for {}", span(until.since(now)));
            return format!("{}{leave}", self.style.paint(Paint::Warn, &waits));
        }
        let running = task.steps.iter().rev().find(|step| step.ended_at.is_none());
        match running {
            Some(step) if task.state != TaskState::Queued => {
                format!("{}{leave}", render::step_line(self.style, task, step, now))
            }
            _ => {
                let (shape, paint) = crate::commands::shape(task.state);
                format!(
                    "{} {}  {}{leave}",
                    self.style.paint(paint, shape),
                    crate::commands::state_word(task.state),
                    span(now.since(task.since))
                )
            }
        }
    }

    /// The last block: what came of it, where it is, what it took.
    pub(super) fn ending(
        &mut self,
        view: &View,
        outcome: Outcome,
        usage: Option<&UsageSummary>,
    ) -> Vec<String> {
        let mut out = Vec::new();
        let Some(task) = view.task() else {
            return out;
        };
        self.enter(Block::Facts, &mut out);
        let took = span(task.since.since(task.created_at));
        let (shape, paint) = crate::commands::shape(task.state);
        let word = match outcome {
            Outcome::Completed => "Done",
            Outcome::Failed => "Failed",
            Outcome::Cancelled => "Cancelled",
            Outcome::AwaitingInput => "Waiting for you",
        };
        out.push(format!(
            "{} after {took}",
            self.style.paint(paint, &format!("{shape} {word}"))
        ));
        if let Some(failure) = &task.failure {
            out.extend(
                render::failure_lines(self.style, failure)
                    .into_iter()
                    .map(|line| format!("  {line}")),
            );
        }
        let mut facts = render::result_facts(task);
        if let Some(usage) = usage {
            let scripted = self.server.as_ref().is_some_and(|s| s.model.scripted);
            let label = if scripted { "; scripted model" } else { "" };
            facts.push(("model", format!("{}{label}", render::usage_line(usage))));
        }
        out.extend(table::facts(self.style, &facts));
        if task.rows_incomplete {
            out.push(self.style.paint(
                Paint::Warn,
                "  ! Some of the conversation did not arrive from the machine.",
            ));
        }
        out
    }
}

/// Whether a row can still change by itself. What a person wrote stands.
fn is_moving(row: &Row) -> bool {
    row.author != Author::Person && is_open(row)
}

fn key(step: &StepView) -> (u32, StepName, Timestamp) {
    (step.attempt, step.name, step.started_at)
}

/// Lines of growing text that cannot change: all but the last one, and the
/// blank ones before it, which may turn out to be its end.
fn settled(lines: &[String]) -> usize {
    let all_but_last = lines.len().saturating_sub(1);
    lines
        .iter()
        .take(all_but_last)
        .rposition(|line| !line.trim().is_empty())
        .map_or(0, |index| index + 1)
}

#[cfg(test)]
#[path = "transcript_tests.rs"]
mod tests;
