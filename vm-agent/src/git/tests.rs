//! Real repositories in temporary folders, real git under the real supervisor.

use super::{Finished, GitFailure, Leave, Mark, Wanted, finish, prepare};
use crate::layout::Layout;
use crate::store::{Store, WorkspaceRecord};
use sam_domain::id::{Id, SessionId, TaskId, WorkspaceId};
use sam_domain::time::Timestamp;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Most bytes of a repository here.
pub(super) const LIMIT: u64 = 1 << 20;

pub(super) struct Bench {
    dir: tempfile::TempDir,
    store: Arc<Store>,
}

pub(super) fn git(dir: &Path, arguments: &[&str]) -> String {
    let out = Command::new("git")
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args::<_, &str>([])
        .output()
        .expect("git runs");
    assert!(
        out.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

impl Bench {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let store = Arc::new(Store::open(&dir.path().join("state")).expect("store"));
        let origin = dir.path().join("origin");
        std::fs::create_dir(&origin).expect("origin");
        git(&origin, &["init", "-q", "-b", "main"]);
        std::fs::write(origin.join("a.txt"), "one\n").expect("file");
        std::fs::write(origin.join(".gitignore"), "*.log\n").expect("file");
        let bench = Self { dir, store };
        bench.commit("first");
        git(&bench.origin(), &["tag", "v1"]);
        bench
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn origin(&self) -> PathBuf {
        self.dir.path().join("origin")
    }

    pub(super) fn commit(&self, message: &str) -> String {
        git(&self.origin(), &["add", "--all"]);
        let who = ["-c", "user.name=P", "-c", "user.email=p@example.invalid"];
        let mut arguments = who.to_vec();
        arguments.extend(["commit", "-q", "-m", message]);
        git(&self.origin(), &arguments);
        git(&self.origin(), &["rev-parse", "HEAD"])
    }

    pub(super) fn layout(&self, seed: u128) -> Layout {
        Layout::new(self.store.dir(), &WorkspaceId::mint(Timestamp(1), seed))
    }

    pub(super) async fn prepare(
        &self,
        seed: u128,
        base: Option<&str>,
    ) -> Result<WorkspaceRecord, GitFailure> {
        self.prepare_from(seed, &self.origin().to_string_lossy(), base)
            .await
    }

    pub(super) async fn prepare_from(
        &self,
        seed: u128,
        repository: &str,
        base: Option<&str>,
    ) -> Result<WorkspaceRecord, GitFailure> {
        Ok(self.prepare_marked(seed, repository, base).await?.0)
    }

    pub(super) async fn prepare_marked(
        &self,
        seed: u128,
        repository: &str,
        base: Option<&str>,
    ) -> Result<(WorkspaceRecord, Vec<Mark>), GitFailure> {
        let layout = self.layout(seed);
        let wanted = Wanted {
            repository: repository.to_owned(),
            base: base.map(str::to_owned),
            branch: "sam/work".to_owned(),
            limit: LIMIT,
        };
        let mut phases = Vec::new();
        let prepared = prepare(&self.store, &layout, &wanted, |phase| phases.push(phase)).await?;
        assert_eq!(phases, ["cloning", "checking_out"]);
        let record = WorkspaceRecord {
            id: layout.workspace().clone(),
            attempt: 1,
            session: SessionId::mint(Timestamp(1), 1),
            task: TaskId::mint(Timestamp(1), 1),
            repository: repository.to_owned(),
            branch: wanted.branch,
            base_commit: prepared.base_commit,
            start_commit: prepared.start_commit,
        };
        Ok((record, prepared.marks))
    }

    pub(super) async fn finish(&self, seed: u128, record: &WorkspaceRecord) -> Finished {
        let layout = self.layout(seed);
        let words = "Fix it\n\nmore";
        finish(&self.store, &layout, record, words, &Always)
            .await
            .expect("finished")
    }
}

/// The link is up and stays up.
struct Always;

impl Leave for Always {
    async fn given(&self) {}

    async fn withdrawn(&self) {
        std::future::pending().await
    }
}

pub(super) fn code<T>(result: Result<T, GitFailure>) -> &'static str {
    result.map(|_| ()).expect_err("fails").code
}

#[tokio::test]
async fn work_comes_back_as_a_commit_on_its_branch() {
    let bench = Bench::new();
    let record = bench.prepare(1, None).await.expect("prepared");
    let repo = bench.layout(1).repo();
    assert_eq!(git(&repo, &["branch", "--show-current"]), "sam/work");
    std::fs::write(repo.join("a.txt"), "one\ntwo\n").expect("edit");
    std::fs::write(repo.join("new file.txt"), "x\n").expect("new");
    std::fs::write(repo.join("noise.log"), "x\n").expect("ignored");

    let finished = bench.finish(1, &record).await;
    let commit = finished.commit.clone().expect("a commit");
    assert_eq!(
        (finished.files_changed, finished.added, finished.removed),
        (2, 2, 0)
    );
    assert_eq!(finished.push_error, None);
    let diff = String::from_utf8(finished.diff.clone().expect("diff")).expect("text");
    assert!(
        diff.contains("+two") && !diff.contains("noise.log"),
        "{diff}"
    );
    let origin = bench.origin();
    assert_eq!(git(&origin, &["rev-parse", "sam/work"]), commit);
    let said = git(&origin, &["log", "-1", "--format=%s|%an|%ae", "sam/work"]);
    assert_eq!(said, "Fix it|SAM|sam@noreply.invalid");
    // Once more, as after a crash: the same commit, nothing new.
    assert_eq!(bench.finish(1, &record).await, finished);
}

#[tokio::test]
async fn nothing_changed_is_no_commit_and_no_branch() {
    let bench = Bench::new();
    let record = bench.prepare(1, None).await.expect("prepared");
    assert_eq!(bench.finish(1, &record).await, Finished::default());
    assert!(!git(&bench.origin(), &["branch", "--list"]).contains("sam/work"));
}

#[tokio::test]
async fn an_agents_own_commits_are_handed_back_too() {
    let bench = Bench::new();
    let record = bench.prepare(1, None).await.expect("prepared");
    let repo = bench.layout(1).repo();
    std::fs::write(repo.join("b.txt"), "b\n").expect("file");
    git(&repo, &["add", "--all"]);
    git(
        &repo,
        &[
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.invalid",
            "commit",
            "-q",
            "-m",
            "own",
        ],
    );
    let own = git(&repo, &["rev-parse", "HEAD"]);
    let finished = bench.finish(1, &record).await;
    assert_eq!(finished.commit, Some(own));
    assert_eq!(finished.files_changed, 1);
}

#[tokio::test]
async fn a_branch_the_remote_has_is_continued() {
    let bench = Bench::new();
    let first = bench.prepare(1, None).await.expect("prepared");
    std::fs::write(bench.layout(1).repo().join("b.txt"), "b\n").expect("file");
    let tip = bench.finish(1, &first).await.commit.expect("commit");
    let second = bench.prepare(2, None).await.expect("prepared");
    assert_eq!(second.start_commit, tip);
    assert_eq!(second.base_commit, first.base_commit);
    assert_eq!(bench.finish(2, &second).await.commit, None, "nothing new");
    std::fs::write(bench.layout(2).repo().join("c.txt"), "c\n").expect("file");
    let finished = bench.finish(2, &second).await;
    assert_eq!(
        finished.files_changed, 2,
        "the whole branch against its base"
    );
    assert_eq!(finished.push_error, None);
}

#[tokio::test]
async fn a_base_is_a_branch_a_tag_or_a_commit() {
    let bench = Bench::new();
    let first = git(&bench.origin(), &["rev-parse", "HEAD"]);
    std::fs::write(bench.origin().join("a.txt"), "changed\n").expect("edit");
    let second = bench.commit("second");
    for (seed, base, expect) in [
        (1, "v1", &first),
        (2, "main", &second),
        (3, &first.clone()[..], &first),
        (4, &first.clone()[..8], &first),
    ] {
        let record = bench.prepare(seed, Some(base)).await.expect("prepared");
        assert_eq!(&record.start_commit, expect, "{base}");
    }
    for base in ["nowhere", "-x", "a..b", "HEAD~1", "v1:a.txt", ""] {
        assert_eq!(
            code(bench.prepare(9, Some(base)).await),
            "base_not_found",
            "{base}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_cloned_says_so() {
    let bench = Bench::new();
    let missing = bench.dir.path().join("missing");
    let check = async |repository: &str| code(bench.prepare_from(7, repository, None).await);
    assert_eq!(check(&missing.to_string_lossy()).await, "not_a_repository");
    std::fs::create_dir(&missing).expect("dir");
    assert_eq!(check(&missing.to_string_lossy()).await, "not_a_repository");
    assert_eq!(
        check("ssh://host.example/x").await,
        "unsupported_repository"
    );
    assert_eq!(
        check("http://127.0.0.1:9/x.git").await,
        "repository_unreachable"
    );
    let other = bench.layout(3);
    other.make_afresh().expect("made");
    let inside = other.repo();
    std::fs::create_dir(&inside).expect("dir");
    assert_eq!(
        check(&inside.to_string_lossy()).await,
        "unsupported_repository"
    );
    let link = bench.dir.path().join("link");
    std::os::unix::fs::symlink(&inside, &link).expect("link");
    assert_eq!(
        check(&link.to_string_lossy()).await,
        "unsupported_repository"
    );
}

#[tokio::test]
async fn a_password_in_a_url_is_refused_and_never_comes_back() {
    let bench = Bench::new();
    let url = "http://someone:hunter2-canary@127.0.0.1:9/x.git";
    let failure = bench.prepare_from(1, url, None).await.expect_err("fails");
    assert_eq!(failure.code, "unsupported_repository");
    assert!(
        !failure.message.contains("hunter2-canary"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn hooks_of_neither_side_of_the_checkout_run() {
    let bench = Bench::new();
    let record = bench.prepare(1, None).await.expect("prepared");
    let repo = bench.layout(1).repo();
    let proof = bench.dir.path().join("hook-ran");
    for hook in ["pre-commit", "commit-msg", "pre-push", "post-commit"] {
        let path = repo.join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().expect("dir")).expect("hooks");
        std::fs::write(
            &path,
            format!("#!/bin/sh\ntouch {}\nexit 1\n", proof.display()),
        )
        .expect("hook");
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("executable");
    }
    std::fs::write(repo.join("a.txt"), "changed\n").expect("edit");
    let finished = bench.finish(1, &record).await;
    assert!(finished.commit.is_some() && finished.push_error.is_none());
    assert!(!proof.exists());
}

#[tokio::test]
async fn a_refused_push_keeps_the_commit_and_says_why() {
    let bench = Bench::new();
    let record = bench.prepare(1, None).await.expect("prepared");
    std::fs::write(bench.layout(1).repo().join("a.txt"), "changed\n").expect("edit");
    // Somebody checks the branch out in the origin: git refuses to push into it.
    git(&bench.origin(), &["checkout", "-q", "-b", "sam/work"]);
    let finished = bench.finish(1, &record).await;
    assert!(finished.commit.is_some());
    let why = finished.push_error.expect("refused");
    assert!(why.contains("refus"), "{why}");
}

#[tokio::test]
async fn a_lock_left_by_a_killed_git_does_not_stop_the_work() {
    let bench = Bench::new();
    let record = bench.prepare(1, None).await.expect("prepared");
    let repo = bench.layout(1).repo();
    std::fs::write(repo.join("a.txt"), "changed\n").expect("edit");
    std::fs::write(repo.join(".git/index.lock"), "").expect("lock");
    assert!(bench.finish(1, &record).await.commit.is_some());
}

#[tokio::test]
async fn a_workspace_shares_nothing_with_the_repository_it_came_from() {
    use std::os::unix::fs::MetadataExt;
    let bench = Bench::new();
    bench.prepare(1, None).await.expect("prepared");
    let mut open = vec![bench.layout(1).repo().join(".git/objects")];
    let mut files = 0;
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).expect("dir").flatten() {
            let meta = entry.metadata().expect("meta");
            if meta.is_dir() {
                open.push(entry.path());
            } else {
                assert_eq!(meta.nlink(), 1, "{:?}", entry.path());
                files += 1;
            }
        }
    }
    assert!(files > 0);
    assert!(
        !bench
            .layout(1)
            .repo()
            .join(".git/objects/info/alternates")
            .exists()
    );
}
