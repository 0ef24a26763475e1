//! The job "rename a name everywhere".
//!
//! Search for the name, make sure that the new one is not taken, change each file in one edit, search again, and run
//! the tests if there are any. A name is a whole word: `bandFor` is not in `bandForm`.

use std::sync::LazyLock;

use regex::Regex;

use super::fix;
use super::fix::edit::edit;
use super::observation::{edit_failed, fixed, groups, hits};
use super::replay::{Replay, Say, Step};
use super::toolbox::Action;
use super::tree::Tree;
use crate::conversation::Reply;

/// Files changed in one job.
const MOST_FILES: usize = 40;

/// From what to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Renaming {
    old: String,
    new: String,
}

impl Renaming {
    /// The renaming that a person asks for, if they do.
    pub(super) fn asked(text: &str) -> Option<Self> {
        static ASKED: LazyLock<Option<Regex>> = LazyLock::new(|| {
            fixed(
                r"(?is)\brename\b.*?`?\b([a-z_$][\w$]*)\b(?:\(\))?`?\s+(?:to|into|as)\s+`?([a-z_$][\w$]*)\b",
            )
        });
        let found = groups(&ASKED, text)?;
        Some(Self {
            old: found.get(1)?.as_str().to_owned(),
            new: found.get(2)?.as_str().to_owned(),
        })
    }
}

/// A name as a whole word.
fn word(name: &str) -> Option<Regex> {
    fixed(&format!(r"\b{}\b", regex::escape(name)))
}

fn last(text: String) -> Reply {
    Reply {
        text,
        ..Reply::default()
    }
}

/// The files in which a name occurs as it is written, sorted.
fn files_with(replay: &mut Replay<'_>, say: &Say, name: &str) -> Step<Vec<String>> {
    let pattern = format!(r"\b{}\b", regex::escape(name));
    let result = replay.act(say, &Action::Search(pattern))?;
    let name = word(name);
    let mut files: Vec<String> = hits(&result)
        .into_iter()
        // The search ignores case.
        .filter(|hit| name.as_ref().is_some_and(|name| name.is_match(&hit.text)))
        .map(|hit| hit.path)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// Does the job as far as the conversation allows.
pub(super) fn run(replay: &mut Replay<'_>, renaming: &Renaming) -> Step<Reply> {
    let Renaming { old, new } = renaming;
    let say = Say::text(format!("Looking for every place that says `{old}`."));
    let files = files_with(replay, &say, old)?;
    if files.is_empty() {
        return Ok(last(format!(
            "I found no `{old}` in this repository, so there is nothing to rename. I have changed nothing."
        )));
    }
    if files.len() > MOST_FILES {
        return Ok(last(format!(
            "`{old}` occurs in {} files; I change at most {MOST_FILES} at once. I have changed nothing.",
            files.len()
        )));
    }
    let say = Say::text(format!("Making sure that nothing is called `{new}` yet."));
    let taken = files_with(replay, &say, new)?;
    if let Some(file) = taken.first() {
        return Ok(last(format!(
            "`{new}` is a name already, in `{file}`: renaming would make two things one. I have changed nothing."
        )));
    }
    let mut tree = Tree::default();
    let say = Say::text(format!("It occurs in {} files. Reading them.", files.len()));
    tree.read(replay, &say, &files)?;
    let changed = change(replay, &tree, renaming)?;
    let say = Say::text("Searching again, to see that none is left.");
    let left = files_with(replay, &say, old)?;
    if !left.is_empty() {
        return Ok(last(format!(
            "I renamed `{old}` to `{new}` in {changed}, but it is still in `{}`: the edit was refused there.",
            left.join("`, `")
        )));
    }
    let verdict = tests(replay)?;
    Ok(last(format!(
        "I renamed `{old}` to `{new}` in {changed}. A search finds no `{old}` any more. {verdict}"
    )))
}

/// Changes every file that was read; where, for people.
fn change(replay: &mut Replay<'_>, tree: &Tree, renaming: &Renaming) -> Step<String> {
    let Renaming { old, new } = renaming;
    let Some(name) = word(old) else {
        return Ok("no file".to_owned());
    };
    let mut places = Vec::new();
    for (path, text) in &tree.texts {
        let count = name.find_iter(text).count();
        if count == 0 {
            continue;
        }
        let after = name.replace_all(text, regex::NoExpand(new));
        let say = Say::text(format!("Renaming it in `{path}`: {count} times."));
        let done = replay.act(&say, &edit(path, text, &after))?;
        if !edit_failed(&done) {
            places.push(format!("`{path}` ({count})"));
        }
    }
    Ok(places.join(", "))
}

/// What the tests say, where there are tests.
fn tests(replay: &mut Replay<'_>) -> Step<String> {
    let say = Say::text("Now the tests, if there are any.");
    let mut tree = Tree::list(replay, &say)?;
    if tree.has("package.json") {
        let manifest = ["package.json".to_owned()];
        let say = Say::text("The manifest should name the command.");
        tree.read(replay, &say, &manifest)?;
        tree.keep_manifest();
    }
    let Some(command) = tree.test_command() else {
        return Ok("There are no tests that I know how to run.".to_owned());
    };
    let say = Say::text(format!("Running `{command}`."));
    Ok(match fix::run_tests(replay, &command, &say)? {
        Ok(report) if report.green() => format!("All {} tests pass.", report.passed),
        Ok(report) => format!("{} tests fail; they may have failed before.", report.failed),
        Err(_) => format!("I could not read what `{command}` printed."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renaming_is_read_from_the_words() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(old, new)| Renaming {
                old: old.into(),
                new: new.into(),
            });
            assert_eq!(Renaming::asked(text), expected, "{text}");
        };
        check(
            "Rename the function `bandFor` to `bucketOf` everywhere.",
            Some(("bandFor", "bucketOf")),
        );
        check(
            "please rename bandFor() to bucketOf",
            Some(("bandFor", "bucketOf")),
        );
        check("Rename the file", None);
        check("What was bandFor renamed to?", None);
    }
}
