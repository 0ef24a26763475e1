//! The promises of SPECIFICATION.md and the tests that hold them.
//!
//! A promise is a list item that begins with its number in bold, `- **T3** …`.
//! It names its tests as `path::name` in code quotes, or says "No test" and
//! why. A test that was renamed or removed leaves a promise that nobody keeps,
//! so each name is looked up in the file it is said to be in.

use std::collections::BTreeSet;

use super::{Finding, Source};

const SPECIFICATION: &str = "SPECIFICATION.md";

/// Where what a test is called stands in its file: a Rust function below its attribute, a test of
/// node's runner, or a step of the test command.
fn has_test(source: &Source, name: &str) -> bool {
    if source.path.ends_with(".rs") {
        let function = format!("fn {name}(");
        let mut is_test = false;
        for line in source.text.lines() {
            let line = line.trim();
            if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if line.contains(&function) {
                return is_test;
            } else if line.starts_with("fn ") || line.ends_with('}') {
                is_test = false;
            }
        }
        false
    } else if source.path.ends_with(".mjs") {
        source.text.contains(&format!("test(\"{name}\""))
    } else {
        source.text.contains(&format!("\nstep_{name}()"))
    }
}

/// Checks the specification against the sources.
pub(super) fn check(specification: &str, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut numbers = BTreeSet::new();
    let mut found = |line: usize, what: String| {
        findings.push(Finding::new(format!("{SPECIFICATION}:{line}"), what));
    };
    for (line, reference) in references(specification) {
        let Some((path, name)) = reference.split_once("::") else {
            continue;
        };
        match sources.iter().find(|source| source.path == path) {
            None => found(line, format!("{path} is no file of this repository")),
            Some(source) if !has_test(source, name) => {
                found(line, format!("{path} has no test `{name}`"));
            }
            Some(_) => {}
        }
    }
    for (line, number, text) in promises(specification) {
        if !numbers.insert(number) {
            found(line, format!("{number} stands twice"));
        }
        if references(text).is_empty() && !text.contains("No test") {
            found(
                line,
                format!("{number} names no test; name one, or say \"No test\" and why"),
            );
        }
    }
    if numbers.is_empty() {
        found(1, "no promise was found; has their form changed?".into());
    }
    findings
}

/// Every `path::name` in code quotes whose path is that of a file, with its line.
fn references(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for quoted in line.split('`').skip(1).step_by(2) {
            let is_reference = quoted
                .split_once("::")
                .is_some_and(|(path, _)| path.contains('/'));
            if is_reference {
                found.push((number + 1, quoted));
            }
        }
    }
    found
}

/// The promises: line, number, and the text up to the next item, heading or empty line.
fn promises(text: &str) -> Vec<(usize, &str, &str)> {
    let mut found = Vec::new();
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let start = offset;
        offset += line.len();
        let Some((number, _)) = line
            .strip_prefix("- **")
            .and_then(|rest| rest.split_once("**"))
        else {
            continue;
        };
        let rest = text.get(start + 2..).unwrap_or_default();
        let end = ["\n- ", "\n#", "\n\n"]
            .iter()
            .filter_map(|mark| rest.find(mark))
            .min()
            .unwrap_or(rest.len());
        found.push((index + 1, number, rest.get(..end).unwrap_or_default()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn check_text(specification: &str, expected: &[&str]) {
        let sources = [
            source(
                "a/tests/b.rs",
                "//! Head.\n#[test]\nfn it_holds() {\n}\n\n#[tokio::test]\nasync fn it_waits() -> Result {\n}\n\nfn helper() {\n}\n",
            ),
            source("e2e/c.test.mjs", "  test(\"it shows\", async () => {\n"),
            source("scripts/test", "\nstep_demo() { true; }\n"),
        ];
        let found: Vec<String> = check(specification, &sources)
            .into_iter()
            .map(|finding| format!("{}: {}", finding.place, finding.what))
            .collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} lacks {expected:?}");
        }
    }

    #[test]
    fn promises_with_tests_pass() {
        check_text(
            "# P\n\n- **A1** It holds.\n  `a/tests/b.rs::it_holds`, `a/tests/b.rs::it_waits`\n- **A2** It shows. `e2e/c.test.mjs::it shows`, `scripts/test::demo`\n- **A3** No test: it costs money.\n\nUse `sam_domain::id`.\n",
            &[],
        );
    }

    #[test]
    fn a_name_that_is_no_test_is_found() {
        for (reference, expected) in [
            ("a/tests/b.rs::gone", "no test `gone`"),
            ("a/tests/b.rs::helper", "no test `helper`"),
            ("a/tests/z.rs::it_holds", "no file"),
            ("e2e/c.test.mjs::it", "no test `it`"),
            ("scripts/test::e2e", "no test `e2e`"),
        ] {
            check_text(&format!("- **A1** It holds. `{reference}`\n"), &[expected]);
        }
    }

    #[test]
    fn promises_without_a_test_or_twice_are_found() {
        check_text("- **A1** It holds.\n", &["A1 names no test"]);
        check_text(
            "- **A1** It holds.\n\n`a/tests/b.rs::it_holds`\n",
            &["A1 names no test"],
        );
        check_text(
            "- **A1** x `a/tests/b.rs::it_holds`\n- **A1** y `a/tests/b.rs::it_holds`\n",
            &["A1 stands twice"],
        );
        check_text("Nothing.\n", &["no promise"]);
    }
}
