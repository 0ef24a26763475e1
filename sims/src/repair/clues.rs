//! What a failure suggests: by its values, by the words of the test and of the comments, by who reaches what.

use std::collections::{BTreeMap, BTreeSet};

use super::mutations::{Class, Mutation};
use super::project::{Project, Source, UnitRef};
use super::report::{Failure, Report};
use crate::javascript::{Kind, Token};

/// What the failing tests say, gathered once.
pub(super) struct Clues {
    words: BTreeSet<String>,
    topics: Vec<Class>,
    /// Numbers that the failing tests write.
    pub(super) test_numbers: BTreeSet<String>,
    values: Vec<(String, String)>,
}

/// Words in a test's name or a comment that speak for a kind of mistake.
const TOPICS: &[(Class, &[&str])] = &[
    (
        Class::Boundary,
        &[
            "exactly",
            "boundary",
            "inclusive",
            "exclusive",
            "least",
            "most",
            "up to",
            "last",
            "limit",
            "edge",
            "until",
            "first",
            "within",
            "belongs",
            "starts at",
            "threshold",
            "or more",
            "or less",
            "or fewer",
            "reaches",
            "itself",
        ],
    ),
    (
        Class::Rounding,
        &["round", "half", "nearest", "whole", "cent", "up to a"],
    ),
    (
        Class::Order,
        &[
            "order",
            "sort",
            "oldest",
            "newest",
            "earliest",
            "latest",
            "ascending",
            "descending",
            "rank",
        ],
    ),
    (
        Class::Extreme,
        &[
            "largest", "smallest", "at most", "at least", "cap", "maximum", "minimum", "never",
            "below", "above",
        ],
    ),
    (
        Class::Negation,
        &["not", "without", "unless", "except", "ignore", "skip"],
    ),
    (
        Class::Logic,
        &[
            "both", "either", "neither", "unless", "only", "also", "open",
        ],
    ),
    (
        Class::Arithmetic,
        &[
            "total",
            "sum",
            "difference",
            "after",
            "before",
            "adds",
            "lower",
            "subtract",
            "balance",
        ],
    ),
    (
        Class::Offset,
        &["off by", "count", "index", "length", "number of", "days"],
    ),
];

impl Clues {
    pub(super) fn new(failures: &[Failure]) -> Self {
        let names: String = failures
            .iter()
            .map(|f| f.name.to_lowercase())
            .collect::<Vec<_>>()
            .join(" / ");
        Self {
            words: stems(&names),
            topics: topics(&names),
            test_numbers: BTreeSet::new(),
            values: failures
                .iter()
                .map(|f| (f.expected.clone(), f.actual.clone()))
                .collect(),
        }
    }

    /// Each expected number divided by the actual one.
    pub(super) fn ratios(&self) -> Vec<f64> {
        let pairs = self
            .values
            .iter()
            .filter_map(|(expected, actual)| Some((number(expected)?, number(actual)?)));
        pairs
            .filter(|(expected, actual)| *actual != 0.0 && expected != actual)
            .map(|(e, a)| e / a)
            .collect()
    }

    /// What the clues say for or against a change.
    pub(super) fn score(&self, project: &Project<'_>, mutation: &Mutation) -> i32 {
        let Some((source, unit)) = project.unit(mutation.unit) else {
            return 0;
        };
        let mut score = 0;
        let mut known = stems(&unit.doc);
        known.extend(stems(&unit.name));
        let shared = self.words.intersection(&known).count();
        score += i32::try_from(shared).unwrap_or(0).min(4) * 4;
        let line = source.text.lines().nth(source.line(mutation.start) - 1);
        let on_line = self
            .words
            .intersection(&stems(line.unwrap_or_default()))
            .count();
        score += i32::try_from(on_line).unwrap_or(0).min(3) * 5;
        if self.topics.contains(&mutation.class) {
            score += 12;
        }
        if topics(&unit.doc.to_lowercase()).contains(&mutation.class) {
            score += 8;
        }
        if matches!(mutation.class, Class::Boundary)
            && self.compares_a_tested_number(project, source, mutation)
        {
            score += 15;
        }
        score
            + self
                .values
                .iter()
                .map(|(expected, actual)| values_speak_for(mutation.class, expected, actual))
                .sum::<i32>()
    }

    /// Whether a number that the test writes stands beside the comparison, by itself or as a named constant.
    fn compares_a_tested_number(
        &self,
        project: &Project<'_>,
        source: &Source<'_>,
        mutation: &Mutation,
    ) -> bool {
        let at = source
            .tokens
            .iter()
            .position(|token| token.start == mutation.start);
        let around = at
            .map(|at| at.saturating_sub(3)..at + 4)
            .and_then(|range| source.tokens.get(range));
        around
            .unwrap_or_default()
            .iter()
            .any(|token: &Token<'_>| match token.kind {
                Kind::Number => token.text.len() > 1 && self.test_numbers.contains(token.text),
                Kind::Word => project
                    .number(token.text)
                    .is_some_and(|number| self.test_numbers.contains(number)),
                _ => false,
            })
    }
}

