//! Tables for people: columns padded by what a terminal shows, no lines.

use super::style::{Paint, Style};
use super::text::{clean_line, columns};

/// A cell: text from anywhere, and its colour.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    paint: Option<Paint>,
}

impl Cell {
    /// Plain text; escapes in it are removed.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: clean_line(text.as_ref()),
            paint: None,
        }
    }

    /// The same in a colour.
    pub(crate) const fn paint(mut self, paint: Paint) -> Self {
        self.paint = Some(paint);
        self
    }
}

/// The table's lines: a heading and one line a row.
pub(crate) fn lines(style: Style, headings: &[&str], rows: &[Vec<Cell>]) -> Vec<String> {
    let heading: Vec<Cell> = headings
        .iter()
        .map(|text| Cell::new(text).paint(Paint::Muted))
        .collect();
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            std::iter::once(&heading)
                .chain(rows)
                .filter_map(|row| row.get(column))
                .map(|cell| columns(&cell.text))
                .max()
                .unwrap_or(0)
        })
        .collect();
    std::iter::once(&heading)
        .chain(rows)
        .map(|row| line(style, row, &widths))
        .collect()
}

fn line(style: Style, row: &[Cell], widths: &[usize]) -> String {
    let mut out = String::new();
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        if index > 0 {
            out.push_str("  ");
        }
        match cell.paint {
            Some(paint) => out.push_str(&style.paint(paint, &cell.text)),
            None => out.push_str(&cell.text),
        }
        if index + 1 < row.len() {
            out.push_str(&" ".repeat(width.saturating_sub(columns(&cell.text))));
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
        let shown = lines(Style::new(false), &["ID", "NAME", "AGE"], &rows);
        assert_eq!(shown, ["ID   NAME  AGE", "a    日本  x", "bbb  é"]);
    }
}
