//! Which node this machine is: the file `runner.json`, readable by its owner alone.

use super::place::Here;
use crate::config::{read_json, write_private};
use crate::error::Failure;
use sam_domain::id::NodeId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is known here of a runner that has joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The server that it joined.
    pub(super) url: String,
    /// Which node it is there.
    pub(super) node: NodeId,
}

fn path(here: &Here) -> PathBuf {
    here.state.join("runner.json")
}

/// The record; none on a machine that has not joined.
pub(super) fn read(here: &Here) -> Result<Option<Record>, Failure> {
    read_json(&path(here), "Remove the file and register again.")
}

/// Writes it, and makes its folder.
pub(super) fn write(here: &Here, record: &Record) -> Result<(), Failure> {
    let path = path(here);
    write_private(&path, record)
        .map_err(|error| Failure::local(&format!("Could not write {}", path.display()), &error))
}

/// Removes it; that it is not there is no failure.
pub(super) fn remove(here: &Here) -> Result<(), Failure> {
    let path = path(here);
    super::leave::gone(&path, std::fs::remove_file(&path))
}
