//! Patches, edits and files of any bytes, as a model and a disk give them.

use proptest::prelude::*;
use sam_fuzz::{Input, bytes, config, measured};
use sam_harness::edits::{self, Edit};
use sam_harness::patch::{self, Change, Hunk};
use sam_harness::text_file::TextFile;

use super::bound;

const PATCH: &str = "\
*** Begin Patch
*** Add File: a/new.txt
+one
*** Delete File: gone
*** Update File: old.rs
*** Move to: new.rs
@@ fn f
 same
-old
+new

*** End of File
*** Update File: b
@@
-x
+y
*** End Patch
";

const FILES: [&[u8]; 6] = [
    b"fn f\nsame\nold\n\n",
    b"fn f\r\nsame\r\nold\r\n\r\nx",
    b"\xef\xbb\xbfsame\nold\n\nsame\r\nold\n\n",
    b"caf\xe9\nsame\nold\n\nx\r\n",
    b"\xff\xfes\0a\0m\0e\0\r\0\n\0o\0l\0d\0",
    b"x\nx\r\nx",
];

fn file() -> impl Strategy<Value = Input> {
    bytes(FILES.iter().map(|file| file.to_vec()).collect())
}

fn hunks_of(changes: &[Change]) -> impl Iterator<Item = &Vec<Hunk>> {
    changes.iter().filter_map(|change| match change {
        Change::Update { hunks, .. } => Some(hunks),
        Change::Add { .. } | Change::Delete { .. } => None,
    })
}

proptest! {
    #![proptest_config(config(400))]

    /// A patch is read or refused; what is read names every path.
    #[test]
    fn a_patch_is_read_or_refused(input in bytes(vec![PATCH.as_bytes().to_vec()]), file in file()) {
        let text = String::from_utf8_lossy(&input).into_owned();
        let (read, most) = measured(|| patch::parse(&text));
        prop_assert!(most <= bound(text.len()), "{most} bytes for {}", text.len());
        let Ok(changes) = read else { return Ok(()) };
        for hunks in hunks_of(&changes) {
            let Ok(before) = TextFile::read(&file) else { continue };
            let mut after = before.clone();
            match patch::apply(&mut after, hunks) {
                Ok(lines) => prop_assert_eq!(lines.len(), hunks.len()),
                Err(why) => {
                    prop_assert!(!why.is_empty());
                    prop_assert_eq!(&after, &before, "a patch that does not fit changes nothing");
                }
            }
        }
    }

    /// A file's bytes come back as they were, whatever they are.
    #[test]
    fn a_file_that_is_text_comes_back_byte_for_byte(file in file()) {
        let (read, most) = measured(|| TextFile::read(&file));
        prop_assert!(most <= bound(file.len()));
        if let Ok(read) = read {
            prop_assert_eq!(read.bytes().expect("what was read can be written"), file.to_vec());
        }
    }

    /// An edit replaces what it names once, or says why not and changes nothing.
    #[test]
    fn an_edit_changes_one_place_or_nothing(
        file in file(), from in 0_usize..40, length in 0_usize..12, new in "[a-z\r\n\u{e9}]{0,8}", all: bool,
    ) {
        let Ok(before) = TextFile::read(&file) else { return Ok(()) };
        let old: String = before.text().chars().skip(from).take(length).collect();
        let places = before.text().matches(&old).count();
        let mut after = before.clone();
        let edit = Edit { old: old.clone(), new: new.clone(), all };
        match edits::apply(&mut after, &[edit]) {
            Err(why) => {
                prop_assert!(!why.is_empty());
                prop_assert_eq!(&after, &before);
            }
            Ok(_) => {
                let new = new.replace("\r\n", "\n");
                let expected = before.text().replace(&old, &new);
                if places == 1 || all {
                    prop_assert_eq!(after.text(), expected);
                }
            }
        }
    }

    /// Lines that a patch does not name keep their bytes.
    #[test]
    fn lines_that_are_not_named_keep_their_bytes(file in file(), line in 0_usize..6) {
        let Ok(before) = TextFile::read(&file) else { return Ok(()) };
        let lines: Vec<&str> = before.text().lines().collect();
        let Some(old) = lines.get(line).map(|old| (*old).to_owned()) else { return Ok(()) };
        let hunk = Hunk { old: vec![old], new: Vec::new(), ..Hunk::default() };
        let mut after = before.clone();
        if patch::apply(&mut after, &[hunk]).is_err() { return Ok(()) }
        let written = before.bytes().expect("written");
        let left = after.bytes().expect("written");
        let kept = written.iter().zip(&left).take_while(|(a, b)| a == b).count();
        prop_assert!(left.len() <= written.len());
        prop_assert!(written.ends_with(&left[kept..]), "one piece is gone and nothing else changed");
    }
}
