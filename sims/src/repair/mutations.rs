//! The small changes that could be the repair: one operator, number, call or condition at a time.

use super::project::{Project, UnitRef};
use super::sites::Site;
use crate::javascript::{Kind, Token};

/// What kind of mistake a change would undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// The limit itself belongs to the wrong side: `<` and `<=`.
    Boundary,
    /// A comparison points the wrong way.
    Direction,
    /// `===` and `!==`.
    Equality,
    /// `&&` and `||`.
    Logic,
    /// `+` and `-`, `*` and `/`.
    Arithmetic,
    /// Two operands or arguments in the wrong order.
    Order,
    /// One too many or too few.
    Offset,
    /// A number is wrong.
    Number,
    /// Rounding in the wrong direction.
    Rounding,
    /// `min` and `max`.
    Extreme,
    /// `true` and `false`.
    Truth,
    /// A condition turned around.
    Negation,
    /// A method's counterpart: `startsWith` and `endsWith`.
    Counterpart,
    /// A counter that runs the wrong way.
    Counter,
    /// Another property of the same thing is meant.
    Name,
}

impl Class {
    /// How often mistakes of this kind are the cause, before anything is known: a rough order, not a measurement.
    pub(crate) fn prior(self) -> i32 {
        match self {
            Self::Boundary => 50,
            Self::Arithmetic => 40,
            Self::Logic | Self::Rounding | Self::Extreme | Self::Equality => 36,
            Self::Offset => 30,
            Self::Direction | Self::Order => 30,
            Self::Counterpart | Self::Negation => 28,
            Self::Number | Self::Truth => 22,
            Self::Counter | Self::Name => 0,
        }
    }
}

/// One possible change: the bytes to replace, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutation {
    /// The file's number in the project.
    pub(crate) source: usize,
    pub(crate) unit: UnitRef,
    /// First byte.
    pub(crate) start: usize,
    /// First byte behind.
    pub(crate) end: usize,
    pub(crate) replacement: String,
    pub(crate) class: Class,
}

impl Mutation {
    /// The file's text with the change.
    pub(crate) fn apply(&self, text: &str) -> String {
        let (before, after) = (
            text.get(..self.start).unwrap_or_default(),
            text.get(self.end..).unwrap_or_default(),
        );
        format!("{before}{}{after}", self.replacement)
    }

    /// The text that is replaced.
    pub(crate) fn original<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Numbers that the repair may need.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Those that comments name.
    pub(crate) named: Vec<String>,
    /// Expected values divided by actual ones: a factor that is wrong is wrong by as much.
    pub(crate) ratios: Vec<f64>,
}

impl Numbers {
    /// The whole numbers that `value` becomes by the ratios.
    pub(crate) fn scaled(&self, value: i64) -> Vec<i64> {
        // Small factors scale to whole numbers by chance, and large ones leave the exact range.
        let Some(value) = i32::try_from(value)
            .ok()
            .filter(|value| *value >= 3)
            .map(f64::from)
        else {
            return Vec::new();
        };
        let scaled = self.ratios.iter().map(|ratio| value * ratio);
        let whole =
            scaled.filter(|x| (x - x.round()).abs() <= (0.004 * x.abs()).min(0.1) && x.abs() < 1e9);
        whole
            .filter_map(|x| format!("{:.0}", x.round()).parse().ok())
            .collect()
    }
}

/// Every change to the definitions in `reached`.
pub(crate) fn mutations(
    project: &Project<'_>,
    reached: impl Fn(UnitRef) -> bool,
    numbers: &Numbers,
) -> Vec<Mutation> {
    let mut all = Vec::new();
    for (at, source) in project.sources.iter().enumerate() {
        let code: Vec<(usize, Token<'_>)> = source
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| token.kind != Kind::Comment)
            .map(|(index, token)| (index, *token))
            .collect();
        let plain: Vec<Token<'_>> = code.iter().map(|(_, token)| *token).collect();
        for (position, (index, _)) in code.iter().enumerate() {
            let Some(unit) = source
                .unit_at(*index)
                .map(|unit| (at, unit))
                .filter(|unit| reached(*unit))
            else {
                continue;
            };
            let site = Site {
                source: at,
                unit,
                tokens: &plain,
                at: position,
                text: source.text,
            };
            site.changes(numbers, &mut all);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn check(code: &str, expect: &[&str]) {
        let text = format!("function f(a, b) {{ {code} }}");
        let files = BTreeMap::from([("src/a.js".to_owned(), text.clone())]);
        let project = Project::new(&files);
        let found: Vec<String> = mutations(&project, |_| true, &Numbers::default())
            .iter()
            .map(|mutation| {
                let changed = mutation.apply(&text);
                changed
                    .trim_start_matches("function f(a, b) { ")
                    .trim_end_matches(" }")
                    .to_owned()
            })
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn each_mistake_has_its_repair() {
        check("return a < b;", &["return a <= b;", "return a > b;"]);
        check(
            "return a === b && c;",
            &["return a !== b && c;", "return a === b || c;"],
        );
        check("x = a.n - b.n", &["x = a.n + b.n", "x = b.n - a.n"]);
        check("x = a - b", &["x = a + b", "x = a - b + 1", "x = b - a"]);
        check(
            "x = a + 1",
            &["x = a - 1", "x = a", "x = a + 2", "x = a + 0"],
        );
        check("x = 'a' + b + 'c'", &[]);
        check("Math.floor(a)", &["Math.round(a)", "Math.ceil(a)"]);
        check("Math.max(a, b)", &["Math.min(a, b)", "Math.max(b, a)"]);
        check("if (a) {}", &["if (!a) {}"]);
        check("if (!a) {}", &["if (a) {}"]);
        check("a.x.localeCompare(b.x)", &["b.x.localeCompare(a.x)"]);
        check("return a.some(b)", &["return a.every(b)"]);
        check("return a ? 'x' : b;", &["return a ? b : 'x';"]);
        check("g({ x, y }); return a.x;", &["g({ x, y }); return a.y;"]);
        check("x = 30", &["x = 31", "x = 29", "x = 300", "x = 3"]);
        check("x = '<' /* < */", &[]);
    }

    #[test]
    fn a_wrong_factor_is_wrong_by_as_much_as_the_result() {
        let numbers = Numbers {
            named: Vec::new(),
            ratios: vec![4007.0 / 3374.0],
        };
        assert_eq!(numbers.scaled(16), [19]);
        assert!(numbers.scaled(100).is_empty());
    }
}
