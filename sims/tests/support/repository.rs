//! Copies of the sample repository: as it is, and as other repositories made from it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A git repository in a directory of its own.
pub(crate) struct Repository {
    directory: TempDir,
}

impl Repository {
    /// The sample repository, committed.
    pub(crate) fn sample() -> Self {
        Self::changed(|files| files)
    }

    /// The sample repository with its files changed before they are committed: paths and texts.
    pub(crate) fn changed(
        change: impl FnOnce(Vec<(String, String)>) -> Vec<(String, String)>,
    ) -> Self {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/repository");
        let mut files = Vec::new();
        collect(&sample, &sample, &mut files);
        Self::of(change(files))
    }

    /// A repository with these files, committed.
    pub(crate) fn of(files: Vec<(String, String)>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in files {
            let file = directory.path().join(path);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("the folder is made");
            std::fs::write(file, text).expect("the file is written");
        }
        let repository = Self { directory };
        repository.git(&["init", "--quiet"]);
        repository.git(&["add", "."]);
        let name = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
        repository.git(&[&name[..], &["commit", "--quiet", "-m", "Start"]].concat());
        repository
    }

    fn git(&self, arguments: &[&str]) {
        let status = Command::new("git")
            .args(arguments)
            .current_dir(self.path())
            .status()
            .expect("git runs");
        assert!(status.success());
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).expect("the file exists")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        std::fs::write(self.path().join(path), text).expect("the file is written");
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the sample exists")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            collect(root, &entry, files);
        } else {
            let path = entry
                .strip_prefix(root)
                .expect("inside")
                .to_string_lossy()
                .into_owned();
            files.push((path, std::fs::read_to_string(&entry).expect("text")));
        }
    }
}

/// Replaces text in every file, and requires that it occurs.
pub(crate) fn replace(files: &mut [(String, String)], from: &str, to: &str) {
    assert!(
        files.iter().any(|(_, text)| text.contains(from)),
        "nothing holds {from}"
    );
    for (_, text) in files {
        *text = text.replace(from, to);
    }
}
