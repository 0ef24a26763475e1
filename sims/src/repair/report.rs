//! What `node --test` printed, as TAP (Node 18 to 22 into a pipe) or in the `spec` form (newer).

use std::sync::LazyLock;

use regex::Regex;

use crate::script::observation::{fixed, groups};

/// A place in a file, as the runner names it (absolute, a URL, or relative).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) file: String,
    pub(crate) line: usize,
}

/// A test that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) name: String,
    /// Where the runner says the test begins.
    pub(crate) location: Option<Frame>,
    /// The first line of the error.
    pub(crate) message: String,
    /// The expected value as printed; empty when the error compares nothing.
    pub(crate) expected: String,
    /// The actual value as printed.
    pub(crate) actual: String,
    /// The stack, innermost first.
    pub(crate) frames: Vec<Frame>,
}

/// A run of the tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) failures: Vec<Failure>,
    /// Names of the tests that passed.
    pub(crate) passing: Vec<String>,
}

impl Report {
    /// Whether there are tests and none fails.
    pub(crate) fn green(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// What tells whether a change had any effect on the failing tests.
    pub(crate) fn signature(&self) -> Vec<(&str, &str, &str)> {
        self.failures
            .iter()
            .map(|f| (f.name.as_str(), f.message.as_str(), f.actual.as_str()))
            .collect()
    }
}

/// Reads a run; none when the output holds no totals, so that nothing can be said.
pub(crate) fn parse(output: &str) -> Option<Report> {
    static COLOUR: LazyLock<Option<Regex>> = LazyLock::new(|| fixed("\u{1b}\\[[0-9;]*m"));
    static TOTAL: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"^(?:#|ℹ) (pass|fail|cancelled) (\d+)$"));
    let output = COLOUR
        .as_ref()
        .map_or_else(|| output.into(), |colour| colour.replace_all(output, ""));
    let lines: Vec<&str> = output.lines().collect();
    let (mut passed, mut failed) = (None, 0);
    for line in &lines {
        if let Some(found) = groups(&TOTAL, line) {
            let count: usize = found
                .get(2)
                .and_then(|count| count.as_str().parse().ok())
                .unwrap_or(0);
            match found.get(1).map(|name| name.as_str()) {
                Some("pass") => passed = Some(count),
                _ => failed += count,
            }
        }
    }
    let mut report = Report {
        passed: passed?,
        failed,
        ..Report::default()
    };
    if lines.iter().any(|line| line.starts_with("TAP version")) {
        read_tap(&lines, &mut report);
    } else {
        read_spec(&lines, &mut report);
    }
    for failure in &mut report.failures {
        if failure.frames.is_empty() && failure.message == "test failed" {
            explain_load_failure(failure, &lines);
        }
    }
    Some(report)
}

/// A test file that ended before its first test: what was thrown stands before the results.
fn explain_load_failure(failure: &mut Failure, lines: &[&str]) {
    static ERROR: LazyLock<Option<Regex>> = LazyLock::new(|| fixed(r"^(?:# )?(\w*Error\b.*)$"));
    if let Some(error) = lines.iter().find_map(|line| groups(&ERROR, line)?.get(1)) {
        failure.message = error.as_str().to_owned();
    }
    let plain = |line: &&&str| {
        !line
            .trim_start_matches('#')
            .trim_start()
            .starts_with("location:")
    };
    failure.frames = frames(
        &lines
            .iter()
            .filter(plain)
            .copied()
            .collect::<Vec<_>>()
            .join("\n"),
    );
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn read_tap(lines: &[&str], report: &mut Report) {
    static RESULT: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"^\s*(not )?ok \d+ - (.*?)(?: # .*)?$"));
    for (at, line) in lines.iter().enumerate() {
        let Some(found) = groups(&RESULT, line) else {
            continue;
        };
        let name = found
            .get(2)
            .map_or("", |name| name.as_str())
            .replace("\\#", "#");
        let depth = indent(line);
        // The block of details is indented by two more.
        let details: Vec<&str> = lines
            .iter()
            .skip(at + 1)
            .take_while(|next| next.trim().is_empty() || indent(next) >= depth + 2)
            .map(|next| next.get(depth + 2..).unwrap_or_default())
            .collect();
        if found.get(1).is_none() {
            report.passing.push(name);
            continue;
        }
        if details
            .iter()
            .any(|detail| detail.contains("'subtestsFailed'"))
        {
            continue;
        }
        report.failures.push(Failure {
            name,
            location: tap_field(&details, "location")
                .and_then(|text| frame(text.trim_matches('\''))),
            message: first_line(&tap_field(&details, "error").unwrap_or_default()),
            expected: unquote(&tap_field(&details, "expected").unwrap_or_default()),
            actual: unquote(&tap_field(&details, "actual").unwrap_or_default()),
            frames: frames(&tap_field(&details, "stack").unwrap_or_default()),
        });
    }
}

