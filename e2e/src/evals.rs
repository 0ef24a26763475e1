//! `sam-harness eval` against the scripted gateway, which takes part in its own manners.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::gateway::Gateway;
use crate::programs::{self, root};
use crate::{Result, failure};

/// The key of the model API, which no agent may see.
pub const KEY: &str = "sk-canary-of-the-evaluation";

/// A gateway that knows the tasks, and a directory for what an evaluation writes.
#[derive(Debug)]
pub struct Evaluation {
    gateway: Gateway,
    directory: TempDir,
}

/// What an evaluation said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The suite of this repository.
#[must_use]
pub fn suite() -> PathBuf {
    root().join("harness/evals")
}

impl Evaluation {
    /// Starts the gateway with the tasks of a suite.
    ///
    /// # Errors
    /// When it does not start.
    pub fn new(suite: &Path) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        std::fs::create_dir(directory.path().join("tmp"))?;
        let suite = suite.to_string_lossy();
        let options = ["--chunk-delay-ms", "0", "--suite", &suite];
        Ok(Self {
            gateway: Gateway::start_with(directory.path(), KEY, &options)?,
            directory,
        })
    }

    /// The gateway.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// A file or folder of this evaluation's own.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs `sam-harness eval` with these arguments.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn run(&self, arguments: &[&str]) -> Result<Said> {
        let output = Command::new(programs::native("sam-harness")?)
            .arg("eval")
            .args(arguments)
            .current_dir(root())
            .env("PATH", programs::path())
            .env("TMPDIR", self.path("tmp"))
            .env("SAM_MODEL_URL", self.gateway.model_url())
            .env("SAM_MODEL_KEY", KEY)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        Ok(output.into())
    }

    /// The same, with its result.
    ///
    /// # Errors
    /// When it writes none.
    pub async fn report(&self, name: &str, arguments: &[&str]) -> Result<(Said, Value)> {
        let file = self.path(name);
        let json = file.to_string_lossy();
        let said = self.run(&[arguments, &["--json", &json]].concat()).await?;
        let text = std::fs::read_to_string(&file)
            .map_err(|error| failure(format!("{error}: {}", said.stderr)))?;
        Ok((said, serde_json::from_str(&text)?))
    }

    /// What attempts left in the temporary folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn left_over(&self) -> Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(self.path("tmp"))?;
        Ok(entries.flatten().map(|entry| entry.path()).collect())
    }
}

/// The rows of a result.
#[must_use]
pub fn rows(report: &Value) -> &[Value] {
    list(report, "/rows")
}

/// The list at a place of a document; empty if there is none.
#[must_use]
pub fn list<'a>(document: &'a Value, pointer: &str) -> &'a [Value] {
    let found = document.pointer(pointer).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

/// The text at a place of a document.
#[must_use]
pub fn text<'a>(document: &'a Value, pointer: &str) -> &'a str {
    let found = document.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default()
}

/// The number at a place of a document.
#[must_use]
pub fn number(document: &Value, pointer: &str) -> Option<f64> {
    document.pointer(pointer).and_then(Value::as_f64)
}
