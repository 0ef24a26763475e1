//! Small repositories made for one kind of work each. Beside them there is the sample under
//! `demo/` ([`crate::repository::sample`]).

use std::path::{Path, PathBuf};

use crate::repository::{create, git};
use crate::{Result, ensure};

/// What is asked of an agent about [`book`]. The scripted model does it in seven requests: a look
/// around, three runs of the command with a remedy after each of the first two, and an account.
pub const BUILD: &str = "Run `sh build.sh` until it succeeds; put in place whatever is missing.";

/// A book that a shell script builds, and that cannot be built: its settings are only there as an
/// example, and the folder that it builds into is missing. Each run of the script leaves a line in
/// `runs.log`, so that what an agent commits tells how often it ran.
///
/// # Errors
/// When git or the file system refuses.
pub fn book(directory: &Path, name: &str) -> Result<PathBuf> {
    let build = "# Builds the book, and notes each run.\n\
        set -e\n\
        echo run >> runs.log\n\
        cat settings.ini > title.txt\n\
        cat title.txt chapters/*.txt > book.txt\n\
        cp book.txt out/book.txt\n\
        echo built\n";
    let files = [
        ("build.sh", build),
        ("settings.ini.example", "A book\n"),
        ("chapters/1.txt", "Once.\n"),
        ("chapters/2.txt", "The end.\n"),
    ];
    create(directory, name, &files)
}

/// Requires that the book is built on a branch, and that the script ran three times for it: no run
/// was lost, none was doubled.
///
/// # Errors
/// When it is not so.
pub fn check_book(repository: &Path, branch: &str) -> Result {
    let show = |path: &str| git(repository, &["show", &format!("{branch}:{path}")]);
    let (book, runs) = (show("out/book.txt")?, show("runs.log")?);
    ensure(
        book == "A book\nOnce.\nThe end." && runs == "run\nrun\nrun",
        || format!("the book is {book:?} after these runs: {runs:?}"),
    )
}
