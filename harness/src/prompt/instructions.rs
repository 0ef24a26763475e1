//! The project's instructions for agents: AGENTS.md and CLAUDE.md.
//!
//! Those at the top are given in full, within a bound, after those of the
//! folders above it in the same repository; those below count for what lies
//! beside and below them, and are named, to be read when work goes there.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use crate::workspace::{Workspace, shown};

const NAMES: [&str; 2] = ["AGENTS.md", "CLAUDE.md"];
const MAX_FILE: usize = 24 * 1024;
const MOST_NESTED: usize = 40;
/// Places looked at for nested files.
const MAX_VISITED: usize = 20_000;
const MAX_DEPTH: usize = 8;

/// The parts of the prompt that come of instruction files.
pub(super) fn of(workspace: &Workspace) -> Vec<String> {
    let mut parts = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    let own = NAMES.map(|name| (name.to_owned(), read(workspace, name)));
    for (name, text) in above(workspace.root()).into_iter().chain(own) {
        let Some(text) = text else {
            continue;
        };
        // One is often a copy of the other, or only points to it.
        let points = text
            .trim()
            .strip_prefix('@')
            .is_some_and(|to| NAMES.contains(&to.trim()));
        if !texts.contains(&text) && (!points || texts.is_empty()) {
            parts.push(format!(
                "The project's own instructions for agents ({name}):\n\n{}",
                text.trim_end()
            ));
            texts.push(text);
        }
    }
    let nested = nested(workspace);
    if !nested.is_empty() {
        let lines: Vec<String> = nested
            .iter()
            .map(|path| format!("- {}", shown(path)))
            .collect();
        parts.push(format!(
            "Further instructions, each for its folder and what lies below it; read them before you work there, the \
             deepest counts most:\n{}",
            lines.join("\n")
        ));
    }
    parts
}

/// The files of the folders above in the same repository, the outermost first.
fn above(root: &Path) -> Vec<(String, Option<String>)> {
    if root.join(".git").exists() {
        return Vec::new();
    }
    let mut folders: Vec<&Path> = root.ancestors().skip(1).collect();
    let Some(top) = folders
        .iter()
        .position(|folder| folder.join(".git").exists())
    else {
        return Vec::new();
    };
    folders.truncate(top + 1);
    let up = |steps: usize| "../".repeat(steps);
    let files = (1_usize..)
        .zip(folders)
        .collect::<Vec<_>>()
        .into_iter()
        .rev();
    files
        .flat_map(|(steps, folder)| {
            NAMES.map(|name| {
                let path = folder.join(name);
                // A link could lead anywhere.
                let regular = path.symlink_metadata().is_ok_and(|found| found.is_file());
                let file = regular.then(|| File::open(&path).ok()).flatten();
                let name = format!("{}{name}", up(steps));
                let text = file.and_then(|file| bounded(file, &name));
                (name, text)
            })
        })
        .collect()
}

fn read(workspace: &Workspace, name: &str) -> Option<String> {
    let dir = workspace.dir();
    if !dir.metadata(name).ok()?.is_file() {
        return None;
    }
    bounded(dir.open(Path::new(name)).ok()?, name)
}

fn bounded(file: impl Read, name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).ok()?;
    let cut = bytes.len() > MAX_FILE;
    bytes.truncate(MAX_FILE);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if cut {
        text.push_str(&format!(
            "\n[the rest of {name} is left out; read the file]"
        ));
    }
    (!text.trim().is_empty()).then_some(text)
}

fn nested(workspace: &Workspace) -> Vec<PathBuf> {
    let walk = WalkBuilder::new(workspace.root())
        .hidden(true)
        .parents(false)
        .require_git(false)
        .git_global(false)
        .follow_links(false)
        .max_depth(Some(MAX_DEPTH))
        .sort_by_file_name(|a, b| a.cmp(b))
        .build();
    walk.take(MAX_VISITED)
        .filter_map(Result::ok)
        .filter(|entry| entry.depth() > 1)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .filter(|entry| NAMES.iter().any(|name| entry.file_name() == *name))
        .filter_map(|entry| {
            entry
                .path()
                .strip_prefix(workspace.root())
                .ok()
                .map(Path::to_owned)
        })
        .take(MOST_NESTED)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let parts = of(&Workspace::open(dir.path()).unwrap());
        assert_eq!(parts.len(), expected.len(), "{parts:?}");
        for (part, expected) in parts.iter().zip(expected) {
            assert!(part.ends_with(expected), "{part}");
        }
    }

    #[test]
    fn files_at_the_top_in_full_and_nested_ones_by_name() {
        check(&[], &[]);
        check(
            &[("AGENTS.md", "a\n"), ("CLAUDE.md", "b\n")],
            &["(AGENTS.md):\n\na", "(CLAUDE.md):\n\nb"],
        );
        check(
            &[("AGENTS.md", "a\n"), ("CLAUDE.md", "a\n")],
            &["(AGENTS.md):\n\na"],
        );
        check(
            &[("AGENTS.md", "a\n"), ("CLAUDE.md", "@AGENTS.md\n")],
            &["(AGENTS.md):\n\na"],
        );
        check(
            &[("CLAUDE.md", "b\n"), ("AGENTS.md", " \n")],
            &["(CLAUDE.md):\n\nb"],
        );
        check(
            &[
                (".gitignore", "target/\n"),
                ("target/AGENTS.md", "x"),
                ("web/CLAUDE.md", "x"),
                ("api/v1/AGENTS.md", "x"),
            ],
            &["counts most:\n- api/v1/AGENTS.md\n- web/CLAUDE.md"],
        );
    }

    #[test]
    fn a_long_file_is_cut_and_one_outside_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("w");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("CLAUDE.md"), "x".repeat(MAX_FILE * 2)).unwrap();
        std::fs::write(dir.path().join("secret"), "hunter2").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("AGENTS.md")).unwrap();
        let parts = of(&Workspace::open(&root).unwrap());
        assert_eq!(parts.len(), 1);
        let part = parts.first().unwrap();
        assert!(part.ends_with("read the file]") && part.len() < MAX_FILE + 500);
        assert!(!part.contains("hunter2"));
    }

    #[test]
    fn files_above_count_as_far_as_the_repository_goes() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("repository/apps/web");
        std::fs::create_dir_all(&root).unwrap();
        std::fs::write(dir.path().join("AGENTS.md"), "of another").unwrap();
        std::fs::write(dir.path().join("repository/AGENTS.md"), "of all").unwrap();
        std::fs::write(dir.path().join("repository/apps/CLAUDE.md"), "of apps").unwrap();
        std::fs::write(root.join("AGENTS.md"), "of web").unwrap();
        let parts = || of(&Workspace::open(&root).unwrap());
        assert_eq!(parts().len(), 1, "no repository, nothing above");
        std::fs::create_dir(dir.path().join("repository/.git")).unwrap();
        let ends = [
            "(../../AGENTS.md):\n\nof all",
            "(../CLAUDE.md):\n\nof apps",
            "(AGENTS.md):\n\nof web",
        ];
        let got = parts();
        assert_eq!(got.len(), ends.len(), "{got:?}");
        for (part, end) in got.iter().zip(ends) {
            assert!(part.ends_with(end), "{part}");
        }
        // A repository of one's own is all there is.
        std::fs::create_dir(root.join(".git")).unwrap();
        assert_eq!(parts().len(), 1);
    }
}
