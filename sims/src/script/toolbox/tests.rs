//! Tests of the toolbox: which of a client's tools plays which part.

use super::*;

fn tool(name: &str, properties: &[&str], required: &[&str]) -> ToolDefinition {
    let properties: Map<String, Value> = properties
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "type": "string" })))
        .collect();
    ToolDefinition {
        name: name.to_owned(),
        parameters: json!({ "type": "object", "properties": properties, "required": required }),
    }
}

fn check(tools: &[ToolDefinition], action: &Action, name: &str, arguments: Value) {
    let call = Toolbox::new(tools).call(action).unwrap();
    assert_eq!(
        call,
        Call {
            name: name.into(),
            arguments
        }
    );
}

fn edit() -> Action {
    Action::Edit {
        path: "a.js".into(),
        old: "<".into(),
        new: "<=".into(),
        whole: "x <= 'y'".into(),
    }
}

#[test]
fn tools_are_recognised_by_their_schemas() {
    let harness = [
        tool("read_file", &["path", "offset", "limit"], &["path"]),
        tool("write_file", &["path", "content"], &["path", "content"]),
        tool(
            "edit_file",
            &["path", "old_text", "new_text"],
            &["path", "old_text", "new_text"],
        ),
        tool("bash", &["command"], &["command"]),
        tool("glob", &["pattern"], &["pattern"]),
        tool("grep", &["pattern", "path"], &["pattern"]),
    ];
    check(
        &harness,
        &Action::Read("a.js".into()),
        "read_file",
        json!({ "path": "a.js" }),
    );
    check(
        &harness,
        &edit(),
        "edit_file",
        json!({ "path": "a.js", "old_text": "<", "new_text": "<=" }),
    );
    check(
        &harness,
        &Action::Shell("ls".into()),
        "bash",
        json!({ "command": "ls" }),
    );
    check(
        &harness,
        &Action::List,
        "glob",
        json!({ "pattern": "**/*" }),
    );
    check(
        &harness,
        &Action::Search("a|b".into()),
        "grep",
        json!({ "pattern": "(?i)a|b" }),
    );
}

#[test]
fn an_edit_may_be_one_of_a_list() {
    let item = tool("", &["old_text", "new_text"], &[]).parameters;
    let mut edit_file = tool("edit_file", &["path", "edits"], &["path", "edits"]);
    edit_file.parameters["properties"]["edits"] = json!({ "type": "array", "items": item });
    check(
        &[edit_file],
        &edit(),
        "edit_file",
        json!({ "path": "a.js", "edits": [{ "old_text": "<", "new_text": "<=" }] }),
    );
}

#[test]
fn goose_reads_through_its_shell() {
    let goose = [
        tool("apps__create_app", &["prd"], &[]),
        tool(
            "edit",
            &["path", "before", "after"],
            &["path", "before", "after"],
        ),
        tool("read_image", &["source"], &["source"]),
        tool("shell", &["command"], &["command"]),
        tool("tree", &["path"], &["path"]),
        tool("write", &["path", "content"], &["path", "content"]),
    ];
    check(
        &goose,
        &Action::Read("it's.js".into()),
        "shell",
        json!({ "command": r"cat 'it'\''s.js'" }),
    );
    check(
        &goose,
        &edit(),
        "edit",
        json!({ "path": "a.js", "before": "<", "after": "<=" }),
    );
}

#[test]
fn what_no_tool_does_goes_through_the_shell() {
    let tools = [tool(
        "run_command",
        &["cmd", "explanation"],
        &["cmd", "explanation"],
    )];
    let command = r"printf '%s' 'x <= '\''y'\''' > a.js";
    check(
        &tools,
        &edit(),
        "run_command",
        json!({ "cmd": command, "explanation": "next step" }),
    );
    let editor = [ToolDefinition::clone(&tool(
        "Edit",
        &["file_path", "old_string", "new_string"],
        &[],
    ))];
    check(
        &editor,
        &edit(),
        "Edit",
        json!({ "file_path": "a.js", "old_string": "<", "new_string": "<=" }),
    );
    assert_eq!(Toolbox::new(&editor).call(&Action::List), None);
}

#[test]
fn commands_get_a_time_limit_in_the_unit_of_the_schema() {
    let tools = [tool("shell", &["command", "timeout_secs"], &["command"])];
    check(
        &tools,
        &Action::Shell("ls".into()),
        "shell",
        json!({ "command": "ls", "timeout_secs": 60 }),
    );
    let tools = [tool("bash", &["command", "timeout_ms"], &["command"])];
    check(
        &tools,
        &Action::Shell("ls".into()),
        "bash",
        json!({ "command": "ls", "timeout_ms": 60_000 }),
    );
}
