//! The crates and how they depend on each other, and the check that the main
//! job exercises each of them.
//!
//! A crate that nothing on the main path runs is a promise without a proof. So
//! each product crate must be part of an artefact that the end-to-end test of
//! the main job starts, its name must be used by a crate that depends on it,
//! and the end-to-end tests must in fact start every artefact.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Finding, Source};
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::process;

/// What the main job starts: the package, and what the end-to-end tests call it by.
const ARTEFACTS: &[(&str, &str)] = &[
    ("sam-worker", "scripts/server/main.mjs"),
    ("sam-web", "dist/web"),
    ("sam-web-markdown", "dist/web"),
    ("sam-web-administration", "dist/web"),
    ("sam-cli", "\"sam\""),
    ("sam-vm-agent", "\"sam-vm-agent\""),
    ("sam-harness", "sam-harness"),
    ("sam-sims", "\"sam-sims\""),
];

/// Crates that no artefact names, and what they are for.
const TEST_ONLY: &[(&str, &str)] = &[
    (
        "sam-simulator",
        "drives the machines of sam-domain under seeded faults",
    ),
    (
        "sam-worker-fault",
        "the Worker with faults on demand, from the same source",
    ),
    ("sam-fuzz", "leads whatever is read from outside astray"),
    ("sam-e2e", "the end-to-end tests themselves"),
    ("xtask", "builds and checks"),
];

/// The part of `cargo metadata` that the checks need.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(super) packages: Vec<Package>,
    pub(super) workspace_members: Vec<String>,
}

/// A package, of the workspace or of a registry.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) license: Option<String>,
    #[serde(default)]
    pub(super) dependencies: Vec<Dependency>,
    #[serde(default)]
    pub(super) manifest_path: String,
}

/// A dependency as a manifest states it.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(super) name: String,
    pub(super) req: String,
    /// None for a normal dependency, else `dev` or `build`.
    #[serde(default)]
    pub(super) kind: Option<String>,
}

impl Metadata {
    /// Asks cargo, with the versions of Cargo.lock and without the network.
    pub(crate) fn read(paths: &Paths) -> Result<Metadata> {
        let mut cargo = process::cargo(paths);
        cargo.args(["metadata", "--format-version=1", "--no-deps", "--offline"]);
        let json = process::output(&mut cargo)?;
        serde_json::from_str(&json)
            .map_err(|error| Error::Refused(format!("cargo metadata was not understood: {error}")))
    }

    /// The packages of this workspace.
    pub(super) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }
}

/// Checks that every product crate is exercised by the main job.
pub(super) fn check_exercised(metadata: &Metadata, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let members: BTreeMap<&str, &Package> = metadata
        .members()
        .map(|package| (package.name.as_str(), package))
        .collect();
    let exempt: BTreeSet<&str> = TEST_ONLY.iter().map(|(name, _)| *name).collect();

    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = ARTEFACTS.iter().map(|(name, _)| *name).collect();
    while let Some(name) = open.pop() {
        let Some(package) = members.get(name) else {
            continue;
        };
        if reached.insert(name) {
            open.extend(
                package
                    .dependencies
                    .iter()
                    .filter(|dependency| dependency.kind.is_none())
                    .map(|dependency| dependency.name.as_str()),
            );
        }
    }

    let is_artefact = |name: &str| ARTEFACTS.iter().any(|(artefact, _)| *artefact == name);
    for name in members.keys() {
        if exempt.contains(name) {
            continue;
        }
        if !reached.contains(name) {
            findings.push(Finding::new(
                *name,
                "no artefact of the main job contains this crate; use it there, or remove it",
            ));
        } else if !is_artefact(name) && !is_used(name, &members, sources) {
            findings.push(Finding::new(
                *name,
                "it is a dependency that no source file names; use it, or remove it",
            ));
        }
    }
    for (artefact, called) in ARTEFACTS {
        let started = sources
            .iter()
            .any(|source| source.path.starts_with("e2e/") && source.text.contains(called));
        if !started {
            findings.push(Finding::new(
                *artefact,
                format!("the end-to-end tests do not start it: nothing under e2e/ says {called}"),
            ));
        }
    }
    findings
}

