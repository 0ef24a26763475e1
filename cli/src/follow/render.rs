//! Rows, steps and results as lines.

use crate::output::style::{Paint, Style};
use crate::output::text::{clean, clean_line, columns, fit, wrap};
use crate::output::time::{count, span};
use sam_domain::budget::call::UsageSummary;
use sam_domain::conversation::reducer::{duration, tool_word};
use sam_domain::conversation::row::{
    Author, NoticeBody, NoticeLevel, PermissionBody, PermissionState, PlanBody, PlanStatus, Row,
    RowBody, TextBody, ToolBody, ToolKind, ToolStatus,
};
use sam_domain::error::{Failure, Fault};
use sam_domain::task::wire::StepView;
use sam_domain::task::{TaskState, TaskView};
use sam_domain::time::Timestamp;

/// Columns of a line where there is no terminal to say.
const PIPED_COLUMNS: usize = 160;
/// Widest column of running text: longer lines are hard to read.
const READING_COLUMNS: usize = 100;
/// Lines of one file's diff that are shown.
const DIFF_LINES: usize = 40;
/// Lines of a failed tool's output that are shown.
const OUTPUT_LINES: usize = 8;
/// Arguments of a tool call that are shown.
const ARGUMENTS: usize = 3;

/// What a tool does, in a word.
const fn tool_kind(kind: ToolKind) -> &'static str {
    match kind {
        ToolKind::Read => "read",
        ToolKind::Edit => "edit",
        ToolKind::Delete => "delete",
        ToolKind::Move => "move",
        ToolKind::Search => "search",
        ToolKind::Execute => "run",
        ToolKind::Think => "think",
        ToolKind::Fetch => "fetch",
        ToolKind::Other => "tool",
    }
}

const fn tool_shape(status: ToolStatus) -> (&'static str, Paint) {
    match status {
        ToolStatus::Pending => ("○", Paint::Muted),
        ToolStatus::InProgress => ("●", Paint::Info),
        ToolStatus::Completed => ("✓", Paint::Ok),
        ToolStatus::Failed => ("✗", Paint::Danger),
        ToolStatus::Interrupted => ("■", Paint::Warn),
    }
}

/// The columns text is wrapped at; none where there is no terminal.
pub(super) fn reading_width(columns: Option<usize>) -> Option<usize> {
    columns.map(|columns| columns.saturating_sub(1).min(READING_COLUMNS))
}

/// A row's words, wrapped. `growing` text keeps its last line open.
pub(super) fn text_lines(
    style: Style,
    author: Author,
    body: &TextBody,
    growing: bool,
    limit: Option<usize>,
) -> Vec<String> {
    let text = clean(&body.text);
    let text = text.trim_start_matches('\n');
    let text = if growing { text } else { text.trim_end() };
    let mut lines = match author {
        Author::Agent => wrap(text, limit),
        Author::Person | Author::System => wrap(text, limit.map(|l| l.saturating_sub(2)))
            .into_iter()
            .map(|line| format!("{} {line}", style.paint(Paint::Warn, "▌")))
            .collect(),
    };
    // A line that is over ends the same, whether what follows it is known yet or not.
    let over = lines.len().saturating_sub(usize::from(growing));
    for line in lines.iter_mut().take(over) {
        line.truncate(line.trim_end().len());
    }
    if !growing {
        let left_out = body
            .body_ref
            .as_ref()
            .map_or(body.truncated_bytes, |whole| {
                whole.bytes.saturating_sub(body.text.len() as u64)
            });
        if left_out > 0 {
            lines.push(style.paint(
                Paint::Muted,
                &format!("… {} more bytes are not shown here.", count(left_out)),
            ));
        }
    }
    lines
}

/// A thought: one line, with its length in time.
pub(super) fn thought_line(style: Style, row: &Row, now: Timestamp) -> String {
    let took = duration(row, now).map(span).unwrap_or_default();
    style.paint(Paint::Muted, &format!("∴ thought  {took}"))
}

