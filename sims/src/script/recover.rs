//! The job "run this command until it succeeds".
//!
//! Run it, read what it says, put in place what it misses, run it again. What can be put in place is what the
//! repository shows how to make: a file with an example beside it, a folder that is written to, the right to execute.

use std::sync::LazyLock;

use regex::Regex;

use super::observation::{fixed, groups};
use super::replay::{Replay, Say, Step};
use super::toolbox::{Action, quote};
use super::tree::Tree;
use crate::conversation::Reply;

/// Runs of the command in one job.
const MOST_RUNS: usize = 6;

/// What examples of a file are called.
const EXAMPLES: [&str; 4] = [".example", ".sample", ".template", ".dist"];

/// The command that a person wants to succeed, if that is what they ask for.
pub(super) fn asked(text: &str) -> Option<String> {
    static ASKED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        fixed(r"(?is)\brun\s+`([^`]+)`.*\b(?:succeeds?|missing|misses|lacks?|recover)\b")
    });
    Some(groups(&ASKED, text)?.get(1)?.as_str().to_owned())
}

fn last(text: String) -> Reply {
    Reply {
        text,
        ..Reply::default()
    }
}

/// Whether a command's result says that it failed.
fn failed(result: &str) -> bool {
    static FAILED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        fixed(
            r"(?i)\Aerror: |exit(?:ed)?(?: with)?(?: code| status)?:? *[1-9]\d*|\bended by signal \d+",
        )
    });
    groups(&FAILED, result).is_some()
}

/// The line that says why, and the path that it names.
fn complaint<'t>(result: &'t str, pattern: &Option<Regex>) -> Option<(&'t str, &'t str)> {
    result
        .lines()
        .find_map(|line| Some((line.trim(), groups(pattern, line)?.get(1)?.as_str())))
}

/// A command that puts in place what is missing, and why it should help.
fn remedy(result: &str, tree: &Tree) -> Option<(String, String)> {
    static MISSING: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"['‘]?([\w./-]+)['’]?: No such file or directory"));
    static DENIED: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"['‘]?([\w./-]+)['’]?: Permission denied"));
    if let Some((line, path)) = complaint(result, &DENIED) {
        let why = format!("It says \"{line}\": the file may not be executed.");
        return Some((format!("chmod +x {}", quote(path)), why));
    }
    let (line, path) = complaint(result, &MISSING)?;
    let plain = path.trim_start_matches("./");
    let example = EXAMPLES
        .iter()
        .map(|ending| format!("{plain}{ending}"))
        .find(|example| tree.has(example));
    if let Some(example) = example {
        let why = format!("It says \"{line}\", and `{example}` shows what belongs there.");
        return Some((format!("cp {} {}", quote(&example), quote(plain)), why));
    }
    let (folder, _) = plain.rsplit_once('/')?;
    let inside = format!("{folder}/");
    if tree.files.iter().any(|file| file.starts_with(&inside)) {
        return None;
    }
    let why = format!("It says \"{line}\": the folder `{folder}` is missing.");
    Some((format!("mkdir -p {}", quote(folder)), why))
}

/// Does the job as far as the conversation allows.
pub(super) fn run(replay: &mut Replay<'_>, command: &str) -> Step<Reply> {
    let say = Say::text("First a look at what is here.");
    let tree = Tree::list(replay, &say)?;
    let mut done: Vec<String> = Vec::new();
    for run in 1..=MOST_RUNS {
        let say = Say::text(match run {
            1 => format!("Running `{command}`."),
            _ => format!("Running `{command}` again."),
        });
        let result = replay.act(&say, &Action::Shell(command.to_owned()))?;
        if !failed(&result) {
            return Ok(last(match done.as_slice() {
                [] => format!("`{command}` succeeded at once; nothing was missing."),
                done => format!(
                    "`{command}` succeeds now, at run {run}. What it took: `{}`.",
                    done.join("`, `")
                ),
            }));
        }
        let told = result.lines().rfind(|line| !line.trim().is_empty());
        let told = told.unwrap_or_default().trim().to_owned();
        let Some((remedy, why)) = remedy(&result, &tree).filter(|(r, _)| !done.contains(r)) else {
            return Ok(last(format!(
                "`{command}` still fails, and I do not know what it lacks: \"{told}\". I am a scripted model and put in \
                 place only files with an example beside them, folders and the right to execute."
            )));
        };
        replay.act(&Say::text(why), &Action::Shell(remedy.clone()))?;
        done.push(remedy);
    }
    Ok(last(format!(
        "`{command}` still fails after {MOST_RUNS} runs; I stop here."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_from_the_words() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(asked(text).as_deref(), expected, "{text}");
        };
        check("Run `sh build.sh` until it succeeds.", Some("sh build.sh"));
        check(
            "Please run `make all` and add whatever is missing",
            Some("make all"),
        );
        check("Run `node --test` and fix the failing test.", None);
        check("Where is `run` missing?", None);
    }

    #[test]
    fn what_was_not_run_has_not_succeeded() {
        for result in ["error: not run: there is nobody to ask", "x\n[exit code 2]"] {
            assert!(failed(result), "{result}");
        }
        assert!(!failed("0 errors\n[no output]"));
    }

    #[test]
    fn a_remedy_is_read_from_the_complaint() {
        let tree = Tree {
            files: vec!["settings.ini.example".into(), "src/a.txt".into()],
            ..Tree::default()
        };
        let check = |result: &str, expected: Option<&str>| {
            let found = remedy(result, &tree).map(|(remedy, _)| remedy);
            assert_eq!(found.as_deref(), expected, "{result}");
        };
        check(
            "cat: settings.ini: No such file or directory",
            Some("cp settings.ini.example settings.ini"),
        );
        check(
            "cp: cannot create regular file 'out/a.txt': No such file or directory",
            Some("mkdir -p out"),
        );
        check(
            "bash: ./build.sh: Permission denied",
            Some("chmod +x ./build.sh"),
        );
        check("cat: src/b.txt: No such file or directory", None);
        check("it broke", None);
    }
}