/// Whether a crate that depends on this one names it in its source.
fn is_used(name: &str, members: &BTreeMap<&str, &Package>, sources: &[Source]) -> bool {
    let identifier = name.replace('-', "_");
    members
        .values()
        .filter(|package| {
            package
                .dependencies
                .iter()
                .any(|dependency| dependency.kind.is_none() && dependency.name == name)
        })
        .any(|package| {
            let folder = folder_of(package);
            sources.iter().any(|source| {
                source.path.starts_with(&format!("{folder}/src/"))
                    && source.text.contains(&identifier)
            })
        })
}

/// The folder of a member, as its path from the root begins.
fn folder_of(package: &Package) -> &str {
    package
        .manifest_path
        .trim_end_matches("/Cargo.toml")
        .rsplit('/')
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::source;
    use super::*;

    pub(in super::super) fn package(name: &str, dependencies: &[(&str, &str)]) -> Package {
        Package {
            id: name.into(),
            name: name.into(),
            description: Some("What it is for.".into()),
            license: Some("MIT OR Apache-2.0".into()),
            dependencies: dependencies
                .iter()
                .map(|(name, req)| Dependency {
                    name: (*name).into(),
                    req: (*req).into(),
                    kind: None,
                })
                .collect(),
            manifest_path: format!("/x/{}/Cargo.toml", name.trim_start_matches("sam-")),
        }
    }

    pub(in super::super) fn metadata(packages: Vec<Package>) -> Metadata {
        Metadata {
            workspace_members: packages.iter().map(|package| package.id.clone()).collect(),
            packages,
        }
    }

    fn started() -> Source {
        let words: Vec<&str> = ARTEFACTS.iter().map(|(_, called)| *called).collect();
        source("e2e/tests/main_job.rs", &words.join("\n"))
    }

    fn names(findings: &[Finding]) -> Vec<&str> {
        findings
            .iter()
            .map(|finding| finding.place.as_str())
            .collect()
    }

    #[test]
    fn a_crate_in_an_artefact_passes() {
        let metadata = metadata(vec![
            package("sam-worker", &[("sam-domain", "*")]),
            package("sam-domain", &[]),
            package("sam-simulator", &[]),
        ]);
        let sources = [
            started(),
            source("worker/src/lib.rs", "use sam_domain::id;"),
        ];
        assert_eq!(check_exercised(&metadata, &sources), []);
    }

    #[test]
    fn a_crate_outside_every_artefact_is_found() {
        let metadata = metadata(vec![
            package("sam-worker", &[]),
            package("sam-dreams", &[]),
            package("sam-simulator", &[("sam-dreams", "*")]),
        ]);
        assert_eq!(
            names(&check_exercised(&metadata, &[started()])),
            ["sam-dreams"]
        );
    }

    #[test]
    fn a_dependency_that_nobody_names_is_found() {
        let metadata = metadata(vec![
            package("sam-worker", &[("sam-domain", "*")]),
            package("sam-domain", &[]),
        ]);
        let sources = [started(), source("worker/src/lib.rs", "//! Nothing.")];
        assert_eq!(names(&check_exercised(&metadata, &sources)), ["sam-domain"]);
    }

    #[test]
    fn an_artefact_that_no_test_starts_is_found() {
        let metadata = metadata(vec![package("sam-worker", &[])]);
        let started = source("e2e/tests/a.rs", &started().text.replace("dist/web", ""));
        assert_eq!(
            names(&check_exercised(&metadata, &[started])),
            ["sam-web", "sam-web-markdown", "sam-web-administration"]
        );
    }
}
