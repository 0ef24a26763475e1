//! What the model says while it repairs. Every sentence states what was seen or what is being done; guesses are called
//! guesses.

use super::super::replay::Say;
use super::attempts::Tally;
use super::leftovers::Leftover;
use crate::javascript::UnitKind;
use crate::repair::mutations::{Class, Mutation};
use crate::repair::project::Project;
use crate::repair::ranking::Ranking;
use crate::repair::report::{Failure, Report};

fn tests(count: usize) -> String {
    if count == 1 {
        "1 test".to_owned()
    } else {
        format!("{count} tests")
    }
}

fn code_list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("`{item}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// A value on one line, cut if it is long.
fn short(value: &str) -> String {
    let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 60 {
        line
    } else {
        format!("{}…", line.chars().take(60).collect::<String>())
    }
}

/// A test's name; a file that stands for its tests is named without the folders above.
fn shown(name: &str) -> String {
    if !name.starts_with('/') {
        return name.to_owned();
    }
    let parts: Vec<&str> = name.rsplit('/').take(2).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

fn outcome(failure: &Failure) -> String {
    if failure.expected.is_empty() && failure.actual.is_empty() {
        short(&failure.message)
    } else {
        format!(
            "expected `{}`, got `{}`",
            short(&failure.expected),
            short(&failure.actual)
        )
    }
}

pub(super) fn failing(report: &Report, files: &[String]) -> Say {
    let total = report.passed + report.failed;
    let mut text = format!(
        "{} of {total} {}:",
        report.failed,
        if report.failed == 1 { "fails" } else { "fail" }
    );
    if report.failures.len() == 1 {
        if let Some(failure) = report.failures.first() {
            text.push_str(&format!(
                " **{}** ({}).",
                shown(&failure.name),
                outcome(failure)
            ));
        }
    } else {
        for failure in report.failures.iter().take(6) {
            text.push_str(&format!(
                "\n- **{}** ({})",
                shown(&failure.name),
                outcome(failure)
            ));
        }
        text.push('\n');
    }
    text.push_str(&format!(" Reading {}.", code_list(files)));
    Say::text(text)
}

pub(super) fn following(from: &[String], next: &[String], other_tests: usize) -> Say {
    if next.is_empty() {
        return Say::text("Reading the tests that pass, to see what already works.");
    }
    let what = if from.len() == 1 {
        code_list(from)
    } else {
        "These files".to_owned()
    };
    let verb = if from.len() == 1 { "imports" } else { "import" };
    // The other tests are read along with the first imports only.
    let also = if other_tests > 0
        && from
            .iter()
            .all(|file| crate::repair::project::is_test(file))
    {
        " Following that, and reading the tests that pass, to see what already works."
    } else {
        " Following that."
    };
    Say::text(format!("{what} {verb} {}.{also}", code_list(next)))
}

pub(super) fn searching(count: usize, run: usize) -> Say {
    if run > 0 {
        return Say::text(format!("None so far. Going on with the remaining {count}."));
    }
    Say::text(format!(
        "The likeliest changes did not help. A script can try the other {count} faster, each in a scratch copy of the \
         repository, so that nothing here changes meanwhile."
    ))
}

pub(super) fn attempt(
    project: &Project<'_>,
    mutation: &Mutation,
    tried: usize,
    ranking: &Ranking,
    report: &Report,
) -> Say {
    let Some((source, unit)) = project.unit(mutation.unit) else {
        return Say::default();
    };
    let place = format!("`{}:{}`", source.path, source.line(mutation.start));
    let subject = match unit.kind {
        UnitKind::Function | UnitKind::Class => format!("`{}` in {place}", unit.name),
        UnitKind::Constant => format!("The constant `{}` in {place}", unit.name),
    };
    let text = format!("{subject}: {}", guess(mutation, source.text));
    if tried > 0 {
        return Say::text(text);
    }
    let others: Vec<String> = ranking
        .suspects(4)
        .into_iter()
        .filter_map(|other| project.unit(other))
        .map(|(_, unit)| unit.name.clone())
        .filter(|name| *name != unit.name)
        .collect();
    let mut reasoning = match report.failures.first() {
        Some(failure) => format!("The failing test says: {}. ", outcome(failure)),
        None => String::new(),
    };
    reasoning.push_str(&format!(
        "The code it reaches has {} places where one small slip could do that. ",
        ranking.len() + 1
    ));
    reasoning.push_str(&format!("`{}` is the likeliest", unit.name));
    if others.is_empty() {
        reasoning.push('.');
    } else {
        reasoning.push_str(&format!("; {} come after it.", code_list(&others)));
    }
    Say::thinking(reasoning, text)
}

/// The suspicion behind a change, as a sentence.
fn guess(mutation: &Mutation, text: &str) -> String {
    let (from, to) = (short(mutation.original(text)), short(&mutation.replacement));
    match mutation.class {
        Class::Boundary if to.len() > from.len() => {
            format!("`{from}` leaves the limit itself out. Letting it in with `{to}`.")
        }
        Class::Boundary => {
            format!("`{from}` lets the limit itself in. Leaving it out with `{to}`.")
        }
        Class::Direction => {
            format!("the comparison may point the wrong way. Trying `{to}` for `{from}`.")
        }
        Class::Equality => {
            format!("the condition may be turned around. Trying `{to}` for `{from}`.")
        }
        Class::Logic => format!("`{from}` may join the conditions the wrong way. Trying `{to}`."),
        Class::Arithmetic if to.is_empty() => {
            format!("the sign may be wrong. Trying it without `{from}`.")
        }
        Class::Arithmetic => {
            format!("the calculation may be turned around. Trying `{to}` for `{from}`.")
        }
        Class::Order => format!("`{from}` may be in the wrong order. Trying `{to}`."),
        Class::Offset if from.is_empty() => {
            format!("this may be off by one. Trying it with `{to}`.")
        }
        Class::Offset if to.is_empty() => {
            format!("`{from}` may be one too many. Trying it without.")
        }
        Class::Offset => format!("this may be off by one. Trying `{to}` for `{from}`."),
        Class::Number => format!("the number {from} may be wrong. Trying {to}."),
        Class::Rounding => format!("this may round the wrong way. Trying `{to}` for `{from}`."),
        Class::Extreme => format!("this may pick the wrong end. Trying `{to}` for `{from}`."),
        Class::Truth => format!("the answer may be the wrong one. Trying `{to}` for `{from}`."),
        Class::Negation if to.is_empty() => {
            "the condition may be turned around. Trying it without `!`.".to_owned()
        }
        Class::Negation => "the condition may be turned around. Trying it with `!`.".to_owned(),
        Class::Counterpart => format!("`{to}` may be meant where it says `{from}`. Trying that."),
        Class::Name => format!("`{to}` may be meant where it says `{from}`. Trying that."),
        Class::Counter => format!("the counter may run the wrong way. Trying `{to}` for `{from}`."),
    }
}

/// What the mistake was, once the tests have confirmed it.
fn cause(mutation: &Mutation, text: &str) -> String {
    let (from, to) = (short(mutation.original(text)), short(&mutation.replacement));
    match mutation.class {
        Class::Boundary if to.len() > from.len() => {
            format!("compared with `{from}`, which left the limit itself out")
        }
        Class::Boundary => format!("compared with `{from}`, which let the limit itself in"),
        Class::Offset if from.is_empty() => "was off by one".to_owned(),
        Class::Negation if to.is_empty() => "had a condition turned around by a `!`".to_owned(),
        Class::Negation => "had a condition that lacked a `!`".to_owned(),
        _ if to.is_empty() => format!("had `{from}` where the tests want nothing"),
        _ => format!("had `{from}` where the tests want `{to}`"),
    }
}

pub(super) fn fixed(
    project: &Project<'_>,
    mutation: &Mutation,
    first: &Report,
    run: &Report,
    tally: &Tally,
    command: &str,
) -> String {
    let Some((source, unit)) = project.unit(mutation.unit) else {
        return String::new();
    };
    let line = source.line(mutation.start);
    let changed = mutation.apply(source.text);
    let line_of = |text: &str| {
        text.lines()
            .nth(line - 1)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let before = first.failed;
    let mut text = format!(
        "The tests pass. `{}` in `{}:{line}` {}.\n\n```diff\n- {}\n+ {}\n```\n\n",
        unit.name,
        source.path,
        cause(mutation, source.text),
        line_of(source.text),
        line_of(&changed),
    );
    text.push_str(&format!(
        "`{command}`: {} passed, {} failed (before: {} passed, {before} failed).",
        run.passed, run.failed, first.passed
    ));
    let others = tally
        .by_hand
        .saturating_sub(usize::from(tally.by_script == 0));
    if others > 0 {
        let changes = if others == 1 {
            "1 other change".to_owned()
        } else {
            format!("{others} other changes")
        };
        text.push_str(&format!(
            " I tried {changes} first and put {} back.",
            if others == 1 { "it" } else { "them" }
        ));
    }
    if tally.by_script > 0 {
        text.push_str(&format!(
            " A script then tried {} in a scratch copy.",
            tally.by_script
        ));
    }
    text
}

pub(super) fn all_pass(command: &str, run: &Report) -> String {
    format!("No test fails: `{command}` reports {} passed.", run.passed)
}

/// What fails and where it may come from, without a change.
pub(super) fn diagnosis(project: &Project<'_>, report: &Report, ranking: &Ranking) -> String {
    let total = report.passed + report.failed;
    let mut text = format!("{} of {} fail:\n", report.failed, tests(total));
    for failure in report.failures.iter().take(10) {
        let place = project.test(&failure.name).and_then(|(source, range)| {
            let source = project.sources.get(source)?;
            Some(format!(
                " in `{}:{}`",
                source.path,
                source.line(source.tokens.get(range.start)?.start)
            ))
        });
        text.push_str(&format!(
            "- **{}**{}: {}\n",
            shown(&failure.name),
            place.unwrap_or_default(),
            outcome(failure)
        ));
    }
    let suspects: Vec<String> = ranking
        .suspects(3)
        .into_iter()
        .filter_map(|unit| project.unit(unit))
        .map(|(source, unit)| {
            format!(
                "`{}` (`{}:{}`)",
                unit.name,
                source.path,
                source.line(unit.span.start)
            )
        })
        .collect();
    if !suspects.is_empty() {
        text.push_str(&format!(
            "\nBy what they reach and what they expect, I would look first at {}.",
            suspects.join(", ")
        ));
    }
    text.push_str(" I have changed nothing.");
    text
}

pub(super) fn unreadable(command: &str, output: &str) -> String {
    let tail: Vec<&str> = output.lines().rev().take(6).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    format!(
        "I ran `{command}`, but could not read a result from what it printed, so I stop here. The end of it was:\n\n```\n{}\n```",
        tail.join("\n")
    )
}

pub(super) fn nothing_to_do(command: &str, run: &Report, leftovers: &[Leftover]) -> String {
    let mut text = format!(
        "There is nothing to repair: `{command}` reports {} passed and none failed.",
        run.passed
    );
    for change in leftovers {
        text.push_str(&format!(
            " Line {} of `{}` has an uncommitted change (`{}`, before: `{}`); the tests pass with it.",
            change.line,
            change.path,
            change.now.trim(),
            change.committed.trim()
        ));
    }
    text
}

pub(super) fn leftover_was_the_cause(leftovers: &[Leftover], run: &Report) -> String {
    let places: Vec<String> = leftovers
        .iter()
        .map(|change| format!("{}:{}", change.path, change.line))
        .collect();
    format!(
        "The tests pass on the committed code: {} passed, none failed. They failed because of an uncommitted change in \
         {}, which I have put back.",
        run.passed,
        code_list(&places)
    )
}

pub(super) fn nothing_to_try(report: &Report) -> String {
    format!(
        "{} of {} fail, but I found no place in the code they reach where a small change could be the repair. I am a \
         scripted model and look for slips of one operator, number or call; this needs more. I have changed nothing.",
        report.failed,
        tests(report.passed + report.failed)
    )
}

pub(super) fn cannot_be_parsed(report: &Report) -> String {
    let messages: Vec<String> = report
        .failures
        .iter()
        .map(|failure| short(&failure.message))
        .collect();
    format!(
        "The code cannot be parsed: {}. I am a scripted model and look for slips in code that runs, so I stop here. I \
         have changed nothing.",
        code_list(&messages)
    )
}

pub(super) fn edits_refused(count: usize) -> String {
    format!(
        "I stop here: the edit tool refused {count} changes, so I cannot try a repair. The files are as they were."
    )
}

pub(super) fn gave_up(report: &Report, tally: &Tally) -> String {
    let names: Vec<String> = report
        .failures
        .iter()
        .map(|failure| failure.name.clone())
        .collect();
    let searched = match tally.by_script {
        0 => String::new(),
        count => format!(", and a script tried {count} more in a scratch copy"),
    };
    format!(
        "I did not find the repair. I tried {} small changes in the code that the failing tests reach{searched}. None \
         made the tests pass, and I have put every one of them back. Still failing: {}. I am a scripted model and look \
         for slips of one operator, number, name or call; this one seems to need more than that.",
        tally.by_hand,
        code_list(&names)
    )
}
