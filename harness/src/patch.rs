//! The patch format that models know from `apply_patch`.
//!
//! ```text
//! *** Begin Patch
//! *** Add File: path
//! +line
//! *** Delete File: path
//! *** Update File: path
//! *** Move to: path
//! @@ a line somewhere above the change
//!  a line that stays
//! -a line that goes
//! +a line that comes
//! *** End of File
//! *** End Patch
//! ```
//!
//! [`parse`] reads it and [`apply`] changes one file's text. A hunk's old lines
//! are looked for from where the one before ended: as they are, then without
//! regard to spaces at their ends, then at either side. A hunk that fits in
//! more than one place is refused unless a `@@` line or the end of the file
//! says which. Nothing here touches a disk.

use std::ops::Range;

use crate::text_file::TextFile;

/// What happens to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new file.
    Add {
        /// Its path.
        path: String,
        /// Its text.
        text: String,
    },
    /// The file goes.
    Delete {
        /// Its path.
        path: String,
    },
    /// The file changes.
    Update {
        /// Its path.
        path: String,
        /// Its path afterwards, if another.
        moved: Option<String>,
        /// The changes, from its beginning to its end.
        hunks: Vec<Hunk>,
    },
}

/// One change within a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hunk {
    /// Lines to pass by first, one after the other.
    pub anchors: Vec<String>,
    /// The lines as they are.
    pub old: Vec<String>,
    /// The lines as they shall be.
    pub new: Vec<String>,
    /// Whether it ends the file.
    pub at_end: bool,
}

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File: ";
const DELETE: &str = "*** Delete File: ";
const UPDATE: &str = "*** Update File: ";
const MOVE: &str = "*** Move to: ";
const END_OF_FILE: &str = "*** End of File";

/// Reads a patch; what is wrong with it, and in which line.
pub fn parse(patch: &str) -> Result<Vec<Change>, String> {
    let mut reader = Reader {
        lines: patch
            .lines()
            .map(|line| line.strip_suffix('\r').unwrap_or(line))
            .collect(),
        at: 0,
    };
    reader.skip_until_begin()?;
    let mut changes = Vec::new();
    loop {
        let Some(line) = reader.next() else {
            return Err(format!("the patch does not end with `{END}`"));
        };
        if line.trim() == END {
            break;
        }
        let change = if let Some(path) = line.strip_prefix(ADD) {
            reader.added(path)?
        } else if let Some(path) = line.strip_prefix(DELETE) {
            Change::Delete { path: named(path)? }
        } else if let Some(path) = line.strip_prefix(UPDATE) {
            reader.updated(path)?
        } else if line.trim().is_empty() {
            continue;
        } else {
            return Err(
                reader.wrong("is no `*** Add File: `, `*** Delete File: ` or `*** Update File: `")
            );
        };
        changes.push(change);
    }
    if changes.is_empty() {
        return Err("the patch changes no file".to_owned());
    }
    Ok(changes)
}

fn named(path: &str) -> Result<String, String> {
    match path.trim() {
        "" => Err("a path is missing".to_owned()),
        path => Ok(path.to_owned()),
    }
}