fn values_speak_for(class: Class, expected: &str, actual: &str) -> i32 {
    if let (Some(expected), Some(actual)) = (number(expected), number(actual)) {
        let difference = (expected - actual).abs();
        let near_one = (difference - 1.0).abs() < 1e-9;
        return match class {
            Class::Offset | Class::Number if near_one => 14,
            Class::Rounding if difference <= 1.0 => 20,
            Class::Boundary if near_one => 6,
            Class::Arithmetic | Class::Order if expected == -actual && expected != 0.0 => 24,
            Class::Arithmetic if difference > 1.0 => 8,
            Class::Rounding if difference > 5.0 => -16,
            Class::Extreme if difference > 1.0 => 4,
            _ => 0,
        };
    }
    if matches!((expected, actual), ("true", "false") | ("false", "true")) {
        return match class {
            Class::Boundary | Class::Logic | Class::Equality => 12,
            Class::Truth | Class::Negation | Class::Direction => 8,
            Class::Rounding | Class::Arithmetic => -8,
            _ => 0,
        };
    }
    let sorted = |text: &str| {
        let mut items: Vec<String> = text
            .split([',', '\n'])
            .map(|item| {
                item.trim()
                    .trim_start_matches(|c: char| c.is_ascii_digit() || c == ':')
                    .trim()
                    .to_owned()
            })
            .collect();
        items.sort();
        items
    };
    if !expected.is_empty() && expected != actual && sorted(expected) == sorted(actual) {
        return if class == Class::Order { 36 } else { -8 };
    }
    if actual == "undefined" || expected == "undefined" {
        return if matches!(
            class,
            Class::Boundary | Class::Offset | Class::Direction | Class::Equality
        ) {
            6
        } else {
            0
        };
    }
    0
}

fn number(text: &str) -> Option<f64> {
    text.trim().trim_end_matches('n').parse().ok()
}

fn topics(text: &str) -> Vec<Class> {
    let speaks = |words: &[&str]| words.iter().any(|word| text.contains(word));
    TOPICS
        .iter()
        .filter(|(_, words)| speaks(words))
        .map(|(class, _)| *class)
        .collect()
}

/// The words of a text or of a name like `daysLate`, without endings, so that `rounds` meets `rounding`.
fn stems(text: &str) -> BTreeSet<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut lower_before = false;
    for c in text.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && lower_before) {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        lower_before = c.is_lowercase();
    }
    words.push(word);
    let common = [
        "the", "and", "for", "with", "that", "from", "this", "its", "are", "one", "has", "not",
    ];
    words
        .into_iter()
        .filter(|word| word.len() > 2 && !common.contains(&word.as_str()))
        .map(|word| {
            let stem = ["ings", "ing", "ies", "es", "ed", "s"]
                .iter()
                .find_map(|ending| {
                    word.strip_suffix(ending)
                        .filter(|stem| stem.len() > 2)
                        .map(str::to_owned)
                });
            stem.unwrap_or(word)
        })
        .collect()
}

/// How much more the failing tests use a definition than the passing ones do.
pub(super) struct Suspicion {
    failing: BTreeMap<UnitRef, usize>,
    passing: BTreeMap<UnitRef, usize>,
    failed: usize,
}

impl Suspicion {
    pub(super) fn new(project: &Project<'_>, report: &Report) -> Self {
        let count = |names: &mut dyn Iterator<Item = &String>| {
            let mut counts: BTreeMap<UnitRef, usize> = BTreeMap::new();
            for (source, range) in names.filter_map(|name| project.test(name)) {
                for unit in project.reach(source, range).into_keys() {
                    *counts.entry(unit).or_default() += 1;
                }
            }
            counts
        };
        Self {
            failing: count(&mut report.failures.iter().map(|failure| &failure.name)),
            passing: count(&mut report.passing.iter()),
            failed: report.failures.len().max(1),
        }
    }

    /// Ochiai's measure, from 0 to 40.
    pub(super) fn of(&self, unit: UnitRef) -> i32 {
        let count = |counts: &BTreeMap<UnitRef, usize>| counts.get(&unit).copied().unwrap_or(0);
        let (failing, passing) = (count(&self.failing), count(&self.passing));
        // Tenths are enough, and whole numbers are the same everywhere.
        let square = 1600 * failing * failing / (self.failed * (failing + passing).max(1));
        i32::try_from(square.isqrt()).unwrap_or(0)
    }
}
