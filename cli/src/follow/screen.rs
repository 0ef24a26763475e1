//! Final lines, and below them the lines that still move.
//!
//! On a terminal the moving lines are erased and drawn again under whatever
//! became final meanwhile; elsewhere only final lines are printed. Each moving
//! line is cut to the terminal's width, so that their number is their height.

use crate::error::Failure;
use crate::output::Output;
use crate::output::text::{clean, columns};
use std::fmt::Write as _;

/// Rows assumed where the terminal does not say.
const DEFAULT_ROWS: usize = 24;

/// The screen, or what takes its place.
#[derive(Debug)]
pub(super) struct Screen {
    out: Output,
    live: Vec<String>,
}

impl Screen {
    pub(super) const fn new(out: Output) -> Self {
        Self {
            out,
            live: Vec::new(),
        }
    }

    /// Whether moving lines can be drawn.
    pub(super) const fn is_live(&self) -> bool {
        self.out.columns.is_some()
    }

    /// Columns and rows of the terminal now; it may have been resized.
    pub(super) fn size(&self) -> Option<(usize, usize)> {
        let columns = self.out.columns?;
        Some(size_now().unwrap_or((columns, DEFAULT_ROWS)))
    }

    /// Prints `lines` for good and draws `live` below them.
    pub(super) fn draw(&mut self, lines: &[String], live: &[String]) -> Result<(), Failure> {
        if lines.is_empty() && self.live == live {
            return Ok(());
        }
        let columns = self.size().map_or(usize::MAX, |(columns, _)| columns);
        let text = redraw(height(&self.live, columns), lines, live);
        self.live = live.to_vec();
        self.out.raw(&text)
    }

    /// Takes the moving lines away.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        self.draw(&[], &[])
    }
}

#[cfg(unix)]
fn size_now() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    let (columns, rows) = (usize::from(size.ws_col), usize::from(size.ws_row));
    (columns > 0 && rows > 0).then_some((columns, rows))
}

#[cfg(not(unix))]
const fn size_now() -> Option<(usize, usize)> {
    None
}

/// Screen rows that lines take. Lines drawn for a wider terminal take several
/// once it was made narrower.
fn height(lines: &[String], width: usize) -> usize {
    lines
        .iter()
        .map(|line| columns(&clean(line)).div_ceil(width.max(1)).max(1))
        .sum()
}

/// The bytes that replace `before` moving lines. The cursor rests at the start
/// of the line below the last one.
fn redraw(before: usize, lines: &[String], live: &[String]) -> String {
    let mut text = String::new();
    if before > 0 {
        // Up to the first moving line, then erase to the end of the screen.
        let _ = write!(text, "\x1b[{before}A\r\x1b[J");
    }
    for line in lines.iter().chain(live) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal that knows what `redraw` uses: text, line ends, cursor up,
    /// erase below.
    #[derive(Default)]
    struct Terminal {
        lines: Vec<String>,
        row: usize,
    }

    impl Terminal {
        fn feed(&mut self, text: &str) {
            let mut rest = text;
            while !rest.is_empty() {
                if let Some(after) = rest.strip_prefix("\x1b[") {
                    let end = after.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                    let (number, tail) = after.split_at(end);
                    match &tail[..1] {
                        "A" => self.row -= number.parse::<usize>().unwrap(),
                        "J" => self.lines.truncate(self.row),
                        _ => {}
                    }
                    rest = &tail[1..];
                } else if let Some(after) = rest.strip_prefix('\r') {
                    rest = after;
                } else {
                    let (line, after) = rest.split_once('\n').unwrap();
                    assert_eq!(self.lines.len(), self.row, "writes only below what stands");
                    self.lines.push(line.to_owned());
                    self.row += 1;
                    rest = after;
                }
            }
        }
    }

    fn owned(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn moving_lines_leave_nothing_behind() {
        let mut terminal = Terminal::default();
        let mut live: Vec<String> = Vec::new();
        let turns: [(&[&str], &[&str]); 4] = [
            (&["one"], &["working 1 s", "second"]),
            (&[], &["working 2 s"]),
            (&["two", "three"], &["working 3 s", "x", "y"]),
            (&["end"], &[]),
        ];
        for (lines, next) in turns {
            terminal.feed(&redraw(height(&live, 80), &owned(lines), &owned(next)));
            live = owned(next);
        }
        assert_eq!(terminal.lines, ["one", "two", "three", "end"]);
    }

    #[test]
    fn a_narrower_terminal_makes_lines_taller() {
        let lines = owned(&["\x1b[31m12345\x1b[0m", "1", ""]);
        assert_eq!(height(&lines, 80), 3);
        assert_eq!(height(&lines, 2), 5);
    }
}
