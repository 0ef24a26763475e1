//! The model repairs repositories with real test runs, through a real socket.

mod support;

use support::Gateway;
use support::agent::{Agent, Tools};
use support::repository::{Repository, replace};

const TASK: &str = "Fix the failing test.";

/// Lets the model repair a repository and requires green tests, one changed line and a true account of it.
fn check(repository: &Repository, tools: Tools, path: &str, repaired: &str) {
    let gateway = Gateway::start();
    let mut agent = Agent::new(&gateway, tools, repository.path());
    assert!(
        !agent.tests_pass(),
        "the repository must be broken to begin with"
    );
    let last = agent.work(TASK);
    assert!(agent.tests_pass(), "{last}");
    assert_eq!(
        agent.difference().lines().count(),
        2,
        "one line out, one line in: {}",
        agent.difference()
    );
    assert!(repository.read(path).contains(repaired), "{last}");
    let line = repository
        .read(path)
        .lines()
        .position(|line| line.contains(repaired))
        .unwrap_or_default()
        + 1;
    assert!(last.contains(&format!("`{path}:{line}`")), "{last}");
    assert!(last.contains("0 failed (before:"), "{last}");
    assert!(
        agent.reasoning.contains("is the likeliest"),
        "{}",
        agent.reasoning
    );
}

#[test]
fn the_sample_is_repaired() {
    check(
        &Repository::sample(),
        Tools::Separate,
        "src/ageing.js",
        "days <= band.lastDay",
    );
}

#[test]
fn the_sample_is_repaired_with_an_editor_and_a_shell() {
    check(
        &Repository::sample(),
        Tools::Shell,
        "src/ageing.js",
        "days <= band.lastDay",
    );
}

/// The sample with other files and names, its mistake repaired, and another one made.
fn renamed(right: &str, wrong: &str) -> Repository {
    Repository::changed(|mut files| {
        replace(&mut files, "days < band.lastDay", "days <= band.lastDay");
        replace(&mut files, right, wrong);
        for (from, to) in [
            ("ageing", "lateness"),
            ("bandFor", "bracketOf"),
            ("BANDS", "BRACKETS"),
            ("band", "bracket"),
            ("lastDay", "upTo"),
            ("daysLate", "overdueDays"),
            ("lateFee", "surcharge"),
            ("fees.js", "surcharges.js"),
            ("volumeDiscount", "rebate"),
            ("discounts.js", "rebates.js"),
            ("buildStatement", "summarise"),
            ("statement.js", "summary.js"),
            ("statement.test", "overview.test"),
            ("addDays", "later"),
            ("dates.js", "calendar.js"),
            ("money.js", "cents.js"),
            ("invoice.js", "bill.js"),
            ("../src/", "../lib/"),
            ("./src/", "./lib/"),
        ] {
            for (path, text) in &mut files {
                *path = path.replace(from, to);
                *text = text.replace(from, to);
            }
        }
        for (path, _) in &mut files {
            *path = path.replace("src/", "lib/");
        }
        files
    })
}

#[test]
fn a_boundary_elsewhere_under_other_names_is_repaired() {
    check(
        &renamed("quantity >= from", "quantity > from"),
        Tools::Separate,
        "lib/rebates.js",
        "quantity >= from",
    );
}

#[test]
fn a_calculation_elsewhere_under_other_names_is_repaired() {
    let broken = renamed("toTimestamp(day) + count", "toTimestamp(day) - count");
    check(
        &broken,
        Tools::Shell,
        "lib/calendar.js",
        "toTimestamp(day) + count",
    );
}

#[test]
fn an_order_elsewhere_under_other_names_is_repaired() {
    let broken = renamed("a.due.localeCompare(b.due)", "b.due.localeCompare(a.due)");
    check(
        &broken,
        Tools::Separate,
        "lib/summary.js",
        "a.due.localeCompare(b.due)",
    );
}

#[test]
fn a_choice_elsewhere_under_other_names_is_repaired() {
    let broken = renamed("Math.max(percentOf", "Math.min(percentOf");
    check(
        &broken,
        Tools::Separate,
        "lib/surcharges.js",
        "Math.max(percentOf",
    );
}

