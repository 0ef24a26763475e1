//! Making a workspace: clone, find the base, check out the branch.
//!
//! It begins by removing what an interrupted earlier try left, so it can be
//! repeated at any time before the workspace is recorded as ready.

use super::repository::{check_repository, is_base_name, is_branch_name};
use super::{Git, GitFailure};
use crate::layout::Layout;
use crate::store::Store;
use std::path::Path;
use std::sync::Arc;

/// What is to be made.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// http(s) URL or absolute path.
    pub(crate) repository: String,
    /// Branch, tag or commit to start from; the default branch when absent.
    pub(crate) base: Option<String>,
    /// The branch to make, or to continue where the remote has it.
    pub(crate) branch: String,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The commit the branch forks from.
    pub(crate) base_commit: String,
    /// The commit that is checked out; newer than the base on a continued branch.
    pub(crate) start_commit: String,
}

/// Makes the workspace. `phase` hears of each part as it begins.
pub(crate) async fn prepare(
    store: &Arc<Store>,
    layout: &Layout,
    wanted: &Wanted,
    mut phase: impl FnMut(&'static str),
) -> Result<Prepared, GitFailure> {
    check_repository(&wanted.repository, layout.state())?;
    if !is_branch_name(&wanted.branch) {
        return Err(GitFailure::new(
            "invalid_branch",
            format!("git does not take {:?} as a branch name.", wanted.branch),
        ));
    }
    if let Some(base) = wanted.base.as_deref().filter(|base| !is_base_name(base)) {
        return Err(base_not_found(base));
    }
    let folders = layout.clone();
    on_a_thread(move || folders.make_afresh())
        .await
        .map_err(|error| GitFailure::io("Making the workspace's folders", &error))?;
    let git = Git::new(store, layout, &wanted.repository)?;

    phase("cloning");
    clone(&git, layout, &wanted.repository).await?;

    phase("checking_out");
    let repo = layout.repo();
    let base_commit = match &wanted.base {
        Some(base) => find_base(&git, &repo, base).await?,
        None => resolve(&git, &repo, "HEAD").await?.ok_or_else(|| {
            GitFailure::new("empty_repository", "The repository has no commit yet.")
                .hint("Commit something to its default branch first.")
        })?,
    };
    let remote_branch = format!("refs/remotes/origin/{}", wanted.branch);
    let continued = resolve(&git, &repo, &remote_branch).await?;
    let start_commit = continued.clone().unwrap_or_else(|| base_commit.clone());
    let checkout = [
        "checkout",
        "-q",
        "--no-track",
        "-B",
        &wanted.branch,
        &start_commit,
    ];
    let ran = git.run(&repo, &checkout).await?;
    if !ran.ok() {
        return Err(ran.failure("checkout_failed", "git could not check the branch out"));
    }
    let base_commit = match continued {
        Some(tip) => {
            let ran = git.run(&repo, &["merge-base", &base_commit, &tip]).await?;
            if ran.ok() { ran.text() } else { tip }
        }
        None => base_commit,
    };
    Ok(Prepared {
        base_commit,
        start_commit,
    })
}

async fn clone(git: &Git, layout: &Layout, repository: &str) -> Result<(), GitFailure> {
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
        "-q",
        "--no-checkout",
        "--no-local",
        "--origin",
        "origin",
        "--",
        repository,
        &target,
    ];
    let ran = git.run(layout.root(), &arguments).await?;
    if ran.ok() {
        return Ok(());
    }
    let said = ran.said();
    if said.contains("does not appear to be a git repository")
        || said.contains("not a git repository")
        || (said.contains("repository '")
            && (said.contains("not found") || said.contains("does not exist")))
    {
        return Err(ran
            .failure("not_a_repository", "There is no git repository there")
            .hint("Check the URL or path of the project's repository."));
    }
    if said.contains("could not read Username") || said.contains("Authentication failed") {
        return Err(ran
            .failure("repository_denied", "The repository asks for a sign-in")
            .hint("Private repositories need credentials; use a public URL or a path on this machine."));
    }
    Err(ran
        .failure("clone_failed", "git could not clone the repository")
        .hint("Check that this machine can reach the repository."))
}

/// A branch of the remote, a tag, or a commit, in this order.
async fn find_base(git: &Git, repo: &Path, base: &str) -> Result<String, GitFailure> {
    let is_hash = (4..=64).contains(&base.len()) && base.bytes().all(|b| b.is_ascii_hexdigit());
    let mut names = vec![
        format!("refs/remotes/origin/{base}"),
        format!("refs/tags/{base}"),
    ];
    names.extend(is_hash.then(|| base.to_owned()));
    for name in names {
        if let Some(commit) = resolve(git, repo, &name).await? {
            return Ok(commit);
        }
    }
    Err(base_not_found(base))
}

fn base_not_found(base: &str) -> GitFailure {
    GitFailure::new(
        "base_not_found",
        format!("The repository has no branch, tag or commit {base:?}."),
    )
    .hint("Name a branch, tag or commit that exists, or leave the base out for the default branch.")
}

async fn resolve(git: &Git, repo: &Path, name: &str) -> Result<Option<String>, GitFailure> {
    let wanted = format!("{name}^{{commit}}");
    let ran = git
        .run(
            repo,
            &["rev-parse", "-q", "--verify", "--end-of-options", &wanted],
        )
        .await?;
    Ok(ran.ok().then(|| ran.text()))
}

/// Runs blocking work off the runtime's threads.
async fn on_a_thread(
    work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> std::io::Result<()> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
