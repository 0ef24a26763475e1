//! The job "make the failing tests pass".
//!
//! Look around, run the tests, read what fails and the code it reaches, then try small changes one at a time, the
//! likeliest first, running the tests after each and putting back what did not help. The only verdict that counts is
//! the tests': nothing is called fixed before a run without failures that has no fewer tests than the first.

use super::observation::edit_failed;
use super::replay::{Replay, Say, Step};
use super::toolbox::Action;
use super::tree::Tree;
use crate::repair::mutations::Mutation;
use crate::repair::project::{Project, imports, is_code, is_test};
use crate::repair::ranking::{Effect, Ranking};
use crate::repair::report::{self, Failure, Report};
use crate::wire::Reply;

mod leftovers;
mod search;
mod telling;

/// Changes tried one at a time before a script tries the rest.
const MOST_BY_HAND: usize = 4;
/// Changes tried one at a time when the script cannot run.
const MOST_ATTEMPTS: usize = 25;
/// Changes that the script tries, in as many runs as it takes within [`MOST_RUNS`].
const MOST_SEARCHED: usize = 400;
/// Runs of the script.
const MOST_RUNS: usize = 5;
/// Files read beside the tests.
const MOST_FILES: usize = 30;
/// Test files read beside the failing ones.
const MOST_OTHER_TESTS: usize = 12;
/// Edits that a tool may refuse before giving up.
const MOST_REFUSED: usize = 3;

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
    read_code(replay, &mut tree, &first)?;
    let texts = tree.texts.clone();
    let project = Project::new(&texts);
    Attempts {
        replay,
        project: &project,
        command: &command,
        first: &first,
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
fn run_tests(replay: &mut Replay<'_>, command: &str, say: &Say) -> Step<Result<Report, String>> {
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

/// Reads the failing tests, then what they import, step by step.
fn read_code(replay: &mut Replay<'_>, tree: &mut Tree, report: &Report) -> Step<()> {
    let mut files: Vec<String> = report
        .failures
        .iter()
        .filter_map(|failure| test_file(tree, failure))
        .collect();
    files.sort();
    files.dedup();
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
    Ok(())
}

/// How many changes were tried.
#[derive(Debug, Default)]
struct Tally {
    /// One at a time, in the work tree.
    by_hand: usize,
    /// By the script, in a scratch copy.
    by_script: usize,
}

struct Attempts<'r, 't, 'p> {
    replay: &'r mut Replay<'t>,
    project: &'p Project<'p>,
    command: &'p str,
    first: &'p Report,
    refused: usize,
}

impl Attempts<'_, '_, '_> {
    fn run(mut self) -> Step<Reply> {
        let mut ranking = Ranking::new(self.project, self.first);
        if ranking.len() == 0 {
            return Ok(last(telling::nothing_to_try(self.first)));
        }
        let mut tally = Tally::default();
        if let Some(fixed) = self.by_hand(&mut ranking, &mut tally, MOST_BY_HAND)? {
            return Ok(fixed);
        }
        let (fixed, searched) = self.by_script(&mut ranking, &mut tally)?;
        if let Some(fixed) = fixed {
            return Ok(fixed);
        }
        if !searched && let Some(fixed) = self.by_hand(&mut ranking, &mut tally, MOST_ATTEMPTS)? {
            return Ok(fixed);
        }
        Ok(last(telling::gave_up(self.first, &tally)))
    }

    /// Tries changes one at a time in the work tree, and puts the last one back when none helped.
    fn by_hand(
        &mut self,
        ranking: &mut Ranking,
        tally: &mut Tally,
        most: usize,
    ) -> Step<Option<Reply>> {
        let mut applied: Option<Mutation> = None;
        while tally.by_hand < most {
            let Some(mutation) = ranking.next() else {
                break;
            };
            let say = telling::attempt(self.project, &mutation, tally.by_hand, ranking, self.first);
            let accepted = self.change(&say, applied.as_ref(), Some(&mutation))?;
            applied = accepted.then(|| mutation.clone());
            if !accepted {
                self.refused += 1;
                if self.refused >= MOST_REFUSED {
                    return Ok(Some(last(telling::edits_refused(self.refused))));
                }
                continue;
            }
            tally.by_hand += 1;
            match self.verdict(&mutation, tally)? {
                Ok(fixed) => return Ok(Some(fixed)),
                Err(effect) => ranking.learn(&mutation, effect),
            }
        }
        if let Some(mutation) = applied {
            self.change(
                &Say::text("That was not it either. Putting it back."),
                Some(&mutation),
                None,
            )?;
        }
        Ok(None)
    }

    /// Runs the tests on a change that was made: the last words if they pass, or else its effect.
    fn verdict(&mut self, mutation: &Mutation, tally: &Tally) -> Step<Result<Reply, Effect>> {
        let say = Say::text("Running the tests again.");
        let run = run_tests(self.replay, self.command, &say)?.unwrap_or_default();
        if run.green() && run.passed >= self.first.passed + self.first.failed {
            return Ok(Ok(last(telling::fixed(
                self.project,
                mutation,
                self.first,
                &run,
                tally,
                self.command,
            ))));
        }
        Ok(Err(self.effect(&run)))
    }

    /// Lets a script try the rest in a scratch copy. Answers the last words if one helped, and whether it could run.
    fn by_script(
        &mut self,
        ranking: &mut Ranking,
        tally: &mut Tally,
    ) -> Step<(Option<Reply>, bool)> {
        let mut waiting: Vec<Mutation> = std::iter::from_fn(|| ranking.next())
            .take(MOST_SEARCHED)
            .collect();
        for run in 0..MOST_RUNS {
            if waiting.is_empty() {
                break;
            }
            let say = telling::searching(waiting.len(), run);
            let command = search::command(self.project, self.command, &waiting);
            let output = self.replay.act(&say, &Action::Shell(command))?;
            let Some(found) = search::found(&output) else {
                ranking.put_back(waiting);
                return Ok((None, run > 0));
            };
            tally.by_script += found.tried;
            let Some(passing) = found.passing.filter(|at| *at < waiting.len()) else {
                waiting.drain(..found.tried.min(waiting.len()));
                continue;
            };
            let mutation = waiting.remove(passing);
            waiting.drain(..passing);
            let say = telling::attempt(
                self.project,
                &mutation,
                tally.by_hand + 1,
                ranking,
                self.first,
            );
            if self.change(&say, None, Some(&mutation))? {
                if let Ok(fixed) = self.verdict(&mutation, tally)? {
                    return Ok((Some(fixed), true));
                }
                self.change(
                    &Say::text("Here it does not help. Putting it back."),
                    Some(&mutation),
                    None,
                )?;
            }
        }
        Ok((None, true))
    }

    fn effect(&self, run: &Report) -> Effect {
        let failed_before = |name: &str| {
            self.first
                .failures
                .iter()
                .any(|failure| failure.name == name)
        };
        if run
            .failures
            .iter()
            .any(|failure| !failed_before(&failure.name))
            || run.passed == 0
        {
            Effect::Worse
        } else if run.signature() == self.first.signature() {
            Effect::None
        } else {
            Effect::Changed
        }
    }

    /// Takes one change out of the files and puts another one in. Answers whether the new one is in.
    fn change(&mut self, say: &Say, out: Option<&Mutation>, into: Option<&Mutation>) -> Step<bool> {
        let text = |mutation: &Mutation| {
            self.project
                .sources
                .get(mutation.source)
                .map_or("", |source| source.text)
        };
        let path = |mutation: &Mutation| {
            self.project
                .sources
                .get(mutation.source)
                .map_or("", |source| source.path)
        };
        if let (Some(out), Some(into)) = (out, into) {
            let line = |mutation: &Mutation| {
                (
                    mutation.source,
                    text(mutation)
                        .get(..mutation.start)
                        .map(|t| t.matches('\n').count()),
                )
            };
            if line(out) == line(into) {
                // One edit of the same line does both.
                let edit = edit(path(into), &out.apply(text(out)), &into.apply(text(into)));
                return Ok(!edit_failed(&self.replay.act(say, &edit)?));
            }
        }
        if let Some(out) = out {
            let back = Say::text(if into.is_some() {
                "That was not it. Putting it back."
            } else {
                say.text.as_str()
            });
            self.replay
                .act(&back, &edit(path(out), &out.apply(text(out)), text(out)))?;
        }
        match into {
            Some(into) => {
                let edit = edit(path(into), text(into), &into.apply(text(into)));
                Ok(!edit_failed(&self.replay.act(say, &edit)?))
            }
            None => Ok(false),
        }
    }
}

