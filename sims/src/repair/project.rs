//! The files that were read, what they define, and which of it a test reaches.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use crate::javascript::{Kind, Token, Unit, UnitKind, line_of, matching, outline, tokens};

/// A file with its tokens and definitions.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
    pub(crate) tokens: Vec<Token<'a>>,
    pub(crate) units: Vec<Unit>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a str, text: &'a str) -> Self {
        let tokens = tokens(text);
        let units = outline(text, &tokens);
        Self {
            path,
            text,
            tokens,
            units,
        }
    }

    /// The innermost definition around a token.
    pub(crate) fn unit_at(&self, token: usize) -> Option<usize> {
        let around = self
            .units
            .iter()
            .enumerate()
            .filter(|(_, unit)| unit.tokens.contains(&token));
        around
            .min_by_key(|(_, unit)| unit.tokens.len())
            .map(|(at, _)| at)
    }

    /// The line of a byte, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        line_of(self.text, at)
    }

    /// The names in a range of tokens; `b` in `a as b` stands for `a` too.
    fn names(&self, range: Range<usize>) -> BTreeSet<&'a str> {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for token in self.tokens.get(range).unwrap_or_default() {
            if token.kind == Kind::Word {
                names.insert(token.text);
            }
        }
        for window in self.tokens.windows(3) {
            if let [original, middle, alias] = window
                && middle.is("as")
                && names.contains(alias.text)
            {
                names.insert(original.text);
            }
        }
        names
    }
}

/// A definition: the file's and the unit's number.
pub(crate) type UnitRef = (usize, usize);

/// All files that were read.
#[derive(Debug)]
pub(crate) struct Project<'a> {
    pub(crate) sources: Vec<Source<'a>>,
}

impl<'a> Project<'a> {
    pub(crate) fn new(files: &'a BTreeMap<String, String>) -> Self {
        Self {
            sources: files
                .iter()
                .map(|(path, text)| Source::new(path, text))
                .collect(),
        }
    }

    pub(crate) fn unit(&self, (source, unit): UnitRef) -> Option<(&Source<'a>, &Unit)> {
        let source = self.sources.get(source)?;
        Some((source, source.units.get(unit)?))
    }

    /// The call that defines the test `name`: its file and tokens, from the opening bracket to the closing one.
    pub(crate) fn test(&self, name: &str) -> Option<(usize, Range<usize>)> {
        self.sources
            .iter()
            .enumerate()
            .filter(|(_, source)| is_test(source.path))
            .find_map(|(at, source)| {
                let named =
                    |token: &Token<'_>| token.kind == Kind::Text && text_of(token.text) == name;
                let open =
                    source
                        .tokens
                        .iter()
                        .enumerate()
                        .skip(1)
                        .find_map(|(index, token)| {
                            let before = index - 1;
                            (named(token)
                                && source.tokens.get(before).is_some_and(|open| open.is("(")))
                            .then_some(before)
                        })?;
                Some((at, open..matching(&source.tokens, open)? + 1))
            })
    }

    /// What the code in a range of a file reaches by name, outside the tests, with the number of steps to it.
    pub(crate) fn reach(&self, source: usize, range: Range<usize>) -> BTreeMap<UnitRef, usize> {
        let mut reached: BTreeMap<UnitRef, usize> = BTreeMap::new();
        let mut waiting: VecDeque<(usize, Range<usize>, usize)> =
            VecDeque::from([(source, range, 1)]);
        while let Some((from, range, depth)) = waiting.pop_front() {
            let Some(file) = self.sources.get(from) else {
                continue;
            };
            for name in file.names(range.clone()) {
                for found in self.defined(from, name) {
                    if reached.contains_key(&found) {
                        continue;
                    }
                    if let Some((_, unit)) = self.unit(found) {
                        reached.insert(found, depth);
                        waiting.push_back((found.0, unit.tokens.clone(), depth + 1));
                    }
                }
            }
        }
        reached.retain(|(source, _), _| {
            self.sources
                .get(*source)
                .is_some_and(|source| !is_test(source.path))
        });
        reached
    }

    /// The definitions of a name: in the file itself, or else in any file that is no test.
    fn defined(&self, from: usize, name: &str) -> Vec<UnitRef> {
        let in_file = |at: usize| {
            let units = self
                .sources
                .get(at)
                .map(|source| source.units.as_slice())
                .unwrap_or_default();
            let named = units
                .iter()
                .enumerate()
                .filter(|(_, unit)| unit.name == name);
            named.map(|(unit, _)| (at, unit)).collect::<Vec<UnitRef>>()
        };
        let own = in_file(from);
        if !own.is_empty() {
            return own;
        }
        let others = self
            .sources
            .iter()
            .enumerate()
            .filter(|(_, source)| !is_test(source.path));
        others.flat_map(|(at, _)| in_file(at)).collect()
    }

