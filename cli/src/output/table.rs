//! Tables for people: columns padded by what a terminal shows, no lines.
//!
//! Where a table is wider than the terminal, its widest columns are cut, so that a row stays a line. What
//! one has to type again, an id or a name, is never cut.

use super::style::{Paint, Style};
use super::text::{clean_line, columns, fit};

/// What a cut column keeps at least.
const LEAST: usize = 8;
/// What stands between columns.
const GAP: &str = "  ";

/// A cell: text from anywhere, and its colour.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    paint: Option<Paint>,
    whole: bool,
}

impl Cell {
    /// Plain text; escapes in it are removed.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: clean_line(text.as_ref()),
            paint: None,
            whole: false,
        }
    }

    /// The same in a colour.
    pub(crate) const fn paint(mut self, paint: Paint) -> Self {
        self.paint = Some(paint);
        self
    }

    /// The same, never cut: an id, or a name that commands take.
    pub(crate) const fn whole(mut self) -> Self {
        self.whole = true;
        self
    }
}

/// The table's lines, a heading and one line a row, of at most `limit` columns as far as that goes.
pub(super) fn lines(
    style: Style,
    limit: Option<usize>,
    headings: &[&str],
    rows: &[Vec<Cell>],
) -> Vec<String> {
    let heading: Vec<Cell> = headings
        .iter()
        .map(|text| Cell::new(text).paint(Paint::Muted))
        .collect();
    let mut widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            std::iter::once(&heading)
                .chain(rows)
                .filter_map(|row| row.get(column))
                .map(|cell| columns(&cell.text))
                .max()
                .unwrap_or(0)
        })
        .collect();
    if let Some(limit) = limit {
        shrink(&mut widths, rows, limit);
    }
    std::iter::once(&heading)
        .chain(rows)
        .map(|row| line(style, row, &widths))
        .collect()
}

/// Takes from the widest column until all fit, or nothing may be taken any more.
fn shrink(widths: &mut [usize], rows: &[Vec<Cell>], limit: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(limit);
    let is_whole = |column: usize| {
        rows.iter()
            .any(|row| row.get(column).is_some_and(|c| c.whole))
    };
    let mut columns: Vec<(usize, &mut usize)> = widths.iter_mut().enumerate().collect();
    columns.retain(|(column, width)| **width > LEAST && !is_whole(*column));
    while excess > 0 {
        let Some((_, widest)) = columns.iter_mut().max_by_key(|(_, width)| **width) else {
            return;
        };
        if **widest <= LEAST {
            return;
        }
        **widest -= 1;
        excess -= 1;
    }
}

fn line(style: Style, row: &[Cell], widths: &[usize]) -> String {
    let mut out = String::new();
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        if index > 0 {
            out.push_str(GAP);
        }
        let text = fit(&cell.text, *width);
        match cell.paint {
            Some(paint) => out.push_str(&style.paint(paint, &text)),
            None => out.push_str(&text),
        }
        if index + 1 < row.len() {
            out.push_str(&" ".repeat(width.saturating_sub(columns(&text))));
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Names and values below each other: `  name   value`.
pub(crate) fn facts(style: Style, facts: &[(&str, String)]) -> Vec<String> {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts
        .iter()
        .map(|(name, value)| {
            format!(
                "  {}  {}",
                style.paint(Paint::Muted, &format!("{name:width$}")),
                clean_line(value)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_what_is_shown() {
        let rows = vec![
            vec![Cell::new("a"), Cell::new("日本"), Cell::new("x")],
            vec![Cell::new("bbb"), Cell::new("é\x1b[31m"), Cell::new("")],
        ];
        let shown = lines(Style::new(false), None, &["ID", "NAME", "AGE"], &rows);
        assert_eq!(shown, ["ID   NAME  AGE", "a    日本  x", "bbb  é"]);
    }

    #[test]
    fn the_widest_columns_are_cut_and_names_are_not() {
        let rows = vec![vec![
            Cell::new("a-name-that-commands-take").whole(),
            Cell::new("twelve words"),
            Cell::new("something that goes on for longer"),
            Cell::new("short"),
        ]];
        let shown = |limit| {
            let shown = lines(Style::new(false), Some(limit), &["A", "B", "C", "D"], &rows);
            shown.last().cloned().unwrap()
        };
        for (limit, wanted) in [
            (
                100,
                "a-name-that-commands-take  twelve words  something that goes on for longer  short",
            ),
            (
                60,
                "a-name-that-commands-take  twelve words  something t…  short",
            ),
            (
                58,
                "a-name-that-commands-take  twelve wor…  something …  short",
            ),
            (20, "a-name-that-commands-take  twelve …  somethi…  short"),
        ] {
            assert_eq!(shown(limit), wanted, "{limit}");
        }
    }
}
