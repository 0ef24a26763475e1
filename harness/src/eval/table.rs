//! Tables of a report, for terminals and pages alike.

use super::report::{Attempt, Outcome, Report, Row, Spread, Summary, TaskTold};

/// What a cell says beside its words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// Good.
    Ok,
    /// Bad.
    Bad,
    /// Beside the point.
    Muted,
}

/// One cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// Its words.
    pub(super) text: String,
    /// How they are meant.
    pub(super) tone: Tone,
    /// More, for whoever asks.
    pub(super) hint: Option<String>,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Cell {
    /// Words with a meaning.
    pub(super) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
            hint: None,
        }
    }
}

/// Rows of cells below a head; the first `names` columns are words, the others
/// figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// What the columns are.
    pub(super) head: Vec<String>,
    /// How many columns are words.
    pub(super) names: usize,
    /// The rows.
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// For a terminal: columns with two blanks between them.
    pub(super) fn text(&self) -> String {
        let head: Vec<Cell> = self.head.iter().map(|word| word.as_str().into()).collect();
        let lines: Vec<Vec<String>> = std::iter::once(&head)
            .chain(&self.rows)
            .map(|row| row.iter().map(|cell| printable(&cell.text)).collect())
            .collect();
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let cells = line.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| {
                if column < self.names {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            let line: Vec<String> = cells.collect();
            text.push_str(line.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Text that cannot command a terminal.
fn printable(text: &str) -> String {
    let harmless = |c: char| match c {
        c if c.is_control() => '\u{fffd}',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(harmless).collect()
}

/// What came of each agent with each model.
pub(super) fn rows(report: &Report) -> Table {
    let head = [
        "agent",
        "provider",
        "model",
        "passed",
        "turns",
        "tokens",
        "cost",
        "time",
        "cost per success",
        "re-reads",
    ];
    Table {
        head: head.map(str::to_owned).to_vec(),
        names: 3,
        rows: report.rows.iter().map(of_row).collect(),
    }
}

fn of_row(row: &Row) -> Vec<Cell> {
    let summary = &row.summary;
    let model = if row.scripted {
        format!("{} (scripted)", row.key.model)
    } else {
        row.key.model.clone()
    };
    let mut cells = vec![
        row.key.agent.as_str().into(),
        row.key.provider.as_str().into(),
        Cell::from(model),
    ];
    cells.extend(figures(summary).into_iter().map(|(_, cell)| cell));
    cells
}

/// The figures of a summary, by name.
pub(super) fn figures(summary: &Summary) -> [(&'static str, Cell); 7] {
    let tone = if summary.passed.mean <= 0.0 {
        Tone::Bad
    } else {
        Tone::Plain
    };
    let passed = match summary.rounds {
        0 | 1 => format!("{:.0}/{}", summary.passed.mean, summary.tasks),
        _ => format!("{}/{}", spread(&summary.passed, 1), summary.tasks),
    };
    // Costs of replies that did not say what they cost are missing.
    let more = if summary.unmetered > 0 { "+" } else { "" };
    let unknown = || Cell::toned("unknown", Tone::Muted);
    let cost = summary.cost.as_ref().map(|cost| {
        let decimals = decimals(cost.mean);
        Cell::from(format!("${}{more}", spread(cost, decimals)))
    });
    let each = match (summary.cost_per_success, summary.cost) {
        (Some(each), _) => format!("{}{more}", dollars(each)).into(),
        (None, Some(_)) => Cell::toned("none passed", Tone::Muted),
        (None, None) => unknown(),
    };
    let reads = summary.reads.map(|reads| {
        let share = 100 * reads.again / reads.all.max(1);
        Cell::from(match reads.all {
            0 => "no reads".to_owned(),
            all => format!("{} of {all} ({share} %)", reads.again),
        })
    });
    [
        ("passed", Cell::toned(passed, tone)),
        ("turns", spread(&summary.turns, 0).into()),
        (
            "tokens",
            format!("{}{more}", spread(&summary.tokens, 0)).into(),
        ),
        ("cost", cost.unwrap_or_else(unknown)),
        ("time", format!("{} s", spread(&summary.seconds, 1)).into()),
        ("cost per success", each),
        (
            "re-reads",
            reads.unwrap_or_else(|| Cell::toned("not told", Tone::Muted)),
        ),
    ]
}

/// Dollars, with as many places as they need.
pub(super) fn dollars(amount: f64) -> String {
    if amount == 0.0 {
        return "$0".to_owned();
    }
    format!("${amount:.*}", decimals(amount))
}

fn decimals(dollars: f64) -> usize {
    if dollars.abs() < 0.1 { 4 } else { 2 }
}

/// A figure with its spread, where there is one.
fn spread(spread: &Spread, decimals: usize) -> String {
    let mean = number(spread.mean, decimals);
    if spread.deviation > 0.0 {
        format!("{mean} ± {}", number(spread.deviation, decimals))
    } else {
        mean
    }
}

/// A number with a comma at every thousand.
fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let digits: Vec<char> = whole.chars().collect();
    let mut grouped = String::new();
    for (at, digit) in digits.iter().enumerate() {
        if at > 0
            && (digits.len() - at).is_multiple_of(3)
            && digits.get(at - 1).is_some_and(char::is_ascii_digit)
        {
            grouped.push(',');
        }
        grouped.push(*digit);
    }
    grouped + rest
}

/// What came of each task.
pub(super) fn tasks(report: &Report) -> Table {
    let mut head = vec!["task".to_owned(), "language".to_owned()];
    let several_agents = differ(report, |row| &row.key.agent);
    head.extend(report.rows.iter().map(|row| match several_agents {
        true => format!("{} {}", row.key.agent, row.key.model),
        false => row.key.model.clone(),
    }));
    let line = |task: &TaskTold| {
        let mut cells = vec![
            Cell {
                hint: Some(task.title.clone()),
                ..task.name.as_str().into()
            },
            Cell::toned(task.language.clone(), Tone::Muted),
        ];
        cells.extend(report.rows.iter().map(|row| match &task.skipped {
            Some(why) => Cell::toned(format!("– skipped: {why}"), Tone::Muted),
            None => outcome(&row.on(&task.name).collect::<Vec<_>>()),
        }));
        cells
    };
    Table {
        names: head.len(),
        rows: report.tasks.iter().map(line).collect(),
        head,
    }
}

fn differ<'a>(report: &'a Report, what: impl Fn(&'a Row) -> &'a str) -> bool {
    let mut all = report.rows.iter().map(what);
    let first = all.next();
    all.any(|one| Some(one) != first)
}

/// What came of one task in all rounds.
pub(super) fn outcome(attempts: &[&Attempt]) -> Cell {
    let passed = |a: &&&Attempt| a.outcome == Outcome::Passed;
    let passes = attempts.iter().filter(passed).count();
    let not = attempts.iter().find(|attempt| !passed(attempt));
    let hint = not.and_then(|attempt| attempt.why.clone());
    let (text, tone) = match (not, attempts.len()) {
        (_, 0) => ("–".to_owned(), Tone::Muted),
        (None, _) => ("✓ passed".to_owned(), Tone::Ok),
        (Some(_), all) if passes > 0 => (format!("~ {passes} of {all}"), Tone::Plain),
        (Some(attempt), _) => (format!("✗ {}", attempt.outcome.word()), Tone::Bad),
    };
    Cell { text, tone, hint }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{attempt, report, row};
    use super::*;

    #[test]
    fn figures_are_read_at_a_glance() {
        let rows_of = vec![
            row(
                "small",
                vec![
                    attempt("a", 1, Outcome::Passed),
                    attempt("b", 1, Outcome::Failed),
                ],
            ),
            row(
                "large\u{1b}[2J",
                vec![
                    attempt("a", 1, Outcome::Passed),
                    attempt("b", 1, Outcome::TimeLimit),
                    attempt("a", 2, Outcome::Passed),
                    attempt("b", 2, Outcome::Passed),
                ],
            ),
        ];
        let report = report(rows_of);
        let text = rows(&report).text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0]
                .split("  ")
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>(),
            [
                "agent",
                "provider",
                "model",
                "passed",
                "turns",
                "tokens",
                "cost",
                "time",
                "cost per success",
                "re-reads"
            ]
        );
        assert!(
            lines[1].contains(" 1/2 ") && lines[1].contains(" 2,000 "),
            "{text}"
        );
        assert!(lines[1].ends_with("2 of 8 (25 %)"), "{text}");
        assert!(
            lines[2].contains("1.5 ± 0.7/2") && lines[2].contains("$0.0027"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'));
        let text = tasks(&report).text();
        assert!(
            text.contains("✗ failed") && text.contains("~ 1 of 2"),
            "{text}"
        );
        assert!(text.contains("– skipped: go is missing"), "{text}");
    }

    #[test]
    fn numbers_have_commas() {
        assert_eq!(number(1_234_567.0, 0), "1,234,567");
        assert_eq!(number(-123.45, 1), "-123.5");
        assert_eq!(number(-1123.0, 0), "-1,123");
        assert_eq!(
            (dollars(0.01234), dollars(12.5)),
            ("$0.0123".to_owned(), "$12.50".to_owned())
        );
    }
}
