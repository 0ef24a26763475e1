//! Handing the work back: commit what is there, take the diff, push the branch.
//!
//! It can be repeated: a commit that exists is not made twice, and pushing what
//! the remote has changes nothing. The push goes to the repository the
//! workspace was made from, whatever the checkout's own `origin` says by now.

use super::repository::check_repository;
use super::{Git, GitFailure};
use crate::layout::Layout;
use crate::secret;
use crate::store::{Store, WorkspaceRecord};
use std::path::Path;
use std::sync::Arc;

/// Longest diff that is kept, in bytes.
const DIFF_LIMIT: usize = crate::rows::BODY_LIMIT - DIFF_MARK.len();
/// What ends a diff that was cut.
const DIFF_MARK: &[u8] = b"\n[The diff is longer; the rest was left out.]\n";
/// Longest first line of a commit message, in bytes.
const MESSAGE_LIMIT: usize = 200;

/// When this machine may push.
pub(crate) trait Leave: Sync {
    /// Waits until it may.
    fn given(&self) -> impl Future<Output = ()> + Send;
    /// Waits until it may no longer.
    fn withdrawn(&self) -> impl Future<Output = ()> + Send;
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finished {
    /// The newest commit; absent when nothing was changed.
    pub(crate) commit: Option<String>,
    /// Why the push was refused, redacted.
    pub(crate) push_error: Option<String>,
    /// Files changed against the base.
    pub(crate) files_changed: u32,
    /// Lines added.
    pub(crate) added: u32,
    /// Lines removed.
    pub(crate) removed: u32,
    /// The unified diff against the base.
    pub(crate) diff: Option<Vec<u8>>,
}

/// Commits, diffs and pushes. A push that is under way is ended when the leave to
/// push is withdrawn, and begun again when it is given again.
pub(crate) async fn finish(
    store: &Arc<Store>,
    layout: &Layout,
    record: &WorkspaceRecord,
    message: &str,
    leave: &impl Leave,
) -> Result<Finished, GitFailure> {
    check_repository(&record.repository, layout.state())?;
    let repo = layout.repo();
    if !repo.join(".git").exists() {
        return Err(GitFailure::new(
            "not_a_repository",
            "The workspace's repository is gone; there is nothing to commit.",
        ));
    }
    let git = Git::new(store, layout, &record.repository)?;
    commit(&git, &repo, message).await?;
    let head = git
        .run(&repo, &["rev-parse", "--verify", "-q", "HEAD^{commit}"])
        .await?;
    if !head.ok() {
        // A repository that had no commit, and still has none.
        let start = format!("{}^{{commit}}", record.start_commit);
        let began = git
            .run(&repo, &["rev-parse", "--verify", "-q", &start])
            .await?;
        if !began.ok() {
            return Ok(Finished::default());
        }
        return Err(head.failure("commit_failed", "git cannot name the newest commit"));
    }
    let head = head.text();
    if head == record.start_commit {
        return Ok(Finished::default());
    }
    let mut finished = compare(&git, &repo, &record.base_commit, &head).await?;
    finished.push_error = loop {
        leave.given().await;
        tokio::select! {
            pushed = push(&git, &repo, record, &head) => break pushed?,
            () = leave.withdrawn() => {}
        }
    };
    finished.commit = Some(head);
    Ok(finished)
}

/// Commits everything that is not ignored, if there is anything.
async fn commit(git: &Git, repo: &Path, message: &str) -> Result<(), GitFailure> {
    let mut added = git.run(repo, &["add", "--all"]).await?;
    if !added.ok() && added.said().contains("index.lock") {
        // Left by a git that was killed with its agent; no other runs here now.
        let _ = std::fs::remove_file(repo.join(".git/index.lock"));
        added = git.run(repo, &["add", "--all"]).await?;
    }
    if !added.ok() {
        return Err(added.failure("commit_failed", "git could not stage the changes"));
    }
    let staged = git
        .run(repo, &["diff", "--cached", "--quiet", "--no-ext-diff"])
        .await?;
    if staged.ok() {
        return Ok(());
    }
    let subject = format!("--message={}", subject(message));
    let ran = git
        .run(
            repo,
            &[
                "commit",
                "-q",
                "--no-verify",
                "--cleanup=verbatim",
                &subject,
            ],
        )
        .await?;
    if ran.ok() {
        Ok(())
    } else {
        Err(ran.failure("commit_failed", "git could not commit the changes"))
    }
}

/// One line that git takes.
fn subject(message: &str) -> String {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty());
    let (line, _) =
        sam_domain::conversation::row::truncate(line.unwrap_or("Work by SAM"), MESSAGE_LIMIT);
    line.chars().filter(|c| !c.is_control()).collect()
}

