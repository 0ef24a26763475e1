//! What work and its branch are called.

use crate::id::{Id, SessionId};

/// Longest title, in characters.
const TITLE_LIMIT: usize = 80;

/// The title of a piece of work: the first line of its words, bounded.
#[must_use]
pub fn title(text: &str) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("Untitled");
    let mut title: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(TITLE_LIMIT)
        .collect();
    if line.chars().count() > TITLE_LIMIT {
        title.push('…');
    }
    title
}

/// The title that a model gave, without what models put around one; none when it said nothing.
#[must_use]
pub fn title_said(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let around =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '*' | '#' | '_' | '“' | '”');
    let line = line.trim_matches(around);
    let label = line
        .get(..6)
        .filter(|label| label.eq_ignore_ascii_case("title:"));
    let line = label.map_or(line, |label| line.get(label.len()..).unwrap_or_default());
    let line = line.trim_matches(around).trim_end_matches('.');
    let has_words = line.chars().any(char::is_alphanumeric);
    has_words.then(|| title(line))
}

/// The branch a conversation works on: `sam/<slug>-<short id>`.
#[must_use]
pub fn branch(title: &str, session: &SessionId) -> String {
    let mut slug = String::new();
    for c in title.chars() {
        if slug.len() >= 32 {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_matches('-');
    let slug = if slug.is_empty() { "work" } else { slug };
    format!("sam/{slug}-{}", session.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_what_a_model_said_without_its_dress() {
        for (said, title) in [
            ("Repair the late fee", Some("Repair the late fee")),
            (
                "\n **Title: \"Repair the late fee.\"**\nIt is short.",
                Some("Repair the late fee"),
            ),
            ("# `Rename` total", Some("Rename` total")),
            ("TITLE:x", Some("x")),
            ("Übersicht", Some("Übersicht")),
            ("", None),
            (" \n\"\"\n", None),
            ("title:", None),
        ] {
            assert_eq!(title_said(said).as_deref(), title, "{said}");
        }
        let long = title_said(&"word ".repeat(100)).unwrap();
        assert_eq!(long.chars().count(), TITLE_LIMIT + 1);
    }
}
