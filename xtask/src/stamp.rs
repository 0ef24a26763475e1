//! Skipping work whose inputs did not change.
//!
//! A stamp is the hash of all inputs of a step, kept beside its output. It
//! compares content, not times, so that a fresh checkout or a touched file
//! costs a read and nothing else.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::paths;

/// The hash of a step's inputs so far.
pub(crate) struct Inputs(Sha256);

impl Inputs {
    /// Begins with the step's name and version, so that a changed step runs again.
    pub(crate) fn new(step: &str) -> Inputs {
        Inputs(Sha256::new_with_prefix(step))
    }

    /// Adds a file, or all files of a folder in a fixed order.
    pub(crate) fn add(&mut self, path: &Path) -> Result<()> {
        if path.is_dir() {
            for entry in sorted_entries(path)? {
                self.add(&entry)?;
            }
            return Ok(());
        }
        let content = std::fs::read(path).map_err(Error::io(path))?;
        if let Some(name) = path.file_name() {
            self.0.update(name.as_encoded_bytes());
        }
        self.0.update((content.len() as u64).to_le_bytes());
        self.0.update(&content);
        Ok(())
    }

    /// The hash, in hex.
    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// The first characters of a content's hash, for file names that change with it.
pub(crate) fn short_hash(content: &[u8]) -> String {
    hex(&Sha256::digest(content)).chars().take(12).collect()
}

/// The entries of a folder, sorted by name.
pub(crate) fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        entries.push(entry.map_err(Error::io(folder))?.path());
    }
    entries.sort();
    Ok(entries)
}

/// Whether the output was made from exactly these inputs.
pub(crate) fn is_current(stamp: &Path, inputs: &str) -> bool {
    std::fs::read_to_string(stamp).is_ok_and(|kept| kept == inputs)
}

/// Remembers the inputs of an output that is now complete.
pub(crate) fn remember(stamp: &Path, inputs: &str) -> Result<()> {
    paths::write(stamp, inputs)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(files: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let mut inputs = Inputs::new("test 1");
        inputs.add(folder.path()).unwrap();
        inputs.finish()
    }

    #[test]
    fn a_hash_follows_content_and_names_and_nothing_else() {
        let base = hash_of(&[("a", "1"), ("b", "2")]);
        assert_eq!(base, hash_of(&[("b", "2"), ("a", "1")]));
        assert_ne!(base, hash_of(&[("a", "1"), ("b", "3")]));
        assert_ne!(base, hash_of(&[("a", "1"), ("c", "2")]));
        assert_ne!(base, hash_of(&[("a", "12"), ("b", "")]));
    }
}
