//! A little colour for code, one line at a time.
//!
//! Knows what most languages share: comments, strings, numbers and common
//! keywords. It reads no further than the line, so a string or comment over
//! several lines is coloured in part; it never changes the text.

use crate::escape;

const KEYWORDS: &[&str] = &[
    "and",
    "as",
    "async",
    "await",
    "begin",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "crate",
    "def",
    "default",
    "defer",
    "del",
    "delete",
    "do",
    "elif",
    "else",
    "end",
    "enum",
    "except",
    "export",
    "extends",
    "false",
    "finally",
    "fn",
    "for",
    "from",
    "func",
    "function",
    "go",
    "if",
    "impl",
    "import",
    "in",
    "interface",
    "is",
    "lambda",
    "let",
    "loop",
    "match",
    "mod",
    "module",
    "mut",
    "new",
    "nil",
    "None",
    "not",
    "null",
    "of",
    "or",
    "package",
    "pass",
    "private",
    "protected",
    "pub",
    "public",
    "raise",
    "return",
    "select",
    "self",
    "Self",
    "static",
    "struct",
    "super",
    "switch",
    "then",
    "this",
    "throw",
    "trait",
    "true",
    "True",
    "False",
    "try",
    "type",
    "typeof",
    "undefined",
    "unless",
    "unsafe",
    "use",
    "var",
    "void",
    "where",
    "while",
    "with",
    "yield",
];

/// The line as HTML: its text escaped, with spans of class `k` (keyword), `s`
/// (string), `n` (number) and `c` (comment).
pub(crate) fn html(line: &str, into: &mut String) {
    let mut rest = line;
    while !rest.is_empty() {
        let (class, length) = token(rest, rest.len() == line.trim_start().len());
        let (token, after) = rest.split_at(length);
        if class.is_empty() {
            escape(token, into);
        } else {
            into.push_str("<span class=\"");
            into.push_str(class);
            into.push_str("\">");
            escape(token, into);
            into.push_str("</span>");
        }
        rest = after;
    }
}

/// The class and length in bytes of the token that `text` begins with.
fn token(text: &str, first: bool) -> (&'static str, usize) {
    let Some(start) = text.chars().next() else {
        return ("", 0);
    };
    let comment = text.starts_with("//")
        || text.starts_with("/*")
        || text.starts_with("# ")
        || (first && (text.starts_with('#') || text.starts_with("* ") || text.starts_with("--")));
    if comment {
        return ("c", text.len());
    }
    match start {
        '"' | '\'' | '`' => match string(text, start) {
            Some(length) => ("s", length),
            // An apostrophe alone, or a string that goes on elsewhere.
            None => ("", start.len_utf8()),
        },
        '0'..='9' => (
            "n",
            span(text, |c| {
                c.is_ascii_alphanumeric() || matches!(c, '.' | '_')
            }),
        ),
        c if letter(c) => {
            let length = span(text, |c| letter(c) || c.is_ascii_digit());
            let word = text.get(..length).unwrap_or_default();
            (if KEYWORDS.contains(&word) { "k" } else { "" }, length)
        }
        other => ("", other.len_utf8()),
    }
}

/// What a name may begin with; everything beyond ASCII counts, without its tables.
fn letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn span(text: &str, holds: impl Fn(char) -> bool) -> usize {
    text.find(|c| !holds(c)).unwrap_or(text.len())
}

/// The length of the string that `text` begins with, quotes included.
fn string(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + quote.len_utf8()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn tokens_are_marked_and_text_is_kept() {
        let cases = [
            (
                "return 1;",
                r#"<span class="k">return</span> <span class="n">1</span>;"#,
            ),
            (
                "let s = \"a<b\\\"c\"",
                r#"<span class="k">let</span> s = <span class="s">&quot;a&lt;b\&quot;c&quot;</span>"#,
            ),
            ("x // y", r#"x <span class="c">// y</span>"#),
            ("  # y", r#"  <span class="c"># y</span>"#),
            ("don't", "don&#39;t"),
            ("returned", "returned"),
            ("a < b && c", "a &lt; b &amp;&amp; c"),
            ("", ""),
            ("é = 'ü'", r#"é = <span class="s">&#39;ü&#39;</span>"#),
        ];
        for (line, expected) in cases {
            let mut html = String::new();
            super::html(line, &mut html);
            assert_eq!(html, expected, "{line}");
        }
    }
}
