//! Reading what tools say: file contents, lists of paths, search hits. Clients decorate these differently, with line
//! numbers, headings or notes.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// A line that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// A regex that is part of the program.
pub(crate) fn fixed(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

/// Matches groups of a fixed regex; none when it does not match.
pub(crate) fn groups<'t>(regex: &Option<Regex>, text: &'t str) -> Option<regex::Captures<'t>> {
    regex.as_ref().and_then(|regex| regex.captures(text))
}

/// What a command printed, without the account of its run that some clients put before or around it.
pub(crate) fn output(result: &str) -> Cow<'_, str> {
    let account = |head: &str| head.starts_with("Chunk ID: ") && head.contains("\nProcess exited");
    if let Some((head, output)) = result.split_once("\nOutput:\n")
        && account(head)
    {
        return Cow::Borrowed(output);
    }
    printed(result).map_or(Cow::Borrowed(result), Cow::Owned)
}

/// What a command printed, from an object that says it by stream, with how it ended when it failed; or a file's text,
/// from an object that says how long it is.
fn printed(result: &str) -> Option<String> {
    let object: Value = serde_json::from_str(result).ok()?;
    let text_of = |name: &str| object.get(name).and_then(Value::as_str);
    if object.get("total_lines").is_some() {
        return text_of("content").map(str::to_owned);
    }
    let code = object.get("returncode")?.as_i64();
    let mut text = text_of("stdout")?.to_owned();
    text.push_str(text_of("stderr").unwrap_or_default());
    if let Some(code) = code.filter(|code| *code != 0) {
        text.push_str(&format!("\nexit code {code}"));
    }
    Some(text)
}

/// The folder below which the files lie, when a tool has refused a path for not being a whole one; with a slash at its
/// end. It is told by the listing of a client whose tools name whole paths.
pub(crate) fn root_wanted<'r>(results: impl Iterator<Item = &'r str> + Clone) -> Option<String> {
    results
        .clone()
        .find(|result| result.contains("must be absolute"))?;
    results
        .flat_map(str::lines)
        .map(str::trim)
        .filter(|line| line.starts_with('/'))
        .filter_map(|line| line.strip_suffix("package.json"))
        .min_by_key(|root| root.len())
        .map(str::to_owned)
}

/// The text of a file from the result of reading it, without the line numbers that some tools put before each line.
pub(crate) fn file_text(result: &str) -> String {
    static NUMBERED: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"^\s*(\d+)(?:\t|→|\| ?|: ?)(.*)$"));
    let mut numbered: Vec<&str> = Vec::new();
    let mut expected = None;
    let mut others = 0;
    for line in result.lines() {
        let found = groups(&NUMBERED, line).and_then(|found| {
            Some((
                found.get(1)?.as_str().parse::<usize>().ok()?,
                found.get(2)?.as_str(),
            ))
        });
        match found {
            Some((number, text)) if expected.is_none_or(|expected| expected == number) => {
                expected = Some(number + 1);
                numbered.push(text);
            }
            _ if line.trim().is_empty() => {}
            // OpenCode wraps the lines in elements: <path>…</path>, <type>file</type>, <content>.
            _ if numbered.is_empty() && line.starts_with('<') && line.ends_with('>') => {}
            _ if line == "</content>" => {}
            _ => others += 1,
        }
    }
    // A heading and a note at the end are not the file; more than that, and the numbers are not line numbers.
    let alone = numbered.len() == 1 && result.trim_start().starts_with("1\t");
    if (numbered.len() >= 2 || alone) && others <= 2 {
        let mut text = numbered.join("\n");
        text.push('\n');
        return text;
    }
    let mut text = result.strip_suffix('\n').unwrap_or(result).to_owned();
    text.push('\n');
    text
}

/// The file paths in a listing, relative to the work tree, sorted; decoration is skipped.
pub(crate) fn paths(result: &str) -> Vec<String> {
    static PATH: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"^(?:\./)?([\w@.+/-]*[\w@+-])$"));
    let mut found: Vec<String> = result
        .lines()
        .filter_map(|line| Some(groups(&PATH, line.trim())?.get(1)?.as_str().to_owned()))
        .filter(|path| !path.contains("node_modules/") && !path.starts_with(".git/"))
        .collect();
    // Absolute paths are taken relative to the manifest that lies highest.
    let root = found
        .iter()
        .filter(|path| path.starts_with('/') && path.ends_with("/package.json"))
        .min_by_key(|path| path.len())
        .and_then(|path| path.strip_suffix("package.json").map(str::to_owned));
    if let Some(root) = root {
        found = found
            .iter()
            .map(|path| path.strip_prefix(&root).unwrap_or(path).to_owned())
            .collect();
    }
    found.sort();
    found.dedup();
    found
}

