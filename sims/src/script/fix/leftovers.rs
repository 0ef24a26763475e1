//! Uncommitted changes that an attempt before this job left behind, for instance because its agent was killed.
//!
//! Only a change of one line that differs in a word or an operator is taken for an attempt and put back. Anything
//! else is somebody's work and stays.

use std::collections::BTreeMap;

use super::super::replay::{Replay, Say, Step};
use super::super::toolbox::Action;
use super::super::tree::Tree;
use super::edit::edit;
use crate::javascript::tokens;
use crate::repair::project::{is_code, is_test};
use crate::repair::report::Report;
use crate::script::observation::edit_failed;

/// One changed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leftover {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) committed: String,
    pub(super) now: String,
}

impl Leftover {
    /// The text of its file as committed.
    fn undone(&self, text: &str) -> Option<String> {
        let mut lines: Vec<&str> = text.split('\n').collect();
        let at = lines.get_mut(self.line.checked_sub(1)?)?;
        if *at != self.now {
            return None;
        }
        *at = &self.committed;
        Some(lines.join("\n"))
    }

    /// Takes the change out of the texts that were read before it was put back.
    pub(super) fn undo_in(&self, texts: &mut BTreeMap<String, String>) {
        if let Some(undone) = texts.get(&self.path).and_then(|text| self.undone(text)) {
            texts.insert(self.path.clone(), undone);
        }
    }
}

/// Reads the manifest and what is not committed; then the files with changes that look like an attempt.
pub(super) fn look(replay: &mut Replay<'_>, tree: &mut Tree) -> Step<Vec<Leftover>> {
    let say = Say::text("Next, how the project is set up, and whether anything is uncommitted.");
    let difference = Action::Shell("git diff --unified=0 --no-color".to_owned());
    let difference = if tree.has("package.json") {
        let results =
            replay.act_all(&say, &[Action::Read("package.json".to_owned()), difference])?;
        let mut results = results.into_iter();
        let manifest = results.next().unwrap_or_default();
        tree.texts.insert(
            "package.json".to_owned(),
            super::super::observation::file_text(&manifest),
        );
        tree.keep_manifest();
        results.next().unwrap_or_default()
    } else {
        replay.act(&say, &difference)?
    };
    Ok(parse(&difference))
}

/// Puts the leftovers back if tests fail. Answers whether there was something to put back.
pub(super) fn put_back(
    replay: &mut Replay<'_>,
    leftovers: &[Leftover],
    report: &Report,
) -> Step<bool> {
    if leftovers.is_empty() || report.green() {
        return Ok(false);
    }
    let mut any = false;
    for leftover in leftovers {
        let path = &leftover.path;
        let say = Say::text(format!(
            "`{path}` has an uncommitted change of one operator on line {}. It looks like an attempt that was broken \
             off, so I put that line back and start from the committed code.",
            leftover.line
        ));
        let text =
            super::super::observation::file_text(&replay.act(&say, &Action::Read(path.clone()))?);
        if let Some(undone) = leftover.undone(&text) {
            let say = Say::text(format!("Putting line {} of `{path}` back.", leftover.line));
            any |= !edit_failed(&replay.act(&say, &edit(path, &text, &undone))?);
        }
    }
    Ok(any)
}

/// The changes of one line for one in a diff without context, as far as they look like attempts.
fn parse(diff: &str) -> Vec<Leftover> {
    let mut found = Vec::new();
    let mut path = String::new();
    let mut lines = diff.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("+++ b/") {
            path = name.to_owned();
        } else if let Some(header) = line.strip_prefix("@@ -") {
            let old = lines
                .next_if(|line| line.starts_with('-'))
                .and_then(|line| line.strip_prefix('-'));
            let new = lines
                .next_if(|line| line.starts_with('+'))
                .and_then(|line| line.strip_prefix('+'));
            let alone = lines
                .peek()
                .is_none_or(|next| next.starts_with("@@") || next.starts_with("diff "));
            let number = header
                .split('+')
                .nth(1)
                .and_then(|rest| rest.split([' ', ',']).next()?.parse().ok());
            if let (Some(old), Some(new), Some(line)) = (old, new, number)
                && alone
                && is_code(&path)
                && !is_test(&path)
                && nearly_same(old, new)
            {
                let (committed, now) = (old.to_owned(), new.to_owned());
                found.push(Leftover {
                    path: path.clone(),
                    line,
                    committed,
                    now,
                });
            }
        }
    }
    found
}

/// Whether two lines differ in a few neighbouring tokens only.
fn nearly_same(one: &str, other: &str) -> bool {
    let (one, other) = (tokens(one), tokens(other));
    let same =
        |(a, b): &(&crate::javascript::Token<'_>, &crate::javascript::Token<'_>)| a.text == b.text;
    let head = one.iter().zip(&other).take_while(same).count();
    let tail = one
        .iter()
        .rev()
        .zip(other.iter().rev())
        .take_while(same)
        .count();
    let longer = one.len().max(other.len());
    head + tail > 0 && longer.saturating_sub(head + tail) <= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_told_from_somebodys_work() {
        let diff = |path: &str, old: &str, new: &str| {
            format!(
                "diff --git a/{path} b/{path}\nindex 1..2 100644\n--- a/{path}\n+++ b/{path}\n@@ -7 +7 @@ function\n{old}{new}"
            )
        };
        let attempt = diff("src/a.js", "-  return a < b;\n", "+  return a <= b;\n");
        let expect = Leftover {
            path: "src/a.js".into(),
            line: 7,
            committed: "  return a < b;".into(),
            now: "  return a <= b;".into(),
        };
        assert_eq!(parse(&attempt), std::slice::from_ref(&expect));
        assert_eq!(
            expect.undone("1\n2\n3\n4\n5\n6\n  return a <= b;\n"),
            Some("1\n2\n3\n4\n5\n6\n  return a < b;\n".into())
        );
        assert_eq!(
            parse(&diff(
                "src/a.js",
                "-  return a < b;\n",
                "+  const c = load(a);\n"
            )),
            []
        );
        assert_eq!(
            parse(&diff(
                "src/a.js",
                "-  return a < b;\n",
                "+  return a <= b;\n+  more();\n"
            )),
            []
        );
        assert_eq!(parse(&diff("README.md", "-a < b\n", "+a <= b\n")), []);
        assert_eq!(parse("fatal: not a git repository"), []);
    }
}
