//! Whole calls, from the model's arguments to what it gets back.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sam_acp::{PlanStatus, ToolContent};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Call, Jobs, ProcessGroups, ToolContext, ToolOutput};
use crate::guard::Guard;
use crate::mcp::Servers;
use crate::workspace::Workspace;

/// For what happens at once, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

struct Fixture {
    outer: tempfile::TempDir,
    workspace: Arc<Workspace>,
    groups: ProcessGroups,
    guard: Guard,
    jobs: Jobs,
    cancel: CancellationToken,
}

impl Fixture {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("w");
        std::fs::create_dir(&root).unwrap();
        Self {
            workspace: Arc::new(Workspace::open(&root).unwrap()),
            outer,
            groups: ProcessGroups::default(),
            guard: Guard::open(),
            jobs: Jobs::default(),
            cancel: CancellationToken::new(),
        }
    }

    async fn call(&self, name: &str, arguments: Value) -> ToolOutput {
        let context = ToolContext {
            workspace: &self.workspace,
            groups: &self.groups,
            guard: &self.guard,
            jobs: &self.jobs,
            call: "t",
            cancel: &self.cancel,
            progress: &|_| {},
        };
        match Call::parse(name, &arguments.to_string(), &Servers::default()) {
            Ok(call) => {
                call.describe(&self.workspace);
                call.run(&context).await
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// All that looks at a job have given, as one, once it has these words.
    async fn followed(&self, job: u64, first: ToolOutput, words: &str) -> ToolOutput {
        let deadline = Instant::now() + PATIENCE;
        let (mut output, mut before) = (first, String::new());
        while !output.text.contains(words) {
            assert!(Instant::now() < deadline, "{before}{}", output.text);
            // What it said, without what is said of it.
            let note = output.text.rfind("[job ").unwrap();
            before.push_str(&output.text[..note]);
            tokio::time::sleep(Duration::from_millis(10)).await;
            let poll = json!({"action": "poll", "job": job});
            output = self.call("job", poll).await;
        }
        output.text.insert_str(0, &before);
        output
    }

    async fn patch(&self, body: &str) -> ToolOutput {
        let patch = format!("*** Begin Patch\n{body}*** End Patch\n");
        self.call("apply_patch", json!({"patch": patch})).await
    }

    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.workspace.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn get(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.workspace.root().join(path)).ok()
    }

    fn text(&self, path: &str) -> String {
        String::from_utf8(self.get(path).unwrap()).unwrap()
    }

    fn git(&self, arguments: &[&str]) {
        let done = Command::new("git")
            .args([
                "-c",
                "user.name=n",
                "-c",
                "user.email=e",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(arguments)
            .current_dir(self.workspace.root())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

#[tokio::test]
async fn a_patch_adds_changes_moves_and_deletes() {
    use std::os::unix::fs::PermissionsExt;
    let f = Fixture::new();
    f.put("run.sh", "#!/bin/sh\r\necho a\r\n");
    let script = f.workspace.root().join("run.sh");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    f.put("gone", "x\n");
    f.put("kept", "a\nb\n");
    let output = f
        .patch(
            "*** Add File: new/dir/file\n+one\n*** Delete File: gone\n*** Update File: run.sh\n\
             *** Move to: bin/run.sh\n-echo a\n+echo b\n+echo c\n*** Update File: kept\n a\n-b\n",
        )
        .await;
    assert_eq!(
        output.text,
        "new/dir/file added\ngone deleted\nrun.sh moved to bin/run.sh\nkept changed"
    );
    assert_eq!(f.text("new/dir/file"), "one\n");
    assert_eq!((f.get("gone"), f.get("run.sh")), (None, None));
    assert_eq!(f.text("bin/run.sh"), "#!/bin/sh\r\necho b\r\necho c\r\n");
    assert_eq!(f.text("kept"), "a\n");
    let mode = std::fs::metadata(f.workspace.root().join("bin/run.sh")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o755);
    assert_eq!((output.files.len(), output.shown.unwrap().len()), (3, 4));
}

#[tokio::test]
async fn a_patch_that_cannot_be_made_whole_is_not_made() {
    let f = Fixture::new();
    f.put("a", "a\n");
    f.put("latin", b"\xe9\n");
    f.put(".git/config", "x\n");
    f.put("sub/x", "x\n");
    std::os::unix::fs::symlink("../..", f.workspace.root().join("sub/up")).unwrap();
    std::os::unix::fs::symlink("../.git", f.workspace.root().join("sub/git")).unwrap();
    std::os::unix::fs::symlink("nothing", f.workspace.root().join("sub/nowhere")).unwrap();
    std::fs::write(f.outer.path().join("secret"), "x\n").unwrap();
    for (part, expected) in [
        ("*** Update File: none\n-x\n+y\n", "none does not exist"),
        (
            "*** Update File: sub/x\n-z\n+y\n",
            "sub/x: hunk 1 does not fit",
        ),
        ("*** Add File: sub/x\n+y\n", "sub/x exists already"),
        ("*** Delete File: sub\n", "directory"),
        (
            "*** Update File: sub/x\n*** Move to: a\n",
            "a exists already",
        ),
        ("*** Delete File: a\n", "a is in the patch twice"),
        ("*** Update File: ../secret\n-x\n+y\n", "outside"),
        ("*** Add File: ../new\n+y\n", "outside"),
        ("*** Update File: sub/up/secret\n-x\n+y\n", "outside"),
        ("*** Add File: sub/up/new\n+y\n", "outside"),
        ("*** Add File: sub/x/new\n+y\n", "not a directory"),
        ("*** Add File: sub/nowhere/new\n+y\n", "leads nowhere"),
        ("*** Update File: .git/config\n-x\n+y\n", "belongs to git"),
        (
            "*** Update File: sub/git/config\n-x\n+y\n",
            "belongs to git",
        ),
        ("*** Add File: sub/git/hooks/x\n+y\n", "belongs to git"),
        ("*** Add File: .GIT/hooks/x\n+y\n", "belongs to git"),
        (
            "*** Update File: sub/x\n*** Move to: .git/y\n",
            "belongs to git",
        ),
        (
            "*** Update File: latin\n-\u{e9}\n+\u{20ac}\n",
            "Latin-1, which cannot express",
        ),
        ("nonsense\n", "line 5"),
    ] {
        let output = f
            .patch(&format!("*** Update File: a\n-a\n+b\n{part}"))
            .await;
        assert!(
            output.failed && output.text.contains(expected),
            "{part}: {}",
            output.text
        );
        assert!(
            output.text.ends_with("no file was changed"),
            "{}",
            output.text
        );
        assert_eq!(f.text("a"), "a\n", "{part}");
    }
    assert_eq!(
        std::fs::read_to_string(f.outer.path().join("secret")).unwrap(),
        "x\n"
    );
    assert!(!f.outer.path().join("new").exists());
}

#[tokio::test]
async fn edits_keep_encoding_mark_and_endings() {
    let f = Fixture::new();
    let edit = |path: &str, edits: Value| json!({"path": path, "edits": edits});
    f.put("dos", "\u{feff}a\r\nb\r\nc\r\n");
    let edits =
        json!([{"old_text": "a\nb", "new_text": "x\ny\nz"}, {"old_text": "c", "new_text": "d"}]);
    let output = f.call("edit_file", edit("dos", edits)).await;
    assert_eq!(output.text, "dos edited at lines 1, 4");
    assert_eq!(f.text("dos"), "\u{feff}x\r\ny\r\nz\r\nd\r\n");
    f.put("latin", b"caf\xe9\nold\n");
    let shown = f.call("read_file", json!({"path": "latin"})).await.text;
    assert_eq!(
        shown,
        "     1\tcaf\u{e9}\n     2\told\n[the file is in Latin-1, which edits keep]\n"
    );
    let edits = json!([{"old_text": "old", "new_text": "\u{fc}ber"}]);
    assert!(!f.call("edit_file", edit("latin", edits)).await.failed);
    assert_eq!(f.get("latin").unwrap(), b"caf\xe9\n\xfcber\n");
    let edits = json!([{"old_text": "caf", "new_text": "\u{20ac}"}]);
    let output = f.call("edit_file", edit("latin", edits)).await;
    assert!(output.text.contains("cannot express"), "{}", output.text);
    assert_eq!(f.get("latin").unwrap(), b"caf\xe9\n\xfcber\n");
    let wide: Vec<u8> = "\u{feff}a\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    f.put("wide", &wide);
    let content = json!({"path": "wide", "content": "b\nc\n"});
    let output = f.call("write_file", content).await;
    assert_eq!(output.text, "wide replaced, 2 lines (UTF-16, CRLF lines)");
    let expected: Vec<u8> = "\u{feff}b\r\nc\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(f.get("wide").unwrap(), expected);
    let both = json!([{"old_text": "b", "new_text": "x"}, {"old_text": "none", "new_text": "y"}]);
    let output = f.call("edit_file", edit("wide", both)).await;
    assert!(
        output.text.contains("none of the edits was made"),
        "{}",
        output.text
    );
    assert_eq!(f.get("wide").unwrap(), expected);
    // As single edits used to be given.
    let one = json!({"path": "dos", "old_text": "d", "new_text": "e"});
    assert!(!f.call("edit_file", one).await.failed);
}

#[tokio::test]
async fn hostile_names_are_one_line_and_large_files_are_named() {
    let f = Fixture::new();
    f.put("a\nb: \u{1b}[31m.txt", "needle\n");
    f.put("plain.txt", "needle\n");
    use std::os::unix::ffi::OsStrExt;
    let raw = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    std::fs::write(f.workspace.root().join(raw), "needle\n").unwrap();
    let found = f.call("glob", json!({"pattern": "*.txt"})).await.text;
    assert_eq!(
        found,
        "\"a\\nb: \\x1b[31m.txt\"\n\"caf\\xe9.txt\"\nplain.txt"
    );
    let found = f.call("grep", json!({"pattern": "needle"})).await.text;
    assert_eq!(
        found,
        "\"a\\nb: \\x1b[31m.txt\":1:needle\n\"caf\\xe9.txt\":1:needle\nplain.txt:1:needle"
    );
    let output = f
        .call("write_file", json!({"path": "x\ny", "content": ""}))
        .await;
    assert_eq!(output.text, "\"x\\ny\" created, 0 lines");
    let long = "n".repeat(5000);
    let output = f.call("read_file", json!({"path": long})).await;
    assert!(output.failed && output.text.len() < 500, "{}", output.text);
    let large = std::fs::File::create(f.workspace.root().join("large")).unwrap();
    large.set_len(1 << 34).unwrap();
    for (tool, arguments) in [
        ("read_file", json!({"path": "large"})),
        ("write_file", json!({"path": "large", "content": ""})),
        (
            "edit_file",
            json!({"path": "large", "old_text": "a", "new_text": "b"}),
        ),
    ] {
        let output = f.call(tool, arguments).await;
        assert!(
            output.text.contains("too large (17179869184 bytes)"),
            "{}",
            output.text
        );
    }
}

#[tokio::test]
async fn a_command_in_the_background_is_polled_and_killed() {
    let f = Fixture::new();
    let start = |command: &str| json!({"command": command, "background": true});
    let poll = |job: u64, wait: u64| json!({"action": "poll", "job": job, "wait_seconds": wait});
    let output = f.call("bash", start("echo one; sleep 600")).await;
    let text = f.followed(1, output, "one\n").await.text;
    assert_eq!(text, "one\n[job 1 is running]");
    let output = f.call("bash", start("echo no; exit 3")).await;
    let output = f.followed(2, output, "ended").await;
    assert_eq!(
        (output.text.as_str(), output.failed),
        ("no\n[job 2 ended: exit code 3]", true)
    );
    let output = f.call("job", poll(1, 0)).await;
    assert_eq!(output.text, "[job 1 is running]");
    let begun = Instant::now();
    let output = f.call("job", json!({"action": "kill", "job": 1})).await;
    assert_eq!(
        (output.text.as_str(), output.failed),
        ("[job 1 was killed]", false)
    );
    assert!(begun.elapsed() < Duration::from_secs(60));
    let output = f.call("job", json!({"action": "list"})).await;
    assert_eq!(
        output.text,
        "job 1 was killed: echo one; sleep 600\n\
         job 2 ended: exit code 3: echo no; exit 3"
    );
    let output = f.call("job", poll(9, 0)).await;
    assert!(
        output.text.contains("there is no job 9; there are 1, 2"),
        "{}",
        output.text
    );
    let waits = "until [ -e go ]; do sleep 0.02; done; echo late";
    let output = f.call("bash", start(waits)).await;
    assert_eq!(output.text, "[job 3 is running]");
    f.put("go", "");
    let output = f.call("job", poll(3, 120)).await;
    assert_eq!(output.text, "late\n[job 3 ended: exit code 0]");
}

#[tokio::test]
async fn background_jobs_are_bounded_and_end_with_their_conversation() {
    let mut f = Fixture::new();
    let start = || json!({"command": "echo $$ >> pids; sleep 600", "background": true});
    let mut refused = 0;
    for _ in 0..9 {
        refused += u32::from(f.call("bash", start()).await.failed);
    }
    assert_eq!(refused, 1);
    let deadline = Instant::now() + PATIENCE;
    let written = || {
        f.get("pids")
            .map_or(0, |pids| pids.split(|b| *b == b'\n').count() - 1)
    };
    while written() < 8 {
        assert!(Instant::now() < deadline, "{} jobs began", written());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pids = f.text("pids");
    let running = || {
        let alive = |pid: &str| match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => !stat.contains(") Z "),
            Err(_) => false,
        };
        pids.lines().filter(|pid| alive(pid)).count()
    };
    assert_eq!(
        (running(), written()),
        (8, 8),
        "what is refused does not begin"
    );
    f.jobs = Jobs::default();
    while running() > 0 {
        assert!(Instant::now() < deadline, "{} jobs are left", running());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn git_shows_and_never_runs_what_the_repository_says() {
    let f = Fixture::new();
    let view = |view: &str| json!({"view": view});
    let output = f.call("git", view("status")).await;
    assert!(
        output.failed && output.text.contains("not a git repository"),
        "{}",
        output.text
    );
    f.git(&["init", "-q"]);
    f.put("a", "one\n");
    f.git(&["add", "a"]);
    f.git(&["commit", "-qm", "first"]);
    f.put("a", "two\n");
    f.put("b", "");
    let trap = f.outer.path().join("ran");
    let run = format!("touch {}", trap.display());
    for key in [
        "core.fsmonitor",
        "diff.external",
        "diff.x.textconv",
        "core.pager",
        "gpg.program",
    ] {
        f.git(&["config", key, &run]);
    }
    f.put(".git/info/attributes", "a diff=x\n");
    f.git(&["config", "log.showSignature", "true"]);
    let output = f.call("git", view("status")).await;
    assert_eq!(output.text, "## main\n M a\n?? b\n");
    let output = f.call("git", view("diff")).await;
    assert!(output.text.ends_with("-one\n+two\n"), "{}", output.text);
    let output = f.call("git", json!({"view": "diff", "staged": true})).await;
    assert_eq!(output.text, "[git diff shows nothing]");
    let output = f.call("git", json!({"view": "log", "limit": "1"})).await;
    assert!(
        output.text.contains(" n: first (HEAD -> main)"),
        "{}",
        output.text
    );
    let output = f
        .call(
            "git",
            json!({"view": "show", "revision": "HEAD", "path": "a"}),
        )
        .await;
    assert!(output.text.ends_with("+one\n"), "{}", output.text);
    let output = f
        .call("git", json!({"view": "diff", "revision": "--output=x"}))
        .await;
    assert!(output.failed, "{}", output.text);
    assert_eq!((trap.exists(), f.get("x")), (false, None));
}

#[tokio::test]
async fn a_plan_goes_to_the_person() {
    let f = Fixture::new();
    let steps = json!({"steps": [
        {"step": "look", "status": "completed"},
        {"step": "change", "status": "in_progress"},
        {"step": "test"}]});
    let output = f.call("plan", steps).await;
    let plan = output.plan.unwrap();
    let statuses: Vec<_> = plan.iter().map(|entry| entry.status).collect();
    assert_eq!(
        statuses,
        [
            PlanStatus::Completed,
            PlanStatus::InProgress,
            PlanStatus::Pending
        ]
    );
    let many: Vec<_> = (0..51).map(|n| json!({"step": n.to_string()})).collect();
    assert!(f.call("plan", json!({"steps": many})).await.failed);
    let diffs = f
        .call("write_file", json!({"path": "a", "content": "x"}))
        .await
        .shown;
    assert!(matches!(
        diffs.unwrap().as_slice(),
        [ToolContent::Diff { old: None, .. }]
    ));
}