/// A tool call in one line: shape, kind, title, arguments, changes, outcome, duration.
pub(super) fn tool_line(
    style: Style,
    row: &Row,
    body: &ToolBody,
    now: Timestamp,
    width: Option<usize>,
) -> String {
    let (shape, paint) = tool_shape(body.status);
    let kind = tool_kind(body.kind);
    let title = clean_line(if body.title.is_empty() {
        &body.name
    } else {
        &body.title
    });
    let title = without_verb(&title, kind);
    let arguments = arguments(body, title);
    let (added, removed) = body
        .diffs
        .iter()
        .fold((0, 0), |(a, r), diff| (a + diff.added, r + diff.removed));
    let mut tail = String::new();
    let mut tail_columns = 0;
    let mut add = |paint: Paint, text: String| {
        tail_columns += columns(&text) + 2;
        tail.push_str("  ");
        tail.push_str(&style.paint(paint, &text));
    };
    if !body.diffs.is_empty() {
        add(Paint::Ok, format!("+{added}"));
        add(Paint::Danger, format!("−{removed}"));
    }
    add(paint, tool_word(body.status).to_owned());
    if let Some(took) = duration(row, now) {
        add(Paint::Muted, span(took));
    }
    let head = format!("{} {kind:<7}", style.paint(paint, shape));
    let room = width
        .unwrap_or(PIPED_COLUMNS)
        .saturating_sub(10 + tail_columns + 1)
        .max(12);
    let shown = fit(title, room);
    let left = room.saturating_sub(columns(&shown) + 2);
    let arguments = if arguments.is_empty() || left < 8 {
        String::new()
    } else {
        format!("  {}", style.paint(Paint::Muted, &fit(&arguments, left)))
    };
    format!("{head} {shown}{arguments}{tail}")
}

/// The title without the verb that stands before it as the kind: agents often
/// say `Read package.json`.
fn without_verb<'a>(title: &'a str, kind: &str) -> &'a str {
    match title.split_once(' ') {
        Some((verb, rest)) if verb.eq_ignore_ascii_case(kind) && !rest.trim().is_empty() => {
            rest.trim_start()
        }
        _ => title,
    }
}

/// The arguments that the title does not already say.
fn arguments(body: &ToolBody, title: &str) -> String {
    if !body.diffs.is_empty() {
        // The diff below says what the arguments would.
        return String::new();
    }
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(&body.arguments) else {
        return clean_line(&body.arguments);
    };
    let mut shown = Vec::new();
    for (name, value) in &fields {
        let value = match value {
            serde_json::Value::String(text) => clean_line(text),
            serde_json::Value::Number(_) | serde_json::Value::Bool(_) => value.to_string(),
            _ => continue,
        };
        // What a failed edit would have written is beside the point.
        let is_content = body.kind == ToolKind::Edit && columns(&value) > 40;
        if value.is_empty() || is_content || title.contains(&value) {
            continue;
        }
        shown.push(format!("{}={}", clean_line(name), fit(&value, 60)));
        if shown.len() == ARGUMENTS {
            break;
        }
    }
    shown.join(" ")
}

/// What stands below a finished tool's line: its diffs; the end of its output
/// where it failed.
pub(super) fn tool_details(style: Style, body: &ToolBody, width: Option<usize>) -> Vec<String> {
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(5));
    let mut lines = Vec::new();
    for diff in &body.diffs {
        if body.diffs.len() > 1 || !body.title.contains(&diff.path) {
            lines.push(format!(
                "    {}",
                style.paint(Paint::Strong, &fit(&clean_line(&diff.path), room))
            ));
        }
        let all: Vec<&str> = diff.unified.lines().collect();
        for line in all.iter().take(DIFF_LINES) {
            let line = fit(&clean_line(line), room);
            lines.push(format!("    {}", style.diff_line(&line)));
        }
        if let Some(more) = all.len().checked_sub(DIFF_LINES).filter(|more| *more > 0) {
            lines.push(style.paint(Paint::Muted, &format!("    … {more} more lines")));
        }
    }
    if body.status == ToolStatus::Failed {
        let output = clean(&body.output);
        let all: Vec<&str> = output.trim_end().lines().collect();
        let skipped = all.len().saturating_sub(OUTPUT_LINES);
        if skipped > 0 {
            lines.push(style.paint(Paint::Muted, &format!("    … {skipped} earlier lines")));
        }
        for line in all.into_iter().skip(skipped) {
            lines.push(format!(
                "    {}",
                style.paint(Paint::Muted, &fit(line, room))
            ));
        }
    }
    lines
}

