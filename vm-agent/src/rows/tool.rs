//! One tool call as a row.
//!
//! Everything a person needs to judge the call, bounded: the name where the
//! agent says it, arguments as compact JSON, paths relative to the repository,
//! changes as unified diffs, output with its head and its tail.

use super::ends::Ends;
use super::{body, head_and_tail};
use sam_acp::{ToolCall, ToolContent};
use sam_domain::conversation::row::{
    FileDiff, INLINE_TEXT_LIMIT, Location, ToolBody, ToolKind, ToolStatus, truncate,
};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const TITLE_LIMIT: usize = 500;
const ARGUMENTS_LIMIT: usize = INLINE_TEXT_LIMIT;
const LOCATIONS_LIMIT: usize = 50;
/// All diffs of one call together, in bytes.
const DIFFS_LIMIT: usize = 64 * 1024;
/// Files longer than this together are not compared line by line.
const COMPARE_LIMIT: usize = 4 * 1024 * 1024;

/// What of a call goes into a row, and the body it names.
pub(super) struct Rendered {
    pub(super) body: ToolBody,
    pub(super) bodies: Vec<(String, Vec<u8>)>,
}

/// Renders a call; `streamed` is output it reported piece by piece.
pub(super) fn render(call: &ToolCall, streamed: &Ends, root: &Path) -> Rendered {
    let (kept, truncated_bytes) = output(call, streamed);
    let (output_ref, bodies) = if kept.len() > INLINE_TEXT_LIMIT {
        let (reference, stored) = body(kept.clone().into_bytes());
        (Some(reference), vec![stored])
    } else {
        (None, Vec::new())
    };
    let (title, _) = truncate(&call.title, TITLE_LIMIT);
    let body = ToolBody {
        name: call.name.clone().unwrap_or_default(),
        title: shorten_paths(title, root),
        kind: kind(call.kind),
        status: status(call.status),
        arguments: call.raw_input.as_ref().map(arguments).unwrap_or_default(),
        locations: call
            .locations
            .iter()
            .take(LOCATIONS_LIMIT)
            .map(|at| Location {
                path: relative(&at.path, root),
                line: at.line,
            })
            .collect(),
        diffs: diffs(&call.content, root),
        output: head_and_tail(&kept),
        output_ref,
        truncated_bytes,
        ended_at: None,
    };
    Rendered { body, bodies }
}

/// The output of a call: the texts it shows, else what it streamed, else what
/// its raw output says. With it, how many bytes of it are missing.
pub(super) fn output(call: &ToolCall, streamed: &Ends) -> (String, u64) {
    let shown: Vec<&str> = call
        .content
        .iter()
        .filter_map(|item| match item {
            ToolContent::Text { text } => Some(text.as_str()),
            ToolContent::Diff { .. }
            | ToolContent::Terminal { .. }
            | ToolContent::Unknown { .. } => None,
        })
        .collect();
    if !shown.is_empty() {
        return Ends::of(&shown.join("\n")).text();
    }
    if !streamed.is_empty() {
        return streamed.text();
    }
    let raw = match &call.raw_output {
        Some(Value::String(text)) => text.clone(),
        // A diff says it better than its raw form.
        Some(raw @ (Value::Object(_) | Value::Array(_))) if call.content.is_empty() => {
            ["output", "stdout", "text", "message", "error"]
                .iter()
                .find_map(|key| raw.get(key).and_then(Value::as_str))
                .map_or_else(|| raw.to_string(), str::to_owned)
        }
        _ => String::new(),
    };
    Ends::of(&raw).text()
}

/// Compact JSON; over the limit, every long string in it is cut.
pub(crate) fn arguments(raw: &Value) -> String {
    if raw.is_null() || raw.as_object().is_some_and(serde_json::Map::is_empty) {
        return String::new();
    }
    let whole = raw.to_string();
    if whole.len() <= ARGUMENTS_LIMIT {
        return whole;
    }
    let cut = cut_strings(raw, 1000).to_string();
    if cut.len() <= ARGUMENTS_LIMIT {
        return cut;
    }
    Value::String(truncate(&whole, ARGUMENTS_LIMIT / 4).0.to_owned()).to_string()
}

