//! Which of the client's tools can do what.
//!
//! Clients name their tools and arguments differently (`bash` or `shell`; `old_text`, `before` or `old_string`). A
//! tool is recognised by the properties of its argument schema and, where those say too little, by its name. What no
//! tool does by itself is done through the shell.

use serde_json::{Map, Value, json};

use crate::conversation::ToolDefinition;

const PATHS: &[&str] = &[
    "path",
    "file_path",
    "filePath",
    "filepath",
    "filename",
    "file",
    "target_file",
    "absolute_path",
    "relative_path",
];
const OLD: &[&str] = &[
    "old_text",
    "old_string",
    "old_str",
    "oldText",
    "oldString",
    "before",
    "search",
    "find",
    "old",
    "old_content",
];
const NEW: &[&str] = &[
    "new_text",
    "new_string",
    "new_str",
    "newText",
    "newString",
    "after",
    "replacement",
    "replace",
    "new",
    "new_content",
];
const CONTENT: &[&str] = &["content", "contents", "file_text", "text", "body"];
const COMMAND: &[&str] = &["command", "cmd", "script"];
const PATTERN: &[&str] = &[
    "pattern",
    "query",
    "regex",
    "glob",
    "glob_pattern",
    "search",
];

const IGNORE_CASE: &[&str] = &[
    "ignore_case",
    "case_insensitive",
    "ignoreCase",
    "caseInsensitive",
];

/// Seconds that a command may run: mutated code may never end by itself.
const COMMAND_SECONDS: u64 = 60;

/// Something to do in the work tree, whatever the client calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Run a shell command.
    Shell(String),
    /// Read a whole file.
    Read(String),
    /// Make a file that holds this, or make it hold this.
    Write { path: String, text: String },
    /// Replace the one occurrence of `old` by `new`; `whole` is what the file then holds.
    Edit {
        path: String,
        old: String,
        new: String,
        whole: String,
    },
    /// List every file that belongs to the repository.
    List,
    /// Find lines that match a regular expression, ignoring case.
    Search(String),
}

/// A tool call without its id.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

#[derive(Debug)]
struct Tool<'a> {
    name: &'a str,
    properties: &'a Map<String, Value>,
    required: Vec<&'a str>,
}

