//! Repositories that are empty, too large, or made to do harm.

use super::GitFailure;
use super::clone::progress;
use super::finish::shortstat;
use super::prepare::Mark;
use super::tests::{Bench, LIMIT, code, git};
use super::tree::Listing;
use proptest::prelude::*;
use std::path::Path;

fn codes(marks: &[Mark]) -> Vec<&'static str> {
    marks.iter().map(|mark| mark.code).collect()
}

/// An object written from bytes; its name.
fn object(repo: &Path, kind: &str, bytes: &[u8]) -> String {
    let file = repo.join("object");
    std::fs::write(&file, bytes).expect("file");
    let name = git(
        repo,
        &["hash-object", "-w", "--literally", "-t", kind, "object"],
    );
    std::fs::remove_file(&file).expect("removed");
    name
}

/// A tree of these entries, whatever git thinks of their names.
fn tree(repo: &Path, entries: &[(&str, &[u8], &str)]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, object) in entries {
        bytes.extend_from_slice(format!("{mode} ").as_bytes());
        bytes.extend_from_slice(name);
        bytes.push(0);
        for pair in object.as_bytes().chunks(2) {
            let pair = std::str::from_utf8(pair).expect("hexadecimal");
            bytes.push(u8::from_str_radix(pair, 16).expect("hexadecimal"));
        }
    }
    object(repo, "tree", &bytes)
}

/// Makes a tree the newest commit of the origin's default branch.
fn commit_tree(bench: &Bench, tree: &str) {
    let who = ["-c", "user.name=P", "-c", "user.email=p@example.invalid"];
    let mut arguments = who.to_vec();
    arguments.extend(["commit-tree", "-m", "made", tree]);
    let commit = git(&bench.origin(), &arguments);
    git(&bench.origin(), &["update-ref", "refs/heads/main", &commit]);
}

#[tokio::test]
async fn an_empty_repository_gets_its_first_commit() {
    let bench = Bench::new();
    let origin = bench.dir().join("empty");
    git(bench.dir(), &["init", "-q", "--bare", "empty"]);
    let url = origin.to_string_lossy();
    let (record, marks) = bench.prepare_marked(1, &url, None).await.expect("prepared");
    assert_eq!(codes(&marks), ["empty_repository"]);
    assert_eq!(bench.finish(1, &record).await.commit, None, "nothing yet");
    std::fs::write(bench.layout(1).repo().join("a.txt"), "one\ntwo\n").expect("file");
    let finished = bench.finish(1, &record).await;
    assert_eq!(finished.push_error, None);
    assert_eq!((finished.files_changed, finished.added), (1, 2));
    let tip = git(&origin, &["rev-parse", "sam/work"]);
    assert_eq!(finished.commit.as_ref(), Some(&tip));
    assert_eq!(git(&origin, &["rev-list", "--count", "sam/work"]), "1");
    assert_eq!(bench.finish(1, &record).await, finished, "once more");

    // The branch goes on although the default branch still has no commit.
    let again = bench.prepare_from(2, &url, None).await.expect("prepared");
    assert_eq!(again.start_commit, tip);
    std::fs::write(bench.layout(2).repo().join("b.txt"), "b\n").expect("file");
    assert_eq!(bench.finish(2, &again).await.files_changed, 2);
    git(&origin, &["branch", "-m", "sam/work", "other"]);
    let refused = bench.prepare_from(3, &url, None).await;
    assert_eq!(code(refused), "no_default_branch");
    let named = bench.prepare_from(4, &url, Some("other")).await;
    assert_ne!(named.expect("prepared").start_commit, tip);
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_fills_the_disk() {
    let bench = Bench::new();
    let refused = async |seed| {
        let failure = bench.prepare(seed, None).await.expect_err("refused");
        assert_eq!(failure.code, "repository_too_large", "{failure}");
        assert!(failure.hint.is_some());
        assert!(!bench.layout(seed).repo().join("a.txt").exists());
    };
    // A kilobyte that checks out to ten times the bound.
    let blob = object(&bench.origin(), "blob", &vec![0; 100_000]);
    let names: Vec<String> = (0..100).map(|n| format!("f{n:03}")).collect();
    let entries: Vec<_> = names
        .iter()
        .map(|name| ("100644", name.as_bytes(), blob.as_str()))
        .collect();
    commit_tree(&bench, &tree(&bench.origin(), &entries));
    refused(1).await;
    // Trees of trees: ten thousand million files of no byte.
    let empty = object(&bench.origin(), "blob", b"");
    let names: Vec<String> = (0..10).map(|n| format!("f{n}")).collect();
    let mut inner = ("100644", empty);
    for _ in 0..10 {
        let entries: Vec<_> = names
            .iter()
            .map(|name| (inner.0, name.as_bytes(), inner.1.as_str()))
            .collect();
        inner = ("40000", tree(&bench.origin(), &entries));
    }
    commit_tree(&bench, &inner.1);
    refused(2).await;
    // What does not compress is too large already as it arrives.
    let noise: Vec<u8> = (0_u32..)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).wrapping_pow(3).to_le_bytes())
        .take(usize::try_from(LIMIT).expect("small") * 2)
        .collect();
    std::fs::write(bench.origin().join("noise"), noise).expect("file");
    git(&bench.origin(), &["read-tree", "--empty"]);
    bench.commit("noise");
    refused(3).await;
}

