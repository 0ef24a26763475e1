//! What this machine must not forget.
//!
//! One SQLite database in the state directory: who the node is, both queues of
//! the link, the rows that the control plane has not stored yet, and what the
//! workspaces were doing. WAL with `synchronous = FULL`: a write that returned
//! survives a power cut.
//!
//! A disk that is full must not silence the machine: it has to say so. So the
//! database and its log hold [`RESERVE`] bytes in advance, and writes go on
//! within them when nobody else can write any more.
//!
//! Invariants:
//! - One process per state directory: the lock file is held for as long as the
//!   store is open.
//! - A thing is on disk before anyone outside hears of it.
//! - The directory and its files are readable by their owner alone; short-lived
//!   tokens are never written at all.
//!
//! - [`link`]: commands and events, as [`sam_domain::link::agent_end`] asks.
//! - [`rows`]: the rows' outbox, the bodies they name, rows that still grow.
//! - [`work`]: workspaces, agents, and processes to look for after a crash.
//!
//! It does not know what any of them means.

mod link;
mod rows;
mod work;

pub(crate) use link::apply;
pub(crate) use rows::{PendingRow, RowVersion};
pub(crate) use work::{
    AgentRecord, ProcessRecord, WorkspaceRecord, put_agent, put_workspace, remove_agent,
    remove_workspace,
};

