//! `read_file`, `write_file`, `edit_file`.
//!
//! A model sees and writes Unicode with line feeds; a file keeps its encoding,
//! byte-order mark and line endings.

use sam_acp::{Location, ToolContent, ToolKind};
use sam_harness::edits::{self, Edit};
use sam_harness::text_file::TextFile;
use serde::Deserialize;

use crate::tools::disk::OpenFile;
use crate::tools::{Description, ToolOutput, file_seen, lenient_number, shorten};
use crate::workspace::{Workspace, shown};

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
    #[serde(default)]
    edits: Vec<OneEdit>,
    /// One edit may also be given without a list.
    #[serde(default)]
    old_text: Option<String>,
    #[serde(default)]
    new_text: Option<String>,
    #[serde(default)]
    replace_all: bool,
}

#[derive(Debug, Deserialize)]
struct OneEdit {
    old_text: String,
    new_text: String,
    #[serde(default)]
    replace_all: bool,
}

fn describe(
    workspace: &Workspace,
    verb: &str,
    path: &str,
    kind: ToolKind,
    line: Option<u64>,
) -> Description {
    let relative = workspace.relative(path).ok();
    let name = shown(relative.as_deref().unwrap_or(path.as_ref()));
    Description {
        title: shorten(&format!("{verb} {name}"), 200),
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
        let mut file = OpenFile::to_read(workspace, &self.path)?;
        let bytes = file.bytes()?;
        let read = TextFile::read(&bytes).map_err(|error| format!("{} {error}", self.path))?;
        let text = read.text();
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
        if let Some(encoding) = read.other_encoding() {
            out.push_str(&format!("[the file is in {encoding}, which edits keep]\n"));
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
        let mut file = OpenFile::to_write(workspace, &self.path)?;
        let before = if file.created {
            None
        } else {
            Some(file.bytes()?)
        };
        let verb = if before.is_some() {
            "replaced"
        } else {
            "created"
        };
        let lines = self.content.lines().count();
        // What was no text before is simply replaced.
        let before = before.map(|bytes| TextFile::read(&bytes).ok());
        let mut after = before.clone().flatten();
        let bytes = match &mut after {
            Some(text) => {
                text.replace(&self.content);
                file.store(text)?
            }
            None => {
                file.store_bytes(self.content.as_bytes())?;
                self.content.as_bytes().to_vec()
            }
        };
        let form = after.as_ref().and_then(TextFile::form);
        let kept = form.map_or_else(String::new, |form| format!(" ({form})"));
        let old = before.map(|text| text.map_or_else(String::new, |text| text.text().to_owned()));
        let size = old.as_ref().map_or(0, String::len) + self.content.len();
        let diff = (size <= 2 * MAX_DIFF).then(|| {
            vec![ToolContent::Diff {
                path: workspace.absolute(&file.relative),
                old,
                new: self.content.clone(),
            }]
        });
        Ok(ToolOutput {
            text: format!("{} {verb}, {lines} lines{kept}", shown(&file.relative)),
            shown: diff,
            files: vec![file_seen(&file.relative, &bytes, None)],
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
        let edits = self.edits()?;
        let mut file = OpenFile::to_edit(workspace, &self.path)?;
        let mut text = file.text()?;
        let before = text.text().to_owned();
        let lines =
            edits::apply(&mut text, &edits).map_err(|reason| format!("{}: {reason}", self.path))?;
        let bytes = file.store(&text)?;
        let after = text.text();
        let whole = before.len() <= MAX_DIFF && after.len() <= MAX_DIFF;
        let path = workspace.absolute(&file.relative);
        let diff = |old, new| ToolContent::Diff {
            path: path.clone(),
            old: Some(old),
            new,
        };
        let diffs = if whole {
            vec![diff(before, after.to_owned())]
        } else {
            edits
                .into_iter()
                .map(|edit| diff(edit.old, edit.new))
                .collect()
        };
        let lines: Vec<String> = lines.iter().map(usize::to_string).collect();
        let plural = if lines.len() == 1 { "line" } else { "lines" };
        Ok(ToolOutput {
            text: format!(
                "{} edited at {plural} {}",
                shown(&file.relative),
                lines.join(", ")
            ),
            shown: Some(diffs),
            files: vec![file_seen(&file.relative, &bytes, None)],
            ..ToolOutput::default()
        })
    }

    fn edits(&self) -> Result<Vec<Edit>, String> {
        let mut edits: Vec<Edit> = self
            .edits
            .iter()
            .map(|edit| Edit {
                old: edit.old_text.clone(),
                new: edit.new_text.clone(),
                all: edit.replace_all,
            })
            .collect();
        match (&self.old_text, &self.new_text) {
            (Some(old), Some(new)) => edits.push(Edit {
                old: old.clone(),
                new: new.clone(),
                all: self.replace_all,
            }),
            (None, None) => {}
            _ => return Err("old_text and new_text belong together".to_owned()),
        }
        Ok(edits)
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