async fn compare(git: &Git, repo: &Path, base: &str, head: &str) -> Result<Finished, GitFailure> {
    let plain = ["--no-color", "--no-ext-diff", "--no-textconv"];
    let mut arguments = vec!["diff", "--shortstat"];
    arguments.extend(plain);
    arguments.extend([base, head, "--"]);
    let stat = git.run(repo, &arguments).await?;
    let mut finished = shortstat(&stat.text());
    arguments.splice(1..2, []);
    let diff = git.run_bounded(repo, &arguments, DIFF_LIMIT).await?;
    if !diff.ok() && !diff.cut {
        return Err(diff.failure("diff_failed", "git could not compare with the base"));
    }
    let mut bytes = diff.stdout;
    if diff.cut {
        // Not within a character, nor within a line where there are lines.
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        bytes.truncate(end.unwrap_or(bytes.len()));
        bytes.extend_from_slice(DIFF_MARK);
    }
    finished.diff = Some(bytes);
    Ok(finished)
}

/// ` 2 files changed, 10 insertions(+), 1 deletion(-)`
pub(super) fn shortstat(text: &str) -> Finished {
    let mut finished = Finished::default();
    for part in text.split(',') {
        let mut words = part.split_whitespace();
        let count = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        match words.next() {
            Some(word) if word.starts_with("file") => finished.files_changed = count,
            Some(word) if word.starts_with("insertion") => finished.added = count,
            Some(word) if word.starts_with("deletion") => finished.removed = count,
            _ => {}
        }
    }
    finished
}

/// Pushes; `Some` says why it was refused.
async fn push(
    git: &Git,
    repo: &Path,
    record: &WorkspaceRecord,
    head: &str,
) -> Result<Option<String>, GitFailure> {
    let target = format!("{head}:refs/heads/{}", record.branch);
    let arguments = [
        "push",
        "-q",
        "--no-verify",
        "--no-recurse-submodules",
        "--",
        &record.repository,
        &target,
    ];
    let ran = git.run(repo, &arguments).await?;
    if ran.ok() {
        return Ok(None);
    }
    let said = ran.said();
    Ok(Some(if said.is_empty() {
        secret::redact("git push failed without saying why")
    } else {
        said
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_line_whatever_was_said() {
        assert_eq!(subject("\n  Fix the sum \nmore"), "Fix the sum");
        assert_eq!(subject("-m --amend"), "-m --amend");
        assert_eq!(subject(""), "Work by SAM");
        assert!(subject(&"ä".repeat(500)).len() <= MESSAGE_LIMIT);
    }

    #[test]
    fn counts_are_read_in_any_combination() {
        let check = |text: &str, expect: (u32, u32, u32)| {
            let found = shortstat(text);
            assert_eq!((found.files_changed, found.added, found.removed), expect);
        };
        check(
            " 2 files changed, 10 insertions(+), 1 deletion(-)",
            (2, 10, 1),
        );
        check(" 1 file changed, 1 deletion(-)", (1, 0, 1));
        check("", (0, 0, 0));
    }
}
