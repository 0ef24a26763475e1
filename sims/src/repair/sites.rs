//! The changes at one place of the code.

use super::mutations::{Class, Mutation, Numbers};
use super::project::UnitRef;
use crate::javascript::{Kind, Token};

/// Method pairs, each a mistake for the other.
const COUNTERPARTS: &[(&str, &str)] = &[
    ("some", "every"),
    ("startsWith", "endsWith"),
    ("indexOf", "lastIndexOf"),
    ("find", "findLast"),
    ("push", "unshift"),
    ("pop", "shift"),
    ("padStart", "padEnd"),
    ("trimStart", "trimEnd"),
    ("toUpperCase", "toLowerCase"),
    ("keys", "values"),
    ("getUTCDate", "getUTCDay"),
];

/// Other properties tried for one.
const MOST_NAMES: usize = 8;

/// One token in the code and what surrounds it.
pub(super) struct Site<'a> {
    pub(super) source: usize,
    pub(super) unit: UnitRef,
    pub(super) tokens: &'a [Token<'a>],
    pub(super) at: usize,
    pub(super) text: &'a str,
}

impl<'a> Site<'a> {
    fn token(&self, offset: isize) -> Option<Token<'a>> {
        self.tokens
            .get(self.at.checked_add_signed(offset)?)
            .copied()
    }

    fn is(&self, offset: isize, text: &str) -> bool {
        self.token(offset).is_some_and(|token| token.is(text))
    }

    /// Adds every change that begins at this token.
    pub(super) fn changes(&self, numbers: &Numbers, all: &mut Vec<Mutation>) {
        let Some(token) = self.token(0) else { return };
        let mut replace = |class: Class, text: &str| {
            all.push(self.mutation(token.start, token.end(), text, class))
        };
        match (token.kind, token.text) {
            (Kind::Mark, "<") => {
                replace(Class::Boundary, "<=");
                replace(Class::Direction, ">");
            }
            (Kind::Mark, "<=") => {
                replace(Class::Boundary, "<");
                replace(Class::Direction, ">=");
            }
            (Kind::Mark, ">") => {
                replace(Class::Boundary, ">=");
                replace(Class::Direction, "<");
            }
            (Kind::Mark, ">=") => {
                replace(Class::Boundary, ">");
                replace(Class::Direction, "<=");
            }
            (Kind::Mark, "===") => replace(Class::Equality, "!=="),
            (Kind::Mark, "!==") => replace(Class::Equality, "==="),
            (Kind::Mark, "==") => replace(Class::Equality, "!="),
            (Kind::Mark, "!=") => replace(Class::Equality, "=="),
            (Kind::Mark, "&&") => replace(Class::Logic, "||"),
            (Kind::Mark, "||") => replace(Class::Logic, "&&"),
            (Kind::Mark, "+=") => replace(Class::Arithmetic, "-="),
            (Kind::Mark, "-=") => replace(Class::Arithmetic, "+="),
            (Kind::Mark, "*=") => replace(Class::Arithmetic, "/="),
            (Kind::Mark, "/=") => replace(Class::Arithmetic, "*="),
            (Kind::Mark, "++") => replace(Class::Counter, "--"),
            (Kind::Mark, "--") => replace(Class::Counter, "++"),
            (Kind::Mark, "+" | "-" | "*" | "/" | "%") => self.arithmetic(token, all),
            (Kind::Mark, "!") => replace(Class::Negation, ""),
            (Kind::Mark, "?") => self.choice(all),
            (Kind::Word, "true") => replace(Class::Truth, "false"),
            (Kind::Word, "false") => replace(Class::Truth, "true"),
            (Kind::Word, "if") => self.condition(all),
            (Kind::Number, _) => self.number(token, numbers, all),
            (Kind::Word, name) if self.is(-1, ".") => self.member(name, token, all),
            _ => {}
        }
        if token.is("(") {
            self.arguments(all);
        }
    }

    fn mutation(&self, start: usize, end: usize, replacement: &str, class: Class) -> Mutation {
        Mutation {
            source: self.source,
            unit: self.unit,
            start,
            end,
            replacement: replacement.to_owned(),
            class,
        }
    }

    fn arithmetic(&self, token: Token<'a>, all: &mut Vec<Mutation>) {
        let (Some(left), Some(right)) = (self.token(-1), self.token(1)) else {
            return;
        };
        let value = |token: Token<'_>| match token.kind {
            Kind::Word => !matches!(
                token.text,
                "return" | "function" | "import" | "export" | "yield" | "case"
            ),
            Kind::Number => true,
            Kind::Mark => matches!(token.text, ")" | "]"),
            Kind::Text | Kind::Regex | Kind::Comment => false,
        };
        if !value(left) || right.kind == Kind::Text {
            if token.text == "-" && right.kind != Kind::Text {
                all.push(self.mutation(token.start, token.end(), "", Class::Arithmetic));
            }
            return;
        }
        let swapped: &[&str] = match token.text {
            "+" => &["-"],
            "-" => &["+"],
            "*" => &["/"],
            "/" => &["*", "%"],
            _ => &["/", "*"],
        };
        for other in swapped {
            all.push(self.mutation(token.start, token.end(), other, Class::Arithmetic));
        }
        let ends = self
            .token(2)
            .is_none_or(|next| !next.is(".") && !next.is("(") && !next.is("["));
        if matches!(token.text, "+" | "-") && right.text == "1" {
            all.push(self.mutation(left.end(), right.end(), "", Class::Offset));
        } else if token.text == "-" && right.kind == Kind::Word && ends {
            all.push(self.mutation(right.end(), right.end(), " + 1", Class::Offset));
        }
        if matches!(token.text, "-" | "/" | "%") {
            self.swap(
                self.chain_before(self.at),
                self.chain_after(self.at + 1),
                all,
            );
        }
    }

    /// `if (name)` and `if (call(…))`, turned around.
    fn condition(&self, all: &mut Vec<Mutation>) {
        let Some(open) = self.token(1).filter(|open| open.is("(")) else {
            return;
        };
        let Some(close) = crate::javascript::matching(self.tokens, self.at + 1) else {
            return;
        };
        let inner = self.tokens.get(self.at + 2..close).unwrap_or_default();
        let compares = |token: &Token<'_>| {
            matches!(
                token.text,
                "<" | "<=" | ">" | ">=" | "===" | "!==" | "==" | "!=" | "&&" | "||" | "!"
            ) && token.kind == Kind::Mark
        };
        if !inner.iter().any(compares) {
            all.push(self.mutation(open.end(), open.end(), "!", Class::Negation));
        }
    }

    fn number(&self, token: Token<'a>, numbers: &Numbers, all: &mut Vec<Mutation>) {
        let mut values: Vec<String> = Vec::new();
        if let Ok(value) = token.text.parse::<i64>() {
            values.extend(
                [value + 1, value - 1]
                    .iter()
                    .filter(|value| **value >= 0)
                    .map(ToString::to_string),
            );
            if value >= 10 {
                values.push((value * 10).to_string());
                if value % 10 == 0 {
                    values.push((value / 10).to_string());
                }
            }
        }
        if let Ok(value) = token.text.parse::<i64>() {
            let scaled = numbers
                .scaled(value)
                .into_iter()
                .filter(|other| *other != value);
            for other in scaled.map(|other| other.to_string()) {
                if !values.contains(&other) {
                    values.push(other);
                }
            }
        }
        for value in &numbers.named {
            if !values.contains(value) && value != token.text {
                values.push(value.clone());
            }
        }
        for value in values {
            all.push(self.mutation(token.start, token.end(), &value, Class::Number));
        }
    }

    fn member(&self, name: &str, token: Token<'a>, all: &mut Vec<Mutation>) {
        let called = self.is(1, "(");
        let mut replace =
            |class, text: &str| all.push(self.mutation(token.start, token.end(), text, class));
        match name {
            "floor" | "ceil" | "round" | "trunc" if called => {
                for other in ["round", "floor", "ceil"]
                    .iter()
                    .filter(|other| **other != name)
                {
                    replace(Class::Rounding, other);
                }
            }
            "min" if called => replace(Class::Extreme, "max"),
            "max" if called => replace(Class::Extreme, "min"),
            "length" if !self.is(1, "-") && !self.is(1, "+") => {
                replace(Class::Offset, "length - 1")
            }
            "localeCompare" if called && self.at >= 2 => {
                self.swap(
                    self.chain_before(self.at - 1),
                    self.chain_after(self.at + 2),
                    all,
                );
            }
            "getMonth" | "getUTCMonth" if called && self.is(2, ")") && !self.is(3, "+") => {
                if let Some(close) = self.token(2) {
                    all.push(self.mutation(close.end(), close.end(), " + 1", Class::Offset));
                }
            }
            _ if !called => self.names(name, token, all),
            _ => {
                for (one, other) in COUNTERPARTS {
                    if name == *one {
                        replace(Class::Counterpart, other);
                    } else if name == *other {
                        replace(Class::Counterpart, one);
                    }
                }
            }
        }
    }

    /// `test ? a : b` with its two plain arms exchanged.
    fn choice(&self, all: &mut Vec<Mutation>) {
        let value = |at: usize| {
            let text = self.tokens.get(at).filter(|token| token.kind == Kind::Text);
            text.map(|token| (token.start..token.end(), at + 1))
                .or_else(|| self.chain_after(at))
        };
        let Some((first, colon)) = value(self.at + 1) else {
            return;
        };
        if !self.tokens.get(colon).is_some_and(|token| token.is(":")) {
            return;
        }
        let second = value(colon + 1);
        self.swap(Some((first, colon)), second, all);
    }

    /// `.name` with another property that the file knows: one read from a thing of the same name, or one that an
    /// object there is made of.
    fn names(&self, name: &str, token: Token<'a>, all: &mut Vec<Mutation>) {
        let receiver = self.token(-2).map_or("", |receiver| receiver.text);
        let mut others: Vec<&str> = Vec::new();
        for window in self.tokens.windows(3) {
            let [before, word, after] = window else {
                continue;
            };
            if word.kind != Kind::Word || word.text == name || others.contains(&word.text) {
                continue;
            }
            let key = (before.is("{") || before.is(","))
                && (after.is(",") || after.is("}") || after.is(":"));
            if key {
                others.push(word.text);
            }
        }
        for window in self.tokens.windows(4) {
            let [from, dot, word, after] = window else {
                continue;
            };
            let read =
                from.is(receiver) && dot.is(".") && word.kind == Kind::Word && !after.is("(");
            if read && word.text != name && !others.contains(&word.text) {
                others.insert(0, word.text);
            }
        }
        for other in others.into_iter().take(MOST_NAMES) {
            all.push(self.mutation(token.start, token.end(), other, Class::Name));
        }
    }

    /// `f(a, b)` with its two plain arguments exchanged.
    fn arguments(&self, all: &mut Vec<Mutation>) {
        let called = self.token(-1).is_some_and(|name| {
            name.kind == Kind::Word
                && !matches!(
                    name.text,
                    "if" | "for" | "while" | "switch" | "function" | "catch"
                )
        });
        let Some((first, after)) = self.chain_after(self.at + 1).filter(|_| called) else {
            return;
        };
        let definition = self.at >= 2 && self.is(-2, "function");
        if definition || !self.tokens.get(after).is_some_and(|comma| comma.is(",")) {
            return;
        }
        let second = self.chain_after(after + 1);
        let closes = second
            .as_ref()
            .and_then(|(_, after)| self.tokens.get(*after))
            .is_some_and(|close| close.is(")"));
        let opens_body = second
            .as_ref()
            .and_then(|(_, after)| self.tokens.get(after + 1))
            .is_some_and(|next| next.is("{") || next.is("=>"));
        if closes && !opens_body {
            self.swap(Some((first, after)), second, all);
        }
    }

    /// The bytes of `a.b.c` (or a number) that ends before token `end`.
    fn chain_before(&self, end: usize) -> Option<(std::ops::Range<usize>, usize)> {
        let mut first = end.checked_sub(1)?;
        let last = self.tokens.get(first)?;
        if !matches!(last.kind, Kind::Word | Kind::Number) {
            return None;
        }
        while first >= 2
            && self.tokens.get(first - 1).is_some_and(|dot| dot.is("."))
            && self
                .tokens
                .get(first - 2)
                .is_some_and(|name| name.kind == Kind::Word)
        {
            first -= 2;
        }
        Some((self.tokens.get(first)?.start..last.end(), end))
    }

    /// The bytes of `a.b.c` (or a number) that begins at token `start`, and the token behind it.
    fn chain_after(&self, start: usize) -> Option<(std::ops::Range<usize>, usize)> {
        let mut last = start;
        let first = self.tokens.get(start)?;
        if !matches!(first.kind, Kind::Word | Kind::Number) {
            return None;
        }
        while self.tokens.get(last + 1).is_some_and(|dot| dot.is("."))
            && self
                .tokens
                .get(last + 2)
                .is_some_and(|name| name.kind == Kind::Word)
        {
            last += 2;
        }
        if self
            .tokens
            .get(last + 1)
            .is_some_and(|next| next.is("(") || next.is("["))
        {
            return None;
        }
        Some((first.start..self.tokens.get(last)?.end(), last + 1))
    }

    fn swap(
        &self,
        left: Option<(std::ops::Range<usize>, usize)>,
        right: Option<(std::ops::Range<usize>, usize)>,
        all: &mut Vec<Mutation>,
    ) {
        let (Some((left, _)), Some((right, _))) = (left, right) else {
            return;
        };
        let parts = (
            self.text.get(left.clone()),
            self.text.get(left.end..right.start),
            self.text.get(right.clone()),
        );
        if let (Some(one), Some(between), Some(other)) = parts
            && one != other
        {
            all.push(self.mutation(
                left.start,
                right.end,
                &format!("{other}{between}{one}"),
                Class::Order,
            ));
        }
    }
}
