//! What is neither a repair nor a question: side requests without tools, and jobs this model cannot do.

use super::replay::{Replay, Say, Step};
use super::task::own_words;
use super::tree::Tree;
use crate::conversation::{Reply, Request, Role};

const ABILITIES: &str = "I am a scripted model, not a language model: I can repair a JavaScript project whose tests \
    fail (\"Fix the failing test.\"), say in a file why they fail, rename a name everywhere (\"Rename `total` to \
    `sum`.\"), get a command to succeed (\"Run `sh build.sh` until it succeeds.\"), and answer questions about where \
    things are in the code (\"Where is the total computed?\").";

/// Answers a request that offers no tools: a title, a summary, or a plain word about what this model is.
pub(crate) fn without_tools(request: &Request) -> Reply {
    let all = request.text().to_lowercase();
    let said = request
        .messages
        .iter()
        .rev()
        .find(|message| message.role == Role::User);
    let said = said
        .map(|message| quoted(&message.text))
        .unwrap_or_default();
    let text = if all.contains("title") {
        title(&said)
    } else if all.contains("summar") || all.contains("compact") {
        let words: Vec<&str> = said.split_whitespace().take(60).collect();
        format!("Summary: {}", words.join(" "))
    } else {
        format!(
            "{ABILITIES} For either I need tools that run commands and read files; this request offers none."
        )
    };
    Reply {
        text,
        ..Reply::default()
    }
}

/// The part between the marks that some clients put around a person's words.
fn quoted(text: &str) -> String {
    let inner = text
        .split_once("BEGIN USER MESSAGES")
        .and_then(|(_, rest)| rest.split_once("---END USER MESSAGES"));
    match inner {
        Some((inner, _)) => inner.trim_start_matches('-').trim().to_owned(),
        None => own_words(text),
    }
}

/// Up to four words that carry the subject.
fn title(said: &str) -> String {
    let common = [
        "the", "a", "an", "please", "can", "you", "is", "are", "in", "this", "to", "of", "me",
        "my", "i",
    ];
    let words: Vec<String> = said
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned())
        .filter(|word| !word.is_empty() && !common.contains(&word.to_lowercase().as_str()))
        .take(4)
        .collect();
    let title = words.join(" ");
    let mut letters = title.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => "Conversation".to_owned(),
    }
}

/// Looks around and says what this model can do.
pub(crate) fn run(replay: &mut Replay<'_>, text: &str) -> Step<Reply> {
    let say = Say::text("I'll look at what is here before I say what I can do.");
    let mut tree = Tree::list(replay, &say)?;
    let readme = tree
        .files
        .iter()
        .find(|file| file.to_lowercase().starts_with("readme"))
        .cloned();
    let mut heading = String::new();
    if let Some(readme) = readme {
        tree.read(
            replay,
            &Say::text(format!("Reading `{readme}`.")),
            std::slice::from_ref(&readme),
        )?;
        let text = tree
            .texts
            .get(&readme)
            .map(String::as_str)
            .unwrap_or_default();
        let line = text
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        heading = format!(
            " Its `{readme}` begins with \"{}\".",
            line.trim_start_matches('#').trim()
        );
    }
    let task: String = text.chars().take(120).collect();
    let answer = format!(
        "I have not done this: \"{task}\". {ABILITIES} The repository holds {} files.{heading} I have changed nothing.",
        tree.files.len()
    );
    Ok(Reply {
        text: answer,
        ..Reply::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_keeps_the_subject() {
        assert_eq!(
            title("Fix the failing test in this repo"),
            "Fix failing test repo"
        );
        assert_eq!(title("?!"), "Conversation");
        let marked = "---BEGIN HINTS---\nx\n---END HINTS---\n\n---BEGIN USER MESSAGES---\nFix it\n---END USER MESSAGES---\n\nGo.";
        assert_eq!(quoted(marked), "Fix it");
    }
}
