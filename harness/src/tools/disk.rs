//! Whole files through one handle each: what is looked at is what is read, and
//! what is read is what is written.
//!
//! A file is opened once, below the workspace's handle and without waiting for
//! a pipe's writer; whether it is a regular file and where it really lies is
//! asked of the open handle, so no rename or symlink between two steps can
//! exchange it. It is written in place, so that mode, owner and links stay, and
//! shortened only after the new bytes are there. What lies in `.git` is not
//! written: git runs what it finds there.

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::{File, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use sam_harness::text_file::TextFile;

use crate::host::Host;
use crate::workspace::{Workspace, explain, shown};

/// The largest file that is read.
pub(super) const MAX_FILE: u64 = 16 * 1024 * 1024;

/// An open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// As the model wrote it.
    path: String,
    /// As [`Workspace::relative`] gives it.
    pub(super) relative: PathBuf,
    file: File,
    /// Whether opening made it.
    pub(super) created: bool,
    /// Who else has it open.
    host: Option<Arc<dyn Host>>,
}

impl OpenFile {
    /// Opens a file to read it.
    pub(super) fn to_read(workspace: &Workspace, path: &str) -> Result<Self, String> {
        Self::open(workspace, path, OpenOptions::new().read(true))
    }

    /// Opens a file to change it.
    pub(super) fn to_edit(workspace: &Workspace, path: &str) -> Result<Self, String> {
        not_in_git(workspace, path)?;
        let opened = Self::open(workspace, path, OpenOptions::new().read(true).write(true))?;
        opened.checked()
    }

    /// Opens a file to write it whole, with the folders it lies in.
    pub(super) fn to_write(workspace: &Workspace, path: &str) -> Result<Self, String> {
        match Self::to_edit(workspace, path) {
            Err(_) if !exists(workspace, path) => Self::to_create(workspace, path),
            opened => opened,
        }
    }

    /// Makes a file that is not there yet, with the folders it lies in.
    pub(super) fn to_create(workspace: &Workspace, path: &str) -> Result<Self, String> {
        not_in_git(workspace, path)?;
        let relative = workspace.relative(path)?;
        make_parents(workspace, &relative).map_err(|error| explain(path, &error))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let mut opened = Self::open(workspace, path, &mut options)?;
        opened.created = true;
        opened.checked()
    }

    fn open(workspace: &Workspace, path: &str, options: &mut OpenOptions) -> Result<Self, String> {
        let relative = workspace.relative(path)?;
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::AlreadyExists => format!("{} exists already", shown(&relative)),
            ErrorKind::IsADirectory => format!("{path} is a directory; list it with glob or bash"),
            _ => explain(path, &error),
        };
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let (dir, below) = workspace.at(&relative);
        let file = dir
            .open_with(below, options.custom_flags(nonblocking))
            .map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(format!("{path} is a directory; list it with glob or bash"));
        }
        if !metadata.is_file() {
            return Err(format!("{path} is not a regular file"));
        }
        if metadata.len() > MAX_FILE {
            return Err(format!(
                "{path} is too large ({} bytes); use grep, or bash with head or sed",
                metadata.len()
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            relative,
            file,
            created: false,
            host: workspace.host().cloned(),
        })
    }

    /// Where the handle really leads, for a host.
    fn real(&self) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/self/fd/{}", self.file.as_raw_fd())).ok()
    }

    /// Refuses a handle that turned out to lie in `.git`.
    fn checked(self) -> Result<Self, String> {
        let handle = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match std::fs::read_link(handle) {
            Ok(real) if in_git(&real) => Err(belongs_to_git(&self.path)),
            // Without /proc the look beforehand has to do.
            Ok(_) | Err(_) => Ok(self),
        }
    }

    /// What the file holds.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, String> {
        // A host may have what is not saved yet.
        if let Some(host) = self.host.as_ref().filter(|_| !self.created)
            && let Some(text) = self.real().and_then(|path| host.read(&path))
        {
            return Ok(text.into_bytes());
        }
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(MAX_FILE).read_to_end(&mut bytes);
        read.map_err(|error| explain(&self.path, &error))?;
        Ok(bytes)
    }

    /// What the file holds, as text.
    pub(super) fn text(&mut self) -> Result<TextFile, String> {
        let bytes = self.bytes()?;
        TextFile::read(&bytes).map_err(|error| format!("{} {error}", self.path))
    }

    /// Puts a text in the place of what the file holds; the bytes written.
    pub(super) fn store(&mut self, text: &TextFile) -> Result<Vec<u8>, String> {
        let bytes = text.bytes();
        let bytes = bytes.map_err(|error| format!("{} {error}", self.path))?;
        self.store_bytes(&bytes)?;
        Ok(bytes)
    }

    /// Puts bytes in the place of what the file holds.
    pub(super) fn store_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        if let Some(host) = &self.host
            && let (Some(path), Ok(text)) = (self.real(), std::str::from_utf8(bytes))
            && let Some(written) = host.write(&path, text)
        {
            return written.map_err(|error| format!("{}: {error}", self.path));
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let written = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(bytes))
            .and_then(|()| self.file.set_len(length));
        written.map_err(|error| explain(&self.path, &error))
    }
}

