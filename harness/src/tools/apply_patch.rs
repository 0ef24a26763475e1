//! `apply_patch`: changes to several files in the format models know.
//!
//! Every file is opened and every change worked out before the first byte is
//! written; what stands in the way of one stands in the way of all. Only a disk
//! that fails in the middle leaves a part, and then it is said which.

use std::collections::HashSet;
use std::path::PathBuf;

use sam_acp::{Location, ToolContent, ToolKind};
use sam_harness::patch::{self, Change};
use sam_harness::text_file::TextFile;
use sam_harness::transcript::FileSeen;
use serde::Deserialize;

use crate::tools::disk::{self, OpenFile};
use crate::tools::{Description, ToolOutput, file_seen, shorten};
use crate::workspace::{Workspace, explain, shown};

const MAX_PATCH: usize = 2 * 1024 * 1024;
/// Diffs shown, over all files.
const MAX_DIFF: usize = 128 * 1024;

/// Arguments of `apply_patch`.
#[derive(Debug, Deserialize)]
pub(crate) struct ApplyPatch {
    #[serde(alias = "input")]
    patch: String,
}

/// A change that was worked out.
enum Ready {
    Add {
        path: String,
        text: String,
    },
    Delete {
        path: String,
        relative: PathBuf,
        old: Option<String>,
    },
    Update {
        file: OpenFile,
        old: String,
        text: TextFile,
        moved: Option<(String, PathBuf)>,
    },
}

/// What has been done so far.
#[derive(Default)]
struct Done {
    lines: Vec<String>,
    diffs: Vec<ToolContent>,
    files: Vec<FileSeen>,
}

fn path_of(change: &Change) -> &str {
    match change {
        Change::Add { path, .. } | Change::Delete { path } | Change::Update { path, .. } => path,
    }
}

impl ApplyPatch {
    pub(crate) fn describe(&self, workspace: &Workspace) -> Description {
        let changes = patch::parse(&self.patch).unwrap_or_default();
        let paths = changes
            .iter()
            .filter_map(|c| workspace.relative(path_of(c)).ok());
        let paths: Vec<PathBuf> = paths.collect();
        let names: Vec<String> = paths.iter().map(|path| shown(path)).collect();
        Description {
            title: shorten(&format!("Patch {}", names.join(", ")), 200),
            kind: ToolKind::Edit,
            locations: paths
                .iter()
                .map(|path| Location {
                    path: workspace.absolute(path),
                    line: None,
                })
                .collect(),
        }
    }

    pub(crate) fn run(&self, workspace: &Workspace) -> ToolOutput {
        let ready = match self.work_out(workspace) {
            Ok(ready) => ready,
            Err(reason) => return ToolOutput::failed(format!("{reason}; no file was changed")),
        };
        let mut done = Done::default();
        for change in ready {
            if let Err(reason) = change.make(workspace, &mut done) {
                let before = if done.lines.is_empty() {
                    "no file was changed".to_owned()
                } else {
                    format!("done before: {}", done.lines.join("; "))
                };
                return ToolOutput {
                    files: done.files,
                    ..ToolOutput::failed(format!("{reason}; {before}"))
                };
            }
        }
        let size: usize = done.diffs.iter().map(size_of).sum();
        ToolOutput {
            shown: (size <= MAX_DIFF).then_some(done.diffs),
            files: done.files,
            ..ToolOutput::ok(done.lines.join("\n"))
        }
    }

    fn work_out(&self, workspace: &Workspace) -> Result<Vec<Ready>, String> {
        if self.patch.len() > MAX_PATCH {
            return Err(format!("the patch is longer than {MAX_PATCH} bytes"));
        }
        let mut taken = HashSet::new();
        let mut take = |path: &str| {
            let relative = workspace.relative(path)?;
            if taken.insert(relative.clone()) {
                Ok(relative)
            } else {
                Err(format!(
                    "{} is in the patch twice; change it in one part",
                    shown(&relative)
                ))
            }
        };
        let mut ready = Vec::new();
        for change in patch::parse(&self.patch)? {
            take(path_of(&change))?;
            ready.push(match change {
                Change::Add { path, text } => {
                    disk::can_create(workspace, &path)?;
                    Ready::Add { path, text }
                }
                Change::Delete { path } => {
                    let mut file = OpenFile::to_edit(workspace, &path)?;
                    let old = file.text().ok().map(|text| text.text().to_owned());
                    let relative = file.relative;
                    Ready::Delete {
                        path,
                        relative,
                        old,
                    }
                }
                Change::Update { path, moved, hunks } => {
                    let mut file = OpenFile::to_edit(workspace, &path)?;
                    let mut text = file.text()?;
                    let old = text.text().to_owned();
                    patch::apply(&mut text, &hunks).map_err(|why| format!("{path}: {why}"))?;
                    // Also asks whether the encoding can express it.
                    text.bytes().map_err(|why| format!("{path} {why}"))?;
                    let moved = match moved {
                        None => None,
                        Some(to) => {
                            disk::can_create(workspace, &to)?;
                            let relative = take(&to)?;
                            Some((to, relative))
                        }
                    };
                    Ready::Update {
                        file,
                        old,
                        text,
                        moved,
                    }
                }
            });
        }
        Ok(ready)
    }
}

impl Ready {
    fn make(self, workspace: &Workspace, done: &mut Done) -> Result<(), String> {
        match self {
            Self::Add { path, text } => {
                let mut file = OpenFile::to_create(workspace, &path)?;
                file.store_bytes(text.as_bytes())?;
                done.lines.push(format!("{} added", shown(&file.relative)));
                done.files
                    .push(file_seen(&file.relative, text.as_bytes(), None));
                done.diffs.push(ToolContent::Diff {
                    path: workspace.absolute(&file.relative),
                    old: None,
                    new: text,
                });
            }
            Self::Delete {
                path,
                relative,
                old,
            } => {
                disk::remove(workspace, &path)?;
                done.lines.push(format!("{} deleted", shown(&relative)));
                done.diffs.push(ToolContent::Diff {
                    path: workspace.absolute(&relative),
                    old,
                    new: String::new(),
                });
            }
            Self::Update {
                mut file,
                old,
                text,
                moved,
            } => {
                let bytes = file.store(&text)?;
                let from = file.relative;
                let (place, line) = match moved {
                    None => (from.clone(), format!("{} changed", shown(&from))),
                    Some((to, relative)) => {
                        disk::make_parents(workspace, &relative)
                            .and_then(|()| {
                                let (old, from) = workspace.at(&from);
                                let (new, to) = workspace.at(&relative);
                                old.rename(from, new, to)
                            })
                            .map_err(|error| explain(&to, &error))?;
                        let line = format!("{} moved to {}", shown(&from), shown(&relative));
                        (relative, line)
                    }
                };
                done.lines.push(line);
                done.files.push(file_seen(&place, &bytes, None));
                done.diffs.push(ToolContent::Diff {
                    path: workspace.absolute(&place),
                    old: Some(old),
                    new: text.text().to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn size_of(diff: &ToolContent) -> usize {
    match diff {
        ToolContent::Diff { old, new, .. } => old.as_ref().map_or(0, String::len) + new.len(),
        _ => 0,
    }
}
