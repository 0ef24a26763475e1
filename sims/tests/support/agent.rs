//! An agent small enough to read: it sends the conversation, runs the calls, and goes on until there are none.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Gateway, assemble};

/// Whose tools the agent offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tools {
    /// A tool for each thing.
    Separate,
    /// An editor and a shell, as goose has them.
    Shell,
}

/// A conversation with the model about a work tree.
pub(crate) struct Agent<'a> {
    gateway: &'a Gateway,
    tools: Tools,
    directory: PathBuf,
    pub(crate) messages: Vec<Value>,
    /// Names of the tools called, in order.
    pub(crate) called: Vec<String>,
    /// What the model showed of its reasoning.
    pub(crate) reasoning: String,
    node: PathBuf,
}

impl<'a> Agent<'a> {
    pub(crate) fn new(gateway: &'a Gateway, tools: Tools, directory: &Path) -> Self {
        let system = json!({ "role": "system", "content": "You are a coding agent." });
        Self {
            gateway,
            tools,
            directory: directory.to_owned(),
            messages: vec![system],
            called: Vec::new(),
            reasoning: String::new(),
            node: std::env::var_os("SAM_SIMS_TEST_NODE").map_or_else(PathBuf::new, PathBuf::from),
        }
    }

    /// Sends a task and works until the model has no more calls; its last words.
    pub(crate) fn work(&mut self, task: &str) -> String {
        self.messages
            .push(json!({ "role": "user", "content": task }));
        for _ in 0..120 {
            let answer = self.turn();
            self.reasoning.push_str(&answer.reasoning);
            if answer.calls.is_empty() {
                assert_eq!(answer.finish, "stop");
                self.messages
                    .push(json!({ "role": "assistant", "content": answer.text }));
                return answer.text;
            }
            assert_eq!(answer.finish, "tool_calls");
            let calls: Vec<Value> = answer
                .calls
                .iter()
                .map(|(id, name, arguments)| {
                    json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
                })
                .collect();
            self.messages
                .push(json!({ "role": "assistant", "content": answer.text, "tool_calls": calls }));
            for (id, name, arguments) in &answer.calls {
                let arguments: Value = serde_json::from_str(arguments).expect("arguments are JSON");
                let result = self.run(name, &arguments);
                self.called.push(name.clone());
                self.messages
                    .push(json!({ "role": "tool", "tool_call_id": id, "content": result }));
            }
        }
        panic!("the model never came to an end");
    }

    fn turn(&self) -> super::Assembled {
        let body = json!({ "model": "scripted", "stream": true, "stream_options": { "include_usage": true },
            "messages": self.messages, "tools": self.definitions() });
        let response = self.gateway.chat(&body);
        assert_eq!(response.status, 200);
        assemble(&response.text().expect("the stream ends properly"))
    }

    fn definitions(&self) -> Vec<Value> {
        let tools: &[(&str, &[&str], &[&str])] = match self.tools {
            Tools::Separate => &[
                ("read_file", &["path"], &["path"]),
                ("write_file", &["path", "content"], &["path", "content"]),
                (
                    "edit_file",
                    &["path", "old_text", "new_text"],
                    &["path", "old_text", "new_text"],
                ),
                ("bash", &["command"], &["command"]),
                ("glob", &["pattern"], &["pattern"]),
                ("grep", &["pattern", "path"], &["pattern"]),
            ],
            Tools::Shell => &[
                (
                    "edit",
                    &["path", "before", "after"],
                    &["path", "before", "after"],
                ),
                ("write", &["path", "content"], &["path", "content"]),
                ("shell", &["command"], &["command"]),
                ("tree", &["path"], &["path"]),
                ("read_image", &["source"], &["source"]),
            ],
        };
        tools
            .iter()
            .map(|(name, properties, required)| {
                let properties: serde_json::Map<String, Value> =
                    properties.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
                json!({ "type": "function", "function": { "name": name, "description": "",
                    "parameters": { "type": "object", "properties": properties, "required": required } } })
            })
            .collect()
    }

    fn run(&self, name: &str, arguments: &Value) -> String {
        let text = |key: &str| {
            arguments[key]
                .as_str()
                .unwrap_or_else(|| panic!("{name} lacks {key}"))
                .to_owned()
        };
        let path = || self.directory.join(text("path"));
        match name {
            "read_file" => {
                let file = std::fs::read_to_string(path())
                    .unwrap_or_else(|problem| format!("error: {problem}"));
                file.lines()
                    .enumerate()
                    .map(|(at, line)| format!("{:>5}\t{line}\n", at + 1))
                    .collect()
            }
            "edit_file" => self.edit(&path(), &text("old_text"), &text("new_text")),
            "write_file" | "write" => {
                std::fs::write(path(), text("content")).expect("the file is written");
                "Written".to_owned()
            }
            "edit" => self.edit(&path(), &text("before"), &text("after")),
            "bash" | "shell" => self.shell(&text("command")),
            "glob" => self.shell("find . -type f -not -path './.git/*' | sed 's,^./,,'"),
            "grep" => {
                let pattern = text("pattern").replace("(?i)", "");
                self.shell(&format!(
                    "grep -rniE --exclude-dir=.git -e '{pattern}' . | sed 's,^./,,'"
                ))
            }
            _ => panic!("the model called {name}, which this test does not run"),
        }
    }

    fn edit(&self, path: &Path, old: &str, new: &str) -> String {
        let text = std::fs::read_to_string(path).expect("the edited file exists");
        match text.matches(old).count() {
            1 => {
                std::fs::write(path, text.replacen(old, new, 1)).expect("the file is written");
                "Edited 1 place".to_owned()
            }
            count => format!("error: the text occurs {count} times"),
        }
    }

    fn shell(&self, command: &str) -> String {
        let mut search = std::env::var_os("PATH").unwrap_or_default();
        if !self.node.as_os_str().is_empty() {
            let mut with_node = self.node.clone().into_os_string();
            with_node.push(":");
            with_node.push(&search);
            search = with_node;
        }
        let output = Command::new("bash")
            .args(["-c", command])
            .current_dir(&self.directory)
            .env("PATH", search)
            // A test runner inside a test runner must not think that it is a part of it.
            .env_remove("NODE_TEST_CONTEXT")
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            text.push_str(&format!(
                "\nexit code: {}",
                output.status.code().unwrap_or(-1)
            ));
        }
        text
    }

    /// Whether the tests of the work tree pass, by the runner's own word.
    pub(crate) fn tests_pass(&self) -> bool {
        !self
            .shell("node --test > /dev/null 2>&1")
            .contains("exit code")
    }

    /// What differs from the commit.
    pub(crate) fn difference(&self) -> String {
        self.shell("git diff --unified=0 | grep '^[+-] '")
    }
}
