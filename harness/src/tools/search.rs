//! `glob` and `grep`: ripgrep's walker, in order and bounded.
//!
//! Symlinks are not followed, so a walk that begins inside stays inside.
//! Ignore files count also without a repository, but only those inside the
//! workspace; `.git` is never entered.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{GlobBuilder, GlobMatcher};
use ignore::{Walk, WalkBuilder};
use regex::{Regex, RegexBuilder};
use sam_acp::ToolKind;
use sam_harness::text_file::TextFile;
use serde::Deserialize;

use crate::tools::{Description, ToolContext, ToolOutput, shorten};
use crate::workspace::{Workspace, shown};

const MAX_PATHS: usize = 500;
const MAX_HITS: usize = 200;
const MAX_VISITED: usize = 200_000;
const MAX_LINE: usize = 300;
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Arguments of `glob`.
#[derive(Debug, Deserialize)]
pub(crate) struct Glob {
    pattern: String,
    #[serde(default)]
    path: Option<String>,
}

/// Arguments of `grep`.
#[derive(Debug, Deserialize)]
pub(crate) struct Grep {
    pattern: String,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    glob: Option<String>,
    #[serde(default)]
    ignore_case: bool,
}

/// Runs a search on a thread of its own, so that a cancellation is heard; the
/// flag tells the search to give up.
pub(crate) async fn in_background(
    context: &ToolContext<'_>,
    search: impl FnOnce(&Workspace, &AtomicBool) -> Result<String, String> + Send + 'static,
) -> ToolOutput {
    let workspace = Arc::clone(context.workspace);
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let mut thread = tokio::task::spawn_blocking(move || search(&workspace, &seen));
    let joined = tokio::select! {
        joined = &mut thread => joined,
        () = context.cancel.cancelled() => {
            stop.store(true, Ordering::Relaxed);
            return ToolOutput::failed("cancelled");
        }
    };
    match joined {
        Ok(result) => result.into(),
        Err(error) => ToolOutput::failed(format!("the search failed: {error}")),
    }
}

impl Glob {
    pub(crate) fn describe(&self) -> Description {
        let place = place(self.path.as_deref());
        Description {
            title: shorten(&format!("Find {}{place}", self.pattern), 200),
            kind: ToolKind::Search,
            locations: Vec::new(),
        }
    }

    pub(crate) fn run(&self, workspace: &Workspace, stop: &AtomicBool) -> Result<String, String> {
        let matcher = matcher(&self.pattern)?;
        let start = start(workspace, self.path.as_deref())?;
        let mut found = Vec::new();
        let mut more = false;
        let mut files = Files::below(workspace, &start, stop);
        for file in &mut files {
            // A pattern counts from where the search begins.
            let local = file.strip_prefix(&start).unwrap_or(&file);
            // The walk goes by names; what is told of lies below the handle.
            let (dir, below) = workspace.at(&file);
            if (matcher.is_match(local) || matcher.is_match(&file))
                && dir.symlink_metadata(below).is_ok()
            {
                if found.len() == MAX_PATHS {
                    more = true;
                    break;
                }
                found.push(shown(&file));
            }
        }
        if found.is_empty() {
            found.push(format!("no file matches {}", self.pattern));
        }
        if more {
            found.push(format!(
                "[only the first {MAX_PATHS}; use a narrower pattern]"
            ));
        }
        found.extend(files.unfinished());
        Ok(found.join("\n"))
    }
}

impl Grep {
    pub(crate) fn describe(&self) -> Description {
        let place = place(self.path.as_deref());
        Description {
            title: shorten(&format!("Search for {}{place}", self.pattern), 200),
            kind: ToolKind::Search,
            locations: Vec::new(),
        }
    }

    pub(crate) fn run(&self, workspace: &Workspace, stop: &AtomicBool) -> Result<String, String> {
        let regex = RegexBuilder::new(&self.pattern)
            .case_insensitive(self.ignore_case)
            .size_limit(1 << 20)
            .build()
            .map_err(|error| format!("the pattern is not a regular expression: {error}"))?;
        let filter = self.glob.as_deref().map(matcher).transpose()?;
        let start = start(workspace, self.path.as_deref())?;
        let mut hits = Vec::new();
        let mut long = 0_usize;
        let mut files = Files::below(workspace, &start, stop);
        for file in &mut files {
            if filter
                .as_ref()
                .is_some_and(|filter| !filter.is_match(&file))
            {
                continue;
            }
            match search_file(workspace, &file, &regex, &mut hits) {
                Searched::InPart => long += 1,
                // One of many is passed over; the one that was meant is named.
                Searched::Binary if file == start => {
                    return Err(format!("{} is a binary file", shown(&file)));
                }
                Searched::Whole | Searched::Binary => {}
            }
            if hits.len() > MAX_HITS {
                hits.truncate(MAX_HITS);
                hits.push(format!(
                    "[only the first {MAX_HITS}; use a narrower pattern]"
                ));
                break;
            }
        }
        if hits.is_empty() {
            hits.push(format!("nothing matches {}", self.pattern));
        }
        if long > 0 {
            hits.push(format!(
                "[{long} files are longer than {} MiB; only their beginning was searched]",
                MAX_FILE >> 20
            ));
        }
        hits.extend(files.unfinished());
        Ok(hits.join("\n"))
    }
}