    /// The value of a constant of the project that is a plain number.
    pub(crate) fn number(&self, name: &str) -> Option<&'a str> {
        self.sources.iter().find_map(|source| {
            let unit = source
                .units
                .iter()
                .find(|unit| unit.kind == UnitKind::Constant && unit.name == name)?;
            let numbers: Vec<&Token<'_>> = source
                .tokens
                .get(unit.tokens.clone())?
                .iter()
                .filter(|token| token.kind == Kind::Number)
                .collect();
            match numbers.as_slice() {
                [only] => Some(only.text),
                _ => None,
            }
        })
    }
}

/// Whether a path is that of a test.
pub(crate) fn is_test(path: &str) -> bool {
    let folders: Vec<&str> = path.split('/').collect();
    let name = folders.last().copied().unwrap_or_default();
    name.contains(".test.")
        || name.contains(".spec.")
        || name.contains("_test.")
        || name.starts_with("test.")
        || folders
            .iter()
            .any(|folder| matches!(*folder, "test" | "tests" | "__tests__" | "spec"))
}

/// Whether a path is that of JavaScript code.
pub(crate) fn is_code(path: &str) -> bool {
    path.rsplit('.')
        .next()
        .is_some_and(|ending| matches!(ending, "js" | "mjs" | "cjs"))
}

/// The content of a string token, escapes of quotes resolved.
pub(crate) fn text_of(token: &str) -> String {
    let inner = token
        .get(1..token.len().saturating_sub(1))
        .unwrap_or_default();
    inner
        .replace("\\'", "'")
        .replace("\\\"", "\"")
        .replace("\\`", "`")
}

/// The files that a file imports, among those that exist. `package` is the manifest's name and entry.
pub(crate) fn imports(
    path: &str,
    text: &str,
    files: &[String],
    package: Option<(&str, &str)>,
) -> Vec<String> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().skip(1) {
        let before = tokens.get(at - 1);
        let called = before.is_some_and(|open| open.is("("))
            && at >= 2
            && tokens
                .get(at - 2)
                .is_some_and(|word| word.is("require") || word.is("import"));
        let imported = before.is_some_and(|word| word.is("from") || word.is("import"));
        if token.kind != Kind::Text || !(called || imported) {
            continue;
        }
        let specifier = text_of(token.text);
        let resolved = match package {
            Some((name, entry)) if specifier == name => resolve("package.json", entry, files),
            _ if specifier.starts_with('.') => resolve(path, &specifier, files),
            _ => None,
        };
        found.extend(resolved);
    }
    found
}

fn resolve(from: &str, specifier: &str, files: &[String]) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in specifier.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    let base = parts.join("/");
    let endings = ["", ".js", ".mjs", ".cjs", "/index.js", "/index.mjs"];
    endings
        .iter()
        .map(|ending| format!("{base}{ending}"))
        .find(|path| files.contains(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn a_test_reaches_code_through_other_code() {
        let files = files(&[
            (
                "src/a.js",
                "import { limit as top } from './b.js';\nexport const a = (x) => x < top;\nconst unused = 1;",
            ),
            ("src/b.js", "export const limit = 3;"),
            (
                "test/a.test.js",
                "import { a } from '../src/a.js';\nconst help = () => a(1);\ntest('it\\'s small', () => help());",
            ),
        ]);
        let project = Project::new(&files);
        let (source, range) = project.test("it's small").unwrap();
        let reached = project.reach(source, range);
        let names: Vec<(&str, usize)> = reached
            .iter()
            .map(|(at, depth)| (project.unit(*at).unwrap().1.name.as_str(), *depth))
            .collect();
        assert_eq!(names, [("a", 2), ("limit", 3)]);
        assert_eq!(project.number("limit"), Some("3"));
    }

    #[test]
    fn imports_are_resolved() {
        let files: Vec<String> = ["src/index.js", "src/a.mjs", "lib/index.js", "package.json"]
            .map(String::from)
            .into();
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(
                imports(
                    "test/x.test.js",
                    text,
                    &files,
                    Some(("pkg", "./src/index.js"))
                ),
                expect
            );
        };
        check(
            "import { a } from '../src/a.mjs';\nimport fs from 'node:fs';",
            &["src/a.mjs"],
        );
        check(
            "const lib = require('../lib');\nawait import('../src')",
            &["lib/index.js", "src/index.js"],
        );
        check(
            "import 'pkg'; export { x } from '../src/missing.js'",
            &["src/index.js"],
        );
    }

    #[test]
    fn tests_are_told_by_their_path() {
        assert!(is_test("test/a.js") && is_test("src/a.test.mjs") && is_test("src/__tests__/a.js"));
        assert!(!is_test("src/testament.js") && !is_test("src/contest.js"));
    }
}
