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
