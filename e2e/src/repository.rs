//! Git repositories for tests, untouched by the machine's own git configuration.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, disk, failure, programs};

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
    sample_with(directory, name, |_| {})
}

/// The same from the sample repository with its files (paths and texts) changed before they are
/// committed. The repository that is cloned from it lies beside it as `<name>-first`.
///
/// # Errors
/// When git or the file system refuses.
pub fn sample_with(
    directory: &Path,
    name: &str,
    change: impl FnOnce(&mut Vec<(String, String)>),
) -> Result<PathBuf> {
    let sample = programs::root().join("demo/repository");
    let mut files = Vec::new();
    for path in disk::files(&sample) {
        let relative = path.strip_prefix(&sample)?.to_string_lossy().into_owned();
        if !relative.starts_with("node_modules/") {
            files.push((relative, std::fs::read_to_string(&path)?));
        }
    }
    change(&mut files);
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    create(directory, name, &files)
}

/// Checks a branch out beside its repository and runs its tests there with `node --test`. Says how
/// they ended and what they printed.
///
/// # Errors
/// When git or Node.js cannot be run.
pub fn tests_of(repository: &Path, branch: &str) -> Result<(bool, String)> {
    let place = tempfile::tempdir()?;
    let target = place.path().join("checkout");
    let (from, to) = (repository.to_string_lossy(), target.to_string_lossy());
    let clone = ["clone", "--quiet", "--branch", branch, &from, &to];
    git(place.path(), &clone)?;
    let output = Command::new(programs::node())
        .arg("--test")
        .current_dir(&target)
        .env("PATH", programs::path())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((output.status.success(), said))
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
