//! The tools: what the model may do in the workspace.
//!
//! A call is parsed first ([`Call::parse`]), described for people and hosts,
//! and only then run. Whatever goes wrong is text for the model, never an
//! error of the turn. Outputs are bounded.

mod apply_patch;
mod bash;
mod disk;
mod files;
mod git;
mod jobs;
mod plan;
mod process;
mod search;

use std::path::Path;
use std::sync::Arc;

use sam_acp::{Location, PlanEntry, ToolContent, ToolKind};
use sam_dialects::conversation::Tool;
use sam_harness::transcript::FileSeen;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

pub(crate) use jobs::Jobs;
pub(crate) use process::{ProcessGroups, SECRETS};

use crate::guard::{Access, Guard};
use crate::mcp::{ServerCall, Servers};
use crate::workspace::Workspace;

/// What a tool gave back.
#[derive(Debug, Default)]
pub(crate) struct ToolOutput {
    /// For the model.
    pub(crate) text: String,
    /// For the host, when it is not just the text.
    pub(crate) shown: Option<Vec<ToolContent>>,
    /// Whether it failed.
    pub(crate) failed: bool,
    /// The files it read and wrote.
    pub(crate) files: Vec<FileSeen>,
    /// The plan, if it changed it.
    pub(crate) plan: Option<Vec<PlanEntry>>,
}

impl ToolOutput {
    fn ok(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }

    /// A failure, in words for the model.
    pub(crate) fn failed(message: impl AsRef<str>) -> Self {
        Self {
            text: format!("error: {}", message.as_ref()),
            failed: true,
            ..Self::default()
        }
    }

    /// What a host shows.
    pub(crate) fn content(&self) -> Vec<ToolContent> {
        let text = || {
            vec![ToolContent::Text {
                text: self.text.clone(),
            }]
        };
        self.shown.clone().unwrap_or_else(text)
    }
}

impl From<Result<String, String>> for ToolOutput {
    fn from(result: Result<String, String>) -> Self {
        match result {
            Ok(text) => Self::ok(text),
            Err(message) => Self::failed(message),
        }
    }
}

/// What a tool may use.
pub(crate) struct ToolContext<'a> {
    pub(crate) workspace: &'a Arc<Workspace>,
    pub(crate) groups: &'a ProcessGroups,
    pub(crate) guard: &'a Guard,
    pub(crate) jobs: &'a Jobs,
    /// The call's id.
    pub(crate) call: &'a str,
    pub(crate) cancel: &'a CancellationToken,
    /// Hears the output so far of a tool that takes its time.
    pub(crate) progress: &'a (dyn Fn(&str) + Sync),
}

/// A call with arguments that could be read.
#[derive(Debug)]
pub(crate) enum Call {
    ReadFile(files::ReadFile),
    WriteFile(files::WriteFile),
    EditFile(files::EditFile),
    ApplyPatch(apply_patch::ApplyPatch),
    Bash(bash::Bash),
    Job(jobs::JobCall),
    Glob(search::Glob),
    Grep(search::Grep),
    Git(git::Git),
    Plan(plan::Plan),
    Server(ServerCall),
}

/// A call as people see it.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) title: String,
    pub(crate) kind: ToolKind,
    pub(crate) locations: Vec<Location>,
}

