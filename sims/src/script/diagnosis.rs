//! The job "find out why the tests fail, and write it down".
//!
//! The diagnosis is that of a question about the tests; here its answer goes into a file, and nothing else changes.

use std::sync::LazyLock;

use regex::Regex;

use super::fix;
use super::observation::{fixed, groups};
use super::replay::{Replay, Say, Step};
use super::toolbox::Action;
use crate::conversation::Reply;

/// The file into which a person wants a diagnosis written, if that is what they ask for.
pub(super) fn asked(text: &str) -> Option<String> {
    static ASKED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        fixed(
            r"(?is)\b(?:diagnos\w*|find out why|why)\b.*\bwrite\b.*?`?\b([\w./-]+\.(?:md|txt))\b`?",
        )
    });
    Some(groups(&ASKED, text)?.get(1)?.as_str().to_owned())
}

/// Does the job as far as the conversation allows.
pub(super) fn run(replay: &mut Replay<'_>, file: &str) -> Step<Reply> {
    let found = fix::diagnose(replay)?;
    let page = format!("# Why the tests fail\n\n{}\n", found.text.trim_end());
    let say = Say::text(format!("Writing what I found to `{file}`."));
    let action = Action::Write {
        path: file.to_owned(),
        text: page,
    };
    replay.act(&say, &action)?;
    Ok(Reply {
        text: format!(
            "{}\n\nI wrote this to `{file}` and changed nothing else.",
            found.text.trim_end()
        ),
        ..Reply::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_from_the_words() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(asked(text).as_deref(), expected, "{text}");
        };
        check(
            "Diagnose the failing test and write what you find to `DIAGNOSIS.md`.",
            Some("DIAGNOSIS.md"),
        );
        check(
            "Find out why a test fails; write it into docs/why.txt",
            Some("docs/why.txt"),
        );
        check("Why does the test fail?", None);
    }
}