/// The plan in one line: how far it is and what is under way.
pub(super) fn plan_line(style: Style, plan: &PlanBody) -> String {
    let done = plan
        .entries
        .iter()
        .filter(|entry| entry.status == PlanStatus::Completed)
        .count();
    let current = plan
        .entries
        .iter()
        .find(|entry| entry.status == PlanStatus::InProgress)
        .map(|entry| format!("  now: {}", clean_line(&entry.content)))
        .unwrap_or_default();
    style.paint(
        Paint::Muted,
        &format!("≡ plan     {done} of {} done{current}", plan.entries.len()),
    )
}

/// A notice with its hint.
pub(super) fn notice_lines(style: Style, notice: &NoticeBody, limit: Option<usize>) -> Vec<String> {
    let (shape, paint) = match notice.level {
        NoticeLevel::Info => ("·", Paint::Muted),
        NoticeLevel::Warning => ("!", Paint::Warn),
        NoticeLevel::Error => ("✗", Paint::Danger),
        NoticeLevel::Question => ("?", Paint::Warn),
    };
    let limit = limit.map(|limit| limit.saturating_sub(2));
    let mut lines: Vec<String> = wrap(clean(&notice.text).trim(), limit)
        .into_iter()
        .enumerate()
        .map(|(index, line)| {
            let shape = if index == 0 { shape } else { " " };
            format!("{} {line}", style.paint(paint, shape))
        })
        .collect();
    if let Some(hint) = &notice.hint {
        lines.extend(
            wrap(clean(hint).trim(), limit)
                .into_iter()
                .map(|line| format!("  {}", style.paint(Paint::Muted, &line))),
        );
    }
    lines
}

/// A question with the answers it offers, or how it ended.
fn permission_lines(style: Style, body: &PermissionBody, width: Option<usize>) -> Vec<String> {
    let title = clean_line(&body.title);
    if body.state != PermissionState::Open {
        let chosen = body.chosen.as_ref().map_or_else(String::new, |chosen| {
            let choice = body.choices.iter().find(|choice| choice.id == *chosen);
            let label = choice.map_or(chosen.as_str(), |choice| choice.label.as_str());
            format!(": {}", clean_line(label))
        });
        let line = format!("· {:<8} {title}{chosen}", body.state.word());
        return vec![style.paint(Paint::Muted, &fit(&line, width.unwrap_or(PIPED_COLUMNS)))];
    }
    let asks = format!("{} asks     {title}", style.paint(Paint::Warn, "?"));
    let choices = body.choices.iter().map(|choice| {
        format!(
            "  {}  {}",
            clean_line(&choice.id),
            style.paint(Paint::Muted, &clean_line(&choice.label))
        )
    });
    let hint = format!(
        "  Answer within {}: sam task answer TASK CHOICE",
        span(body.wait)
    );
    std::iter::once(asks)
        .chain(choices)
        .chain(std::iter::once(style.paint(Paint::Muted, &hint)))
        .collect()
}

/// A row that is over, as lines; what text rows look like is [`text_lines`].
pub(super) fn finished_lines(
    style: Style,
    row: &Row,
    now: Timestamp,
    width: Option<usize>,
) -> Vec<String> {
    let limit = reading_width(width);
    match &row.body {
        RowBody::Text(body) => text_lines(style, row.author, body, false, limit),
        RowBody::Thought(_) => vec![thought_line(style, row, now)],
        RowBody::Tool(body) => {
            let mut lines = vec![tool_line(style, row, body, now, width)];
            lines.extend(tool_details(style, body, width));
            lines
        }
        RowBody::Plan(body) => vec![plan_line(style, body)],
        RowBody::Notice(body) => notice_lines(style, body, limit),
        RowBody::Permission(body) => permission_lines(style, body, width),
        RowBody::Answer(body) => vec![style.paint(
            Paint::Muted,
            &format!("› answer   {}", clean_line(&body.label)),
        )],
        RowBody::Usage(body) => {
            let took = body.took.map(|took| format!(", {}", span(took)));
            vec![style.paint(
                Paint::Muted,
                &format!(
                    "· turn     {} tokens in, {} out{}",
                    count(body.input_tokens),
                    count(body.output_tokens),
                    took.unwrap_or_default()
                ),
            )]
        }
    }
}