#[tokio::test]
async fn nothing_in_a_repository_runs_when_it_is_cloned() {
    let bench = Bench::new();
    let proof = bench.dir().join("it-ran");
    let touch = format!("touch {}", proof.display());
    let origin = bench.origin();
    // A filter needs a configuration that no clone brings along; so do diff and merge drivers.
    std::fs::write(
        origin.join(".gitattributes"),
        "* filter=evil diff=evil merge=evil\n",
    )
    .expect("file");
    for (name, url) in [
        ("remote", "ssh://127.0.0.1:9/x"),
        ("local", "file:///etc"),
        ("above", "../../../etc"),
        ("option", "--upload-pack=touch"),
        ("command", "ext::sh -c touch% it-ran"),
    ] {
        let file = format!("--file={}", origin.join(".gitmodules").display());
        let path = format!("submodule.{name}.path");
        git(&origin, &["config", &file, &path, name]);
        let key = format!("submodule.{name}.url");
        git(&origin, &["config", &file, &key, url]);
        let update = format!("submodule.{name}.update");
        git(&origin, &["config", &file, &update, "!touch it-ran"]);
        let head = git(&origin, &["rev-parse", "HEAD"]);
        let entry = format!("160000,{head},{name}");
        git(&origin, &["update-index", "--add", "--cacheinfo", &entry]);
    }
    git(&origin, &["add", ".gitattributes", ".gitmodules"]);
    let who = ["-c", "user.name=P", "-c", "user.email=p@example.invalid"];
    git(
        &origin,
        &[&who[..], &["commit", "-q", "-m", "hostile"]].concat(),
    );
    for key in [
        "filter.evil.smudge",
        "filter.evil.clean",
        "diff.evil.textconv",
    ] {
        git(&origin, &["config", key, &touch]);
    }
    std::fs::write(
        origin.join(".git/hooks/post-checkout"),
        format!("#!/bin/sh\n{touch}\n"),
    )
    .expect("hook");

    let url = origin.to_string_lossy();
    let (record, marks) = bench.prepare_marked(1, &url, None).await.expect("prepared");
    assert_eq!(codes(&marks), ["submodules_not_fetched"]);
    assert!(
        marks[0].text.contains("submodules (5)"),
        "{}",
        marks[0].text
    );
    let repo = bench.layout(1).repo();
    assert!(!repo.join("remote/.git").exists());
    std::fs::write(repo.join("a.txt"), "changed\n").expect("edit");
    let finished = bench.finish(1, &record).await;
    assert_eq!((finished.files_changed, finished.push_error), (1, None));
    assert!(!proof.exists() && !repo.join("it-ran").exists());
}

