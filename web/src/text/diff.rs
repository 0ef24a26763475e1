//! Unified diffs as files and numbered lines.
//!
//! Reads what git and our own tools write; a line it does not understand is
//! kept as it is, so nothing a person should see is lost.

/// One file of a diff.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiffFile {
    /// Its path after the change, or before it when it was removed.
    pub(crate) path: String,
    /// What happened to it besides its lines: `new`, `deleted`, `renamed`, `binary`, or nothing.
    pub(crate) note: &'static str,
    /// Lines added.
    pub(crate) added: u32,
    /// Lines removed.
    pub(crate) removed: u32,
    /// Its lines.
    pub(crate) lines: Vec<DiffLine>,
}

/// One line of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiffLine {
    /// What it says about the file.
    pub(crate) kind: LineKind,
    /// Its number before the change.
    pub(crate) old: Option<u32>,
    /// Its number after the change.
    pub(crate) new: Option<u32>,
    /// The line without its sign.
    pub(crate) text: String,
}

/// What a line of a diff says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineKind {
    /// `@@ … @@`.
    Hunk,
    /// Unchanged.
    Context,
    /// Added.
    Added,
    /// Removed.
    Removed,
    /// About the text itself, e.g. a missing newline at the end.
    Note,
}

impl LineKind {
    /// The class that colours it.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Hunk => "line hunk",
            Self::Context => "line",
            Self::Added => "line added",
            Self::Removed => "line removed",
            Self::Note => "line note",
        }
    }

    /// Its sign, so that colour is never alone.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Removed => "\u{2212}",
            Self::Hunk | Self::Context | Self::Note => " ",
        }
    }
}

/// Reads hunks without file headers, as tool cards carry them.
pub(crate) fn hunks(unified: &str) -> Vec<DiffLine> {
    let mut file = DiffFile::default();
    let mut at = Position::default();
    for line in unified.lines() {
        at.take(line, &mut file);
    }
    file.lines
}

/// Reads a whole diff as git writes it.
pub(crate) fn files(unified: &str) -> Vec<DiffFile> {
    let mut files: Vec<DiffFile> = Vec::new();
    let mut at = Position::default();
    for line in unified.lines() {
        if let Some(names) = line.strip_prefix("diff --git ") {
            files.push(DiffFile {
                path: path_after(names),
                ..DiffFile::default()
            });
            at = Position::default();
            continue;
        }
        let inside_hunk = at.old_left > 0 || at.new_left > 0;
        if !inside_hunk && line.starts_with("--- ") && !at.headed {
            if files.is_empty() {
                files.push(DiffFile::default());
            }
            at.headed = true;
            continue;
        }
        let Some(file) = files.last_mut() else {
            continue;
        };
        if inside_hunk || line.starts_with("@@") || line.starts_with('\\') {
            at.take(line, file);
        } else if let Some(name) = line.strip_prefix("+++ ") {
            if name != "/dev/null" {
                file.path = clean(name, "b/");
            }
        } else if line.starts_with("new file") {
            file.note = "new";
        } else if line.starts_with("deleted file") {
            file.note = "deleted";
        } else if line.starts_with("rename to ") {
            file.note = "renamed";
        } else if line.starts_with("Binary files") || line.starts_with("GIT binary patch") {
            file.note = "binary";
        }
    }
    files
}

/// Where in a file the next line lies.
#[derive(Default)]
struct Position {
    old: u32,
    new: u32,
    old_left: u32,
    new_left: u32,
    headed: bool,
}

impl Position {
    fn take(&mut self, line: &str, file: &mut DiffFile) {
        if let Some((old, new)) = hunk_header(line) {
            (self.old, self.old_left) = old;
            (self.new, self.new_left) = new;
            self.push(file, LineKind::Hunk, line);
            return;
        }
        match line.chars().next() {
            Some('+') => {
                file.added += 1;
                self.push(file, LineKind::Added, rest(line));
            }
            Some('-') => {
                file.removed += 1;
                self.push(file, LineKind::Removed, rest(line));
            }
            Some('\\') => self.push(file, LineKind::Note, line),
            _ => self.push(
                file,
                LineKind::Context,
                line.strip_prefix(' ').unwrap_or(line),
            ),
        }
    }

