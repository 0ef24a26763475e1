//! Commands that try to leave the sandbox, each under each isolation that this
//! machine has, and once under none, where all of them must succeed: an escape
//! that fails by itself would prove nothing.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::json;

use crate::server::{Server, answer, calls, has_ended, result_of};

const SECRET: &str = "hunter2-of-another";

/// What lies outside a workspace: a folder, a process and a listener.
struct Outside {
    dir: tempfile::TempDir,
    process: Child,
    listener: TcpListener,
}

impl Outside {
    fn new() -> Self {
        // Temporary folders are open to commands.
        let places = [env!("CARGO_TARGET_TMPDIR"), "/var/tmp"].map(Path::new);
        let mut closed = places
            .iter()
            .filter(|place| !place.starts_with("/tmp") && !place.starts_with(std::env::temp_dir()));
        let place = closed.next().expect("a folder that is not temporary");
        let dir = tempfile::tempdir_in(place).unwrap();
        std::fs::create_dir(dir.path().join("w")).unwrap();
        std::fs::write(dir.path().join("kept"), "kept").unwrap();
        let keys = dir.path().join("home/.ssh");
        std::fs::create_dir_all(&keys).unwrap();
        std::fs::write(keys.join("id"), SECRET).unwrap();
        let git = "[user]\n\tname = n\n\temail = e\n";
        std::fs::write(dir.path().join("home/.gitconfig"), git).unwrap();
        let process = Command::new("sleep")
            .arg("600")
            .env("ANOTHERS_SECRET", SECRET)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self {
            dir,
            process,
            listener,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Lets the model run commands one after the other; their results.
    fn run(&self, arguments: &[&str], commands: &[String]) -> (Output, Vec<String>) {
        let mut script: Vec<_> = commands
            .iter()
            .enumerate()
            .map(|(n, command)| calls(&format!("c{n}"), "bash", &json!({"command": command})))
            .collect();
        script.push(answer("done"));
        let server = Server::start(script);
        let output = Command::new(env!("CARGO_BIN_EXE_sam-harness"))
            .args(["run", "-p", "do it", "--dir"])
            .arg(self.path("w"))
            .args(arguments)
            .env("SAM_MODEL_URL", &server.url)
            .env("SAM_MODEL_KEY", "key-of-the-model")
            .env("SAM_MODEL", "m")
            .env("HOME", self.path("home"))
            .env_remove("SAM_SANDBOX")
            .env_remove("SAM_PERMISSION_MODE")
            .output()
            .unwrap();
        let requests = server.requests();
        let results = requests.last().map_or_else(Vec::new, |last| {
            (0..commands.len().min(requests.len() - 1))
                .map(|n| result_of(last, &format!("c{n}")))
                .collect()
        });
        (output, results)
    }

    fn connections(&self) -> usize {
        std::iter::from_fn(|| self.listener.accept().ok()).count()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Why an isolation is not offered here, by its own word.
fn missing(kind: &str) -> Option<String> {
    let outside = Outside::new();
    let (output, results) = outside.run(&["--sandbox", kind], &["true".to_owned()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let named = ["no usable Landlock", "does not run here"];
    results.is_empty().then(|| {
        assert!(named.iter().any(|words| said.contains(words)), "{said}");
        said
    })
}

/// The escapes by name; each prints "out" when it got out.
fn escapes(outside: &Outside) -> Vec<(&'static str, String)> {
    let dir = outside.dir.path().display();
    let pid = outside.process.id();
    let port = outside.listener.local_addr().unwrap().port();
    let environ = |pid: &str| format!("tr '\\0' '\\n' < /proc/{pid}/environ");
    vec![
        ("write", format!("echo x > {dir}/written && echo out")),
        (
            "link",
            "ln -s .. up && echo x > up/linked && echo out".to_owned(),
        ),
        ("read", format!("grep -q kept {dir}/kept && echo out")),
        (
            "read through a link",
            "ln -s .. above && grep -q kept above/kept && echo out".to_owned(),
        ),
        (
            "a key of the home folder",
            format!("grep -q {SECRET} ~/.ssh/id && echo out"),
        ),
        (
            "list a folder",
            format!("ls -A {dir}/home | grep -q ssh && echo out"),
        ),
        ("truncate", format!(": > {dir}/kept && echo out")),
        ("move", format!("mv {dir}/kept {dir}/moved && echo out")),
        ("make a folder", format!("mkdir {dir}/made && echo out")),
        (
            "environ",
            format!(
                "{} | grep -q {SECRET} && echo out",
                environ(&pid.to_string())
            ),
        ),
        (
            "environ of the agent",
            format!(
                "{} | grep -q key-of-the-model && echo out",
                environ("$PPID")
            ),
        ),
        (
            "every environ",
            format!("cat /proc/[0-9]*/environ 2>/dev/null | grep -q {SECRET} && echo out"),
        ),
        ("memory", format!("exec 3</proc/{pid}/mem && echo out")),
        (
            "network",
            format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo out"),
        ),
        ("signal", format!("kill -9 {pid} && echo out")),
    ]
}

fn check(kind: &str, gets_out: bool) {
    if let Some(why) = missing(kind) {
        eprintln!("skipped: {kind} is not offered here: {why}");
        return;
    }
    let outside = Outside::new();
    let escapes = escapes(&outside);
    let commands: Vec<String> = escapes.iter().map(|(_, command)| command.clone()).collect();
    let (output, results) = outside.run(&["--sandbox", kind], &commands);
    assert!(output.status.success(), "{output:?}");
    for ((name, command), result) in escapes.iter().zip(&results) {
        let out = result.lines().any(|line| line == "out");
        assert_eq!(out, gets_out, "{kind}, {name}: {command}\n{result}");
    }
    assert_eq!(results.len(), escapes.len());
    assert_eq!(outside.path("written").exists(), gets_out);
    assert_eq!(outside.path("linked").exists(), gets_out);
    assert_eq!(outside.path("made").exists(), gets_out);
    assert_eq!(outside.path("moved").exists(), gets_out);
    assert_eq!(outside.connections() > 0, gets_out);
    assert_eq!(has_ended(&outside.process.id().to_string()), gets_out);
    if !gets_out {
        assert_eq!(
            std::fs::read_to_string(outside.path("kept")).unwrap(),
            "kept"
        );
    }
}

#[test]
fn without_isolation_every_escape_works() {
    check("off", true);
}

#[test]
fn landlock_holds_every_escape() {
    check("landlock", false);
}

#[test]
fn bubblewrap_holds_every_escape() {
    check("bubblewrap", false);
}

/// What work needs is there all the same.
fn check_work(kind: &str) {
    if let Some(why) = missing(kind) {
        eprintln!("skipped: {kind} is not offered here: {why}");
        return;
    }
    let outside = Outside::new();
    let commands = [
        "echo a > f && mkdir d && mv f d/g && ln d/g h && rm h && cat d/g",
        "echo x > /dev/null; echo y > $(mktemp) && echo ok",
        "git init -q . && git add . && git commit -qm m && git log --format='%s by %an'",
        "(echo a; echo b) | sort -r; cat <(echo c)",
        "echo out > /dev/stderr; grep -q root /etc/passwd && echo readable",
    ]
    .map(str::to_owned);
    let (_, results) = outside.run(&["--sandbox", kind], &commands);
    assert_eq!(
        results,
        ["a\n", "ok\n", "m by n\n", "b\na\nc\n", "out\nreadable\n"]
    );
    let port = outside.listener.local_addr().unwrap().port();
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected");
    let (_, results) = outside.run(&["--sandbox", kind, "--network"], &[connect]);
    assert_eq!(results, ["connected\n"]);
    let write = format!(
        "echo x > {}/written && echo out",
        outside.dir.path().display()
    );
    let allow = outside.dir.path().to_str().unwrap();
    let (_, results) = outside.run(&["--sandbox", kind, "--allow-write", allow], &[write]);
    assert_eq!(results, ["out\n"]);
    let look = format!("cat {allow}/kept; echo x > {allow}/w/../no || echo shut");
    let (_, results) = outside.run(&["--sandbox", kind, "--allow-read", allow], &[look]);
    assert!(
        results[0].starts_with("kept") && results[0].ends_with("shut\n"),
        "{results:?}"
    );
}

#[test]
fn work_goes_on_in_landlock() {
    check_work("landlock");
}

#[test]
fn work_goes_on_in_bubblewrap() {
    check_work("bubblewrap");
}

#[test]
fn a_linked_work_tree_can_be_committed_to() {
    let outside = Outside::new();
    let git = |dir: &Path, arguments: &[&str]| {
        let done = Command::new("git")
            .args(["-c", "user.name=n", "-c", "user.email=e", "-C"])
            .arg(dir)
            .args(arguments)
            .status();
        assert!(done.unwrap().success());
    };
    std::fs::create_dir(outside.path("main")).unwrap();
    git(&outside.path("main"), &["init", "-q"]);
    git(
        &outside.path("main"),
        &["commit", "-q", "--allow-empty", "-m", "first"],
    );
    git(&outside.path("main"), &["worktree", "add", "-q", "../w"]);
    let commit = "git -c user.name=n -c user.email=e commit -q --allow-empty -m second && git log --format=%s";
    let (_, results) = outside.run(&[], &[commit.to_owned()]);
    assert_eq!(results, ["second\nfirst\n"]);
}

#[test]
fn read_only_lets_commands_read_and_nothing_else() {
    let outside = Outside::new();
    std::fs::write(outside.path("w/f"), "text\n").unwrap();
    let commands = ["cat f", "echo x > f", "rm f"].map(str::to_owned);
    let arguments = ["--permission-mode", "read-only"];
    let (output, results) = outside.run(&arguments, &commands);
    assert!(output.status.success(), "{output:?}");
    if missing("landlock").is_some() && missing("bubblewrap").is_some() {
        eprintln!("skipped: no isolation is offered here");
        assert!(
            results
                .iter()
                .all(|result| result.contains("only in a sandbox"))
        );
    } else {
        assert_eq!(results[0], "text\n");
        assert!(
            results[1..]
                .iter()
                .all(|result| result.contains("exit code")),
            "{results:?}"
        );
    }
    let off = [arguments[0], arguments[1], "--sandbox", "off"];
    let (_, results) = outside.run(&off, &commands);
    assert!(
        results
            .iter()
            .all(|result| result.contains("only in a sandbox")),
        "{results:?}"
    );
    assert_eq!(
        std::fs::read_to_string(outside.path("w/f")).unwrap(),
        "text\n"
    );
}

#[test]
fn a_headless_run_that_would_have_to_ask_is_refused_in_words() {
    let outside = Outside::new();
    let commands = ["echo x > f", "git push", "ls"].map(str::to_owned);
    let arguments = [
        "--permission-mode",
        "ask",
        "--allow-command",
        "ls",
        "--deny-command",
        "git push",
    ];
    let (output, results) = outside.run(&arguments, &commands);
    assert!(output.status.success());
    assert!(
        results[0].contains("nobody can be asked here"),
        "{results:?}"
    );
    assert!(
        results[1].contains("refused here, whatever the mode"),
        "{results:?}"
    );
    // The person reads it as well.
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in [
        "nobody can be asked here",
        "refused here, whatever the mode",
    ] {
        let line = told.lines().find(|line| line.contains(words));
        assert!(
            line.is_some_and(|line| line.starts_with("  failed: ")),
            "{told}"
        );
    }
    assert_eq!(results[2], "[no output]");
    assert!(!outside.path("w/f").exists());
}

#[test]
fn the_version_tells_the_level() {
    let about = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sam-harness"))
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let version = format!("sam-harness {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(about(&["--version"]), (Some(0), version.clone()));
    let (code, text) = about(&["--version", "--verbose"]);
    let level = text.strip_prefix(&version).unwrap();
    assert_eq!(code, Some(0));
    assert!(level.starts_with("sandbox: "), "{level}");
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "{}", level.trim()).unwrap();
    assert_eq!(about(&["--verbose"]).0, Some(2));
    assert_eq!(about(&[]).0, Some(2));
}
