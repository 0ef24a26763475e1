//! Many changes at once: a script that tries them in a scratch copy of the work tree.
//!
//! Trying a change by hand costs three tool calls. When the likeliest ones did not help, one command tries the rest,
//! in order, in copies in the temporary directory, and says which one makes the tests pass. The work tree is not
//! touched; the change that was found is then made and tested there like any other.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::json;

use super::super::observation::{fixed, groups};
use crate::repair::mutations::Mutation;
use crate::repair::project::Project;
use crate::script::toolbox::quote;

/// What one run of the script says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Changes tried, from the first one on.
    pub(super) tried: usize,
    /// The first change with which the tests pass.
    pub(super) passing: Option<usize>,
}

/// Copies, workers and a time budget: a tool ends a command that takes much longer.
const SCRIPT: &str = r#"const fs = require('node:fs'), os = require('node:os'), path = require('node:path');
const { exec } = require('node:child_process');
const end = Date.now() + 40000, env = { ...process.env };
delete env.NODE_TEST_CONTEXT;
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'try-'));
const skip = new Set(['.git', 'node_modules']);
let next = 0, passing = -1;
const tried = new Set();
async function worker(number) {
  const copy = path.join(scratch, String(number));
  fs.cpSync('.', copy, { recursive: true, filter: (from) => !skip.has(path.basename(from)) });
  if (fs.existsSync('node_modules')) fs.symlinkSync(path.resolve('node_modules'), path.join(copy, 'node_modules'));
  while (passing < 0 && next < changes.length && Date.now() < end) {
    const index = next++;
    const [file, from, to, text] = changes[index];
    const target = path.join(copy, files[file]), original = fs.readFileSync(target);
    fs.writeFileSync(target, Buffer.concat([original.subarray(0, from), Buffer.from(text), original.subarray(to)]));
    const run = (line) => new Promise((done) => exec(line, { cwd: copy, env, timeout: 10000 }, done));
    const failed = (quick && (await run(quick))) || (await run(command));
    fs.writeFileSync(target, original);
    tried.add(index);
    if (!failed && (passing < 0 || index < passing)) passing = index;
  }
}
Promise.all([0, 1, 2].map(worker)).then(() => {
  fs.rmSync(scratch, { recursive: true, force: true });
  console.log(`tried ${tried.size} of ${changes.length} changes; ` + (passing < 0 ? 'none passes' : `change ${passing} passes`));
});"#;

/// The command that tries these changes. `failing` are the test files that fail: where the runner takes files, they
/// run first, and the rest only when they pass.
pub(super) fn command(
    project: &Project<'_>,
    test: &str,
    failing: &[String],
    changes: &[Mutation],
) -> String {
    let mut files: Vec<&str> = Vec::new();
    let mut list = Vec::new();
    for change in changes {
        let path = project
            .sources
            .get(change.source)
            .map_or("", |source| source.path);
        let file = files
            .iter()
            .position(|known| *known == path)
            .unwrap_or_else(|| {
                files.push(path);
                files.len() - 1
            });
        list.push(json!([file, change.start, change.end, change.replacement]).to_string());
    }
    let quick = if test == "node --test" && !failing.is_empty() {
        let failing: Vec<String> = failing.iter().map(|file| quote(file)).collect();
        format!("{test} {}", failing.join(" "))
    } else {
        String::new()
    };
    format!(
        "node - <<'END'\nconst command = {}, quick = {}, files = {};\nconst changes = [{}];\n{SCRIPT}\nEND",
        json!(test),
        json!(quick),
        json!(files),
        list.join(",")
    )
}

/// Reads what the script said; none when it did not get to its end.
pub(super) fn found(output: &str) -> Option<Found> {
    static SAID: LazyLock<Option<Regex>> =
        LazyLock::new(|| fixed(r"tried (\d+) of \d+ changes; (?:none passes|change (\d+) passes)"));
    let said = groups(&SAID, output)?;
    let passing = said.get(2).and_then(|number| number.as_str().parse().ok());
    Some(Found {
        tried: said.get(1)?.as_str().parse().ok()?,
        passing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_s_last_line_is_read() {
        let check = |output: &str, tried, passing| {
            assert_eq!(found(output), Some(Found { tried, passing }))
        };
        check("tried 12 of 90 changes; none passes\n", 12, None);
        check("tried 7 of 90 changes; change 5 passes\n", 7, Some(5));
        assert_eq!(found("[stopped after 60 s]"), None);
    }
}