/// The hits of a search, as `path:line:text` or as lines under a heading with the path.
pub(crate) fn hits(result: &str) -> Vec<Hit> {
    static FLAT: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"^(?:\./)?([\w@.+/-]+):(\d+)[:-] ?(.*)$"));
    static HEADING: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"^(?:\./)?([\w@.+/-]+\.\w+):?$"));
    static UNDER: LazyLock<Option<Regex>> = LazyLock::new(|| fixed(r"^\s*(\d+)[:\-|\t] ?(.*)$"));
    let mut hits = Vec::new();
    let mut heading: Option<String> = None;
    for line in result.lines() {
        let (path, number, text) = if let Some(found) = groups(&FLAT, line) {
            let path = found.get(1).map(|path| path.as_str().to_owned());
            (
                path,
                found.get(2).map(|n| n.as_str().to_owned()),
                found.get(3).map(|t| t.as_str().to_owned()),
            )
        } else if let Some(found) = groups(&HEADING, line) {
            heading = found.get(1).map(|path| path.as_str().to_owned());
            continue;
        } else if let Some(found) = groups(&UNDER, line) {
            (
                heading.clone(),
                found.get(1).map(|n| n.as_str().to_owned()),
                found.get(2).map(|t| t.as_str().to_owned()),
            )
        } else {
            continue;
        };
        if let (Some(path), Some(line), Some(text)) =
            (path, number.and_then(|n| n.parse().ok()), text)
            && !path.contains("node_modules/")
        {
            hits.push(Hit { path, line, text });
        }
    }
    hits
}

/// Whether an edit says that it did not happen. A tool that fails in other words is noticed later: the tests then
/// behave as before.
pub(crate) fn edit_failed(result: &str) -> bool {
    static FAILED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        fixed(
            r"(?i)^\s*(error|failed|cannot|could not|no match)|not found|not unique|more than once|multiple (matches|occurrences)|denied|declined|rejected|refused|outside",
        )
    });
    let first: String = result.lines().take(3).collect::<Vec<_>>().join("\n");
    FAILED
        .as_ref()
        .is_some_and(|failed| failed.is_match(&first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_the_run_is_taken_off() {
        let told = "Chunk ID: 7bf610\nWall time: 0.1 seconds\nProcess exited with code 0\nOutput:\na\nOutput:\nb\n";
        assert_eq!(output(told), "a\nOutput:\nb\n");
        assert_eq!(output("x\nOutput:\ny"), "x\nOutput:\ny");
    }

    #[test]
    fn line_numbers_are_taken_off() {
        let plain = "const a = 1;\n\nconst b = 2;\n";
        let check = |result: &str| assert_eq!(file_text(result), plain);
        check(plain);
        check("const a = 1;\n\nconst b = 2;");
        check("1\tconst a = 1;\n2\t\n3\tconst b = 2;");
        check("  1→const a = 1;\n  2→\n  3→const b = 2;\n\n(3 lines)");
        check("1: const a = 1;\n2: \n3: const b = 2;\n");
        check(
            "<path>/w/a.js</path>\n<type>file</type>\n<content>\n1: const a = 1;\n2: \n3: const b = 2;\n\n(End of file - total 3 lines)\n</content>",
        );
        let dotted = "500: 'x',\n100: 'y',\n";
        assert_eq!(file_text(dotted), dotted);
    }

    #[test]
    fn listings_give_paths() {
        let expect = vec![
            "package.json".to_owned(),
            "src/a b.js".replace(" b", "-b"),
            "test/a.test.js".to_owned(),
        ];
        let check = |result: &str| assert_eq!(paths(result), expect);
        check("package.json\nsrc/a-b.js\ntest/a.test.js\n\n3 files found\n");
        check("./test/a.test.js\n./src/a-b.js\n./package.json\n./node_modules/x/index.js");
        check("/tmp/w/package.json\n/tmp/w/src/a-b.js\n/tmp/w/test/a.test.js\nexit code: 0");
    }

    #[test]
    fn searches_give_hits() {
        let hit = |line, text: &str| Hit {
            path: "src/a.js".into(),
            line,
            text: text.into(),
        };
        let expect = vec![hit(3, "const a = 1;"), hit(12, "a: 2")];
        let check = |result: &str| assert_eq!(hits(result), expect);
        check("./src/a.js:3:const a = 1;\n./src/a.js:12:a: 2\n");
        check("src/a.js:3: const a = 1;\nsrc/a.js:12: a: 2\n2 matches");
        check("src/a.js\n3: const a = 1;\n12: a: 2");
    }

    #[test]
    fn failed_edits_are_noticed() {
        assert!(edit_failed(
            "No match found for the specified text.\n\nFile preview:"
        ));
        assert!(edit_failed(
            "error: old_text occurs 2 times; it is not unique"
        ));
        assert!(!edit_failed("Edited a.txt (1 lines -> 1 lines)"));
        assert!(!edit_failed("ok"));
    }
}