struct Reader<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        let line = self.peek()?;
        self.at += 1;
        Some(line)
    }

    /// About the line just read.
    fn wrong(&self, what: &str) -> String {
        let line = self.at.checked_sub(1).and_then(|at| self.lines.get(at));
        let line = line.copied().unwrap_or_default();
        let shown: String = line.chars().take(80).collect();
        format!("line {} of the patch, `{shown}`, {what}", self.at)
    }

    /// Some models wrap the patch in a here-document or a code fence.
    fn skip_until_begin(&mut self) -> Result<(), String> {
        while let Some(line) = self.next() {
            let line = line.trim();
            if line == BEGIN {
                return Ok(());
            }
            if !(line.is_empty() || line.contains("<<") || line.starts_with("```")) {
                break;
            }
        }
        Err(format!("the patch does not begin with `{BEGIN}`"))
    }

    /// Whether the next line begins another part of the patch.
    fn at_part(&self) -> bool {
        self.peek().is_none_or(|line| {
            [ADD, DELETE, UPDATE]
                .iter()
                .any(|part| line.starts_with(part))
                || line.trim() == END
        })
    }

    fn added(&mut self, path: &str) -> Result<Change, String> {
        let path = named(path)?;
        let mut text = String::new();
        while !self.at_part() {
            let line = self.next().unwrap_or_default();
            let Some(line) = line.strip_prefix('+') else {
                return Err(self.wrong("does not begin with `+`, as every line of a new file must"));
            };
            text.push_str(line);
            text.push('\n');
        }
        Ok(Change::Add { path, text })
    }

    fn updated(&mut self, path: &str) -> Result<Change, String> {
        let path = named(path)?;
        let moved = match self.peek().and_then(|line| line.strip_prefix(MOVE)) {
            Some(moved) => {
                self.at += 1;
                Some(named(moved)?)
            }
            None => None,
        };
        let mut hunks = Vec::new();
        while !self.at_part() {
            hunks.push(self.hunk()?);
        }
        if hunks.is_empty() && moved.is_none() {
            return Err(format!("the patch says nothing of how {path} changes"));
        }
        Ok(Change::Update { path, moved, hunks })
    }

    fn hunk(&mut self) -> Result<Hunk, String> {
        let mut hunk = Hunk::default();
        while let Some(anchor) = self.peek().and_then(|line| line.strip_prefix("@@")) {
            self.at += 1;
            let anchor = anchor.strip_prefix(' ').unwrap_or(anchor);
            // Line numbers, as in a unified diff, anchor nothing here.
            if !(anchor.trim().is_empty() || anchor.trim_start().starts_with('-')) {
                hunk.anchors.push(anchor.to_owned());
            }
        }
        let begun = self.at;
        while !self.at_part() {
            let line = self.peek().unwrap_or_default();
            if line.starts_with("@@") {
                break;
            }
            self.at += 1;
            if line.trim_end() == END_OF_FILE {
                hunk.at_end = true;
                break;
            }
            match line.split_at_checked(1) {
                Some(("+", new)) => hunk.new.push(new.to_owned()),
                Some(("-", old)) => hunk.old.push(old.to_owned()),
                Some((" ", same)) => {
                    hunk.old.push(same.to_owned());
                    hunk.new.push(same.to_owned());
                }
                // A line that stays and is empty, its space lost on the way.
                None => {
                    hunk.old.push(String::new());
                    hunk.new.push(String::new());
                }
                Some(_) => return Err(self.wrong("begins with none of space, `+`, `-` and `@@`")),
            }
        }
        if self.at == begun {
            return Err(self.wrong("is followed by no change"));
        }
        Ok(hunk)
    }
}

/// Makes the hunks in a file's text; the first lines they changed, or what
/// stands in the way, and then nothing is changed.
pub fn apply(file: &mut TextFile, hunks: &[Hunk]) -> Result<Vec<usize>, String> {
    let lines = Lines::of(file.text());
    let mut pieces = Vec::new();
    let mut changed = Vec::new();
    let mut from = 0;
    for (number, hunk) in (1..).zip(hunks) {
        let place = lines
            .place(hunk, from)
            .map_err(|reason| format!("hunk {number} {reason}"))?;
        from = place.end;
        changed.push(place.start + 1);
        // What stays is left out, so that it keeps its bytes.
        let same = |(old, new): &(&String, &String)| old == new;
        let head = hunk.old.iter().zip(&hunk.new).take_while(same).count();
        let old = hunk.old.get(head..).unwrap_or_default();
        let new = hunk.new.get(head..).unwrap_or_default();
        let tail = old
            .iter()
            .rev()
            .zip(new.iter().rev())
            .take_while(same)
            .count();
        let new = new.get(..new.len() - tail).unwrap_or_default();
        pieces.push(lines.replaced(place.start + head..place.end - tail, new));
    }
    file.splice(&pieces);
    Ok(changed)
}

/// A text by its lines.
struct Lines<'a> {
    text: &'a str,
    lines: Vec<&'a str>,
    /// Where each begins, and the text's end.
    starts: Vec<usize>,
}

/// Lines of a hunk times lines of the file; a search takes no longer.
const MOST_COMPARISONS: usize = 50_000_000;

