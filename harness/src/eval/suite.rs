//! The tasks.
//!
//! A task is a directory; its name is the task's:
//!
//! | file | what it is |
//! |---|---|
//! | `task.json` | title, language, and the programs it needs |
//! | `prompt.md` | what the agent is told, nothing else |
//! | `repository/` | what it starts from |
//! | `setup.sh` | run in the fresh repository before the agent; optional |
//! | `check.sh`, `check/` | what has to succeed afterwards, and its files; the agent never sees them |
//! | `solution/` or `solution.sh` | files to put over the repository, or a script: a reference solution, hidden as well |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

/// One task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    /// The directory's name.
    pub(super) name: String,
    /// For people.
    pub(super) title: String,
    /// What it is written in.
    pub(super) language: String,
    /// What the agent is told.
    pub(super) prompt: String,
    /// Where it lies.
    pub(super) dir: PathBuf,
    /// What of the machine is missing for it.
    pub(super) missing: Option<String>,
    needs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    title: String,
    language: String,
    needs: Vec<String>,
}

/// The tasks of a suite by name, those asked for when some are.
pub(super) async fn load(suite: &Path, only: &[String]) -> Result<Vec<Task>, String> {
    let entries = std::fs::read_dir(suite).map_err(|error| {
        format!(
            "there is no suite at {}: {error}; name one with --suite DIR",
            suite.display()
        )
    })?;
    let mut tasks = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("{}: {error}", suite.display()))?;
        if entry.path().join("task.json").is_file() {
            tasks.push(read(&entry.path())?);
        }
    }
    tasks.sort_by(|a, b| a.name.cmp(&b.name));
    if tasks.is_empty() {
        return Err(format!("there is no task in {}", suite.display()));
    }
    if let Some(name) = only
        .iter()
        .find(|name| tasks.iter().all(|task| task.name != **name))
    {
        return Err(format!(
            "there is no task {name}; `sam-harness eval --list` names them"
        ));
    }
    if !only.is_empty() {
        tasks.retain(|task| only.contains(&task.name));
    }
    let mut found = BTreeMap::new();
    for task in &mut tasks {
        for need in &task.needs {
            if !found.contains_key(need) {
                found.insert(need.clone(), missing(need).await);
            }
        }
        task.missing = task.needs.iter().find_map(|need| found.get(need)?.clone());
    }
    Ok(tasks)
}

fn read(dir: &Path) -> Result<Task, String> {
    let text = |name: &str| {
        let path = dir.join(name);
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let described: Described = serde_json::from_str(&text("task.json")?)
        .map_err(|error| format!("{}: {error}", dir.join("task.json").display()))?;
    let name = dir.file_name().unwrap_or_default();
    for wanted in ["check.sh", "repository"] {
        if !dir.join(wanted).exists() {
            return Err(format!("{} has no {wanted}", dir.display()));
        }
    }
    Ok(Task {
        name: name.to_string_lossy().into_owned(),
        title: described.title,
        language: described.language,
        prompt: text("prompt.md")?.trim().to_owned(),
        dir: std::path::absolute(dir).map_err(|error| format!("{}: {error}", dir.display()))?,
        missing: None,
        needs: described.needs,
    })
}

/// What is missing of a program, with its least version where that matters
/// (`node 20`).
async fn missing(need: &str) -> Option<String> {
    let (program, least) = need.split_once(' ').unwrap_or((need, ""));
    let asked = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .await;
    let said = match asked {
        Ok(output) if output.status.success() => output.stdout,
        Ok(_) | Err(_) => return Some(format!("{program} is missing")),
    };
    let here = version(&String::from_utf8_lossy(&said));
    (here < version(least)).then(|| {
        let here: Vec<String> = here.iter().map(u32::to_string).collect();
        format!("{need} is needed, {} is here", here.join("."))
    })
}

/// The first dotted number of a text.
fn version(text: &str) -> Vec<u32> {
    let digits = |c: char| c.is_ascii_digit();
    let from = text.find(digits).unwrap_or(text.len());
    let rest = text.get(from..).unwrap_or_default();
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let number = rest.get(..end).unwrap_or_default();
    number
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(version("v24.21.0\n"), [24, 21, 0]);
        assert_eq!(version("Python 3.9"), [3, 9]);
        assert!(version("Python 3.11.7") > version("3.9"));
        assert!(version("v22.9.1") < version("22.18"));
        assert!(version("").is_empty());
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        assert_eq!(
            missing("no-such-compiler").await.as_deref(),
            Some("no-such-compiler is missing")
        );
        let told = missing("git 4711").await.unwrap_or_default();
        assert!(told.starts_with("git 4711 is needed, "), "{told}");
        assert_eq!(missing("git 1.5").await, None);
    }

    #[tokio::test]
    async fn a_suite_that_is_not_there_says_how_to_name_one() {
        let error = load(Path::new("no/such/suite"), &[]).await.unwrap_err();
        assert!(error.contains("--suite DIR"), "{error}");
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("evals");
        let error = load(&here, &["nope".to_owned()]).await.unwrap_err();
        assert!(error.contains("no task nope"), "{error}");
    }
}
