//! What the model is told before the person speaks.
//!
//! The text depends on the workspace at the session's start alone, so that the
//! conversation's prefix stays the same bytes from request to request.

use std::io::Read;
use std::path::Path;

use crate::workspace::Workspace;

const INSTRUCTIONS: &str = "\
You are a coding agent. You work in one workspace, a directory with a person's project, and you \
finish the task you are given without asking back unless it cannot be done otherwise.

How to work:
- Look before you change: find the files that matter with glob and grep, and read them.
- Make the smallest change that does the task well, in the style of the code around it. Use \
edit_file for existing files; old_text must occur exactly once.
- Prove it: run the project's tests or build with bash, read the output, and go on until it passes.
- Do not commit, push or change branches unless asked to; do not touch files the task does not need.
- Tool results may be shortened; the marks in them say where.
- When you are done, say briefly what you changed and how you know that it works. If you could not \
finish, say what is missing.";

const MAX_GUIDE: usize = 16 * 1024;
const MAX_ENTRIES: usize = 60;

/// The system message for a workspace.
pub(crate) fn system(workspace: &Workspace) -> String {
    let mut text = String::from(INSTRUCTIONS);
    text.push_str("\n\nThe workspace:\n");
    text.push_str(&format!("- directory: {}\n", workspace.root().display()));
    text.push_str(&format!(
        "- system: {} {}\n",
        std::env::consts::OS,
        std::env::consts::ARCH
    ));
    if workspace.dir().exists(".git") {
        text.push_str("- it is a git repository\n");
    }
    let entries = top_level(workspace);
    if !entries.is_empty() {
        text.push_str(&format!("- top level: {}\n", entries.join(" ")));
    }
    if let Some(guide) = guide(workspace) {
        text.push_str("\nThe project's own instructions for agents (AGENTS.md):\n\n");
        text.push_str(&guide);
    }
    text
}

fn top_level(workspace: &Workspace) -> Vec<String> {
    let Ok(entries) = workspace.dir().entries() else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_dir { format!("{name}/") } else { name }
        })
        .filter(|name| name != ".git/")
        .collect();
    names.sort();
    let more = names.len().saturating_sub(MAX_ENTRIES);
    names.truncate(MAX_ENTRIES);
    if more > 0 {
        names.push(format!("(and {more} more)"));
    }
    names
}

fn guide(workspace: &Workspace) -> Option<String> {
    let file = workspace.dir().open(Path::new("AGENTS.md")).ok()?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_GUIDE)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).ok()?;
    let cut = bytes.len() > MAX_GUIDE;
    bytes.truncate(MAX_GUIDE);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if cut {
        text.push_str("\n[the rest of AGENTS.md is left out]");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_and_a_bounded_guide() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        std::fs::write(dir.path().join("AGENTS.md"), "x".repeat(MAX_GUIDE * 2)).unwrap();
        let workspace = Workspace::open(dir.path()).unwrap();
        let text = system(&workspace);
        assert!(text.contains("- top level: AGENTS.md src/\n"), "{text}");
        assert!(!text.contains("git repository"));
        assert!(text.ends_with("left out]") && text.len() < MAX_GUIDE + 4096);
    }

    #[test]
    fn a_guide_outside_the_workspace_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("w")).unwrap();
        std::fs::write(dir.path().join("secret"), "hunter2").unwrap();
        std::os::unix::fs::symlink("../secret", dir.path().join("w/AGENTS.md")).unwrap();
        let workspace = Workspace::open(&dir.path().join("w")).unwrap();
        assert!(!system(&workspace).contains("hunter2"));
    }
}
