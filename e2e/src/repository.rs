//! Git repositories for tests, untouched by the machine's own git configuration.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, failure, programs};

/// Runs git in a directory and returns what it printed.
///
/// # Errors
/// When it fails; with what it said.
pub fn git(directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Test")
        .env("GIT_AUTHOR_EMAIL", "test@example.invalid")
        .env("GIT_COMMITTER_NAME", "Test")
        .env("GIT_COMMITTER_EMAIL", "test@example.invalid")
        .output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(failure(format!(
            "git {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        )))
    }
}

/// Makes a bare repository at `<directory>/<name>.git` with one commit of these files on `main`.
///
/// # Errors
/// When git or the file system refuses.
pub fn create(directory: &Path, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    let work = directory.join(format!("{name}-first"));
    std::fs::create_dir_all(&work)?;
    for (path, text) in files {
        let path = work.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    commit_and_bare(directory, name, &work)
}

/// The same from the sample repository under `demo/`.
///
/// # Errors
/// When git or the file system refuses.
pub fn sample(directory: &Path, name: &str) -> Result<PathBuf> {
    let work = directory.join(format!("{name}-first"));
    copy(&programs::root().join("demo/repository"), &work)?;
    commit_and_bare(directory, name, &work)
}

fn commit_and_bare(directory: &Path, name: &str, work: &Path) -> Result<PathBuf> {
    git(work, &["init", "--quiet", "--initial-branch=main"])?;
    git(work, &["add", "--all"])?;
    git(work, &["commit", "--quiet", "--message", "First"])?;
    let bare = directory.join(format!("{name}.git"));
    let (from, to) = (work.to_string_lossy(), bare.to_string_lossy());
    git(directory, &["clone", "--quiet", "--bare", &from, &to])?;
    Ok(bare)
}

fn copy(from: &Path, to: &Path) -> Result {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "node_modules" {
                copy(&entry.path(), &target)?;
            }
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
