//! The rows' outbox.
//!
//! Model: each workspace has a numbered list of upserts that the control plane
//! has not stored yet. A newer version of a row takes the place, and the
//! number, of its own unsent older version, so a row never moves behind one
//! that was created later. Once a number may be on its way its content is
//! fixed, and a newer version gets a number of its own.
//!
//! A row that still grows is kept a second time, so that a restart can end it;
//! this copy grows between versions too ([`Store::keep_rows`]).

use super::{Store, Stored, from_sql, to_sql};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sam_domain::conversation::row::{Author, RowBody, RowUpsert};
use sam_domain::id::{RowId, WorkspaceId};
use sam_domain::time::Timestamp;
use std::collections::HashMap;

/// A version of a row before it has a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowVersion {
    /// The row.
    pub(crate) id: RowId,
    /// The version.
    pub(crate) rev: u32,
    /// Who speaks.
    pub(crate) author: Author,
    /// When the row began.
    pub(crate) created_at: Timestamp,
    /// What it says.
    pub(crate) body: RowBody,
    /// Whether it may still change.
    pub(crate) open: bool,
    /// Bodies it names, by SHA-256; they are delivered before the row.
    pub(crate) bodies: Vec<(String, Vec<u8>)>,
}

/// An upsert as it lies in the outbox.
#[derive(Clone, Debug)]
pub(crate) struct PendingRow {
    /// Its number.
    pub(crate) n: u64,
    /// The row.
    pub(crate) row: RowId,
    /// The version.
    pub(crate) rev: u32,
    /// The upsert as JSON.
    pub(crate) json: String,
}

impl RowVersion {
    /// Adds to a notice what a person can do.
    pub(crate) fn set_hint(&mut self, text: &str) {
        if let RowBody::Notice(notice) = &mut self.body {
            notice.hint = Some(text.to_owned());
        }
    }
}

impl Store {
    /// Puts a version of a row into the outbox and returns its number.
    pub(crate) fn put_row(&self, workspace: &WorkspaceId, version: &RowVersion) -> Stored<u64> {
        // Held over the write: a batch must not be taken in between.
        let flights = self.flights();
        let sent = flights.get(workspace).copied().unwrap_or(0);
        self.transaction(|tx| put(tx, workspace, version, sent))
    }

    /// Puts versions of rows into the outbox, in order: all of them, or none.
    pub(crate) fn put_rows(&self, workspace: &WorkspaceId, versions: &[RowVersion]) -> Stored<()> {
        let flights = self.flights();
        let sent = flights.get(workspace).copied().unwrap_or(0);
        self.transaction(|tx| {
            versions
                .iter()
                .try_for_each(|version| put(tx, workspace, version, sent).map(|_| ()))
        })
    }

    /// Renews the copies of rows that grow, without waiting for the disk: the
    /// death of this process cannot undo it, a power cut can.
    pub(crate) fn keep_rows(&self, workspace: &WorkspaceId, grown: &[RowVersion]) -> Stored<()> {
        if grown.is_empty() {
            return Ok(());
        }
        self.hasty_transaction(|tx| {
            grown
                .iter()
                .try_for_each(|version| keep(tx, workspace, version))
        })
    }

    /// The number of the newest upsert; 0 for none.
    pub(crate) fn last_row_number(&self, workspace: &WorkspaceId) -> Stored<u64> {
        Ok(next_number(&self.lock(), workspace)?.saturating_sub(1))
    }