fn place(path: Option<&str>) -> String {
    match path {
        None | Some("" | ".") => String::new(),
        Some(path) => format!(" in {path}"),
    }
}

/// Where a search begins: inside, without symlinks, relative to the root.
fn start(workspace: &Workspace, path: Option<&str>) -> Result<PathBuf, String> {
    match path {
        None | Some("" | ".") => Ok(PathBuf::new()),
        Some(path) => {
            let resolved = workspace.resolved(path)?;
            Ok(resolved.strip_prefix(".").unwrap_or(&resolved).to_owned())
        }
    }
}

/// A pattern without a slash matches names at any depth.
fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    let anywhere = format!("**/{pattern}");
    let pattern = if pattern.contains('/') {
        pattern
    } else {
        &anywhere
    };
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("the pattern cannot be read: {error}"))
}

/// Regular files below a directory, sorted, as [`Workspace::relative`] gives
/// them.
struct Files<'a> {
    walk: Walk,
    root: &'a Path,
    stop: &'a AtomicBool,
    visited: usize,
}

impl<'a> Files<'a> {
    fn below(workspace: &'a Workspace, start: &Path, stop: &'a AtomicBool) -> Self {
        let walk = WalkBuilder::new(workspace.root().join(start))
            .hidden(false)
            .parents(false)
            .require_git(false)
            .git_global(false)
            .follow_links(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .sort_by_file_name(|a, b| a.cmp(b))
            .build();
        Self {
            walk,
            root: workspace.root(),
            stop,
            visited: 0,
        }
    }
}

impl Files<'_> {
    /// What is to be said when there was too much to look at.
    fn unfinished(&self) -> Option<String> {
        (self.visited > MAX_VISITED).then(|| {
            format!("[stopped after {MAX_VISITED} files and folders; search in a narrower place]")
        })
    }
}

impl Iterator for Files<'_> {
    type Item = PathBuf;

    fn next(&mut self) -> Option<PathBuf> {
        loop {
            self.visited += 1;
            if self.visited > MAX_VISITED || self.stop.load(Ordering::Relaxed) {
                return None;
            }
            // An unreadable directory is passed over.
            let Ok(entry) = self.walk.next()? else {
                continue;
            };
            if entry.file_type().is_some_and(|kind| kind.is_file()) {
                let path = entry.path();
                return Some(path.strip_prefix(self.root).unwrap_or(path).to_owned());
            }
        }
    }
}

/// How much of a file could be searched.
enum Searched {
    Whole,
    InPart,
    Binary,
}