#[test]
fn a_mistake_that_stops_the_tests_from_loading_is_repaired() {
    let broken = renamed("if (!match)", "if (match)");
    check(&broken, Tools::Separate, "lib/cents.js", "if (!match)");
}

/// Another program: CommonJS, classes, suites, no manifest.
const QUEUE: &str = r"'use strict';

class Queue {
  constructor(limit) {
    this.limit = limit;
    this.items = [];
  }

  get full() {
    return this.items.length >= this.limit;
  }

  add(item, urgent = false) {
    if (this.full) {
      throw new Error('full');
    }
    if (urgent) {
      this.items.unshift(item);
    } else {
      this.items.push(item);
    }
    return this.items.length;
  }
}

module.exports = { Queue };
";

const QUEUE_TEST: &str = r"const { describe, it } = require('node:test');
const assert = require('node:assert');
const { Queue } = require('../queue.cjs');

describe('a queue', () => {
  it('takes as many as its limit', () => {
    const queue = new Queue(2);
    queue.add('a');
    queue.add('b');
    assert.throws(() => queue.add('c'), /full/);
  });

  it('puts the urgent ones first', () => {
    const queue = new Queue(3);
    queue.add('a');
    queue.add('b', true);
    assert.deepStrictEqual(queue.items, ['b', 'a']);
  });
});
";

fn queue(broken: &str) -> Repository {
    let code = QUEUE;
    let test = QUEUE_TEST;
    let wrong = match broken {
        "limit" => code.replace("length >= this.limit", "length > this.limit"),
        "urgent" => code.replace("if (urgent)", "if (!urgent)"),
        "lost" => code.replace("      this.items.unshift(item);\n", ""),
        "syntax" => code.replace("return this.items.length;", "return this.items.;"),
        _ => code.to_owned(),
    };
    assert!(wrong != code || broken == "nothing");
    Repository::of(vec![
        ("queue.cjs".into(), wrong),
        ("test/queue.test.cjs".into(), test.into()),
    ])
}

#[test]
fn classes_suites_and_common_js_are_understood() {
    check(
        &queue("limit"),
        Tools::Separate,
        "queue.cjs",
        "length >= this.limit",
    );
    check(&queue("urgent"), Tools::Shell, "queue.cjs", "if (urgent)");
}

#[test]
fn what_cannot_be_repaired_is_admitted_and_nothing_is_left_changed() {
    let gateway = Gateway::start();
    for (broken, expect) in [
        ("lost", "I did not find the repair"),
        ("syntax", "cannot be parsed"),
    ] {
        let repository = queue(broken);
        let mut agent = Agent::new(&gateway, Tools::Separate, repository.path());
        let last = agent.work(TASK);
        assert!(last.contains(expect), "{last}");
        assert!(!last.contains("tests pass."), "{last}");
        assert!(!agent.tests_pass());
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
fn when_nothing_fails_nothing_is_changed() {
    let gateway = Gateway::start();
    let repository = queue("nothing");
    let mut agent = Agent::new(&gateway, Tools::Separate, repository.path());
    let last = agent.work(TASK);
    assert!(
        last.contains("nothing to repair") && last.contains("2 passed"),
        "{last}"
    );
    assert!(!agent.called.iter().any(|name| name == "edit_file"));
}

#[test]
fn an_attempt_that_was_broken_off_is_put_back_first() {
    let repository = Repository::sample();
    let text = repository.read("src/statement.js");
    repository.write(
        "src/statement.js",
        &text.replace("balanceDue(invoice) > 0", "balanceDue(invoice) >= 0"),
    );
    check(
        &repository,
        Tools::Separate,
        "src/ageing.js",
        "days <= band.lastDay",
    );
    assert_eq!(repository.read("src/statement.js"), text);
}

#[test]
fn a_follow_up_in_the_same_conversation_is_a_job_of_its_own() {
    let gateway = Gateway::start();
    let repository = Repository::sample();
    let mut agent = Agent::new(&gateway, Tools::Separate, repository.path());
    agent.work(TASK);
    let answer = agent.work("Where is the late fee computed?");
    assert!(answer.contains("`src/fees.js:14`"), "{answer}");
    let again = agent.work(TASK);
    assert!(again.contains("nothing to repair"), "{again}");
}
