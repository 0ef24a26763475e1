//! What a file defines: its functions and constants, with the comment above each and the names its code mentions.

use std::ops::Range;

use super::lexer::{Kind, Token};

/// Words that look like a call or a method and are none.
const NOT_NAMES: &[&str] = &[
    "if", "for", "while", "switch", "catch", "function", "return", "with", "await", "super",
];

/// What a [`Unit`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitKind {
    /// A function or a method.
    Function,
    /// A class as a whole; its methods are units of their own.
    Class,
    /// A constant of the module that is no function.
    Constant,
}

/// One named definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) name: String,
    pub(crate) kind: UnitKind,
    /// Its tokens, from its name to the end of its body.
    pub(crate) tokens: Range<usize>,
    /// Its text, in bytes, from the start of its statement.
    pub(crate) span: Range<usize>,
    /// The comment directly above, without its decoration.
    pub(crate) doc: String,
    /// Names of its parameters.
    pub(crate) parameters: Vec<String>,
}

/// The index of the bracket that closes the one at `open`.
pub(crate) fn matching(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.kind != Kind::Mark {
            continue;
        }
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The definitions of a file in the order of the text; nested ones come after the one around them.
pub(crate) fn outline(source: &str, tokens: &[Token<'_>]) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        if token.kind == Kind::Mark {
            match token.text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        if token.kind != Kind::Word {
            continue;
        }
        let reader = Reader { source, tokens };
        let unit = match token.text {
            "function" => reader.function(at),
            "class" => reader.class(at),
            "const" | "let" | "var" => reader.binding(at, depth == 0),
            _ => reader.member(at, depth),
        };
        units.extend(unit);
    }
    units
}

struct Reader<'a> {
    source: &'a str,
    tokens: &'a [Token<'a>],
}