/// Ways to compare a line, from the strictest.
const COMPARISONS: [fn(&str, &str) -> bool; 3] = [
    |a, b| a == b,
    |a, b| a.trim_end() == b.trim_end(),
    |a, b| a.trim() == b.trim(),
];

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let mut starts = vec![0];
        let mut lines = Vec::new();
        for line in text.split_inclusive('\n') {
            starts.push(starts.last().copied().unwrap_or_default() + line.len());
            lines.push(line.strip_suffix('\n').unwrap_or(line));
        }
        Self {
            text,
            lines,
            starts,
        }
    }

    /// The lines a hunk is about, from `from` on.
    fn place(&self, hunk: &Hunk, mut from: usize) -> Result<Range<usize>, String> {
        for anchor in &hunk.anchors {
            let wanted = std::slice::from_ref(anchor);
            let at = self.matches(wanted, from).first().copied();
            let at = at.ok_or_else(|| format!("is after a line that is not there: `{anchor}`"))?;
            from = at + 1;
        }
        let length = hunk.old.len();
        if length.saturating_mul(self.lines.len()) > MOST_COMPARISONS {
            return Err(
                "is too long for a file of this length; make it in smaller pieces".to_owned(),
            );
        }
        if length == 0 {
            // New lines alone come after the anchor, or at the end.
            let anchored = !hunk.anchors.is_empty() && !hunk.at_end;
            let at = if anchored { from } else { self.lines.len() };
            return Ok(at..at);
        }
        if hunk.at_end {
            let at = self
                .lines
                .len()
                .checked_sub(length)
                .filter(|at| *at >= from);
            if let Some(at) = at
                && self.matches(&hunk.old, at).first() == Some(&at)
            {
                return Ok(at..at + length);
            }
        }
        match self.matches(&hunk.old, from).as_slice() {
            [] => Err(self.absence(&hunk.old, from)),
            [at] => Ok(*at..at + length),
            [at, ..] if !hunk.anchors.is_empty() => Ok(*at..at + length),
            several => {
                let lines: Vec<String> = several
                    .iter()
                    .take(8)
                    .map(|at| (at + 1).to_string())
                    .collect();
                Err(format!(
                    "fits in {} places (lines {}); give more lines around it, or an @@ line above it",
                    several.len(),
                    lines.join(", ")
                ))
            }
        }
    }

    /// Where lines occur, by the strictest comparison by which they do.
    fn matches(&self, wanted: &[String], from: usize) -> Vec<usize> {
        let rest = self.lines.get(from..).unwrap_or_default();
        let by = |same: &fn(&str, &str) -> bool| -> Vec<usize> {
            let fits = |window: &[&str]| window.iter().zip(wanted).all(|(a, b)| same(a, b));
            let windows = rest.windows(wanted.len().max(1)).enumerate();
            windows
                .filter_map(|(at, window)| fits(window).then_some(from + at))
                .collect()
        };
        let mut found = COMPARISONS.iter().map(by);
        found.find(|places| !places.is_empty()).unwrap_or_default()
    }

    fn absence(&self, wanted: &[String], from: usize) -> String {
        let first = wanted.iter().find(|line| !line.trim().is_empty());
        let near = first.map(|line| self.matches(std::slice::from_ref(line), from));
        match near.as_deref() {
            Some([at, ..]) => format!(
                "does not fit: its first line is line {}, but those after it differ; read the file again",
                at + 1
            ),
            _ => "does not fit: its lines are not there; read the file again".to_owned(),
        }
    }

    /// A piece that puts `new` in the place of lines.
    fn replaced(&self, place: Range<usize>, new: &[String]) -> (Range<usize>, String) {
        let start = self
            .starts
            .get(place.start)
            .copied()
            .unwrap_or(self.text.len());
        let end = self
            .starts
            .get(place.end)
            .copied()
            .unwrap_or(self.text.len());
        let mut text = new.join("\n");
        let open = !self.text.is_empty() && !self.text.ends_with('\n');
        if open && start == self.text.len() && !new.is_empty() {
            // After a last line without an end.
            text.insert(0, '\n');
        } else if !(new.is_empty() || open && end == self.text.len()) {
            text.push('\n');
        }
        (start..end, text)
    }
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