#[tokio::test]
async fn large_files_kept_elsewhere_are_told() {
    let bench = Bench::new();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n";
    for name in ["one.bin", "t\u{1b}[31mwo\n.bin"] {
        std::fs::write(bench.origin().join(name), pointer).expect("file");
    }
    std::fs::write(
        bench.origin().join(".gitattributes"),
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    )
    .expect("file");
    bench.commit("pointers");
    let url = bench.origin().to_string_lossy().into_owned();
    let (_, marks) = bench.prepare_marked(1, &url, None).await.expect("prepared");
    assert_eq!(codes(&marks), ["lfs_not_fetched"]);
    let text = &marks[0].text;
    assert!(text.starts_with("Git LFS keeps 2 "), "{text}");
    assert!(text.contains("one.bin"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[tokio::test]
async fn odd_names_come_and_go_whole() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::new();
    let names: [&[u8]; 5] = [
        b"-rf",
        b"two\nlines",
        b"esc\x1b[2Jape",
        b"not-utf8-\xff\xfe",
        "r\u{202e}txt.exe".as_bytes(),
    ];
    for name in names {
        std::fs::write(bench.origin().join(OsStr::from_bytes(name)), "x\n").expect("file");
    }
    std::os::unix::fs::symlink("/etc/passwd", bench.origin().join("out")).expect("link");
    std::os::unix::fs::symlink("../../..", bench.origin().join("above")).expect("link");
    bench.commit("odd names");
    let record = bench.prepare(1, None).await.expect("prepared");
    let repo = bench.layout(1).repo();
    for name in names {
        let path = repo.join(OsStr::from_bytes(name));
        assert!(path.is_file(), "{name:?}");
        std::fs::write(path, "y\n").expect("edit");
    }
    std::fs::remove_file(repo.join("out")).expect("removed");
    std::os::unix::fs::symlink("/etc/shadow", repo.join("out")).expect("link");
    let finished = bench.finish(1, &record).await;
    assert_eq!((finished.files_changed, finished.push_error), (6, None));
    let diff = finished.diff.expect("a diff");
    let diff = std::str::from_utf8(&diff).expect("names are quoted");
    assert!(
        !diff.contains('\u{1b}') && !diff.contains('\u{202e}'),
        "{diff}"
    );
    // Of a link the diff says where it leads, and nothing of what is there.
    assert!(
        diff.contains("+/etc/shadow") && !diff.contains("root:"),
        "{diff}"
    );
}

#[tokio::test]
async fn a_tree_that_would_write_into_git_is_refused() {
    let bench = Bench::new();
    let blob = object(&bench.origin(), "blob", b"#!/bin/sh\n");
    for (seed, name) in [".git", ".GIT", "..", "git~1"].into_iter().enumerate() {
        let hooks = tree(&bench.origin(), &[("100755", b"post-checkout", &blob)]);
        let inner = tree(&bench.origin(), &[("40000", b"hooks", &hooks)]);
        let outer = tree(&bench.origin(), &[("40000", name.as_bytes(), &inner)]);
        commit_tree(&bench, &outer);
        let failure = bench
            .prepare(seed as u128 + 1, None)
            .await
            .expect_err("refused");
        assert!(
            ["checkout_failed", "clone_failed"].contains(&failure.code),
            "{name}: {failure:?}"
        );
    }
}

#[tokio::test]
async fn a_branch_in_the_way_is_told_before_the_work() {
    let bench = Bench::new();
    git(&bench.origin(), &["branch", "sam"]);
    let failure = bench.prepare(1, None).await.expect_err("refused");
    assert_eq!(failure.code, "branch_blocked");
    assert!(failure.hint.is_some_and(|hint| hint.contains("Rename")));
    git(&bench.origin(), &["branch", "-m", "sam", "sam/other"]);
    bench.prepare(2, None).await.expect("prepared");
}

#[tokio::test]
async fn a_long_diff_is_cut_at_a_line_and_says_so() {
    let bench = Bench::new();
    let record = bench.prepare(1, None).await.expect("prepared");
    let line = format!("{}\n", "ü".repeat(100));
    let text = line.repeat(crate::rows::BODY_LIMIT / line.len() + 1000);
    std::fs::write(bench.layout(1).repo().join("long.txt"), text).expect("file");
    let diff = bench.finish(1, &record).await.diff.expect("a diff");
    assert!(diff.len() <= crate::rows::BODY_LIMIT, "{}", diff.len());
    let diff = std::str::from_utf8(&diff).expect("whole characters");
    let mark = "ü\n[The diff is longer; the rest was left out.]\n";
    assert!(diff.ends_with(mark));
}

/// A server that accepts, says `answer` and closes; its URL.
fn server(answer: &'static str) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}/x.git")
}

#[tokio::test]
async fn a_server_that_refuses_or_misleads_is_told_apart() {
    let bench = Bench::new();
    for (answer, expect) in [
        (
            "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "repository_denied",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "repository_denied",
        ),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "not_a_repository",
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: file:///etc\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "clone_failed",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 18\r\nconnection: close\r\n\r\n\x1b[2J<html>\nhello\n\n",
            "not_a_repository",
        ),
    ] {
        let failure: GitFailure = bench
            .prepare_from(1, &server(answer), None)
            .await
            .expect_err("refused");
        assert_eq!(failure.code, expect, "{answer}: {failure:?}");
        assert!(failure.hint.is_some());
        assert!(!failure.message.contains('\u{1b}'), "{failure:?}");
    }
}

proptest! {
    #![proptest_config(sam_fuzz::config(1000))]

    /// A server writes much of what git prints.
    #[test]
    fn whatever_git_prints_is_read_within_bounds(
        listed in sam_fuzz::bytes(vec![
            b"100644 blob 0123 10\ta\x00120000 blob 0123 4\tlink\x00160000 commit 0123 -\tsub\x00".to_vec(),
        ]),
        line in sam_fuzz::bytes(vec![
            b"Receiving objects:  42% (420/1000), 12.34 MiB | 1.20 MiB/s".to_vec(),
            b" 2 files changed, 10 insertions(+), 1 deletion(-)".to_vec(),
        ]),
        piece in 1_usize..40,
    ) {
        let mut whole = Listing::default();
        let mut pieces = Listing::default();
        let enough = whole.push(&listed, LIMIT);
        let also = listed.chunks(piece).all(|bytes| pieces.push(bytes, LIMIT));
        prop_assert_eq!(enough, also);
        prop_assert_eq!(whole.measured, pieces.measured);
        let line = String::from_utf8_lossy(&line);
        let told = progress(&line).unwrap_or_default();
        prop_assert!(told.len() < 50 && !crate::text::printable(&told).contains('\\'), "{told:?}");
        let _ = shortstat(&line);
    }
}
