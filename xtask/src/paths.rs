//! Where things lie in the repository.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The repository's folders, found from the place of this crate.
pub(crate) struct Paths {
    /// The root: where Cargo.toml, package.json and wrangler.toml lie.
    pub(crate) root: PathBuf,
    /// cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Paths {
    /// Finds the root as the parent of this crate's folder.
    pub(crate) fn find() -> Result<Paths> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .ok_or_else(|| Error::Refused("xtask has no parent folder".into()))?
            .to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Ok(Paths { root, target })
    }

    /// A program that npm installed.
    pub(crate) fn npm_program(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join("node_modules/.bin").join(name);
        if path.exists() {
            Ok(path)
        } else {
            Err(Error::ToolMissing(path))
        }
    }

    /// Where builds are delivered.
    pub(crate) fn dist(&self, name: &str) -> PathBuf {
        self.root.join("dist").join(name)
    }

    /// Scratch space of a build step.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(name)
    }

    /// A compiled wasm library of the workspace.
    pub(crate) fn wasm_library(&self, package: &str) -> PathBuf {
        self.target
            .join("wasm32-unknown-unknown/wasm")
            .join(format!("{}.wasm", package.replace('-', "_")))
    }
}

/// Makes an empty folder, whatever was there before.
pub(crate) fn fresh_directory(path: &Path) -> Result<()> {
    if path.exists() {
        std::fs::remove_dir_all(path).map_err(Error::io(path))?;
    }
    std::fs::create_dir_all(path).map_err(Error::io(path))
}

/// Copies one file.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map_err(Error::io(from))?;
    Ok(())
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(Error::io(path))
}

/// Writes a file.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(path, content).map_err(Error::io(path))
}
