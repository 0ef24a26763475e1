//! Files and folders of a checkout.
//!
//! A path is walked name by name from the checkout's own folder, and no symbolic link is followed on
//! the way or at its end: what is read lies below the checkout, whoever moves things meanwhile. Git's
//! own folder is not shown.

use super::Refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use sam_domain::link::question::{Entry, EntryKind, FILE_PAGE, FOLDER_ENTRIES, FileView};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Git's own folder.
const GIT: &str = ".git";

/// Opens what is there as it is: links are not followed, pipes are not waited for.
const AS_IT_IS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// What lies at `path` below the checkout; of a file, the part that begins at `offset`.
pub(super) fn view(checkout: &Path, path: &str, offset: u64) -> Result<FileView, Refusal> {
    let opened = open(checkout, path)?;
    let stat = rustix::fs::fstat(&opened).map_err(refused)?;
    let view = FileView {
        path: path.to_owned(),
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
        entries: Vec::new(),
        more: false,
        bytes: 0,
        offset: 0,
        content: String::new(),
    };
    match view.kind {
        EntryKind::Folder => folder(opened, view),
        EntryKind::File => part(&File::from(opened), view, offset),
        EntryKind::Link | EntryKind::Other => Err(Refusal::Unreadable(
            "This is neither a file nor a folder.".to_owned(),
        )),
    }
}

/// Walks to a path, one name after the other.
fn open(checkout: &Path, path: &str) -> Result<OwnedFd, Refusal> {
    let mut here = rustix::fs::openat(CWD, checkout, AS_IT_IS, Mode::empty()).map_err(refused)?;
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        if name == ".." || name.contains('\0') {
            return Err(Refusal::Unreadable(
                "A path leads down from the checkout, without `..`.".to_owned(),
            ));
        }
        if name == GIT {
            return Err(Refusal::Missing);
        }
        here = rustix::fs::openat(&here, name, AS_IT_IS, Mode::empty()).map_err(refused)?;
    }
    Ok(here)
}

fn folder(opened: OwnedFd, mut view: FileView) -> Result<FileView, Refusal> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(&opened).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") || name.to_bytes() == GIT.as_bytes() {
            continue;
        }
        // It may be gone meanwhile.
        let Ok(stat) = rustix::fs::statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        let kind = kind(FileType::from_raw_mode(stat.st_mode));
        entries.push(Entry {
            name: name.to_string_lossy().into_owned(),
            kind,
            bytes: match kind {
                EntryKind::File => u64::try_from(stat.st_size).unwrap_or(0),
                EntryKind::Folder | EntryKind::Link | EntryKind::Other => 0,
            },
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    view.more = entries.len() > FOLDER_ENTRIES;
    entries.truncate(FOLDER_ENTRIES);
    view.entries = entries;
    Ok(view)
}

fn part(file: &File, mut view: FileView, offset: u64) -> Result<FileView, Refusal> {
    let unreadable = |error: std::io::Error| Refusal::Unreadable(error.to_string());
    view.bytes = file.metadata().map_err(unreadable)?.len();
    view.offset = offset;
    let mut part = Vec::new();
    At { file, offset }
        .take(FILE_PAGE)
        .read_to_end(&mut part)
        .map_err(unreadable)?;
    let end = offset.saturating_add(part.len() as u64);
    view.more = !part.is_empty() && end < view.bytes;
    view.content = STANDARD.encode(part);
    Ok(view)
}

/// A file, read from a place on.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset = self.offset.saturating_add(read as u64);
        Ok(read)
    }
}

fn kind(kind: FileType) -> EntryKind {
    match kind {
        FileType::Directory => EntryKind::Folder,
        FileType::RegularFile => EntryKind::File,
        FileType::Symlink => EntryKind::Link,
        _ => EntryKind::Other,
    }
}

