//! Replacing exact pieces of a text, one after the other, all or none.
//!
//! A piece must occur exactly once, unless all its occurrences are meant: any
//! choice between two places would be a guess. What is said of a piece that is
//! not there helps to find what was meant.

use crate::text_file::TextFile;

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The piece to replace.
    pub old: String,
    /// What takes its place.
    pub new: String,
    /// Whether every occurrence is meant.
    pub all: bool,
}

/// Makes the edits, each in the text that the one before left. Gives the line
/// of each first change, or what stands in the way; then nothing is changed.
pub fn apply(file: &mut TextFile, edits: &[Edit]) -> Result<Vec<usize>, String> {
    if edits.is_empty() {
        return Err("there are no edits".to_owned());
    }
    let mut edited = file.clone();
    let mut lines = Vec::with_capacity(edits.len());
    for (number, edit) in (1..).zip(edits) {
        let line = apply_one(&mut edited, edit).map_err(|reason| {
            if edits.len() == 1 {
                reason
            } else {
                format!("edit {number}: {reason}; none of the edits was made")
            }
        })?;
        lines.push(line);
    }
    *file = edited;
    Ok(lines)
}

fn apply_one(file: &mut TextFile, edit: &Edit) -> Result<usize, String> {
    let old = edit.old.replace("\r\n", "\n");
    if old.is_empty() {
        return Err("old_text is empty; use write_file for a new file".to_owned());
    }
    if edit.old == edit.new {
        return Err("old_text and new_text are the same".to_owned());
    }
    let text = file.text();
    let places = if edit.all {
        text.match_indices(&old).map(|(at, _)| at).collect()
    } else {
        overlapping(text, &old)
    };
    let line_of = |at: &usize| text.get(..*at).unwrap_or_default().matches('\n').count() + 1;
    let Some(first) = places.first() else {
        return Err(not_found(text, &old));
    };
    let line = line_of(first);
    if places.len() > 1 && !edit.all {
        let lines: Vec<String> = places
            .iter()
            .take(8)
            .map(|at| line_of(at).to_string())
            .collect();
        return Err(format!(
            "old_text occurs {} times (lines {}) and must be unique; give more of the text around it",
            places.len(),
            lines.join(", ")
        ));
    }
    let pieces: Vec<_> = places
        .iter()
        .map(|at| (*at..at + old.len(), edit.new.clone()))
        .collect();
    file.splice(&pieces);
    Ok(line)
}

/// Every place, also where occurrences overlap: either would be a guess.
fn overlapping(text: &str, wanted: &str) -> Vec<usize> {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(wanted)) {
        places.push(from + at);
        let step = text.get(from + at..).and_then(|rest| rest.chars().next());
        from += at + step.map_or(1, char::len_utf8);
    }
    places
}

fn not_found(text: &str, old: &str) -> String {
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let first = old.lines().map(squeezed).find(|line| !line.is_empty());
    let near = first.and_then(|first| {
        let mut lines = (1_usize..).zip(text.lines());
        lines.find(|(_, line)| squeezed(line) == first)
    });
    match near {
        Some((number, _)) => format!(
            "old_text was not found; line {number} is like its first line, so compare the rest and the spaces"
        ),
        None => "old_text was not found; read the file again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(old: &str, new: &str, all: bool) -> Edit {
        let (old, new) = (old.to_owned(), new.to_owned());
        Edit { old, new, all }
    }

    fn check(text: &str, edits: &[Edit], expected: Result<&str, &str>) {
        let mut file = TextFile::read(text.as_bytes()).unwrap();
        let done = apply(&mut file, edits);
        let after = String::from_utf8(file.bytes().unwrap()).unwrap();
        match (done, expected) {
            (Ok(_), Ok(expected)) => assert_eq!(after, expected),
            (Err(error), Err(expected)) => {
                assert!(error.contains(expected), "{error}");
                assert_eq!(after, text, "nothing is changed");
            }
            (done, _) => panic!("{text:?}, {edits:?}: {done:?}"),
        }
    }

    #[test]
    fn edits_follow_each_other_and_are_all_made_or_none() {
        check(
            "a b",
            &[edit("a", "x", false), edit("x b", "y", false)],
            Ok("y"),
        );
        check(
            "a b",
            &[edit("a", "x", false), edit("a", "y", false)],
            Err("edit 2: old_text was not found"),
        );
        check("a b", &[], Err("no edits"));
        check("a b", &[edit("", "x", false)], Err("empty"));
        check("a b", &[edit("a", "a", false)], Err("the same"));
        check(
            "aaa",
            &[edit("aa", "x", false)],
            Err("occurs 2 times (lines 1, 1)"),
        );
        check("a\nb\na\n", &[edit("a", "x", false)], Err("lines 1, 3"));
        check("a\nb\na\n", &[edit("a", "x", true)], Ok("x\nb\nx\n"));
        check(
            "\u{fc}\u{fc}\u{fc}",
            &[edit("\u{fc}", "u", true)],
            Ok("uuu"),
        );
        check(
            "if  x {\n",
            &[edit("if x {", "", false)],
            Err("line 1 is like"),
        );
    }

    #[test]
    fn lines_are_matched_whatever_their_ending_and_keep_it() {
        check(
            "a\r\nb\r\nc\n",
            &[edit("a\nb", "x\ny", false)],
            Ok("x\r\ny\r\nc\n"),
        );
        check(
            "a\r\nb\r\nc\n",
            &[edit("b\r\nc\r\n", "d\n", false)],
            Ok("a\r\nd\n"),
        );
        let mut file = TextFile::read(b"a\nb\nc\n").unwrap();
        let lines = apply(
            &mut file,
            &[edit("c", "x\ny", false), edit("y", "z", false)],
        );
        assert_eq!(lines, Ok(vec![3, 4]));
    }
}
