//! The first look at a work tree: its files, its manifest, what is not committed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::observation::{file_text, paths};
use super::replay::{Replay, Say, Step};
use super::toolbox::Action;

/// What is known of the work tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Every file, relative to the root.
    pub(crate) files: Vec<String>,
    /// The text of `package.json`, parsed.
    pub(crate) manifest: Option<Value>,
    /// What was read, by path.
    pub(crate) texts: BTreeMap<String, String>,
}

impl Tree {
    /// Lists the files.
    pub(crate) fn list(replay: &mut Replay<'_>, say: &Say) -> Step<Self> {
        let mut files = paths(&replay.act(say, &Action::List)?);
        if files.is_empty()
            && replay.toolbox().has_glob()
            && let Some(call) = replay.toolbox().through_shell(&Action::List)
        {
            let results = replay.calls(
                &Say::text("That shows nothing; I ask git instead."),
                vec![call],
            )?;
            files = results
                .first()
                .map(|result| paths(result))
                .unwrap_or_default();
        }
        Ok(Self {
            files,
            ..Self::default()
        })
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file == path)
    }

    /// Reads files that have not been read yet, all at once.
    pub(crate) fn read(
        &mut self,
        replay: &mut Replay<'_>,
        say: &Say,
        wanted: &[String],
    ) -> Step<()> {
        let new: Vec<&String> = wanted
            .iter()
            .filter(|path| !self.texts.contains_key(*path))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let actions: Vec<Action> = new
            .iter()
            .map(|path| Action::Read((*path).clone()))
            .collect();
        let results = replay.act_all(say, &actions)?;
        for (path, result) in new.into_iter().zip(results) {
            self.texts.insert(path.clone(), file_text(&result));
        }
        Ok(())
    }

    /// Takes the manifest from what was read.
    pub(crate) fn keep_manifest(&mut self) {
        self.manifest = self
            .texts
            .get("package.json")
            .and_then(|text| serde_json::from_str(text).ok());
    }

    fn manifest_text(&self, pointer: &str) -> Option<&str> {
        self.manifest.as_ref()?.pointer(pointer)?.as_str()
    }

    /// The command that runs the tests: the manifest's own where it calls node itself, so that no package manager is
    /// needed.
    pub(crate) fn test_command(&self) -> Option<String> {
        match self.manifest_text("/scripts/test") {
            Some(script) if script.starts_with("node ") => Some(script.to_owned()),
            Some(script) if !script.contains("no test specified") => Some("npm test".to_owned()),
            _ => self
                .files
                .iter()
                .any(|file| super::super::repair::project::is_test(file))
                .then(|| "node --test".to_owned()),
        }
    }

    /// The package's name and entry file, for code that imports itself by name.
    pub(crate) fn package(&self) -> Option<(&str, &str)> {
        let entry = ["/exports", "/exports/.", "/exports/./import", "/main"]
            .iter()
            .find_map(|at| self.manifest_text(at));
        Some((self.manifest_text("/name")?, entry?))
    }
}