fn cut_strings(value: &Value, limit: usize) -> Value {
    match value {
        Value::String(text) => {
            let (kept, missing) = truncate(text, limit);
            Value::String(if missing == 0 {
                kept.to_owned()
            } else {
                format!("{kept}… [{missing} bytes left out]")
            })
        }
        Value::Array(items) => items.iter().map(|item| cut_strings(item, limit)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, item)| (key.clone(), cut_strings(item, limit)))
            .collect(),
        other => other.clone(),
    }
}

/// The path within the repository; one outside stays as it is.
pub(super) fn relative(path: &str, root: &Path) -> String {
    let shown = Path::new(path)
        .strip_prefix(root)
        .map(|path| path.to_string_lossy().into_owned());
    match shown {
        Ok(path) if path.is_empty() => ".".to_owned(),
        Ok(path) => path,
        Err(_) => truncate(path, TITLE_LIMIT).0.to_owned(),
    }
}

/// Titles quote absolute paths; people know the repository, not the machine.
fn shorten_paths(title: &str, root: &Path) -> String {
    let prefix = format!("{}/", root.display());
    title.replace(&prefix, "")
}

fn diffs(content: &[ToolContent], root: &Path) -> Vec<FileDiff> {
    let mut room = DIFFS_LIMIT;
    content
        .iter()
        .filter_map(|item| match item {
            ToolContent::Diff { path, old, new } => {
                let mut diff = unified(old.as_deref().unwrap_or_default(), new);
                diff.path = relative(path, root);
                let (kept, missing) = truncate(&diff.unified, room);
                if missing > 0 {
                    diff.unified = format!("{kept}\n… [{missing} bytes left out]\n");
                }
                room = room.saturating_sub(diff.unified.len());
                Some(diff)
            }
            ToolContent::Text { .. }
            | ToolContent::Terminal { .. }
            | ToolContent::Unknown { .. } => None,
        })
        .collect()
}

/// A unified diff without file headers.
fn unified(old: &str, new: &str) -> FileDiff {
    if old.len() + new.len() > COMPARE_LIMIT {
        return FileDiff {
            path: String::new(),
            unified: "… [the file is too long to compare]\n".to_owned(),
            added: 0,
            removed: 0,
        };
    }
    let diff = similar::TextDiff::configure()
        .timeout(Duration::from_millis(300))
        .diff_lines(old, new);
    let (mut added, mut removed) = (0, 0);
    for change in diff.iter_all_changes() {
        match change.tag() {
            similar::ChangeTag::Insert => added += 1,
            similar::ChangeTag::Delete => removed += 1,
            similar::ChangeTag::Equal => {}
        }
    }
    FileDiff {
        path: String::new(),
        unified: diff.unified_diff().context_radius(3).to_string(),
        added,
        removed,
    }
}

pub(crate) fn kind(kind: sam_acp::ToolKind) -> ToolKind {
    match kind {
        sam_acp::ToolKind::Read => ToolKind::Read,
        sam_acp::ToolKind::Edit => ToolKind::Edit,
        sam_acp::ToolKind::Delete => ToolKind::Delete,
        sam_acp::ToolKind::Move => ToolKind::Move,
        sam_acp::ToolKind::Search => ToolKind::Search,
        sam_acp::ToolKind::Execute => ToolKind::Execute,
        sam_acp::ToolKind::Think => ToolKind::Think,
        sam_acp::ToolKind::Fetch => ToolKind::Fetch,
        sam_acp::ToolKind::SwitchMode | sam_acp::ToolKind::Other => ToolKind::Other,
    }
}

