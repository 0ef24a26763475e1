//! The model repairs repositories with real test runs, through a real socket.

mod support;

use support::Gateway;
use support::agent::{Agent, Tools};
use support::repository::{Repository, replace};

/// Lets the model repair a repository and requires green tests, one changed line and a true account of it.
fn check(repository: &Repository, tools: Tools, place: &str, most_edits: usize) {
    let gateway = Gateway::start();
    let mut agent = Agent::new(&gateway, tools, repository.path());
    assert!(
        !agent.tests_pass(),
        "the repository must be broken to begin with"
    );
    let last = agent.work("Fix the failing test.");
    assert!(agent.tests_pass(), "{last}");
    assert_eq!(
        agent.difference().lines().count(),
        2,
        "one line out, one line in: {}",
        agent.difference()
    );
    assert!(last.contains(place), "{last}");
    assert!(last.contains("0 failed (before:"), "{last}");
    let edits = agent
        .called
        .iter()
        .filter(|name| name.starts_with("edit"))
        .count();
    assert!(edits <= most_edits, "{edits} edits");
}

#[test]
fn the_sample_is_repaired() {
    let repository = Repository::sample();
    check(&repository, Tools::Separate, "src/ageing.js:22", 3);
    assert!(
        repository
            .read("src/ageing.js")
            .contains("days <= band.lastDay")
    );
}

#[test]
fn the_sample_is_repaired_with_an_editor_and_a_shell() {
    check(&Repository::sample(), Tools::Shell, "src/ageing.js:22", 3);
}
