//! What a question is about, and what it wants to know.

use crate::script::observation::fixed;

/// What the person wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Where something is.
    Place,
    /// What something does, or how.
    Explanation,
    /// Who uses something.
    Uses,
    /// Whether the tests pass, or why not.
    Tests,
    /// What the project is, or how it is used.
    Project,
}

/// A question, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) wish: Wish,
    /// Names as they stand in code.
    pub(super) names: Vec<String>,
    /// Files, as paths or as their ends.
    pub(super) files: Vec<String>,
    /// Stems of the words that carry the subject, in order.
    pub(super) stems: Vec<String>,
}

/// Words that say nothing about the subject.
const COMMON: &[&str] = &[
    "a",
    "about",
    "all",
    "also",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "being",
    "by",
    "can",
    "code",
    "codebase",
    "could",
    "describe",
    "do",
    "does",
    "done",
    "exactly",
    "explain",
    "file",
    "files",
    "find",
    "for",
    "from",
    "function",
    "functions",
    "get",
    "gets",
    "give",
    "happen",
    "happens",
    "has",
    "have",
    "here",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "kind",
    "line",
    "list",
    "locate",
    "made",
    "many",
    "me",
    "method",
    "module",
    "my",
    "of",
    "on",
    "one",
    "or",
    "our",
    "part",
    "place",
    "please",
    "project",
    "repo",
    "repository",
    "show",
    "so",
    "tell",
    "that",
    "the",
    "their",
    "there",
    "these",
    "they",
    "this",
    "to",
    "us",
    "was",
    "we",
    "what",
    "when",
    "where",
    "which",
    "who",
    "why",
    "will",
    "with",
    "work",
    "works",
    "would",
    "you",
    "your",
    "called",
    "calls",
    "call",
    "used",
    "uses",
    "use",
    "defined",
    "definition",
    "implemented",
    "implementation",
    "computed",
    "compute",
    "computes",
    "calculated",
    "calculate",
    "calculates",
    "calculation",
    "decided",
    "decides",
    "determined",
    "handled",
    "located",
    "happening",
];

/// Takes a question apart.
pub(super) fn terms(question: &str) -> Terms {
    let is = |pattern: &str| fixed(pattern).is_some_and(|regex| regex.is_match(question));
    let files = matches(question, &[r"([\w@-][\w@./-]*\.(?:[cm]?js|json|md))\b"]);
    let mut names = names(question);
    names.retain(|name| {
        files.is_empty() || !["js", "mjs", "cjs", "json", "md"].contains(&name.as_str())
    });
    let mut stems: Vec<String> = Vec::new();
    for word in question.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$' && c != '-') {
        let lower = word.to_lowercase();
        if lower.len() < 2
            || COMMON.contains(&lower.as_str())
            || names.contains(&word.to_owned())
            || files.iter().any(|file| file.contains(word))
        {
            continue;
        }
        let stem = stem(&lower);
        if !stems.contains(&stem) {
            stems.push(stem);
        }
    }
    let wish = if is(
        r"(?i)\btests?\b.*\b(fail|pass|red|green|broken)|\b(fail|pass)\w*\b.*\btests?\b",
    ) {
        Wish::Tests
    } else if is(
        r"(?i)\b(who|what|where|which)\b.*\b(uses?|used|calls?|called|imports?|imported|depends?)\b",
    ) {
        Wish::Uses
    } else if names.is_empty()
        && is(
            r"(?i)\b(what|explain|describe)\b.*\b(project|repo(sitory)?|codebase|package|library)\b|\bhow (do|can|to)\b.*\b(run|install|start|build|test)\b",
        )
    {
        Wish::Project
    } else if is(r"(?i)^\W*(where|which|find|locate|show|list|in which)\b|\bwhere\b") {
        Wish::Place
    } else {
        Wish::Explanation
    };
    Terms {
        wish,
        names,
        files,
        stems,
    }
}

