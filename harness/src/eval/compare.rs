//! Two runs beside each other: the same agent and model before and after, or
//! two that were evaluated alone.
//!
//! Only tasks that both runs worked on are counted, so that a task that was
//! added or skipped changes no figure.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::page;
use super::report::{FORMAT, Key, Outcome, Report, Row, Summary, VERSION};
use super::table::{Cell, Table, Tone, dollars, figures, outcome};

/// What came of a comparison.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// The tasks that both worked on.
    pub(super) tasks: Vec<String>,
    /// What is compared.
    pub(super) pairs: Vec<Pair>,
    /// What only the first run has.
    pub(super) only_before: Vec<Key>,
    /// What only the second run has.
    pub(super) only_after: Vec<Key>,
}

/// Two rows.
#[derive(Debug, Serialize)]
pub(super) struct Pair {
    /// Of the first run.
    pub(super) before: Side,
    /// Of the second.
    pub(super) after: Side,
    /// Tasks that came out otherwise.
    pub(super) changed: Vec<Changed>,
}

/// One row of a comparison.
#[derive(Debug, Serialize)]
pub(super) struct Side {
    #[serde(flatten)]
    key: Key,
    summary: Summary,
}

/// A task that came out otherwise.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    /// Its name.
    pub(super) task: String,
    /// The share of attempts that passed, from 0 to 1.
    pub(super) before: f64,
    /// The same in the second run.
    pub(super) after: f64,
    #[serde(skip)]
    words: [Cell; 2],
}

/// Reads a run that `--json` wrote.
pub(super) fn read(path: &Path) -> Result<Report, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    let report: Report = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
    if (report.format.as_str(), report.version) == (FORMAT, VERSION) {
        Ok(report)
    } else {
        Err(failed(&format!("it is no {FORMAT} of version {VERSION}")))
    }
}

impl Comparison {
    /// Of two runs.
    pub(super) fn new(before: &Report, after: &Report) -> Self {
        let worked = |report: &Report| -> BTreeSet<String> {
            let attempts = report.rows.iter().flat_map(|row| &row.attempts);
            attempts.map(|attempt| attempt.task.clone()).collect()
        };
        let tasks: Vec<String> = worked(before)
            .intersection(&worked(after))
            .cloned()
            .collect();
        let mut pairs: Vec<(&Row, &Row)> = before
            .rows
            .iter()
            .filter_map(|row| Some((row, after.rows.iter().find(|other| other.key == row.key)?)))
            .collect();
        // Two runs of one row each are meant for each other, whatever they are called.
        if let ([one], [other], true) = (&before.rows[..], &after.rows[..], pairs.is_empty()) {
            pairs.push((one, other));
        }
        let left = |rows: &[Row], paired: &[&Row]| {
            let alone = rows
                .iter()
                .filter(|row| !paired.iter().any(|other| std::ptr::eq(*other, *row)));
            alone.map(|row| row.key.clone()).collect()
        };
        let firsts: Vec<&Row> = pairs.iter().map(|(one, _)| *one).collect();
        let seconds: Vec<&Row> = pairs.iter().map(|(_, other)| *other).collect();
        Self {
            only_before: left(&before.rows, &firsts),
            only_after: left(&after.rows, &seconds),
            pairs: pairs
                .into_iter()
                .map(|(one, other)| Pair::new(one, other, &tasks))
                .collect(),
            tasks,
        }
    }

    /// Everything as tables with titles.
    fn sections(&self) -> Vec<(String, Table)> {
        let mut sections = Vec::new();
        for pair in &self.pairs {
            let (one, other) = (&pair.before.key, &pair.after.key);
            let title = match one == other {
                true => one.to_string(),
                false => format!("{one} → {other}"),
            };
            sections.push((title, pair.figures()));
            if !pair.changed.is_empty() {
                sections.push(("Tasks that came out otherwise".to_owned(), pair.tasks()));
            }
        }
        sections
    }

    /// What stands in no table.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = vec![format!("{} tasks in both runs", self.tasks.len())];
        let alone = [("first", &self.only_before), ("second", &self.only_after)];
        for (which, keys) in alone {
            remarks.extend(
                keys.iter()
                    .map(|key| format!("only in the {which} run: {key}")),
            );
        }
        remarks
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let sections = self.sections();
        let mut text = self.remarks().join("\n") + "\n";
        for (title, table) in sections {
            text.push_str(&format!("\n{title}\n{}", table.text()));
        }
        text
    }

    /// As a page.
    pub(super) fn page(&self) -> String {
        let sections: Vec<(String, String)> = self
            .sections()
            .into_iter()
            .map(|(title, table)| (title, page::table(&table)))
            .collect();
        page::page("Comparison", &self.remarks(), &sections)
    }
}