    /// The oldest upserts, in order, within both bounds but at least one; they
    /// count as on their way until [`Store::settle_rows`].
    pub(crate) fn take_batch(
        &self,
        workspace: &WorkspaceId,
        rows_limit: usize,
        bytes_limit: usize,
    ) -> Stored<Vec<PendingRow>> {
        let mut flights = self.flights();
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT n, row, rev, json FROM outbox WHERE workspace = ?1 ORDER BY n LIMIT ?2",
        )?;
        let mut rows =
            statement.query(params![workspace.to_string(), to_sql(rows_limit as u64)])?;
        let mut batch: Vec<PendingRow> = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let json: String = row.get(3)?;
            bytes += json.len() + 1;
            if bytes > bytes_limit && !batch.is_empty() {
                break;
            }
            let Ok(id) = row.get::<_, String>(1)?.parse() else {
                continue;
            };
            batch.push(PendingRow {
                n: from_sql(row.get(0)?),
                row: id,
                rev: row.get(2)?,
                json,
            });
        }
        if let Some(last) = batch.last() {
            let sent = flights.entry(workspace.clone()).or_default();
            *sent = last.n.max(*sent);
        }
        Ok(batch)
    }

    /// Removes upserts that the control plane stored or refused for good.
    pub(crate) fn settle_rows(&self, workspace: &WorkspaceId, numbers: &[u64]) -> Stored<()> {
        self.transaction(|tx| {
            let mut statement =
                tx.prepare_cached("DELETE FROM outbox WHERE workspace = ?1 AND n = ?2")?;
            for n in numbers {
                statement.execute(params![workspace.to_string(), to_sql(*n)])?;
            }
            Ok(())
        })
    }

    /// Workspaces that owe rows.
    pub(crate) fn workspaces_owing_rows(&self) -> Stored<Vec<WorkspaceId>> {
        let connection = self.lock();
        let mut statement = connection.prepare("SELECT DISTINCT workspace FROM outbox")?;
        let ids = statement.query_map([], |row| row.get::<_, String>(0))?;
        let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Whether the workspace owes rows.
    pub(crate) fn owes_rows(&self, workspace: &WorkspaceId) -> Stored<bool> {
        Ok(self.lock().query_row(
            "SELECT EXISTS(SELECT 1 FROM outbox WHERE workspace = ?1)",
            [workspace.to_string()],
            |row| row.get(0),
        )?)
    }

    /// A body that was not delivered yet.
    pub(crate) fn next_body(&self, workspace: &WorkspaceId) -> Stored<Option<(String, Vec<u8>)>> {
        Ok(self
            .lock()
            .query_row(
                "SELECT sha256, data FROM body WHERE workspace = ?1 LIMIT 1",
                [workspace.to_string()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?)
    }

    /// Forgets a body that was delivered.
    pub(crate) fn remove_body(&self, workspace: &WorkspaceId, sha256: &str) -> Stored<()> {
        self.transaction(|tx| {
            tx.execute(
                "DELETE FROM body WHERE workspace = ?1 AND sha256 = ?2",
                params![workspace.to_string(), sha256],
            )?;
            Ok(())
        })
    }

    /// Rows that were growing when this process ended, oldest first.
    pub(crate) fn open_rows(&self, workspace: &WorkspaceId) -> Stored<Vec<RowUpsert>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare("SELECT json FROM open_row WHERE workspace = ?1 ORDER BY place")?;
        let mut rows = statement.query([workspace.to_string()])?;
        let mut open = Vec::new();
        while let Some(row) = rows.next()? {
            open.push(serde_json::from_str(&row.get::<_, String>(0)?)?);
        }
        Ok(open)
    }

    /// Workspaces with rows that were growing when this process ended.
    pub(crate) fn workspaces_with_open_rows(&self) -> Stored<Vec<WorkspaceId>> {
        let connection = self.lock();
        let mut statement = connection.prepare("SELECT DISTINCT workspace FROM open_row")?;
        let ids = statement.query_map([], |row| row.get::<_, String>(0))?;
        let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }
}

/// After a start, everything in the outbox may have been on its way before.
pub(super) fn sent_before(connection: &Connection) -> Stored<HashMap<WorkspaceId, u64>> {
    let mut statement =
        connection.prepare("SELECT workspace, max(n) FROM outbox GROUP BY workspace")?;
    let pairs = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, from_sql(row.get(1)?)))
    })?;
    let mut sent = HashMap::new();
    for pair in pairs {
        let (workspace, n) = pair?;
        if let Ok(workspace) = workspace.parse() {
            sent.insert(workspace, n);
        }
    }
    Ok(sent)
}

