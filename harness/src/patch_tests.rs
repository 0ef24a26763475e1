//! Patches: what is read, made and refused.

use super::*;

fn updated(hunks: &str) -> Vec<Hunk> {
    let patch = format!("{BEGIN}\n{UPDATE}f\n{hunks}{END}\n");
    match parse(&patch).unwrap().as_slice() {
        [Change::Update { hunks, .. }] => hunks.clone(),
        other => panic!("{other:?}"),
    }
}

fn check(before: &str, hunks: &str, expected: Result<&str, &str>) {
    let mut file = TextFile::read(before.as_bytes()).unwrap();
    let done = apply(&mut file, &updated(hunks));
    let after = String::from_utf8(file.bytes().unwrap()).unwrap();
    match (done, expected) {
        (Ok(_), Ok(expected)) => assert_eq!(after, expected, "{hunks}"),
        (Err(error), Err(expected)) => {
            assert!(error.contains(expected), "{error}");
            assert_eq!(after, before, "nothing is changed");
        }
        (done, _) => panic!("{hunks}: {done:?}"),
    }
}

#[test]
fn every_kind_of_change_is_read() {
    let patch = "\
*** Begin Patch
*** Add File: a/new.txt
+one
+
*** Delete File: gone.txt
*** Update File: old.rs
*** Move to: new.rs
@@ impl X
@@ fn f
 same
-old
+new

+last
*** End of File
*** End Patch";
    let hunk = Hunk {
        anchors: vec!["impl X".to_owned(), "fn f".to_owned()],
        old: ["same", "old", ""].map(str::to_owned).into(),
        new: ["same", "new", "", "last"].map(str::to_owned).into(),
        at_end: true,
    };
    let expected = vec![
        Change::Add {
            path: "a/new.txt".to_owned(),
            text: "one\n\n".to_owned(),
        },
        Change::Delete {
            path: "gone.txt".to_owned(),
        },
        Change::Update {
            path: "old.rs".to_owned(),
            moved: Some("new.rs".to_owned()),
            hunks: vec![hunk],
        },
    ];
    assert_eq!(parse(patch).unwrap(), expected);
    let wrapped = format!("cat <<'EOF'\n{}\nEOF\n", patch.replace('\n', "\r\n"));
    assert_eq!(parse(&wrapped).unwrap(), expected);
    assert_eq!(parse(&format!("```\n{patch}\n```")).unwrap(), expected);
}

#[test]
fn what_is_no_patch_is_refused_with_its_line() {
    for (patch, expected) in [
        ("", "does not begin"),
        ("--- a\n+++ b\n", "does not begin"),
        ("*** Begin Patch\n*** End Patch", "changes no file"),
        ("*** Begin Patch\n*** Add File: a\n+x\n", "does not end"),
        (
            "*** Begin Patch\n*** Add File:  \n*** End Patch",
            "path is missing",
        ),
        (
            "*** Begin Patch\n*** Add File: a\nx\n*** End Patch",
            "line 3 of the patch, `x`, does not begin with `+`",
        ),
        ("*** Begin Patch\nhello\n*** End Patch", "line 2"),
        (
            "*** Begin Patch\n*** Update File: a\n*** End Patch",
            "says nothing",
        ),
        (
            "*** Begin Patch\n*** Update File: a\n@@ x\n*** End Patch",
            "followed by no change",
        ),
        (
            "*** Begin Patch\n*** Update File: a\nx\n*** End Patch",
            "begins with none of",
        ),
    ] {
        let error = parse(patch).unwrap_err();
        assert!(error.contains(expected), "{patch:?}: {error}");
    }
}

#[test]
fn hunks_go_where_their_lines_are() {
    check("a\nb\nc\n", "@@\n a\n-b\n+x\n+y\n c\n", Ok("a\nx\ny\nc\n"));
    check("a\nb\nc\n", "-a\n+x\n@@\n-c\n+z\n", Ok("x\nb\nz\n"));
    check("a\nb\n", "-a\n-b\n", Ok(""));
    check("a\nb\n", "+c\n", Ok("a\nb\nc\n"));
    check("", "+c\n", Ok("c\n"));
    check("a\nb\n", "@@ a\n+x\n", Ok("a\nx\nb\n"));
    // Out of order: the second is looked for after the first.
    check("a\nb\n", "-b\n+y\n@@\n-a\n+x\n", Err("hunk 2 does not fit"));
    check("a\nb\n", " a\n-x\n", Err("first line is line 1"));
    check(
        "a\n",
        "@@ z\n-a\n+b\n",
        Err("a line that is not there: `z`"),
    );
}

#[test]
fn one_of_several_places_is_never_guessed() {
    let twice = "fn f\n  x\nfn g\n  x\n";
    check(twice, "-  x\n+  y\n", Err("fits in 2 places (lines 2, 4)"));
    check(twice, "@@ fn g\n-  x\n+  y\n", Ok("fn f\n  x\nfn g\n  y\n"));
    check(twice, "@@ fn f\n-  x\n+  y\n", Ok("fn f\n  y\nfn g\n  x\n"));
    check(
        twice,
        "-  x\n+  y\n*** End of File\n",
        Ok("fn f\n  x\nfn g\n  y\n"),
    );
}

#[test]
fn spaces_may_differ_and_what_stays_keeps_its_bytes() {
    check("a \n\tb\nc\n", " a\n b\n-c\n+d\n", Ok("a \n\tb\nd\n"));
    check(
        "a\r\nb\r\nc\n",
        " a\n-b\n+x\n+y\n c\n",
        Ok("a\r\nx\r\ny\r\nc\n"),
    );
    check("a\nb", "-b\n+c\n", Ok("a\nc"));
    check("a\nb", " b\n+c\n", Ok("a\nb\nc"));
    check("a\nb", "-a\n+x\n", Ok("x\nb"));
    check("\u{feff}a\n", "-a\n+b\n", Ok("\u{feff}b\n"));
}

#[test]
fn long_inputs_are_read_in_time() {
    let many = "x\n".repeat(20_000);
    let mut file = TextFile::read(many.as_bytes()).unwrap();
    let hunk = Hunk {
        old: vec!["x".to_owned(); 200]
            .into_iter()
            .chain(["y".to_owned()])
            .collect(),
        ..Hunk::default()
    };
    assert!(apply(&mut file, std::slice::from_ref(&hunk)).is_err());
    let hunk = Hunk {
        old: vec!["x".to_owned(); 5000],
        ..hunk
    };
    assert!(apply(&mut file, &[hunk]).unwrap_err().contains("too long"));
}