use crate::secret::Secret;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sam_domain::id::{NodeId, WorkspaceId};
use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS command(place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS finished(command TEXT PRIMARY KEY, event INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS event(n INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS workspace(id TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS agent(workspace TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS process(pid INTEGER PRIMARY KEY, started INTEGER NOT NULL, workspace TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS row_number(workspace TEXT PRIMARY KEY, next INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outbox(workspace TEXT NOT NULL, n INTEGER NOT NULL, row TEXT NOT NULL, rev INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY(workspace, n)) STRICT;
CREATE INDEX IF NOT EXISTS outbox_row ON outbox(workspace, row);
CREATE TABLE IF NOT EXISTS open_row(workspace TEXT NOT NULL, row TEXT NOT NULL, place INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY(workspace, row)) STRICT;
CREATE TABLE IF NOT EXISTS body(workspace TEXT NOT NULL, sha256 TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY(workspace, sha256)) STRICT;
";

/// Room that the database keeps for a full disk, and its log as much again.
const RESERVE: i64 = 1024 * 1024;
/// Processes that the disk remembers: more than start one after the other
/// without one of them reaching the control plane.
const REMEMBERED_BOOTS: usize = 64;
/// Pages after which the log is written back and begun again.
const LOG_PAGES: i64 = 256;

/// What can go wrong with the disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Another process has the directory.
    #[error("another vm-agent is running on {}", .0.display())]
    InUse(PathBuf),
    /// The directory cannot be used.
    #[error("the state directory {} cannot be used: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("the database in the state directory failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Something on disk is not what was written.
    #[error("the database in the state directory holds something unreadable: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl StoreError {
    /// Whether there is no room left.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}

/// The result of something that touches the disk.
pub(crate) type Stored<T> = Result<T, StoreError>;

/// Who the node is.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// The node.
    pub(crate) node: NodeId,
    /// Its token.
    pub(crate) token: Secret,
}

/// The open store.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
    /// For each workspace, outbox numbers up to this one may be on their way.
    in_flight: Mutex<HashMap<WorkspaceId, u64>>,
    store_id: String,
    dir: PathBuf,
    _lock: File,
}

impl Store {
    /// Opens the store in `dir`, making it if need be.
    pub(crate) fn open(dir: &Path) -> Stored<Self> {
        let failed = |source| StoreError::Directory {
            path: dir.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let private = |name: &str| {
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(dir.join(name))
                .map_err(failed)
        };
        let lock = private("lock")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(dir)),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // SQLite gives its other files the permissions of this one.
        drop(private("vm-agent.sqlite3")?);
        let connection = Connection::open(dir.join("vm-agent.sqlite3"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // A private cache of 512 KiB: the queues are short.
        connection.pragma_update(None, "cache_size", -512)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        connection.execute_batch(SCHEMA)?;
        if let Err(error) = reserve(&connection) {
            crate::log::warning!("no room is reserved for a full disk: {error}");
        }
        let store_id = match meta(&connection, "store_id")? {
            Some(id) => id,
            None => {
                let id = format!(
                    "{:016x}{:016x}",
                    crate::clock::entropy(),
                    crate::clock::entropy()
                );
                put_meta(&connection, "store_id", &id)?;
                id
            }
        };
        let in_flight = rows::sent_before(&connection)?;
        Ok(Self {
            connection: Mutex::new(connection),
            in_flight: Mutex::new(in_flight),
            store_id,
            dir,
            _lock: lock,
        })
    }

    /// The identity of this disk.
    pub(crate) fn store_id(&self) -> &str {
        &self.store_id
    }

    /// Writes down that a process begins, and says which ran on this disk
    /// before it, newest last; `None` when nothing was written down so far. A
    /// copy of the disk goes on with a list of its own.
    pub(crate) fn begin_boot(&self, boot_id: &str) -> Stored<Option<Vec<String>>> {
        self.transaction(|tx| {
            let held = meta(tx, "boots")?;
            let words = held.as_deref().unwrap_or_default().split_whitespace();
            let before: Vec<String> = words.map(str::to_owned).collect();
            let oldest = before.len().saturating_sub(REMEMBERED_BOOTS - 1);
            let mut all = before.get(oldest..).unwrap_or_default().to_vec();
            all.push(boot_id.to_owned());
            put_meta(tx, "boots", &all.join(" "))?;
            Ok(held.map(|_| before))
        })
    }

    /// The state directory, absolute.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Who the node is, once it joined.
    pub(crate) fn membership(&self) -> Stored<Option<Membership>> {
        let connection = self.lock();
        let (Some(node), Some(token)) =
            (meta(&connection, "node")?, meta(&connection, "node_token")?)
        else {
            return Ok(None);
        };
        Ok(node.parse().ok().map(|node| Membership {
            node,
            token: Secret::new(token),
        }))
    }

    /// Keeps who the node is.
    pub(crate) fn set_membership(&self, membership: &Membership) -> Stored<()> {
        self.transaction(|tx| {
            put_meta(tx, "node", &membership.node.to_string())?;
            put_meta(tx, "node_token", membership.token.expose())
        })
    }

    /// Runs `work` in one transaction.
    pub(crate) fn transaction<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Stored<T>,
    ) -> Stored<T> {
        let mut connection = self.lock();
        let tx = connection.transaction()?;
        let value = work(&tx)?;
        tx.commit()?;
        Ok(value)
    }

    /// The same without waiting for the disk: the death of this process cannot
    /// undo it, a power cut can, together with nothing that was written before.
    fn hasty_transaction<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Stored<T>) -> Stored<T> {
        let mut connection = self.lock();
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let written = (|| {
            let tx = connection.transaction()?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        })();
        connection.pragma_update(None, "synchronous", "FULL")?;
        written
    }

    /// Makes the disk as good as full, or as it was; the reserve is used up.
    #[cfg(test)]
    pub(crate) fn fill_up(&self, full: bool) {
        if full {
            self.lock().execute_batch("VACUUM").expect("compact");
        }
        self.fill_up_to_the_reserve(full);
    }

    /// The same with the reserve as it is.
    #[cfg(test)]
    fn fill_up_to_the_reserve(&self, full: bool) {
        let pages = if full { 1 } else { i64::from(u32::MAX) - 1 };
        let set = self
            .lock()
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| {
                row.get::<_, i64>(0)
            });
        assert!(set.is_ok(), "{set:?}");
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<WorkspaceId, u64>> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Grows the database and its log by the reserve, unless it holds it already.
/// What is written and deleted again stays with the files as free pages.
fn reserve(connection: &Connection) -> Stored<()> {
    connection.execute_batch("CREATE TABLE IF NOT EXISTS reserve(data BLOB NOT NULL) STRICT")?;
    connection.execute("INSERT INTO reserve VALUES(zeroblob(?1))", [RESERVE])?;
    connection.execute("DELETE FROM reserve", [])?;
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(())
}

fn meta(connection: &Connection, key: &str) -> Stored<Option<String>> {
    Ok(connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
            row.get(0)
        })
        .optional()?)
}

fn put_meta(connection: &Connection, key: &str, value: &str) -> Stored<()> {
    connection.execute(
        "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2",
        params![key, value],
    )?;
    Ok(())
}

/// SQLite's integers are signed; numbers here never come near the difference.
fn to_sql(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn from_sql(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_domain::id::Id;
    use sam_domain::time::Timestamp;

    #[test]
    fn a_second_process_is_refused_and_identity_outlives_the_first() {
        let dir = tempfile::tempdir().expect("dir");
        let store = Store::open(dir.path()).expect("opens");
        let id = store.store_id().to_owned();
        let error = Store::open(dir.path()).expect_err("refused");
        assert!(matches!(error, StoreError::InUse(_)), "{error}");
        let membership = Membership {
            node: NodeId::mint(Timestamp(1), 1),
            token: Secret::new("sam_nod_test-token-0123"),
        };
        store.set_membership(&membership).expect("stored");
        drop(store);
        let store = Store::open(dir.path()).expect("opens again");
        assert_eq!(store.store_id(), id);
        assert_eq!(store.begin_boot("one").expect("written"), None);
        let known = Some(vec!["one".to_owned()]);
        assert_eq!(store.begin_boot("two").expect("written"), known);
        let held = store.membership().expect("read").expect("joined");
        assert_eq!(held.node, membership.node);
        assert_eq!(held.token, membership.token);
    }

    #[test]
    fn a_full_disk_takes_records_within_the_reserve() {
        let dir = tempfile::tempdir().expect("dir");
        // The second start finds the reserve that the first one made.
        drop(Store::open(dir.path()).expect("opens"));
        let store = Store::open(dir.path()).expect("opens");
        let file = |name: &str| {
            std::fs::metadata(store.dir().join(name))
                .expect("file")
                .len()
        };
        let reserved = u64::try_from(RESERVE).expect("positive");
        let log = file("vm-agent.sqlite3-wal");
        assert!(log > reserved && log < 3 * reserved, "{log}");
        store.fill_up_to_the_reserve(true);
        let before = file("vm-agent.sqlite3");
        let put =
            |n: usize| store.transaction(|tx| put_meta(tx, &format!("key-{n}"), &"x".repeat(8000)));
        let taken = (0..1000).take_while(|n| put(*n).is_ok()).count();
        assert!((100..200).contains(&taken), "{taken} records of 8 KB");
        assert!(put(1000).expect_err("it is full by now").is_full());
        assert_eq!(file("vm-agent.sqlite3"), before, "the file did not grow");
        store.fill_up_to_the_reserve(false);
        put(1000).expect("there is room again");
    }

    #[test]
    fn only_the_owner_can_read_it() {
        let dir = tempfile::tempdir().expect("dir");
        let state = dir.path().join("state");
        let store = Store::open(&state).expect("opens");
        let mode =
            |path: PathBuf| std::fs::metadata(path).expect("file").permissions().mode() & 0o777;
        assert_eq!(mode(state.clone()), 0o700);
        for name in ["vm-agent.sqlite3", "vm-agent.sqlite3-wal"] {
            assert_eq!(mode(store.dir().join(name)), 0o600, "{name}");
        }
    }
}