fn status(status: sam_acp::ToolStatus) -> ToolStatus {
    match status {
        sam_acp::ToolStatus::Pending => ToolStatus::Pending,
        sam_acp::ToolStatus::InProgress => ToolStatus::InProgress,
        sam_acp::ToolStatus::Completed => ToolStatus::Completed,
        sam_acp::ToolStatus::Failed => ToolStatus::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::BODY_LIMIT;
    use super::*;
    use serde_json::json;

    fn rendered(call: &ToolCall) -> ToolBody {
        render(call, &Ends::default(), Path::new("/w/repo")).body
    }

    #[test]
    fn paths_are_shown_relative_to_the_repository() {
        let body = rendered(&ToolCall {
            title: "read /w/repo/src/a.py".into(),
            locations: vec![
                sam_acp::Location {
                    path: "/w/repo/src/a.py".into(),
                    line: Some(3),
                },
                sam_acp::Location {
                    path: "/etc/hosts".into(),
                    line: None,
                },
                sam_acp::Location {
                    path: "/w/repo".into(),
                    line: None,
                },
            ],
            ..ToolCall::default()
        });
        assert_eq!(body.title, "read src/a.py");
        let paths: Vec<_> = body.locations.iter().map(|l| l.path.as_str()).collect();
        assert_eq!(paths, ["src/a.py", "/etc/hosts", "."]);
    }

    #[test]
    fn a_change_becomes_a_unified_diff_with_counts() {
        let body = rendered(&ToolCall {
            content: vec![ToolContent::Diff {
                path: "/w/repo/a.txt".into(),
                old: Some("one\ntwo\nthree\n".into()),
                new: "one\n2\nthree\nfour\n".into(),
            }],
            ..ToolCall::default()
        });
        let diff = &body.diffs[0];
        assert_eq!(
            (diff.path.as_str(), diff.added, diff.removed),
            ("a.txt", 2, 1)
        );
        assert_eq!(
            diff.unified,
            "@@ -1,3 +1,4 @@\n one\n-two\n+2\n three\n+four\n"
        );
    }

    #[test]
    fn everything_is_bounded() {
        let huge = "x\u{1}".repeat(5_000_000);
        let call = ToolCall {
            title: huge.clone(),
            raw_input: Some(json!({ "path": "a", "content": huge })),
            content: vec![
                ToolContent::Text { text: huge.clone() },
                ToolContent::Diff {
                    path: "/w/repo/b".into(),
                    old: None,
                    new: "y\n".repeat(100_000),
                },
            ],
            ..ToolCall::default()
        };
        let Rendered { body, bodies } = render(&call, &Ends::default(), Path::new("/w/repo"));
        assert!(serde_json::to_string(&body).expect("json").len() < 256 * 1024);
        assert!(body.arguments.contains("\"path\":\"a\""));
        assert!(serde_json::from_str::<Value>(&body.arguments).is_ok());
        let kept = std::str::from_utf8(&bodies[0].1).expect("whole characters");
        assert!(kept.len() <= BODY_LIMIT && kept.contains("bytes left out here"));
        assert!(body.truncated_bytes > 10_000_000 - BODY_LIMIT as u64);
        assert!(body.output.contains("bytes left out here"));
        assert_eq!(body.diffs[0].added, 100_000);
    }

    #[test]
    fn output_is_found_where_the_agent_puts_it() {
        let check = |call: ToolCall, streamed: &str, expect: &str| {
            assert_eq!(output(&call, &Ends::of(streamed)).0, expect);
        };
        let text = |text: &str| ToolContent::Text { text: text.into() };
        check(
            ToolCall {
                content: vec![text("a"), text("b")],
                ..ToolCall::default()
            },
            "s",
            "a\nb",
        );
        check(ToolCall::default(), "streamed", "streamed");
        check(
            ToolCall {
                raw_output: Some(json!("raw")),
                ..ToolCall::default()
            },
            "",
            "raw",
        );
        check(
            ToolCall {
                raw_output: Some(json!({"output": "o", "exit": 1})),
                ..ToolCall::default()
            },
            "",
            "o",
        );
    }
}
