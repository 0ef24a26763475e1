//! The model renames, recovers and diagnoses with real tools, through a real socket.

mod support;

use support::Gateway;
use support::agent::{Agent, Tools};
use support::repository::{Repository, replace};

/// Lets the model work with each kind of tools; its last words, and what `look` says of the result.
fn work(
    repository: impl Fn() -> Repository,
    task: &str,
    look: impl Fn(&Repository, &Agent<'_>, &str),
) {
    let gateway = Gateway::start();
    for tools in [Tools::Separate, Tools::Shell] {
        let repository = repository();
        let mut agent = Agent::new(&gateway, tools, repository.path());
        let last = agent.work(task);
        look(&repository, &agent, &last);
    }
}

fn mended() -> Repository {
    Repository::changed(|mut files| {
        replace(&mut files, "days < band.lastDay", "days <= band.lastDay");
        files.push((
            "src/form.js".into(),
            "export const bandForm = 'bandFor';\n".into(),
        ));
        files
    })
}

#[test]
fn a_name_is_changed_everywhere_and_nowhere_else() {
    let task = "Rename the function `bandFor` to `bucketOf` everywhere.";
    work(mended, task, |repository, agent, last| {
        assert!(agent.tests_pass(), "{last}");
        let form = repository.read("src/form.js");
        assert_eq!(form, "export const bandForm = 'bucketOf';\n");
        for file in ["src/ageing.js", "src/statement.js"] {
            let text = repository.read(file);
            assert!(
                text.contains("bucketOf(") && !text.contains("bandFor("),
                "{text}"
            );
            assert!(last.contains(file), "{last}");
        }
        assert!(last.contains("tests pass"), "{last}");
    });
}

#[test]
fn a_name_that_is_taken_is_not_given_again() {
    let task = "Rename `bandFor` to `percentOf`.";
    work(mended, task, |_, agent, last| {
        assert!(last.contains("`percentOf` is a name already"), "{last}");
        assert_eq!(agent.difference(), "\nexit code: 1", "nothing differs");
    });
}

fn book() -> Repository {
    let build = "set -e\necho run >> runs.log\ncat settings.ini > title.txt\ncp title.txt out/title.txt\necho built\n";
    Repository::of(vec![
        ("build.sh".into(), build.into()),
        ("settings.ini.example".into(), "title = A book\n".into()),
    ])
}

#[test]
fn a_command_gets_what_it_lacks() {
    let task = "Run `sh build.sh` until it succeeds; put in place whatever is missing.";
    work(book, task, |repository, _, last| {
        assert_eq!(repository.read("out/title.txt"), "title = A book\n");
        assert_eq!(repository.read("runs.log"), "run\nrun\nrun\n");
        assert!(last.contains("succeeds now, at run 3"), "{last}");
        assert!(
            last.contains("`cp settings.ini.example settings.ini`, `mkdir -p out`"),
            "{last}"
        );
    });
}

#[test]
fn what_a_command_lacks_may_be_beyond_the_model() {
    let broken = || {
        Repository::of(vec![(
            "build.sh".into(),
            "echo no idea >&2; exit 3\n".into(),
        )])
    };
    let task = "Run `sh build.sh` until it succeeds.";
    work(broken, task, |_, agent, last| {
        assert!(
            last.contains("still fails, and I do not know what it lacks"),
            "{last}"
        );
        assert_eq!(agent.called.len(), 2, "{:?}", agent.called);
    });
}

#[test]
fn a_diagnosis_is_written_down_and_nothing_is_mended() {
    let task = "Diagnose the failing test and write what you find to `DIAGNOSIS.md`.";
    work(Repository::sample, task, |repository, agent, last| {
        let page = repository.read("DIAGNOSIS.md");
        assert!(page.contains("src/ageing.js"), "{page}");
        assert!(last.contains("`DIAGNOSIS.md`"), "{last}");
        assert!(!agent.tests_pass(), "it was not to be mended");
        assert_eq!(
            agent.difference(),
            "\nexit code: 1",
            "no other file differs"
        );
    });
}
