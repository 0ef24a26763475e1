//! What the person asks for: the last message that is theirs, and which kind of job it is.

use std::sync::LazyLock;

use regex::Regex;

use super::observation::{fixed, groups};
use super::rename::Renaming;
use super::{diagnosis, recover};
use crate::conversation::{Message, Role};

/// A kind of job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Job {
    /// Say in this file why tests fail.
    Diagnosis(String),
    /// Call something otherwise, everywhere.
    Rename(Renaming),
    /// Get this command to succeed.
    Recover(String),
    /// Make failing tests pass.
    Repair,
    /// Answer a question about the code.
    Question,
    /// Anything else.
    Other,
}

/// The current task of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    /// The person's words.
    pub(super) text: String,
    pub(super) job: Job,
    /// The first message after the task's.
    pub(super) start: usize,
}

impl Task {
    /// The task that the last message of a person sets. "Go on" and the like take up the task before.
    pub(crate) fn of(messages: &[Message]) -> Self {
        let mut texts = messages
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, message)| message.role == Role::User)
            .map(|(at, message)| (at, own_words(&message.text)))
            .filter(|(_, text)| !text.is_empty());
        let Some((at, whole)) = texts.next() else {
            return Self {
                text: String::new(),
                job: Job::Other,
                start: 0,
            };
        };
        let (before, mut text) = request(&whole);
        if goes_on(&text) {
            let earlier = texts.map(|(_, whole)| request(&whole).1);
            if let Some(earlier) = said(before).chain(earlier).find(|text| !goes_on(text)) {
                text = earlier;
            }
        }
        Self {
            job: job(&text),
            text,
            start: at + 1,
        }
    }
}

/// A message without the blocks in tags that clients add (`<turn-context>…</turn-context>`); the message itself when
/// it is nothing else.
pub(crate) fn own_words(text: &str) -> String {
    static OPENING: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"(?m)^\s*<([a-z][a-z0-9_-]*)(?: [^>]*)?>"));
    let mut rest = text.to_owned();
    while let Some(found) = groups(&OPENING, &rest) {
        let (Some(all), Some(name)) = (found.get(0), found.get(1)) else {
            break;
        };
        let closing = format!("</{}>", name.as_str());
        let end = rest
            .get(all.end()..)
            .and_then(|tail| tail.find(&closing))
            .map(|at| all.end() + at + closing.len());
        let Some(end) = end else { break };
        let without = format!(
            "{}{}",
            rest.get(..all.start()).unwrap_or_default(),
            rest.get(end..).unwrap_or_default()
        );
        rest = without;
    }
    rest.trim().to_owned()
}

/// What a message tells of the conversation before, and what it asks for now: an agent that starts in the middle of a
/// conversation gets both in one message.
fn request(text: &str) -> (&str, String) {
    static NOW: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"(?is)^(.*\n)[^\n]{0,40}\bnow:[ \t]*\n(.*\S.*)$"));
    let found = groups(&NOW, text);
    let parts = found.and_then(|found| Some((found.get(1)?.as_str(), found.get(2)?.as_str())));
    let (before, now) = parts.unwrap_or(("", text));
    (before, now.trim().to_owned())
}

/// What a person said in an account of a conversation, the latest first.
fn said(account: &str) -> impl Iterator<Item = String> {
    let names = ["Person:", "User:", "Human:"];
    let lines = account.lines().rev();
    lines.filter_map(move |line| {
        let words = names.iter().find_map(|name| line.strip_prefix(name))?;
        Some(words.trim().to_owned())
    })
}

fn goes_on(text: &str) -> bool {
    static GO_ON: LazyLock<Option<Regex>> = LazyLock::new(|| {
        fixed(
            r"(?i)^(please )?(continue|go on|go ahead|carry on|keep going|retry|try again|resume|proceed|yes|ok(ay)?)\b.{0,40}$",
        )
    });
    GO_ON
        .as_ref()
        .is_some_and(|go_on| go_on.is_match(text.trim()))
}