impl<'a> Tool<'a> {
    fn new(definition: &'a ToolDefinition) -> Option<Self> {
        let parameters = &definition.parameters;
        let required = parameters.get("required").and_then(Value::as_array);
        Some(Self {
            name: &definition.name,
            properties: parameters.get("properties")?.as_object()?,
            required: required
                .map(|names| names.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default(),
        })
    }

    fn one_of(&self, names: &[&'static str]) -> Option<&'static str> {
        names
            .iter()
            .copied()
            .find(|name| self.properties.contains_key(*name))
    }

    /// A property that lists edits, with the names an edit has for the old and the new text.
    fn list_of_edits(&self) -> Option<(&'a str, &'static str, &'static str)> {
        self.properties.iter().find_map(|(list, schema)| {
            let edit = schema.pointer("/items/properties")?.as_object()?;
            let one_of = |names: &[&'static str]| {
                names.iter().copied().find(|name| edit.contains_key(*name))
            };
            Some((list.as_str(), one_of(OLD)?, one_of(NEW)?))
        })
    }

    /// The name without the prefix of an extension, as in `developer__shell`, in lower case.
    fn plain_name(&self) -> String {
        self.name
            .rsplit("__")
            .next()
            .unwrap_or(self.name)
            .to_ascii_lowercase()
    }

    fn named(&self, parts: &[&str]) -> bool {
        let name = self.plain_name();
        parts.iter().any(|part| name.contains(part))
    }

    /// The call with these arguments; other required ones get a harmless value by their type.
    fn call(&self, arguments: &[(&'static str, &str)]) -> Call {
        let mut object = Map::new();
        for (name, value) in arguments {
            object.insert((*name).to_owned(), json!(value));
        }
        for name in &self.required {
            if !object.contains_key(*name) {
                object.insert((*name).to_owned(), self.filler(name));
            }
        }
        for (name, schema) in self.properties {
            let limit = name.to_ascii_lowercase();
            let number = schema.get("type").and_then(Value::as_str) != Some("boolean");
            if limit.contains("timeout") && number && !schema.is_null() {
                let seconds =
                    if limit.contains("ms") || limit.contains("milli") || limit == "timeout" {
                        milliseconds_unless_described(schema)
                    } else {
                        COMMAND_SECONDS
                    };
                object.insert(name.clone(), json!(seconds));
            }
        }
        Call {
            name: self.name.to_owned(),
            arguments: Value::Object(object),
        }
    }

    fn filler(&self, name: &str) -> Value {
        let schema = self.properties.get(name);
        if let Some(first) = schema
            .and_then(|schema| schema.get("enum"))
            .and_then(|values| values.get(0))
        {
            return first.clone();
        }
        match schema
            .and_then(|schema| schema.get("type"))
            .and_then(Value::as_str)
        {
            Some("boolean") => json!(false),
            Some("integer" | "number") => json!(1),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ if PATHS.contains(&name) => json!("."),
            _ => json!("next step"),
        }
    }
}

/// A limit without a unit in its name is in seconds if its description says so.
fn milliseconds_unless_described(schema: &Value) -> u64 {
    let description = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_ascii_lowercase();
    if description.contains("second") && !description.contains("milli") {
        COMMAND_SECONDS
    } else {
        COMMAND_SECONDS * 1000
    }
}

/// The client's tools by what they do.
#[derive(Debug, Default)]
pub(crate) struct Toolbox<'a> {
    shell: Option<Tool<'a>>,
    read: Option<Tool<'a>>,
    edit: Option<Tool<'a>>,
    write: Option<Tool<'a>>,
    glob: Option<Tool<'a>>,
    grep: Option<Tool<'a>>,
    /// What is put before the path of a file, with a slash at its end.
    root: String,
}

impl<'a> Toolbox<'a> {
    /// Sorts the tools of a request.
    pub(crate) fn new(definitions: &'a [ToolDefinition]) -> Self {
        let mut toolbox = Self::default();
        for tool in definitions.iter().filter_map(Tool::new) {
            let path = tool.one_of(PATHS).is_some();
            let (old, new) = (tool.one_of(OLD).is_some(), tool.one_of(NEW).is_some());
            let content = tool.one_of(CONTENT).is_some();
            let pattern = tool.one_of(PATTERN).is_some();
            let slot = if path && (old && new || tool.list_of_edits().is_some()) {
                &mut toolbox.edit
            } else if path && content && tool.named(&["write", "create", "save"]) {
                &mut toolbox.write
            } else if tool.one_of(COMMAND).is_some()
                && tool.named(&["bash", "shell", "exec", "run", "term", "command"])
            {
                &mut toolbox.shell
            } else if pattern && tool.named(&["grep", "search_file", "rg", "search_content"]) {
                &mut toolbox.grep
            } else if pattern && tool.named(&["glob", "find_file", "file_search"]) {
                &mut toolbox.glob
            } else if path
                && tool.named(&["read", "view", "open", "cat"])
                && !tool.named(&["image", "dir"])
            {
                &mut toolbox.read
            } else {
                continue;
            };
            slot.get_or_insert(tool);
        }
        toolbox
    }

    /// From now on files are named by their whole paths.
    pub(crate) fn below(&mut self, root: &str) {
        root.clone_into(&mut self.root);
    }

    /// Whether commands can be run.
    pub(crate) fn has_shell(&self) -> bool {
        self.shell.is_some()
    }

    /// Whether files can be listed by a tool of their own.
    pub(crate) fn has_glob(&self) -> bool {
        self.glob.is_some()
    }

    /// The call that does `action`, if some tool can.
    pub(crate) fn call(&self, action: &Action) -> Option<Call> {
        let direct = match action {
            Action::Shell(command) => self.shell_call(command),
            Action::Read(path) => self
                .read
                .as_ref()
                .and_then(|tool| Some(tool.call(&[(tool.one_of(PATHS)?, &self.whole(path))]))),
            Action::Edit {
                path,
                old,
                new,
                whole,
            } => self.edit_call(path, old, new, whole),
            Action::Write { path, text } => self.write_call(path, text),
            Action::List => self
                .glob
                .as_ref()
                .and_then(|tool| Some(tool.call(&[(tool.one_of(PATTERN)?, "**/*")]))),
            Action::Search(pattern) => self.grep.as_ref().and_then(|tool| {
                let property = tool.one_of(PATTERN)?;
                let Some(flag) = tool.one_of(IGNORE_CASE) else {
                    return Some(tool.call(&[(property, &format!("(?i){pattern}"))]));
                };
                let mut call = tool.call(&[(property, pattern)]);
                call.arguments
                    .as_object_mut()?
                    .insert(flag.to_owned(), json!(true));
                Some(call)
            }),
        };
        direct.or_else(|| self.shell_call(&shell_command(action)))
    }

    /// The call that does `action` through the shell, for when the tool of its own did not help.
    pub(crate) fn through_shell(&self, action: &Action) -> Option<Call> {
        self.shell_call(&shell_command(action))
    }

    fn shell_call(&self, command: &str) -> Option<Call> {
        let tool = self.shell.as_ref()?;
        Some(tool.call(&[(tool.one_of(COMMAND)?, command)]))
    }

    fn whole(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    fn edit_call(&self, path: &str, old: &str, new: &str, whole: &str) -> Option<Call> {
        if let Some(tool) = &self.edit {
            let path = &self.whole(path);
            if let Some((list, before, after)) = tool.list_of_edits() {
                let mut call = tool.call(&[(tool.one_of(PATHS)?, path)]);
                let edits = json!([{ before: old, after: new }]);
                call.arguments
                    .as_object_mut()?
                    .insert(list.to_owned(), edits);
                return Some(call);
            }
            let mut call = tool.call(&[
                (tool.one_of(PATHS)?, path),
                (tool.one_of(OLD)?, old),
                (tool.one_of(NEW)?, new),
            ]);
            // Editors with sub-commands name the one that replaces text.
            let commands = tool
                .properties
                .get("command")
                .and_then(|schema| schema.get("enum"));
            if let (Some(commands), Some(arguments)) = (commands, call.arguments.as_object_mut()) {
                let replace = commands.as_array().and_then(|all| {
                    all.iter()
                        .find(|name| name.as_str().is_some_and(|name| name.contains("replace")))
                });
                if let Some(replace) = replace {
                    arguments.insert("command".to_owned(), replace.clone());
                }
            }
            return Some(call);
        }
        self.write_call(path, whole)
    }

    fn write_call(&self, path: &str, text: &str) -> Option<Call> {
        let tool = self.write.as_ref()?;
        let path = &self.whole(path);
        Some(tool.call(&[(tool.one_of(PATHS)?, path), (tool.one_of(CONTENT)?, text)]))
    }
}

fn shell_command(action: &Action) -> String {
    match action {
        Action::Shell(command) => command.clone(),
        Action::Read(path) => format!("cat {}", quote(path)),
        Action::Edit { path, whole, .. } | Action::Write { path, text: whole } => {
            format!("printf '%s' {} > {}", quote(whole), quote(path))
        }
        Action::List => "git ls-files --cached --others --exclude-standard 2>/dev/null \
            || find . -type f -not -path '*/node_modules/*' -not -path './.git/*'"
            .to_owned(),
        Action::Search(pattern) => {
            format!(
                "grep -rniIE --exclude-dir=node_modules --exclude-dir=.git -e {} .",
                quote(pattern)
            )
        }
    }
}

/// Quotes a word for the shell where it needs quoting.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-@%+=:,".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
