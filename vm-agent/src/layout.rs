//! Where things lie on this machine.
//!
//! `<state>/workspaces/<wsp>/` holds everything of one workspace: `repo` (the
//! checkout), `home` and `tmp` (private to its agent) and `git.config` (ours).
//! Nothing of a workspace lies outside, so deleting the folder deletes it.

use sam_domain::id::WorkspaceId;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The folders of one workspace.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    workspace: WorkspaceId,
    root: PathBuf,
    state: PathBuf,
}

impl Layout {
    /// The folders of `workspace` under the state directory.
    pub(crate) fn new(state: &Path, workspace: &WorkspaceId) -> Self {
        Self {
            workspace: workspace.clone(),
            root: state.join("workspaces").join(workspace.to_string()),
            state: state.to_owned(),
        }
    }

    pub(crate) fn workspace(&self) -> &WorkspaceId {
        &self.workspace
    }

    /// The vm-agent's own folder.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The checkout.
    pub(crate) fn repo(&self) -> PathBuf {
        self.root.join("repo")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn git_config(&self) -> PathBuf {
        self.root.join("git.config")
    }

    /// Makes the folders, without `repo`, after removing what is there.
    pub(crate) fn make_afresh(&self) -> std::io::Result<()> {
        self.remove()?;
        for dir in [self.root.clone(), self.home(), self.tmp()] {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)?;
        }
        Ok(())
    }

    /// Removes everything. Folders that were made unreadable are opened first.
    pub(crate) fn remove(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(&self.root) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(_) => {
                open_up(&self.root);
                std::fs::remove_dir_all(&self.root)
            }
        }
    }
}

/// Makes every folder below writable, so that it can be removed.
fn open_up(dir: &Path) {
    let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        // Not through links: only what lies below is ours.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Finds an executable in one of these folders.
pub(crate) fn find_in(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    folders
        .iter()
        .map(|dir| dir.join(name))
        .filter_map(|candidate| std::path::absolute(candidate).ok())
        .find(|candidate| {
            std::fs::metadata(candidate)
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}

/// The folders of PATH.
pub(crate) fn path_folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}

/// Finds an executable: in `first`, then beside this program, then on PATH.
pub(crate) fn find_executable(name: &str, first: &[PathBuf]) -> Option<PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_owned));
    let known: Vec<PathBuf> = first.iter().cloned().chain(beside).collect();
    find_in(name, &known).or_else(|| find_in(name, &path_folders()))
}
