//! Three ways to take part in an evaluation, for tests of the evaluation itself.
//!
//! Given the directory of a suite's tasks, the model is also served as `solver/scripted`, `idle/scripted` and
//! `clumsy/scripted`. The solver looks at what it will change and applies the task's reference solution through the
//! client's tools; the idle one says that it is done; the clumsy one reads everything twice and solves every other
//! task. A task is recognised by its prompt; any other prompt is answered as always.

use std::io;
use std::path::Path;

use super::replay::{Replay, Say, Step};
use super::task::Task;
use super::toolbox::{Action, Toolbox};
use crate::conversation::{Reply, Request};

/// How many files the clumsy one reads.
const READS: usize = 2;

/// Tasks with their solutions.
#[derive(Debug, Clone, Default)]
pub struct Exam {
    tasks: Vec<Question>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    prompt: String,
    /// Files that are there at the start, by their paths.
    here: Vec<String>,
    /// Files of the solution with their contents.
    files: Vec<(String, String)>,
    /// A script that solves it.
    script: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Solver,
    Idle,
    Clumsy,
}

impl Exam {
    /// The tasks of a suite, each a folder with `prompt.md`, `repository/` and `solution/` or `solution.sh`.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn read(suite: &Path) -> io::Result<Self> {
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(suite)? {
            let folder = entry?.path();
            if folder.join("prompt.md").is_file() {
                folders.push(folder);
            }
        }
        folders.sort();
        let tasks = folders.iter().map(|folder| Question::read(folder));
        Ok(Self {
            tasks: tasks.collect::<io::Result<_>>()?,
        })
    }

    /// The models that are served beside the usual one.
    pub(crate) fn models(&self) -> &'static [&'static str] {
        if self.tasks.is_empty() {
            &[]
        } else {
            &["solver/scripted", "idle/scripted", "clumsy/scripted"]
        }
    }

    /// The answer to a request for one of these models; none when it is not for one, or not about a task.
    pub(crate) fn answer(&self, model: &str, request: &Request) -> Option<Reply> {
        let mut parts = model.rsplit('/').skip(1);
        let manner = match parts.next()? {
            "solver" => Manner::Solver,
            "idle" => Manner::Idle,
            "clumsy" => Manner::Clumsy,
            _ => return None,
        };
        let asked = Task::of(&request.messages);
        let is_asked = |question: &&Question| asked.text.trim() == question.prompt;
        let at = self.tasks.iter().position(|question| is_asked(&question))?;
        let question = self.tasks.get(at)?;
        if request.tools.is_empty() {
            return None;
        }
        let toolbox = Toolbox::new(&request.tools);
        let mut replay = Replay::new(toolbox, &request.messages, asked.start);
        let answer = match manner {
            Manner::Solver => question.solve(&mut replay),
            Manner::Idle => Ok(said("There is nothing left to do.")),
            Manner::Clumsy => question.bungle(&mut replay, at % 2 == 0),
        };
        Some(answer.unwrap_or_else(|unfinished| *unfinished))
    }
}

fn said(text: &str) -> Reply {
    Reply {
        text: text.to_owned(),
        ..Reply::default()
    }
}

impl Question {
    fn read(folder: &Path) -> io::Result<Self> {
        let script = folder.join("solution.sh");
        let here = files(&folder.join("repository"))?;
        let solution = folder.join("solution");
        Ok(Self {
            prompt: std::fs::read_to_string(folder.join("prompt.md"))?
                .trim()
                .to_owned(),
            // An empty file has nothing to read.
            here: here
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .map(|(path, _)| path)
                .collect(),
            files: if solution.is_dir() {
                files(&solution)?
            } else {
                Vec::new()
            },
            script: if script.is_file() {
                Some(std::fs::read_to_string(script)?)
            } else {
                None
            },
        })
    }

    fn solve(&self, replay: &mut Replay<'_>) -> Step<Reply> {
        for (path, text) in &self.files {
            if self.here.contains(path) {
                replay.act(
                    &Say::text(format!("I look at `{path}`.")),
                    &Action::Read(path.clone()),
                )?;
            }
            let write = Action::Write {
                path: path.clone(),
                text: text.clone(),
            };
            replay.act(&Say::text(format!("I write `{path}`.")), &write)?;
        }
        if let Some(script) = &self.script {
            let command = format!("sh -e <<'END_OF_SOLUTION'\n{script}END_OF_SOLUTION");
            replay.act(&Say::text("I do what it takes."), &Action::Shell(command))?;
        }
        Ok(said("It is done."))
    }

    fn bungle(&self, replay: &mut Replay<'_>, solves: bool) -> Step<Reply> {
        let read = |path: &String| Action::Read(path.clone());
        let reads: Vec<Action> = self.here.iter().take(READS).map(read).collect();
        for words in ["I look around.", "I look again."] {
            for read in &reads {
                replay.act(&Say::text(words), read)?;
            }
        }
        let wrong = Action::Shell("no-such-command --at all".to_owned());
        replay.act(&Say::text("This might help."), &wrong)?;
        if solves {
            return self.solve(replay);
        }
        Ok(said("It should work now."))
    }
}

/// The text files below a folder with their contents, by path.
fn files(root: &Path) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let (Ok(text), Ok(below)) =
                (std::fs::read_to_string(&path), path.strip_prefix(root))
            {
                found.push((below.to_string_lossy().into_owned(), text));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::conversation::{Message, Role, ToolDefinition};

    fn asked(prompt: &str) -> Request {
        Request {
            messages: vec![Message::said(Role::User, prompt)],
            tools: vec![ToolDefinition {
                name: "bash".to_owned(),
                parameters: json!({"properties": {"command": {"type": "string"}}, "required": ["command"]}),
            }],
        }
    }

    fn exam() -> Exam {
        Exam {
            tasks: vec![Question {
                prompt: "Mend it.".to_owned(),
                here: vec!["a".to_owned()],
                files: vec![("a".to_owned(), "new\n".to_owned())],
                script: None,
            }],
        }
    }

    #[test]
    fn each_has_its_manner() {
        let first = |model: &str| {
            let reply = exam().answer(model, &asked("Mend it.")).unwrap_or_default();
            let calls = reply.calls.iter();
            (
                reply.text.clone(),
                calls.map(|call| call.arguments.clone()).collect::<String>(),
            )
        };
        let (_, calls) = first("solver/scripted");
        assert!(calls.contains("cat a"), "{calls}");
        let (text, calls) = first("x/idle/scripted");
        assert!(text.contains("nothing") && calls.is_empty());
        assert!(first("clumsy/scripted").1.contains("cat a"));
    }

    #[test]
    fn other_models_and_other_prompts_are_nothing_of_it() {
        assert_eq!(exam().answer("scripted", &asked("Mend it.")), None);
        assert_eq!(exam().answer("solver/scripted", &asked("Fix it.")), None);
        assert!(Exam::default().models().is_empty());
    }
}