/// One step with its time; `now` stands for the end of one that runs.
pub(crate) fn step_line(style: Style, task: &TaskView, step: &StepView, now: Timestamp) -> String {
    let over = step
        .ended_at
        .or_else(|| task.state.is_terminal().then_some(task.since));
    let failed = task
        .failure
        .as_ref()
        .is_some_and(|f| f.step == step.name && task.attempt == step.attempt);
    let cancelled = task.state == TaskState::Cancelled
        && (step.ended_at.is_none() || step.ended_at >= Some(task.since));
    let (shape, paint) = match over {
        Some(_) if failed => ("✗", Paint::Danger),
        Some(_) if cancelled => ("■", Paint::Muted),
        Some(_) => ("✓", Paint::Ok),
        None => ("●", Paint::Info),
    };
    let took = span(over.unwrap_or(now).since(step.started_at));
    let attempt = if step.attempt > 1 {
        format!("  attempt {}", step.attempt)
    } else {
        String::new()
    };
    let detail = step
        .detail
        .as_ref()
        // A phase is a word of the protocol, such as `checking_out`.
        .map(|detail| format!("  {}", clean_line(detail).replace('_', " ")))
        .unwrap_or_default();
    let mut line = format!(
        "{} {:<9}  {took:>7}{}",
        style.paint(paint, shape),
        step.name.word(),
        style.paint(Paint::Muted, &format!("{attempt}{detail}"))
    );
    line.truncate(line.trim_end().len());
    line
}

/// What a task handed back: branch, commit, changes.
pub(crate) fn result_facts(task: &TaskView) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let Some(result) = &task.result else {
        facts.extend(task.branch.clone().map(|branch| ("branch", branch)));
        return facts;
    };
    let pushed = match (&result.commit, result.pushed) {
        (None, _) => "",
        (Some(_), true) => " (pushed)",
        (Some(_), false) => " (not pushed)",
    };
    facts.push(("branch", format!("{}{pushed}", result.branch)));
    match &result.commit {
        Some(commit) => {
            facts.push(("commit", commit.clone()));
            facts.push((
                "changes",
                format!(
                    "{} {}, +{} −{}",
                    result.files_changed,
                    if result.files_changed == 1 {
                        "file"
                    } else {
                        "files"
                    },
                    result.added,
                    result.removed
                ),
            ));
        }
        None => facts.push(("changes", "none".to_owned())),
    }
    facts
}

/// Model calls and tokens, as the upstream reported them.
pub(crate) fn usage_line(usage: &UsageSummary) -> String {
    let unreported = if usage.unreported > 0 {
        format!(" ({} calls did not report theirs)", usage.unreported)
    } else {
        String::new()
    };
    format!(
        "{} {}, {} tokens in, {} out{unreported}",
        count(usage.calls),
        if usage.calls == 1 { "call" } else { "calls" },
        count(usage.input_tokens),
        count(usage.output_tokens)
    )
}

/// Why it failed, at which step, whose turn it is.
pub(crate) fn failure_lines(style: Style, failure: &Failure) -> Vec<String> {
    let who = match failure.fault {
        Fault::Person => "",
        Fault::Environment => " (the machine, the repository, the agent or the model)",
        Fault::System => " (a fault of SAM)",
    };
    let mut lines = vec![format!(
        "{} while {}: {}{who}",
        style.paint(Paint::Danger, "failed"),
        failure.step.word(),
        clean_line(&failure.message)
    )];
    if let Some(hint) = &failure.hint {
        lines.push(format!(
            "{} {}",
            style.paint(Paint::Info, "hint:"),
            clean_line(hint)
        ));
    }
    lines
}