fn refused(error: Errno) -> Refusal {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => Refusal::Missing,
        Errno::LOOP | Errno::MLINK => {
            Refusal::Unreadable("This is a symbolic link, which is not followed.".to_owned())
        }
        Errno::ACCESS | Errno::PERM => {
            Refusal::Unreadable("The machine may not read this.".to_owned())
        }
        other => Refusal::Unreadable(format!("This cannot be read: {other}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    fn checkout() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("repo");
        std::fs::create_dir_all(repo.join("src/deep")).unwrap();
        std::fs::create_dir(repo.join(".git")).unwrap();
        std::fs::write(repo.join(".git/config"), "url = secret-canary").unwrap();
        std::fs::write(repo.join("src/lib.rs"), "fn main() {}\n").unwrap();
        std::fs::write(repo.join("binary"), [0, 159, 146, 150]).unwrap();
        std::fs::write(dir.path().join("outside"), "outside-canary").unwrap();
        dir
    }

    fn ask(dir: &tempfile::TempDir, path: &str) -> Result<FileView, Refusal> {
        view(&dir.path().join("repo"), path, 0)
    }

    fn names(view: &FileView) -> Vec<(&str, EntryKind, u64)> {
        view.entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.kind, entry.bytes))
            .collect()
    }

    #[test]
    fn folders_are_listed_and_files_read_as_they_are() {
        let dir = checkout();
        let root = ask(&dir, "").unwrap();
        assert_eq!(
            names(&root),
            [
                ("binary", EntryKind::File, 4),
                ("src", EntryKind::Folder, 0)
            ]
        );
        assert_eq!(
            names(&ask(&dir, "./src/").unwrap()),
            [
                ("deep", EntryKind::Folder, 0),
                ("lib.rs", EntryKind::File, 13)
            ]
        );
        let file = ask(&dir, "src/lib.rs").unwrap();
        assert_eq!(
            (file.kind, file.bytes, file.more),
            (EntryKind::File, 13, false)
        );
        assert_eq!(STANDARD.decode(file.content).unwrap(), b"fn main() {}\n");
        let binary = ask(&dir, "binary").unwrap();
        assert_eq!(STANDARD.decode(binary.content).unwrap(), [0, 159, 146, 150]);
    }

    #[test]
    fn nothing_leads_out_of_the_checkout() {
        let dir = checkout();
        let repo = dir.path().join("repo");
        symlink("../outside", repo.join("link")).unwrap();
        symlink("..", repo.join("up")).unwrap();
        symlink(dir.path().join("outside"), repo.join("absolute")).unwrap();
        symlink("src", repo.join("inside")).unwrap();
        for path in [
            "../outside",
            "src/../../outside",
            "link",
            "up/outside",
            "up",
            "absolute",
            "inside/lib.rs",
            ".git/config",
            ".git",
            "src/\0",
            "nowhere",
            "src/lib.rs/more",
        ] {
            let refused = ask(&dir, path);
            assert!(refused.is_err(), "{path}: {refused:?}");
        }
        // An absolute path is one below the checkout, like any other.
        assert_eq!(ask(&dir, "/etc/passwd"), Err(Refusal::Missing));
        let root = ask(&dir, "").unwrap();
        let link = root.entries.iter().find(|entry| entry.name == "link");
        assert_eq!(link.map(|entry| entry.kind), Some(EntryKind::Link));
        assert!(!root.entries.iter().any(|entry| entry.name == ".git"));
    }

    #[test]
    fn hostile_names_and_pipes_stop_nothing() {
        let dir = checkout();
        let deep = dir.path().join("repo/src/deep");
        for name in [&b"a\nb"[..], b"\x1b[31m", b"\xff\xfe", b"-rf", b" "] {
            std::fs::write(deep.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
        }
        let pipe = deep.join("pipe");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let view = ask(&dir, "src/deep").unwrap();
        assert_eq!(view.entries.len(), 6);
        let file = ask(&dir, "src/deep/a\nb").unwrap();
        assert_eq!(STANDARD.decode(file.content).unwrap(), b"a\nb");
        assert!(matches!(
            ask(&dir, "src/deep/pipe"),
            Err(Refusal::Unreadable(_))
        ));
    }

    #[test]
    fn a_big_file_comes_in_parts_and_a_big_folder_says_that_there_is_more() {
        let dir = checkout();
        let repo = dir.path().join("repo");
        let bytes: Vec<u8> = (0..FILE_PAGE * 2 + 5).map(|n| (n % 251) as u8).collect();
        std::fs::write(repo.join("big"), &bytes).unwrap();
        let mut read = Vec::new();
        loop {
            let part = view(&repo, "big", read.len() as u64).unwrap();
            assert_eq!(
                (part.bytes, part.offset),
                (bytes.len() as u64, read.len() as u64)
            );
            assert!(serde_json::to_string(&part).unwrap().len() < 300 * 1024);
            read.extend(STANDARD.decode(&part.content).unwrap());
            if !part.more {
                break;
            }
        }
        assert!(read == bytes);
        let past = view(&repo, "big", 1 << 40).unwrap();
        assert!(past.content.is_empty() && !past.more);
        for n in 0..=FOLDER_ENTRIES {
            std::fs::write(repo.join(format!("src/deep/{n:05}")), "").unwrap();
        }
        let folder = ask(&dir, "src/deep").unwrap();
        assert_eq!((folder.entries.len(), folder.more), (FOLDER_ENTRIES, true));
    }
}
