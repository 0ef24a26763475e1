//! Repositories that cannot be worked on say why before any work is done; those that only look as if
//! are worked on, and what is not as it seems is told in the conversation.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use sam_domain::error::Fault;
use sam_domain::task::{StepName, TaskState};
use sam_e2e::conversation::notices;
use sam_e2e::git_server::GitServer;
use sam_e2e::repository::{create, git};
use sam_e2e::{Result, Stack, Work, ensure, failure};
use serde_json::{Value, json};

use super::with_machine;

/// A step of the agent's: writes a file.
fn write(name: &[u8], text: &str) -> Value {
    use base64::Engine as _;
    json!({"write": [base64::engine::general_purpose::STANDARD.encode(name), text]})
}

fn task(steps: &[Value]) -> Value {
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    json!({"prompt": format!("Do this.\n{}", steps.join("\n")), "agent": "goose"})
}

#[tokio::test]
async fn what_cannot_be_worked_on_says_why_before_the_work() -> Result {
    let mut stack = with_machine(&["--max-repository-mib", "1"]).await?;
    let server = GitServer::start(stack.directory()).await?;
    let directory = stack.directory().to_owned();
    create(&directory, "plain", &[("a.txt", "a\n")])?;
    let blocked = create(&directory, "blocked", &[("a.txt", "a\n")])?;
    git(&blocked, &["branch", "sam"])?;
    let huge = create(&directory, "huge", &[("a.txt", "a\n")])?;
    // Small on the wire, large on the disk.
    let large = "0".repeat(4 * 1024 * 1024);
    let first = directory.join("huge-first");
    std::fs::write(first.join("large.txt"), large)?;
    git(&first, &["add", "--all"])?;
    git(&first, &["commit", "--quiet", "--message", "Large"])?;
    git(
        &first,
        &["push", "--quiet", &huge.to_string_lossy(), "main"],
    )?;

    let mut works = Vec::new();
    for (url, base, code) in [
        (
            "http://127.0.0.1:9/x.git".to_owned(),
            None,
            "repository_unreachable",
        ),
        (server.url("missing.git"), None, "not_a_repository"),
        (server.url("private/plain.git"), None, "repository_denied"),
        (server.url("huge.git"), None, "repository_too_large"),
        (server.url("blocked.git"), None, "branch_blocked"),
        (
            server.url("plain.git"),
            Some("no\u{202e}where"),
            "base_not_found",
        ),
    ] {
        let mut task = task(&[write(b"a.txt", "b\n")]);
        if let (Some(base), Some(fields)) = (base, task.as_object_mut()) {
            fields.insert("base".to_owned(), json!(base));
        }
        works.push((Work::begin(&stack, &url, &task).await?, code));
    }
    for (work, code) in &works {
        let view = work.until(TaskState::Failed).await?;
        let failed = view.failure.clone().ok_or_else(|| failure("no failure"))?;
        let odd = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        ensure(
            failed.code == *code
                && failed.step == StepName::Preparing
                && failed.fault == Fault::Environment
                && failed.hint.is_some_and(|hint| !hint.is_empty())
                && !failed.message.contains(odd),
            || format!("{code}: {view:?}"),
        )?;
    }
    stack.until_empty("machine").await
}

#[tokio::test]
async fn what_names_no_repository_is_refused_at_once() -> Result {
    let stack = Stack::start().await?;
    for repository in [
        "",
        "thing",
        "../thing",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "ext::sh -c touch% /tmp/x",
        "ssh://git@host.example/x",
        "git@host.example:you/x.git",
        "git://host.example/x",
        "file:///etc",
        "https://you:secret@host.example/x",
        "/a\nb",
        "/a\u{1b}[2Jb",
        "/\0",
    ] {
        let reply = stack
            .admin()?
            .post("/api/projects", &json!({"repository": repository}))
            .await?;
        ensure(
            (reply.status, reply.code().as_str()) == (400, "bad_repository")
                && reply.text().contains("\"hint\"")
                && !reply.text().contains("secret@"),
            || format!("{repository:?}: {} {}", reply.status, reply.text()),
        )?;
    }
    Ok(())
}

