//! `cargo xtask tidy`: the repository's own rules, checked by a program.
//!
//! Each check is a function from text to findings, so that its test can show it
//! a bad sample; only this module reads files. A finding names the place and
//! says what to do. All findings are shown, then the command fails.

mod bindings;
mod graph;
mod manifests;
mod migrations;
mod promises;
mod sources;
mod waits;

use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::paths::{self, Paths};
use crate::process;

/// A broken rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// File, and line where there is one: `path:line`.
    place: String,
    /// What is wrong, and what to do.
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding {
            place: place.into(),
            what: what.into(),
        }
    }
}

/// One text file of the repository.
pub(crate) struct Source {
    /// Path from the root, with `/`.
    path: String,
    /// Its content.
    text: String,
}

/// Runs every check and fails if one of them found something.
pub(crate) fn run(paths: &Paths) -> Result<()> {
    let sources = tracked_sources(&paths.root)?;
    let metadata = graph::Metadata::read(paths)?;
    let text_of = |path: &str| paths::read(&paths.root.join(path));

    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(sources::check(source));
        findings.extend(migrations::check_objects(source));
        if source.path.ends_with(".sql") {
            findings.extend(migrations::check(source));
        }
    }
    findings.extend(migrations::check_names(&sources));
    findings.extend(waits::check(&sources));
    findings.extend(manifests::check_reasons(&text_of("Cargo.toml")?));
    findings.extend(manifests::check_packages(&metadata));
    findings.extend(manifests::check_versions(&metadata));
    findings.extend(graph::check_exercised(&metadata, &sources));
    findings.extend(promises::check(&text_of("SPECIFICATION.md")?, &sources));
    findings.extend(bindings::check(
        &text_of("wrangler.toml")?,
        &text_of("scripts/server/bindings.mjs")?,
        &text_of("worker/entry/index.mjs")?,
    ));

    for finding in &findings {
        eprintln!("{}: {}", finding.place, finding.what);
    }
    if findings.is_empty() {
        eprintln!("tidy: {} files, nothing to say", sources.len());
        Ok(())
    } else {
        Err(Error::Refused(format!("{} untidy places", findings.len())))
    }
}

/// The text files that git tracks and that are there.
fn tracked_sources(root: &Path) -> Result<Vec<Source>> {
    let listed = process::output(
        Command::new("git")
            .current_dir(root)
            .args(["ls-files", "-z", "--cached"]),
    )?;
    let mut sources = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let file = root.join(path);
        let Ok(bytes) = std::fs::read(&file) else {
            continue;
        };
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(sources)
}

#[cfg(test)]
pub(crate) fn source(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}
