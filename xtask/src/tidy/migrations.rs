//! Migrations only add: what an older version wrote stays readable, and a
//! roll-back needs no restore. That holds for D1 (`migrations/*.sql`) and for
//! the statements that the objects carry in their source.

use super::{Finding, Source};

/// Checks one SQL file, statement by statement.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    statements(&source.text)
        .into_iter()
        .filter_map(|(line, words)| {
            objection(&words).map(|what| {
                Finding::new(
                    format!("{}:{line}", source.path),
                    format!("{what}; a migration only adds"),
                )
            })
        })
        .collect()
}

/// Checks the SQL in the string literals of an object's source.
pub(super) fn check_objects(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("durable-objects/src/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for literal in string_literals(&source.text) {
        let first = literal.split_whitespace().next().unwrap_or_default();
        // Rows may be replaced one by one; tables and columns may not go.
        if !["DROP", "ALTER", "DELETE", "UPDATE"].contains(&first) {
            continue;
        }
        for (_, words) in statements(&literal) {
            if let Some(what) = objection(&words) {
                findings.push(Finding::new(
                    &source.path,
                    format!("{what} in \"{literal}\"; what an object stored stays"),
                ));
            }
        }
    }
    findings
}

/// The texts between double quotes, without those in line comments.
fn string_literals(rust: &str) -> Vec<String> {
    let mut literals = Vec::new();
    let mut rest = rust.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => {
                rest.by_ref().find(|c| *c == '\n');
            }
            // A quoted character, which may be a quote.
            '\'' => {
                let mut ahead = rest.clone();
                let inner = ahead.next();
                if inner == Some('\\') {
                    ahead.next();
                }
                if ahead.next() == Some('\'') {
                    rest = ahead;
                }
            }
            '"' => {
                let mut literal = String::new();
                while let Some(c) = rest.next() {
                    match c {
                        '"' => break,
                        '\\' => {
                            // An escaped character, or a line that goes on.
                            if rest.next() == Some('\n') {
                                while rest.next_if(|c| c.is_whitespace()).is_some() {}
                            }
                        }
                        c => literal.push(c),
                    }
                }
                literals.push(literal);
            }
            _ => {}
        }
    }
    literals
}

/// Checks that migration files are numbered without gaps or repetitions.
pub(super) fn check_names(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut names: Vec<&str> = sources
        .iter()
        .filter_map(|source| source.path.strip_prefix("migrations/"))
        .filter(|name| name.ends_with(".sql"))
        .collect();
    names.sort_unstable();
    for (index, name) in names.iter().enumerate() {
        let expected = format!("{:04}_", index + 1);
        if !name.starts_with(&expected) {
            findings.push(Finding::new(
                format!("migrations/{name}"),
                format!("its name should begin with {expected}"),
            ));
        }
    }
    findings
}

/// What is wrong with a statement, given as upper-case words.
fn objection(words: &[String]) -> Option<String> {
    let word = |at: usize| words.get(at).map(String::as_str).unwrap_or_default();
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    let pair = |a: &str, b: &str| {
        words
            .windows(2)
            .any(|two| matches!(two, [x, y] if x == a && y == b))
    };
    match word(0) {
        "DROP" => Some(format!("DROP {}", word(1))),
        "ALTER" if has("DROP") => Some("ALTER … DROP".into()),
        "ALTER" if has("RENAME") => Some("ALTER … RENAME, as in a table rebuild".into()),
        "DELETE" if !has("WHERE") => Some("DELETE without WHERE".into()),
        "UPDATE" if !has("WHERE") => Some("UPDATE without WHERE".into()),
        "REPLACE" => Some("REPLACE deletes what it meets".into()),
        "INSERT" if pair("OR", "REPLACE") => Some("INSERT OR REPLACE deletes what it meets".into()),
        "PRAGMA" => Some("PRAGMA".into()),
        "VACUUM" => Some("VACUUM".into()),
        "CREATE" if pair("CREATE", "TABLE") && has("SELECT") => {
            Some("CREATE TABLE … AS SELECT, as in a table rebuild".into())
        }
        _ => None,
    }
}

