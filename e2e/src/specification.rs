//! The tables of SPECIFICATION.md, as its tests read them.
//!
//! A table stands under a heading of its own. Its cells are the promise; the test that reads it
//! makes each row happen and compares. What a row says in a cell and what happens cannot drift
//! apart, and a row that no test knows fails.

use crate::{Result, failure, programs};

/// A Markdown table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Row>,
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    cells: Vec<(String, String)>,
}

impl Row {
    /// The text of a cell.
    ///
    /// # Errors
    /// When the table has no such column.
    pub fn cell(&self, column: &str) -> Result<&str> {
        self.cells
            .iter()
            .find(|(name, _)| name == column)
            .map(|(_, text)| text.as_str())
            .ok_or_else(|| failure(format!("the table has no column {column}: {self:?}")))
    }
}

impl Table {
    /// The first table of SPECIFICATION.md under the heading with this text.
    ///
    /// # Errors
    /// When there is none, or a line has another number of cells than the first.
    pub fn under(heading: &str) -> Result<Self> {
        let page = std::fs::read_to_string(programs::root().join("SPECIFICATION.md"))?;
        Self::parse(&page, heading)
    }

    fn parse(page: &str, heading: &str) -> Result<Self> {
        let begins = |line: &str| line.starts_with('#') && line.trim_matches(['#', ' ']) == heading;
        let mut lines = page
            .lines()
            .skip_while(|line| !begins(line))
            .skip(1)
            .take_while(|line| !line.starts_with('#'))
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'));
        let columns = lines
            .next()
            .map(cells)
            .ok_or_else(|| failure(format!("no table under the heading {heading}")))?;
        let rows = lines
            .skip(1)
            .map(|line| {
                let cells = cells(line);
                if cells.len() == columns.len() {
                    let cells = columns.iter().cloned().zip(cells).collect();
                    Ok(Row { cells })
                } else {
                    let wanted = columns.len();
                    Err(failure(format!("not {wanted} cells in {line}")))
                }
            })
            .collect::<Result<Vec<Row>>>()?;
        Ok(Self { columns, rows })
    }

    /// The names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The lines, in order.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// The cells of a line; `\|` is a bar within one.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|');
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    inner
        .replace("\\|", "\u{0}")
        .split('|')
        .map(|cell| cell.trim().replace('\u{0}', "|"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Page\n\nFaults\n\n## Faults\n\nWords.\n\n| fault | end |\n|---|---|\n\
        | a \\| b | x |\n| c | |\n\nMore.\n\n## Others\n\n| fault |\n|---|\n| z |\n";

    #[test]
    fn a_table_is_read_under_its_heading_alone() {
        let table = Table::parse(PAGE, "Faults").unwrap();
        assert_eq!(table.columns(), ["fault", "end"]);
        let read: Vec<_> = table
            .rows()
            .iter()
            .map(|row| (row.cell("fault").unwrap(), row.cell("end").unwrap()))
            .collect();
        assert_eq!(read, [("a | b", "x"), ("c", "")]);
        assert!(table.rows().first().unwrap().cell("none").is_err());
        assert!(Table::parse(PAGE, "Nothing").is_err());
    }

    #[test]
    fn a_line_with_another_number_of_cells_is_refused() {
        assert!(Table::parse("## A\n\n| a | b |\n|---|---|\n| 1 |\n", "A").is_err());
    }
}