fn search_file(
    workspace: &Workspace,
    file: &Path,
    regex: &Regex,
    hits: &mut Vec<String>,
) -> Searched {
    let (dir, below) = workspace.at(file);
    let Ok(open) = dir.open(below) else {
        return Searched::Whole;
    };
    let in_part = open.metadata().is_ok_and(|found| found.len() > MAX_FILE);
    let mut bytes = Vec::new();
    if open.take(MAX_FILE).read_to_end(&mut bytes).is_err() {
        return Searched::Whole;
    }
    if in_part {
        // Whole lines, so that no character is cut.
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        bytes.truncate(end.map_or(bytes.len(), |end| end + 1));
    }
    let Ok(text) = TextFile::read(&bytes) else {
        return Searched::Binary;
    };
    for (number, line) in (1_u64..).zip(text.text().lines()) {
        if regex.is_match(line) {
            let line = shorten(line, MAX_LINE);
            hits.push(format!("{}:{number}:{line}", shown(file)));
            if hits.len() > MAX_HITS {
                break;
            }
        }
    }
    if in_part {
        Searched::InPart
    } else {
        Searched::Whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn fixture() -> (tempfile::TempDir, Workspace) {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("w");
        for (path, text) in [
            (".gitignore", "target/\n*.log\n"),
            (".github/ci.yml", "on: push\n"),
            (".git/config", "needle\n"),
            ("src/b.rs", "fn b() {}\nfn needle() {}\n"),
            ("src/a.rs", "// Needle\n"),
            ("src/deep/c.rs", "fn c() {}\n"),
            ("target/x.rs", "needle\n"),
            ("out.log", "needle\n"),
            ("image.rs", "needle\0"),
        ] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::fs::write(outer.path().join("secret.rs"), "needle\n").unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("../secret.rs", root.join("link.rs")).unwrap();
        let workspace = Workspace::open(&root).unwrap();
        (outer, workspace)
    }

    static GO: AtomicBool = AtomicBool::new(false);

    fn check_glob(pattern: &str, path: Option<&str>, expected: &[&str]) {
        let (_outer, workspace) = fixture();
        let glob = Glob {
            pattern: pattern.to_owned(),
            path: path.map(str::to_owned),
        };
        let got = glob.run(&workspace, &GO).unwrap();
        assert_eq!(got.lines().collect::<Vec<_>>(), expected, "{pattern}");
    }

    #[test]
    fn globs() {
        check_glob(
            "*.rs",
            None,
            &["image.rs", "src/a.rs", "src/b.rs", "src/deep/c.rs"],
        );
        check_glob("src/*.rs", None, &["src/a.rs", "src/b.rs"]);
        check_glob("**/c.rs", None, &["src/deep/c.rs"]);
        check_glob("*.rs", Some("src/deep"), &["src/deep/c.rs"]);
        check_glob("deep/*", Some("src"), &["src/deep/c.rs"]);
        check_glob("./src/a.rs", None, &["src/a.rs"]);
        check_glob("*.yml", None, &[".github/ci.yml"]);
        check_glob("*.log", None, &["no file matches *.log"]);
        check_glob("config", None, &["no file matches config"]);
    }

    fn check_grep(pattern: &str, path: Option<&str>, glob: Option<&str>, expected: &[&str]) {
        let (_outer, workspace) = fixture();
        let grep = Grep {
            pattern: pattern.to_owned(),
            path: path.map(str::to_owned),
            glob: glob.map(str::to_owned),
            ignore_case: true,
        };
        let got = grep.run(&workspace, &GO).unwrap();
        assert_eq!(got.lines().collect::<Vec<_>>(), expected, "{pattern}");
    }

    #[test]
    fn greps() {
        let both = ["src/a.rs:1:// Needle", "src/b.rs:2:fn needle() {}"];
        check_grep("needle", None, None, &both);
        check_grep("needle", Some("src/b.rs"), None, &both[1..]);
        check_grep("needle", Some("src"), Some("a.*"), &both[..1]);
        check_grep(
            r"fn \w\(\)",
            None,
            Some("**/deep/*"),
            &["src/deep/c.rs:1:fn c() {}"],
        );
        check_grep("absent", None, None, &["nothing matches absent"]);
    }

    #[test]
    fn nothing_outside_is_searched() {
        let (outer, workspace) = fixture();
        for path in ["up", "..", "link.rs", outer.path().to_str().unwrap()] {
            let grep = Grep {
                pattern: "needle".to_owned(),
                path: Some(path.to_owned()),
                glob: None,
                ignore_case: false,
            };
            let error = grep.run(&workspace, &GO).unwrap_err();
            assert!(error.contains("outside"), "{path}: {error}");
        }
    }

    #[test]
    fn results_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..(MAX_PATHS + 5) {
            std::fs::write(dir.path().join(format!("{n:04}.txt")), "hit\n").unwrap();
        }
        let workspace = Workspace::open(dir.path()).unwrap();
        let glob = Glob {
            pattern: "*.txt".to_owned(),
            path: None,
        };
        let got = glob.run(&workspace, &GO).unwrap();
        assert_eq!(got.lines().count(), MAX_PATHS + 1);
        assert!(got.ends_with("narrower pattern]"));
        let grep = Grep {
            pattern: "hit".to_owned(),
            path: None,
            glob: None,
            ignore_case: false,
        };
        let got = grep.run(&workspace, &GO).unwrap();
        assert_eq!(got.lines().count(), MAX_HITS + 1);
        let stopped = grep.run(&workspace, &AtomicBool::new(true)).unwrap();
        assert!(stopped.starts_with("nothing"));
    }

    #[test]
    fn what_was_not_searched_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let long = vec![b'x'; usize::try_from(MAX_FILE).unwrap() + 1];
        std::fs::write(dir.path().join("long.txt"), long).unwrap();
        std::fs::write(dir.path().join("picture"), b"\0\0needle").unwrap();
        let wide: Vec<u8> = "\u{feff}needle"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        std::fs::write(dir.path().join("wide.txt"), wide).unwrap();
        let workspace = Workspace::open(dir.path()).unwrap();
        let grep = |path: Option<&str>| {
            let grep = Grep {
                pattern: "needle".to_owned(),
                path: path.map(str::to_owned),
                glob: None,
                ignore_case: false,
            };
            grep.run(&workspace, &GO)
        };
        let got = grep(None).unwrap();
        assert_eq!(
            got,
            "wide.txt:1:needle\n[1 files are longer than 4 MiB; only their beginning was searched]"
        );
        assert_eq!(
            grep(Some("picture")).unwrap_err(),
            "picture is a binary file"
        );
    }

    #[test]
    fn a_further_directory_is_searched_like_the_first() {
        let [first, further] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let place = further.path().canonicalize().unwrap();
        std::fs::write(place.join("a.txt"), "needle\n").unwrap();
        let workspace = Workspace::with_further(first.path(), [&place]).unwrap();
        let path = Some(place.display().to_string());
        let glob = Glob {
            pattern: "*.txt".to_owned(),
            path: path.clone(),
        };
        let file = place.join("a.txt").display().to_string();
        assert_eq!(glob.run(&workspace, &GO).unwrap(), file);
        let grep = Grep {
            pattern: "needle".to_owned(),
            path,
            glob: None,
            ignore_case: false,
        };
        assert_eq!(
            grep.run(&workspace, &GO).unwrap(),
            format!("{file}:1:needle")
        );
    }
}
