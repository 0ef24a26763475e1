//! Tests of the file tools, the ways out of the workspace included.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

struct Fixture {
    outer: tempfile::TempDir,
    workspace: Workspace,
}

impl Fixture {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("w");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(outer.path().join("secret"), "hunter2\n").unwrap();
        let workspace = Workspace::open(&root).unwrap();
        Self { outer, workspace }
    }

    fn put(&self, path: &str, text: &str) {
        std::fs::write(self.workspace.root().join(path), text).unwrap();
    }

    fn get(&self, path: &str) -> String {
        std::fs::read_to_string(self.workspace.root().join(path)).unwrap()
    }

    fn read(&self, path: &str) -> Result<String, String> {
        self.read_part(path, None, None)
    }

    fn read_part(
        &self,
        path: &str,
        offset: Option<u64>,
        limit: Option<u64>,
    ) -> Result<String, String> {
        let path = path.to_owned();
        ReadFile {
            path,
            offset,
            limit,
        }
        .read(&self.workspace)
        .map(|output| output.text)
    }

    fn write(&self, path: &str, content: &str) -> ToolOutput {
        let (path, content) = (path.to_owned(), content.to_owned());
        WriteFile { path, content }.run(&self.workspace)
    }

    fn edit(&self, path: &str, old: &str, new: &str) -> ToolOutput {
        EditFile {
            path: path.to_owned(),
            edits: Vec::new(),
            old_text: Some(old.to_owned()),
            new_text: Some(new.to_owned()),
            replace_all: false,
        }
        .run(&self.workspace)
    }
}

#[test]
fn lines_are_numbered_and_read_in_parts() {
    let f = Fixture::new();
    f.put("a", "one\ntwo\r\nthree\nfour");
    assert_eq!(
        f.read("a").unwrap(),
        "     1\tone\n     2\ttwo\n     3\tthree\n     4\tfour\n"
    );
    assert_eq!(
        f.read_part("a", Some(2), Some(2)).unwrap(),
        "     2\ttwo\n     3\tthree\n[4 lines in all; go on with offset 4]\n"
    );
    assert!(
        f.read_part("a", Some(9), None)
            .unwrap_err()
            .contains("only 4 lines")
    );
    f.put("long", &"x\n".repeat(5000));
    assert!(
        f.read("long")
            .unwrap()
            .contains("[5000 lines in all; go on with offset 2001]")
    );
    f.put("wide", &"ü".repeat(500_000));
    assert!(f.read("wide").unwrap().len() < 3000);
    f.put("empty", "");
    assert_eq!(f.read("empty").unwrap(), "[empty is empty]");
}

#[test]
fn what_cannot_be_read_says_why() {
    let f = Fixture::new();
    f.put("binary", "a\0b");
    std::fs::create_dir(f.workspace.root().join("d")).unwrap();
    let fifo = f.workspace.root().join("fifo");
    let made = std::process::Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .unwrap();
    assert!(made.success());
    for (path, reason) in [
        ("binary", "binary"),
        ("d", "directory"),
        ("none", "does not exist"),
        ("fifo", "not a regular file"),
        ("../secret", "outside"),
        ("/etc/passwd", "outside"),
    ] {
        let error = f.read(path).unwrap_err();
        assert!(error.contains(reason), "{path}: {error}");
    }
}