impl Reader<'_> {
    fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(text))
    }

    fn word(&self, at: usize) -> Option<&str> {
        self.tokens
            .get(at)
            .filter(|token| token.kind == Kind::Word)
            .map(|token| token.text)
    }

    /// `function name(…) {…}`.
    fn function(&self, at: usize) -> Option<Unit> {
        let name = if self.is(at + 1, "*") { at + 2 } else { at + 1 };
        let text = self.word(name)?;
        let (parameters, body) = self.parameters_and_body(name + 1)?;
        Some(self.unit(text, UnitKind::Function, at, body, parameters))
    }

    fn class(&self, at: usize) -> Option<Unit> {
        let text = self.word(at + 1)?;
        let open = (at + 1..at + 8).find(|at| self.is(*at, "{"))?;
        Some(self.unit(
            text,
            UnitKind::Class,
            at,
            matching(self.tokens, open)?,
            Vec::new(),
        ))
    }

    /// `const name = …`: a function anywhere, any other value only at the top of the module.
    fn binding(&self, at: usize, top: bool) -> Option<Unit> {
        let text = self.word(at + 1)?;
        if !self.is(at + 2, "=") {
            return None;
        }
        if let Some((parameters, end)) = self.function_value(at + 3) {
            return Some(self.unit(text, UnitKind::Function, at, end, parameters));
        }
        top.then(|| {
            self.unit(
                text,
                UnitKind::Constant,
                at,
                self.expression_end(at + 3),
                Vec::new(),
            )
        })
    }

    /// `name(…) {…}` in a class or an object, or `name: (…) => …`.
    fn member(&self, at: usize, depth: usize) -> Option<Unit> {
        let text = self.word(at)?;
        if depth == 0 || NOT_NAMES.contains(&text) {
            return None;
        }
        if self.is(at + 1, ":") {
            let (parameters, end) = self.function_value(at + 2)?;
            return Some(self.unit(text, UnitKind::Function, at, end, parameters));
        }
        let before = at
            .checked_sub(1)
            .and_then(|before| self.tokens.get(before))?;
        let starts = matches!(
            before.text,
            "{" | "}" | ";" | "," | "static" | "async" | "get" | "set" | "*"
        ) || before.kind == Kind::Comment;
        if !starts {
            return None;
        }
        let (parameters, body) = self.parameters_and_body(at + 1)?;
        Some(self.unit(text, UnitKind::Function, at, body, parameters))
    }

    /// The parameters and the last token of a function expression or an arrow function that begins at `at`.
    fn function_value(&self, at: usize) -> Option<(Vec<String>, usize)> {
        let at = if self.is(at, "async") { at + 1 } else { at };
        if self.is(at, "function") {
            let open = (at + 1..at + 4).find(|at| self.is(*at, "("))?;
            return self.parameters_and_body(open);
        }
        let (parameters, arrow) = if self.is(at, "(") {
            let close = matching(self.tokens, at)?;
            (self.names(at + 1..close), close + 1)
        } else {
            (vec![self.word(at)?.to_owned()], at + 1)
        };
        if !self.is(arrow, "=>") {
            return None;
        }
        let end = if self.is(arrow + 1, "{") {
            matching(self.tokens, arrow + 1)?
        } else {
            self.expression_end(arrow + 1)
        };
        Some((parameters, end))
    }

    /// `(…) {…}` at `open`.
    fn parameters_and_body(&self, open: usize) -> Option<(Vec<String>, usize)> {
        if !self.is(open, "(") {
            return None;
        }
        let close = matching(self.tokens, open)?;
        if !self.is(close + 1, "{") {
            return None;
        }
        Some((
            self.names(open + 1..close),
            matching(self.tokens, close + 1)?,
        ))
    }

    fn names(&self, range: Range<usize>) -> Vec<String> {
        let words = range.filter_map(|at| self.word(at));
        words.map(str::to_owned).collect()
    }

    /// The last token of the expression at `at`: before the `;`, `,` or bracket that ends it, or before the next
    /// statement of the module.
    fn expression_end(&self, at: usize) -> usize {
        let mut depth = 0usize;
        for (index, token) in self.tokens.iter().enumerate().skip(at) {
            let ends_here = depth == 0 && index > at;
            match (token.kind, token.text) {
                (Kind::Mark, "(" | "[" | "{") => depth += 1,
                (Kind::Mark, ")" | "]" | "}") if depth == 0 => return index.saturating_sub(1),
                (Kind::Mark, ")" | "]" | "}") => depth -= 1,
                (Kind::Mark, ";" | ",") if depth == 0 => return index.saturating_sub(1),
                (
                    Kind::Word,
                    "const" | "let" | "var" | "function" | "class" | "export" | "import",
                ) if ends_here => {
                    return index.saturating_sub(1);
                }
                _ => {}
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    fn unit(
        &self,
        name: &str,
        kind: UnitKind,
        at: usize,
        last: usize,
        parameters: Vec<String>,
    ) -> Unit {
        let mut first = at;
        while first > 0
            && ["export", "default", "async", "static", "get", "set"]
                .iter()
                .any(|word| self.is(first - 1, word))
        {
            first -= 1;
        }
        let start = self.tokens.get(first).map_or(0, |token| token.start);
        let end = self.tokens.get(last).map_or(self.source.len(), Token::end);
        Unit {
            name: name.to_owned(),
            kind,
            tokens: at..last + 1,
            span: start..end,
            doc: self.comment_above(first),
            parameters,
        }
    }

    /// The comments that end on the line above the token.
    fn comment_above(&self, first: usize) -> String {
        let mut lines: Vec<String> = Vec::new();
        let mut below = self.tokens.get(first).map_or(0, |token| token.start);
        for token in self.tokens.iter().take(first).rev() {
            let gap = self.source.get(token.end()..below).unwrap_or_default();
            if token.kind != Kind::Comment || gap.matches('\n').count() > 1 {
                break;
            }
            let text: Vec<&str> = token
                .text
                .trim_end_matches("*/")
                .lines()
                .map(|line| line.trim().trim_start_matches(['/', '*']).trim())
                .filter(|line| !line.is_empty())
                .collect();
            lines.insert(0, text.join(" "));
            below = token.start;
        }
        lines.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexer;
    use super::*;

    fn check(source: &str, expect: &[(&str, UnitKind, &str, &[&str])]) {
        let tokens = lexer::tokens(source);
        let units = outline(source, &tokens);
        let found: Vec<(&str, UnitKind, &str, Vec<&str>)> = units
            .iter()
            .map(|unit| {
                let parameters = unit.parameters.iter().map(String::as_str).collect();
                (
                    unit.name.as_str(),
                    unit.kind,
                    &source[unit.span.clone()],
                    parameters,
                )
            })
            .collect();
        let expect: Vec<_> = expect
            .iter()
            .map(|(name, kind, text, parameters)| (*name, *kind, *text, parameters.to_vec()))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn definitions_are_found() {
        use UnitKind::{Class, Constant, Function};
        check(
            "export function f(a, b) { return a; }",
            &[(
                "f",
                Function,
                "export function f(a, b) { return a; }",
                &["a", "b"],
            )],
        );
        check(
            "const g = (x) => x + 1;\nconst N = 3;",
            &[
                ("g", Function, "const g = (x) => x + 1", &["x"]),
                ("N", Constant, "const N = 3", &[]),
            ],
        );
        check(
            "const h = async x => {\n  const y = x;\n}\nexport default h",
            &[(
                "h",
                Function,
                "const h = async x => {\n  const y = x;\n}",
                &["x"],
            )],
        );
        check(
            "class A {\n  static make(x) { if (x) { y(); } }\n  get size() { return 1; }\n}",
            &[
                (
                    "A",
                    Class,
                    "class A {\n  static make(x) { if (x) { y(); } }\n  get size() { return 1; }\n}",
                    &[],
                ),
                (
                    "make",
                    Function,
                    "static make(x) { if (x) { y(); } }",
                    &["x"],
                ),
                ("size", Function, "get size() { return 1; }", &[]),
            ],
        );
        check(
            "module.exports = { add(a) { return a; }, sub: (b) => -b };",
            &[
                ("add", Function, "add(a) { return a; }", &["a"]),
                ("sub", Function, "sub: (b) => -b", &["b"]),
            ],
        );
    }

    #[test]
    fn the_comment_above_belongs_to_the_definition() {
        let source = "/** A file. */\n\n/**\n * The band,\n * by days.\n */\nexport function band() {}\n// two\n// lines\nconst N = 1;";
        let tokens = lexer::tokens(source);
        let docs: Vec<String> = outline(source, &tokens)
            .into_iter()
            .map(|unit| unit.doc)
            .collect();
        assert_eq!(docs, ["The band, by days.", "two lines"]);
    }
}
