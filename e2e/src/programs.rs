//! Where the built programs are.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::{Result, failure};

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

fn present(path: PathBuf, how: &str) -> Result<PathBuf> {
    if path.exists() {
        Ok(path)
    } else {
        Err(failure(format!(
            "{} is missing; make it with `{how}`",
            path.display()
        )))
    }
}

/// A release binary of this workspace, e.g. `sam-sims`.
///
/// # Errors
/// When it was not built.
pub fn native(name: &str) -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    present(
        target.join("release").join(name),
        "cargo xtask build native",
    )
}

/// The directory of release binaries.
///
/// # Errors
/// When nothing was built.
pub fn native_directory() -> Result<PathBuf> {
    let mut path = native("sam-harness")?;
    path.pop();
    Ok(path)
}

/// A built Worker: the product, or the one with faults on demand.
///
/// # Errors
/// When it was not built.
pub fn worker(fault_injection: bool) -> Result<PathBuf> {
    let (directory, how) = if fault_injection {
        (
            "dist/worker-fault",
            "cargo xtask build worker --fault-injection",
        )
    } else {
        ("dist/worker", "cargo xtask build worker")
    };
    present(root().join(directory).join("index.js"), how)?;
    Ok(root().join(directory))
}

/// The built web app.
///
/// # Errors
/// When it was not built.
pub fn web() -> Result<PathBuf> {
    let directory = root().join("dist/web");
    present(directory.join("index.html"), "cargo xtask build web")?;
    Ok(directory)
}

/// The Node.js that the repository pins, or the one on the PATH before `npm ci` ran.
#[must_use]
pub fn node() -> PathBuf {
    let pinned = root().join("node_modules/.bin/node");
    if pinned.exists() {
        pinned
    } else {
        PathBuf::from("node")
    }
}

/// Puts a program into a folder of its own, under the name of an agent of the catalogue: it runs this
/// script of the repository. Returns the folder, for a vm-agent to search.
///
/// # Errors
/// When the folder is there already or cannot be written.
pub fn scripted_agent(folder: &Path, name: &str, script: &str) -> Result<PathBuf> {
    std::fs::create_dir(folder)?;
    let node = std::path::absolute(node())?;
    let node = if node.exists() { node } else { self::node() };
    let script = root().join(script);
    let program = folder.join(name);
    let text = format!("#!/bin/sh\nexec {} {}\n", node.display(), script.display());
    std::fs::write(&program, text)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    Ok(folder.to_owned())
}

/// A PATH on which that Node.js comes first.
#[must_use]
pub fn path() -> std::ffi::OsString {
    let held = std::env::var_os("PATH").unwrap_or_default();
    let first = root().join("node_modules/.bin");
    let folders = std::iter::once(first).chain(std::env::split_paths(&held));
    std::env::join_paths(folders).unwrap_or(held)
}

/// The folder with goose, a coding agent that is not ours.
///
/// # Errors
/// When the npm packages are not installed.
pub fn goose() -> Result<PathBuf> {
    let folder = root().join("node_modules/@aaif/goose-binary-linux-x64/bin");
    present(folder.join("goose"), "npm ci")?;
    Ok(folder)
}
