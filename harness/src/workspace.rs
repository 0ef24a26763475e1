//! The directory the agent works in, and nothing else.
//!
//! Files are opened relative to a handle on the root (`cap-std`), one path
//! component at a time: `..`, absolute paths and symlinks that lead out are
//! refused by the way of opening, not by a check before it. Absolute paths
//! below the root are understood, because models like to write them.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::host::Host;

/// An open workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    given: PathBuf,
    dir: Dir,
    /// Who else has its files open.
    host: Option<Arc<dyn Host>>,
}

impl Workspace {
    /// Opens a directory.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let root = path.canonicalize()?;
        let dir = Dir::open_ambient_dir(&root, ambient_authority())?;
        Ok(Self {
            root,
            given: path.to_owned(),
            dir,
            host: None,
        })
    }

    /// The same, shared with a host.
    pub(crate) fn with_host(mut self, host: Arc<dyn Host>) -> Self {
        self.host = Some(host);
        self
    }

    /// Who else has its files open.
    pub(crate) fn host(&self) -> Option<&Arc<dyn Host>> {
        self.host.as_ref()
    }

    /// The root without symlinks.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The handle below which everything lies.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// A path a model wrote, relative to the root; `.` for the root itself.
    /// Symlinks are not resolved here.
    pub(crate) fn relative(&self, path: &str) -> Result<PathBuf, String> {
        let outside = || format!("{path} is outside the workspace {}", self.root.display());
        let mut wanted = Path::new(path);
        if path.is_empty() {
            return Err("the path is empty".to_owned());
        }
        if wanted.is_absolute() {
            wanted = [&self.root, &self.given]
                .iter()
                .find_map(|root| wanted.strip_prefix(root).ok())
                .ok_or_else(outside)?;
        }
        let mut relative = PathBuf::new();
        for component in wanted.components() {
            match component {
                Component::Normal(name) => relative.push(name),
                Component::CurDir => {}
                Component::ParentDir if relative.pop() => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(outside());
                }
            }
        }
        if relative.as_os_str().is_empty() {
            relative.push(".");
        }
        Ok(relative)
    }

    /// Like [`Self::relative`], with every symlink resolved; the path must
    /// exist.
    pub(crate) fn resolved(&self, path: &str) -> Result<PathBuf, String> {
        let relative = self.relative(path)?;
        self.dir
            .canonicalize(&relative)
            .map_err(|error| explain(path, &error))
    }

    /// The absolute path of a relative one, for people and hosts.
    pub(crate) fn absolute(&self, relative: &Path) -> String {
        // A host recognises its own spelling of the root, also through links.
        let root = if self.given.is_absolute() {
            &self.given
        } else {
            &self.root
        };
        if relative == Path::new(".") {
            return root.display().to_string();
        }
        root.join(relative).display().to_string()
    }
}

/// The longest path that is repeated in an error.
const MAX_SHOWN: usize = 300;

/// A path for people and models: one line, whatever the name holds. A name with
/// control characters, or one that is no UTF-8, is quoted.
pub(crate) fn shown(path: &Path) -> String {
    match path.to_str() {
        Some(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => format!("\"{}\"", path.as_os_str().as_encoded_bytes().escape_ascii()),
    }
}

/// What went wrong with a path, in words a model can act on.
pub(crate) fn explain(path: &str, error: &io::Error) -> String {
    let path = match path.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}\u{2026}", path.get(..end).unwrap_or_default()),
        None => path.to_owned(),
    };
    let path = shown(Path::new(&path));
    match error.kind() {
        io::ErrorKind::NotFound => format!("{path} does not exist"),
        io::ErrorKind::IsADirectory => format!("{path} is a directory"),
        io::ErrorKind::NotADirectory => format!("a part of {path} is not a directory"),
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            // cap-std's own refusal carries no system error.
            format!("{path} leads outside the workspace")
        }
        _ => format!("{path}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_the_root_in_every_spelling() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        let real = dir.path().join("real");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let workspace = Workspace::open(&link).unwrap();
        let check = |path: &str, expected: &str| {
            assert_eq!(
                workspace.relative(path).unwrap(),
                Path::new(expected),
                "{path}"
            );
        };
        check("a/b", "a/b");
        check("./a//b/.", "a/b");
        check("a/../b", "b");
        check(".", ".");
        check(real.join("a").to_str().unwrap(), "a");
        check(link.join("a").to_str().unwrap(), "a");
        check(real.to_str().unwrap(), ".");
        for outside in ["..", "a/../../b", "/etc/passwd", "/", "../real/a"] {
            let error = workspace.relative(outside).unwrap_err();
            assert!(error.contains("outside"), "{outside}: {error}");
        }
        assert!(workspace.relative("").is_err());
    }
}
