//! `read_file`, `write_file`, `edit_file`.
//!
//! Files are written in place, so that their mode, owner and links stay, and
//! shortened only after the new text is there. What lies in `.git` is not
//! written: git runs what it finds there.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use cap_std::fs::OpenOptions;
use sam_acp::{Location, ToolContent, ToolKind};
use serde::Deserialize;

use crate::tools::{Description, ToolOutput, file_seen, lenient_number, shorten};
use crate::workspace::{Workspace, explain};

const MAX_FILE: u64 = 16 * 1024 * 1024;
const MAX_LINES: u64 = 2000;
const MAX_LINE: usize = 2000;
const MAX_OUTPUT: usize = 64 * 1024;
const MAX_DIFF: usize = 64 * 1024;

/// Arguments of `read_file`.
#[derive(Debug, Deserialize)]
pub(crate) struct ReadFile {
    path: String,
    #[serde(default, deserialize_with = "lenient_number")]
    offset: Option<u64>,
    #[serde(default, deserialize_with = "lenient_number")]
    limit: Option<u64>,
}

/// Arguments of `write_file`.
#[derive(Debug, Deserialize)]
pub(crate) struct WriteFile {
    path: String,
    content: String,
}

/// Arguments of `edit_file`.
#[derive(Debug, Deserialize)]
pub(crate) struct EditFile {
    path: String,
    old_text: String,
    new_text: String,
}

fn describe(
    workspace: &Workspace,
    verb: &str,
    path: &str,
    kind: ToolKind,
    line: Option<u64>,
) -> Description {
    let relative = workspace.relative(path).ok();
    let shown = relative
        .as_ref()
        .map_or_else(|| path.to_owned(), |path| path.display().to_string());
    Description {
        title: shorten(&format!("{verb} {shown}"), 200),
        kind,
        locations: relative
            .map(|relative| Location {
                path: workspace.absolute(&relative),
                line: line.and_then(|line| u32::try_from(line).ok()),
            })
            .into_iter()
            .collect(),
    }
}

impl ReadFile {
    pub(crate) fn describe(&self, workspace: &Workspace) -> Description {
        describe(workspace, "Read", &self.path, ToolKind::Read, self.offset)
    }

    pub(crate) fn run(&self, workspace: &Workspace) -> ToolOutput {
        self.read(workspace).unwrap_or_else(ToolOutput::failed)
    }

    fn read(&self, workspace: &Workspace) -> Result<ToolOutput, String> {
        let (_, bytes) = load(workspace, &self.path)?;
        if bytes.iter().take(8192).any(|byte| *byte == 0) {
            return Err(format!("{} is a binary file", self.path));
        }
        let text = String::from_utf8_lossy(&bytes);
        let total = u64::try_from(text.lines().count()).unwrap_or(u64::MAX);
        if total == 0 {
            return Ok(ToolOutput::ok(format!("[{} is empty]", self.path)));
        }
        let first = self.offset.unwrap_or(1).max(1);
        if first > total {
            return Err(format!("{} has only {total} lines", self.path));
        }
        let limit = self.limit.unwrap_or(MAX_LINES).clamp(1, MAX_LINES);
        let mut out = String::new();
        let mut next = first;
        for (number, line) in (1_u64..).zip(text.lines()).skip_while(|(n, _)| *n < first) {
            if number >= first.saturating_add(limit) || out.len() > MAX_OUTPUT {
                break;
            }
            out.push_str(&format!("{number:>6}\t{}\n", shorten(line, MAX_LINE)));
            next = number + 1;
        }
        if next <= total {
            out.push_str(&format!(
                "[{total} lines in all; go on with offset {next}]\n"
            ));
        }
        let path = workspace.resolved(&self.path)?;
        let shown = Some((first, next.saturating_sub(1)));
        Ok(ToolOutput {
            files: vec![file_seen(&path, &bytes, shown)],
            ..ToolOutput::ok(out)
        })
    }
}

impl WriteFile {
    pub(crate) fn describe(&self, workspace: &Workspace) -> Description {
        describe(workspace, "Write", &self.path, ToolKind::Edit, None)
    }

    pub(crate) fn run(&self, workspace: &Workspace) -> ToolOutput {
        let written = self.write(workspace);
        written.unwrap_or_else(ToolOutput::failed)
    }

    fn write(&self, workspace: &Workspace) -> Result<ToolOutput, String> {
        let relative = writable(workspace, &self.path)?;
        let before = match workspace.dir().metadata(&relative) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(format!("{} is a directory", self.path));
            }
            Ok(_) => Some(load(workspace, &self.path)?.1),
            Err(_) => None,
        };
        if before.is_none()
            && let Some(parent) = relative.parent()
            && !parent.as_os_str().is_empty()
        {
            workspace
                .dir()
                .create_dir_all(parent)
                .map_err(|error| explain(&self.path, &error))?;
        }
        store(workspace, &self.path, &relative, self.content.as_bytes())?;
        let lines = self.content.lines().count();
        let verb = if before.is_some() {
            "replaced"
        } else {
            "created"
        };
        let old = before.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let size = old.as_ref().map_or(0, String::len) + self.content.len();
        let shown = (size <= 2 * MAX_DIFF).then(|| {
            vec![ToolContent::Diff {
                path: workspace.absolute(&relative),
                old,
                new: self.content.clone(),
            }]
        });
        Ok(ToolOutput {
            text: format!("{} {verb}, {lines} lines", relative.display()),
            shown,
            files: vec![file_seen(&relative, self.content.as_bytes(), None)],
            ..ToolOutput::default()
        })
    }
}