#[tokio::test]
async fn an_empty_repository_gets_its_first_commit() -> Result {
    let mut stack = with_machine(&[]).await?;
    let origin = stack.directory().join("empty.git");
    git(
        stack.directory(),
        &["init", "--quiet", "--bare", "empty.git"],
    )?;
    let server = GitServer::start(stack.directory()).await?;
    let begin = task(&[write(b"src/first.txt", "one\ntwo\n")]);
    let work = Work::begin(&stack, &server.url("empty.git"), &begin).await?;
    let view = work.until(TaskState::Completed).await?;
    let result = view.result.ok_or_else(|| failure("no result"))?;
    ensure(
        result.pushed && (result.files_changed, result.added) == (1, 2),
        || format!("{result:?}"),
    )?;
    let tip = git(&origin, &["rev-parse", &result.branch])?;
    ensure(result.commit.as_ref() == Some(&tip), || {
        format!("{} is at {tip}, not {:?}", result.branch, result.commit)
    })?;
    ensure(git(&origin, &["rev-list", "--count", &tip])? == "1", || {
        "the first commit is not the first".to_owned()
    })?;
    ensure(work.diff().await?.contains("+two"), || {
        "the diff does not show the first commit".to_owned()
    })?;
    said(&work, "empty_repository", &result.branch).await?;
    stack.until_empty("machine").await
}

/// The conversation has a notice of this code with these words.
async fn said(work: &Work, code: &str, words: &str) -> Result {
    let rows = work.rows().await?;
    ensure(
        notices(&rows)
            .iter()
            .any(|notice| notice.code == code && notice.text.contains(words)),
        || format!("{code}: {:?}", notices(&rows)),
    )
}

/// A repository with everything that could go wrong and need not.
fn hostile(directory: &Path) -> Result {
    create(directory, "hostile", &[("a.txt", "a\n")])?;
    let first = directory.join("hostile-first");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
    std::fs::write(first.join("image.bin"), pointer)?;
    std::fs::write(
        first.join(".gitattributes"),
        "*.bin filter=lfs diff=lfs merge=lfs -text\n*.txt filter=evil diff=evil\n",
    )?;
    for name in ODD_NAMES {
        std::fs::write(first.join(OsStr::from_bytes(name)), "x\n")?;
    }
    std::os::unix::fs::symlink("/etc/passwd", first.join("out"))?;
    std::os::unix::fs::symlink("../../../..", first.join("above"))?;
    let modules =
        "[submodule \"a\"]\n\tpath = module\n\turl = ssh://127.0.0.1:9/x\n\tupdate = !touch ran\n";
    std::fs::write(first.join(".gitmodules"), modules)?;
    let head = git(&first, &["rev-parse", "HEAD"])?;
    let entry = format!("160000,{head},module");
    git(&first, &["update-index", "--add", "--cacheinfo", &entry])?;
    std::fs::create_dir(first.join("module"))?;
    git(&first, &["add", "--all"])?;
    git(&first, &["commit", "--quiet", "--message", "Odd"])?;
    let bare = directory.join("hostile.git");
    git(
        &first,
        &["push", "--quiet", &bare.to_string_lossy(), "main"],
    )?;
    Ok(())
}

const ODD_NAMES: [&[u8]; 4] = [
    b"-rf.txt",
    b"two\nlines.txt",
    b"esc\x1b[2Jape.txt",
    b"not-utf8-\xff\xfe.txt",
];

#[tokio::test]
async fn a_hostile_repository_is_worked_on_and_what_is_missing_is_told() -> Result {
    let mut stack = with_machine(&[]).await?;
    hostile(stack.directory())?;
    let server = GitServer::start(stack.directory()).await?;
    let mut steps: Vec<Value> = ODD_NAMES.iter().map(|name| write(name, "y\n")).collect();
    steps.push(write(b"a.txt", "b\n"));
    let work = Work::begin(&stack, &server.url("hostile.git"), &task(&steps)).await?;
    let view = work.until(TaskState::Completed).await?;
    let result = view.result.ok_or_else(|| failure("no result"))?;
    ensure(result.pushed && result.files_changed == 5, || {
        format!("{result:?}")
    })?;
    said(&work, "submodules_not_fetched", "(1)").await?;
    said(&work, "lfs_not_fetched", "image.bin").await?;
    let diff = work.diff().await?;
    ensure(
        !diff.contains('\u{1b}') && !diff.contains("root:") && diff.contains("esc\\033[2Jape"),
        || diff.clone(),
    )?;
    ensure(
        !server
            .seen()
            .iter()
            .any(|request| request.contains("module")),
        || format!("a submodule was asked for: {:?}", server.seen()),
    )?;
    stack.until_empty("machine").await
}
