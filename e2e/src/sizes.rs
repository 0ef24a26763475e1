//! What is shipped, how large it is, and how large it may be.
//!
//! Downloads are measured as they travel, compressed by gzip; programs as they lie on the disk.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::machine::contains;
use crate::{Result, failure, programs};

/// Something that is shipped.
#[derive(Clone, Debug)]
pub struct Shipped {
    /// What it is.
    pub name: &'static str,
    /// Its size in kilobytes of 1,024 bytes.
    pub kilobytes: f64,
    /// The most that it may have.
    pub limit: f64,
}

/// Most of the Worker, its module and its entry together, compressed.
const WORKER: f64 = 900.0;
/// Most of what a browser loads to show the app, compressed: the page and every file that it names.
const WEB: f64 = 350.0;
/// Most of what a browser loads that opens one of the pages of administration: the same, and the module that they are
/// in.
const ADMINISTRATION: f64 = 560.0;
/// Most of each program that a person or a machine downloads.
const PROGRAMS: [(&str, f64); 3] = [
    ("sam-vm-agent", 10_000.0),
    ("sam-harness", 7_800.0),
    ("sam", 8_000.0),
];

/// Everything that is shipped, as it was built.
///
/// # Errors
/// When something was not built.
pub fn shipped() -> Result<Vec<Shipped>> {
    let worker = programs::worker(false)?;
    let web = programs::web()?;
    let first = first_load(&web)?;
    let late = module(&web, "administration")?;
    let mut found = vec![
        Shipped {
            name: "Worker, gzip",
            kilobytes: compressed(&[worker.join("index.js"), worker.join("index_bg.wasm")])?,
            limit: WORKER,
        },
        Shipped {
            name: "web app's first load, gzip",
            kilobytes: compressed(&first)?,
            limit: WEB,
        },
        Shipped {
            name: "web app's first load at a page of administration, gzip",
            kilobytes: compressed(&[first, late].concat())?,
            limit: ADMINISTRATION,
        },
    ];
    for (name, limit) in PROGRAMS {
        let bytes = programs::native(name)?.metadata()?.len();
        found.push(Shipped {
            name,
            kilobytes: kilobytes(bytes),
            limit,
        });
    }
    Ok(found)
}

/// The page, and the files whose addresses stand in it.
fn first_load(web: &Path) -> Result<Vec<PathBuf>> {
    let page = web.join("index.html");
    let text = std::fs::read_to_string(&page)?;
    let mut files = vec![page];
    for address in text.split('"').filter(|part| part.starts_with("/assets/")) {
        files.push(web.join(address.trim_start_matches('/')));
    }
    Ok(files)
}

/// The files of a module that is fetched late.
fn module(web: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in std::fs::read_dir(web.join("assets"))? {
        let file = file?;
        if file
            .file_name()
            .to_string_lossy()
            .starts_with(&format!("{name}-"))
        {
            files.push(file.path());
        }
    }
    match files.len() {
        2 => Ok(files),
        n => Err(failure(format!("the module {name} has {n} files, not two"))),
    }
}

/// The files' sizes after gzip at its best, each for itself.
fn compressed(files: &[PathBuf]) -> Result<f64> {
    let mut bytes = 0;
    for file in files {
        bytes += gzip(file)?;
    }
    Ok(kilobytes(bytes))
}

fn gzip(file: &Path) -> Result<u64> {
    let text = std::fs::read(file)?;
    let mut program = Command::new("gzip")
        .args(["-9", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failure(format!("gzip cannot be run: {error}")))?;
    // Written beside the reading, so that neither end waits for the other.
    let input = program.stdin.take();
    let writer = std::thread::spawn(move || input.map_or(Ok(()), |mut to| to.write_all(&text)));
    let output = program.wait_with_output()?;
    writer
        .join()
        .map_err(|_| failure("gzip was not given its input"))??;
    Ok(output.stdout.len() as u64)
}

/// Whether a program is one static file: it names no program that would load it.
///
/// # Errors
/// When it was not built.
pub fn is_static(name: &str) -> Result<bool> {
    let program = std::fs::read(programs::native(name)?)?;
    Ok(!contains(&program, b"/ld-linux") && !contains(&program, b"/ld-musl"))
}

fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}