#[test]
fn no_symlink_leads_out() {
    let f = Fixture::new();
    let root = f.workspace.root();
    let secret = f.outer.path().join("secret");
    symlink(&secret, root.join("absolute")).unwrap();
    symlink("../secret", root.join("relative")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink("up", root.join("chain")).unwrap();
    symlink("../new", root.join("dangling")).unwrap();
    for path in ["absolute", "relative", "up/secret", "chain/secret"] {
        assert!(
            f.read(path).unwrap_err().contains("outside"),
            "{path}: {:?}",
            f.read(path)
        );
        assert!(f.write(path, "x").failed, "{path}");
        assert!(f.edit(path, "hunter2", "x").failed, "{path}");
    }
    for path in ["dangling", "up/new", "chain/new", "up/d/new"] {
        assert!(f.write(path, "x").failed, "{path}");
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "hunter2\n");
    assert_eq!(
        std::fs::read_dir(f.outer.path()).unwrap().count(),
        2,
        "nothing was made outside"
    );
}

#[test]
fn a_symlink_that_stays_inside_works_and_stays_a_symlink() {
    let f = Fixture::new();
    f.put("real", "one\n");
    symlink("real", f.workspace.root().join("link")).unwrap();
    assert!(!f.edit("link", "one", "two").failed);
    assert_eq!(f.get("real"), "two\n");
    assert!(f.workspace.root().join("link").is_symlink());
}

#[test]
fn writing_creates_replaces_and_keeps_the_mode() {
    let f = Fixture::new();
    let output = f.write("a/b/c.txt", "one\ntwo\n");
    assert_eq!(output.text, "a/b/c.txt created, 2 lines");
    let file = f.workspace.root().join("a/b/c.txt");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o750)).unwrap();
    let output = f.write("a/b/c.txt", "x");
    assert_eq!(output.text, "a/b/c.txt replaced, 1 lines");
    assert_eq!(f.get("a/b/c.txt"), "x", "the longer text before is gone");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o750
    );
    let expected = ToolContent::Diff {
        path: file.display().to_string(),
        old: Some("one\ntwo\n".to_owned()),
        new: "x".to_owned(),
    };
    assert_eq!(output.content(), [expected]);
    assert!(f.write("a", "x").failed, "a directory");
    assert!(f.write("a/b/c.txt/d", "x").failed, "below a file");
}

#[test]
fn git_s_own_files_are_not_written() {
    let f = Fixture::new();
    std::fs::create_dir_all(f.workspace.root().join(".git/hooks")).unwrap();
    symlink(".git", f.workspace.root().join("g")).unwrap();
    for path in [
        ".git/hooks/pre-commit",
        ".GIT/config",
        "sub/.git/config",
        "x/../.git/config",
    ] {
        assert!(f.write(path, "x").text.contains("git"), "{path}");
    }
    std::fs::write(f.workspace.root().join(".git/config"), "a").unwrap();
    assert!(
        f.edit("g/config", "a", "b").text.contains("git"),
        "through a link"
    );
}

#[test]
fn an_edit_needs_exactly_one_place() {
    let f = Fixture::new();
    let check = |text: &str, old: &str, new: &str, expected: Result<&str, &str>| {
        f.put("f", text);
        let output = f.edit("f", old, new);
        match expected {
            Ok(after) => {
                assert!(!output.failed, "{}", output.text);
                assert_eq!(f.get("f"), after);
            }
            Err(reason) => {
                assert!(
                    output.failed && output.text.contains(reason),
                    "{}",
                    output.text
                );
                assert_eq!(f.get("f"), text, "unchanged");
            }
        }
    };
    check("a\nb\nc\n", "b\n", "x\n", Ok("a\nx\nc\n"));
    check("a\nb\nc", "b\n", "", Ok("a\nc"));
    check("a\na\n", "a", "x", Err("occurs 2 times (lines 1, 2)"));
    check("aaa", "aa", "x", Err("occurs 2 times"));
    check("a\n", "z", "x", Err("not found; read the file again"));
    check("  if x {\n", "\tif x {\n\t\ty", "z", Err("line 1 is like"));
    check("a\n", "", "x", Err("empty"));
    check("a\n", "a", "a", Err("the same"));
    check("übel\n", "b", "B", Ok("üBel\n"));
    // Line ends stay what they are.
    check(
        "a\r\nb\r\nc\r\n",
        "a\nb\n",
        "a\nx\ny\n",
        Ok("a\r\nx\r\ny\r\nc\r\n"),
    );
    check("a\r\nb\nc\n", "b\nc", "x\ny", Ok("a\r\nx\ny\n"));
    check("\u{feff}a\n", "a", "b", Ok("\u{feff}b\n"));
}

#[test]
fn an_edit_keeps_the_mode_and_shows_the_whole_change() {
    let f = Fixture::new();
    f.put("run.sh", "#!/bin/sh\necho a\n");
    let file = f.workspace.root().join("run.sh");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = f.edit(file.to_str().unwrap(), "echo a", "echo b");
    assert_eq!(output.text, "run.sh edited at line 2");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o755
    );
    let expected = ToolContent::Diff {
        path: file.display().to_string(),
        old: Some("#!/bin/sh\necho a\n".to_owned()),
        new: "#!/bin/sh\necho b\n".to_owned(),
    };
    assert_eq!(output.content(), [expected]);
    std::fs::write(&file, b"\xff\xfea").unwrap();
    assert!(f.edit("run.sh", "a", "b").text.contains("binary"));
}
