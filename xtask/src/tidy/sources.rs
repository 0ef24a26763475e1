//! What holds for every file: length, a head that says what a module is for,
//! and nothing that belongs to somebody's machine or to an unfinished thought.

use super::{Finding, Source};

/// No source file is longer; most are far shorter.
const MAX_LINES: usize = 700;

/// Files written by hand in which a person looks for something.
const SOURCE_EXTENSIONS: &[&str] = &["rs", "mjs", "js", "sh", "css", "sql"];

/// Marks of unfinished work. Split, so that this file does not find itself.
const MARKERS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// Traces of the place where a file was written, and what they are.
const TRACES: &[(&str, &str)] = &[
    (concat!("../sha", "red"), "a path outside the repository"),
    (concat!("/wo", "rk/"), "a path of somebody's machine"),
    (concat!("/ro", "ot/"), "a path of somebody's machine"),
    (concat!("registry.npm", "js.org"), "a registry's host"),
    (concat!("index.crat", "es.io"), "a registry's host"),
    (concat!("static.crat", "es.io"), "a registry's host"),
];

/// Checks one file.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let extension = source.path.rsplit('.').next().unwrap_or_default();
    let lines = source.text.lines().count();
    if SOURCE_EXTENSIONS.contains(&extension) && lines > MAX_LINES {
        findings.push(Finding::new(
            &source.path,
            format!("{lines} lines; split it, {MAX_LINES} is the limit"),
        ));
    }
    if extension == "rs" && !has_module_doc(&source.text) {
        findings.push(Finding::new(
            &source.path,
            "no module documentation; begin with `//!` and say what it is for",
        ));
    }
    for (number, line) in source.text.lines().enumerate() {
        let place = || format!("{}:{}", source.path, number + 1);
        for marker in MARKERS {
            if has_word(line, marker) {
                findings.push(Finding::new(
                    place(),
                    format!("{marker}: finish it, or say what is not built"),
                ));
            }
        }
        if !is_quotation(&source.path) {
            for (trace, what) in TRACES {
                if has_trace(line, trace) {
                    findings.push(Finding::new(place(), format!("{trace} is {what}")));
                }
            }
        }
    }
    findings
}

/// Recorded data: what other programs said, kept as they said it.
fn is_quotation(path: &str) -> bool {
    path.contains("/fixtures/") || path.contains("/testdata/") || path == "Cargo.lock"
}

/// Whether the file begins with `//!`, after attributes at most.
fn has_module_doc(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("#!["))
        .is_some_and(|line| line.starts_with("//!"))
}

/// Whether the word stands alone, as a marker does.
fn has_word(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at + word.len()..)
            .and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// Whether the trace begins a path or a host here, and is not the middle of one.
fn has_trace(line: &str, trace: &str) -> bool {
    line.match_indices(trace).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || "-_.}$".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn check_text(path: &str, text: &str, expected: &[&str]) {
        let found: Vec<String> = check(&source(path, text))
            .into_iter()
            .map(|finding| format!("{}: {}", finding.place, finding.what))
            .collect();
        assert_eq!(
            found.len(),
            expected.len(),
            "{path}: {found:?} instead of {expected:?}"
        );
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} lacks {expected:?}");
        }
    }

    #[test]
    fn a_tidy_file_passes() {
        check_text("a/src/lib.rs", "#![no_std]\n//! What it is for.\n", &[]);
        check_text("a.md", "A method of `todo!` and a/work/b.\n", &[]);
    }

    #[test]
    fn a_long_file_is_found() {
        let long = format!("//! Head.\n{}", "fn f() {}\n".repeat(MAX_LINES));
        check_text("a/src/lib.rs", &long, &["701 lines"]);
        check_text("package-lock.json", &long, &[]);
    }

    #[test]
    fn a_missing_head_is_found() {
        check_text("a/src/lib.rs", "fn main() {}\n", &["no module doc"]);
        check_text("a/src/lib.rs", "// Head.\n", &["no module doc"]);
    }

    #[test]
    fn markers_are_found_with_their_line() {
        for marker in MARKERS {
            let text = format!("one\n# {marker}: later\n");
            check_text("a.sh", &text, &[&format!("a.sh:2: {marker}")]);
        }
        check_text("a.md", concat!("MASTO", "DONS\n"), &[]);
    }

    #[test]
    fn traces_of_a_machine_are_found() {
        for (trace, what) in TRACES {
            let text = format!("see \"{trace}x\"\n");
            check_text("docs/a.md", &text, &[what]);
            check_text("acp/tests/fixtures/a.jsonl", &text, &[]);
        }
    }
}