/// A field of TAP's details: the rest of its line, or the block below it.
fn tap_field(details: &[&str], name: &str) -> Option<String> {
    let (at, rest) = details
        .iter()
        .enumerate()
        .find_map(|(at, line)| Some((at, line.strip_prefix(name)?.strip_prefix(':')?.trim())))?;
    if !rest.is_empty() && !rest.starts_with("|-") {
        return Some(rest.to_owned());
    }
    let block = details
        .iter()
        .skip(at + 1)
        .take_while(|line| line.trim().is_empty() || indent(line) >= 2);
    Some(
        block
            .map(|line| line.trim_start())
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

fn read_spec(lines: &[&str], report: &mut Report) {
    static PASSED: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"^\s*✔ (.*?)(?: \([\d.]+ms\))?$"));
    static FAILED: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"^\s*✖ (.*?)(?: \([\d.]+ms\))?$"));
    let end = lines
        .iter()
        .position(|line| line.starts_with("✖ failing tests"))
        .unwrap_or(lines.len());
    for line in lines.iter().take(end) {
        if let Some(name) = groups(&PASSED, line).and_then(|found| found.get(1)) {
            report.passing.push(name.as_str().to_owned());
        }
    }
    let mut location = None;
    for (at, line) in lines.iter().enumerate().skip(end + 1) {
        if let Some(place) = line.trim().strip_prefix("test at ") {
            location = frame(place);
            continue;
        }
        let Some(name) = groups(&FAILED, line).and_then(|found| found.get(1)) else {
            continue;
        };
        let depth = indent(line);
        let details: Vec<&str> = lines
            .iter()
            .skip(at + 1)
            .take_while(|next| next.trim().is_empty() || indent(next) > depth)
            .map(|next| next.trim())
            .collect();
        report.failures.push(Failure {
            name: name.as_str().to_owned(),
            location: location.take(),
            message: spec_message(&details).trim_matches('\'').to_owned(),
            expected: spec_field(&details, "expected"),
            actual: spec_field(&details, "actual"),
            frames: frames(&details.join("\n")),
        });
    }
}

fn spec_message(details: &[&str]) -> String {
    let first = details.first().copied().unwrap_or_default();
    let text = first
        .split_once(": ")
        .filter(|(kind, _)| kind.contains("Error"))
        .map_or(first, |(_, text)| text);
    text.to_owned()
}

/// A property that the runner prints after the stack: on one line, or until the next property.
fn spec_field(details: &[&str], name: &str) -> String {
    let names = [
        "generatedMessage:",
        "code:",
        "actual:",
        "expected:",
        "operator:",
        "diff:",
        "}",
    ];
    let from = details
        .iter()
        .position(|line| line.starts_with("generatedMessage:"))
        .unwrap_or(0);
    let mut found = details
        .iter()
        .skip(from)
        .skip_while(|line| !line.starts_with(&format!("{name}:")));
    let Some(first) = found.next() else {
        return String::new();
    };
    let mut text = first
        .split_once(':')
        .map_or("", |(_, rest)| rest)
        .trim()
        .to_owned();
    for line in found.take_while(|line| !names.iter().any(|name| line.starts_with(name))) {
        text.push('\n');
        text.push_str(line);
    }
    unquote(text.trim_end_matches(','))
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .trim_matches('\'')
        .to_owned()
}

fn unquote(text: &str) -> String {
    let inner = text
        .strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''));
    inner.unwrap_or(text).to_owned()
}

