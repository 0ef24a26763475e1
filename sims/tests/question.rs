//! The model answers questions about repositories from what the tools say, through a real socket.

mod support;

use support::Gateway;
use support::agent::{Agent, Tools};
use support::repository::{Repository, replace};

fn check(repository: &Repository, question: &str, expect: &[&str]) {
    let gateway = Gateway::start();
    for tools in [Tools::Separate, Tools::Shell] {
        let mut agent = Agent::new(&gateway, tools, repository.path());
        let answer = agent.work(question);
        for part in expect {
            assert!(
                answer.contains(part),
                "{part} is missing with {tools:?}:\n{answer}"
            );
        }
        assert!(
            !agent
                .called
                .iter()
                .any(|name| name.starts_with("edit") || name.starts_with("write"))
        );
        assert!((1..=16).contains(&agent.called.len()), "{:?}", agent.called);
        assert_eq!(
            agent
                .difference()
                .lines()
                .filter(|line| line.starts_with(['+', '-']))
                .count(),
            0
        );
    }
}

#[test]
fn a_place_is_named_with_an_excerpt_and_its_uses() {
    check(
        &Repository::sample(),
        "Where is the late fee computed?",
        &[
            "**`lateFee`** in `src/fees.js:14`",
            "return Math.max(percentOf(balance, percent), MINIMUM_FEE);",
            "src/statement.js:18",
        ],
    );
    check(
        &Repository::sample(),
        "What does `bandFor` do?",
        &[
            "**`bandFor`** in `src/ageing.js:18`",
            "\"The band for a number of days late.\"",
            "`BANDS` (`src/ageing.js:4`)",
        ],
    );
}

#[test]
fn other_names_and_files_give_other_answers() {
    let renamed = Repository::changed(|mut files| {
        replace(&mut files, "lateFee", "overdueCharge");
        replace(&mut files, "late fee", "overdue charge");
        replace(&mut files, "fees.js", "charges.js");
        for (path, _) in &mut files {
            *path = path.replace("src/fees.js", "src/charges.js");
        }
        files
    });
    check(
        &renamed,
        "Where is the overdue charge calculated?",
        &["**`overdueCharge`** in `src/charges.js:14`"],
    );
    check(&renamed, "Where is the late fee computed?", &["src/"]);
}

#[test]
fn uses_files_and_the_project_are_described() {
    let sample = Repository::sample();
    check(
        &sample,
        "Who calls percentOf?",
        &[
            "`src/invoice.js:21`",
            "`src/invoice.js:32`",
            "`src/fees.js:19`",
        ],
    );
    check(
        &sample,
        "What is in src/dates.js?",
        &["`addDays(day, count)` (line 15)", "counted in UTC"],
    );
    check(
        &sample,
        "What is this project about?",
        &["Invoices, payment terms", "`node --test`"],
    );
    check(
        &sample,
        "How do I run the tests?",
        &["## Tests", "node --test"],
    );
}

#[test]
fn a_question_about_failing_tests_runs_them_and_changes_nothing() {
    check(
        &Repository::sample(),
        "Which tests are failing, and why?",
        &[
            "1 of 10 tests fail",
            "the last day of a band belongs to it",
            "`test/statement.test.js:23`",
            "`bandFor` (`src/ageing.js:18`)",
            "I have changed nothing",
        ],
    );
}

#[test]
fn nothing_is_made_up() {
    let sample = Repository::sample();
    check(
        &sample,
        "Where is the quantum flux normalised?",
        &["I found nothing"],
    );
    check(
        &sample,
        "Rewrite everything in Haskell",
        &["I have not done this", "scripted model"],
    );
}
