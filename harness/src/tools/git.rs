//! `git`: what changed, and the history, read and never written.
//!
//! The repository's own configuration must not run programs here: no external
//! diffs, text converters, hooks, monitors, pagers or signature checks; and the
//! command runs confined to reading wherever there is a sandbox.

use std::time::Duration;

use sam_acp::ToolKind;
use serde::Deserialize;

use crate::tools::process::{End, KEPT, Running, with_note};
use crate::tools::{Description, ToolContext, ToolOutput, lenient_number, shorten};
use sam_harness::head_tail::HeadTail;

const LIMIT: Duration = Duration::from_secs(60);
const DEFAULT_COMMITS: u64 = 20;
const MAX_COMMITS: u64 = 200;

/// Arguments of `git`.
#[derive(Debug, Deserialize)]
pub(crate) struct Git {
    view: View,
    #[serde(default)]
    revision: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    staged: bool,
    #[serde(default, deserialize_with = "lenient_number")]
    limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum View {
    Status,
    Diff,
    Log,
    Show,
}

impl Git {
    fn word(&self) -> &'static str {
        match self.view {
            View::Status => "status",
            View::Diff => "diff",
            View::Log => "log",
            View::Show => "show",
        }
    }

    pub(crate) fn describe(&self) -> Description {
        let mut title = format!("git {}", self.word());
        for part in [&self.revision, &self.path].into_iter().flatten() {
            title.push(' ');
            title.push_str(&part.escape_debug().to_string());
        }
        Description {
            title: shorten(&title, 200),
            kind: ToolKind::Read,
            locations: Vec::new(),
        }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "git",
            "--no-optional-locks",
            "--no-pager",
            "--literal-pathspecs",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "color.ui=false",
            self.word(),
        ]
        .map(str::to_owned)
        .into();
        let mut add = |more: &[&str]| arguments.extend(more.iter().map(|&word| word.to_owned()));
        match self.view {
            View::Status => add(&["--short", "--branch", "--ignore-submodules=dirty"]),
            View::Diff => {
                add(&[
                    "--no-ext-diff",
                    "--no-textconv",
                    "--ignore-submodules=dirty",
                ]);
                if self.staged {
                    add(&["--staged"]);
                }
            }
            View::Log => {
                let commits = self.limit.unwrap_or(DEFAULT_COMMITS).clamp(1, MAX_COMMITS);
                add(&[
                    "--no-show-signature",
                    "--date=iso-strict",
                    "--format=%h %ad %an: %s%d",
                    &format!("--max-count={commits}"),
                ]);
            }
            View::Show => add(&[
                "--no-show-signature",
                "--no-ext-diff",
                "--no-textconv",
                "--date=iso-strict",
            ]),
        }
        if self.view != View::Status {
            // What follows is no option, whatever it looks like.
            add(&["--end-of-options"]);
            if let Some(revision) = &self.revision {
                add(&[revision]);
            }
        }
        add(&["--"]);
        if let Some(path) = self.path.as_deref().filter(|path| !path.is_empty()) {
            add(&[path]);
        }
        arguments
    }

    pub(crate) async fn run(&self, context: &ToolContext<'_>) -> ToolOutput {
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let confined = context.guard.sandbox().level().guarantees.writes;
        let may_write = context.guard.may_write() && !confined;
        let running = match Running::start(context, &arguments, may_write) {
            Ok(running) => running,
            Err(error) => return ToolOutput::failed(error.to_string()),
        };
        let mut output = HeadTail::new(KEPT);
        let end = running.finish(LIMIT, &mut output, context).await;
        let note = end.note();
        let text = match (&end, output.text()) {
            (End::Exited(status), text) if status.success() && text.trim().is_empty() => {
                format!("[git {} shows nothing]", self.word())
            }
            (_, text) => with_note(text, note.clone()),
        };
        ToolOutput {
            failed: note.is_some(),
            ..ToolOutput::ok(text)
        }
    }
}