/// Statements as (line of the first word, upper-case words). Comments are
/// dropped; a quoted text or name counts as one word that matches nothing.
/// A trigger's body is split at its semicolons too, so that each of its
/// statements is judged by itself.
fn statements(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut all = Vec::new();
    let mut current: (usize, Vec<String>) = (0, Vec::new());
    let mut line = 1;
    let mut rest = text.chars().peekable();
    let mut word = String::new();
    loop {
        let next = rest.next();
        if let Some(c) = next
            && (c.is_ascii_alphanumeric() || c == '_')
        {
            word.push(c.to_ascii_uppercase());
            continue;
        }
        if !word.is_empty() {
            if current.1.is_empty() {
                current.0 = line;
            }
            // The body of a trigger begins a statement of its own.
            if word == "BEGIN" {
                all.push(std::mem::take(&mut current));
            } else {
                current.1.push(word.clone());
            }
            word.clear();
        }
        match next {
            None => break,
            Some('\n') => line += 1,
            Some(';') => all.push(std::mem::take(&mut current)),
            Some('-') if rest.peek() == Some(&'-') => {
                for c in rest.by_ref() {
                    if c == '\n' {
                        line += 1;
                        break;
                    }
                }
            }
            Some(quote @ ('\'' | '"' | '`')) => {
                for c in rest.by_ref() {
                    line += usize::from(c == '\n');
                    if c == quote {
                        break;
                    }
                }
                current.1.push("''".into());
            }
            Some(_) => {}
        }
    }
    all.push(current);
    all.retain(|(_, words)| !words.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn check_sql(sql: &str, expected: &[&str]) {
        let found: Vec<String> = check(&source("migrations/0001_a.sql", sql))
            .into_iter()
            .map(|finding| format!("{}: {}", finding.place, finding.what))
            .collect();
        assert_eq!(found.len(), expected.len(), "{sql}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} lacks {expected:?}");
        }
    }

    #[test]
    fn adding_passes() {
        check_sql(
            "-- DROP is only mentioned\nCREATE TABLE a (id TEXT REFERENCES b ON DELETE RESTRICT);\n\
             ALTER TABLE a ADD COLUMN c TEXT DEFAULT 'drop; delete';\n\
             UPDATE a SET c = '' WHERE c IS NULL;\nDELETE FROM a WHERE id = 'x';\n\
             CREATE TRIGGER t AFTER UPDATE ON a BEGIN UPDATE a SET c = 1 WHERE id = new.id; END;",
            &[],
        );
    }

    #[test]
    fn removing_and_rebuilding_are_found() {
        check_sql("DROP TABLE a;", &["DROP TABLE"]);
        check_sql(
            "create table x (a);\n\ndrop index i;",
            &["sql:3: DROP INDEX"],
        );
        check_sql("ALTER TABLE a DROP COLUMN b", &["ALTER … DROP"]);
        check_sql("ALTER TABLE a RENAME TO b", &["RENAME"]);
        check_sql("DELETE FROM a", &["DELETE without WHERE"]);
        check_sql("UPDATE a SET b = 'where'", &["UPDATE without WHERE"]);
        check_sql("REPLACE INTO a VALUES (1)", &["REPLACE"]);
        check_sql("INSERT OR REPLACE INTO a VALUES (1)", &["REPLACE"]);
        check_sql("PRAGMA foreign_keys = off", &["PRAGMA"]);
        check_sql("CREATE TABLE b AS SELECT * FROM a", &["rebuild"]);
        check_sql(
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; END;",
            &["DELETE without WHERE"],
        );
    }

    #[test]
    fn statements_in_an_object_are_found() {
        let count = |rust: &str| check_objects(&source("durable-objects/src/a.rs", rust)).len();
        assert_eq!(count("sql(\"DROP TABLE a\")"), 1);
        assert_eq!(count("sql(\"DELETE FROM a\")"), 1);
        assert_eq!(count("sql(\"DELETE FROM a \\\n   WHERE b = ?\")"), 0);
        assert_eq!(count("let q = '\"'; sql(\"UPDATE a SET b = 1\")"), 1);
        assert_eq!(
            count("// \"DROP TABLE a\"\nsql(\"INSERT OR REPLACE INTO a\")"),
            0
        );
        assert_eq!(
            check_objects(&source("cli/src/a.rs", "\"DROP TABLE a\"")),
            []
        );
    }

    #[test]
    fn names_are_numbered_without_gaps() {
        let good = [source("migrations/0001_a.sql", ""), source("x.sql", "")];
        assert_eq!(check_names(&good), []);
        let gap = [
            source("migrations/0001_a.sql", ""),
            source("migrations/0003_b.sql", ""),
        ];
        assert_eq!(check_names(&gap).len(), 1);
    }
}