impl EditFile {
    pub(crate) fn describe(&self, workspace: &Workspace) -> Description {
        describe(workspace, "Edit", &self.path, ToolKind::Edit, None)
    }

    pub(crate) fn run(&self, workspace: &Workspace) -> ToolOutput {
        self.edit(workspace).unwrap_or_else(ToolOutput::failed)
    }

    fn edit(&self, workspace: &Workspace) -> Result<ToolOutput, String> {
        let relative = writable(workspace, &self.path)?;
        let (_, bytes) = load(workspace, &self.path)?;
        let before = String::from_utf8(bytes)
            .map_err(|_| format!("{} is not UTF-8 text and cannot be edited", self.path))?;
        let (after, line) = replace_once(&before, &self.old_text, &self.new_text)
            .map_err(|reason| format!("{}: {reason}", self.path))?;
        store(workspace, &self.path, &relative, after.as_bytes())?;
        let files = vec![file_seen(&relative, after.as_bytes(), None)];
        let whole = before.len() <= MAX_DIFF && after.len() <= MAX_DIFF;
        let (old, new) = if whole {
            (before, after)
        } else {
            (self.old_text.clone(), self.new_text.clone())
        };
        Ok(ToolOutput {
            text: format!("{} edited at line {line}", relative.display()),
            shown: Some(vec![ToolContent::Diff {
                path: workspace.absolute(&relative),
                old: Some(old),
                new,
            }]),
            files,
            ..ToolOutput::default()
        })
    }
}

/// Replaces the one occurrence of `old`. In a file of CRLF lines a model's LF
/// means CRLF. Returns the text and the line of the change.
fn replace_once(text: &str, old: &str, new: &str) -> Result<(String, usize), String> {
    if old.is_empty() {
        return Err("old_text is empty; use write_file for a new file".to_owned());
    }
    if old == new {
        return Err("old_text and new_text are the same".to_owned());
    }
    let crlf = |text: &str| text.replace("\r\n", "\n").replace('\n', "\r\n");
    let (old, new) = if !text.contains(old) && text.contains("\r\n") {
        (crlf(old), crlf(new))
    } else {
        (old.to_owned(), new.to_owned())
    };
    let line_of = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        before.matches('\n').count() + 1
    };
    let places: Vec<usize> = overlapping(text, &old);
    match places.as_slice() {
        [] => Err(not_found(text, &old)),
        [at] => {
            let before = text.get(..*at).unwrap_or_default();
            let after = text.get(at + old.len()..).unwrap_or_default();
            Ok(([before, &new, after].concat(), line_of(*at)))
        }
        places => {
            let lines: Vec<String> = places
                .iter()
                .take(8)
                .map(|at| line_of(*at).to_string())
                .collect();
            Err(format!(
                "old_text occurs {} times (lines {}) and must be unique; give more of the text around it",
                places.len(),
                lines.join(", ")
            ))
        }
    }
}

/// Every place, also where occurrences overlap: either would be a guess.
fn overlapping(text: &str, wanted: &str) -> Vec<usize> {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(wanted)) {
        places.push(from + at);
        let step = text.get(from + at..).and_then(|rest| rest.chars().next());
        from += at + step.map_or(1, char::len_utf8);
    }
    places
}

fn not_found(text: &str, old: &str) -> String {
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let first = old.lines().map(squeezed).find(|line| !line.is_empty());
    let near = first.and_then(|first| {
        let mut lines = (1_usize..).zip(text.lines());
        lines.find(|(_, line)| squeezed(line) == first)
    });
    match near {
        Some((number, _)) => format!(
            "old_text was not found; line {number} is like its first line, so compare the rest and the spaces"
        ),
        None => "old_text was not found; read the file again".to_owned(),
    }
}

/// The path to write to, with its links resolved as far as it exists.
fn writable(workspace: &Workspace, path: &str) -> Result<PathBuf, String> {
    let relative = workspace.relative(path)?;
    let resolved = workspace.dir().canonicalize(&relative);
    let target = resolved.unwrap_or_else(|_| relative.clone());
    let in_git = |path: &Path| {
        path.components().any(
            |part| matches!(part, Component::Normal(name) if name.eq_ignore_ascii_case(".git")),
        )
    };
    if in_git(&target) || in_git(&relative) {
        return Err(format!("{path} belongs to git; use git commands instead"));
    }
    Ok(relative)
}

fn load(workspace: &Workspace, path: &str) -> Result<(PathBuf, Vec<u8>), String> {
    let relative = workspace.relative(path)?;
    let failed = |error: std::io::Error| explain(path, &error);
    // Looked at before it is opened: opening a pipe would wait for a writer.
    let metadata = workspace.dir().metadata(&relative).map_err(failed)?;
    if metadata.is_dir() {
        return Err(format!("{path} is a directory; list it with glob or bash"));
    }
    if !metadata.is_file() {
        return Err(format!("{path} is not a regular file"));
    }
    if metadata.len() > MAX_FILE {
        return Err(format!(
            "{path} is too large ({} bytes); use grep, or bash with head or sed",
            metadata.len()
        ));
    }
    let file = workspace.dir().open(&relative).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok((relative, bytes))
}

fn store(workspace: &Workspace, path: &str, relative: &Path, bytes: &[u8]) -> Result<(), String> {
    let failed = |error: std::io::Error| explain(path, &error);
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    let mut file = workspace
        .dir()
        .open_with(relative, &options)
        .map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    file.set_len(length).map_err(failed)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