fn next_number(connection: &Connection, workspace: &WorkspaceId) -> Stored<u64> {
    let next: Option<i64> = connection
        .query_row(
            "SELECT next FROM row_number WHERE workspace = ?1",
            [workspace.to_string()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(next.map_or(1, from_sql))
}

fn keep(tx: &Transaction<'_>, workspace: &WorkspaceId, version: &RowVersion) -> Stored<()> {
    let (wsp, row) = (workspace.to_string(), version.id.to_string());
    let place: Option<i64> = tx
        .query_row(
            "SELECT place FROM open_row WHERE workspace = ?1 AND row = ?2",
            params![wsp, row],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(place) = place {
        let json = serde_json::to_string(&upsert(version, from_sql(place)))?;
        tx.execute(
            "UPDATE open_row SET json = ?3 WHERE workspace = ?1 AND row = ?2",
            params![wsp, row, json],
        )?;
    }
    Ok(())
}

fn upsert(version: &RowVersion, n: u64) -> RowUpsert {
    RowUpsert {
        n,
        id: version.id.clone(),
        rev: version.rev,
        author: version.author,
        created_at: version.created_at,
        body: version.body.clone(),
    }
}

fn put(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    version: &RowVersion,
    sent: u64,
) -> Stored<u64> {
    let (wsp, row) = (workspace.to_string(), version.id.to_string());
    let unsent: Option<i64> = tx
        .query_row(
            "SELECT n FROM outbox WHERE workspace = ?1 AND row = ?2 AND n > ?3 ORDER BY n LIMIT 1",
            params![wsp, row, to_sql(sent)],
            |row| row.get(0),
        )
        .optional()?;
    let n = match unsent {
        Some(n) => from_sql(n),
        None => {
            let n = next_number(tx, workspace)?;
            tx.execute(
                "INSERT OR REPLACE INTO row_number(workspace, next) VALUES(?1, ?2)",
                params![wsp, to_sql(n + 1)],
            )?;
            n
        }
    };
    let json = serde_json::to_string(&upsert(version, n))?;
    tx.execute(
        "INSERT OR REPLACE INTO outbox(workspace, n, row, rev, json) VALUES(?1, ?2, ?3, ?4, ?5)",
        params![wsp, to_sql(n), row, version.rev, json],
    )?;
    for (sha256, data) in &version.bodies {
        tx.execute(
            "INSERT OR IGNORE INTO body(workspace, sha256, data) VALUES(?1, ?2, ?3)",
            params![wsp, sha256, data],
        )?;
    }
    if version.open {
        tx.execute(
            "INSERT INTO open_row(workspace, row, place, json) VALUES(?1, ?2, ?3, ?4)
             ON CONFLICT(workspace, row) DO UPDATE SET json = ?4",
            params![wsp, row, to_sql(n), json],
        )?;
    } else {
        tx.execute(
            "DELETE FROM open_row WHERE workspace = ?1 AND row = ?2",
            params![wsp, row],
        )?;
    }
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_domain::conversation::row::TextBody;
    use sam_domain::id::Id;

    fn workspace() -> WorkspaceId {
        WorkspaceId::mint(Timestamp(1), 1)
    }

    fn version(row: u128, rev: u32, text: &str, open: bool) -> RowVersion {
        RowVersion {
            id: RowId::mint(Timestamp(1), row),
            rev,
            author: Author::Agent,
            created_at: Timestamp(1),
            body: RowBody::Text(TextBody {
                text: text.to_owned(),
                ..TextBody::default()
            }),
            open,
            bodies: Vec::new(),
        }
    }

    fn numbers(batch: &[PendingRow]) -> Vec<(u64, u32)> {
        batch.iter().map(|row| (row.n, row.rev)).collect()
    }

    #[test]
    fn a_newer_version_takes_its_unsent_ones_place_but_not_a_sent_ones() {
        let dir = tempfile::tempdir().expect("dir");
        let store = Store::open(dir.path()).expect("opens");
        let w = workspace();
        let put = |row, rev| {
            store
                .put_row(&w, &version(row, rev, "x", true))
                .expect("put")
        };
        assert_eq!([put(1, 1), put(2, 1), put(1, 2)], [1, 2, 1]);
        let batch = store.take_batch(&w, 100, 10_000).expect("batch");
        assert_eq!(numbers(&batch), [(1, 2), (2, 1)]);
        // On its way: a newer version queues behind, and a still newer one replaces that.
        assert_eq!([put(1, 3), put(3, 1), put(1, 4)], [3, 4, 3]);
        store.settle_rows(&w, &[1, 2]).expect("settled");
        let batch = store.take_batch(&w, 100, 10_000).expect("batch");
        assert_eq!(numbers(&batch), [(3, 4), (4, 1)]);
        assert_eq!(store.last_row_number(&w).expect("n"), 4);
    }

    #[test]
    fn rows_that_are_put_together_are_there_in_order_or_not_at_all() {
        let dir = tempfile::tempdir().expect("dir");
        let store = Store::open(dir.path()).expect("opens");
        let w = workspace();
        let together = [1, 2, 3].map(|row| version(row, 1, "x", false));
        store.put_rows(&w, &together).expect("put");
        let batch = store.take_batch(&w, 100, 10_000).expect("batch");
        assert_eq!(numbers(&batch), [(1, 1), (2, 1), (3, 1)]);
        store
            .lock()
            .execute_batch(
                "CREATE TRIGGER full BEFORE INSERT ON outbox WHEN new.n = 5
                 BEGIN SELECT raise(ABORT, 'full'); END",
            )
            .expect("a trigger");
        let more = [4, 5].map(|row| version(row, 1, "x", false));
        store.put_rows(&w, &more).expect_err("is refused");
        assert_eq!(store.last_row_number(&w).expect("n"), 3);
        store
            .lock()
            .execute_batch("DROP TRIGGER full")
            .expect("no trigger");
        store.put_rows(&w, &more).expect("put");
        assert_eq!(store.last_row_number(&w).expect("n"), 5);
    }

    #[test]
    fn after_a_restart_nothing_that_may_have_been_sent_is_rewritten() {
        let dir = tempfile::tempdir().expect("dir");
        let w = workspace();
        let store = Store::open(dir.path()).expect("opens");
        store.put_row(&w, &version(1, 1, "x", true)).expect("put");
        drop(store);
        let store = Store::open(dir.path()).expect("opens");
        assert_eq!(
            store.put_row(&w, &version(1, 2, "xy", false)).expect("put"),
            2
        );
        let batch = store.take_batch(&w, 100, 10_000).expect("batch");
        assert_eq!(numbers(&batch), [(1, 1), (2, 2)]);
        assert_eq!(store.workspaces_owing_rows().expect("owing"), [w]);
    }

    #[test]
    fn open_rows_are_remembered_until_they_end() {
        let dir = tempfile::tempdir().expect("dir");
        let w = workspace();
        let store = Store::open(dir.path()).expect("opens");
        store.put_row(&w, &version(1, 1, "a", true)).expect("put");
        store.put_row(&w, &version(2, 1, "b", true)).expect("put");
        store.put_row(&w, &version(1, 2, "aa", false)).expect("put");
        let open = store.open_rows(&w).expect("open");
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].body.growing(), Some("b"));
    }

    #[test]
    fn a_kept_row_is_ended_with_all_it_said() {
        let dir = tempfile::tempdir().expect("dir");
        let w = workspace();
        let store = Store::open(dir.path()).expect("opens");
        store.put_row(&w, &version(1, 1, "a", true)).expect("put");
        let grown = [
            version(1, 1, "abc", true),
            version(2, 1, "never stored", true),
        ];
        store.keep_rows(&w, &grown).expect("kept");
        let open = store.open_rows(&w).expect("open");
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].body.growing(), Some("abc"));
        let batch = store.take_batch(&w, 100, 10_000).expect("batch");
        assert_eq!(numbers(&batch), [(1, 1)]);
        assert!(
            batch[0].json.contains("\"a\""),
            "what is sent is what was stored"
        );
        store
            .put_row(&w, &version(1, 2, "abcd", false))
            .expect("put");
        store.keep_rows(&w, &grown).expect("kept");
        assert_eq!(store.open_rows(&w).expect("open"), []);
    }

    #[test]
    fn a_batch_is_bounded_by_count_and_bytes_but_never_empty() {
        let dir = tempfile::tempdir().expect("dir");
        let w = workspace();
        let store = Store::open(dir.path()).expect("opens");
        for row in 0..5 {
            let text = "y".repeat(1000);
            store
                .put_row(&w, &version(row, 1, &text, false))
                .expect("put");
        }
        assert_eq!(store.take_batch(&w, 2, 100_000).expect("batch").len(), 2);
        assert_eq!(store.take_batch(&w, 100, 10).expect("batch").len(), 1);
        assert_eq!(store.take_batch(&w, 100, 2_600).expect("batch").len(), 2);
    }
}
