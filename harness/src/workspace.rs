//! The directory the agent works in, further ones it was given, and nothing
//! else.
//!
//! Files are opened relative to a handle on their root (`cap-std`), one path
//! component at a time: `..`, absolute paths and symlinks that lead out are
//! refused by the way of opening, not by a check before it. Absolute paths
//! below the root are understood, because models like to write them; a path in
//! a further directory is always absolute.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::host::Host;

/// A directory that is worked in.
#[derive(Debug)]
struct Root {
    /// Without symlinks.
    real: PathBuf,
    /// As it was named.
    given: PathBuf,
    dir: Dir,
}

impl Root {
    fn open(path: &Path) -> io::Result<Self> {
        let real = path.canonicalize()?;
        let dir = Dir::open_ambient_dir(&real, ambient_authority())?;
        Ok(Self {
            real,
            given: path.to_owned(),
            dir,
        })
    }

    /// What of an absolute path lies below.
    fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let mut spellings = [&self.real, &self.given].into_iter();
        spellings.find_map(|root| path.strip_prefix(root).ok())
    }

    /// As a host knows it, also through links.
    fn known(&self) -> &Path {
        if self.given.is_absolute() {
            &self.given
        } else {
            &self.real
        }
    }
}

/// An open workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: Root,
    /// Further directories that are open to the same work.
    further: Vec<Root>,
    /// Who else has its files open.
    host: Option<Arc<dyn Host>>,
}

impl Workspace {
    /// Opens a directory.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            root: Root::open(path)?,
            further: Vec::new(),
            host: None,
        })
    }

    /// Opens a further directory; one that is open already adds nothing.
    fn add(&mut self, path: &Path) -> io::Result<()> {
        let added = Root::open(path)?;
        if !self.roots().any(|root| root == added.real) {
            self.further.push(added);
        }
        Ok(())
    }

    /// Opens a directory with further ones; an error says which cannot be
    /// opened.
    pub(crate) fn with_further<'a>(
        path: &Path,
        further: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Result<Self, String> {
        let failed = |path: &Path, error: &io::Error| {
            format!("{} cannot be opened: {error}", path.display())
        };
        let mut workspace = Self::open(path).map_err(|error| failed(path, &error))?;
        for path in further {
            let added = workspace.add(path);
            added.map_err(|error| failed(path, &error))?;
        }
        Ok(workspace)
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
        &self.root.real
    }

    /// The further directories without symlinks.
    pub(crate) fn further(&self) -> impl Iterator<Item = &Path> {
        self.further.iter().map(|root| root.real.as_path())
    }

    /// The root, and the further directories.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.root()).chain(self.further())
    }

    /// The handle of the root.
    pub(crate) fn dir(&self) -> &Dir {
        &self.root.dir
    }

    /// The handle below which a path of [`Self::relative`] lies, and what is
    /// left of the path.
    pub(crate) fn at<'a>(&self, path: &'a Path) -> (&Dir, &'a Path) {
        // The root's handle refuses an absolute path.
        let (root, below) = self.rooted(path);
        (&root.dir, below)
    }

    fn rooted<'a>(&self, path: &'a Path) -> (&Root, &'a Path) {
        let further = self.further.iter().find_map(|root| {
            let below = path.strip_prefix(&root.real).ok()?;
            let is_root = below.as_os_str().is_empty();
            Some((root, if is_root { Path::new(".") } else { below }))
        });
        further.unwrap_or((&self.root, path))
    }

    /// A path a model wrote: relative to the root, `.` for the root itself;
    /// absolute and without symlinks in its beginning when it lies in a further
    /// directory. Symlinks below are not resolved here.
    pub(crate) fn relative(&self, path: &str) -> Result<PathBuf, String> {
        let outside = || format!("{path} is outside the workspace {}", self.root().display());
        let mut wanted = Path::new(path);
        let mut base = Path::new("");
        if path.is_empty() {
            return Err("the path is empty".to_owned());
        }
        if wanted.is_absolute() {
            let mut further = self.further.iter();
            (wanted, base) = (self.root.below(wanted).map(|below| (below, base)))
                .or_else(|| {
                    further.find_map(|root| Some((root.below(wanted)?, root.real.as_path())))
                })
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
        Ok(joined(base, &relative))
    }

    /// Like [`Self::relative`], with every symlink resolved; the path must
    /// exist.
    pub(crate) fn resolved(&self, path: &str) -> Result<PathBuf, String> {
        let relative = self.relative(path)?;
        let (root, below) = self.rooted(&relative);
        let resolved = root.dir.canonicalize(below);
        let resolved = resolved.map_err(|error| explain(path, &error))?;
        let base = if relative.is_absolute() {
            root.real.as_path()
        } else {
            Path::new("")
        };
        Ok(joined(base, &resolved))
    }

    /// The absolute path of a relative one, for people and hosts.
    pub(crate) fn absolute(&self, relative: &Path) -> String {
        let (root, below) = self.rooted(relative);
        joined(root.known(), below).display().to_string()
    }
}

/// A path below another, without a dot or a slash too many; `.` for no path at
/// all.
fn joined(base: &Path, below: &Path) -> PathBuf {
    let below = below.strip_prefix(".").unwrap_or(below);
    match (base.as_os_str().is_empty(), below.as_os_str().is_empty()) {
        (true, true) => PathBuf::from("."),
        (true, false) => below.to_owned(),
        (false, true) => base.to_owned(),
        (false, false) => base.join(below),
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

    #[test]
    fn a_further_directory_is_reached_by_its_absolute_path_alone() {
        let dir = tempfile::tempdir().unwrap();
        let outer = dir.path().canonicalize().unwrap();
        for name in ["main", "further", "secret"] {
            std::fs::create_dir(outer.join(name)).unwrap();
        }
        std::fs::write(outer.join("further/a"), "a").unwrap();
        std::os::unix::fs::symlink(outer.join("further"), outer.join("link")).unwrap();
        std::os::unix::fs::symlink("../secret", outer.join("further/out")).unwrap();
        let mut workspace = Workspace::open(&outer.join("main")).unwrap();
        workspace.add(&outer.join("link")).unwrap();
        workspace.add(&outer.join("further")).unwrap();
        assert_eq!(workspace.roots().count(), 2);
        let further = outer.join("further");
        for spelling in ["further/a", "link/a", "link/./b/../a"] {
            let given = outer.join(spelling);
            let relative = workspace.relative(given.to_str().unwrap()).unwrap();
            assert_eq!(relative, further.join("a"), "{spelling}");
            assert_eq!(
                workspace.resolved(given.to_str().unwrap()),
                Ok(relative.clone())
            );
            assert_eq!(
                workspace.absolute(&relative),
                outer.join("link/a").to_str().unwrap()
            );
            let (dir, below) = workspace.at(&relative);
            assert_eq!(dir.read_to_string(below).unwrap(), "a");
        }
        let root = workspace.relative(further.to_str().unwrap()).unwrap();
        assert_eq!(workspace.at(&root).1, Path::new("."));
        assert_eq!(
            workspace.resolved(further.to_str().unwrap()),
            Ok(further.clone())
        );
        for outside in ["further/../secret/x", "link/../x", "secret"] {
            let outside = outer.join(outside);
            let error = workspace.relative(outside.to_str().unwrap()).unwrap_err();
            assert!(error.contains("outside"), "{error}");
        }
        let error = workspace.resolved(further.join("out").to_str().unwrap());
        assert!(error.unwrap_err().contains("outside"));
    }
}
