//! Splits JavaScript into tokens.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or a keyword.
    Word,
    /// A number.
    Number,
    /// A string, or a piece of a template between its expressions; with its quotes.
    Text,
    /// A regular expression.
    Regex,
    /// An operator or a bracket.
    Mark,
    /// A comment.
    Comment,
}

/// A token and where it stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    pub(crate) start: usize,
}

impl Token<'_> {
    /// The first byte behind the token.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this operator, bracket or word.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text && matches!(self.kind, Kind::Mark | Kind::Word)
    }
}

/// Operators, the longest first.
const MARKS: &[&str] = &[
    ">>>=", "...", "===", "!==", "**=", "<<=", ">>=", ">>>", "&&=", "||=", "??=", "=>", "==", "!=",
    "<=", ">=", "&&", "||", "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
    "<<", ">>", "**",
];

/// Words after which a `/` begins a regular expression.
const BEFORE_REGEX: &[&str] = &[
    "return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do",
];

/// The line, counted from 1, of a place in the text.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// All tokens, comments included. Text that is not JavaScript gives tokens too, only less useful ones.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    // For each open template expression, how many braces are open in it.
    let mut templates: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(first) = rest.chars().next() else {
            break;
        };
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = if rest.starts_with("//") || (at == 0 && rest.starts_with("#!")) {
            (Kind::Comment, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (
                Kind::Comment,
                rest.find("*/").map_or(rest.len(), |end| end + 2),
            )
        } else if first == '\'' || first == '"' {
            (Kind::Text, quoted(rest, first))
        } else if first == '`' {
            let length = template_piece(rest, 1);
            if rest
                .get(..length)
                .is_some_and(|piece| piece.ends_with("${"))
            {
                templates.push(0);
            }
            (Kind::Text, length)
        } else if first == '}' && templates.last() == Some(&0) {
            let length = template_piece(rest, 1);
            if !rest
                .get(..length)
                .is_some_and(|piece| piece.ends_with("${"))
            {
                templates.pop();
            }
            (Kind::Text, length)
        } else if first.is_ascii_digit() {
            (Kind::Number, number(rest))
        } else if is_word(first) || first == '#' {
            let length = rest
                .char_indices()
                .skip(1)
                .find(|(_, c)| !is_word(*c) && !c.is_ascii_digit());
            (Kind::Word, length.map_or(rest.len(), |(at, _)| at))
        } else if first == '/' && regex_may_follow(&tokens) {
            (Kind::Regex, regex(rest))
        } else {
            let mark = MARKS
                .iter()
                .find(|mark| rest.starts_with(**mark))
                .map_or(first.len_utf8(), |mark| mark.len());
            if let Some(open) = templates.last_mut() {
                match first {
                    '{' => *open += 1,
                    '}' => *open = open.saturating_sub(1),
                    _ => {}
                }
            }
            (Kind::Mark, mark)
        };
        let Some(text) = rest.get(..length.max(1)) else {
            break;
        };
        tokens.push(Token {
            kind,
            text,
            start: at,
        });
        at += text.len();
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == '\n' {
            return at;
        }
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// The length of a template's text up to and with its closing backtick or the next `${`.
fn template_piece(rest: &str, skip: usize) -> usize {
    let mut escaped = false;
    let mut dollar = false;
    for (at, c) in rest.char_indices().skip(skip) {
        if c == '`' && !escaped || c == '{' && dollar {
            return at + 1;
        }
        dollar = c == '$' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

fn number(rest: &str) -> usize {
    let mut previous = ' ';
    for (at, c) in rest.char_indices() {
        let exponent_sign =
            (c == '+' || c == '-') && matches!(previous, 'e' | 'E') && !rest.starts_with("0x");
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || exponent_sign) {
            return at;
        }
        previous = c;
    }
    rest.len()
}

fn regex(rest: &str) -> usize {
    let (mut escaped, mut class) = (false, false);
    let mut end = None;
    for (at, c) in rest.char_indices().skip(1) {
        if c == '\n' {
            return 1;
        }
        match c {
            '[' if !escaped => class = true,
            ']' if !escaped => class = false,
            '/' if !escaped && !class => {
                end = Some(at + 1);
                break;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    let Some(end) = end else { return 1 };
    let flags = rest.get(end..).map_or(0, |tail| {
        tail.bytes().take_while(u8::is_ascii_lowercase).count()
    });
    end + flags
}

fn regex_may_follow(tokens: &[Token<'_>]) -> bool {
    match tokens
        .iter()
        .rev()
        .find(|token| token.kind != Kind::Comment)
    {
        None => true,
        Some(last) => match last.kind {
            Kind::Mark => !matches!(last.text, ")" | "]" | "}" | "++" | "--"),
            Kind::Word => BEFORE_REGEX.contains(&last.text),
            Kind::Text => last.text.ends_with("${"),
            Kind::Number | Kind::Regex | Kind::Comment => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expect: &[(Kind, &str)]) {
        let found: Vec<(Kind, &str)> = tokens(source)
            .iter()
            .map(|token| (token.kind, token.text))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn code_is_told_from_text() {
        use Kind::{Comment, Mark, Number, Regex, Text, Word};
        check(
            "a<=b // x<y",
            &[(Word, "a"), (Mark, "<="), (Word, "b"), (Comment, "// x<y")],
        );
        check(
            r"'it\'s' + 1.5e-3",
            &[(Text, r"'it\'s'"), (Mark, "+"), (Number, "1.5e-3")],
        );
        check(
            "`a ${b + `c ${d}`} e`",
            &[
                (Text, "`a ${"),
                (Word, "b"),
                (Mark, "+"),
                (Text, "`c ${"),
                (Word, "d"),
                (Text, "}`"),
                (Text, "} e`"),
            ],
        );
        check(
            "`${{a: 1}.a}`",
            &[
                (Text, "`${"),
                (Mark, "{"),
                (Word, "a"),
                (Mark, ":"),
                (Number, "1"),
                (Mark, "}"),
                (Mark, "."),
                (Word, "a"),
                (Text, "}`"),
            ],
        );
        check(
            "x = /[/]'/g.test(y)",
            &[
                (Word, "x"),
                (Mark, "="),
                (Regex, "/[/]'/g"),
                (Mark, "."),
                (Word, "test"),
                (Mark, "("),
                (Word, "y"),
                (Mark, ")"),
            ],
        );
        check(
            "(a) / 2 / b",
            &[
                (Mark, "("),
                (Word, "a"),
                (Mark, ")"),
                (Mark, "/"),
                (Number, "2"),
                (Mark, "/"),
                (Word, "b"),
            ],
        );
        check(
            "#!/usr/bin/env node\na?.b ?? c",
            &[
                (Comment, "#!/usr/bin/env node"),
                (Word, "a"),
                (Mark, "?."),
                (Word, "b"),
                (Mark, "??"),
                (Word, "c"),
            ],
        );
    }

    #[test]
    fn any_text_ends() {
        for source in [
            "'open",
            "`open ${",
            "/* open",
            "/open",
            "}",
            "ä ü 日本",
            "\\",
        ] {
            tokens(source);
        }
    }
}
