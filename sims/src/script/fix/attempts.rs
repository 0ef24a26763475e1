//! Trying changes: the likeliest by hand, one at a time, the rest by a script in a scratch copy.

use super::edit::edit;
use super::{last, run_tests, search, telling};
use crate::conversation::Reply;
use crate::repair::mutations::Mutation;
use crate::repair::project::Project;
use crate::repair::ranking::{Effect, Ranking};
use crate::repair::report::Report;
use crate::script::observation::edit_failed;
use crate::script::replay::{Replay, Say, Step};
use crate::script::toolbox::Action;

/// Changes tried one at a time before a script tries the rest.
const MOST_BY_HAND: usize = 4;
/// Changes tried one at a time when the script cannot run.
const MOST_ATTEMPTS: usize = 25;
/// Changes that the script tries, in as many runs as it takes within [`MOST_RUNS`].
const MOST_SEARCHED: usize = 400;
/// Runs of the script.
const MOST_RUNS: usize = 5;
/// Edits that a tool may refuse before giving up.
const MOST_REFUSED: usize = 3;

/// How many changes were tried.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// One at a time, in the work tree.
    pub(super) by_hand: usize,
    /// By the script, in a scratch copy.
    pub(super) by_script: usize,
}

/// The search for the repair.
pub(super) struct Attempts<'r, 't, 'p> {
    pub(super) replay: &'r mut Replay<'t>,
    pub(super) project: &'p Project<'p>,
    /// Runs the tests.
    pub(super) command: &'p str,
    /// The run before any change.
    pub(super) first: &'p Report,
    /// The test files that fail.
    pub(super) failing: &'p [String],
    /// Edits that the tool refused so far.
    pub(super) refused: usize,
}

impl Attempts<'_, '_, '_> {
    pub(super) fn run(mut self) -> Step<Reply> {
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
            let command = search::command(self.project, self.command, self.failing, &waiting);
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