fn job(text: &str) -> Job {
    static REPAIR: LazyLock<Option<Regex>> = LazyLock::new(|| {
        fixed(
            r"(?is)\b(fix|repair|solve|correct|debug|mend)\b.*\b(tests?|bugs?|fail\w*|build|suite|broken|errors?|ci|mistake|problem|issue)\b|\b(make|get|bring)\b.*\b(pass\w*|green|work)\b",
        )
    });
    static FAILING: LazyLock<Option<Regex>> = LazyLock::new(|| {
        fixed(
            r"(?is)\b(tests?|suite|build)\b.*\b(fail\w*|broken|red|does not pass|do not pass|don't pass)\b|\bfail\w* tests?\b",
        )
    });
    static QUESTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
        fixed(
            r"(?i)^(please |can you |could you |tell me |i want to know )*(where|what|how|which|who|when|why|does|do|is|are|explain|describe|find|show|list|locate|tell)\b",
        )
    });
    if let Some(file) = diagnosis::asked(text) {
        return Job::Diagnosis(file);
    }
    if let Some(renaming) = Renaming::asked(text) {
        return Job::Rename(renaming);
    }
    if let Some(command) = recover::asked(text) {
        return Job::Recover(command);
    }
    let is = |regex: &Option<Regex>| regex.as_ref().is_some_and(|regex| regex.is_match(text));
    let asks = is(&QUESTION);
    let commands_repair = is(&REPAIR) && !(asks && text.trim_end().ends_with('?'));
    if commands_repair || (is(&FAILING) && !asks) {
        Job::Repair
    } else if asks || text.trim_end().ends_with('?') {
        if is(&REPAIR) && !asks {
            Job::Repair
        } else {
            Job::Question
        }
    } else {
        Job::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_told_apart() {
        let check = |text: &str, expect: Job| assert_eq!(job(text), expect, "{text}");
        check("Fix the failing test.", Job::Repair);
        check(
            "The test suite is failing. Please make it pass",
            Job::Repair,
        );
        check("Can you fix the broken test?", Job::Repair);
        check("A test fails: find out why and repair the bug", Job::Repair);
        check("One test fails since yesterday.", Job::Repair);
        check("Where is the late fee computed?", Job::Question);
        check("What does `bandFor` do?", Job::Question);
        check("Explain how statements are built", Job::Question);
        check("Which tests are failing?", Job::Question);
        check("How would you fix the failing test?", Job::Question);
        check("Add a dark mode", Job::Other);
        check("", Job::Other);
    }

    #[test]
    fn what_a_client_adds_is_not_the_task() {
        let check = |text: &str, expect: &str| assert_eq!(own_words(text), expect);
        check(
            "Fix it\n<turn-context>\n<current-time>now</current-time>\n</turn-context>",
            "Fix it",
        );
        check("<earlier>a\nb</earlier>\n\nWhere is x?", "Where is x?");
        check("<b> is open", "<b> is open");
    }

    #[test]
    fn an_account_of_the_conversation_before_is_not_the_request() {
        let account = "What was said before:\n\nPerson: Fix the failing test.\n\nAgent: I look.\n\nThe request now:\n";
        let task = |now: &str| Task::of(&[Message::said(Role::User, format!("{account}{now}"))]);
        let at = |text: &str, job| Task {
            text: text.into(),
            job,
            start: 1,
        };
        assert_eq!(task("Where is x?"), at("Where is x?", Job::Question));
        assert_eq!(
            task("\nPlease go on"),
            at("Fix the failing test.", Job::Repair)
        );
    }

    #[test]
    fn going_on_takes_up_the_task_before() {
        let user = |text: &str| Message::said(Role::User, text);
        let task = Task::of(&[
            user("Fix the failing test"),
            user("continue please"),
            user("<note>x</note>"),
        ]);
        assert_eq!(
            task,
            Task {
                text: "Fix the failing test".into(),
                job: Job::Repair,
                start: 2
            }
        );
    }
}
