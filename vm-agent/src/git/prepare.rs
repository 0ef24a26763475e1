//! Making a workspace: clone, find the base, check out the branch.
//!
//! It begins by removing what an interrupted earlier try left, so it can be
//! repeated at any time before the workspace is recorded as ready.

use super::clone::clone;
use super::repository::{check_repository, is_base_name, is_branch_name};
use super::{Git, GitFailure, tree};
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
    /// Most bytes of the clone, and of the checkout.
    pub(crate) limit: u64,
}

/// Something about the workspace that its person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// A stable word.
    pub(crate) code: &'static str,
    /// What it is.
    pub(crate) text: String,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The commit the branch forks from; the empty tree in a repository without one.
    pub(crate) base_commit: String,
    /// The commit that is checked out; newer than the base on a continued branch.
    pub(crate) start_commit: String,
    /// What its person should know.
    pub(crate) marks: Vec<Mark>,
}

/// Makes the workspace. `phase` hears of each part as it begins, and how far a
/// long one is.
pub(crate) async fn prepare(
    store: &Arc<Store>,
    layout: &Layout,
    wanted: &Wanted,
    mut phase: impl FnMut(String),
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

    phase("cloning".to_owned());
    clone(&git, layout, &wanted.repository, wanted.limit, &mut phase).await?;

    phase("checking_out".to_owned());
    let repo = layout.repo();
    let remote_branch = format!("refs/remotes/origin/{}", wanted.branch);
    let continued = resolve(&git, &repo, &remote_branch).await?;
    if continued.is_none() {
        refuse_blocked(&git, &repo, &wanted.branch).await?;
    }
    let base = match &wanted.base {
        Some(base) => Some(find_base(&git, &repo, base).await?),
        None => resolve(&git, &repo, "HEAD").await?,
    };
    let Some(start_commit) = continued.clone().or_else(|| base.clone()) else {
        return begin_empty(&git, &repo, &wanted.branch).await;
    };
    let measured = tree::measure(&git, &repo, &start_commit, wanted.limit).await?;
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
    let base_commit = match (base, continued) {
        (Some(base), Some(tip)) => {
            let ran = git.run(&repo, &["merge-base", &base, &tip]).await?;
            if ran.ok() { ran.text() } else { tip }
        }
        (Some(base), None) => base,
        // The branch is all there is: it began in an empty repository.
        (None, _) => empty_tree(&git, &repo).await?,
    };
    Ok(Prepared {
        base_commit,
        start_commit,
        marks: tree::marks(&git, &repo, measured).await?,
    })
}

/// Git keeps a branch `a/b` and a branch `a` from being in one repository; that
/// would show only when the work is pushed.
async fn refuse_blocked(git: &Git, repo: &Path, branch: &str) -> Result<(), GitFailure> {
    for (at, _) in branch.match_indices('/') {
        let above = branch.get(..at).unwrap_or_default();
        let name = format!("refs/remotes/origin/{above}");
        if resolve(git, repo, &name).await?.is_some() {
            return Err(GitFailure::new(
                "branch_blocked",
                format!(
                    "The repository has a branch {above:?}, beside which git cannot have the \
                     work's branch {branch:?}."
                ),
            )
            .hint(format!("Rename the branch {above:?}, then try again.")));
        }
    }
    Ok(())
}

/// A repository without a commit: the work becomes its first one, on a branch
/// that is born with it.
async fn begin_empty(git: &Git, repo: &Path, branch: &str) -> Result<Prepared, GitFailure> {
    let others = git
        .run(
            repo,
            &["for-each-ref", "--count=1", "refs/remotes", "refs/tags"],
        )
        .await?;
    if !others.text().is_empty() {
        return Err(GitFailure::new(
            "no_default_branch",
            "The repository has commits, but its default branch has none.",
        )
        .hint("Name a branch to start from, or set the repository's default branch."));
    }
    let head = format!("refs/heads/{branch}");
    let ran = git.run(repo, &["symbolic-ref", "HEAD", &head]).await?;
    if !ran.ok() {
        return Err(ran.failure("checkout_failed", "git could not begin the branch"));
    }
    let empty = empty_tree(git, repo).await?;
    Ok(Prepared {
        base_commit: empty.clone(),
        start_commit: empty,
        marks: vec![Mark {
            code: "empty_repository",
            text: format!(
                "The repository has no commit yet: the work becomes its first, on the branch {branch}."
            ),
        }],
    })
}

/// The tree of no files, in the repository's own hash.
async fn empty_tree(git: &Git, repo: &Path) -> Result<String, GitFailure> {
    let ran = git
        .run(repo, &["hash-object", "-w", "-t", "tree", "/dev/null"])
        .await?;
    if ran.ok() {
        Ok(ran.text())
    } else {
        Err(ran.failure("checkout_failed", "git could not make an empty tree"))
    }
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