/// The tools offered to the model.
pub(crate) fn definitions() -> Vec<Tool> {
    let object = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required});
    let path =
        json!({"type": "string", "description": "Path of a file, relative to the workspace."});
    let directory =
        json!({"type": "string", "description": "Directory to search in; default: the workspace."});
    vec![
        Tool::function(
            "read_file",
            "Reads a text file with line numbers. Long files are read in parts by offset and limit.",
            object(
                json!({
                    "path": path,
                    "offset": {"type": "integer", "description": "First line, from 1."},
                    "limit": {"type": "integer", "description": "Number of lines; default 2000."},
                }),
                &["path"],
            ),
        ),
        Tool::function(
            "write_file",
            "Writes a whole file, creating it and its directories or replacing what it held.",
            object(
                json!({"path": path, "content": {"type": "string"}}),
                &["path", "content"],
            ),
        ),
        Tool::function(
            "edit_file",
            "Replaces pieces of a file, one after the other, all or none. Each old_text must occur exactly once, without the line numbers of read_file; give enough lines around it.",
            object(
                json!({
                    "path": path,
                    "edits": {"type": "array", "items": object(
                        json!({
                            "old_text": {"type": "string", "description": "The exact text to replace."},
                            "new_text": {"type": "string", "description": "The text to put there."},
                            "replace_all": {"type": "boolean", "description": "Every occurrence is meant."},
                        }),
                        &["old_text", "new_text"],
                    )},
                }),
                &["path", "edits"],
            ),
        ),
        Tool::function(
            "apply_patch",
            "Adds, changes, moves and deletes files, all or none, by a patch: `*** Begin Patch`, then parts `*** Add File: path` (lines with +), `*** Delete File: path`, `*** Update File: path` (optional `*** Move to: path`, then hunks: an optional `@@ line above`, then lines with space, - or +), then `*** End Patch`.",
            object(json!({"patch": {"type": "string"}}), &["patch"]),
        ),
        Tool::function(
            "bash",
            "Runs a command with bash in the workspace and returns its output and exit code. There is no terminal and no input.",
            object(
                json!({
                    "command": {"type": "string"},
                    "timeout_seconds": {"type": "integer", "description": "Time limit; default 120, at most 600."},
                    "background": {"type": "boolean", "description": "Let it run and go on, for servers and long builds; look after it with job."},
                }),
                &["command"],
            ),
        ),
        Tool::function(
            "job",
            "Looks after a command in the background: poll gives its new output and whether it still runs, kill ends it, list names all.",
            object(
                json!({
                    "action": {"type": "string", "enum": ["poll", "kill", "list"]},
                    "job": {"type": "integer"},
                    "wait_seconds": {"type": "integer", "description": "With poll: how long to wait for its end; default 0, at most 120."},
                }),
                &["action"],
            ),
        ),
        Tool::function(
            "glob",
            "Lists files whose path matches a pattern, such as **/*.rs or src/**/test_*.py. Ignored files are left out.",
            object(
                json!({"pattern": {"type": "string"}, "path": directory}),
                &["pattern"],
            ),
        ),
        Tool::function(
            "grep",
            "Searches file contents for a regular expression and returns path:line:text. Ignored and binary files are left out.",
            object(
                json!({
                    "pattern": {"type": "string", "description": "Regular expression (Rust syntax)."},
                    "path": {"type": "string", "description": "File or directory to search in; default: the workspace."},
                    "glob": {"type": "string", "description": "Only files whose path matches, such as *.rs."},
                    "ignore_case": {"type": "boolean"},
                }),
                &["pattern"],
            ),
        ),
        Tool::function(
            "git",
            "Shows the work tree's status, a diff, the log or one commit. To change anything use bash.",
            object(
                json!({
                    "view": {"type": "string", "enum": ["status", "diff", "log", "show"]},
                    "revision": {"type": "string", "description": "A commit, branch or range; not with status."},
                    "path": {"type": "string", "description": "Only this file or directory."},
                    "staged": {"type": "boolean", "description": "With diff: what is staged."},
                    "limit": {"type": "integer", "description": "With log: commits; default 20."},
                }),
                &["view"],
            ),
        ),
        Tool::function(
            "plan",
            "Keeps the plan of a task of several steps, for the person to see: all steps each time, one of them in progress.",
            object(
                json!({"steps": {"type": "array", "items": object(
                    json!({
                        "step": {"type": "string"},
                        "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
                    }),
                    &["step", "status"],
                )}}),
                &["steps"],
            ),
        ),
    ]
}

impl Call {
    /// Reads a call's arguments, given as JSON text. What is no tool of ours may
    /// be one of a server.
    pub(crate) fn parse(name: &str, arguments: &str, servers: &Servers) -> Result<Self, String> {
        Ok(match name {
            "read_file" => Self::ReadFile(read(arguments)?),
            "write_file" => Self::WriteFile(read(arguments)?),
            "edit_file" => Self::EditFile(read(arguments)?),
            "apply_patch" => Self::ApplyPatch(read(arguments)?),
            "bash" => Self::Bash(read(arguments)?),
            "job" => Self::Job(read(arguments)?),
            "glob" => Self::Glob(read(arguments)?),
            "grep" => Self::Grep(read(arguments)?),
            "git" => Self::Git(read(arguments)?),
            "plan" => Self::Plan(read(arguments)?),
            other => {
                if let Some(call) = servers.call(other) {
                    return Ok(Self::Server(call.with(read(arguments)?)));
                }
                let known: Vec<_> = definitions()
                    .into_iter()
                    .chain(servers.definitions())
                    .map(|tool| tool.name)
                    .collect();
                return Err(format!(
                    "there is no tool {other}; there are {}",
                    known.join(", ")
                ));
            }
        })
    }

