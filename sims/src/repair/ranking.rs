//! Which change to try next.
//!
//! Each change has a score: how common its kind of mistake is, how close its place is to the failing tests, and what
//! the failure itself suggests (two numbers that differ by one speak for an offset, a test named "the last day" for a
//! boundary). Every attempt teaches: a change that altered the failure is in the right neighbourhood, one that left it
//! as it was is not.

use std::collections::{BTreeMap, BTreeSet};

use super::clues::{Clues, Suspicion};
use super::mutations::{Class, Mutation, Numbers, mutations};
use super::project::{Project, UnitRef, is_test};
use super::report::{Failure, Report};
use crate::javascript::{Kind, UnitKind};

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The failing tests fail as before.
    None,
    /// They fail in another way.
    Changed,
    /// They still fail, and others do now.
    Worse,
}

/// The changes with their scores.
#[derive(Debug)]
pub(crate) struct Ranking {
    waiting: Vec<(Mutation, i32, usize)>,
}

impl Ranking {
    /// Ranks every change to code that the failing tests reach.
    pub(crate) fn new(project: &Project<'_>, report: &Report) -> Self {
        let mut depths: BTreeMap<UnitRef, usize> = BTreeMap::new();
        let mut clues = Clues::new(&report.failures);
        for failure in &report.failures {
            for (unit, depth) in reach(project, failure, &mut clues) {
                depths
                    .entry(unit)
                    .and_modify(|known| *known = depth.min(*known))
                    .or_insert(depth);
            }
        }
        let suspicion = Suspicion::new(project, report);
        let thrown = thrown_lines(project, &report.failures);
        let numbers = Numbers {
            named: documented_numbers(project, &depths),
            ratios: clues.ratios(),
        };

        let all = mutations(project, |unit| depths.contains_key(&unit), &numbers);
        let mut waiting: Vec<(Mutation, i32, usize)> = Vec::new();
        for mutation in all {
            let Some((source, unit)) = project.unit(mutation.unit) else {
                continue;
            };
            let mut score = mutation.class.prior() + clues.score(project, &mutation);
            let depth = depths.get(&mutation.unit).copied().unwrap_or(1);
            score -= i32::try_from(depth).unwrap_or(0) * 2;
            score += suspicion.of(mutation.unit);
            if unit.kind == UnitKind::Class {
                score -= 10;
            }
            let line = source.line(mutation.start);
            if thrown
                .iter()
                .any(|(at, thrown)| *at == mutation.source && (line..line + 3).contains(thrown))
            {
                score += 30;
            }
            if mutation.class == Class::Number {
                let original = mutation.original(source.text).parse().unwrap_or(0);
                let scaled = numbers
                    .scaled(original)
                    .iter()
                    .any(|x| x.to_string() == mutation.replacement);
                score += if scaled { 24 } else { 0 };
                score -= if numbers.named.contains(&mutation.replacement) {
                    6
                } else {
                    0
                };
            }
            let order = waiting.len();
            waiting.push((mutation, score, order));
        }
        let mut ranking = Self { waiting };
        ranking.sort();
        ranking
    }

    fn sort(&mut self) {
        self.waiting
            .sort_by_key(|(_, score, order)| (std::cmp::Reverse(*score), *order));
    }

    /// How many changes are left.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes the most likely change.
    pub(crate) fn next(&mut self) -> Option<Mutation> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0).0)
    }

    /// Takes back changes that were taken and not tried, in this order.
    pub(crate) fn put_back(&mut self, untried: Vec<Mutation>) {
        self.waiting = untried
            .into_iter()
            .enumerate()
            .map(|(order, mutation)| (mutation, 0, order))
            .collect();
    }

    /// The definitions that the first changes lie in, each once, the likeliest first.
    pub(crate) fn suspects(&self, most: usize) -> Vec<UnitRef> {
        let mut found: Vec<UnitRef> = Vec::new();
        for (mutation, _, _) in &self.waiting {
            if !found.contains(&mutation.unit) {
                found.push(mutation.unit);
            }
        }
        found.truncate(most);
        found
    }

    /// Learns from an attempt.
    pub(crate) fn learn(&mut self, tried: &Mutation, effect: Effect) {
        for (other, score, _) in &mut self.waiting {
            let same_place = other.source == tried.source && other.start.abs_diff(tried.start) < 40;
            let same_unit = other.unit == tried.unit;
            *score += match effect {
                Effect::Changed if same_unit => 8,
                Effect::Worse if same_unit => 2,
                Effect::None if same_place => -8,
                Effect::None if same_unit => -4,
                _ => 0,
            };
            if effect == Effect::None && other.class == tried.class && same_unit {
                *score -= 2;
            }
        }
        self.sort();
    }
}