/// `path:line:column`, with or without `file://`.
fn frame(text: &str) -> Option<Frame> {
    static PLACE: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"^(?:file://)?(.+?):(\d+)(?::\d+)?$"));
    let found = groups(&PLACE, text.trim())?;
    Some(Frame {
        file: found.get(1)?.as_str().to_owned(),
        line: found.get(2)?.as_str().parse().ok()?,
    })
}

/// The stack's places outside the runtime.
fn frames(stack: &str) -> Vec<Frame> {
    static PLACE: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"(?:^|[\s(])((?:file://)?[\w@./%+-]+\.[cm]?[jt]sx?:\d+:\d+)\)?"));
    let Some(place) = PLACE.as_ref() else {
        return Vec::new();
    };
    place
        .captures_iter(stack)
        .filter_map(|found| frame(found.get(1)?.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAP: &str = include_str!("../../tests/data/node20.tap");
    const SPEC: &str = include_str!("../../tests/data/node24.spec");

    fn place(file: &str, line: usize) -> Frame {
        Frame {
            file: file.into(),
            line,
        }
    }

    #[test]
    fn both_forms_say_the_same() {
        for output in [TAP, SPEC] {
            let report = parse(output).unwrap();
            assert_eq!((report.passed, report.failed), (9, 1));
            assert_eq!(report.passing.len(), 9);
            let failure = &report.failures[0];
            assert_eq!(report.failures.len(), 1);
            assert_eq!(failure.name, "the last day of a band belongs to it");
            assert_eq!(
                (failure.actual.as_str(), failure.expected.as_str()),
                ("31-60", "1-30")
            );
            assert_eq!(failure.message, "Expected values to be strictly equal:");
            assert!(
                failure
                    .location
                    .as_ref()
                    .unwrap()
                    .file
                    .ends_with("test/statement.test.js")
            );
            assert_eq!(
                failure.frames[0],
                place("/srv/repository/test/statement.test.js", 27)
            );
        }
    }

    #[test]
    fn suites_are_not_counted_as_failures() {
        let output = "TAP version 13\n# Subtest: bands\n    # Subtest: last day\n    not ok 1 - last day\n      ---\n      \
            location: '/w/test/a.test.js:5:3'\n      failureType: 'testCodeFailure'\n      error: 'boom'\n      stack: |-\n        \
            limit (file:///w/src/a.js:9:11)\n        TestContext.<anonymous> (file:///w/test/a.test.js:6:5)\n      ...\n    1..1\n\
            not ok 1 - bands\n  ---\n  failureType: 'subtestsFailed'\n  error: '1 subtest failed'\n  ...\n# pass 0\n# fail 1\n";
        let report = parse(output).unwrap();
        assert_eq!(report.failures.len(), 1);
        let failure = &report.failures[0];
        assert_eq!(
            (failure.name.as_str(), failure.message.as_str()),
            ("last day", "boom")
        );
        assert_eq!(
            failure.frames,
            [place("/w/src/a.js", 9), place("/w/test/a.test.js", 6)]
        );
    }

    #[test]
    fn a_file_that_cannot_be_loaded_is_explained() {
        let thrown = "file:///w/src/money.js:9\n    throw x;\n\nRangeError: no\n    at parse (file:///w/src/money.js:9:11)\n";
        let commented: String = thrown.lines().map(|line| format!("# {line}\n")).collect();
        let tap = format!(
            "TAP version 13\n{commented}not ok 1 - /w/test/a.test.js\n  ---\n  location: '/w/test/a.test.js:1:1'\n  \
             failureType: 'testCodeFailure'\n  error: 'test failed'\n  ...\n# pass 0\n# fail 1\n"
        );
        let spec = format!(
            "{thrown}✖ test/a.test.js (1ms)\nℹ pass 0\nℹ fail 1\n\n✖ failing tests:\n\ntest at test/a.test.js:1:1\n\
             ✖ test/a.test.js (1ms)\n  'test failed'\n"
        );
        for output in [tap, spec] {
            let report = parse(&output).unwrap();
            assert_eq!(report.failures[0].message, "RangeError: no");
            assert_eq!(report.failures[0].frames[0], place("/w/src/money.js", 9));
        }
    }

    #[test]
    fn output_without_totals_says_nothing() {
        assert_eq!(parse("bash: node: command not found"), None);
        assert_eq!(parse("TAP version 13\nok 1 - a"), None);
    }
}
