//! Cloning within bounds, and saying why it failed.
//!
//! A repository is what a stranger made it: it may be larger than the disk, and
//! a few kilobytes of it may unpack to terabytes. So what arrives is measured
//! while it arrives, and what would be checked out before it is
//! ([`super::tree`]). The history is cloned whole, because agents read it.

use super::{Git, GitFailure, Ran};
use crate::layout::Layout;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked how much has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often progress is told: each telling is a write on both sides.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Clones without checking anything out. `tell` hears how far it is.
pub(super) async fn clone(
    git: &Git,
    layout: &Layout,
    repository: &str,
    limit: u64,
    mut tell: impl FnMut(String),
) -> Result<(), GitFailure> {
    if repository.starts_with('/') && !Path::new(repository).is_dir() {
        return Err(GitFailure::new(
            "not_a_repository",
            format!("There is no folder {repository} on this machine."),
        )
        .hint("A path is looked for on the machine that runs the work."));
    }
    let repo = layout.repo();
    let target = repo.to_string_lossy();
    // Over git's own transport even for a path: nothing is shared with the
    // person's repository, neither by hard links nor by reference.
    let arguments = [
        "clone",
        "--progress",
        "--no-checkout",
        "--no-local",
        "--origin",
        "origin",
        "--",
        repository,
        &target,
    ];
    let objects = repo.join(".git/objects");
    let grown = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if size_of(&objects).await > limit {
                return;
            }
        }
    };
    let mut last_told = Instant::now();
    let mut line = Vec::new();
    let hear = |bytes: &[u8]| {
        for byte in bytes {
            if !matches!(byte, b'\r' | b'\n') {
                if line.len() < 500 {
                    line.push(*byte);
                }
                continue;
            }
            if last_told.elapsed() >= TELL_EVERY
                && let Some(progress) = progress(&String::from_utf8_lossy(&line))
            {
                tell(format!("cloning, {progress}"));
                last_told = Instant::now();
            }
            line.clear();
        }
    };
    let ran = git.watch(layout.root(), &arguments, hear, grown).await?;
    match ran {
        Some(ran) if ran.ok() && size_of(&objects).await > limit => Err(too_large(limit)),
        Some(ran) if ran.ok() => Ok(()),
        Some(ran) => Err(why(&ran)),
        None => Err(too_large(limit)),
    }
}

/// The failure of a repository that is beyond the machine's bound.
pub(super) fn too_large(limit: u64) -> GitFailure {
    GitFailure::new(
        "repository_too_large",
        format!(
            "The repository is larger than the {} MiB that this machine takes.",
            limit >> 20
        ),
    )
    .hint("Start the vm-agent with a larger --max-repository-mib, or use a smaller repository.")
}

/// Bytes of all files below a folder; links are not followed.
async fn size_of(folder: &Path) -> u64 {
    fn below(folder: &Path) -> u64 {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| match entry.metadata() {
                Ok(meta) if meta.is_dir() => below(&entry.path()),
                Ok(meta) => meta.len(),
                Err(_) => 0,
            })
            .sum()
    }
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || below(&folder))
        .await
        .unwrap_or(0)
}

/// How far git says it is: `42 % received, 12.34 MiB`.
pub(super) fn progress(line: &str) -> Option<String> {
    let (stage, rest) = line.split_once(':')?;
    let done = match stage {
        "Receiving objects" => "received",
        "Resolving deltas" => "unpacked",
        _ => return None,
    };
    let (percent, rest) = rest.trim_start().split_once('%')?;
    let percent: u8 = percent.parse().ok().filter(|percent| *percent <= 100)?;
    let amount = rest
        .split_once("), ")
        .and_then(|(_, amount)| amount.split([',', '|']).next())
        .map(str::trim)
        .filter(|amount| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'.');
            !amount.is_empty() && amount.len() < 20 && amount.bytes().all(plain)
        })
        .map(|amount| format!(", {amount}"));
    Some(format!("{percent} % {done}{}", amount.unwrap_or_default()))
}

/// Why git could not clone, in the words of the link.
fn why(ran: &Ran) -> GitFailure {
    let said = ran.said();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let (code, what, hint) = if says(&[
        "does not appear to be a git repository",
        "not a git repository",
        "is this a git repository",
    ]) || (said.contains("repository '")
        && says(&["not found", "does not exist"]))
    {
        (
            "not_a_repository",
            "There is no git repository there",
            "Check the URL or path of the project's repository. A private one may look like this, too.",
        )
    } else if says(&[
        "could not read Username",
        "could not read Password",
        "Authentication failed",
        "error: 403",
    ]) {
        (
            "repository_denied",
            "The repository asks for a sign-in",
            "Private repositories need credentials; use a public URL or a path on this machine.",
        )
    } else if says(&[
        "Could not resolve host",
        "Failed to connect",
        "Couldn't connect",
        "Connection timed out",
        "Connection refused",
        "Network is unreachable",
        "Operation too slow",
    ]) {
        (
            "repository_unreachable",
            "This machine does not reach the repository",
            "Check the URL's host, and that the machine that runs the work can reach it.",
        )
    } else if says(&["not allowed"]) && said.contains("transport '") {
        (
            "unsupported_repository",
            "The repository leads to a transport that is not used",
            "Only http(s) URLs and paths on the machine are cloned.",
        )
    } else {
        (
            "clone_failed",
            "git could not clone the repository",
            "Check that this machine can clone the repository with git.",
        )
    };
    ran.failure(code, what).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_from_what_git_prints() {
        let check = |line: &str, expect: Option<&str>| {
            assert_eq!(progress(line).as_deref(), expect, "{line}");
        };
        check(
            "Receiving objects:  42% (420/1000), 12.34 MiB | 1.20 MiB/s",
            Some("42 % received, 12.34 MiB"),
        );
        check(
            "Receiving objects: 100% (3/3), done.",
            Some("100 % received, done."),
        );
        check("Resolving deltas:   7% (1/13)", Some("7 % unpacked"));
        check("remote: Counting objects:  42% (420/1000)", None);
        check("Receiving objects: 300% (1/1)", None);
        check("Receiving objects: x", None);
        check("", None);
    }
}