    /// What it would do, for the guard.
    pub(crate) fn access(&self) -> Access<'_> {
        match self {
            Self::ReadFile(_)
            | Self::Glob(_)
            | Self::Grep(_)
            | Self::Git(_)
            | Self::Job(_)
            | Self::Plan(_) => Access::Read,
            Self::WriteFile(_) | Self::EditFile(_) | Self::ApplyPatch(_) => Access::Edit,
            Self::Bash(call) => Access::Command(call.command()),
            Self::Server(call) => Access::Server(&call.full),
        }
    }

    /// Whether it changes nothing that another call could see.
    pub(crate) fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::ReadFile(_) | Self::Glob(_) | Self::Grep(_) | Self::Git(_)
        )
    }

    /// The call for people.
    pub(crate) fn describe(&self, workspace: &Workspace) -> Description {
        match self {
            Self::ReadFile(call) => call.describe(workspace),
            Self::WriteFile(call) => call.describe(workspace),
            Self::EditFile(call) => call.describe(workspace),
            Self::ApplyPatch(call) => call.describe(workspace),
            Self::Bash(call) => call.describe(),
            Self::Job(call) => call.describe(),
            Self::Glob(call) => call.describe(),
            Self::Grep(call) => call.describe(),
            Self::Git(call) => call.describe(),
            Self::Plan(call) => call.describe(),
            Self::Server(call) => Description {
                title: shorten(&call.title(), 200),
                kind: ToolKind::Other,
                locations: Vec::new(),
            },
        }
    }

    /// Runs the call.
    pub(crate) async fn run(self, context: &ToolContext<'_>) -> ToolOutput {
        match self {
            Self::ReadFile(call) => on_thread(context, move |w| call.run(w)).await,
            Self::WriteFile(call) => on_files(context, move |w| call.run(w)).await,
            Self::EditFile(call) => on_files(context, move |w| call.run(w)).await,
            Self::ApplyPatch(call) => on_files(context, move |w| call.run(w)).await,
            Self::Bash(call) => call.run(context).await,
            Self::Job(call) => call.run(context).await,
            Self::Git(call) => call.run(context).await,
            Self::Plan(call) => call.run(),
            Self::Server(call) => call.run(context.cancel).await,
            Self::Glob(call) => search::in_background(context, move |w, s| call.run(w, s)).await,
            Self::Grep(call) => search::in_background(context, move |w, s| call.run(w, s)).await,
        }
    }
}

/// Works on files: at once on the disk's, on a thread of its own where a host
/// has to be waited for.
async fn on_files(
    context: &ToolContext<'_>,
    work: impl FnOnce(&Workspace) -> ToolOutput + Send + 'static,
) -> ToolOutput {
    if !context
        .workspace
        .host()
        .is_some_and(|host| host.lends_files())
    {
        return work(context.workspace);
    }
    on_thread(context, work).await
}

/// Works on a thread of its own, so that other calls go on meanwhile.
async fn on_thread(
    context: &ToolContext<'_>,
    work: impl FnOnce(&Workspace) -> ToolOutput + Send + 'static,
) -> ToolOutput {
    let workspace = Arc::clone(context.workspace);
    let worked = tokio::task::spawn_blocking(move || work(&workspace)).await;
    worked.unwrap_or_else(|error| ToolOutput::failed(format!("the tool failed: {error}")))
}

fn read<T: DeserializeOwned>(arguments: &str) -> Result<T, String> {
    let arguments = arguments.trim();
    let arguments = if arguments.is_empty() {
        "{}"
    } else {
        arguments
    };
    serde_json::from_str(arguments)
        .map_err(|error| format!("the arguments cannot be read: {error}"))
}

/// A number, also when a model wrote it as text or with a fraction.
fn lenient_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let text = match &value {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let whole = text.strip_suffix(".0").unwrap_or(&text);
    let number = whole.parse();
    number
        .map(Some)
        .map_err(|_| serde::de::Error::custom(format!("{text} is not a whole number from 0")))
}

/// What a tool saw of a file, or left of it: `shown` are the lines it showed,
/// none when it wrote the file.
fn file_seen(path: &Path, bytes: &[u8], shown: Option<(u64, u64)>) -> FileSeen {
    let lines = String::from_utf8_lossy(bytes).lines().count();
    FileSeen {
        path: path.display().to_string(),
        sha256: hexadecimal(&Sha256::digest(bytes)),
        lines: u64::try_from(lines).unwrap_or(u64::MAX),
        shown,
        written: shown.is_none(),
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// At most `max` bytes of a title or line, cut at a character.
fn shorten(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod calls_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_leniently_and_refused_with_words() {
        let call = Call::parse(
            "read_file",
            r#"{"path":"a","offset":"3","limit":2.0,"x":1}"#,
            &Servers::default(),
        );
        assert!(matches!(call, Ok(Call::ReadFile(_))));
        let check = |name: &str, arguments: &str, expected: &str| {
            let error = Call::parse(name, arguments, &Servers::default()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("read_file", "", "path");
        check("read_file", r#"{"path":"a","offset":-1}"#, "-1");
        check("read_file", r#"{"path":"#, "cannot be read");
        check(
            "fly",
            "{}",
            "there is no tool fly; there are read_file, write_file",
        );
    }
}