/// Makes the folders a file lies in.
pub(super) fn make_parents(workspace: &Workspace, relative: &Path) -> std::io::Result<()> {
    let (dir, below) = workspace.at(relative);
    match below.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => dir.create_dir_all(parent),
        _ => Ok(()),
    }
}

/// Takes a file away.
pub(super) fn remove(workspace: &Workspace, path: &str) -> Result<(), String> {
    not_in_git(workspace, path)?;
    let relative = workspace.relative(path)?;
    let (dir, below) = workspace.at(&relative);
    let removed = dir.remove_file(below);
    removed.map_err(|error| explain(path, &error))
}

/// Whether a file could be made here: nothing has its name, it is not git's,
/// and what is there of the folders above it is inside and a folder.
pub(super) fn can_create(workspace: &Workspace, path: &str) -> Result<(), String> {
    if exists(workspace, path) {
        return Err(format!("{path} exists already"));
    }
    not_in_git(workspace, path)?;
    let relative = workspace.relative(path)?;
    let (dir, below) = workspace.at(&relative);
    for folder in below.ancestors().skip(1) {
        let name = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        match dir.metadata(name) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => return Err(format!("{} is not a directory", shown(name))),
            // A link that leads nowhere is not made a folder.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if dir.symlink_metadata(name).is_ok() {
                    return Err(format!("{} is a link that leads nowhere", shown(name)));
                }
            }
            Err(error) => return Err(explain(path, &error)),
        }
    }
    Ok(())
}

/// Whether something has this name, a link that leads nowhere included.
fn exists(workspace: &Workspace, path: &str) -> bool {
    workspace.relative(path).is_ok_and(|relative| {
        let (dir, below) = workspace.at(&relative);
        dir.symlink_metadata(below).is_ok()
    })
}

/// Looks before a file could be made; the handle is looked at again.
fn not_in_git(workspace: &Workspace, path: &str) -> Result<(), String> {
    let relative = workspace.relative(path)?;
    // What is there of it already tells where it leads.
    let (dir, below) = workspace.at(&relative);
    let mut existing = below.ancestors();
    let real = existing.find_map(|path| dir.canonicalize(path).ok());
    if in_git(&relative) || real.is_some_and(|real| in_git(&real)) {
        return Err(belongs_to_git(path));
    }
    Ok(())
}

fn in_git(path: &Path) -> bool {
    let is_git =
        |part| matches!(part, Component::Normal(name) if name.eq_ignore_ascii_case(".git"));
    path.components().any(is_git)
}

fn belongs_to_git(path: &str) -> String {
    format!("{path} belongs to git; use git commands instead")
}