fn reach(project: &Project<'_>, failure: &Failure, clues: &mut Clues) -> BTreeMap<UnitRef, usize> {
    let place = project.test(&failure.name).or_else(|| {
        // A test whose name is computed: its whole file.
        let frame = failure.location.iter().chain(&failure.frames).next()?;
        let at = project
            .sources
            .iter()
            .position(|source| is_test(source.path) && frame.file.ends_with(source.path))?;
        Some((at, 0..project.sources.get(at)?.tokens.len()))
    });
    let Some((source, range)) = place else {
        return BTreeMap::new();
    };
    if let Some(tokens) = project
        .sources
        .get(source)
        .and_then(|source| source.tokens.get(range.clone()))
    {
        let numbers = tokens.iter().filter(|token| token.kind == Kind::Number);
        clues
            .test_numbers
            .extend(numbers.map(|token| token.text.to_owned()));
    }
    project.reach(source, range)
}

/// Lines of the code that stand in the failures' stacks.
fn thrown_lines(project: &Project<'_>, failures: &[Failure]) -> BTreeSet<(usize, usize)> {
    let frames = failures.iter().flat_map(|failure| &failure.frames);
    frames
        .filter_map(|frame| {
            let ends = |path: &str| {
                frame
                    .file
                    .strip_suffix(path)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
            };
            let at = project
                .sources
                .iter()
                .position(|source| ends(source.path) && !is_test(source.path))?;
            Some((at, frame.line))
        })
        .collect()
}

/// Numbers that the comments of the reached definitions name.
fn documented_numbers(project: &Project<'_>, depths: &BTreeMap<UnitRef, usize>) -> Vec<String> {
    let mut numbers: Vec<String> = Vec::new();
    for unit in depths.keys() {
        let Some((_, unit)) = project.unit(*unit) else {
            continue;
        };
        for word in unit.doc.split(|c: char| !c.is_ascii_digit()) {
            if !word.is_empty() && word.len() < 8 && !numbers.iter().any(|known| known == word) {
                numbers.push(word.to_owned());
            }
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(code: &str, test: &str, failure: Failure) -> Vec<String> {
        let files = BTreeMap::from([
            ("src/a.js".to_owned(), code.to_owned()),
            ("test/a.test.js".to_owned(), test.to_owned()),
        ]);
        let project = Project::new(&files);
        let report = Report {
            failed: 1,
            failures: vec![failure],
            ..Report::default()
        };
        let mut ranking = Ranking::new(&project, &report);
        std::iter::from_fn(|| ranking.next())
            .map(|mutation| mutation.apply(code))
            .collect()
    }

    #[test]
    fn a_boundary_is_tried_first_when_the_test_speaks_of_it() {
        let code = "export const f = (x) => x * 2 < 10 && x > 0;";
        let failure = Failure {
            name: "exactly ten is still small".into(),
            expected: "true".into(),
            actual: "false".into(),
            ..Failure::default()
        };
        let first = ranked(
            code,
            "test('exactly ten is still small', () => f(10))",
            failure,
        )
        .remove(0);
        assert_eq!(first, "export const f = (x) => x * 2 <= 10 && x > 0;");
    }

    #[test]
    fn a_wrong_order_is_tried_first_when_the_items_are_the_same() {
        let code =
            "export const f = (all, n) => all.filter((x) => x.n > n).sort((a, b) => b.n - a.n);";
        let failure = Failure {
            name: "all of them".into(),
            expected: "0: 1\n1: 2".into(),
            actual: "0: 2\n1: 1".into(),
            ..Failure::default()
        };
        let first = ranked(code, "test('all of them', () => f())", failure).remove(0);
        assert_eq!(first, code.replace("b.n - a.n", "a.n - b.n"));
    }
}
