//! A vm-agent's disk, read from outside: what it owes, what it was doing, what it left.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use sam_domain::conversation::row::RowUpsert;
use sam_domain::id::NodeId;

use crate::machine::{self, Running};
use crate::{Result, failure};

const DATABASE: &str = "vm-agent.sqlite3";

/// The state directory of a vm-agent.
#[derive(Clone, Debug)]
pub struct Disk {
    directory: PathBuf,
}

/// What the records say, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Row upserts that the control plane has not stored, in order.
    pub owed: Vec<RowUpsert>,
    /// Rows that were still growing.
    pub growing: Vec<RowUpsert>,
    /// How many records each other table holds.
    pub counts: Vec<(&'static str, u64)>,
}

impl Disk {
    /// Of this state directory.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where its workspaces are.
    #[must_use]
    pub fn workspaces(&self) -> PathBuf {
        self.directory.join("workspaces")
    }

    /// The names of the workspaces' folders.
    #[must_use]
    pub fn workspace_folders(&self) -> Vec<PathBuf> {
        list(&self.workspaces())
    }

    fn open(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.directory.join(DATABASE), flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        Ok(connection)
    }

    fn meta(&self, key: &str) -> Result<String> {
        self.open()?
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .optional()?
            .ok_or_else(|| failure(format!("the vm-agent's disk has no {key}")))
    }

    /// The node it joined as, and its token.
    ///
    /// # Errors
    /// When it has not joined.
    pub fn membership(&self) -> Result<(NodeId, String)> {
        let node = self
            .meta("node")?
            .parse()
            .map_err(|error| failure(format!("{error}")))?;
        Ok((node, self.meta("node_token")?))
    }

    /// Everything that this vm-agent started and that still runs, wherever it went: each carries the
    /// mark of this disk in its environment.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn started(&self) -> Result<Vec<Running>> {
        let mark = format!("SAM_SUPERVISED={}.", self.meta("store_id")?);
        Ok(machine::with_environment(&mark))
    }

    /// What the records say now.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn records(&self) -> Result<Records> {
        let connection = self.open()?;
        let rows = |table: &str, order: &str| -> Result<Vec<RowUpsert>> {
            let mut statement =
                connection.prepare(&format!("SELECT json FROM {table} ORDER BY {order}"))?;
            let texts = statement.query_map([], |row| row.get::<_, String>(0))?;
            let mut rows = Vec::new();
            for text in texts {
                rows.push(serde_json::from_str(&text?)?);
            }
            Ok(rows)
        };
        let mut counts = Vec::new();
        for table in ["command", "event", "agent", "process", "workspace", "body"] {
            let query = format!("SELECT count(*) FROM {table}");
            let count: i64 = connection.query_row(&query, [], |row| row.get(0))?;
            counts.push((table, u64::try_from(count)?));
        }
        Ok(Records {
            owed: rows("outbox", "workspace, n")?,
            growing: rows("open_row", "workspace, place")?,
            counts,
        })
    }
}

impl Records {
    /// The tables that are not empty, in words; empty when nothing is owed and nothing goes on.
    /// Workspaces that are kept do not count.
    #[must_use]
    pub fn unfinished(&self) -> String {
        let mut found: Vec<String> = self
            .counts
            .iter()
            .filter(|(table, count)| *count > 0 && *table != "workspace")
            .map(|(table, count)| format!("{count} in {table}"))
            .collect();
        if !self.owed.is_empty() || !self.growing.is_empty() {
            found.push(format!("rows {:?} {:?}", self.owed, self.growing));
        }
        found.join(", ")
    }
}

/// What a folder holds; nothing when it is not there.
#[must_use]
pub fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Every file below a folder, links not followed.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in list(folder) {
        match std::fs::symlink_metadata(&path) {
            Ok(kind) if kind.is_dir() => found.extend(files(&path)),
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}