impl Pair {
    fn new(before: &Row, after: &Row, tasks: &[String]) -> Self {
        let common = |row: &Row| {
            let attempts = row.attempts.iter();
            Side {
                key: row.key.clone(),
                summary: Summary::of(attempts.filter(|attempt| tasks.contains(&attempt.task))),
            }
        };
        let changed = tasks.iter().filter_map(|task| {
            let (one, other): (Vec<_>, Vec<_>) =
                (before.on(task).collect(), after.on(task).collect());
            let share = |attempts: &[&super::report::Attempt]| {
                let passed = attempts.iter().filter(|a| a.outcome == Outcome::Passed);
                passed.count() as f64 / (attempts.len() as f64).max(1.0)
            };
            let words = [outcome(&one), outcome(&other)];
            (words.first().map(|cell| &cell.text) != words.last().map(|cell| &cell.text)).then(
                || Changed {
                    task: task.clone(),
                    before: share(&one),
                    after: share(&other),
                    words,
                },
            )
        });
        Self {
            before: common(before),
            after: common(after),
            changed: changed.collect(),
        }
    }

    fn figures(&self) -> Table {
        let (one, other) = (&self.before.summary, &self.after.summary);
        let mean = |figure: fn(&Summary) -> Option<f64>| Some((figure(one)?, figure(other)?));
        let of = |name: &str| match name {
            "passed" => mean(|s| Some(s.passed.mean)),
            "turns" => mean(|s| Some(s.turns.mean)),
            "tokens" => mean(|s| Some(s.tokens.mean)),
            "cost" => mean(|s| Some(s.cost?.mean)),
            "time" => mean(|s| Some(s.seconds.mean)),
            "cost per success" => mean(|s| s.cost_per_success),
            _ => mean(|s| {
                s.reads
                    .map(|reads| reads.again as f64 / f64::from(s.rounds.max(1)))
            }),
        };
        let rows = figures(one).into_iter().zip(figures(other));
        let rows = rows.map(|((name, one), (_, other))| {
            vec![
                name.into(),
                one,
                other,
                of(name).map_or_else(|| "".into(), |pair| change(name, pair)),
            ]
        });
        Table {
            head: ["", "before", "after", "change"]
                .map(str::to_owned)
                .to_vec(),
            names: 1,
            rows: rows.collect(),
        }
    }

    fn tasks(&self) -> Table {
        let rows = self.changed.iter().map(|changed| {
            let [one, other] = changed.words.clone();
            vec![changed.task.as_str().into(), one, other]
        });
        Table {
            head: ["task", "before", "after"].map(str::to_owned).to_vec(),
            names: 3,
            rows: rows.collect(),
        }
    }
}

/// What changed, and whether for the better: more passes, and less of
/// everything else.
fn change(name: &str, (before, after): (f64, f64)) -> Cell {
    let difference = after - before;
    if difference.abs() < 1e-9 {
        return Cell::toned("=", Tone::Muted);
    }
    let sign = if difference > 0.0 { "+" } else { "−" };
    let size = difference.abs();
    let words = match name {
        "cost" | "cost per success" => format!("{sign}{}", dollars(size)),
        "passed" | "time" | "re-reads" => format!("{sign}{size:.1}"),
        _ => format!("{sign}{size:.0}"),
    };
    let share = if before > 0.0 {
        format!(" ({sign}{:.0} %)", size / before * 100.0)
    } else {
        String::new()
    };
    let better = (difference > 0.0) == (name == "passed");
    let tone = if better { Tone::Ok } else { Tone::Bad };
    Cell::toned(words + &share, tone)
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{attempt, report, row};
    use super::*;
    use Outcome::{Failed, Passed};

    #[test]
    fn only_what_both_worked_on_is_compared() {
        let before = report(vec![
            row(
                "m",
                vec![
                    attempt("a", 1, Failed),
                    attempt("b", 1, Passed),
                    attempt("old", 1, Passed),
                ],
            ),
            row("gone", vec![attempt("a", 1, Passed)]),
        ]);
        let mut quick = attempt("a", 1, Passed);
        quick.usage.total = 500;
        let after = report(vec![
            row(
                "m",
                vec![quick, attempt("b", 1, Passed), attempt("new", 1, Failed)],
            ),
            row("come", vec![attempt("a", 1, Passed)]),
        ]);
        let comparison = Comparison::new(&before, &after);
        assert_eq!(comparison.tasks, ["a", "b"]);
        let text = comparison.text();
        assert!(
            text.contains("only in the first run: sam-harness · chat · gone"),
            "{text}"
        );
        assert!(
            text.contains("only in the second run: sam-harness · chat · come"),
            "{text}"
        );
        let line = |name: &str| {
            text.lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_default()
        };
        assert!(line("passed").contains("+1.0 (+100 %)"), "{text}");
        assert!(line("tokens").contains("−500 (−25 %)"), "{text}");
        assert!(line("turns").ends_with('='), "{text}");
        assert!(text.contains("a     ✗ failed  ✓ passed"), "{text}");
        let json = serde_json::to_value(&comparison).unwrap();
        assert_eq!(json["pairs"][0]["changed"][0]["after"], 1.0);
        assert!(comparison.page().contains("class=\"ok\">+1.0"));
    }

    #[test]
    fn two_runs_of_one_row_each_are_compared_whatever_they_are_called() {
        let one = report(vec![row("small", vec![attempt("a", 1, Failed)])]);
        let other = report(vec![row("large", vec![attempt("a", 1, Passed)])]);
        let comparison = Comparison::new(&one, &other);
        assert_eq!(
            (comparison.pairs.len(), comparison.only_before.len()),
            (1, 0)
        );
        assert!(
            comparison
                .text()
                .contains("small → sam-harness · chat · large")
        );
    }
}
