//! The job "make the failing tests pass".
//!
//! Look around, run the tests, read what fails and the code it reaches, then try small changes one at a time, the
//! likeliest first, running the tests after each and putting back what did not help. The only verdict that counts is
//! the tests': nothing is called fixed before a run without failures that has no fewer tests than the first.

use self::attempts::Attempts;
use super::replay::{Replay, Say, Step};
use super::toolbox::Action;
use super::tree::Tree;
use crate::conversation::Reply;
use crate::repair::project::{Project, imports, is_code, is_test};
use crate::repair::ranking::Ranking;
use crate::repair::report::{self, Failure, Report};

mod attempts;
pub(super) mod edit;
mod leftovers;
mod search;
mod telling;

/// Files read beside the tests.
const MOST_FILES: usize = 30;
/// Test files read beside the failing ones.
const MOST_OTHER_TESTS: usize = 12;

/// Does the job as far as the conversation allows.
pub(crate) fn run(replay: &mut Replay<'_>) -> Step<Reply> {
    let mut tree = Tree::list(
        replay,
        &Say::text("I'll start by looking at what is in the repository."),
    )?;
    if !replay.toolbox().has_shell() {
        return Ok(last(
            "I cannot do this: I would have to run the tests, and I was given no tool that runs commands.",
        ));
    }
    let leftovers = leftovers::look(replay, &mut tree)?;
    let Some(command) = tree.test_command() else {
        return Ok(last(format!(
            "I found {} files but no tests that I know how to run (I look for a `test` script in `package.json` or for \
             files like `*.test.js`). I am a scripted model and repair JavaScript projects only; I have changed nothing.",
            tree.files.len()
        )));
    };
    let say = Say::text(format!(
        "The tests run with `{command}`. Running them to see what fails."
    ));
    let first = match run_tests(replay, &command, &say)? {
        Ok(report) => report,
        Err(output) => return Ok(last(telling::unreadable(&command, &output))),
    };
    if first.green() {
        return Ok(last(telling::nothing_to_do(&command, &first, &leftovers)));
    }
    let mut first = first;
    if leftovers::put_back(replay, &leftovers, &first)? {
        let say = Say::text("Running the tests on the committed code.");
        match run_tests(replay, &command, &say)? {
            Ok(report) if report.green() => {
                return Ok(last(telling::leftover_was_the_cause(&leftovers, &report)));
            }
            Ok(report) => first = report,
            Err(output) => return Ok(last(telling::unreadable(&command, &output))),
        }
        for change in &leftovers {
            change.undo_in(&mut tree.texts);
        }
    }
    if first
        .failures
        .iter()
        .all(|failure| failure.message.starts_with("SyntaxError"))
    {
        return Ok(last(telling::cannot_be_parsed(&first)));
    }
    let failing = read_code(replay, &mut tree, &first)?;
    let texts = tree.texts.clone();
    let project = Project::new(&texts);
    Attempts {
        replay,
        project: &project,
        command: &command,
        first: &first,
        failing: &failing,
        refused: 0,
    }
    .run()
}

/// Answers whether the tests pass, and if not, what fails; changes nothing.
pub(crate) fn diagnose(replay: &mut Replay<'_>) -> Step<Reply> {
    let mut tree = Tree::list(
        replay,
        &Say::text("I'll see how the tests run, then run them."),
    )?;
    if tree.has("package.json") {
        let manifest = ["package.json".to_owned()];
        tree.read(
            replay,
            &Say::text("The manifest should name the command."),
            &manifest,
        )?;
        tree.keep_manifest();
    }
    let Some(command) = tree.test_command().filter(|_| replay.toolbox().has_shell()) else {
        return Ok(last(
            "I found no tests that I can run here, so I cannot say.",
        ));
    };
    let report = match run_tests(
        replay,
        &command,
        &Say::text(format!("Running `{command}`.")),
    )? {
        Ok(report) if report.failures.is_empty() => {
            return Ok(last(telling::all_pass(&command, &report)));
        }
        Ok(report) => report,
        Err(output) => return Ok(last(telling::unreadable(&command, &output))),
    };
    read_code(replay, &mut tree, &report)?;
    let project = Project::new(&tree.texts);
    Ok(last(telling::diagnosis(
        &project,
        &report,
        &Ranking::new(&project, &report),
    )))
}

/// The answer that ends the job.
fn last(text: impl Into<String>) -> Reply {
    Reply {
        text: text.into(),
        ..Reply::default()
    }
}

/// Runs the tests; the output itself when it cannot be read.
pub(super) fn run_tests(
    replay: &mut Replay<'_>,
    command: &str,
    say: &Say,
) -> Step<Result<Report, String>> {
    let output = replay.act(say, &Action::Shell(command.to_owned()))?;
    Ok(report::parse(&output).ok_or(output))
}

/// The test file of a failure, among the files of the tree.
fn test_file(tree: &Tree, failure: &Failure) -> Option<String> {
    let frames = failure.location.iter().chain(&failure.frames);
    let mut found: Vec<&String> = frames
        .flat_map(|frame| {
            tree.files
                .iter()
                .filter(|file| is_test(file) && frame.file.ends_with(file.as_str()))
        })
        .collect();
    found.sort_by_key(|file| std::cmp::Reverse(file.len()));
    found.first().map(|file| (*file).clone())
}

/// Reads the failing tests, then what they import, step by step. Answers which test files fail, as far as the runner
/// says.
fn read_code(replay: &mut Replay<'_>, tree: &mut Tree, report: &Report) -> Step<Vec<String>> {
    let mut files: Vec<String> = report
        .failures
        .iter()
        .filter_map(|failure| test_file(tree, failure))
        .collect();
    files.sort();
    files.dedup();
    let failing = files.clone();
    if files.is_empty() {
        files = tree
            .files
            .iter()
            .filter(|file| is_test(file) && is_code(file))
            .take(MOST_FILES)
            .cloned()
            .collect();
    }
    tree.read(replay, &telling::failing(report, &files), &files)?;
    // What passes tells where the mistake is not.
    let others = tree
        .files
        .iter()
        .filter(|file| is_test(file) && is_code(file) && !files.contains(file));
    let others: Vec<String> = others.take(MOST_OTHER_TESTS).cloned().collect();
    let mut waiting = files;
    while !waiting.is_empty() {
        let mut next: Vec<String> = Vec::new();
        for file in &waiting {
            let text = tree.texts.get(file).map(String::as_str).unwrap_or_default();
            for import in imports(file, text, &tree.files, tree.package()) {
                if is_code(&import) && !tree.texts.contains_key(&import) && !next.contains(&import)
                {
                    next.push(import);
                }
            }
        }
        next.truncate(MOST_FILES.saturating_sub(tree.texts.len()));
        let say = telling::following(&waiting, &next, others.len());
        let with_tests: Vec<String> = next.iter().chain(&others).cloned().collect();
        tree.read(replay, &say, &with_tests)?;
        waiting = next;
    }
    Ok(failing)
}
