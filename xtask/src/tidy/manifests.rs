//! What holds for Cargo manifests: each dependency has a reason and one
//! version, and each crate says what it is and under which licence.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::graph::Metadata;

/// Checks that each group of workspace dependencies begins with its reason.
pub(super) fn check_reasons(manifest: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut inside = false;
    let mut has_reason = false;
    for (number, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
            has_reason = false;
        } else if inside && line.is_empty() {
            has_reason = false;
        } else if inside && line.starts_with('#') {
            has_reason = true;
        } else if inside && !has_reason {
            let name = line.split(['=', ' ']).next().unwrap_or(line);
            findings.push(Finding::new(
                format!("Cargo.toml:{}", number + 1),
                format!("{name} has no reason; say in a comment above why it is here"),
            ));
        }
    }
    findings
}

/// Checks that every crate says what it is and under which licence.
pub(super) fn check_packages(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in metadata.members() {
        let is_empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
        if is_empty(&package.description) {
            findings.push(Finding::new(
                &package.name,
                "its manifest has no description",
            ));
        }
        if is_empty(&package.license) {
            findings.push(Finding::new(&package.name, "its manifest has no license"));
        }
    }
    findings
}

/// Checks that no two crates of the workspace ask for different versions of one dependency.
pub(super) fn check_versions(metadata: &Metadata) -> Vec<Finding> {
    let mut asked: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata.members() {
        for dependency in &package.dependencies {
            asked
                .entry(&dependency.name)
                .or_default()
                .insert(&dependency.req);
        }
    }
    asked
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| {
            let versions: Vec<&str> = versions.into_iter().collect();
            Finding::new(
                name,
                format!(
                    "asked for as {}; state it once in [workspace.dependencies]",
                    versions.join(" and ")
                ),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{metadata, package};
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let check = |text: &str| check_reasons(text).len();
        assert_eq!(
            check("[workspace.dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n"),
            0
        );
        assert_eq!(check("[workspace.dependencies]\na = \"1\"\n"), 1);
        assert_eq!(
            check("[workspace.dependencies]\n# Why.\na = \"1\"\n\nb = \"1\"\n"),
            1
        );
        assert_eq!(check("[profile.dev]\ndebug = 1\n"), 0);
    }

    #[test]
    fn a_crate_that_says_nothing_about_itself_is_found() {
        let mut silent = package("sam-a", &[]);
        silent.description = Some(String::new());
        silent.license = None;
        assert_eq!(check_packages(&metadata(vec![silent])).len(), 2);
        assert_eq!(check_packages(&metadata(vec![package("sam-b", &[])])), []);
    }

    #[test]
    fn two_versions_of_one_dependency_are_found() {
        let two = metadata(vec![
            package("sam-a", &[("serde", "^1.0.0")]),
            package("sam-b", &[("serde", "^1.2.0")]),
        ]);
        assert_eq!(check_versions(&two).len(), 1);
        let one = metadata(vec![
            package("sam-a", &[("serde", "^1.0.0")]),
            package("sam-b", &[("serde", "^1.0.0")]),
        ]);
        assert_eq!(check_versions(&one), []);
    }
}