    fn push(&mut self, file: &mut DiffFile, kind: LineKind, text: &str) {
        let (in_old, in_new) = match kind {
            LineKind::Hunk | LineKind::Note => (false, false),
            LineKind::Context => (true, true),
            LineKind::Added => (false, true),
            LineKind::Removed => (true, false),
        };
        // Without a header there are no numbers to show.
        let old = (in_old && self.old > 0).then_some(self.old);
        let new = (in_new && self.new > 0).then_some(self.new);
        if in_old {
            self.old = if self.old > 0 { self.old + 1 } else { 0 };
            self.old_left = self.old_left.saturating_sub(1);
        }
        if in_new {
            self.new = if self.new > 0 { self.new + 1 } else { 0 };
            self.new_left = self.new_left.saturating_sub(1);
        }
        file.lines.push(DiffLine {
            kind,
            old,
            new,
            text: text.to_owned(),
        });
    }
}

fn rest(line: &str) -> &str {
    line.get(1..).unwrap_or_default()
}

/// `@@ -a,b +c,d @@` as ((a, b), (c, d)).
fn hunk_header(line: &str) -> Option<((u32, u32), (u32, u32))> {
    let ranges = line.strip_prefix("@@ ")?.split(" @@").next()?;
    let (old, new) = ranges.split_once(' ')?;
    Some((
        range(old.strip_prefix('-')?)?,
        range(new.strip_prefix('+')?)?,
    ))
}

fn range(text: &str) -> Option<(u32, u32)> {
    match text.split_once(',') {
        Some((start, length)) => Some((start.parse().ok()?, length.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

/// The path after the change, from `a/x b/x` (quotes are git's for odd names).
fn path_after(names: &str) -> String {
    match names.rfind(" b/") {
        Some(at) => clean(names.get(at + 1..).unwrap_or_default(), "b/"),
        None => clean(names.rsplit(" \"").next().unwrap_or(names), "b/"),
    }
}

fn clean(name: &str, prefix: &str) -> String {
    let name = name.split('\t').next().unwrap_or(name).trim_matches('"');
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIT: &str = "diff --git a/src/fees.js b/src/fees.js
index 1..2 100644
--- a/src/fees.js
+++ b/src/fees.js
@@ -1,3 +1,3 @@ function fee() {
 one
-two
+deux
 three
\\ No newline at end of file
diff --git a/new.txt b/new.txt
new file mode 100644
--- /dev/null
+++ b/new.txt
@@ -0,0 +1,2 @@
+--- a
++++ b
diff --git a/logo.png b/logo.png
index 1..2 100644
Binary files a/logo.png and b/logo.png differ
diff --git a/gone.txt b/gone.txt
deleted file mode 100644
--- a/gone.txt
+++ /dev/null
@@ -1 +0,0 @@
-bye
";

    #[test]
    fn files_are_read_with_their_numbers() {
        let files = files(GIT);
        let facts: Vec<_> = files
            .iter()
            .map(|f| (f.path.as_str(), f.note, f.added, f.removed))
            .collect();
        assert_eq!(
            facts,
            [
                ("src/fees.js", "", 1, 1),
                ("new.txt", "new", 2, 0),
                ("logo.png", "binary", 0, 0),
                ("gone.txt", "deleted", 0, 1),
            ]
        );
        let numbers: Vec<_> = files[0]
            .lines
            .iter()
            .map(|l| (l.kind, l.old, l.new))
            .collect();
        assert_eq!(
            numbers,
            [
                (LineKind::Hunk, None, None),
                (LineKind::Context, Some(1), Some(1)),
                (LineKind::Removed, Some(2), None),
                (LineKind::Added, None, Some(2)),
                (LineKind::Context, Some(3), Some(3)),
                (LineKind::Note, None, None),
            ]
        );
        // Lines that look like headers stay lines of the file.
        assert_eq!(files[1].lines[1].text, "--- a");
        assert_eq!(files[1].lines[2].text, "+++ b");
    }

    #[test]
    fn hunks_without_headers_are_read() {
        let lines = hunks("@@ -10 +10,2 @@\n-a\n+b\n+c");
        assert_eq!(lines[1].old, Some(10));
        assert_eq!(lines[3].new, Some(11));
        let bare = hunks("+x\n y");
        assert_eq!(bare[0].kind, LineKind::Added);
        assert_eq!(bare[0].new, None);
    }

    #[test]
    fn what_is_no_diff_is_kept_as_lines() {
        assert!(files("").is_empty());
        assert_eq!(hunks("surprise")[0].text, "surprise");
    }
}