/// The edit that turns one text of a file into another: the lines that differ, and as many around them as it takes to
/// name a place that occurs once.
fn edit(path: &str, before: &str, after: &str) -> Action {
    let (old_lines, new_lines): (Vec<&str>, Vec<&str>) = (
        before.split_inclusive('\n').collect(),
        after.split_inclusive('\n').collect(),
    );
    let same = |(a, b): &(&&str, &&str)| a == b;
    let shorter = old_lines.len().min(new_lines.len());
    let mut head = old_lines
        .iter()
        .zip(&new_lines)
        .take_while(same)
        .count()
        .min(shorter);
    let mut tail = old_lines
        .iter()
        .rev()
        .zip(new_lines.iter().rev())
        .take_while(same)
        .count()
        .min(shorter - head);
    loop {
        let middle = |lines: &[&str]| {
            let end = lines.len() - tail;
            lines
                .get(head..end)
                .map(<[&str]>::concat)
                .unwrap_or_default()
        };
        let (old, new) = (middle(&old_lines), middle(&new_lines));
        let once = !old.is_empty() && before.matches(old.as_str()).count() == 1;
        if once || (head == 0 && tail == 0) {
            // Without the last line break: some tools read a file without it.
            let trim = |text: String| {
                text.strip_suffix('\n')
                    .map_or_else(|| text.clone(), str::to_owned)
            };
            let (short_old, short_new) = (trim(old.clone()), trim(new.clone()));
            let (old, new) = if before.matches(short_old.as_str()).count() == 1 {
                (short_old, short_new)
            } else {
                (old, new)
            };
            return Action::Edit {
                path: path.to_owned(),
                old,
                new,
                whole: after.to_owned(),
            };
        }
        head = head.saturating_sub(1);
        tail = tail.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_names_a_place_that_occurs_once() {
        let check = |before: &str, after: &str, expect: (&str, &str)| {
            let Action::Edit {
                old, new, whole, ..
            } = edit("a.js", before, after)
            else {
                panic!()
            };
            assert_eq!((old.as_str(), new.as_str()), expect);
            assert_eq!(before.replacen(&old, &new, 1), after);
            assert_eq!(whole, after);
        };
        check("a\nb\nc\n", "a\nB\nc\n", ("b", "B"));
        check(
            "x\n  if (a)\n    return;\n  if (a)\n    stop;\n",
            "x\n  if (a)\n    return;\n  if (!a)\n    stop;\n",
            (
                "    return;\n  if (a)\n    stop;",
                "    return;\n  if (!a)\n    stop;",
            ),
        );
        check("bb\nb\nc", "bb\nB\nc", ("bb\nb\nc", "bb\nB\nc"));
    }
}
