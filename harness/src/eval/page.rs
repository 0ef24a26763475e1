//! A report as one HTML page: no script, nothing fetched, both colour schemes.

use super::chart::{self, Bar, Point};
use super::report::{Report, Row, Spread};
use super::table::{self, Table, Tone};

const STYLE: &str = include_str!("page.css");

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A page with a heading, a line of facts, and sections.
pub(super) fn page(title: &str, facts: &[String], sections: &[(String, String)]) -> String {
    let title = escape(title);
    let facts: Vec<String> = facts
        .iter()
        .map(|fact| format!("<li>{}</li>", escape(fact)))
        .collect();
    let sections: Vec<String> = sections
        .iter()
        .map(|(title, body)| format!("<section><h2>{}</h2>\n{body}\n</section>", escape(title)))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<ul class=\"facts\">{}</ul>\n{}\n</main>\n</body>\n</html>\n",
        facts.concat(),
        sections.join("\n")
    )
}

/// A table as HTML, in a box that scrolls by itself.
pub(super) fn table(table: &Table) -> String {
    let class = |column: usize| {
        if column < table.names {
            ""
        } else {
            " class=\"figure\""
        }
    };
    let head: Vec<String> = table
        .head
        .iter()
        .enumerate()
        .map(|(column, word)| format!("<th scope=\"col\"{}>{}</th>", class(column), escape(word)))
        .collect();
    let mut body = String::new();
    for row in &table.rows {
        body.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let tone = match cell.tone {
                Tone::Plain => "",
                Tone::Ok => "ok",
                Tone::Bad => "bad",
                Tone::Muted => "muted",
            };
            let hint = cell
                .hint
                .as_deref()
                .map_or_else(String::new, |hint| format!(" title=\"{}\"", escape(hint)));
            let text = escape(&cell.text);
            body.push_str(&format!(
                "<td{}{hint}><span class=\"{tone}\">{text}</span></td>",
                class(column)
            ));
        }
        body.push_str("</tr>\n");
    }
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table><thead><tr>{}</tr></thead><tbody>\n{body}</tbody></table></div>",
        head.concat()
    )
}

/// A run as a page.
pub(super) fn report(report: &Report) -> String {
    let tasks = report.tasks.iter().filter(|task| task.skipped.is_none());
    let tasks = tasks.count() as f64;
    let mut facts = vec![
        report.began.clone(),
        report.endpoint.clone(),
        format!("{tasks:.0} tasks"),
        match report.repeats {
            1 => "one round".to_owned(),
            rounds => format!("{rounds} rounds; ± is the standard deviation"),
        },
        report.program.clone(),
    ];
    if report.rows.iter().any(|row| row.scripted) {
        facts.push("a scripted model answered where it says so".to_owned());
    }
    let bars =
        |title: &str, full: Option<f64>, figure: &dyn Fn(&Row) -> Option<Spread>, at: usize| {
            let bars: Vec<Bar> = report
                .rows
                .iter()
                .filter_map(|row| {
                    let spread = figure(row)?;
                    let figures = table::figures(&row.summary);
                    Some(Bar {
                        label: row.key.to_string(),
                        value: spread.mean,
                        range: (spread.least, spread.most),
                        words: figures.get(at).map(|(_, cell)| cell.text.clone())?,
                    })
                })
                .collect();
            (!bars.is_empty()).then(|| (title.to_owned(), chart::bars(title, &bars, full)))
        };
    let each = |row: &Row| row.summary.cost_per_success.map(|each| Spread::of(&[each]));
    let points: Vec<Point> = report
        .rows
        .iter()
        .filter_map(|row| {
            Some(Point {
                label: row.key.model.clone(),
                cost: row.summary.cost?.mean,
                passed: row.summary.passed.mean,
            })
        })
        .collect();
    let worth = "Passed, over what it cost";
    let mut sections = vec![("Result".to_owned(), table(&table::rows(report)))];
    sections.extend(
        [
            bars("Passed", Some(tasks), &|row| Some(row.summary.passed), 0),
            (!points.is_empty()).then(|| (worth.to_owned(), chart::plane(worth, &points, tasks))),
            bars("Cost per success", None, &each, 5),
            bars("Tokens", None, &|row| Some(row.summary.tokens), 2),
            bars("Time", None, &|row| Some(row.summary.seconds), 4),
        ]
        .into_iter()
        .flatten(),
    );
    sections.push(("Tasks".to_owned(), table(&table::tasks(report))));
    page("Evaluation", &facts, &sections)
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome;
    use super::super::report::tests::{attempt, report as some_report, row};
    use super::*;

    #[test]
    fn a_page_stands_alone_and_names_do_nothing_in_it() {
        let rows = vec![
            row(
                "<script>alert(1)</script>",
                vec![attempt("a", 1, Outcome::Passed)],
            ),
            row(
                "m",
                vec![
                    attempt("a", 1, Outcome::Failed),
                    attempt("a", 2, Outcome::Passed),
                ],
            ),
        ];
        let page = report(&some_report(rows));
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
        for fetched in ["src=", "href=", "url(", "@import", "http-equiv"] {
            assert!(!page.contains(fetched), "{fetched}");
        }
        assert_eq!(page.matches("<svg").count(), 5);
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert!(!page.contains("NaN") && !page.contains("inf\""));
    }

    #[test]
    fn without_prices_no_chart_speaks_of_money() {
        let mut one = attempt("a", 1, Outcome::Failed);
        one.cost = None;
        let page = report(&some_report(vec![row("m", vec![one])]));
        assert!(!page.contains("<h2>Cost per success") && page.contains("unknown"));
        assert!(!page.contains("NaN"));
    }
}