/// Words in backticks, and words that are written as names in code are.
fn names(question: &str) -> Vec<String> {
    const MARKED: &str = r"`([^`]+)`";
    const WRITTEN: &str = r"\b([a-z]+[A-Z]\w*|[A-Z]\w*[a-z]\w*[A-Z]\w*|\w+_\w+|[A-Z][A-Z0-9_]{2,}|\w+(?:\.\w+)+|\w+\(\))";
    let mut found: Vec<String> = Vec::new();
    for text in matches(question, &[MARKED, WRITTEN]) {
        // `module.name()` is about its last part.
        let name = text
            .trim_end_matches("()")
            .rsplit('.')
            .next()
            .unwrap_or_default();
        if name.len() > 1 && !name.contains(' ') && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found
}

/// What the first group of each pattern matches, each once.
fn matches(text: &str, patterns: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for regex in patterns.iter().filter_map(|pattern| fixed(pattern)) {
        for group in regex.captures_iter(text).filter_map(|all| all.get(1)) {
            if !found.iter().any(|known| known == group.as_str()) {
                found.push(group.as_str().to_owned());
            }
        }
    }
    found
}

/// A word without its ending.
pub(super) fn stem(word: &str) -> String {
    for ending in ["ings", "ing", "ies", "ed", "es", "s"] {
        if let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() > 2) {
            return stem.to_owned();
        }
    }
    word.to_owned()
}

impl Terms {
    /// Regular expressions to search for, the narrow one first.
    pub(super) fn patterns(&self) -> Vec<String> {
        if !self.names.is_empty() {
            let names: Vec<String> = self
                .names
                .iter()
                .map(|name| format!(r"\b{}\b", regex::escape(name)))
                .collect();
            return vec![names.join("|")];
        }
        let stems: Vec<String> = self.stems.iter().map(|stem| regex::escape(stem)).collect();
        let pairs: Vec<String> = stems
            .windows(2)
            .filter_map(|pair| Some(format!("{}[a-z]*[ _-]?{}", pair.first()?, pair.get(1)?)))
            .collect();
        let mut patterns = Vec::new();
        if !pairs.is_empty() {
            patterns.push(pairs.join("|"));
        }
        if !stems.is_empty() {
            patterns.push(stems.join("|"));
        }
        patterns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_taken_apart() {
        let check = |question: &str, wish: Wish, names: &[&str], stems: &[&str]| {
            let found = terms(question);
            assert_eq!(found.wish, wish, "{question}");
            assert_eq!(
                (found.names, found.stems),
                (
                    names.iter().map(ToString::to_string).collect(),
                    stems.iter().map(ToString::to_string).collect()
                ),
                "{question}"
            );
        };
        check(
            "Where is the late fee computed?",
            Wish::Place,
            &[],
            &["late", "fee"],
        );
        check(
            "What does `bandFor` do?",
            Wish::Explanation,
            &["bandFor"],
            &[],
        );
        check(
            "What does bandFor() do with days?",
            Wish::Explanation,
            &["bandFor"],
            &["day"],
        );
        check("Who calls percentOf?", Wish::Uses, &["percentOf"], &[]);
        check(
            "Explain how statements are built",
            Wish::Explanation,
            &[],
            &["statement", "built"],
        );
        check(
            "Which tests are failing?",
            Wish::Tests,
            &[],
            &["test", "fail"],
        );
        check("What is this project about?", Wish::Project, &[], &[]);
        check("What does src/fees.js do?", Wish::Explanation, &[], &[]);
    }

    #[test]
    fn neighbouring_words_are_searched_together_first() {
        let patterns = terms("Where is the late fee computed?").patterns();
        assert_eq!(patterns, ["late[a-z]*[ _-]?fee", "late|fee"]);
        assert_eq!(terms("What does `a$` do?").patterns(), [r"\ba\$\b"]);
    }
}
